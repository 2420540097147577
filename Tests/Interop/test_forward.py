"""The forward layout: momenta as residuals of pt, deta, dphi, and flags as one code, give the same bits back."""
import numpy as np
import pytest

import decode
import jetclass
from conftest import run, convert
from test_export import assert_same_file, exported
from test_lossless import storage
from test_readers import from_h5, whole


def names(path):
    return f"{path.parent.name}_{path.stem}"


def converted(tmp_path, content, *options, **changes):
    """Converts arrays; proves the dataset lossless; gives it with its table and the HDF5 file."""
    path = jetclass.write(tmp_path / "in.h5", *content)
    schema = jetclass.schema(tmp_path / "schema.json", **changes)
    dataset = convert(tmp_path / "out.pando", [path], "--schema", schema, *options)
    assert "sound" in run("verify", "--lossless", dataset.path)
    return dataset, whole(dataset), path


def assert_comes_back(tmp_path, dataset, table, path):
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))
    (ours,) = exported(dataset, tmp_path / "exported")
    assert_same_file(ours, path)


def joined(*contents):
    return [np.concatenate(parts) for parts in zip(*contents)]


@pytest.mark.parametrize("path", jetclass.FILES, ids=names)
def test_files_of_jetclass_come_back(tmp_path, path):
    dataset, table, h5 = converted(tmp_path, jetclass.read(path))
    kinds = storage(table)
    assert {kinds[name] for name in jetclass.MOMENTA} == {"forward"}
    assert {kinds[name] for name in jetclass.FLAGS} == {"flags"} and kinds["part_charge"] == "int8"
    assert_comes_back(tmp_path, dataset, table, h5)
    found, constituents = dataset.catalogue["exceptions"], dataset.catalogue["constituents"]
    assert max(found[name] for name in jetclass.MOMENTA) < 0.005 * constituents
    assert found["part_energy"] == 0 and not any(found[name] for name in jetclass.FLAGS)


def test_jets_that_look_like_jetclass_come_back(tmp_path):
    dataset, table, path = converted(tmp_path, jetclass.made(1, 500), "--batch-rows", "128")
    assert storage(table)["part_px"] == storage(table)["part_energy"] == "forward"
    assert_comes_back(tmp_path, dataset, table, path)


@pytest.mark.parametrize("seed", range(3))
def test_random_bits_come_back(tmp_path, seed):
    dataset, table, path = converted(tmp_path, jetclass.noise(seed, 100))
    assert set(storage(table).values()) == {"plain"}, "nobody predicts these"
    assert_comes_back(tmp_path, dataset, table, path)


@pytest.mark.parametrize("seed", range(3))
def test_random_bits_behind_rows_that_look_like_jetclass_come_back(tmp_path, seed):
    """The layout is chosen from the first 4,096 rows; what comes later must not be lost by that choice."""
    content = joined(jetclass.made(seed, 4096, 20), jetclass.noise(seed, 200, 20))
    dataset, table, path = converted(tmp_path, content)
    assert storage(table)["part_px"] == "forward" and storage(table)["part_isMuon"] == "flags"
    assert_comes_back(tmp_path, dataset, table, path)
    found = dataset.catalogue["exceptions"]
    numbers = np.bincount(decode.flat(table, "x_field"), minlength=16)
    assert [found[name] for name in jetclass.FLOATS + jetclass.FLAGS] == numbers.tolist()
    assert found["part_px"] > 3000 and found["part_energy"] > 3000 and found["part_isMuon"] > 500


def test_single_wild_values_come_back(tmp_path):
    """Among jets that fit: one value of each kind in each column, so that predictions of the others meet it."""
    jets, parts, flags = jetclass.made(5, 1500)
    wild = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 3.4e38, 1000.5, -20.5], np.float32)
    random = np.random.default_rng(5)
    real = np.argwhere(flags.any(2))
    for number, value in enumerate(np.repeat(wild, 6)):
        row, slot = real[random.integers(len(real))]
        parts[row, slot, number % 6] = value
    for number, value in enumerate(wild):
        jets[number, 1 + number % 2] = value
    dataset, table, path = converted(tmp_path, (jets, parts, flags))
    assert storage(table)["part_px"] == "forward"
    assert_comes_back(tmp_path, dataset, table, path)


