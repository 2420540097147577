"""Converting damaged ROOT files ends in a dataset or in an error that names the file: never in a crash, never in a hang."""
import os
import random
import subprocess

import numpy as np
import pytest

import jetclass
import pfnano
from conftest import BINARY

ROUNDS = int(os.environ.get("PANDO_FUZZ_CONVERT", "300"))
SEED = int(os.environ.get("PANDO_SEED", "5"))


def write(kind, path):
    """A small file without compression: damage reaches the numbers, not checksums."""
    if kind == "jetclass":
        return jetclass.write_root(path, 1, 30, np.arange(30) % 10, slots=8, compression=None)
    scalars, collections = pfnano.made(1, 30, simulation=True)
    return pfnano.write(path, scalars, collections, pfnano.runs(30, scalars["genWeight"]), compression=None)


@pytest.mark.parametrize("kind", ["jetclass", "pfnano"])
def test_damaged_files_end_in_a_dataset_or_an_error(tmp_path, kind):
    whole, chance = write(kind, tmp_path / "whole.root").read_bytes(), random.Random(SEED)
    path, out = tmp_path / "bad.root", tmp_path / "out.pando"
    refused = 0
    options = ["--match", chance.choice(["top", "W"])] if kind == "pfnano" else []
    for number in range(ROUNDS):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(data))
            data[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        if chance.random() < 0.1:
            data = data[: chance.randrange(len(data))]
        path.write_bytes(data)
        command = [BINARY, "convert", path, out, "--schema", kind, "--quiet", "--no-parity", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1), f"round {number}, seed {SEED}: status {done.returncode}\n{done.stderr}"
        if done.returncode == 1:
            refused += 1
            assert "bad.root" in done.stderr, done.stderr
        subprocess.run(["rm", "-rf", out], check=True)
    assert 0 < refused < ROUNDS
