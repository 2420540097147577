"""Whatever bits a file holds and whatever options are given: the same bits come back."""
import json

import h5py
import numpy as np
import pyarrow as pa
import pytest

import aoj
import decode
from conftest import DATA, SAMPLE, aoj_files, convert, run
from test_readers import from_h5, read, whole


def proven(directory, inputs, *options):
    dataset = convert(directory, inputs, *options)
    run("verify", "--lossless", dataset.path)
    return dataset


def storage(table):
    return {field["name"]: field["storage"] for field in decode.encoding(table)["fields"]}


@pytest.mark.parametrize("seed", range(5))
def test_random_bits_come_back(tmp_path, seed):
    path = aoj.write(tmp_path / "random.h5", aoj.random_constituents(seed, 300), seed)
    table = whole(proven(tmp_path / "out.pando", [path]))
    assert storage(table)["px"] == "plain", "nobody packed these momenta"
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))


@pytest.mark.parametrize("seed", range(3))
def test_random_bits_behind_rows_that_look_like_cms_come_back(tmp_path, seed):
    """The layout is chosen from the first 4,096 rows; what comes later must not be lost by that choice."""
    info, jets, constituents = aoj.stored(SAMPLE)
    odd = aoj.random_constituents(seed, 200)
    repeats = 4096 // len(info) + 1
    random = np.random.default_rng(seed)
    path = aoj.write(
        tmp_path / "odd.h5",
        np.concatenate([constituents] * repeats + [odd]),
        event_info=np.concatenate([info] * repeats + [random.integers(0, 2**62, (200, 3))]),
        jets=np.concatenate([jets] * repeats + [aoj.random_bits(random, (200, 17))]),
    )
    dataset = proven(tmp_path / "out.pando", [path])
    table = whole(dataset)
    assert storage(table)["px"] == "lattice" and storage(table)["d0"] == "float16"
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))
    found = dataset.catalogue["exceptions"]
    numbers = decode.flat(table, "x_field")
    assert [found[field["name"]] for field in decode.encoding(table)["fields"][:11]] == np.bincount(numbers, minlength=11).tolist()


@pytest.mark.parametrize("masses", ["other masses", "codes that are none"])
def test_momenta_of_cms_with_energies_or_codes_of_others_come_back(tmp_path, masses):
    info, jets, constituents = aoj.stored(SAMPLE)
    real = constituents.view(np.uint32).any(2)
    if masses == "other masses":
        constituents[..., 3][real] *= np.float32(1.01)
    else:
        constituents[..., 9][real] += np.float32(0.5)
    path = aoj.write(tmp_path / "odd.h5", constituents, event_info=info, jets=jets)
    table = whole(proven(tmp_path / "out.pando", [path]))
    assert storage(table)["px"] == "lattice"
    assert storage(table)["E" if masses == "other masses" else "pdgId"] == "plain"
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))


def test_momenta_without_a_lattice_come_back_with_their_sums(tmp_path):
    """The schema of generated jets: nothing is narrowed, but the axis is there."""
    random = np.random.default_rng(1)
    rows, path = 500, tmp_path / "made.h5"
    p = random.normal(size=(rows, 20, 4)).astype(np.float32)
    p[..., 3] = np.sqrt((p[..., :3].astype(float) ** 2).sum(-1))
    p[np.arange(20) >= random.integers(0, 21, rows)[:, None]] = 0
    with h5py.File(path, "w") as file:
        file["event_info"] = np.stack([np.zeros(rows), np.zeros(rows), np.arange(rows)], 1).astype(np.int64)
        file["jet_kinematics"] = random.normal(size=(rows, 4)).astype(np.float32)
        file["PFCands"] = p
    table = whole(proven(tmp_path / "out.pando", [path], "--schema", "generated"))
    assert set(storage(table).values()) == {"plain"} and "x_pos" not in table.column_names
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))
    x, y, z, energy = p.astype(float).sum(1).T
    pt = np.hypot(x, y)
    assert np.allclose(table["sum_pt"], pt, rtol=1e-6)
    assert np.allclose(table["sum_eta"], np.arcsinh(np.divide(z, pt, out=np.zeros_like(z), where=pt > 0)), rtol=1e-5, atol=1e-6)
    assert np.allclose(table["sum_mass"], np.sqrt(np.maximum(0, energy**2 - x**2 - y**2 - z**2)), rtol=1e-4, atol=1e-3)
    assert run("inspect", tmp_path / "out.pando", "--rows", "0")


@pytest.mark.parametrize("rows", [1, 2, 2047, 2048, 2049, 4097])
def test_any_number_of_rows_comes_back(tmp_path, rows):
    info, jets, constituents = (np.concatenate([values] * 3)[:rows] for values in aoj.stored(SAMPLE))
    path = aoj.write(tmp_path / "some.h5", constituents, event_info=info, jets=jets, chunk_rows=min(rows, 300))
    dataset = proven(tmp_path / "out.pando", [path])
    table = whole(dataset)
    assert dataset.catalogue["rows"] == table.num_rows == rows
    decode.assert_same_bits(decode.table_fields(table), from_h5(path, table))


