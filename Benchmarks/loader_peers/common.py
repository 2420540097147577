"""What the peers share: the jets as flat arrays, features in numpy, padding, and a thread that works ahead."""
import json
import os
import queue
import threading

import numpy as np

BATCH = 256
PAD = 128
SLAB = 313 * 16  # rows of a published file's chunk, times sixteen


class Jets:
    """Jets as flat float32 columns, cut at 128 constituents when they were prepared (which spares the peers the cut)."""

    def __init__(self, directory):
        load = lambda name: np.load(f"{directory}/{name}.npy", mmap_mode="r")  # noqa: E731
        self.counts = load("counts")
        self.columns = [load(name) for name in ("pt", "eta_rel", "phi_rel")]
        self.offsets = np.zeros(len(self.counts) + 1, np.int64)
        np.cumsum(self.counts, out=self.offsets[1:])

    def __len__(self):
        return len(self.counts)

    def padded(self, first, last):
        """Rows first..<last as [rows, 128, 3]."""
        low, high = self.offsets[first], self.offsets[last]
        values = np.zeros((last - first, PAD, 3), np.float32)
        here = mask(self.counts[first:last])
        for k, column in enumerate(self.columns):
            values[:, :, k][here] = column[low:high]
        return values

    def jet(self, row):
        """One jet as [constituents, 3]."""
        return np.stack([column[self.offsets[row]:self.offsets[row + 1]] for column in self.columns], axis=1)


def mask(counts):
    return np.arange(PAD) < np.asarray(counts)[:, None]


def features(momenta):
    """Padded (pt, eta_rel, phi_rel) of [rows, slots, >=4] momenta px, py, pz, E, and the mask; both still uncut."""
    px, py, pz = (np.ascontiguousarray(momenta[:, :, k]) for k in range(3))
    here = momenta[:, :, 3] != 0
    jx, jy, jz = (values.sum(axis=1, dtype=np.float64) for values in (px, py, pz))
    jet_eta = np.arcsinh(jz / np.maximum(np.hypot(jx, jy), 1e-30)).astype(np.float32)
    jet_phi = np.arctan2(jy, jx).astype(np.float32)
    pt = np.hypot(px, py)
    values = np.zeros((*pt.shape, 3), np.float32)
    values[:, :, 0] = pt
    eta = np.arcsinh(pz / np.maximum(pt, np.float32(1e-30))) - jet_eta[:, None]
    phi = np.arctan2(py, px) - jet_phi[:, None]
    turn = np.float32(2 * np.pi)
    phi -= turn * np.rint(phi / turn)
    np.multiply(eta, here, out=values[:, :, 1])
    np.multiply(phi, here, out=values[:, :, 2])
    return values, here


def prepare(source, directory):
    """Writes the flat columns of an AspenOpenJets file, once."""
    import h5py

    if os.path.exists(f"{directory}/truth.json"):
        return
    os.makedirs(directory, exist_ok=True)
    counts, columns = [], [[], [], []]
    with h5py.File(source, "r", rdcc_nbytes=64 << 20, rdcc_nslots=100_003) as file:
        candidates = file["PFCands"]
        for first in range(0, len(candidates), SLAB):
            values, here = features(candidates[first:first + SLAB, :, :4])
            values, here = values[:, :PAD], here[:, :PAD]
            counts.append(here.sum(axis=1).astype(np.uint8))
            for k in range(3):
                columns[k].append(values[:, :, k][here])
    counts = np.concatenate(counts)
    np.save(f"{directory}/counts.npy", counts)
    for name, parts in zip(("pt", "eta_rel", "phi_rel"), columns):
        np.save(f"{directory}/{name}.npy", np.concatenate(parts))
    with open(f"{directory}/truth.json", "w") as file:
        json.dump({"jets": len(counts), "constituents": int(counts.sum(dtype=np.int64))}, file)


def gather(counts, offsets, columns, rows):
    """Padded batch of some rows of flat columns, in numpy alone."""
    here = mask(counts[rows])
    # Places of the constituents: the jet's first one, repeated, plus the slot.
    places = (offsets[rows][:, None] + np.arange(PAD))[here]
    values = np.zeros((len(rows), PAD, len(columns)), np.float32)
    for k, column in enumerate(columns):
        values[:, :, k][here] = column[places]
    return values, here


def slices(rows):
    """Consecutive stretches of 256 rows; the last may be shorter."""
    for first in range(0, len(rows), BATCH):
        yield rows[first:first + BATCH]


def ahead(items, cores, depth=2):
    """The same items, made by a thread of their own if there is a core for it."""
    if cores < 2:
        yield from items
        return
    ready, end, stop = queue.Queue(depth), object(), threading.Event()

    def hand_over(item):
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.05)
            except queue.Full:
                pass

    def work():
        try:
            for item in items:
                if stop.is_set():
                    return
                hand_over(item)
            hand_over(end)
        except BaseException as error:  # Handed to the consumer, which raises it.
            hand_over(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
