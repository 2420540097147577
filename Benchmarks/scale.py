#!/usr/bin/env python3
"""Runs what comes before the data at the full size: 180 million jets, 4,000 inputs, 500 shards, 44,000 record batches.

    Benchmarks/run --only scale [--quick] [--record-batches 44000] [--tasks 100] [--repeat 3] [--constants]

The shards are sparse files: catalogue, index, heads and footers are as a conversion in tasks leaves them, of the record batches
only those that `inspect` looks at have bytes. Each step runs in a process of its own; memory is its largest resident set.
What must hold is checked: each jet comes exactly once over all ranks, and what resuming gives is what was left.
--constants also measures what a jet costs to convert, to load and to verify, on real files (docs/scale.md).
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent


def measured(command, output=None):
    """Runs a command: seconds, processor seconds, bytes of memory; what it printed."""
    with open(output or os.devnull, "w+b") if output else tempfile.TemporaryFile() as printed:
        start = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))[:200]} ended with {process.returncode}: {text[-2000:].decode(errors='replace')}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}, text


def middle(rounds):
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def seeds(options, folder, jets):
    """Real datasets whose record batches have the lengths that come out."""
    sample = ROOT / "samples/aoj_sample.h5" if options.quick else inputs.get(str(ROOT), 10_000)
    few = jets // options.record_batches
    paths = []
    for rows in sorted({few, math.ceil(jets / options.record_batches)}):
        path = folder / f"seed-{rows}.pando"
        subprocess.run([options.pando, "convert", "--quiet", sample, path, "--limit", str(2 * rows), "--batch-rows", str(rows)],
                       check=True)
        paths.append(str(path))
    return paths


def catalogue(options, folder):
    """Makes the tasks' datasets, and measures what is done with them."""
    config = {"jets": options.jets, "inputs": options.inputs, "tasks": options.tasks, "shards": options.shards,
              "batches": options.record_batches, "stride": max(1, options.record_batches // 16),
              "seeds": seeds(options, folder, options.jets), "directory": str(folder)}
    (folder / "make.json").write_text(json.dumps(config))
    times, text = measured([options.probe, "make", folder / "make.json"])
    made = json.loads(text)
    assert made["rows"] == options.jets and made["batches"] == options.record_batches, made
    tasks = sorted(folder.glob("task-*"))
    report = {"jets": options.jets, "inputs": options.inputs, "shards": options.shards, "tasks": options.tasks,
              "recordBatches": options.record_batches, "shardBytes": made["shardBytes"], "make": times, "steps": {},
              "taskCatalogueBytes": (tasks[0] / "dataset.json").stat().st_size}
    whole = folder / "whole.pando"

    def step(name, command, output=None, before=lambda: None):
        rounds, text = [], b""
        for _ in range(options.repeat):
            before()
            times, text = measured(command, output)
            rounds.append(times)
        report["steps"][name] = {**middle(rounds), "rounds": rounds}
        return text

    step("index", [options.pando, "index", "--quiet", *tasks, "--into", whole],
         before=lambda: shutil.rmtree(whole, ignore_errors=True))
    report["catalogueBytes"] = (whole / "dataset.json").stat().st_size
    report["indexBytes"] = (whole / "index.arrow").stat().st_size
    opened = json.loads(step("open", [options.probe, "open", whole]))
    expected = {"rows": options.jets, "batches": options.record_batches, "shards": options.shards, "inputs": options.inputs}
    assert opened == expected, opened
    shown = step("inspect", [options.pando, "inspect", whole]).decode()
    assert f"{options.jets:,} jets" in shown, shown
    summary = json.loads(step("inspect --json", [options.pando, "inspect", "--json", whole], folder / "inspect.json"))
    assert summary["rows"] == options.jets and summary["problems"] == [] and len(summary["inputs"]) == options.inputs
    # Each task took its part of each input.
    assert all((one["firstRow"], one["rowsTaken"]) == (0, one["rows"]) for one in summary["inputs"])
    report["inspectBytes"] = (folder / "inspect.json").stat().st_size
    return report, whole


def ranks(options, folder, whole, report):
    """All ranks' plans of an epoch, counted row by row; going on in the middle, in the same process and in others."""
    config = {"dataset": str(whole), "batchSize": options.batch_size, "streams": options.ranks, "window": options.window,
              "worldSize": options.ranks, "otherWorldSize": options.ranks // 2, "seed": 5,
              "step": options.jets // options.batch_size // 2}
    (folder / "ranks.json").write_text(json.dumps(config))
    times, text = measured([options.probe, "ranks", folder / "ranks.json"])
    found = json.loads(text)
    assert found["seen"] == options.jets and found["repeated"] == 0, "not each jet once"
    assert found["steps"] == [found["stepsPerEpoch"]] == [math.ceil(options.jets / options.batch_size)], found["steps"]
    assert found["resumed"] == options.ranks, f"{found['resumed']} of {options.ranks} ranks went on as they had been"
    assert found["sameBatch"], "another world makes another global batch"
    tails = found.pop("tail")
    report["ranks"] = {**found, **times, "batchSize": options.batch_size, "window": options.window, "processes": []}
    for rank in sorted({0, options.ranks // 3, options.ranks - 1}):
        times, text = measured([options.probe, "resume", folder / "ranks.json", rank])
        resumed = json.loads(text)
        assert resumed.pop("tail") == tails[rank], f"rank {rank} went on with other rows"
        report["ranks"]["processes"].append({"rank": rank, **resumed, **times})


def constants(options, folder):
    """What a jet costs, by the tool on real files."""
    source = ROOT / "samples/aoj_sample.h5" if options.quick else pathlib.Path(inputs.get(str(ROOT), options.jets // options.inputs))
    path, found = folder / "real.pando", {}

    def rounds(command, before=lambda: None):
        times = []
        for _ in range(options.repeat):
            before()
            one, text = measured(command)
            times.append(one)
        return {**middle(times), "text": text}

    convert = rounds([options.pando, "convert", "--quiet", "--threads", "1", source, path],
                     before=lambda: shutil.rmtree(path, ignore_errors=True))
    summary = json.loads(measured([options.pando, "inspect", "--json", path])[1])
    jets = summary["rows"]
    found["jets"], found["constituents"] = jets, summary["meanConstituents"]
    found["hdf5BytesPerJet"] = source.stat().st_size / jets
    found["bytesPerJet"] = summary["bytes"]["shards"] / jets
    found["parityBytesPerJet"] = summary["bytes"]["parity"] / jets
    for name, command in (("verify", ["verify", "--quiet", path]), ("lossless", ["verify", "--lossless", "--quiet", path])):
        found[f"{name}CpuPerMillionJets"] = rounds([options.pando, *command])["cpu"] / jets * 1e6
    found["convertCpuPerMillionJets"] = convert["cpu"] / jets * 1e6
    found["convertMemory"] = convert["memory"]
    load = [options.pando, "bench", "loader", "--features", "pt,eta_rel,phi_rel", "--threads", "1", "--json"]
    one, three = rounds([*load, path, "--epochs", "1"]), rounds([*load, path, "--epochs", "3"])
    loaded = json.loads(one["text"])
    found["loadCpuPerMillionJets"] = one["cpu"] / loaded["jets"] * 1e6
    found["laterLoadCpuPerMillionJets"] = (three["cpu"] - one["cpu"]) / 2 / loaded["jets"] * 1e6
    found["loadedBytesPerJet"] = loaded["storedBytes"] / jets
    found["decodedBytesPerJet"] = loaded["decodedBytes"] / jets
    # More record batches than the windows hold, so that the first batch takes what it takes at any size.
    many = folder / "many.pando"
    subprocess.run([options.pando, "index", "--quiet", *[path] * 40, "--into", many], check=True)
    loaded = json.loads(rounds([*load, many])["text"])
    found["manyJets"], found["secondsToFirstBatch"] = loaded["jets"], loaded["secondsToFirstBatch"]
    found["loaderMemory"] = loaded["peakMemory"] - loaded["fileMemory"]
    found["loaderMemoryBound"] = loaded["memoryBound"]
    found.update(tasks(options, folder, source, jets))
    return found


def tasks(options, folder, source, jets):
    """What a task of an array costs: a part that it pays once, and one for each input, of which it takes as many jets as at full size."""
    share = max(1, options.jets // options.inputs // options.tasks)
    spent = []
    counts = (10, 30) if options.quick else (100, 300)
    for count in counts:
        links = folder / f"links-{count}"
        links.mkdir()
        for number in range(count):
            (links / f"{number:04}.h5").symlink_to(source)
        rounds = []
        for _ in range(options.repeat):
            made = folder / f"part-of-{count}.pando"
            shutil.rmtree(made, ignore_errors=True)
            rounds.append(measured([options.pando, "convert", "--quiet", "--threads", "1", "--task", f"1/{jets // share}",
                                    *sorted(links.iterdir()), made])[0])
        spent.append(middle(rounds))
    each = (spent[1]["cpu"] - spent[0]["cpu"]) / (counts[1] - counts[0])
    return {"taskJetsPerInput": share, "taskCpuPerInput": each, "taskCpuOnce": spent[0]["cpu"] - counts[0] * each,
            "taskMemory": spent[1]["memory"]}


def show(report):
    print(f"{report['jets']:,} jets of {report['inputs']:,} inputs in {report['recordBatches']:,} record batches, "
          f"{report['shards']:,} shards ({report['shardBytes'] / 1e9:.0f} GB), {report['tasks']} tasks")
    print(f"dataset.json {report['catalogueBytes'] / 1e6:.1f} MB (of a task {report['taskCatalogueBytes'] / 1e6:.1f}), "
          f"index.arrow {report['indexBytes'] / 1e6:.1f} MB, inspect --json {report['inspectBytes'] / 1e6:.1f} MB")
    for name, one in report["steps"].items():
        print(f"  {name:15} {one['seconds']:8.2f} s  {one['cpu']:8.2f} s of processors  {one['memory'] / 1e6:8.0f} MB")
    found = report["ranks"]
    print(f"  {found['ranks']} ranks, batches of {found['batchSize']:,}, window {found['window']}: "
          f"{found['seen']:,} jets seen, {found['repeated']} twice, {found['steps'][0]:,} steps on each; "
          f"{found['resumed']} went on in the middle with what was left")
    print(f"  opening {found['openSeconds']:.2f} s, plan of a rank {found['planSeconds'] * 1e3:.0f} ms, resuming "
          f"{found['resumeSeconds'] * 1e3:.0f} ms, state {found['stateBytes']} bytes; walking {found['walkSeconds']:.1f} s, "
          f"{found['memory'] / 1e6:.0f} MB")
    for one in found["processes"]:
        print(f"  rank {one['rank']} alone: opening {one['openSeconds']:.2f} s, first rows {one['firstSeconds'] * 1e3:.0f} ms, "
              f"{one['memory'] / 1e6:.0f} MB")
    for name, value in report.get("constants", {}).items():
        print(f"  {name:28} {value:14,.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a thousandth of it")
    parser.add_argument("--jets", type=int)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--shards", type=int)
    parser.add_argument("--record-batches", type=int)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--ranks", type=int, default=128)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--window", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--keep", metavar="DIR", help="a new directory, in which the catalogue stays")
    parser.add_argument("--constants", action="store_true")
    parser.add_argument("--pando", default=os.environ.get("PANDO_BINARY", f"{ROOT}/.build/release/pando"))
    parser.add_argument("--probe", default=f"{ROOT}/.build/release/scale-probe")
    parser.add_argument("--results", default=f"{ROOT}/bench-results")
    options = parser.parse_args()
    full = {"jets": 180_000_000, "inputs": 4000, "shards": 500, "record_batches": 44_000, "tasks": 100, "batch_size": 32_768,
            "window": 4, "repeat": 3}
    small = {"jets": 180_000, "inputs": 40, "shards": 50, "record_batches": 448, "tasks": 10, "batch_size": 1280, "window": 2,
             "repeat": 1}
    for name, value in (small if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    with tempfile.TemporaryDirectory(prefix="pando-scale-") as name:
        folder = pathlib.Path(options.keep or name)
        folder.mkdir(parents=True, exist_ok=True)
        report, whole = catalogue(options, folder)
        ranks(options, folder, whole, report)
        if options.constants:
            report["constants"] = constants(options, folder)
    show(report)
    os.makedirs(options.results, exist_ok=True)
    path = pathlib.Path(options.results) / "scale.json"
    path.write_text(json.dumps(report, indent=1))
    print(path)


if __name__ == "__main__":
    main()
