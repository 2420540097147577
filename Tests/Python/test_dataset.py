"""Datasets in Python, held against h5py on the file that they were made of."""
import copy
import pickle
import threading

import h5py
import numpy as np
import pytest

import pando
from conftest import SAMPLE


@pytest.fixture(scope="module")
def source():
    """The original's columns as h5py reads them: constituents without padding."""
    with h5py.File(SAMPLE, "r") as file:
        candidates, jets, events = file["PFCands"][:], file["jet_kinematics"][:], file["event_info"][:]
    here = (candidates != 0).any(axis=2)
    return {
        "counts": here.sum(1), "px": candidates[..., 0][here], "charge": candidates[..., 8][here], "jet_pt": jets[:, 0],
        "run": events[:, 0], "event": events[:, 2],
    }


def test_it_says_what_it_is(sample, source):
    dataset = pando.Dataset(sample)
    assert len(dataset) == 1727 == len(source["run"]) and dataset.constituents == source["counts"].sum()
    assert sum(dataset.splits.values()) == 1727 and list(dataset.splits) == ["train", "val", "test"]
    assert len(dataset.fingerprint) == 16 and dataset.fingerprint == dataset.catalogue["fingerprint"]
    assert "1727 jets" in repr(dataset)
    px, pt = dataset.schema["px"], dataset.schema["jet_pt"]
    assert (px.dtype, px.role, px.unit, px.is_derived) == (np.float32, "constituent", "GeV", False)
    assert (pt.unit, pt.role) == ("GeV", "jet") and "transverse momentum" in pt.description
    assert dataset.schema["sum_pt"].is_derived and dataset.schema["event"].dtype == np.int64
    found = dataset.statistics["jet_pt"]
    assert (found.count, found.not_finite) == (1727, 0)
    assert found.minimum == source["jet_pt"].min() and found.maximum == source["jet_pt"].max()
    assert found.mean == pytest.approx(source["jet_pt"].mean(dtype=float))


@pytest.mark.parametrize("rows", [(0, 1727), (0, 1), (127, 129), (100, 900), (1726, 1727), (1000, 1000), (50, 40)])
def test_slices_are_the_original_bit_for_bit(rows, sample, source):
    first, last = rows
    ends = np.concatenate([[0], np.cumsum(source["counts"])])
    jets = pando.Dataset(sample)[first:last]
    last = max(first, last)
    assert (jets.counts == source["counts"][first:last]).all()
    assert jets.offsets[0] == 0 and len(jets.offsets) == last - first + 1
    for name in ("jet_pt", "run", "event"):
        assert jets[name].tobytes() == source[name][first:last].tobytes()
    for name in ("px", "charge"):
        assert jets[name].tobytes() == source[name][ends[first]:ends[last]].tobytes()


def test_a_jet_is_its_numbers_and_its_constituents(sample, source):
    dataset = pando.Dataset(sample)
    for row in (0, 5, 1726, -1, np.int64(7)):
        jet = dataset[row]
        assert jet["jet_pt"] == source["jet_pt"][row] and jet["event"] == source["event"][row]
        assert len(jet["px"]) == source["counts"][row]
    for row in (1727, -1728):
        with pytest.raises(IndexError, match="there is no jet"):
            dataset[row]
    with pytest.raises(ValueError, match="a step of 2"):
        dataset[::2]
    assert len(dataset[-10:].counts) == 10 and len(dataset[5:10**9].counts) == 1722


def test_columns_are_chosen_by_name(sample):
    jets = pando.Dataset(sample).read(10, 20, ["sum_pt", "px"])
    assert list(jets) == ["sum_pt", "px"] and len(jets["sum_pt"]) == 10
    with pytest.raises(KeyError, match="no column py was read; there are sum_pt, px"):
        jets["py"]
    with pytest.raises(pando.DatasetError, match="column nope: does not exist; there are px,"):
        pando.Dataset(sample).read(columns=["nope"])
    with pytest.raises(pando.DatasetError, match=r"rows 0..<2000: are not all there; the dataset has 1727 jets"):
        pando.Dataset(sample).read(0, 2000)
    for first, last in ((-1, 5), (-(2**70), 5), (2**64, 2**64 + 5), (0, 2**64 + 5), (2**63 - 1, 2**63 - 1)):
        with pytest.raises(pando.DatasetError, match="rows") as failure:
            pando.Dataset(sample).read(first, last)
        assert failure.value.code == "usage"


