"""Readers of Arrow that know nothing of Pando open the shards and see the numbers of the HDF5 files."""
import subprocess
import sys

import awkward as ak
import duckdb
import h5py
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.feather
import pytest

import decode
from conftest import DATA, each_file, run

REFERENCE = DATA.parent / "design/encoding_reference.py"
LISTS = ["pt", "deta", "dphi", "pdgId", "charge", "d0", "d0Err", "dz", "dzErr", "puppiWeight"]


def read(path):
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def whole(dataset):
    return pa.concat_tables([read(path) for path in dataset.shards])


def from_h5(path, table):
    return decode.h5_fields(path, decode.encoding(table)["fields"])


@each_file
def test_decoding_gives_the_input_back_bit_for_bit(converted, path):
    table = whole(converted(path))
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))


@each_file
def test_verify_finds_it_lossless(converted, path):
    assert "sound" in run("verify", "--lossless", converted(path).path)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference program for the encoding is not here")
@each_file
def test_the_reference_program_agrees(converted, path):
    (shard,) = converted(path).shards
    done = subprocess.run([sys.executable, REFERENCE, "compare", path, shard], capture_output=True, text=True)
    assert done.stdout.strip() == "identical", done.stdout + done.stderr


@each_file
def test_event_and_jet_columns_are_those_of_h5py(converted, path):
    table = whole(converted(path))
    with h5py.File(path, "r") as file:
        info, kinematics, tagging = (file[name][()] for name in ("event_info", "jet_kinematics", "jet_tagging"))
    names = [field["name"] for field in decode.encoding(table)["fields"] if field["role"] != "constituent"]
    assert len(names) == 3 + 4 + 13
    for number, name in enumerate(names):
        expected = np.hstack([info.astype(object), kinematics.astype(object), tagging.astype(object)])[:, number]
        assert (table[name].to_numpy() == expected).all(), name


@each_file
def test_pyarrow_opens_shards_in_every_way(converted, path):
    dataset = converted(path)
    for shard in dataset.shards:
        mapped = read(shard)
        mapped.validate(full=True)
        with pa.OSFile(str(shard)) as source:
            assert pa.ipc.open_file(source).read_all().equals(mapped)
        assert pa.ipc.open_file(shard.read_bytes()).read_all().equals(mapped)
        assert pa.feather.read_table(str(shard)).equals(mapped)
        columns = ["jet_pt", "deta", "puppiWeight"]
        numbers = sorted(mapped.column_names.index(name) for name in columns)
        options = pa.ipc.IpcReadOptions(included_fields=numbers)
        with pa.memory_map(str(shard)) as source:
            some = pa.ipc.open_file(source, options=options).read_all()
        assert some.equals(mapped.select(numbers))
        some.validate(full=True)
    arrow = pyarrow.dataset.dataset([str(shard) for shard in dataset.shards], format="ipc")
    assert arrow.to_table().equals(whole(dataset))
    assert arrow.count_rows() == dataset.catalogue["rows"]
    cut = pc.field("jet_pt") > 500
    assert arrow.to_table(filter=cut, columns=["dphi"]).num_rows == (whole(dataset)["jet_pt"].to_numpy() > 500).sum()


@each_file
def test_polars_sees_the_same(converted, path):
    for shard in converted(path).shards:
        table = read(shard)
        for frame in (pl.read_ipc(shard), pl.read_ipc(shard, use_pyarrow=True), pl.scan_ipc(shard).collect()):
            for name in ("run", "jet_pt", "n_constituents"):
                assert (frame[name].to_numpy() == table[name].to_numpy()).all(), name
            for name in LISTS:
                ours = frame[name].explode(empty_as_null=False).to_numpy()
                assert np.array_equal(ours, decode.flat(table, name)), name
        some = pl.scan_ipc(shard).select("dphi").collect()
        assert np.array_equal(some["dphi"].explode(empty_as_null=False).to_numpy(), decode.flat(table, "dphi"))


