"""Parquet (zstd, row groups of 2,048 jets) or Arrow IPC, read some groups at a time in random order and shuffled together.

Variants: `numpy` pads with numpy, `numba` with a compiled kernel, `ipc` reads Arrow IPC from a memory map, `ipc-zstd` the
same with compressed buffers.
"""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import BATCH, PAD, ahead, gather, slices

try:
    import numba
except ImportError:
    numba = None

GROUP = 2048
WINDOW = 8  # groups that are shuffled together
NAMES = ["pt", "eta_rel", "phi_rel"]


def record_batches(jets, rows=GROUP):
    for first in range(0, len(jets), rows):
        last = min(first + rows, len(jets))
        low, high = jets.offsets[first], jets.offsets[last]
        offsets = pa.array((jets.offsets[first:last + 1] - low).astype(np.int32))
        yield pa.record_batch(
            [pa.ListArray.from_arrays(offsets, pa.array(np.asarray(column[low:high]))) for column in jets.columns],
            NAMES)


def prepare(jets, directory, source, variant):
    batches = list(record_batches(jets))
    if variant.startswith("ipc"):
        options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 3) if variant == "ipc-zstd" else None)
        with pa.OSFile(f"{directory}/jets.arrow", "wb") as sink, \
                pa.ipc.new_file(sink, batches[0].schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return
    # Floats of random mantissa gain nothing from a dictionary.
    pq.write_table(
        pa.Table.from_batches(batches), f"{directory}/jets.parquet", row_group_size=GROUP, compression="zstd",
        compression_level=3, use_dictionary=False)


if numba is not None:
    @numba.njit(parallel=True, nogil=True, cache=True)
    def fill(values, mask, rows, starts, counts, pt, eta, phi):
        for i in numba.prange(len(rows)):
            row = rows[i]
            low = starts[row]
            count = min(counts[row], values.shape[1])
            for j in range(count):
                values[i, j, 0] = pt[low + j]
                values[i, j, 1] = eta[low + j]
                values[i, j, 2] = phi[low + j]
                mask[i, j] = True
            for j in range(count, values.shape[1]):
                values[i, j, 0] = 0
                values[i, j, 1] = 0
                values[i, j, 2] = 0
                mask[i, j] = False


def arrays(table):
    """Offsets, counts and flat columns of the jets of some groups."""
    lists = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in table.columns]
    offsets = lists[0].offsets.to_numpy().astype(np.int64)
    return offsets[:-1] - offsets[0], np.diff(offsets), [values.flatten().to_numpy() for values in lists]


def windows(directory, variant, cores, random):
    """Tables of WINDOW groups, in random order."""
    if variant.startswith("ipc"):
        with pa.memory_map(f"{directory}/jets.arrow") as file:
            reader = pa.ipc.open_file(file)
            order = random.permutation(reader.num_record_batches)
            for first in range(0, len(order), WINDOW):
                yield arrays(pa.Table.from_batches([reader.get_batch(int(k)) for k in order[first:first + WINDOW]]))
        return
    file = pq.ParquetFile(f"{directory}/jets.parquet", memory_map=True)
    order = random.permutation(file.num_row_groups)
    for first in range(0, len(order), WINDOW):
        yield arrays(file.read_row_groups([int(k) for k in order[first:first + WINDOW]], NAMES, use_threads=cores > 1))


def batches(directory, source, variant, cores, limit):
    pa.set_cpu_count(cores)
    if variant != "numpy":
        numba.set_num_threads(cores)
    random = np.random.default_rng(1)
    for starts, counts, columns in ahead(windows(directory, variant, cores, random), cores):
        for rows in slices(np.random.default_rng(len(counts)).permutation(len(counts))):
            if variant == "numpy":
                yield gather(counts, starts, columns, rows)
                continue
            values = np.empty((len(rows), PAD, 3), np.float32)
            mask = np.empty((len(rows), PAD), bool)
            fill(values, mask, rows, starts, counts, *columns)
            yield values, mask
