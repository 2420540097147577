"""Rank and world size as launchers leave them: the first that is there, and never local ranks."""
import os

import pytest

import pando
from conftest import run

PROGRAM = "import pando; found = pando.resolve_rank(); pando.resolve_rank(); print(found.rank, found.world_size, '|', found.origin)"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("RANK", "WORLD", "OMPI", "SLURM", "PMI", "LOCAL"))}


def resolve(status=0, **variables):
    """What a process with these variables finds; its standard input is no terminal."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**CLEAN, **variables}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == status, done.stderr
    return done.stdout.strip(), done.stderr.strip()


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, "0 1 | single process"),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "SLURM_PROCID": "0"}, "3 8 | RANK, WORLD_SIZE"),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, "1 4 | OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE"),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"}, "2 4 | SLURM_PROCID, SLURM_STEP_NUM_TASKS"),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "1 2 | PMI_RANK, PMI_SIZE"),
        ({"LOCAL_RANK": "1", "SLURM_LOCALID": "1"}, "0 1 | single process"),
    ],
)
def test_the_first_that_is_there_counts(variables, expected):
    out, said = resolve(**variables)
    assert out == expected
    # Printed once, though it was asked for twice.
    assert said.count("\n") == 0 and ("pando: rank" in said) == (" 1 |" not in expected)


def test_others_that_differ_are_mentioned():
    _, said = resolve(RANK="3", WORLD_SIZE="8", SLURM_PROCID="0", SLURM_STEP_NUM_TASKS="2", SLURM_NTASKS="2")
    assert said == "pando: rank 3 of 8 (RANK, WORLD_SIZE; SLURM_PROCID, SLURM_STEP_NUM_TASKS say 0 of 2)"


def test_a_batch_job_without_srun_is_one_process_and_says_so():
    out, said = resolve(SLURM_PROCID="0", SLURM_NTASKS="4")
    assert out == "0 1 | single process" and "SLURM_NTASKS=4, but this process was not started by srun" in said


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}])
def test_half_or_senseless_variables_are_errors_that_name_them(variables):
    _, said = resolve(status=1, **variables)
    assert "LoaderError" in said and next(iter(variables)) in said


def test_a_loader_takes_its_rank_from_the_launcher(sample):
    program = "import sys, pando; print(*(j for b in pando.Loader(sys.argv[1], 64, columns=[]) for j in b.jets))"
    parts = [run(program, sample, environment={"RANK": str(rank), "WORLD_SIZE": "2"})[0].split() for rank in range(2)]
    whole = [int(jet) for batch in pando.Loader(sample, 64, columns=[]) for jet in batch.jets]
    assert sorted(map(int, parts[0] + parts[1])) == sorted(whole) and not set(parts[0]) & set(parts[1])


def test_explicit_numbers_win():
    assert pando.resolve_rank(1, 3) == pando.Rank(1, 3, "arguments")
    with pytest.raises(pando.LoaderError, match="rank is missing"):
        pando.resolve_rank(world_size=3)
