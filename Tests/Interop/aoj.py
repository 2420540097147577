"""Makes files in the layout of AspenOpenJets."""
import h5py
import numpy as np

SLOTS, FIELDS = 150, 11


def write(path, constituents, seed=0, event_info=None, jets=None, chunk_rows=157):
    """`constituents`: float32 [jets, 150, 11]; event and jet columns are random bits unless given."""
    rows = len(constituents)
    random = np.random.default_rng(seed)
    if event_info is None:
        event_info = random.integers(-(2**63), 2**63 - 1, (rows, 3), np.int64)
    if jets is None:
        jets = random_bits(random, (rows, 17))
    with h5py.File(path, "w") as file:
        for name, values, chunks in (
            ("event_info", event_info, (chunk_rows, 1)),
            ("jet_kinematics", jets[:, :4], (chunk_rows, 2)),
            ("jet_tagging", jets[:, 4:], (chunk_rows, 4)),
            ("PFCands", constituents, (chunk_rows, 19, 3)),
        ):
            compression = {} if name == "event_info" else {"compression": "gzip", "compression_opts": 4}
            limits = (None, *values.shape[1:])
            file.create_dataset(name, data=values, maxshape=limits, chunks=chunks, **compression)
    return path


def random_bits(random, shape):
    """float32 of any bits, NaN with payload included, and a share of values that are special."""
    values = random.integers(0, 2**32, shape, np.uint32)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-40, 65504, 65520, 6e-8, 6.1e-5, 2.0**-24, 3.4e38, 1, -1, np.pi]
    special = np.array(special, np.float32).view(np.uint32)
    special = np.concatenate([special, np.array([0x7F802000, 0x7FA00000, 0xFFC00001, 0x7F800001], np.uint32)])  # NaN
    chosen = random.random(shape) < 0.2
    values[chosen] = random.choice(special, chosen.sum())
    return values.view(np.float32)


def random_constituents(seed, rows):
    """Jets of 0 to 150 constituents of random bits; some have rows of zeros between the others, some are full."""
    random = np.random.default_rng(seed)
    values = random_bits(random, (rows, SLOTS, FIELDS))
    counts = random.integers(0, SLOTS + 1, rows)
    counts[:3] = 0, SLOTS, 1
    values[np.arange(SLOTS) >= counts[:, None]] = 0
    values[random.random((rows, SLOTS)) < 0.05] = 0
    codes = random.random((rows, SLOTS)) < 0.5  # codes and charges that fit, beside those that do not
    real = codes & (np.arange(SLOTS) < counts[:, None])
    values[real, 8] = random.integers(-128, 128, real.sum())
    values[real, 9] = random.integers(-32768, 32768, real.sum())
    return values


def stored(path):
    """The four datasets of a file."""
    with h5py.File(path, "r") as file:
        info, kinematics, tagging, constituents = (
            file[name][()] for name in ("event_info", "jet_kinematics", "jet_tagging", "PFCands")
        )
    return info, np.hstack([kinematics, tagging]), constituents
