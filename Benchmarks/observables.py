#!/usr/bin/env python3
"""Measures observables of jets beside fastjet with awkward in Python, and beside FastJet's bare clustering.

    Benchmarks/run --only observables [--quick] [--jets N] [--peer-jets N] [--repeat N] [--results DIR] [--pando PATH]

The two take turns on the same cores, so that a busy machine hits them alike; ratios are of time a jet, round by round. That both come to the
same numbers is looked at first. Prints a table and writes bench-results/observables.json. Needs Python with fastjet, awkward and vector.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np

from convert import HERE, ROOT, inputs, measure, spread, text


def peer_input(source, jets, path):
    """Momenta without padding, for Python: what it takes to read them is not counted."""
    with h5py.File(source, "r") as file:
        padded = file["PFCands"][:jets, :, :4]
    there = padded[..., 3] > 0
    np.savez(path, counts=there.sum(axis=1), momenta=padded[there])


def peer(arrays, what, cores):
    command = [sys.executable, f"{HERE}/peer_observables.py", arrays, "--what", what, "--processes", str(len(cores))]
    found, _ = measure(command, cores)
    return {key: found[key] / found["jets"] for key in ("wall", "cpu")}


def ours(pando, dataset, groups, cores):
    command = [pando, "bench", "observables", dataset, "--groups", groups, "--threads", str(len(cores)), "--repeat", "1", "--json"]
    found, _ = measure(command, cores)
    one = found["rounds"][0]
    took = {name: {key: one[name][key] / found["jets"] for key in ("wall", "cpu")} for name in ("whole", "reading", "bareClustering")}
    return took | {"jets": found["jets"], "constituents": found["constituents"], "observables": len(found["observables"])}


def compare(pando, dataset, arrays, folder):
    """The largest difference of each observable, of the jets that both have."""
    table, found = f"{folder}/ours.csv", f"{folder}/peer.npz"
    command = [pando, "bench", "observables", dataset, "--groups", "original,groomed", "--repeat", "1", "--json", "--write", table]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    own, worst = np.genfromtxt(table, delimiter=",", names=True), {}
    for what in ("original", "groomed"):
        command = [sys.executable, f"{HERE}/peer_observables.py", arrays, "--what", what, "--write", found]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with np.load(found) as other:
            for name in other.files:
                a, b = own[name][: len(other[name])], other[name]
                is_defined = np.isfinite(a) & np.isfinite(b)
                worst[name] = float(np.max(np.abs(a - b)[is_defined] / np.maximum(1, np.abs(b[is_defined])), initial=0))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="does it run, not how fast")
    parser.add_argument("--jets", type=int, default=100_000)
    parser.add_argument("--peer-jets", type=int, default=20_000, help="jets that Python observes, of these")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--results", default=f"{ROOT}/bench-results", help="where observables.json goes")
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    options = parser.parse_args()
    if not os.access(options.pando, os.X_OK):
        raise SystemExit(f"{options.pando}: not there; run 'swift build -c release --product pando'")
    if options.quick:
        options.jets, options.peer_jets, options.repeat = 3_000, 1_000, 1
    try:
        import fastjet  # noqa: F401
    except ImportError:
        print("no fastjet in this Python (scripts/setup python), so nothing to measure beside")
        return
    source, all_cores = inputs.get(ROOT, options.jets), sorted(os.sched_getaffinity(0))
    os.makedirs(options.results, exist_ok=True)
    report = {"cores": []}
    with tempfile.TemporaryDirectory(dir=options.results) as folder:
        dataset, arrays = f"{folder}/jets.pando", f"{folder}/jets.npz"
        subprocess.run([options.pando, "convert", "--quiet", source, dataset], check=True)
        peer_input(source, min(options.peer_jets, options.jets), arrays)
        report["differences"] = compare(options.pando, dataset, arrays, folder)
        print(f"largest relative difference of {len(report['differences'])} observables: {max(report['differences'].values()):.1e}")
        for cores in [all_cores[:1]] + ([all_cores] if len(all_cores) > 1 else []):
            rounds = []
            for number in range(options.repeat):
                work = {
                    "ours": lambda: ours(options.pando, dataset, "original", cores),
                    "all": lambda: ours(options.pando, dataset, "all", cores),
                    "python": lambda: peer(arrays, "original", cores),
                    "clustering": lambda: peer(arrays, "clustering", cores),
                }
                names = list(work) if number % 2 == 0 else list(reversed(work))
                rounds.append({name: work[name]() for name in names})
            report["cores"].append(show(rounds, len(cores)))
    with open(f"{options.results}/observables.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\n{os.path.relpath(options.results, ROOT)}/observables.json")


def show(rounds, cores):
    first = rounds[0]["ours"]
    print(f"\n{first['jets']:,} jets of {first['constituents'] / first['jets']:.1f} constituents, {cores} core{'s' if cores > 1 else ''}")
    print(f"{'microseconds a jet':40}processor                     wall")

    def line(label, pick):
        cells = [text(spread([1e6 * pick(one)[key] for one in rounds]), ".1f") for key in ("cpu", "wall")]
        print(f"  {label:38}{cells[0]:30}{cells[1]}")

    line(f"pando, {first['observables']} observables, with reading", lambda one: one["ours"]["whole"])
    line("  reading alone", lambda one: one["ours"]["reading"])
    line(f"pando, all {rounds[0]['all']['observables']} observables", lambda one: one["all"]["whole"])
    line("bare: FastJet, kT once (1 thread)", lambda one: one["ours"]["bareClustering"])
    line("Python: fastjet, kT once", lambda one: one["clustering"])
    line("Python: the original's observables", lambda one: one["python"])
    ratios = {key: spread([one["python"][key] / one["ours"]["whole"][key] for one in rounds]) for key in ("cpu", "wall")}
    bare = spread([one["ours"]["whole"]["cpu"] / one["ours"]["bareClustering"]["cpu"] for one in rounds])
    print(f"  Python over pando: processor {text(ratios['cpu'], '.1f')}, wall {text(ratios['wall'], '.1f')}")
    print(f"  pando over FastJet's bare clustering: {text(bare, '.2f')}", flush=True)
    return {"cores": cores, "rounds": rounds, "python_over_ours": ratios, "ours_over_bare": bare}


if __name__ == "__main__":
    main()
