"""The benchmarks run, and their peers give what is in the files: otherwise they would rot unseen."""
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import uproot

import machines
from conftest import BINARY, DATA, ROOT, convert, run
from test_omnijet import OMNIJET

PROBE = BINARY.parent / "scale-probe"


def test_loaders_are_measured_beside_each_other(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/loader.py", "--quick", "--peers", "light", "--pando", BINARY,
         "--results", tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "loader.json").read_text())
    assert report["ours"].keys() == {"zstd", "none"}
    assert [peer["name"] for peer in report["peers"]] == ["h5py", "memmap"]
    for peer in report["peers"]:
        assert "notMeasured" not in peer, f"{peer['label']}: {peer['notMeasured']}"
        # Every peer has compared each of its jets with the truth before it counts.
        assert peer["checked"]["jets"] == report["jets"]
        assert peer["checked"]["constituents"] == report["constituents"]
        assert peer["cores"][0]["ratio"]["median"] > 0
        assert peer["label"] in done.stdout


@pytest.mark.skipif(not PROBE.exists(), reason="no scale-probe beside the tool")
def test_of_a_large_catalogue_each_jet_comes_once_over_128_ranks(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/scale.py", "--quick", "--constants", "--pando", BINARY, "--probe", PROBE, "--results", tmp_path,
         "--keep", tmp_path / "catalogue"], capture_output=True, text=True, timeout=120)
    # What must hold is held there: a bit for each jet, equal steps, what resuming gives, another world's global batch.
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "scale.json").read_text())
    ranks = report["ranks"]
    assert (ranks["seen"], ranks["repeated"], ranks["ranks"], ranks["resumed"]) == (180_000, 0, 128, 128)
    assert ranks["steps"] == [141] and ranks["sameBatch"] and len(ranks["processes"]) == 3
    assert report["recordBatches"] == 448 and report["shards"] == 50
    # Two are differences of times, which are as short as their errors here.
    assert {name for name, value in report["constants"].items() if value <= 0} <= {"taskCpuOnce", "taskCpuPerInput", "laterLoadCpuPerMillionJets"}
    # The catalogue is one that pyarrow reads too, and its shards are holes that verify finds.
    index = pa.ipc.open_file(tmp_path / "catalogue/whole.pando/index.arrow").read_all()
    assert index.num_rows == 448 and sum(index["rows"].to_pylist()) == 180_000
    assert len(set(index["content"].to_pylist())) > 400
    shard = tmp_path / "catalogue/task-000/shards/00000.arrow"
    assert shard.stat().st_blocks * 512 < shard.stat().st_size
    assert pa.ipc.open_file(shard).num_record_batches == report["recordBatches"] * 1 // 50
    checked = subprocess.run([BINARY, "verify", tmp_path / "catalogue/whole.pando"], capture_output=True, text=True)
    assert checked.returncode == 1 and "record batch" in checked.stdout + checked.stderr
    # One task that is missing is named before anything is made.
    tasks = sorted((tmp_path / "catalogue").glob("task-*"))
    joined = subprocess.run([BINARY, "index", *tasks[:3], *tasks[4:], "--into", tmp_path / "less"], capture_output=True, text=True)
    assert joined.returncode == 1 and "task 3 of 10 is missing" in joined.stderr and not (tmp_path / "less").exists()


@pytest.mark.skipif(not (DATA / "jetclass/train").is_dir(), reason="no ROOT files (PANDO_DATA)")
def test_root_files_are_measured_beside_uproot(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/root.py", "--jets", "300", "--events", "200", "--repeat", "1", "--without-root",
         "--kinds", "jetclass,pfnano-zlib", "--results", tmp_path, "--pando", BINARY],
        capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "root.json").read_text())
    assert report["open"]["uproot_over_ours"]["median"] > 1
    assert [one["entries"] for one in report["read"]] == [300, 200]
    for one in report["read"]:
        assert one["whole"]["uproot_over_ours"]["median"] > 0 and one["sliced"]["over_bare"]["median"] > 0.5
    # One line a number of cores; that both took the same jets has been looked at.
    assert {one["jets"] > 0 for one in report["convert"]} == {True}
    assert report["convert"][0]["jets"] == 300 and report["convert"][0]["bare"]["ratio"]["cpu"]["median"] > 0.5


