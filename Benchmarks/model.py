#!/usr/bin/env python3
"""Measures training, generating and tokenising beside the same model written plainly in PyTorch.

    Benchmarks/run --only model [--quick] [--batch N] [--rounds N] [--repeat N] [--threads N] [--results DIR] [--omnijet PATH]

The peer computes as the original does: all 128 positions, all logits, no cache, float32. All take turns on the same cores, each in a process of
its own, so that memory is its own too; ratios are taken round by round, of the processor's time. Prints a table and writes
bench-results/model.json. Needs PyTorch for one of the Pythons: .venv-bench-torch (scripts/setup bench), /usr/bin/python3 or this one.
"""
import argparse
import json
import os
import subprocess
import sys

from convert import measure, spread, text

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
# What is measured: a name, what the tool and the peer are told, and which of them is the peer.
OURS = {
    "training": {"float32": [], "bfloat16": ["--bfloat16"]},
    # The second with as many jets at once as the peer.
    "generation": {"float32": [], "as many at once": ["--batch", "GENERATED"]},
    "tokenising": {"float32": []},
}
PEERS = {
    "training": {"peer": [], "peer in parts of 32": ["--part", "32"]},
    "generation": {"peer": []},
    "tokenising": {"peer": []},
}


def python_with_torch():
    for python in (f"{ROOT}/.venv-bench-torch/bin/python", "/usr/bin/python3", sys.executable):
        if os.access(python, os.X_OK) and not subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
            return python
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--mean-length", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=2, help="of which a process gives its fastest")
    parser.add_argument("--repeat", type=int, default=3, help="processes of each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="16 jets, one round each")
    parser.add_argument("--results", default=f"{ROOT}/bench-results", help="where model.json goes")
    parser.add_argument("--omnijet", default=f"{ROOT}/.build/release/omnijet")
    options = parser.parse_args()
    if not os.access(options.omnijet, os.X_OK):
        raise SystemExit(f"{options.omnijet}: not there; run 'make omnijet'")
    generated = 32
    if options.quick:
        options.batch, options.rounds, options.repeat, generated = 16, 1, 1, 2
    python = python_with_torch()
    if not python:
        print("no PyTorch (scripts/setup bench), so no peer", flush=True)
    cores = sorted(os.sched_getaffinity(0))[: options.threads]
    common = ["--batch", str(options.batch), "--mean-length", str(options.mean_length), "--rounds", str(options.rounds),
              "--threads", str(options.threads)]
    report = {"batch": options.batch, "threads": options.threads, "works": {}}
    print(f"{options.batch} jets of {options.mean_length:g} constituents on average, {options.threads} thread{'s' * (options.threads > 1)}")
    print(f"{'':34}jets/s, of processor time        peak MB   peer over pando: time     memory")
    for work in OURS:
        commands = {name: [options.omnijet, "bench", *common, "--only", work, "--json",
                           *(word.replace("GENERATED", str(generated)) for word in more)] for name, more in OURS[work].items()}
        if python:
            commands |= {name: [python, f"{HERE}/model_peer.py", *common, "--only", work, "--generate", str(generated), *more]
                         for name, more in PEERS[work].items()}
        rounds = []
        for number in range(options.repeat):
            names = list(commands) if number % 2 == 0 else list(reversed(commands))
            rounds.append({name: measure(commands[name], cores)[0] for name in names})
        found = report["works"][work] = {"rounds": rounds}

        def rate(one):
            return one["rates"][0]["jets"] / one["rates"][0]["processorSeconds"]

        for name in commands:
            rates, memory = [rate(one[name]) for one in rounds], max(one[name]["peakBytes"] for one in rounds)
            line = f"  {work + ', ' + ('pando ' if name in OURS[work] else '') + name:32}{text(spread(rates), '8.2f'):32}{memory / 1e6:8.0f}"
            if name in OURS[work]:
                for peer in PEERS[work] if python else []:
                    ratio = spread([rate(one[name]) / rate(one[peer]) for one in rounds])
                    shares = max(one[peer]["peakBytes"] for one in rounds) / memory
                    found[f"{name} over {peer}"] = {"time": ratio, "memory": shares}
                    line += f"   {text(ratio, '.2f')}, {shares:.1f}{' (in parts)' if 'parts' in peer else ''}"
            print(line, flush=True)
        for name in OURS[work]:
            one = rounds[-1][name]
            if "trainingPerSecond" in one:
                print(f"    {name}: {one['trainingPerSecond']:.0f} GFLOP/s of {one['productsPerSecond']:.0f} in plain products ({one['kernels']})")
    with open(f"{options.results}/model.json", "w") as file:
        json.dump(report, file, indent=1)
    print(f"\n{os.path.relpath(options.results, ROOT)}/model.json")


if __name__ == "__main__":
    main()