def test_a_file_without_jets_and_jets_without_constituents_come_back(tmp_path):
    empty = aoj.write(tmp_path / "empty.h5", np.zeros((0, 150, 11), np.float32), chunk_rows=10)
    bare = aoj.write(tmp_path / "bare.h5", np.zeros((7, 150, 11), np.float32), chunk_rows=7)
    dataset = proven(tmp_path / "out.pando", [empty, bare])
    table = whole(dataset)
    counts, fields = decode.table_fields(table)
    assert counts.tolist() == [0] * 7 and dataset.catalogue["constituents"] == 0
    decode.assert_same_bits((counts, fields), from_h5(bare, table))


@pytest.mark.parametrize(
    "options",
    [
        ("--offsets", "separate"),
        ("--codec", "lz4"),
        ("--codec", "none"),
        ("--level", "1"),
        ("--level", "19"),
        ("--batch-rows", "100"),
        ("--shard-size", "256KiB", "--batch-rows", "200"),
        ("--no-parity",),
        ("--threads", "1"),
        ("--codec", "lz4", "--offsets", "separate", "--batch-rows", "7"),
    ],
    ids=" ".join,
)
def test_every_way_of_storing_gives_the_same_jets(tmp_path, sample, options):
    dataset = proven(tmp_path / "out.pando", [SAMPLE], *options)
    table = whole(dataset)
    table.validate(full=True)
    decode.assert_same_bits(decode.table_fields(table), from_h5(SAMPLE, table))
    assert ("shared-offsets" in dataset.catalogue["features"]) == ("separate" not in options)
    assert (dataset.path / "parity").exists() == ("--no-parity" not in options)
    if not {"--batch-rows", "--shard-size"} & set(options):
        # The fingerprint names the jets, however they are compressed.
        assert dataset.catalogue["fingerprint"] == sample.catalogue["fingerprint"]


def test_conversion_gives_the_same_bytes_again_on_any_number_of_threads(tmp_path):
    inputs = aoj_files()
    first = convert(tmp_path / "1.pando", inputs, "--threads", "1", "--batch-rows", "500")
    second = convert(tmp_path / "2.pando", inputs, "--threads", "3", "--batch-rows", "500")
    names = sorted(path.relative_to(first.path) for path in first.path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second.path) for path in second.path.rglob("*") if path.is_file())
    for name in names:
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name


@pytest.mark.parametrize("interleave", [1, 3, 16])
def test_interleaved_inputs_are_found_again_by_source_and_row(tmp_path, interleave):
    inputs = aoj_files()
    if len(inputs) == 1:  # only the sample is here: give it company
        info, jets, constituents = aoj.stored(SAMPLE)
        for part in range(3):
            rows = slice(part * 400, part * 400 + 300 + part)
            path = tmp_path / f"part{part}.h5"
            inputs.append(aoj.write(path, constituents[rows], event_info=info[rows], jets=jets[rows], chunk_rows=100))
    dataset = proven(tmp_path / "out.pando", inputs, "--interleave", interleave, "--batch-rows", "512", "--shard-size", "2MiB")
    catalogue = dataset.catalogue
    entries = catalogue["provenance"]["inputs"]
    assert [entry["name"] for entry in entries] == [str(path) for path in inputs]
    parts = []
    for shard, entry in zip(dataset.shards, catalogue["shards"]):
        table = read(shard)
        parts.append((table, decode.flat(table, "source").astype(int) + entry["sourceOffset"]))
    for number, path in enumerate(inputs):
        taken = 0
        for table, source in parts:
            mine = np.flatnonzero(source == number)
            if not len(mine):
                continue
            some = table.take(pa.array(mine))
            rows = some["source_row"].to_numpy()
            expected = decode.h5_fields(path, decode.encoding(table)["fields"], rows)
            decode.assert_same_bits(decode.table_fields(some), expected)
            taken += len(rows)
        assert taken == entries[number]["rows"] == entries[number]["rowsTaken"]
    if interleave > 1 and len(inputs) <= interleave:
        first = pa.ipc.open_file(str(dataset.shards[0])).get_batch(0)
        assert len(set(first.column("source").to_pylist())) == len(inputs), "a batch holds jets of every input"


def test_tasks_share_the_rows(tmp_path):
    seen = []
    for task in range(3):
        dataset = proven(tmp_path / f"{task}.pando", [SAMPLE], "--task", f"{task}/3")
        seen += whole(dataset)["source_row"].to_pylist()
    assert sorted(seen) == list(range(1727))


def test_another_layout_is_refused_with_its_reason(tmp_path):
    path = DATA / "h5/aoj_other_layout.h5"
    if not path.exists():
        pytest.skip("the file in another layout is not here")
    with pytest.raises(AssertionError, match="status 1"):
        run("convert", path, tmp_path / "out.pando")
    assert not (tmp_path / "out.pando/dataset.json").exists()


def test_what_convert_prints_as_json_is_true(tmp_path):
    printed = json.loads(run("convert", SAMPLE, tmp_path / "out.pando", "--json"))
    files = [path for path in (tmp_path / "out.pando").rglob("*") if path.is_file()]
    assert printed["rows"] == 1727
    assert printed["bytes"] == sum(path.stat().st_size for path in files)
    assert printed["inputBytes"] == SAMPLE.stat().st_size
    assert printed["ratio"] == pytest.approx(printed["bytes"] / printed["inputBytes"])
