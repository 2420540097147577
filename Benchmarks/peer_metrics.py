"""Metrics as one writes them with NumPy and SciPy; prints seconds and values as JSON.

    peer_metrics.py metrics|bootstrap GENERATED REFERENCE REPLICAS PROCESSES
"""
import json
import multiprocessing
import resource
import sys
import time

import numpy as np
from scipy.stats import entropy, wasserstein_distance


def edges_of(reference, bins=50):
    return np.unique(np.quantile(reference, np.arange(1, bins) / bins))


def counts(edges, values):
    return np.histogram(values, np.concatenate([[-np.inf], edges, [np.inf]]))[0]


def now():
    """Seconds that passed, and of the processor, those of ended children too."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"wall": time.perf_counter(), "cpu": sum(one.ru_utime + one.ru_stime for one in used)}


def since(begin):
    return {name: value - begin[name] for name, value in now().items()}


def timed(work):
    begin = now()
    return work(), since(begin)


def metrics(generated, reference):
    def kl():
        edges = edges_of(reference)
        return entropy(counts(edges, generated), counts(edges, reference))

    values = {"w1": timed(lambda: wasserstein_distance(generated, reference)), "kl": timed(kl)}
    return {"values": {name: value for name, (value, _) in values.items()},
            "seconds": {name: seconds for name, (_, seconds) in values.items()}}


def replicas(which, seeds, generated, reference, edges):
    found = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        p, q = random.choice(generated, len(generated)), random.choice(reference, len(reference))
        found.append(wasserstein_distance(p, q) if which == "w1" else entropy(counts(edges, p), counts(edges, q)))
    return found


def bootstrap(generated, reference, number, processes):
    edges, report = edges_of(reference), {"errors": {}, "seconds": {}}
    for which in ("w1", "kl"):
        work = [(which, range(first, number, processes), generated, reference, edges) for first in range(processes)]
        begin = now()
        if processes > 1:
            with multiprocessing.Pool(processes) as pool:
                found = sum(pool.starmap(replicas, work), [])
                pool.close()
                pool.join()
        else:
            found = replicas(*work[0])
        report["seconds"][which] = since(begin)
        low, high = np.percentile(found, [16, 84])
        report["errors"][which] = (high - low) / 2
    return report


if __name__ == "__main__":
    what, *files, number, processes = sys.argv[1:]
    samples = [np.fromfile(path, "<f8") for path in files]
    print(json.dumps(metrics(*samples) if what == "metrics" else bootstrap(*samples, int(number), int(processes))))
