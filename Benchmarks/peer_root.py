#!/usr/bin/env python3
"""Reads and converts ROOT files with uproot, awkward and pyarrow as one would with care for speed.

    peer_root.py open FILE TREE
    peer_root.py read FILE TREE
    peer_root.py jetclass|pfnano INPUT.root OUTPUT_DIRECTORY [--processes N] [--golden GOLDEN.json]

Opening and reading are done once before the clock starts. A conversion goes through the tree cluster by cluster, so that no
basket is decompressed twice, and writes Parquet with Zstandard, level 3, without dictionaries, which is faster; each process
takes a range of clusters and writes a file of its own. Of PFNano it reads flags first, and takes the jets of the selection with
whole-array operations. Nothing is narrowed, checked or flushed to disk. Prints one JSON object.
"""
import argparse
import json
import multiprocessing
import os
import time

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

HERE = os.path.dirname(os.path.abspath(__file__))


def clock():
    return np.array([time.perf_counter(), time.process_time()])


def seconds(begin):
    wall, cpu = clock() - begin
    return {"wall": wall, "cpu": cpu}


def open_tree(path, name):
    tree = uproot.open(path)[name]
    return tree, tree.keys()


def measure(work, path, name):
    for _ in range(2):
        begin = clock()
        tree, keys = open_tree(path, name)
        took = {"open": seconds(begin), "branches": len(keys)}
        if work == "read":
            begin = clock()
            arrays = tree.arrays()
            took |= {"read": seconds(begin), "entries": len(arrays)}
            del arrays
    return took


def clusters(tree, names, first, last):
    """Ranges of entries in which baskets begin and end, of some thousand entries."""
    borders = [border for border in tree.common_entry_offsets(filter_name=names) if first < border < last]
    return list(zip([first, *borders], [*borders, last]))


def lists(offsets, values):
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


class Output:
    def __init__(self, path):
        self.path, self.writer = path, None

    def write(self, columns):
        table = pa.table(columns)
        self.writer = self.writer or pq.ParquetWriter(
            self.path, table.schema, compression="zstd", compression_level=3, use_dictionary=False)
        self.writer.write_table(table)

    def close(self):
        if self.writer:
            self.writer.close()


def flat(array):
    """Offsets and values of a jagged array, without copies."""
    layout = array.layout
    offsets, values = layout.offsets.data, layout.content.data
    return offsets - offsets[0], values[offsets[0]:offsets[-1]]


def convert_jetclass(path, output, first, last, golden):
    tree = uproot.open(path)["tree"]
    names = tree.keys()
    target, constituents = Output(output), 0
    for low, high in clusters(tree, names, first, last):
        arrays = tree.arrays(names, entry_start=low, entry_stop=high)
        columns = {}
        for name in names:
            array = arrays[name]
            columns[name] = lists(*flat(array)) if array.ndim > 1 else pa.array(ak.to_numpy(array))
        constituents += len(columns["part_px"].values)
        target.write(columns)
    target.close()
    return last - first, constituents


TAGGING = ["tau1", "tau2", "tau3", "tau4", "particleNet_H4qvsQCD", "particleNet_HbbvsQCD", "particleNet_HccvsQCD",
           "particleNet_QCD", "particleNet_TvsQCD", "particleNet_WvsQCD", "particleNet_ZvsQCD", "particleNet_mass"]
JETS = ["pt", "eta", "phi", "msoftdrop", "nConstituents", *TAGGING]
CANDIDATES = ["d0", "d0Err", "dz", "dzErr", "charge", "pdgId", "puppiWeight"]


def certified(golden, run, block):
    taken = np.zeros(len(run), bool)
    for number, ranges in golden.items():
        here = np.flatnonzero(run == int(number))
        for low, high in ranges:
            taken[here] |= (block[here] >= low) & (block[here] <= high)
    return taken


def momenta(pt, eta, phi, mass):
    pt, eta, phi, mass = (values.astype(np.float64) for values in (pt, eta, phi, mass))
    p = pt * np.cosh(eta)
    return [part.astype(np.float32) for part in (
        pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.sqrt(np.maximum(p * p + mass * mass, 0)))]


