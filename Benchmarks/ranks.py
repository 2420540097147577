#!/usr/bin/env python3
"""Measures training by two processes beside one process with one and with two threads, and what summing gradients takes: within a machine,
and between two with a wire of 1 Gbit/s (network namespaces, which want root; else they are left out).

    Benchmarks/run --only ranks [--quick] [--steps N] [--batch N] [--repeat N] [--results DIR] [--omnijet PATH] [--pando PATH]

The backbone has the released sizes; the same global batches of the same jets go through all of them, in turn. Rates are tokens a second of
wall time since training began, so they want a quiet machine with two cores. Prints a table and writes bench-results/ranks.json.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

from convert import spread, text

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, f"{ROOT}/Tests/Interop"]
import inputs  # noqa: E402
import machines  # noqa: E402

# What is measured: processes, threads of each, more options, and what goes over the wire if there is one.
WAYS = {
    "1 process, 1 thread": (1, 1, [], None),
    "1 process, 2 threads": (1, 2, [], None),
    "2 processes, 1 thread each": (2, 1, [], None),
    "2 processes, gradients behind the pass": (2, 1, ["--no-overlap"], None),
    "2 machines, 1 Gbit/s": (2, 1, [], "1gbit"),
    "2 machines, gradients behind the pass": (2, 1, ["--no-overlap"], "1gbit"),
}
# Codes do not matter for the speed, so the tokenizer is an untrained one.
TOKENIZER = {
    "task": "tokenizer", "tokenizer": {"width": 16, "blocks": 1, "heads": 2, "codes": 8192, "startsFromData": False},
    "batch": 64, "epochSteps": 1, "steps": 1, "validation": {"limit": 64}}


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file)
    return path


def quiet(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def prepare(options, folder):
    """Tokens, and the configuration of the training."""
    jets, tokens, run = (f"{folder}/{name}" for name in ("jets.pando", "tokens.pando", "tokenizer"))
    quiet([options.pando, "convert", inputs.get(ROOT, options.jets), jets, "--quiet"])
    configuration = write(f"{folder}/tokenizer.json", TOKENIZER | {"data": {"datasets": [jets]}})
    quiet([options.omnijet, "tokenizer", "train", configuration, "--run", run, "--quiet"])
    quiet([options.omnijet, "tokenize", f"{run}/last.safetensors", jets, tokens, "--quiet"])
    return write(f"{folder}/pretrain.json", {
        "task": "pretrain", "data": {"datasets": [tokens]}, "batch": options.batch, "steps": options.steps, "epochSteps": 1000,
        "validation": {"limit": 32}, "checkpointSteps": 0})


def measure(options, folder, configuration, way, number):
    ranks, threads, more, wire = WAYS[way]
    words = ["pretrain", configuration, "--run", f"{folder}/run-{number}", "--threads", str(threads), "--quiet", "--json", *more]
    launcher = ["launch", "-n", str(ranks), "--"] if ranks > 1 else []
    environment = os.environ | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(threads)}
    if wire:
        return over_wire([options.omnijet, *words], folder, wire, environment)
    return json.loads(quiet([options.omnijet, *launcher, *words], env=environment).splitlines()[-1])


def over_wire(command, folder, rate, environment):
    """A rank on each of two machines."""
    with machines.TwoMachines(folder, rate) as two:
        common = ["--world-size", "2", "--master", f"{machines.address(0)}:29500"]
        ranks = [two.start(number, [*command, *common, "--rank", number], env=environment) for number in range(2)]
        found = [(*rank.communicate(), rank.returncode) for rank in ranks]
    for _, errors, status in found:
        if status:
            raise SystemExit(f"{' '.join(map(str, command))}: exit {status}\n{errors}")
    return json.loads(found[0][0].splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="2,000 jets, 2 steps of 32, one round")
    parser.add_argument("--results", default=f"{ROOT}/bench-results", help="where ranks.json goes")
    parser.add_argument("--omnijet", default=f"{ROOT}/.build/release/omnijet")
    parser.add_argument("--pando", default=f"{ROOT}/.build/release/pando")
    options = parser.parse_args()
    for tool in options.omnijet, options.pando:
        if not os.access(tool, os.X_OK):
            raise SystemExit(f"{tool}: not there; run 'make build omnijet'")
    if options.quick:
        options.jets, options.batch, options.steps, options.repeat = 2000, 32, 2, 1
    missing = machines.impossible() or ("no tc here" if not shutil.which("tc") else None)
    if missing:
        print(f"two machines are left out: {missing}", file=sys.stderr)
    ways = [name for name in WAYS if not (missing and WAYS[name][3])]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        configuration = prepare(options, folder)
        for number in range(options.repeat):
            names = ways if number % 2 == 0 else ways[::-1]
            rounds.append({name: measure(options, folder, configuration, name, f"{number}-{WAYS[name][0]}-{len(rounds)}-{names.index(name)}") for name in names})
    first = next(iter(WAYS))
    report = {"batch": options.batch, "steps": options.steps, "rounds": rounds, "ways": {}}
    print(f"{options.steps} steps of {options.batch} jets, backbone of the released sizes, {len(os.sched_getaffinity(0))} cores")
    print(f"{'':42}tokens/s                        times the first one   waiting for gradients")
    for name in ways:
        rates = [one[name]["rowsPerSecond"] for one in rounds]
        found = report["ways"][name] = {
            "tokensPerSecond": spread(rates), "timesTheFirst": spread([one[name]["rowsPerSecond"] / one[first]["rowsPerSecond"] for one in rounds]),
            "reducing": spread([one[name]["reducing"] for one in rounds]), "waiting": spread([one[name]["waiting"] for one in rounds])}
        share = text(found["reducing"], ".1%") if WAYS[name][0] > 1 else ""
        print(f"  {name:40}{text(found['tokensPerSecond'], ',.0f'):32}{text(found['timesTheFirst'], '.2f'):22}{share}")
    with open(f"{options.results}/ranks.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\n{os.path.relpath(options.results, ROOT)}/ranks.json")


if __name__ == "__main__":
    main()
