"""No loader: what none can avoid. Decompresses the three columns of a Pando dataset and writes as many bytes as the batches.

The variant is the dataset, which lies beside the peer's files. Values are neither gathered nor turned into features, so the
batches are not checked.
"""
import json
import os

import numpy as np
import pyarrow as pa
from common import BATCH, PAD

LATTICE = ["pt", "deta", "dphi"]
PLAIN = ["px", "py", "pz"]


def prepare(jets, directory, source, variant):
    open(f"{directory}/none", "w").close()


def batches(directory, source, variant, cores, limit):
    dataset = f"{os.path.dirname(directory)}/{variant}.pando"
    with open(f"{dataset}/dataset.json") as file:
        shards = [entry["file"] for entry in json.load(file)["shards"]]
    pa.set_cpu_count(cores)
    values = np.zeros((8, BATCH, PAD, 3), np.float32)
    masks = np.zeros((8, BATCH, PAD), bool)
    pattern, left, number = np.ones((BATCH, PAD, 3), np.float32), 0, 0
    for shard in shards:
        with pa.memory_map(f"{dataset}/{shard}") as file:
            names = pa.ipc.open_file(file).schema.names
            wanted = [names.index(name) for name in (LATTICE if set(LATTICE) <= set(names) else PLAIN)]
            options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=cores > 1)
            reader = pa.ipc.open_file(file, options=options)
            for k in range(reader.num_record_batches):
                left += reader.get_batch(k).num_rows
                while left >= BATCH:
                    slot = number % len(values)
                    np.copyto(values[slot], pattern)
                    masks[slot] = True
                    left -= BATCH
                    number += 1
                    yield values[slot], masks[slot]
    if left:
        yield values[0][:left], masks[0][:left]
