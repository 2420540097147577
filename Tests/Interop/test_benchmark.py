"""The benchmark of loaders runs, and its peers hand out what is in the file: otherwise it would rot unseen."""
import json
import subprocess
import sys

from conftest import BINARY, ROOT


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
