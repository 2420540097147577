#!/usr/bin/env python3
"""Measures loading pairs of input and target tokens: shuffled batches of 256 jets of 50 random codes.

    Benchmarks/tokens.py [--jets 200000] [--threads 1] [--repeat 3]

Prints jets a second of the first epoch and of the later ones, which find the record batches in memory.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODES, SLOTS = 8192, 50
SCHEMA = {
    "name": "tokens", "description": "jets as codes of a tokenizer", "format": "hdf5",
    "datasets": [
        # Tells constituents from padding; it is not loaded.
        {"path": "weight", "type": "float32", "role": "constituent", "columns": [{"name": "weight"}]},
        {"path": "token", "type": "int16", "role": "constituent", "columns": [{"name": "token"}]},
    ],
}


def make(folder, jets):
    """A dataset of random codes."""
    codes = np.random.default_rng(0).integers(0, CODES, (jets, SLOTS, 1), np.int16)
    with h5py.File(folder / "tokens.h5", "w") as file:
        file.create_dataset("weight", data=np.ones((jets, SLOTS, 1), np.float32), chunks=(1024, SLOTS, 1), compression=1)
        file.create_dataset("token", data=codes, chunks=(1024, SLOTS, 1), compression=1)
    (folder / "schema.json").write_text(json.dumps(SCHEMA))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    options = parser.parse_args()
    cores = set(sorted(os.sched_getaffinity(0))[: options.threads])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder, options.jets)
        schema, path = folder / "schema.json", folder / "tokens.pando"
        subprocess.run([options.pando, "convert", "--quiet", folder / "tokens.h5", path, "--schema", schema], check=True)
        command = [options.pando, "bench", "loader", path, "--tokens", "token", "--codebook", str(CODES), "--epochs", "4",
                   "--threads", str(options.threads), "--json"]
        first, later = [], []
        for _ in range(options.repeat):
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
            rates = json.loads(done.stdout)["jetsPerSecondOfEpochs"]
            first.append(rates[0])
            later += rates[1:]
    for label, rates in (("first epoch", first), ("later epochs", later)):
        print(f"{label}: {statistics.median(rates):,.0f} jets/s ({min(rates):,.0f} to {max(rates):,.0f}), "
              f"{options.jets:,} jets, {options.threads} thread{'s' * (options.threads > 1)}")


if __name__ == "__main__":
    main()
