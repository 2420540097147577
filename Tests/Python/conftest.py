"""What the tests of the Python package share. They run where the wheel was installed and nothing of Swift is."""
import json
import os
import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest

import pando

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples/aoj_sample.h5"
#: Loads the same with the Swift loader and writes what its batches hold.
PROBE = pathlib.Path(os.environ.get("PANDO_PROBE", ROOT / ".build/release/loader-probe"))
RELEASED = [
    {"name": "part_pt", "func": "log", "inv_func": "exp", "subtract_by": 1.8},
    {"name": "part_etarel", "larger_than": -0.8, "smaller_than": 0.8, "multiply_by": 3},
    {"name": "part_phirel", "larger_than": -0.8, "smaller_than": 0.8, "multiply_by": 3},
]
CODES = 32


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """1,727 jets of AspenOpenJets in 14 record batches."""
    path = tmp_path_factory.mktemp("sample") / "aoj.pando"
    pando.convert(SAMPLE, path, batch_rows=128)
    return path


@pytest.fixture(scope="session")
def tokens(tmp_path_factory):
    """900 jets of codes, with a class."""
    folder = tmp_path_factory.mktemp("tokens")
    random = np.random.default_rng(5)
    counts = random.integers(1, 40, 900)
    codes = np.zeros((900, 40, 1), np.int16)
    here = np.arange(40) < counts[:, None]
    codes[..., 0][here] = random.integers(1, CODES, counts.sum())
    with h5py.File(folder / "codes.h5", "w") as file:
        file["parts"] = codes
        file["jets"] = random.integers(0, 3, (900, 1)).astype(np.int32)
    schema = {
        "name": "codes", "description": "codes of jets", "format": "hdf5",
        "datasets": [
            {"path": "jets", "type": "int32", "role": "label", "columns": [{"name": "kind"}]},
            {"path": "parts", "type": "int16", "role": "constituent", "columns": [{"name": "code"}]},
        ],
    }
    (folder / "codes.json").write_text(json.dumps(schema))
    pando.convert(folder / "codes.h5", folder / "codes.pando", schema=folder / "codes.json", batch_rows=64)
    return folder / "codes.pando"


def memory():
    """Resident bytes of this process that are not of files."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))


def threads():
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))


def run(program, *arguments, status=0, environment=None, **options):
    """Runs a program in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env={**os.environ, **(environment or {})}, **options,
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr
