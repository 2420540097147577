"""Hugging Face datasets: a map-style dataset of lists in Arrow files, memory-mapped, with a shuffled index over all jets.

Rows come as Arrow tables (the fastest of its formats) and are padded with numpy.
"""
import datasets
import numpy as np
import pyarrow as pa
from common import BATCH, ahead, gather
from parquet_peer import arrays, record_batches

datasets.disable_progress_bars()


def prepare(jets, directory, source, variant):
    datasets.Dataset(pa.Table.from_batches(list(record_batches(jets, 1000)))).save_to_disk(f"{directory}/jets")


def batches(directory, source, variant, cores, limit):
    data = datasets.load_from_disk(f"{directory}/jets").with_format("arrow").shuffle(seed=1)
    for table in ahead(data.iter(batch_size=BATCH), cores, depth=4):
        starts, counts, columns = arrays(table)
        yield gather(counts, starts, columns, np.arange(len(counts)))