def test_arrays_outlive_what_they_came_from(sample, source):
    arrays = [pando.Dataset(sample)[row:row + 100]["jet_pt"] for row in range(0, 1700, 100)]
    assert (np.concatenate(arrays) == source["jet_pt"][:1700]).all()


def test_arrow_tables_lie_in_the_same_memory(sample, source):
    pa = pytest.importorskip("pyarrow")
    jets = pando.Dataset(sample)[100:300]
    table = jets.to_arrow()
    table.validate(full=True)
    assert table.num_rows == 200 and table.schema.field("px").type == pa.list_(pa.field("item", pa.float32()))
    assert table.schema.field("px").metadata[b"unit"] == b"GeV"
    for name in jets:
        column = table[name].chunk(0)
        if pa.types.is_list(column.type):
            assert column.buffers()[1].address == jets.offsets.__array_interface__["data"][0]
            column = column.values
        assert column.buffers()[1].address == jets[name].__array_interface__["data"][0], name
    assert table["px"].to_pylist()[7] == jets.jet(7)["px"].tolist()
    # Through the C interface, as polars and duckdb ask for it, in the same memory too.
    other = pa.table(jets)
    assert other.equals(table) and other["px"].chunk(0).values.buffers()[1].address == table["px"].chunk(0).values.buffers()[1].address
    kept = table["px"].chunk(0).values
    first = kept[0].as_py()
    del jets, table, other
    assert kept[0].as_py() == first == source["px"][np.cumsum(source["counts"])[99]]
    whole = pando.Dataset(sample).to_arrow(["event", "px"])
    assert (whole["event"].to_numpy() == source["event"]).all() and whole.column_names == ["event", "px"]


def test_stored_columns_are_those_that_pyarrow_reads(sample, tmp_path):
    pa = pytest.importorskip("pyarrow")
    plain = tmp_path / "plain.pando"
    pando.convert(SAMPLE, plain, codec="none")
    for path in (sample, plain):
        dataset = pando.Dataset(path)
        table = dataset.to_arrow(stored=True)
        shards = [pa.ipc.open_file(shard).read_all() for shard in sorted((path / "shards").iterdir())]
        assert table.equals(pa.concat_tables(shards))
        assert dataset.to_arrow(["jet_pt", "run"], stored=True).equals(table.select(["jet_pt", "run"]))
    before = pa.total_allocated_bytes()
    mapped = pando.Dataset(plain).to_arrow(stored=True)
    assert pa.total_allocated_bytes() - before < mapped.nbytes / 100
    with pytest.raises(KeyError, match="no column nope is stored"):
        pando.Dataset(plain).to_arrow(["nope"], stored=True)


def test_awkward_arrays_lie_in_the_same_memory(sample, source):
    ak = pytest.importorskip("awkward")
    jets = pando.Dataset(sample)[:50]
    array = jets.to_awkward()
    assert len(array) == 50 and array.fields == list(jets)
    assert ak.to_numpy(array.jet_pt).tobytes() == source["jet_pt"][:50].tobytes()
    assert (ak.to_numpy(ak.num(array.px)) == source["counts"][:50]).all()
    for name in jets:
        content = array.layout.content(name)
        if jets.fields[name].role == "constituent":
            assert content.offsets.data.__array_interface__["data"][0] == jets.offsets.__array_interface__["data"][0]
            content = content.content
        assert content.data.__array_interface__["data"][0] == jets[name].__array_interface__["data"][0], name
    px = array.px
    del jets, array, content
    assert ak.to_numpy(ak.flatten(px)).tobytes() == source["px"][: source["counts"][:50].sum()].tobytes()
    assert len(pando.Dataset(sample).to_awkward(["jet_pt"])) == 1727


