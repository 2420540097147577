#!/usr/bin/env python3
"""Measures opening, reading and converting ROOT files beside uproot, RDataFrame and the bare cost.

    Benchmarks/run --only root [--quick] [--jets N] [--events N] [--repeat N] [--only open|read|convert]
                              [--kinds K,...] [--without-root] [--results DIR] [--pando PATH]

All take turns on the same cores, so that a busy machine hits them alike; ratios are taken round by round. Prints tables and writes
bench-results/root.json. Needs Python with uproot, awkward and pyarrow; RDataFrame where scripts/setup bench found ROOT.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

from convert import measure, ours, spread, text

import root_inputs

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LABELS = {"ours": "pando", "uproot": "uproot", "rdataframe": "RDataFrame", "whole": "pando, all at once",
          "sliced": "pando, in slices"}


def rdataframe():
    """The Python with ROOT, or nothing."""
    python = f"{ROOT}/.venv-bench-root/bin/python"
    if not os.access(python, os.X_OK):
        return None
    found = subprocess.run([python, "-W", "ignore", "-c", "import ROOT"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return python if found.returncode == 0 else None


class Rounds:
    """What was measured of each in each round."""

    def __init__(self):
        self.rounds = []

    def values(self, name, key):
        return [found[name][key] for found in self.rounds]

    def ratios(self, name, over, key):
        return spread([a / b for a, b in zip(self.values(name, key), self.values(over, key))])

    def run(self, count, work):
        for number in range(count):
            names = list(work) if number % 2 == 0 else list(reversed(work))
            self.rounds.append({name: work[name]() for name in names})


def tree_of(kind):
    return "tree" if kind == "jetclass" else "Events"


def bench_root(pando, path, tree, core):
    report, _ = measure([pando, "bench", "root", path, "--tree", tree, "--repeat", "1", "--json"], [core])
    return report


def opening(pando, core, repeat):
    """Opens a file of 1,800 branches."""
    path = f"{root_inputs.data()}/root/public/pfnano.root"
    if not os.path.exists(path):
        return None
    rounds = Rounds()

    def own():
        found = bench_root(pando, path, "Events", core)["rounds"][0]
        return found["open"] | {"bare": found["bareOpen"]["cpu"]}

    def uproot():
        return measure([sys.executable, f"{HERE}/peer_root.py", "open", path, "Events"], [core])[0]["open"]

    rounds.run(repeat, {"ours": own, "uproot": uproot})
    print("\nopening a file of 1,802 branches: processor, ms")
    for name in ("ours", "uproot"):
        print(f"  {LABELS[name]:18} {text(spread([1e3 * value for value in rounds.values(name, 'cpu')]), '8.2f')}")
    print(f"  {'bare: its record':18} {text(spread([1e3 * value for value in rounds.values('ours', 'bare')]), '8.2f')}")
    ratio = rounds.ratios("uproot", "ours", "cpu")
    print(f"  uproot over pando: {text(ratio, '.1f')}", flush=True)
    return {"rounds": rounds.rounds, "uproot_over_ours": ratio}


def reading(pando, path, kind, core, repeat, python):
    """Reads all branches."""
    tree, sizes, rounds = tree_of(kind), {}, Rounds()

    def own():
        report = bench_root(pando, path, tree, core)
        sizes.update({key: report[key] for key in ("entries", "columns", "storedBytes", "decodedBytes", "valueBytes")})
        return report["rounds"][0]

    def uproot():
        return measure([sys.executable, f"{HERE}/peer_root.py", "read", path, tree], [core])[0]["read"]

    def frame():
        return measure([python, f"{HERE}/peer_rdataframe.py", "read", path, tree], [core])[0]

    rounds.run(repeat, {"ours": own, "uproot": uproot} | ({"rdataframe": frame} if python else {}))
    for found in rounds.rounds:
        for name in ("whole", "sliced"):
            bare = found["ours"][f"bare{name.capitalize()}"]
            found[name] = {"cpu": found["ours"][name]["cpu"], "bare": bare["decode"] + bare["copy"], "codec": bare["decode"],
                           "with_file": bare["read"] + bare["decode"] + bare["copy"]}
    print(f"\nreading {os.path.basename(path)}: {sizes['entries']:,} entries, {sizes['columns']} branches, "
          f"{sizes['storedBytes'] / 1e6:.0f} MB, {sizes['decodedBytes'] / 1e6:.0f} MB decompressed")
    print(f"{'':22}processor, ms                MB/s")
    report = {"file": os.path.basename(path), **sizes, "rounds": rounds.rounds}

    def line(label, seconds):
        values = spread([1e3 * value for value in seconds])
        print(f"  {label:20}{text(values, '7.0f'):28}{sizes['decodedBytes'] / 1e3 / values['median']:6.0f}")

    for name in ("whole", "sliced"):
        line(LABELS[name], rounds.values(name, "cpu"))
    line("  codec", rounds.values("whole", "codec"))
    for name in ("whole", "sliced"):
        line(f"  codec, copy {'new' if name == 'whole' else 'used'}", rounds.values(name, "bare"))
    for name in ("uproot", "rdataframe"):
        if name in rounds.rounds[0]:
            line(LABELS[name], rounds.values(name, "cpu"))
    for name in ("whole", "sliced"):
        bare = spread([found[name]["cpu"] / found[name]["bare"] for found in rounds.rounds])
        with_file = spread([found[name]["cpu"] / found[name]["with_file"] for found in rounds.rounds])
        peers = {peer: rounds.ratios(peer, name, "cpu") for peer in ("uproot", "rdataframe") if peer in rounds.rounds[0]}
        report[name] = {"over_bare": bare, "over_bare_with_file": with_file} | {f"{peer}_over_ours": ratio for peer, ratio in peers.items()}
        print(f"  {LABELS[name]}: " + ", ".join(f"{LABELS[peer]} {text(ratio, '.2f')} times" for peer, ratio in peers.items())
              + f"; over codec and copy {text(bare, '.2f')}, with reading from the file {text(with_file, '.2f')}")
    sys.stdout.flush()
    return report


def conversion(pando, path, kind, cores, repeat, python, work):
    """Converts a file, with the selection."""
    schema, output, rounds = kind.split("-")[0], f"{work}/out", Rounds()

    def peer(command):
        outcome, took = measure(command, cores)
        # Starting Python and importing is not counted.
        return took | {"with_start": took["wall"], "wall": outcome["wall"], "cpu": outcome["cpu"] or took["cpu"], "counts": [outcome["jets"], outcome["constituents"]],
                       "bytes": outcome["bytes"]}

    def own():
        outcome, took = ours(pando, path, output, cores, "--schema", schema)
        return took | {"counts": [outcome.get("jets", outcome.get("rows")), outcome["constituents"]]}

    def uproot():
        return peer([sys.executable, f"{HERE}/peer_root.py", schema, path, output, "--processes", str(len(cores))])

    def frame():
        return peer([python, f"{HERE}/peer_rdataframe.py", schema, path, output])

    def alone(function):
        def run():
            try:
                return function()
            finally:
                shutil.rmtree(output, ignore_errors=True)
        return run

    peers = {"ours": own, "uproot": uproot} | ({"rdataframe": frame} if python and len(cores) == 1 else {})
    rounds.run(repeat, {name: alone(function) for name, function in peers.items()})
    counts = {tuple(found["counts"]) for one in rounds.rounds for found in one.values()}
    if len(counts) != 1:
        raise SystemExit(f"jets and constituents differ: {rounds.rounds}")
    jets, constituents = counts.pop()
    report = {"file": os.path.basename(path), "cores": len(cores), "jets": jets, "constituents": constituents,
              "rounds": rounds.rounds}
    print(f"\nconverting {os.path.basename(path)}: {jets:,} jets, {constituents:,} constituents; {len(cores)} "
          f"core{'s' if len(cores) > 1 else ''}\n{'':14}wall, s                   processor, s              peak MB  written MB")
    for name in peers:
        found = rounds.rounds[0][name]
        print(f"  {LABELS[name]:12}{text(spread(rounds.values(name, 'wall')), '6.2f'):26}"
              f"{text(spread(rounds.values(name, 'cpu')), '6.2f'):26}"
              f"{max(rounds.values(name, 'peak_bytes')) / 1e6:7.0f}{found['bytes'] / 1e6:12.1f}")
    for name in peers:
        if name != "ours":
            wall, cpu = (rounds.ratios(name, "ours", key) for key in ("wall", "cpu"))
            report[f"{name}_over_ours"] = {"wall": wall, "cpu": cpu}
            print(f"  {LABELS[name]} over pando: wall {text(wall, '.2f')}, processor {text(cpu, '.2f')}")
    if len(cores) == 1:
        bare, _ = measure([pando, "bench", "convert", path, "--schema", schema, "--threads", "1", "--repeat", str(repeat),
                           "--directory", work, "--json"], cores)
        report["bare"] = bare
        print(f"  over the bare cost (processor): {text(bare['ratio']['cpu'], '.2f')}: {bare['whole']['cpu']['median']:.2f} s, baskets "
              f"{bare['inflate']['cpu']['median']:.2f} s, compressing {bare['compress']['cpu']['median']:.2f} s")
    sys.stdout.flush()
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="5,000 jets, 1,000 events, one round")
    parser.add_argument("--only", choices=["open", "read", "convert"])
    parser.add_argument("--kinds", default=",".join(root_inputs.CODECS), help="some of these, separated by commas")
    parser.add_argument("--without-root", action="store_true", help="no RDataFrame, and inputs written by uproot")
    parser.add_argument("--results", default=f"{ROOT}/bench-results", help="where root.json and the inputs go")
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    options = parser.parse_args()
    if not os.access(options.pando, os.X_OK):
        raise SystemExit(f"{options.pando}: not there; run 'swift build -c release --product pando'")
    if options.quick:
        options.jets, options.events, options.repeat = 5_000, 1_000, 1
    kinds = [kind for kind in options.kinds.split(",") if root_inputs.available(kind)]
    if not kinds:
        print(f"no ROOT files to measure with in {root_inputs.data()} (PANDO_DATA)")
        return
    python, cores = None if options.without_root else rdataframe(), sorted(os.sched_getaffinity(0))
    if not python:
        print("no ROOT (scripts/setup bench), so no RDataFrame")
    os.makedirs(options.results, exist_ok=True)
    report = {"cores": len(cores), "read": [], "convert": []}
    if options.only in (None, "open"):
        report["open"] = opening(options.pando, cores[0], options.repeat)
    with tempfile.TemporaryDirectory(dir=options.results) as work:
        for kind in kinds:
            path, report["writer"] = root_inputs.get(
                options.results, kind, options.jets if kind == "jetclass" else options.events, python)
            if options.only in (None, "read"):
                report["read"].append(reading(options.pando, path, kind, cores[0], options.repeat, python))
            if options.only in (None, "convert"):
                for count in sorted({1, len(cores)}):
                    report["convert"].append(
                        conversion(options.pando, path, kind, cores[:count], options.repeat, python, work))
    with open(f"{options.results}/root.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\n{os.path.relpath(options.results, ROOT)}/root.json")


if __name__ == "__main__":
    main()
