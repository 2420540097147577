"""Loaders of samples, one jet a sample: WebDataset (tar), MosaicML Streaming (MDS) and LitData (chunks).

A jet is stored as the bytes of its [constituents, 3] float32 values, which is less work to decode than any array format;
batches are padded by one numpy function in the loader's collation.
"""
import functools
import io
import os
import sys
import tarfile
import types

import numpy as np
from common import BATCH, PAD, Jets, mask

STRETCH = 10_000
WORKERS = {1: 0, 2: 2}


def collate(samples):
    """Samples of bytes to a padded batch."""
    counts = np.array([len(sample) // 12 for sample in samples])
    here = mask(counts)
    values = np.zeros((len(samples), PAD, 3), np.float32)
    values[here] = np.frombuffer(b"".join(samples), np.float32).reshape(-1, 3)
    return values, here


def collate_torch(samples):
    """The same for the loaders that hand batches over as tensors."""
    import torch

    values, here = collate([sample["jet"] if isinstance(sample, dict) else sample for sample in samples])
    return torch.from_numpy(values), torch.from_numpy(here)


def first_of(sample):
    return sample[0]


def raw(jets, begin=0, end=None):
    """The stored bytes of some jets."""
    end = len(jets) if end is None else end
    for first in range(begin, end, 4096):
        last = min(first + 4096, end)
        low, high = jets.offsets[first], jets.offsets[last]
        flat = np.stack([column[low:high] for column in jets.columns], axis=1)
        for row in range(first, last):
            yield flat[jets.offsets[row] - low:jets.offsets[row + 1] - low].tobytes()


def stretch(base, first):
    """The samples of one input of LitData's writer, which calls this in a process of its own."""
    jets = Jets(base)
    for sample in raw(jets, first, min(first + STRETCH, len(jets))):
        yield {"jet": sample}


def streaming():
    """The package without its parts for text and pictures, whose imports pull in gigabytes."""
    for name in ("text", "vision", "multimodal"):
        sys.modules.setdefault(f"streaming.{name}", types.ModuleType(f"streaming.{name}"))
    stand_in = types.ModuleType("transformers")
    stand_in.BatchFeature = stand_in.BatchEncoding = type("Never", (), {})
    for name in ("transformers", "transformers.feature_extraction_utils", "transformers.tokenization_utils_base"):
        sys.modules.setdefault(name, stand_in)
    import streaming

    return streaming


def litdata():
    """The package; Debian's PyTorch lacks three types that its table of types names."""
    import torch

    for name in ("uint16", "uint32", "uint64"):
        if not hasattr(torch, name):
            setattr(torch, name, name)
    import litdata

    return litdata


def prepare(jets, directory, source, variant):
    if variant == "webdataset":
        number, shard = 0, None
        for number, sample in enumerate(raw(jets)):
            if number % 12_000 == 0:
                shard = shard.close() if shard else None
                shard = tarfile.open(f"{directory}/{number // 12_000:03}.tar", "w", format=tarfile.USTAR_FORMAT)
            entry = tarfile.TarInfo(f"{number:07}.jet")
            entry.size = len(sample)
            shard.addfile(entry, io.BytesIO(sample))
        shard.close()
    elif variant == "mds":
        with streaming().MDSWriter(
                out=f"{directory}/jets", columns={"jet": "bytes"}, compression="zstd:3", size_limit=1 << 23) as writer:
            for sample in raw(jets):
                writer.write({"jet": sample})
    else:
        litdata().optimize(
            fn=functools.partial(stretch, os.environ["PANDO_BENCH_BASE"]), inputs=list(range(0, len(jets), STRETCH)),
            output_dir=f"{directory}/jets", chunk_bytes="16MB", compression="zstd", num_workers=1, verbose=False,
            start_method="fork")


def webdataset(directory, cores):
    import webdataset as wds
    from torch.utils.data import DataLoader

    shards = [f"{directory}/{name}" for name in sorted(os.listdir(directory)) if name.endswith(".tar")]
    data = wds.WebDataset(shards, shardshuffle=100, seed=1, empty_check=False).shuffle(8192, initial=8192)
    data = data.to_tuple("jet").map(first_of).batched(BATCH, collation_fn=collate_torch, partial=True)
    yield from DataLoader(data, batch_size=None, num_workers=WORKERS[cores])


def mds(directory, cores):
    from torch.utils.data import DataLoader

    data = streaming().StreamingDataset(
        local=f"{directory}/jets", shuffle=True, shuffle_seed=1, batch_size=BATCH, num_canonical_nodes=1)
    yield from DataLoader(data, batch_size=BATCH, num_workers=WORKERS[cores], collate_fn=collate_torch)


def batches(directory, source, variant, cores, limit):
    if variant == "webdataset":
        yield from webdataset(directory, cores)
    elif variant == "mds":
        yield from mds(directory, cores)
    else:
        lit = litdata()
        data = lit.StreamingDataset(f"{directory}/jets", shuffle=True, seed=1)
        yield from lit.StreamingDataLoader(
            # Two is what this PyTorch wants to hear without workers; ten is LitData's own choice with them.
            data, batch_size=BATCH, num_workers=WORKERS[cores], prefetch_factor=10 if WORKERS[cores] else 2,
            collate_fn=collate_torch)
