"""Rank and world size as launchers leave them: the first that is there, and never local ranks.

The table is the one that the Swift tests read (Tests/Data/ranks.json).
"""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import pando
from conftest import ROOT, run

TABLE = json.loads((ROOT / "Tests/Data/ranks.json").read_text())
LAUNCHERS = ("RANK", "WORLD", "OMPI", "SLURM", "PMI", "LOCAL", "MPI")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}

#: Resolves rows of the table, all in one process.
PROGRAM = """
import contextlib, io, json, os, sys, pando
from pando import ranks
found = []
for row in json.loads(sys.argv[1]):
    os.environ.update(row["environment"])
    ranks._told.clear()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            for _ in range(2):
                got = pando.resolve_rank(*row.get("explicit", ()))
            outcome = {"rank": got.rank, "size": got.world_size, "origin": got.origin}
        except pando.LoaderError as error:
            outcome = {"error": str(error), "code": error.code}
    found.append({**outcome, "said": said.getvalue()})
    for name in row["environment"]:
        del os.environ[name]
print(json.dumps(found))
"""


def resolve(rows, stdin):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(rows)], env=CLEAN, capture_output=True, text=True, stdin=stdin, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found():
    """What the package finds for the rows of the table, in their order: launches, then failures."""
    rows = [*TABLE["launches"], *TABLE["failures"]]
    outcomes = resolve(rows, subprocess.DEVNULL)
    at_terminal = [number for number, row in enumerate(rows) if row.get("isInteractive")]
    # A terminal as standard input is what a shell in a step has.
    master, terminal = os.openpty()
    try:
        for number, outcome in zip(at_terminal, resolve([rows[number] for number in at_terminal], terminal), strict=True):
            outcomes[number] = outcome
    finally:
        os.close(master)
        os.close(terminal)
    return dict(zip(map(json.dumps, rows), outcomes, strict=True))


@pytest.mark.parametrize("row", TABLE["launches"], ids=lambda row: row["name"])
def test_each_launchers_variables_give_its_rank(row, found):
    outcome = found[json.dumps(row)]
    assert {name: outcome.get(name) for name in ("rank", "size", "origin")} == {name: row[name] for name in ("rank", "size", "origin")}
    # Printed once, though it was asked for twice; a process alone has nothing to say.
    lines = [row["warning"]] if "warning" in row else [row["says"]] if row["size"] > 1 else []
    assert outcome["said"].splitlines() == [f"pando: {line}" for line in lines]


@pytest.mark.parametrize("row", TABLE["failures"], ids=lambda row: row["error"])
def test_half_or_senseless_numbers_are_errors_that_name_them(row, found):
    assert found[json.dumps(row)] == {"error": row["error"], "code": "rank", "said": ""}


def test_the_table_has_rows_of_every_kind():
    assert len(TABLE["launches"]) >= 25 and len(TABLE["failures"]) >= 21
    assert sum(1 for row in TABLE["launches"] if row.get("isInteractive")) >= 1


def test_a_loader_takes_its_rank_from_the_launcher(sample):
    program = "import sys, pando; print(*(j for b in pando.Loader(sys.argv[1], 64, columns=[]) for j in b.jets))"
    parts = [run(program, sample, environment={"RANK": str(rank), "WORLD_SIZE": "2"})[0].split() for rank in range(2)]
    whole = [int(jet) for batch in pando.Loader(sample, 64, columns=[]) for jet in batch.jets]
    assert sorted(map(int, parts[0] + parts[1])) == sorted(whole) and not set(parts[0]) & set(parts[1])
    # Which part: that of the number, and not any part.
    for rank, part in enumerate(parts):
        loader = pando.Loader(sample, 64, columns=[], rank=rank, world_size=2)
        assert list(map(int, part)) == [int(jet) for batch in loader for jet in batch.jets]


def test_explicit_numbers_are_whole_and_come_in_pairs():
    assert pando.resolve_rank(np.int64(1), np.int32(3)) == pando.Rank(1, 3, "arguments")
    with pytest.raises(pando.LoaderError, match="rank is missing"):
        pando.resolve_rank(world_size=3)
    for wrong in (2**64 + 1, -(2**70), "1", 0.5):
        with pytest.raises(pando.LoaderError) as failure:
            pando.resolve_rank(wrong, 2)
        assert failure.value.code == "rank"
