"""Batches in Python are those of the Swift loader, bit for bit, whichever way they are asked for."""
import json
import subprocess

import numpy as np
import pytest

import pando
from conftest import CODES, PROBE, RELEASED

probe = pytest.mark.skipif(not PROBE.exists(), reason="no loader-probe: build it with 'swift build -c release'")

#: Names of the probe's files, by those of batches.
NAMES = ["features", "mask", "labels", "datasets", "jets", "column_offsets", "jet_features", "token_input", "token_target", "token_mask"]
FULL = {"features": RELEASED, "pad_length": 128}


def of_swift(tmp_path, sources, **options):
    """What the Swift loader's batches hold, as bytes by name."""
    folder = tmp_path / "dump"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    asked = {"sources": [{"dataset": str(path), "weight": weight} for path, weight in sources], "columns": [], **options}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    subprocess.run([PROBE, "dump", tmp_path / "asked.json", folder], check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.stat().st_size}


def of_python(batches):
    """The same of batches in Python."""
    found = {}
    for batch in batches:
        held = batch.arrays()
        for name in NAMES:
            if name in held:
                found.setdefault(name, []).append(held[name].tobytes())
        if "mask" not in held and "features" in held:
            found.setdefault("feature_offsets", []).append(batch.offsets.tobytes())
        for column in batch.columns:
            found.setdefault("column_" + column, []).append(batch[column].tobytes())
    return {name: b"".join(parts) for name, parts in found.items() if any(parts)}


def same(found, expected):
    assert found.keys() == expected.keys()
    different = [name for name in found if found[name] != expected[name]]
    assert not different


CASES = {
    "padded": ({"features": FULL}, {"features": "released"}),
    "columns": ({"columns": ["px", "charge", "jet_pt", "event"]}, {"columns": ["px", "charge", "jet_pt", "event"]}),
    "jagged, with columns": (
        {"features": FULL, "isJagged": True, "columns": ["pdgId", "run"]},
        {"features": RELEASED, "is_jagged": True, "columns": ["pdgId", "run"]},
    ),
    "features of jets": (
        {"features": {**FULL, "pad_length": 30, "axis": "puppi", "jet_features": [{"name": "jet_pt"}]}},
        {"features": RELEASED, "pad_length": 30, "axis": "puppi", "jet_features": ["jet_pt"]},
    ),
    "momenta": ({"features": FULL, "angles": "momenta"}, {"features": "released", "angles": "momenta"}),
}
OPTIONS = {
    "as it is": ({}, {}),
    "another seed and epoch": ({"seed": 2**63 + 5, "epoch": 3}, {"seed": 2**63 + 5}),
    "in order": ({"shuffle": False}, {"shuffle": False}),
    "exact": ({"exact": True}, {"exact": True}),
    "window and streams": ({"window": 2, "streams": 8}, {"window": 2, "streams": 8}),
    "a split, cut to full batches": ({"split": "train", "dropLast": True}, {"split": "train", "drop_last": True}),
    "a subset": ({"limit": 500, "limitSeed": 7}, {"limit": 500, "limit_seed": 7}),
}


@probe
@pytest.mark.parametrize("contents", CASES)
@pytest.mark.parametrize("options", OPTIONS)
def test_batches_are_those_of_the_swift_loader(contents, options, sample, tmp_path):
    swift, python = CASES[contents]
    more, words = OPTIONS[options]
    words = {"drop_last": False, **words}
    loader = pando.Loader(sample, 64, threads=2, **python, **words)
    same(of_python(loader.batches(more.get("epoch", 0))), of_swift(tmp_path, [(sample, 1)], batchSize=64, **swift, **more))


@probe
def test_tokens_and_labels_are_those_of_the_swift_loader(tokens, tmp_path):
    expected = of_swift(
        tmp_path, [(tokens, 1)], batchSize=32, labelColumn="kind", tokenColumn="code", tokens={"codebookSize": CODES, "length": 24}
    )
    pairs = pando.TokenPairs(CODES, 24)
    loader = pando.Loader(tokens, 32, drop_last=False, label_column="kind", token_column="code", tokens=pairs)
    same(of_python(loader), expected)
    batch = next(iter(loader))
    assert set(batch.labels) == {0, 1, 2}
    assert (batch.token_input[:, 1:] == batch.token_target[:, :-1])[batch.token_mask[:, 1:]].all()


