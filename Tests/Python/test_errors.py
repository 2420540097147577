"""Errors of Python are those of Swift, word by word: each is made twice, here and in a Swift program that prints what it says."""
import json
import os
import shutil
import subprocess

import pytest

import pando
from conftest import PROBE, RELEASED

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason="no loader-probe: build it with 'swift build -c release'")
FULL = {"features": RELEASED, "pad_length": 128}

#: What a loader is asked for: of Swift, then of Python, and the exception.
LOADERS = {
    "a batch of nothing": ({"batchSize": 0}, {"batch_size": 0}, "LoaderError"),
    "streams that do not divide": ({"streams": 7}, {"streams": 7}, "LoaderError"),
    "a window of nothing": ({"window": 0}, {"window": 0}, "LoaderError"),
    "a world that does not divide": ({"rank": 0, "worldSize": 3}, {"rank": 0, "world_size": 3}, "LoaderError"),
    "no such split": ({"split": "nope"}, {"split": "nope"}, "LoaderError"),
    "no such column": ({"columns": ["jet_pt", "nope"]}, {"columns": ["jet_pt", "nope"]}, "LoaderError"),
    "no such feature": ({"features": {**FULL, "features": [{"name": "nope"}]}}, {"features": [{"name": "nope"}]}, "LoaderError"),
    "a function that is none": (
        {"features": {**FULL, "features": [{"name": "part_pt", "func": "sine"}]}},
        {"features": [{"name": "part_pt", "func": "sine"}]}, "LoaderError",
    ),
    "labels that are no columns": ({"labels": ["label_none"]}, {"labels": ["label_none"]}, "LoaderError"),
    "codes of a column that is not there": (
        {"tokens": {"codebookSize": 8, "length": 4}, "tokenColumn": "code"},
        {"tokens": pando.TokenPairs(8, 4), "token_column": "code"}, "LoaderError",
    ),
    "a codebook of nothing": (
        {"tokens": {"codebookSize": 0, "length": 4}, "tokenColumn": "charge"},
        {"tokens": pando.TokenPairs(0, 4), "token_column": "charge"}, "LoaderError",
    ),
    "a limit of less than nothing": ({"limit": -1}, {"limit": -1}, "LoaderError"),
    "a step that the epoch does not have": ({"step": 999}, {"step": 999}, "LoaderError"),
    "an epoch before the first": ({"epoch": -1}, {"epoch": -1}, "LoaderError"),
    "features of a dataset with damage": ({"features": FULL, "damage": "flip"}, {"features": "released"}, "DatasetError"),
    "columns of a shard that was cut": ({"damage": "cut"}, {}, "DatasetError"),
    "a shard that is gone": ({"damage": "gone"}, {}, "FileError"),
    "a dataset that is gone": ({"damage": "all"}, {}, "DatasetError"),
}

#: Damage, rows and columns that are read, and the exception.
DATASETS = {
    "no such dataset": ("all", None, None, "DatasetError"),
    "a directory of something else": ("catalogue gone", None, None, "DatasetError"),
    "a catalogue that is no JSON": ("catalogue", None, None, "DatasetError"),
    "an index that is gone": ("index", None, None, "FileError"),
    "rows that are not there": (None, (0, 2000), None, "DatasetError"),
    "a column that is not there": (None, (0, 10), ["px", "nope"], "DatasetError"),
    "a shard with a flipped bit": ("flip", None, None, "DatasetError"),
    "a shard that was cut": ("cut", None, None, "DatasetError"),
    "a shard that is gone": ("gone", None, None, "FileError"),
}


def damaged(sample, folder, how):
    """A copy of the sample with something wrong, made only where something is."""
    if how is None:
        return sample
    path = folder / f"{how.replace(' ', '-')}.pando"
    if how == "all":
        return path
    shutil.copytree(sample, path)
    shard = path / "shards/00000.arrow"
    if how == "flip":
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 16
        shard.write_bytes(data)
    elif how == "cut":
        os.truncate(shard, shard.stat().st_size // 2)
    elif how == "gone":
        shard.unlink()
    elif how == "catalogue gone":
        (path / "dataset.json").unlink()
    elif how == "catalogue":
        (path / "dataset.json").write_text("{")
    elif how == "index":
        (path / "index.arrow").unlink()
    return path


@pytest.fixture(scope="module")
def told(sample, tmp_path_factory):
    """Where each case lies, and what the Swift program says of it."""
    folder, cases, paths = tmp_path_factory.mktemp("refused"), [], {}
    copies = {}

    def place(how):
        if how not in copies:
            copies[how] = damaged(sample, folder, how)
        return copies[how]

    for name, (swift, _, _) in LOADERS.items():
        asked = {"batchSize": 64, "columns": [], "shuffle": False, **swift}
        paths["loader", name] = place(asked.pop("damage", None))
        features = asked.pop("features", None)
        text = None if features is None else json.dumps(features)
        cases.append({"features": text, "loader": {**asked, "sources": [{"dataset": str(paths["loader", name]), "weight": 1}]}})
    for name, (how, rows, columns, _) in DATASETS.items():
        paths["dataset", name] = place(how)
        cases.append({"dataset": str(paths["dataset", name]), "rows": rows, "columns": columns})
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run([PROBE, "refuse", folder / "cases.json"], check=True, capture_output=True, text=True)
    return {key: (path, said) for (key, path), said in zip(paths.items(), json.loads(done.stdout), strict=True)}


def same(error, said, kind):
    assert said, "the Swift program found nothing wrong"
    assert (type(error).__name__, str(error)) == (kind, said["text"])
    for name in ("code", "file", "place", "message", "advice"):
        assert getattr(error, name) == said[name], name


@pytest.mark.parametrize("name", LOADERS)
def test_what_a_loader_refuses_is_said_in_the_words_of_the_swift_loader(name, told):
    path, said = told["loader", name]
    _, words, kind = LOADERS[name]
    words = {"batch_size": 64, "columns": [], "shuffle": False, "drop_last": False, **words}
    place = {key: words.pop(key) for key in ("step", "epoch") if key in words}
    with pytest.raises(pando.PandoError) as failure:
        loader = pando.Loader(path, **words)
        for _ in loader.batches(state={**loader.state_dict(), **place}):
            pass
    same(failure.value, said, kind)


@pytest.mark.parametrize("name", DATASETS)
def test_what_a_dataset_refuses_is_said_in_the_words_of_the_swift_library(name, told):
    path, said = told["dataset", name]
    _, rows, columns, kind = DATASETS[name]
    with pytest.raises(pando.PandoError) as failure:
        pando.Dataset(path).read(*(rows or ()), columns=columns)
    same(failure.value, said, kind)


def test_the_errors_of_threads_stay_apart(sample):
    """Each thread has a slot of its own, which the failure of another does not touch, and success does not either."""
    from concurrent.futures import ThreadPoolExecutor

    def fail(number):
        for _ in range(50):
            with pytest.raises(pando.LoaderError) as failure:
                pando.Loader(sample, 64, columns=[f"nope{number}"])
            assert f"column nope{number}: does not exist" in str(failure.value)
            pando.Dataset(sample)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(fail, range(8)))