def convert_pfnano(path, output, first, last, golden):
    with open(f"{HERE}/../schemas/selections/aoj-2016.json") as file:
        rules = json.load(file)
    tree = uproot.open(path)["Events"]
    known = set(tree.keys())
    triggers, filters = ([name for name in rules[key] if name in known] for key in ("triggers", "filters"))
    events = ["run", "luminosityBlock", "event"]
    jets = [f"FatJet_{name}" for name in [*JETS, "jetId"]]
    links = ["FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx"]
    candidates = [f"PFCands_{name}" for name in ["pt", "eta", "phi", "mass", *CANDIDATES]]
    target, rows, constituents = Output(output), 0, 0
    names = [*triggers, *filters, *events, *jets, *links, *candidates]
    for low, high in clusters(tree, names, first, last):
        flags = tree.arrays([*triggers, *filters, *events], entry_start=low, entry_stop=high, library="np")
        passed = np.logical_or.reduce([flags[name] for name in triggers])
        passed &= np.logical_and.reduce([flags[name] for name in filters])
        if golden is not None:
            passed &= certified(golden, flags["run"], flags["luminosityBlock"])
        if not passed.any():
            continue
        arrays = tree.arrays([*jets, *links, *candidates], entry_start=low, entry_stop=high)
        first_jet, _ = flat(arrays["FatJet_pt"])
        jet = {name: flat(arrays[f"FatJet_{name}"])[1] for name in [*JETS, "jetId"]}
        event = np.repeat(np.arange(high - low), np.diff(first_jet))
        taken = passed[event] & (jet["pt"] > 300) & (np.abs(jet["eta"]) < 2.5) & (jet["jetId"] == 6)
        chosen = np.flatnonzero(taken)
        row = np.cumsum(taken) - 1
        first_link, owner = flat(arrays[links[0]])
        link_event = np.repeat(np.arange(high - low), np.diff(first_link))
        owner = first_jet[link_event] + owner
        link = np.flatnonzero(taken[owner])
        # Of each jet the first 150 in the order of the links.
        link = link[np.argsort(owner[link], kind="stable")]
        count = np.bincount(row[owner[link]], minlength=len(chosen))
        place = np.arange(len(link)) - np.repeat(np.cumsum(count) - count, count)
        link = link[place < 150]
        owner = row[owner[link]]
        first_candidate, pt = flat(arrays["PFCands_pt"])
        index = first_candidate[link_event[link]] + flat(arrays[links[1]])[1][link]
        px, py, pz, energy = momenta(
            pt[index], *(flat(arrays[f"PFCands_{name}"])[1][index] for name in ("eta", "phi", "mass")))
        # By falling pt, ties in the reverse of their order.
        order = np.lexsort((-np.arange(len(index)), -np.sqrt(px * px + py * py), owner))
        index = index[order]
        offsets = np.concatenate([[0], np.cumsum(np.minimum(count, 150))])
        columns = {name: pa.array(flags[name][event[chosen]].astype(np.int64)) for name in events}
        columns |= {name: pa.array(jet[name][chosen].astype(np.float32)) for name in JETS}
        columns |= {name: lists(offsets, values[order]) for name, values in
                    (("px", px), ("py", py), ("pz", pz), ("E", energy))}
        for name in CANDIDATES:
            columns[name] = lists(offsets, flat(arrays[f"PFCands_{name}"])[1][index].astype(np.float32))
        rows += len(chosen)
        constituents += len(index)
        target.write(columns)
    target.close()
    return rows, constituents


def convert(work, path, output, processes, golden):
    begin = clock()
    os.makedirs(output)
    name = "tree" if work == "jetclass" else "Events"
    function = convert_jetclass if work == "jetclass" else convert_pfnano
    tree = uproot.open(path)[name]
    entries = tree.num_entries
    # Ranges begin where clusters do, where there are enough of these.
    borders = np.array(tree.common_entry_offsets() if processes > 1 else [0, entries])
    cuts = [int(borders[np.abs(borders - entries * n // processes).argmin()]) for n in range(processes + 1)]
    parts = [(path, f"{output}/{n:05}.parquet", cuts[n], cuts[n + 1], golden)
             for n in range(processes) if cuts[n] < cuts[n + 1]]
    if len(parts) > 1:
        with multiprocessing.Pool(len(parts)) as pool:
            done = pool.starmap(function, parts)
    else:
        done = [function(*part) for part in parts]
    took = seconds(begin)
    return {"jets": sum(rows for rows, _ in done), "constituents": sum(count for _, count in done),
            "bytes": sum(os.path.getsize(part[1]) for part in parts if os.path.exists(part[1])),
            # Of one process; that of others is not told here.
            "wall": took["wall"], "cpu": took["cpu"] if len(parts) == 1 else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["open", "read", "jetclass", "pfnano"])
    parser.add_argument("input")
    parser.add_argument("target", help="tree or directory")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--golden")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    golden = json.load(open(options.golden)) if options.golden else None
    if options.work in ("open", "read"):
        print(json.dumps(measure(options.work, options.input, options.target)))
    else:
        print(json.dumps(convert(options.work, options.input, options.target, options.processes, golden)))


if __name__ == "__main__":
    main()