@probe
@pytest.mark.parametrize("length", ["shortest", "longest"])
def test_mixtures_are_those_of_the_swift_loader(length, sample, tmp_path):
    other = tmp_path / "other.pando"
    pando.convert(pando.Dataset(sample).catalogue["provenance"]["inputs"][0]["name"], other, batch_rows=64, limit=400)
    asked = {"batchSize": 32, "columns": ["jet_pt"], "mixtureLength": length, "dropLast": True}
    expected = of_swift(tmp_path, [(sample, 0.75), (other, 0.25)], **asked)
    for sources in ({sample: 0.75, other: 0.25}, [(sample, 3), (other, 1, None)]):
        loader = pando.Loader(sources, 32, columns=["jet_pt"], mixture_length=length)
        same(of_python(loader), expected)
    assert {0, 1} == set(np.concatenate([batch.datasets for batch in loader]))


@probe
def test_ranks_make_the_parts_that_the_swift_loader_makes(sample, tmp_path):
    for rank in range(4):
        loader = pando.Loader(sample, 64, features="released", rank=rank, world_size=4, drop_last=False)
        expected = of_swift(tmp_path, [(sample, 1)], batchSize=64, features=FULL, rank=rank, worldSize=4)
        same(of_python(loader), expected)


@probe
def test_a_state_goes_on_where_the_swift_loader_goes_on(sample, tmp_path):
    loader = pando.Loader(sample, 64, features="released", drop_last=False, seed=4)
    for number, _ in enumerate(loader, 1):
        if number == 7:
            break
    other = pando.Loader(sample, 64, features="released", drop_last=False, seed=4, threads=3)
    other.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    expected = of_swift(tmp_path, [(sample, 1)], batchSize=64, features=FULL, seed=4, step=7)
    same(of_python(other), expected)


def test_what_was_not_asked_for_says_so(sample):
    batch = next(iter(pando.Loader(sample, 64, columns=["jet_pt", "px"])))
    for name in ("features", "mask", "labels", "token_input", "jet_features"):
        with pytest.raises(AttributeError, match=f"has no {name}.*there are counts, offsets, column_offsets, jets, datasets"):
            getattr(batch, name)
    with pytest.raises(KeyError, match="no column py; there are counts, .*jet_pt, px"):
        batch["py"]
    assert len(batch) == batch.rows == len(batch["jet_pt"]) == 64
    assert len(batch["px"]) == batch.offsets[-1] == batch.counts.sum() == batch.constituents
    assert "64 jets" in repr(batch)


def test_arrays_have_the_types_and_places_that_they_promise(sample):
    loader = pando.Loader(sample, 64, features="released", columns=["jet_pt", "event"])
    assert loader.feature_names == ("part_pt", "part_etarel", "part_phirel")
    for batch in loader:
        assert batch.features.dtype == np.float32 and batch.features.shape == (64, 128, 3)
        assert batch.mask.dtype == np.bool_ and batch.mask.shape == (64, 128)
        assert batch.jets.dtype == np.int64 and batch["event"].dtype == np.int64
        assert (batch.counts == batch.mask.sum(1)).all()
        assert not batch.features[~batch.mask].any()
        for values in (batch.features, batch.mask, batch.jets, batch["jet_pt"]):
            assert values.__array_interface__["data"][0] % 64 == 0
            assert not values.flags.owndata and values.flags.writeable


def test_what_is_written_to_a_batch_is_gone_with_it(sample):
    loader = pando.Loader(sample, 64, features="released", columns=["px"], prefetch=1)
    expected = [batch.features.copy() for batch in loader.batches(0)]
    for batch in loader.batches(0):
        for values in batch.arrays().values():
            values[...] = 1
    del values, batch
    for batch, features in zip(loader.batches(0), expected, strict=True):
        assert (batch.features == features).all()


def test_dlpack_shares_the_memory(sample):
    batch = next(iter(pando.Loader(sample, 64, features="released")))
    shared = np.from_dlpack(batch.features)
    assert shared.__array_interface__["data"] == batch.features.__array_interface__["data"]
