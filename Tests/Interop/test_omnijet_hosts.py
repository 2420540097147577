"""Trainings over several machines, as far as one can be two."""
import contextlib
import time

import pytest

import machines
from test_omnijet import OMNIJET, metrics
from test_omnijet_ranks import ENVIRONMENT, LONG, SILENCE, alone, data, same, wait_for_step, words  # noqa: F401

reason = None if OMNIJET.exists() else "omnijet is not built"
reason = reason or machines.impossible()
pytestmark = pytest.mark.skipif(reason is not None, reason=reason or "")


@pytest.fixture
def hosts(tmp_path):
    with machines.TwoMachines(tmp_path) as found:
        yield found


@contextlib.contextmanager
def training(hosts, data, folder, master, *settings):  # noqa: F811
    """One rank on each machine."""
    common = ["--world-size", "2", "--master", master, "--join-timeout", "20"]
    ranks = [
        hosts.start(number, [OMNIJET, *words("pretrain", folder / "run", *settings), *common, "--rank", str(number)], cwd=data, env=ENVIRONMENT)
        for number in range(2)]
    try:
        yield ranks
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()


def ends(ranks, timeout=120):
    return [(rank.returncode, errors) for rank in ranks for _, errors in [rank.communicate(timeout=timeout)]]


@pytest.mark.parametrize("master", [f"{machines.address(0)}:29500", "node1:29500"])
def test_two_machines_give_the_losses_of_one_process(hosts, data, alone, tmp_path, master):  # noqa: F811
    with training(hosts, data, tmp_path, master) as ranks:
        for status, errors in ends(ranks):
            assert status == 0, errors
    same(alone("pretrain"), metrics(tmp_path / "run"))


def test_a_wire_that_breaks_ends_both_and_they_go_on(hosts, data, alone, tmp_path):  # noqa: F811
    with training(hosts, data, tmp_path, "node1:29500", *LONG) as ranks:
        wait_for_step(tmp_path / "run", 13)
        hosts.cut()
        assert all(rank.poll() is None for rank in ranks), "the run was over before the test could act"
        begin = time.monotonic()
        found = ends(ranks)
        assert time.monotonic() - begin < 3 * SILENCE + 10
    (first, at_first), (second, at_second) = found
    assert first == second == 1, found
    assert "rank 1 (node2, process" in at_first and "no sign of life" in at_first
    assert "rank 0 (node1, process" in at_second
    hosts.mend()
    with training(hosts, data, tmp_path, "node1:29500", *LONG) as ranks:
        for status, errors in ends(ranks):
            assert status == 0, errors
    same(alone("pretrain", *LONG), metrics(tmp_path / "run"))
