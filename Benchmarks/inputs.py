"""Makes large AspenOpenJets files to measure with, once: they are kept in bench-results/inputs."""
import os
import subprocess
import sys

import h5py
import numpy as np

ROWS = 5000


def get(root, jets, chunks=None):
    """The path of a file of so many jets; `chunks` of PFCands if not those of the published files."""
    directory = f"{root}/bench-results/inputs"
    os.makedirs(directory, exist_ok=True)
    usual = f"{directory}/aoj-{jets}.h5"
    if not os.path.exists(usual):
        print(f"making {jets:,} jets", file=sys.stderr, flush=True)
        make(root, jets, usual)
    if chunks is None:
        return usual
    path = f"{directory}/aoj-{jets}-{'x'.join(map(str, chunks))}.h5"
    if not os.path.exists(path):
        print(f"writing them in chunks of {chunks}", file=sys.stderr, flush=True)
        rechunk(usual, path, chunks)
    return path


def make(root, jets, path):
    simulate = f"{root}/../shared/tools/simulate/enlarge.py"
    seed = f"{root}/../shared/data/h5/aoj_small.h5"
    partial = path + ".tmp"
    if os.path.exists(simulate) and os.path.exists(seed):
        subprocess.run(
            [sys.executable, simulate, "aoj", seed, "--jets", str(jets), "--seed", "1", "--out", partial], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        tile(f"{root}/samples/aoj_sample.h5", jets, partial)
    os.rename(partial, path)


def tile(source, jets, path):
    """Repeats the jets of a small file in random order: good for speed and memory; sizes come out a little too small."""
    random = np.random.default_rng(1)
    with h5py.File(source, "r") as small:
        columns = {name: small[name][:] for name in small}
    rows = len(columns["PFCands"])
    with h5py.File(path, "w") as large:
        for first in range(0, jets, ROWS):
            count = min(ROWS, jets - first)
            chosen = random.integers(rows, size=count)
            for name, values in columns.items():
                block = values[chosen]
                if first == 0:
                    compression = "gzip" if values.dtype.kind == "f" else None
                    large.create_dataset(
                        name, data=block, chunks=True, maxshape=(None, *values.shape[1:]), compression=compression)
                else:
                    large[name].resize(first + count, axis=0)
                    large[name][first:] = block


def rechunk(source, path, chunks):
    """Copies a file with other chunks of PFCands, as merged files have them."""
    with h5py.File(source, "r") as old, h5py.File(path + ".tmp", "w", rdcc_nbytes=1 << 30) as new:
        for name in old:
            values = old[name]
            rows = len(values)
            shape = (min(chunks[0], rows), *chunks[1:]) if name == "PFCands" else True
            copy = new.create_dataset(
                name, shape=values.shape, dtype=values.dtype, chunks=shape, maxshape=(None, *values.shape[1:]),
                compression=values.compression)
            for first in range(0, rows, chunks[0]):
                copy[first:first + chunks[0]] = values[first:first + chunks[0]]
    os.rename(path + ".tmp", path)
