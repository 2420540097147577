#!/usr/bin/env python3
"""Measures W1, KL and their uncertainties beside SciPy and NumPy.

    Benchmarks/run --only metrics [--quick] [--entries N] [--bootstrap-entries N] [--repeat N] [--results DIR] [--pando PATH]

All take turns on the same cores, so that a busy machine hits them alike; ratios are taken round by round. Values are compared before
times are printed. Prints tables and writes bench-results/metrics.json. Needs Python with numpy and scipy.
"""
import argparse
import json
import os
import sys
import tempfile

import numpy as np

from convert import measure, spread, text

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
REPLICAS = 200


def write(folder, entries, kind):
    """Two samples, as float64 in files."""
    random = np.random.default_rng(7)
    for name, shift, width in (("generated", 0.02, 1.05), ("reference", 0.0, 1.0)):
        values = random.normal(shift, width, entries)
        if kind == "float32":
            values = values.astype("f4").astype("f8")
        if kind == "whole":
            values = np.round(40 + 12 * values)
        values.astype("<f8").tofile(f"{folder}/{name}")
    return f"{folder}/generated", f"{folder}/reference"


def ours(pando, files, cores, replicas):
    report, _ = measure([pando, "bench", "metrics", *files, "--threads", str(len(cores)), "--repeat", "1", "--replicas",
                         str(replicas), "--json"], cores)
    return report


def peer(files, cores, what):
    return measure([sys.executable, f"{HERE}/peer_metrics.py", what, *files, str(REPLICAS), str(len(cores))], cores)[0]


def agree(name, found, expected, relative):
    if abs(found - expected) > relative * abs(expected):
        raise SystemExit(f"{name} differs: {found}, {expected}")


def compare(pando, files, cores, repeat, label):
    """W1 and KL of samples in memory, in no order."""
    rounds = []
    for number in range(repeat):
        def own():
            return ours(pando, files, cores, 0)

        def scipy():
            return peer(files, cores, "metrics")

        order = (own, scipy) if number % 2 == 0 else (scipy, own)
        found = {function.__name__: function() for function in order}
        for metric, relative in (("w1", 1e-10), ("kl", 1e-9)):
            agree(metric, found["own"]["values"][metric], found["scipy"]["values"][metric], relative)
        rounds.append(found)
    report = {"samples": label, "cores": len(cores), "rounds": rounds}
    return report | show(label, cores, rounds, "scipy", (("W1", "wasserstein", "w1"), ("KL", "sortedKL", "kl")), "8.0f")


def show(label, cores, rounds, other, lines, form):
    """Prints a table; returns the ratios."""
    print(f"\n{label}, {len(cores)} core{'s' if len(cores) > 1 else ''}: median of {len(rounds)} (least to most), ms")
    report = {}
    for title, key, theirs in lines:
        for clock, name in (("wall", "wall"), ("cpu", "processor")):
            mine = [found["own"]["rounds"][0][key][clock] for found in rounds]
            peers = [found[other]["seconds"][theirs][clock] for found in rounds]
            ratio = spread([b / a for a, b in zip(mine, peers)])
            report.setdefault(f"{theirs}_peer_over_ours", {})[clock] = ratio
            print(f"  {title} {name:10} pando {text(spread([1e3 * value for value in mine]), form):32} peer "
                  f"{text(spread([1e3 * value for value in peers]), '8.0f'):32} ratio {text(ratio, '.1f')}")
    sys.stdout.flush()
    return report


def bootstrap(pando, files, cores, repeat, label):
    """Uncertainties by 200 replicas."""
    rounds = []
    for _ in range(repeat):
        found = {"own": ours(pando, files, cores, REPLICAS), "numpy": peer(files, cores, "bootstrap")}
        for metric in ("w1", "kl"):
            # Both draw: of 200 replicas the width is known to 6%.
            agree(f"error of {metric}", found["own"]["errors"][metric], found["numpy"]["errors"][metric], 0.4)
        rounds.append(found)
    report = {"samples": label, "cores": len(cores), "rounds": rounds}
    lines = (("W1", "bootstrapDistances", "w1"), ("KL", "bootstrapKL", "kl"))
    return report | show(f"{REPLICAS} replicas of {label}", cores, rounds, "numpy", lines, "8.2f")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--bootstrap-entries", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="200,000 entries, 5,000 for replicas, one round")
    parser.add_argument("--results", default=f"{ROOT}/bench-results")
    parser.add_argument("--pando", default=os.environ.get("PANDO_BINARY", f"{ROOT}/.build/release/pando"))
    options = parser.parse_args()
    if options.quick:
        options.entries, options.bootstrap_entries, options.repeat = 200_000, 5_000, 1
    available = sorted(os.sched_getaffinity(0))
    choices = [available[:1]] + ([available[:2]] if len(available) > 1 else [])
    report = {"metrics": [], "bootstrap": []}
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in (("float64", "float64"), ("float32", "float32 as float64"), ("whole", "whole numbers")):
            files = write(folder, options.entries, kind)
            for cores in choices:
                label = f"2 samples of {options.entries:,} entries, {name}"
                report["metrics"].append(compare(options.pando, files, cores, options.repeat, label))
        files = write(folder, options.bootstrap_entries, "float64")
        for cores in choices:
            label = f"2 samples of {options.bootstrap_entries:,} entries"
            report["bootstrap"].append(bootstrap(options.pando, files, cores, 1 if options.quick else options.repeat, label))
    os.makedirs(options.results, exist_ok=True)
    with open(f"{options.results}/metrics.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\n{os.path.relpath(options.results, ROOT)}/metrics.json")


if __name__ == "__main__":
    main()