@pytest.mark.skipif(not (DATA / "jetclass/train").is_dir(), reason="no ROOT files (PANDO_DATA)")
@pytest.mark.parametrize("schema, name", [("pfnano", "root/pfnano_data_2016G.root"), ("jetclass", "jetclass/train/TTBar_000.root")])
def test_the_conversion_with_uproot_takes_the_same_jets(tmp_path, schema, name):
    shard = convert(tmp_path / "ours", [DATA / name], "--schema", schema).shards[0]
    subprocess.run(
        [sys.executable, ROOT / "Benchmarks/peer_root.py", schema, DATA / name, tmp_path / "peer", "--processes", "1"],
        check=True, capture_output=True)
    peer = pq.read_table(tmp_path / "peer/00000.parquet")
    ours = pa.ipc.open_file(shard).read_all()
    pt, exact = ("pt", "puppiWeight") if schema == "pfnano" else ("jet_pt", "part_d0val")
    assert np.array_equal(ours["jet_pt"].to_numpy(), peer[pt].to_numpy())
    assert np.array_equal(ours[exact].combine_chunks().value_lengths(), peer[exact].combine_chunks().value_lengths())
    assert np.array_equal(
        ours[exact].combine_chunks().flatten().to_numpy().astype(np.float32), peer[exact].combine_chunks().flatten().to_numpy())


@pytest.mark.skipif(not (DATA / "jetclass/train").is_dir(), reason="no ROOT files (PANDO_DATA)")
def test_reading_of_named_branches_is_measured_and_others_are_named():
    path = DATA / "jetclass/train/TTBar_000.root"
    report = json.loads(run(
        "bench", "root", path, "--tree", "tree", "--columns", "part_px,jet_pt", "--repeat", "2", "--json"))
    assert report["columns"] == 2 and report["entries"] == 700 and len(report["rounds"]) == 2
    # 700 floats of jets and as many as there are constituents.
    with uproot.open(path) as file:
        constituents = int(file["tree"]["jet_nparticles"].array(library="np").sum())
    assert report["valueBytes"] == 4 * (700 + constituents)
    assert report["decodedBytes"] > report["valueBytes"]
    for wrong in (["--tree", "nothing"], ["--tree", "tree", "--columns", "part_nothing"]):
        done = subprocess.run([BINARY, "bench", "root", path, *wrong], capture_output=True, text=True)
        assert done.returncode == 1 and "nothing" in done.stderr and "does not exist" in done.stderr


@pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
def test_models_are_measured_beside_pytorch(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/model.py", "--quick", "--batch", "4", "--mean-length", "8", "--results", tmp_path, "--omnijet", OMNIJET],
        capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    works = json.loads((tmp_path / "model.json").read_text())["works"]
    assert works.keys() == {"training", "generation", "tokenising"}
    assert works["training"]["rounds"][0]["bfloat16"]["rates"][0]["jetsPerSecond"] > 0
    if "no PyTorch" not in done.stdout:
        assert works["training"]["float32 over peer"]["time"]["median"] > 1


@pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
def test_several_processes_are_measured_beside_one(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/ranks.py", "--quick", "--results", tmp_path, "--omnijet", OMNIJET, "--pando", BINARY],
        capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "ranks.json").read_text())
    assert len(report["ways"]) == (6 if machines.impossible() is None else 4)
    for name, way in report["ways"].items():
        assert way["tokensPerSecond"]["minimum"] > 0
        # One process waits for nobody.
        assert (way["reducing"]["median"] > 0) != name.startswith("1 process,")


def test_metrics_are_measured_beside_scipy(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/metrics.py", "--entries", "20000", "--bootstrap-entries", "2000", "--repeat", "1",
         "--results", tmp_path, "--pando", BINARY], capture_output=True, text=True, timeout=240)
    # Values and uncertainties of both are compared on the way.
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert {one["samples"].split(", ")[-1] for one in report["metrics"]} == {"float64", "float32 as float64", "whole numbers"}
    for one in [*report["metrics"], *report["bootstrap"]]:
        assert {ratio["median"] > 0 for name in ("w1", "kl") for ratio in one[f"{name}_peer_over_ours"].values()} == {True}


def test_observables_are_measured_beside_fastjet(tmp_path):
    pytest.importorskip("fastjet", reason="no fastjet (scripts/setup python)")
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks/observables.py", "--jets", "2000", "--peer-jets", "500", "--repeat", "1",
         "--results", tmp_path, "--pando", BINARY], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "observables.json").read_text())
    # Both come to the same numbers, of all that both compute.
    assert len(report["differences"]) == 18 and max(report["differences"].values()) < 1e-9
    assert report["cores"][0]["rounds"][0]["ours"]["jets"] == 2000
    assert report["cores"][0]["python_over_ours"]["cpu"]["median"] > 1
    assert "Python over pando" in done.stdout