def test_energies_of_other_masses_are_stored_as_they_are(tmp_path):
    jets, parts, flags = jetclass.made(2, 300)
    parts[..., 3] *= np.float32(1.01)
    dataset, table, path = converted(tmp_path, (jets, parts, flags))
    assert storage(table)["part_px"] == "forward" and storage(table)["part_energy"] == "plain"
    assert "energy_ulp" not in table.column_names and "part_energy" in table.column_names
    assert_comes_back(tmp_path, dataset, table, path)


def test_momenta_that_do_not_follow_leave_flags_folded(tmp_path):
    jets, parts, flags = jetclass.made(3, 300)
    parts[..., 0] *= np.float32(1.01)
    dataset, table, path = converted(tmp_path, (jets, parts, flags))
    assert {storage(table)[name] for name in jetclass.MOMENTA} == {"plain"}
    assert storage(table)["part_isPhoton"] == "flags" and "pt" not in table.column_names
    assert_comes_back(tmp_path, dataset, table, path)


def test_flags_that_are_not_alone_leave_momenta_predicted(tmp_path):
    jets, parts, flags = jetclass.made(4, 300)
    flags[..., 0] |= flags[..., 2]
    dataset, table, path = converted(tmp_path, (jets, parts, flags))
    kinds = storage(table)
    assert kinds["part_isPhoton"] == "plain" and kinds["part_px"] == "forward"
    assert kinds["part_energy"] == "plain", "no code says which mass"
    assert_comes_back(tmp_path, dataset, table, path)


@pytest.mark.parametrize("options", [("--offsets", "separate"), ("--codec", "none"), ("--codec", "lz4"), ("--batch-rows", "7")])
def test_every_way_of_storing_gives_the_same_jets(tmp_path, options):
    dataset, table, path = converted(tmp_path, jetclass.made(6, 60), *options)
    assert_comes_back(tmp_path, dataset, table, path)


def test_no_constituents_come_back(tmp_path):
    jets, parts, flags = jetclass.made(7, 9)
    dataset, table, path = converted(tmp_path, (jets, parts * 0, flags * 0))
    assert_comes_back(tmp_path, dataset, table, path)


def test_a_stranger_reads_momenta_from_pt_and_angles(tmp_path):
    content = jetclass.read(jetclass.FILES[0]) if jetclass.FILES else jetclass.made(8, 300)
    _, table, path = converted(tmp_path, content)
    counts, fields = from_h5(path, table)
    axis = {name: np.repeat(table[name].to_numpy().astype(float), counts) for name in ("jet_eta", "jet_phi")}
    pt, deta, dphi = (decode.flat(table, name).astype(float) for name in ("pt", "part_deta", "part_dphi"))
    phi = axis["jet_phi"] + dphi
    eta = axis["jet_eta"] + np.where(axis["jet_eta"] > 0, deta, -deta)
    for name, value in ("px", pt * np.cos(phi)), ("py", pt * np.sin(phi)), ("pz", pt * np.sinh(eta)):
        assert np.abs(value - fields[f"part_{name}"]).max() <= 1e-6 * (pt * np.cosh(eta)).max(), name


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"flags": jetclass.FLAGS[:4]}, "five in 'flags'"),
        ({"flags": jetclass.FLAGS[:4] + ["part_charge"]}, "'part_charge', which is no int32 column"),
        ({"angles": ["part_deta", "jet_phi"]}, "names a column twice"),
        ({"angles": ["part_deta", "part_phi"]}, "'part_phi', which is no float32 column"),
        ({"angles": ["part_deta", "part_charge"]}, "is to be narrowed"),
        ({"masses": [{"pid": 6, "mass": 1}]}, "forward.masses"),
        ({"masses": [{"pid": 0, "mass": -1}]}, "forward.masses"),
    ],
)
def test_schemas_that_do_not_fit_are_refused(tmp_path, changes, message):
    path = jetclass.write(tmp_path / "in.h5", *jetclass.made(9, 5))
    schema = jetclass.schema(tmp_path / "schema.json", **changes)
    with pytest.raises(AssertionError, match=message):
        run("convert", path, tmp_path / "out.pando", "--schema", schema, "--quiet")
    assert not (tmp_path / "out.pando").exists()
