"""ROOT files of JetClass come back bit for bit; classes, labels and splits are what files and folders say."""
import json

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

import decode
import jetclass
from conftest import convert, run
from test_catalogue import validate
from test_lossless import storage
from test_readers import whole

BRANCHES = 41


def by_uproot(paths):
    """All branches of the files one after the other, as flat arrays, and the constituents of each jet."""
    trees = [uproot.open(path)["tree"].arrays() for path in paths]
    fields = {}
    for name in trees[0].fields:
        if name.startswith("npart"):
            continue  # A counter that uproot writes.
        parts = [ak.to_numpy(ak.flatten(tree[name]) if tree[name].ndim > 1 else tree[name]) for tree in trees]
        values = np.concatenate(parts)
        fields[name] = values.view(np.uint8) if values.dtype == bool else values
    return np.concatenate([ak.to_numpy(ak.num(tree["part_px"])) for tree in trees]), fields


def in_source_order(table):
    """The table with its jets in the order of the inputs."""
    order = np.lexsort([decode.flat(table, "source_row"), decode.flat(table, "source")])
    return table.take(order)


def assert_holds(dataset, paths):
    validate(dataset.catalogue)
    assert "sound" in run("verify", "--lossless", dataset.path)
    expected = by_uproot(paths)
    counts, fields = decode.table_fields(in_source_order(whole(dataset)))
    derived = {"label", "split"} & fields.keys()
    decode.assert_same_bits((counts, {name: v for name, v in fields.items() if name not in derived}), expected)
    return fields


@pytest.mark.skipif(not jetclass.FILES, reason="there are no JetClass files beside the project")
def test_every_stored_value_of_all_files_comes_back(tmp_path):
    dataset = convert(tmp_path / "all.pando", jetclass.FILES, "--batch-rows", "256")
    fields = assert_holds(dataset, jetclass.FILES)
    assert len(fields) == BRANCHES + 2
    assert storage(whole(dataset))["part_px"] == "forward"
    # Three classes by the names of the files, three splits by their folders.
    names = [(path.name.split("_")[0] + "_", path.parent.name) for path in jetclass.FILES for _ in range(rows_of(path))]
    assert fields["label"].tolist() == [jetclass.PREFIXES.index(prefix) for prefix, _ in names]
    assert fields["split"].tolist() == [["train", "val", "test"].index(folder) for _, folder in names]
    found = {part["name"]: part["rows"] for part in dataset.catalogue["splits"]["parts"]}
    assert found == {name: sum(folder == name for _, folder in names) for name in found} and len(found) == 3


def rows_of(path):
    return uproot.open(path)["tree"].num_entries


@pytest.mark.skipif(not jetclass.FILES, reason="there are no JetClass files beside the project")
@pytest.mark.parametrize("one_file", [False, True])
def test_export_gives_all_branches_as_padded_arrays(tmp_path, one_file):
    paths = jetclass.FILES[:2]
    dataset = convert(tmp_path / "in.pando", paths)
    out = tmp_path / ("out.h5" if one_file else "out")
    run("export", dataset.path, out)
    files = [out] if one_file else [out / f"{path.stem}.h5" for path in paths]
    for file, inputs in zip(files, [paths] if one_file else [[path] for path in paths]):
        counts, expected = by_uproot(inputs)
        with h5py.File(file) as exported:
            assert set(exported) == {"part_floats", "part_flags", "label_float", "label_bool", "label_int", "jet", "aux"}
            real = np.arange(exported["part_floats"].shape[1]) < counts[:, None]
            for dataset_name, names in ("part_floats", jetclass.FLOATS), ("part_flags", jetclass.FLAGS):
                for number, name in enumerate(names):
                    values = exported[dataset_name][..., number]
                    assert values[real].tobytes() == expected[name].tobytes() and not values[~real].any(), name
            jets = jetclass.JETS + jetclass.TAUS
            for dataset_name, names in ("jet", jets), ("aux", jetclass.AUX), ("label_int", list(jetclass.LABELS)[6:]):
                for number, name in enumerate(names):
                    assert exported[dataset_name][:, number].tobytes() == expected[name].tobytes(), name


def test_made_files_come_back_with_labels_of_all_classes(tmp_path):
    labels = np.arange(200) % 10
    path = jetclass.write_root(tmp_path / "mixed.root", 1, 200, labels)
    dataset = convert(tmp_path / "out.pando", [path])
    fields = assert_holds(dataset, [path])
    assert fields["label"].tolist() == labels.tolist()
    assert dataset.catalogue.get("splits") is None, "no folder tells a split"
    assert any("no splits" in remark for remark in dataset.catalogue["remarks"])


@pytest.mark.parametrize("number", range(10))
def test_the_class_comes_from_the_name_where_labels_are_missing(tmp_path, number):
    name = f"{jetclass.PREFIXES[number]}007.root"
    path = jetclass.write_root(tmp_path / name, 2, 40, np.full(40, number), without=jetclass.LABELS)
    dataset = convert(tmp_path / "out.pando", [path])
    _, fields = decode.table_fields(whole(dataset))
    assert (fields["label"] == number).all()
    for other, label in enumerate(jetclass.LABELS):
        assert (fields[label] == (other == number)).all() and fields[label].dtype.itemsize == np.dtype(jetclass.LABELS[label]).itemsize
    assert any("labels come from the names" in remark for remark in dataset.catalogue["remarks"])