@each_file
def test_awkward_sees_the_same(converted, path):
    for shard in converted(path).shards:
        table = read(shard)
        for array in (ak.from_arrow(table), ak.from_feather(str(shard))):
            assert len(array) == table.num_rows
            assert (ak.to_numpy(array.event) == table["event"].to_numpy()).all()
            for name in LISTS:
                assert np.array_equal(ak.to_numpy(ak.num(array[name])), decode.lengths(table, name)), name
                assert np.array_equal(ak.to_numpy(ak.flatten(array[name])), decode.flat(table, name)), name


@each_file
def test_duckdb_sees_the_same_once_float16_is_cast(converted, path):
    table = whole(converted(path))
    for number, field in enumerate(table.schema):
        if field.type == pa.list_(pa.field("item", pa.float16(), nullable=False)):
            table = table.set_column(number, field.name, table[field.name].cast(pa.list_(pa.float32())))
    connection = duckdb.connect()
    connection.register("jets", table)
    for name in LISTS:
        rows = connection.execute(f"select sum(x), count(x) from (select unnest({name})::double as x from jets)").fetchone()
        values = decode.flat(table, name).astype(np.float64)
        assert rows[1] == len(values) and rows[0] == pytest.approx(values.sum(), rel=1e-12, abs=1e-9), name
    counts, _ = decode.table_fields(whole(converted(path)))
    assert connection.execute("select sum(len(pt)), max(run) from jets").fetchone() == (
        counts.sum(),
        table["run"].to_numpy().max(),
    )


@each_file
def test_five_lines_suffice_within_their_tolerances(converted, path):
    """The formulas of docs/reading-shards.md, which leave exceptions and corrections out."""
    table = whole(converted(path))
    counts, exact = from_h5(path, table)
    exact = {name: values.astype(np.float64) for name, values in exact.items()}
    jet_eta, jet_phi = (np.repeat(exact[name], counts) for name in ("jet_eta", "jet_phi"))
    mass = np.zeros(counts.sum())
    for code, value in ((211, 0.1395263671875), (13, 0.105712890625), (11, 0.00051116943359375)):
        mass[np.abs(exact["pdgId"]) == code] = value

    pt = decode.flat(table, "pt").astype(np.float64)
    eta = (decode.flat(table, "deta") + np.rint(jet_eta * 32767 / 6)) * 6 / 32767
    phi = (decode.flat(table, "dphi") + np.rint(jet_phi * 32767 / 3.2)) * 3.2 / 32767
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)

    # An energy with another mass does not follow from these columns; such are rare. Angles always do.
    jet = np.repeat(np.arange(len(counts)), decode.lengths(table, "x_pos"))
    place = (np.cumsum(counts) - counts)[jet] + decode.flat(table, "x_pos")
    energy_follows = np.ones(len(pt), bool)
    energy_follows[place[decode.flat(table, "x_field") == 3]] = False
    assert np.count_nonzero(~energy_follows) <= 1e-2 * len(pt)

    true_pt = np.hypot(exact["px"], exact["py"])
    true_eta = np.arcsinh(exact["pz"] / true_pt)
    true_phi = np.arctan2(exact["py"], exact["px"])
    # One lattice step, and half a step of the 12-bit grid that CMS rounds to.
    eta_tolerance = 6 / 32767 + np.abs(true_eta) * 2.0**-13
    phi_tolerance = 3.2 / 32767 + np.abs(true_phi) * 2.0**-13

    def within(found, expected, tolerance, where=slice(None)):
        assert (np.abs(found - expected) <= tolerance)[where].all()

    within(pt, true_pt, 1e-7 * true_pt)  # what float32 px and py leave of it
    within(eta, true_eta, eta_tolerance)
    within(np.angle(np.exp(1j * (phi - true_phi))), 0, phi_tolerance)
    within(px, exact["px"], 1.01 * pt * phi_tolerance)
    within(py, exact["py"], 1.01 * pt * phi_tolerance)
    within(pz, exact["pz"], 1.01 * pt * np.cosh(true_eta) * eta_tolerance)
    within(energy, exact["E"], (1e-5 + 1.01 * eta_tolerance) * exact["E"], energy_follows)
    for name in ("d0", "d0Err", "dz", "dzErr", "charge", "pdgId", "puppiWeight"):
        assert np.abs(decode.flat(table, name).astype(np.float64) - exact[name]).max() <= 2.0**-25, name