def test_verifying_tells_its_progress(sample):
    told = []
    report = pando.Dataset(sample).verify(lossless=True, progress=lambda done, total: told.append((done, total)))
    assert report.is_sound and report.batches_decoded == 14 and report.lossy_columns == {} and report.bytes > 10**6
    assert told and all(done <= total for done, total in told)


def test_what_is_no_dataset_says_so(tmp_path):
    for path, text in ((tmp_path / "nope", "no such dataset"), (tmp_path, "is a directory without dataset.json")):
        with pytest.raises(pando.DatasetError, match=text) as failure:
            pando.Dataset(path)
        assert failure.value.code == "notADataset" and failure.value.file == str(path)
    with pytest.raises(ValueError, match="has a zero in it"):
        pando.Dataset("a\0b")
    again = pickle.loads(pickle.dumps(failure.value))
    assert str(again) == str(failure.value) and again.code == "notADataset"


def test_a_dataset_can_be_pickled(sample):
    dataset = pickle.loads(pickle.dumps(pando.Dataset(sample)))
    assert len(dataset[3:9].counts) == 6


def test_a_column_that_is_named_twice_is_read_once(sample, source):
    dataset = pando.Dataset(sample)
    jets = dataset.read(0, 100, ["px", "px", "jet_pt"])
    assert list(jets) == ["px", "jet_pt"] and (jets["jet_pt"] == source["jet_pt"][:100]).all()
    assert list(dataset.read(0, 3, "jet_pt")) == ["jet_pt"]
    assert dataset.to_arrow("jet_pt").column_names == ["jet_pt"]


def test_numbers_of_jets_are_whole_and_count_from_the_end_too(sample, source):
    dataset = pando.Dataset(sample)
    jets = dataset[0:5]
    for number in (-1, -5, np.int8(-2), np.uint8(4)):
        assert jets.jet(number)["jet_pt"] == source["jet_pt"][:5][number]
        assert len(jets.jet(number)["px"]) == source["counts"][:5][number]
    for number in (5, -6):
        with pytest.raises(IndexError, match=f"no jet {number} among these 5"):
            jets.jet(number)
    for number in (np.uint8(255), np.int8(127), np.int8(-1), np.uint64(3)):
        assert dataset[number]["jet_pt"] == source["jet_pt"][number]
    for key in ("jet_pt", [1, 5], (0, 1), np.array([1, 5]), 1.5):
        with pytest.raises(TypeError, match="by number or slice"):
            dataset[key]


def test_jets_are_copied_and_sent(sample):
    jets = pando.Dataset(sample)[10:20]
    for same in pickle.loads(pickle.dumps(jets)), copy.deepcopy(jets):
        assert same.rows == range(10, 20) and (same["px"] == jets["px"]).all() and (same.counts == jets.counts).all()
        assert same.to_arrow() == jets.to_arrow()


def test_threads_share_a_dataset_that_none_has_opened(sample, source):
    sent = pickle.dumps(pando.Dataset(sample))
    for _ in range(50):
        dataset, faults = pickle.loads(sent), []
        together = threading.Barrier(8)

        def work(number):
            together.wait()
            rows = slice(200 * number, 200 * number + 100)
            try:
                assert (dataset[rows]["jet_pt"] == source["jet_pt"][rows]).all()
            except BaseException as error:
                faults.append(error)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not faults


def test_arrow_takes_a_dataset_and_no_columns_have_rows(sample):
    pa = pytest.importorskip("pyarrow")
    with pando.Dataset(sample) as dataset:
        assert pa.table(dataset) == dataset.to_arrow()
        assert dataset.read(0, 5, []).to_arrow().num_rows == 5


def test_what_a_progress_raises_ends_verifying(sample):
    class Enough(Exception):
        pass

    def progress(done, total):
        seen.append(done)
        raise Enough

    for lossless in (False, np.bool_(True)):
        seen = []
        with pytest.raises(Enough):
            pando.Dataset(sample).verify(lossless=lossless, threads=2, progress=progress)
        # One more of each thread may have been on its way.
        assert len(seen) <= 2