def test_branches_without_a_column_are_named(tmp_path):
    path = jetclass.write_root(tmp_path / "TTBar_0.root", 7, 30, np.full(30, 8))
    with uproot.open(path) as file:
        columns = {name: file["tree"][name].array() for name in file["tree"].keys() if not name.startswith("npart")}
    with uproot.recreate(path) as file:
        file.mktree("tree", columns | {"part_extra": columns["part_d0val"], "jet_extra": np.zeros(30)})
    remarks = convert(tmp_path / "out.pando", [path]).catalogue["remarks"]
    assert any(remark.endswith("does not name them: part_extra, jet_extra") for remark in remarks)


def test_names_that_tell_no_class_are_refused_where_labels_are_missing(tmp_path):
    path = jetclass.write_root(tmp_path / "TTBarOther_1.root", 3, 20, np.zeros(20), without=jetclass.LABELS)
    with pytest.raises(AssertionError, match="TTBarOther_1.root.*has no labels, and its name tells no class"):
        run("convert", path, tmp_path / "out.pando", "--quiet")
    path = jetclass.write_root(tmp_path / "TTBar_1.root", 3, 20, np.zeros(20), without=["label_Wqq"])
    with pytest.raises(AssertionError, match="has some labels but not label_Wqq"):
        run("convert", path, tmp_path / "out.pando", "--quiet")


def test_jets_of_no_class_or_of_two_have_no_label(tmp_path):
    labels = np.array([3, 11, 5, 12])
    path = jetclass.write_root(tmp_path / "odd.root", 4, 4, labels)
    with uproot.open(path) as file:
        columns = {name: file["tree"][name].array() for name in file["tree"].keys() if not name.startswith("npart")}
    columns["label_Hgg"] = np.array([1, 0, 1, 0], bool)
    with uproot.recreate(path) as file:
        file.mktree("tree", columns)
    dataset = convert(tmp_path / "out.pando", [path])
    fields = assert_holds(dataset, [path])
    assert fields["label"].tolist() == [3, -1, -1, -1]


def test_splits_are_those_of_the_folders(tmp_path):
    rows = {"train_100M": 50, "val_5M": 20, "test_20M": 30}
    paths = [
        jetclass.write_root(tmp_path / folder / f"{prefix}000.root", n, count, np.full(count, n))
        for folder, count in rows.items() for n, prefix in enumerate(jetclass.PREFIXES[:2])
    ]
    dataset = convert(tmp_path / "out.pando", paths)
    splits = dataset.catalogue["splits"]
    assert splits["rule"] == "value" and [part["rows"] for part in splits["parts"]] == [100, 40, 60]
    assert "stored-splits" in dataset.catalogue["features"]
    _, fields = decode.table_fields(in_source_order(whole(dataset)))
    assert np.bincount(fields["split"]).tolist() == [100, 40, 60]


def test_one_dataset_a_class_joins_to_one_of_several(tmp_path):
    parts = []
    for number in 0, 8:
        path = jetclass.write_root(tmp_path / f"train/{jetclass.PREFIXES[number]}000.root", number, 60, np.full(60, number))
        parts.append(convert(tmp_path / f"{number}.pando", [path]).path)
    run("index", *parts, "--into", tmp_path / "both.pando")
    assert "sound" in run("verify", "--lossless", tmp_path / "both.pando")
    catalogue = json.loads((tmp_path / "both.pando/dataset.json").read_text())
    assert catalogue["rows"] == 120 and catalogue["splits"]["parts"][0]["rows"] == 120
    label = next(column for column in catalogue["columns"] if column["name"] == "label")
    assert (label["statistics"]["minimum"], label["statistics"]["maximum"]) == (0, 8)


def test_constituents_of_unequal_number_are_refused(tmp_path):
    path = jetclass.write_root(tmp_path / "bad.root", 5, 30, np.zeros(30))
    with uproot.open(path) as file:
        columns = {name: file["tree"][name].array() for name in file["tree"].keys() if not name.startswith("npart")}
    columns["part_d0val"] = columns["part_d0val"][:, :3]
    with uproot.recreate(path) as file:
        file.mktree("tree", columns)
    with pytest.raises(AssertionError, match=r"bad.root, branch part_d0val, entry \d+: has 3 values, but part_px has \d+"):
        run("convert", path, tmp_path / "out.pando", "--quiet")


def test_a_branch_of_another_type_is_refused(tmp_path):
    path = jetclass.write_root(tmp_path / "bad.root", 6, 30, np.zeros(30), without=["jet_eta"])
    with pytest.raises(AssertionError, match="bad.root.*jet_eta"):
        run("convert", path, tmp_path / "out.pando", "--quiet")
    with uproot.open(path) as file:
        columns = {name: file["tree"][name].array() for name in file["tree"].keys() if not name.startswith("npart")}
    with uproot.recreate(path) as file:
        file.mktree("tree", columns | {"jet_eta": np.zeros(30)})
    with pytest.raises(AssertionError, match="branch jet_eta: holds .*expected float32"):
        run("convert", path, tmp_path / "out.pando", "--quiet")
