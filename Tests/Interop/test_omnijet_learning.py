"""What models can learn, and the data and weights that they refuse to learn from."""
import collections
import json
import math
import shutil

import h5py
import numpy as np
import pytest
import xxhash

import decode
import jetclass
from conftest import SAMPLE, Dataset, run
from test_omnijet import OMNIJET, metrics, omnijet, train
from test_readers import whole

pytestmark = pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
SHAPE = {"width": 32, "blocks": 1, "heads": 4, "codes": 64}
BACKBONE = {"vocabulary": 66, "width": 64, "blocks": 2, "heads": 4}


def tokenizer_run(jets, folder, name="tokenizer"):
    train(["tokenizer", "train"], {
        "task": "tokenizer", "data": {"datasets": [str(jets)], "emptyJets": "skip"}, "tokenizer": SHAPE, "optimizer": {"rate": 2e-3},
        "schedule": {"kind": "warmup", "epochs": 1}, "batch": 32, "epochSteps": 20, "epochs": 4}, name, folder)
    return folder / name / "best.safetensors"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    run("convert", SAMPLE, folder / "jets.pando", "--quiet")
    omnijet("tokenize", tokenizer_run(folder / "jets.pando", folder), folder / "jets.pando", folder / "tokens.pando", "--quiet")
    return folder / "tokens.pando"


def sequences(dataset):
    table = whole(Dataset(dataset, []))
    counts = np.diff(table.column("code").combine_chunks().offsets.to_numpy())
    return np.split(decode.flat(table, "code").astype(int), np.cumsum(counts)[:-1])


def test_a_model_learns_sixty_four_jets_by_heart(tokens, tmp_path):
    """Down to what nobody can tell: which of the jets comes, as long as several begin alike."""
    few = tmp_path / "few.pando"
    source = tmp_path / "few.h5"
    with h5py.File(SAMPLE) as old, h5py.File(source, "w") as new:
        for name in old:
            new.create_dataset(name, data=old[name][:64], chunks=True, compression=None if name == "event_info" else "gzip")
    run("convert", source, tmp_path / "few-jets.pando", "--quiet")
    omnijet("tokenize", tokens.parent / "tokenizer/best.safetensors", tmp_path / "few-jets.pando", few, "--quiet")
    train(["pretrain"], {
        "task": "pretrain", "data": {"datasets": [str(few)], "split": None}, "validation": {"split": None}, "backbone": BACKBONE,
        "optimizer": {"rate": 1e-2, "decay": 0}, "schedule": {"kind": "cosineWarmup", "warmup": 1, "epochs": 15}, "batch": 64, "epochSteps": 40, "epochs": 15,
        "patience": 0}, "run", tmp_path)
    jets = [(*(codes + 1), 65) for codes in sequences(few)]
    follows = collections.defaultdict(collections.Counter)
    for jet in jets:
        for place, token in enumerate(jet[:128]):
            follows[jet[:place]][token] += 1
    rows = sum(len(jet[:128]) for jet in jets)
    least = -sum(n * math.log(n / c.total()) for c in follows.values() for n in c.values()) / rows
    losses = [line["validation"] for line in metrics(tmp_path / "run") if "validation" in line]
    assert least < 0.2 and least < losses[-1] < least + 0.1, f"{losses}, and no model can be below {least}"


def test_a_training_that_diverges_is_stopped(tokens, tmp_path):
    configuration = {
        "task": "pretrain", "data": {"datasets": [str(tokens)]}, "backbone": BACKBONE, "schedule": {"kind": "constant"},
        "optimizer": {"rate": 20}, "batch": 32, "epochSteps": 30, "epochs": 10}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(configuration))
    text = omnijet("pretrain", path, "--run", tmp_path / "run", status=1)
    assert "the training diverges" in text or "not finite" in text
    assert "take a smaller learning rate" in text


def test_classes_are_learnt_from_tokens(tmp_path):
    """Jets of two classes with different numbers of constituents: a classifier tells them apart, also with a frozen backbone."""
    folders = []
    for seed, (prefix, label, slots) in enumerate([("ZJetsToNuNu_", 0, 12), ("TTBar_", 8, 40)]):
        for split, rows in ("train", 300), ("val", 100):
            path = tmp_path / split / f"{prefix}000.root"
            path.parent.mkdir(exist_ok=True)
            jetclass.write_root(path, seed + rows, rows, np.full(rows, label), slots=slots)
        files = sorted(tmp_path.glob(f"*/{prefix}*.root"))
        run("convert", *files, tmp_path / f"{label}.pando", "--quiet")
        folders.append(tmp_path / f"{label}.pando")
    run("index", *folders, "--into", tmp_path / "jets.pando")
    tokenizer, tokens = tokenizer_run(tmp_path / "jets.pando", tmp_path), tmp_path / "tokens.pando"
    omnijet("tokenize", tokenizer, tmp_path / "jets.pando", tokens, "--quiet")
    common = {
        "task": "pretrain", "data": {"datasets": [str(tokens)], "emptyJets": "skip"}, "backbone": BACKBONE | {"width": 32, "blocks": 1},
        "optimizer": {"rate": 3e-3}, "schedule": {"kind": "constant"}, "batch": 32, "epochSteps": 10, "epochs": 3, "patience": 0,
        "classes": 2, "labels": [0, 8]}
    train(["pretrain"], common, "backbone", tmp_path)
    start = tmp_path / "backbone/best.safetensors"
    for name, *options in [("plain",), ("frozen", "--freeze-backbone")]:
        train(["finetune"], common | {"epochs": 8}, name, tmp_path, "--task", "classify", "--from", start, *options)
        accuracy = [line["validation_accuracy"] for line in metrics(tmp_path / name) if "validation_accuracy" in line]
        # Chance gives 0.5; what the numbers of constituents tell gives about 0.85.
        assert max(accuracy) > 0.7, name
    # What was taken over of the generative model is said.
    path = tmp_path / "again.json"
    path.write_text(json.dumps(common | {"epochs": 1}))
    text = omnijet("finetune", path, "--run", tmp_path / "again", "--task", "classify", "--from", start, "--quiet")
    assert "4 missing (head.classification_head_linear_embed.weight, " in text
    assert "2 unexpected (head.fc1.bias, head.fc1.weight)" in text
    # Labels that have no class are refused.
    path.write_text(json.dumps(common | {"labels": [0, 1]}))
    text = omnijet("finetune", path, "--run", tmp_path / "wrong", "--task", "classify", "--from", start, status=1)
    assert "column label: holds 8, expected one of 0, 1" in text


