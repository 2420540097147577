#!/usr/bin/env python3
"""Prepares the files of one peer, or measures one epoch of it in this process; prints one JSON object.

    measure.py MODULE VARIANT --base DIR --files DIR --source FILE.h5 [--cores N] [--limit JETS | --stop JETS] [--check | --prepare]

With --limit the peer reads so many jets only. With --stop its epoch is left after so many, and the rate is that behind the
first batch, because what was read ahead would count against it. Before the clock starts come imports, compilation and
the first batch of another epoch.

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
    return float(found[:, 0].sum())


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
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    # Before anything starts threads: as many as there are cores, not as the machine has.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS"):
        os.environ[name] = str(options.cores)
    os.environ["PANDO_BENCH_BASE"] = os.path.abspath(options.base)
    peer = importlib.import_module(options.module)
    import common
    import numpy as np

    jets = common.Jets(options.base)
    limit = min(options.limit or len(jets), len(jets))
    if options.prepare:
        os.makedirs(options.files)
        peer.prepare(jets, options.files, options.source, options.variant)
        return
    anonymous = memory("RssAnon")
    arguments = (options.files, options.source, options.variant, options.cores, limit)
    next(warm := iter(peer.batches(*arguments)))
    warm.close()
    delivered, count, constituents, first = [], 0, 0, None
    begin = time.perf_counter()
    for batch in peer.batches(*arguments):
        count += len(batch[0])
        if first is None:
            first = time.perf_counter()
            first_rows = count
        if options.check:
            values, mask = batch[0], batch[1]
            if values.shape[1:] != (common.PAD, 3) or str(values.dtype).split(".")[-1] != "float32":
                raise SystemExit(f"a batch is {values.dtype} {values.shape}")
            constituents += int(mask.sum())
            # Tensors and arrays alike; copied, as a peer may use its buffers again.
            delivered.append((np.asarray(values).sum(axis=1, dtype=np.float64), np.asarray(mask).sum(axis=1), *batch[2:]))
        elif options.stop and count >= options.stop:
            break
    end = time.perf_counter()
    steady = (count - first_rows) / (end - first) if count > first_rows else None
    outcome = {
        "jets": count, "seconds": end - begin, "jetsPerSecond": steady if options.stop else count / (end - begin),
        "secondsToFirstBatch": first - begin, "jetsPerSecondAfterFirst": steady, "anonymousBefore": anonymous,
        "peakMemory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if options.check:
        outcome |= {"constituents": constituents, "sumPt": check(delivered, jets, limit)}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
