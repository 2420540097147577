#!/usr/bin/env python3
"""Prepares the files of one peer, or measures an epoch of it for each line of standard input: a line of JSON each.

    measure.py MODULE VARIANT --base DIR --files DIR --source FILE.h5 [--cores N] [--limit JETS] [--stop JETS] [--prepare]

A line is `go`, or `check` for an epoch that is compared with the truth, jet by jet, and whose time does not count. With
--limit the peer reads so many jets only. With --stop an epoch that is timed is left after so many, and its rate is the one
behind the first batch, because what was read ahead would count against it. Before the first clock starts come imports,
compilation and the first batch of another epoch.

A peer's module has `prepare(jets, directory, source, variant)` and `batches(directory, source, variant, cores, limit)`,
which yields (values [rows, 128, 3], mask [rows, 128]) and, if it takes a sample of random rows, their numbers.
"""
import argparse
import importlib
import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def memory(key):
    with open("/proc/self/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":")), 0)


def check(delivered, jets, limit):
    """Each jet once, each with its values: by the sums of its features, sorted; and not in the order of the file."""
    import numpy as np

    rows = np.arange(limit)
    sampled = bool(delivered) and len(delivered[0]) == 3
    if sampled:
        rows = np.concatenate([numbers for _, _, numbers in delivered])
    edges = jets.offsets
    found = np.concatenate([sums for sums, _, *_ in delivered])
    counts = np.concatenate([count for _, count, *_ in delivered])
    cumulated = [np.concatenate([[0], np.cumsum(column, dtype=np.float64)]) for column in jets.columns]
    truth = np.stack([total[edges[rows + 1]] - total[edges[rows]] for total in cumulated], axis=1)
    if len(found) != len(rows) or counts.sum() != jets.counts[rows].sum(dtype=np.int64):
        raise SystemExit(f"{len(found)} jets with {counts.sum()} constituents; right are {len(rows)} with "
                         f"{jets.counts[rows].sum(dtype=np.int64)}")
    if not sampled and len(rows) > 512 and np.allclose(found[:512, 0], truth[:512, 0], rtol=1e-4):
        raise SystemExit("the jets come in the order of the file")
    # Sorted by pt, jets pair up with themselves; the sums of angles are compared over all.
    if not np.allclose(np.sort(found[:, 0]), np.sort(truth[:, 0]), rtol=1e-4):
        raise SystemExit("not each jet comes once with its own pt")
    for k in (1, 2):
        error = abs(found[:, k].sum() - truth[:, k].sum()) / np.abs(truth[:, k]).sum()
        if error > 1e-4:
            raise SystemExit(f"feature {k} is off by {error}")
    return {"constituents": int(counts.sum()), "sumPt": float(found[:, 0].sum())}


def epoch(peer, arguments, stop, keep):
    """One epoch; returns its figures and, if asked, what was delivered: sums of features and constituents of each jet."""
    import numpy as np

    delivered, count, first = [], 0, None
    begin = time.perf_counter()
    for batch in peer.batches(*arguments):
        count += len(batch[0])
        if first is None:
            first, first_rows = time.perf_counter(), count
        if keep:
            # Tensors and arrays alike; sums at once, as a peer may use its buffers again.
            values, mask = np.asarray(batch[0]), np.asarray(batch[1])
            if values.shape[1:] != (128, 3) or values.dtype != np.float32 or mask.shape != values.shape[:2]:
                raise SystemExit(f"a batch is {values.dtype} {values.shape} with a mask {mask.shape}")
            delivered.append((values.sum(axis=1, dtype=np.float64), mask.sum(axis=1), *batch[2:]))
        elif stop and count >= stop:
            break
    end = time.perf_counter()
    if first is None:
        raise SystemExit("no batch came")
    steady = (count - first_rows) / (end - first) if count > first_rows else None
    return {
        "jets": count, "seconds": end - begin, "jetsPerSecond": steady if stop and steady else count / (end - begin),
        "secondsToFirstBatch": first - begin, "jetsPerSecondAfterFirst": steady}, delivered


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("variant")
    parser.add_argument("--base", required=True)
    parser.add_argument("--files", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--stop", type=int)
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    # Before anything starts threads: as many as there are cores, not as the machine has.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS"):
        os.environ[name] = str(options.cores)
    os.environ["PANDO_BENCH_BASE"] = os.path.abspath(options.base)
    peer = importlib.import_module(options.module)
    import common

    jets = common.Jets(options.base)
    if options.prepare:
        os.makedirs(options.files)
        peer.prepare(jets, options.files, options.source, options.variant)
        return
    limit = min(options.limit or len(jets), len(jets))
    imported = memory("RssAnon")
    arguments = (options.files, options.source, options.variant, options.cores, limit)
    next(warm := iter(peer.batches(*arguments)))
    warm.close()
    for line in sys.stdin:
        checks = line.strip() == "check"
        outcome, delivered = epoch(peer, arguments, options.stop, checks)
        outcome |= {"anonymousAfterImports": imported,
                    "peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        if checks:
            outcome |= check(delivered, jets, limit)
        # A marker, because libraries print lines of their own.
        print("PANDO " + json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
