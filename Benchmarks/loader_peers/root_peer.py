"""ROOT files as JetClass has them (jagged float32 branches, ten files), read as OmniJet-alpha and weaver-core read them.

The three features are branches, so neither peer computes them; no standardisation is asked of either.
"""
import glob
import logging

import awkward as ak
import numpy as np
import uproot
from common import BATCH, PAD, ahead, slices

FILES = 10
FILES_AT_ONCE = 5
NAMES = ["part_pt", "part_etarel", "part_phirel"]

CONFIG = """
treename: tree
selection:
test_time_selection:
new_variables:
  part_mask: ak.ones_like(part_pt)
preprocess: {method: manual, data_fraction: 1}
inputs:
  pf_features:
    length: 128
    pad_mode: constant
    vars:
      - [part_pt, null]
      - [part_etarel, null]
      - [part_phirel, null]
  pf_mask:
    length: 128
    pad_mode: constant
    vars:
      - [part_mask, null]
labels: {type: simple, value: [label]}
observers:
weights:
"""


def prepare(jets, directory, source, variant):
    with open(f"{directory}/config.yaml", "w") as file:
        file.write(CONFIG)
    cuts = np.linspace(0, len(jets), FILES + 1).astype(int)
    for number, (first, last) in enumerate(zip(cuts[:-1], cuts[1:])):
        low, high = jets.offsets[first], jets.offsets[last]
        offsets = ak.index.Index64(jets.offsets[first:last + 1] - low)
        branches = {
            name: ak.Array(ak.contents.ListOffsetArray(offsets, ak.contents.NumpyArray(np.array(column[low:high]))))
            for name, column in zip(NAMES, jets.columns)}
        # LZ4 is what JetClass is written with.
        with uproot.recreate(f"{directory}/jets-{number}.root", compression=uproot.LZ4(4)) as file:
            file["tree"] = branches | {"label": np.ones(last - first, np.int32)}


def omnijet(paths, cores):
    """Some whole files at a time: ak_pad of each feature, all in one array, permuted; the generator begins anew each time."""
    def blocks():
        for first in range(0, len(paths), FILES_AT_ONCE):
            parts, masks = [], []
            for path in paths[first:first + FILES_AT_ONCE]:
                with uproot.open({path: "tree"}) as tree:
                    jets = tree.arrays(NAMES)
                padded = [ak.pad_none(jets[name], PAD, clip=True) for name in NAMES]
                masks.append(ak.to_numpy(~ak.is_none(padded[0], axis=1)))
                parts.append(np.stack([
                    ak.to_numpy(ak.values_astype(ak.fill_none(feature, 0.0), np.float32)) for feature in padded], axis=2))
            values, here = np.concatenate(parts), np.concatenate(masks)
            order = np.random.default_rng(3838).permutation(len(values))
            yield values[order], here[order]

    for values, here in ahead(blocks(), cores, depth=1):
        for rows in slices(range(len(values))):
            yield values[rows.start:rows.stop], here[rows.start:rows.stop]


compiled = []


def weaver(directory, paths, cores):
    """SimpleIterDataset in a DataLoader, as weaver's training does; each load takes a tenth of every file."""
    import torch
    from weaver.utils.dataset import SimpleIterDataset

    logging.getLogger("weaver").setLevel(logging.ERROR)
    torch.set_num_threads(cores)
    data = SimpleIterDataset({"jets": paths}, f"{directory}/config.yaml", for_training=True, fetch_step=0.1, name="train")
    # The first call, which is not timed, compiles in this process: workers forked later find it done.
    workers = cores if cores > 1 and compiled else 0
    compiled.append(True)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, drop_last=False, num_workers=workers)
    for inputs, _, _ in loader:
        yield inputs["pf_features"].transpose(1, 2), inputs["pf_mask"][:, 0] > 0


def batches(directory, source, variant, cores, limit):
    paths = sorted(glob.glob(f"{directory}/*.root"))
    if variant == "omnijet":
        yield from omnijet(paths, cores)
    else:
        yield from weaver(directory, paths, cores)