def sealed(dataset, old, new):
    """Replaces text in the catalogue of a dataset and makes its digest right again."""
    text = (dataset / "dataset.json").read_text()
    assert text.count(old) == 1
    digest = json.loads(text)["digest"]
    text = text.replace(old, new).replace(digest, "0" * 16)
    text = text.replace("0" * 16, xxhash.xxh3_64_hexdigest(text.encode()))
    for place in dataset / "dataset.json", dataset / "parity/dataset.json":
        place.write_text(text)


def pretrain_text(dataset, folder, status=1, **changes):
    path = folder / "c.json"
    path.write_text(json.dumps({
        "task": "pretrain", "data": {"datasets": [str(dataset)]}, "backbone": BACKBONE | {"width": 16, "blocks": 1}, "batch": 8,
        "epochSteps": 2, "epochs": 1} | changes))
    return omnijet("pretrain", path, "--run", folder / "run", "--quiet", status=status)


def test_tokens_beyond_the_codebook_are_refused_before_training(tokens, tmp_path):
    wrong = shutil.copytree(tokens, tmp_path / "wrong.pando")
    sealed(wrong, '"codes" : "64"', '"codes" : "32"')
    text = pretrain_text(wrong, tmp_path, backbone=BACKBONE | {"vocabulary": 34})
    assert "column code: holds codes 0.0 to 63.0, expected 0 to 31" in text
    assert not (tmp_path / "run/metrics.jsonl").read_text() if (tmp_path / "run/metrics.jsonl").exists() else True


def test_jets_without_tokens_are_refused_or_counted(tokens, tmp_path):
    source = tmp_path / "holes.h5"
    shutil.copy(SAMPLE, source)
    with h5py.File(source, "r+") as file:
        values = file["PFCands"][...]
        values[::10] = 0
        file["PFCands"][...] = values
        empty = len(values[::10])
    run("convert", source, tmp_path / "jets.pando", "--quiet")
    assert json.loads((tmp_path / "jets.pando/dataset.json").read_text())["emptyJets"] == empty
    tokenizer = tokens.parent / "tokenizer/best.safetensors"
    omnijet("tokenize", tokenizer, tmp_path / "jets.pando", tmp_path / "tokens.pando", "--quiet")
    text = pretrain_text(tmp_path / "tokens.pando", tmp_path)
    assert f"holds {empty} jets without codes" in text and "data.emptyJets=skip" in text
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"task": "tokenizer", "data": {"datasets": [str(tmp_path / "jets.pando")]}, "tokenizer": SHAPE}))
    assert f"holds {empty} jets without constituents" in omnijet("tokenizer", "train", path, "--run", tmp_path / "t", status=1)
    skip = {"datasets": [str(tmp_path / "tokens.pando")], "split": "train", "emptyJets": "skip"}
    text = pretrain_text(tmp_path / "tokens.pando", tmp_path, status=0, data=skip, batch=64, logSteps=1)
    assert "have no codes and are passed over" in text
    lines = [line for line in metrics(tmp_path / "run") if "loss" in line]
    assert all(line["jets"] + line.get("empty", 0) == 64 for line in lines) and any("empty" in line for line in lines)


def test_a_run_does_not_go_on_with_other_jets(tokens, tmp_path):
    data = shutil.copytree(tokens, tmp_path / "data.pando")
    pretrain_text(data, tmp_path, status=0)
    first = (tmp_path / "run/last.safetensors").read_bytes()
    shutil.rmtree(data)
    other = tmp_path / "half.h5"
    with h5py.File(SAMPLE) as old, h5py.File(other, "w") as new:
        for name in old:
            new.create_dataset(name, data=old[name][:400], chunks=True, compression=None if name == "event_info" else "gzip")
    run("convert", other, tmp_path / "half.pando", "--quiet")
    omnijet("tokenize", tokens.parent / "tokenizer/best.safetensors", tmp_path / "half.pando", data, "--quiet")
    path = tmp_path / "c.json"
    text = omnijet("pretrain", path, "--run", tmp_path / "run", "--quiet", status=1)
    assert "data.pando: the state is of the dataset" in text
    assert (tmp_path / "run/last.safetensors").read_bytes() == first
