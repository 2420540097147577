"""h5py: random rows of the published file, the published file slab by slab, and a padded copy slab by slab."""
import h5py
import numpy as np
from common import BATCH, PAD, SLAB, ahead, features, mask, slices

POOL = 4 * SLAB  # jets that are shuffled together in memory
CACHE = {"rdcc_nbytes": 64 << 20, "rdcc_nslots": 100_003}


def prepare(jets, directory, source, variant):
    if variant != "padded":
        return
    with h5py.File(f"{directory}/padded.h5", "w") as file:
        values = file.create_dataset(
            "features", (len(jets), PAD, 3), "f4", chunks=(BATCH, PAD, 3), compression="gzip", compression_opts=1,
            shuffle=True)
        for first in range(0, len(jets), 16 * BATCH):
            last = min(first + 16 * BATCH, len(jets))
            values[first:last] = jets.padded(first, last)
        file["counts"] = jets.counts[:]


def random(source, limit):
    with h5py.File(source, "r", **CACHE) as file:
        candidates = file["PFCands"]
        rows = np.random.default_rng(1).permutation(len(candidates))[:limit]
        for chosen in slices(rows):
            chosen = np.sort(chosen)
            values, here = features(candidates[chosen, :, :4])
            yield values[:, :PAD], here[:, :PAD], chosen


def pools(path, limit, size, read):
    """Stretches of the file in random order, as many together as are shuffled in memory."""
    random = np.random.default_rng(1)
    with h5py.File(path, "r", **CACHE) as file:
        starts = random.permutation(np.arange(0, limit, size))
        for first in range(0, len(starts), max(1, POOL // size)):
            here = starts[first:first + max(1, POOL // size)]
            yield random, [read(file, start, min(start + size, limit)) for start in here]


def read_published(file, first, last):
    values, here = features(file["PFCands"][first:last, :, :4])
    return values[:, :PAD], here[:, :PAD].sum(axis=1)


def read_padded(file, first, last):
    return file["features"][first:last], file["counts"][first:last]


def batches(directory, source, variant, cores, limit):
    if variant == "random":
        yield from random(source, limit)
        return
    if variant == "published":
        stretches = pools(source, limit, SLAB, read_published)
    else:
        stretches = pools(f"{directory}/padded.h5", limit, 4 * BATCH, read_padded)
    for generator, parts in ahead(stretches, cores, depth=1):
        # One pool is held as its parts; a batch takes rows of all of them.
        values = np.concatenate([part for part, _ in parts]) if len(parts) > 1 else parts[0][0]
        counts = np.concatenate([count for _, count in parts])
        for rows in slices(generator.permutation(len(values))):
            yield values[rows], mask(counts[rows])
