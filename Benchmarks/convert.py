#!/usr/bin/env python3
"""Measures `pando convert` beside the same work in Python, and beside its own bare cost.

    Benchmarks/run [--quick] [--memory] [--jets N] [--repeat N] [--input FILE.h5] [--pando PATH]

Both are run in turn on the same cores, so that a busy machine hits them alike; ratios are taken pair by pair. Prints
tables and writes bench-results/convert.json. Needs Python with h5py, numpy and pyarrow.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)
import inputs  # noqa: E402


def measure(command, cores):
    """Runs a command on some cores; returns its JSON and what it took."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, cores))
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return json.loads(text), {
        "wall": time.perf_counter() - begin, "cpu": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024}


def ours(pando, source, output, cores, *options):
    outcome, took = measure(
        [pando, "convert", source, output, "--threads", str(len(cores)), "--quiet", "--json", *options], cores)
    return outcome, took | {"bytes": outcome["bytes"]}


def peer(source, output, cores):
    outcome, took = measure(
        [sys.executable, f"{HERE}/peer_convert.py", source, output, "--processes", str(len(cores))], cores)
    # Starting Python and importing takes half a second that a large conversion does not see: it is not counted.
    return outcome, took | {"with_start": took["wall"], "wall": outcome["seconds"], "bytes": outcome["bytes"]}


def spread(values):
    return {"median": statistics.median(values), "minimum": min(values), "maximum": max(values)}


def text(values, form):
    return f"{values['median']:{form}} ({values['minimum']:{form}} to {values['maximum']:{form}})"


def compare(pando, source, work, cores, repeat):
    """Both converters in turn on the same cores."""
    rounds = []
    for number in range(repeat):
        output = f"{work}/out.pando"
        results = {}
        for name in ("ours", "peer") if number % 2 == 0 else ("peer", "ours"):
            outcome, results[name] = (
                ours(pando, source, output, cores) if name == "ours" else peer(source, output, cores))
            results[name]["counts"] = [outcome.get("jets", outcome.get("rows")), outcome["constituents"]]
            shutil.rmtree(output)
        if results["ours"]["counts"] != results["peer"]["counts"]:
            raise SystemExit(f"jets and constituents differ: {results}")
        rounds.append(results)
    report = {"cores": len(cores), "rounds": rounds}
    for name in ("ours", "peer"):
        for key in ("wall", "cpu"):
            report[f"{name}_{key}"] = spread([r[name][key] for r in rounds])
        report[f"{name}_peak_bytes"] = max(r[name]["peak_bytes"] for r in rounds)
        report[f"{name}_bytes"] = rounds[0][name]["bytes"]
    for key in ("wall", "cpu"):
        report[f"{key}_ratio"] = spread([r["peer"][key] / r["ours"][key] for r in rounds])
    return report


def show_comparison(report):
    print(f"\n{report['cores']} core{'s' if report['cores'] > 1 else ''}"
          "            wall, s                   processor, s              peak MB    written MB")
    for name, label in (("ours", "pando"), ("peer", "Python")):
        print(f"  {label:8}  {text(report[name + '_wall'], '7.3f'):26} {text(report[name + '_cpu'], '7.3f'):26}"
              f"{report[name + '_peak_bytes'] / 1e6:8.0f} {report[name + '_bytes'] / 1e6:13.1f}")
    print(f"  Python over pando: wall {text(report['wall_ratio'], '.2f')}, "
          f"processor {text(report['cpu_ratio'], '.2f')}")


def memory(pando, work, cores, sizes):
    """Peak memory against the number of jets, for the usual chunks and for tall ones."""
    series = []
    for chunks in (None, (15625, 5, 1)):
        for jets in sizes if chunks is None else sizes[1:2]:
            source = inputs.get(ROOT, jets, chunks)
            output = f"{work}/out.pando"
            outcome, took = ours(pando, source, output, cores)
            shutil.rmtree(output)
            entry = {"jets": jets, "chunks": chunks or "as AspenOpenJets", "threads": len(cores),
                     "input_bytes": outcome["inputBytes"], "ratio": outcome["ratio"], **took}
            series.append(entry)
            print(f"  {jets:9,} jets, chunks {str(entry['chunks']):18} {len(cores)} threads: "
                  f"peak {took['peak_bytes'] / 1e6:6.0f} MB, {took['wall']:6.2f} s, "
                  f"size {outcome['ratio']:.3f} of the input", flush=True)
    return series


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=120_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 jets, two rounds")
    parser.add_argument("--memory", action="store_true", help="only peak memory with 10,000 to 1,000,000 jets")
    parser.add_argument("--input", help="measure with this file")
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    options = parser.parse_args()
    if not os.access(options.pando, os.X_OK):
        raise SystemExit(f"{options.pando}: not there; run 'swift build -c release --product pando'")
    if options.quick:
        options.jets, options.repeat = min(options.jets, 20_000), min(options.repeat, 2)
    cores = sorted(os.sched_getaffinity(0))
    results = f"{ROOT}/bench-results"
    os.makedirs(results, exist_ok=True)
    report = {"cores": len(cores)}
    with tempfile.TemporaryDirectory(dir=results) as work:
        if options.memory:
            sizes = [10_000, 100_000] if options.quick else [10_000, 100_000, 1_000_000]
            report["memory"] = memory(options.pando, work, cores, sizes)
        else:
            source = options.input or inputs.get(ROOT, options.jets)
            report["input"] = {"name": os.path.basename(source), "bytes": os.path.getsize(source)}
            bare, _ = measure(
                [options.pando, "bench", "convert", source, "--threads", "1", "--repeat", str(options.repeat),
                 "--directory", work, "--json"], cores[:1])
            report["bare"] = bare
            print(f"{bare['jets']:,} jets, {bare['constituents']:,} constituents, {bare['inputBytes'] / 1e6:.1f} MB to "
                  f"{bare['bytes'] / 1e6:.1f} MB ({bare['sizeRatio']:.3f})\n\n1 core, processor seconds")
            for name in ("inflate", "compress", "whole"):
                print(f"  {name:9} {text(bare[name]['cpu'], '7.3f')}")
            whole = bare["whole"]["cpu"]["median"]
            print("  of it: " + ", ".join(
                f"{name} {100 * bare['stages'][name]['cpu']['median'] / whole:.1f}%"
                for name in sorted(bare["stages"], key=lambda name: -bare["stages"][name]["cpu"]["median"])))
            print(f"  whole over inflate and compress: {text(bare['ratio']['cpu'], '.2f')}", flush=True)
            report["peer"] = []
            for count in sorted({1, len(cores)}):
                report["peer"].append(compare(options.pando, source, work, cores[:count], options.repeat))
                show_comparison(report["peer"][-1])
                sys.stdout.flush()
    name = "convert-memory.json" if options.memory else "convert.json"
    with open(f"{results}/{name}", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\nbench-results/{name}")


if __name__ == "__main__":
    main()
