"""np.memmap of the padded array (184 MB for 120,000 jets), any rows at random."""
import numpy as np
from common import BATCH, ahead, mask, slices


def prepare(jets, directory, source, variant):
    with open(f"{directory}/padded.f4", "wb") as file:
        for first in range(0, len(jets), 16 * BATCH):
            file.write(jets.padded(first, min(first + 16 * BATCH, len(jets))).tobytes())
    np.save(f"{directory}/counts.npy", jets.counts[:])


def batches(directory, source, variant, cores, limit):
    counts = np.load(f"{directory}/counts.npy")
    values = np.memmap(f"{directory}/padded.f4", np.float32, "r", shape=(len(counts), 128, 3))

    def make():
        for rows in slices(np.random.default_rng(1).permutation(len(counts))[:limit]):
            # Sorted: pages are met in the order of the file, and the order within a batch means nothing.
            rows = np.sort(rows)
            yield values[rows], mask(counts[rows])

    yield from ahead(make(), cores, depth=4)
