#!/usr/bin/env python3
"""Converts an AspenOpenJets HDF5 file to Arrow IPC files as one would in Python, with care for speed.

    peer_convert.py INPUT.h5 OUTPUT_DIRECTORY [--processes N] [--slab-rows N]

Rows are read in slabs of whole chunk rows into one buffer, padding is dropped with numpy, columns are written as
list<float32> with pyarrow (Zstandard level 3, at most 2,048 jets a record batch). Each process takes a range of rows and
writes a file of its own. Nothing is narrowed, nothing is checked, nothing is flushed to disk. Prints one JSON object.
"""
import argparse
import json
import multiprocessing
import os
import time

import h5py
import numpy as np
import pyarrow as pa

BATCH = 2048
PARTICLE = ["px", "py", "pz", "energy", "d0", "d0Err", "dz", "dzErr", "charge", "pdgId", "puppiWeight"]


def jet_columns(file):
    for name in sorted(set(file) - {"PFCands"}):
        yield from ((name, column) for column in range(file[name].shape[1]))


def schema_of(file):
    types = {"i": pa.int64(), "f": pa.float32()}
    jets = [pa.field(f"{name}_{column}", types[file[name].dtype.kind]) for name, column in jet_columns(file)]
    return pa.schema(jets + [pa.field(f"part_{name}", pa.list_(pa.float32())) for name in PARTICLE])


def convert(path, output, first, last, slab_rows):
    """Converts rows first..<last; returns jets and constituents."""
    # The cache holds a slab's chunks of all datasets: none is inflated twice.
    with h5py.File(path, "r", rdcc_nbytes=64 << 20, rdcc_nslots=100_003) as file:
        candidates = file["PFCands"]
        slots = candidates.shape[1]
        slab = np.empty((slab_rows, slots, len(PARTICLE)), np.float32)
        numbers = np.arange(slots)
        schema = schema_of(file)
        options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=3), use_threads=False)
        constituents = 0
        with pa.OSFile(output, "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
            for start in range(first, last, slab_rows):
                rows = min(slab_rows, last - start)
                here = slab[:rows]
                candidates.read_direct(here, np.s_[start:start + rows])
                # A constituent has energy: the last one that has tells how many there are.
                filled = here[:, :, 3] != 0
                counts = np.where(filled.any(axis=1), slots - filled[:, ::-1].argmax(axis=1), 0)
                flat = here[numbers < counts[:, None]]
                columns = np.ascontiguousarray(flat.T)
                offsets = np.zeros(rows + 1, np.int32)
                np.cumsum(counts, out=offsets[1:])
                constituents += int(offsets[-1])
                tables = {name: file[name][start:start + rows] for name in set(file) - {"PFCands"}}
                jets = [np.ascontiguousarray(tables[name][:, column]) for name, column in jet_columns(file)]
                for low in range(0, rows, BATCH):
                    high = min(rows, low + BATCH)
                    begin, end = offsets[low], offsets[high]
                    ends = pa.array(offsets[low:high + 1] - begin)
                    arrays = [pa.array(column[low:high]) for column in jets]
                    arrays += [pa.ListArray.from_arrays(ends, pa.array(column[begin:end])) for column in columns]
                    writer.write_batch(pa.record_batch(arrays, schema=schema))
    return last - first, constituents


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--slab-rows", type=int, default=4096, help="about so many rows at once, in whole chunk rows")
    options = parser.parse_args()
    begin = time.perf_counter()
    os.makedirs(options.output)
    with h5py.File(options.input, "r") as file:
        rows = file["PFCands"].shape[0]
        chunk = (file["PFCands"].chunks or (1,))[0]
    slab = -(-options.slab_rows // chunk) * chunk
    # Ranges begin at slabs, so that no chunk is inflated by two processes.
    slabs = -(-rows // slab)
    cuts = [min(rows, slabs * n // options.processes * slab) for n in range(options.processes + 1)]
    parts = [(options.input, f"{options.output}/{n:05}.arrow", cuts[n], cuts[n + 1], slab)
             for n in range(options.processes) if cuts[n] < cuts[n + 1]]
    if len(parts) > 1:
        with multiprocessing.Pool(len(parts)) as pool:
            done = pool.starmap(convert, parts)
    else:
        done = [convert(*part) for part in parts]
    print(json.dumps({
        "jets": sum(jets for jets, _ in done), "constituents": sum(count for _, count in done),
        "bytes": sum(os.path.getsize(part[1]) for part in parts), "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
