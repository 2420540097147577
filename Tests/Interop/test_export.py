"""`pando export` gives the input files back: the same numbers, types and storage."""
import h5py
import numpy as np
import pytest

import aoj
from conftest import SAMPLE, aoj_files, convert, each_file, has_command, run

pytestmark = pytest.mark.skipif(not has_command("export"), reason="this build has no 'pando export'")

STORAGE = ("dtype", "shape", "maxshape", "chunks", "compression", "compression_opts", "shuffle", "fletcher32")


def exported(dataset, directory):
    run("export", dataset.path, directory)
    return sorted(path for path in directory.rglob("*") if path.is_file())


def assert_same_file(ours, theirs):
    with h5py.File(ours, "r") as found, h5py.File(theirs, "r") as expected:
        assert list(found) == list(expected)
        for name in expected:
            for property in STORAGE:
                assert getattr(found[name], property) == getattr(expected[name], property), (name, property)
            assert found[name][()].tobytes() == expected[name][()].tobytes(), name
            assert dict(found[name].attrs) == dict(expected[name].attrs), name


@each_file
def test_a_file_comes_back(converted, tmp_path, path):
    (ours,) = exported(converted(path), tmp_path / "out")
    assert ours.name == path.name
    assert_same_file(ours, path)


def test_interleaved_files_come_back_each_in_its_own_order(tmp_path):
    inputs = aoj_files()
    if len(inputs) == 1:
        info, jets, constituents = aoj.stored(SAMPLE)
        inputs.append(aoj.write(tmp_path / "b.h5", constituents[:500], event_info=info[:500], jets=jets[:500]))
    dataset = convert(tmp_path / "in.pando", inputs, "--batch-rows", "300", "--shard-size", "1MiB")
    files = exported(dataset, tmp_path / "out")
    assert [path.name for path in files] == sorted(path.name for path in inputs)
    for ours, path in zip(files, sorted(inputs, key=lambda path: path.name)):
        assert_same_file(ours, path)


def test_random_bits_and_other_storage_come_back(tmp_path):
    random = np.random.default_rng(3)
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("event_info", data=random.integers(0, 2**62, (77, 3)))
        file.create_dataset("jet_kinematics", data=aoj.random_bits(random, (77, 4)), chunks=(10, 4), shuffle=True, compression=9)
        file.create_dataset("jet_tagging", data=aoj.random_bits(random, (77, 13)), chunks=(77, 13), fletcher32=True)
        data = aoj.random_constituents(3, 77)
        file.create_dataset("PFCands", data=data, chunks=(8, 150, 11), maxshape=(100, 150, 11), compression="gzip", shuffle=True)
    (ours,) = exported(convert(tmp_path / "in.pando", [path]), tmp_path / "out")
    assert_same_file(ours, path)
