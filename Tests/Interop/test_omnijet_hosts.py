"""Trainings over several machines: here two network namespaces with names, addresses and a wire of their own."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from test_omnijet import OMNIJET, metrics
from test_omnijet_ranks import ENVIRONMENT, SILENCE, alone, data, same, wait_for_step, words  # noqa: F401

NAMES = ["node1", "node2"]


def address(number):
    return f"10.77.31.{number + 1}"


class Hosts:
    """Two machines with a wire between them, on which nothing else is."""

    def __init__(self, folder):
        self.spaces = [f"pando-{os.getpid()}-{name}" for name in NAMES]
        self.ends = [f"pd{os.getpid() % 10**8}{name[-1]}" for name in NAMES]
        self.folder = folder

    def __enter__(self):
        for space in self.spaces:
            self.ip("netns", "add", space)
        self.ip("link", "add", self.ends[0], "type", "veth", "peer", "name", self.ends[1])
        for number, (space, end) in enumerate(zip(self.spaces, self.ends)):
            self.ip("link", "set", end, "netns", space)
            self.ip("-n", space, "addr", "add", f"{address(number)}/24", "dev", end)
            self.ip("-n", space, "link", "set", end, "up")
            self.ip("-n", space, "link", "set", "lo", "up")
            # As Debian's installer writes it: a machine's own name is an address that only itself can reach.
            others = "".join(f"{address(other)} {NAMES[other]}\n" for other in range(len(NAMES)) if other != number)
            (self.folder / f"{NAMES[number]}.hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {NAMES[number]}\n{others}")
        return self

    def __exit__(self, *_):
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL)

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def start(self, number, command, **options):
        inside = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'
        return subprocess.Popen(
            ["ip", "netns", "exec", self.spaces[number], "unshare", "--uts", "--mount", "--kill-child", "sh", "-c", inside, "sh", NAMES[number],
             self.folder / f"{NAMES[number]}.hosts", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def cut(self):
        """Pulls the plug: what is sent is lost, and no connection is told."""
        self.ip("-n", self.spaces[1], "link", "set", self.ends[1], "down")


def impossible():
    if not OMNIJET.exists():
        return "omnijet is not built"
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "no ip or unshare here"
    name = f"pando-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "no network namespaces can be made here; as root they can"
    subprocess.run(["ip", "netns", "del", name])
    return None


pytestmark = pytest.mark.skipif((reason := impossible()) is not None, reason=reason or "")


@pytest.fixture
def hosts(tmp_path):
    with Hosts(tmp_path) as found:
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


@pytest.mark.parametrize("master", [f"{address(0)}:29500", "node1:29500"])
def test_two_machines_give_the_losses_of_one_process(hosts, data, alone, tmp_path, master):  # noqa: F811
    with training(hosts, data, tmp_path, master) as ranks:
        for status, errors in ends(ranks):
            assert status == 0, errors
    same(alone("pretrain"), metrics(tmp_path / "run"))


def test_a_wire_that_breaks_ends_both_and_they_go_on(hosts, data, alone, tmp_path):  # noqa: F811
    with training(hosts, data, tmp_path, "node1:29500") as ranks:
        wait_for_step(tmp_path / "run", 13)
        for rank in ranks:
            rank.send_signal(signal.SIGSTOP)
        hosts.cut()
        for rank in ranks:
            rank.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        found = ends(ranks)
        assert time.monotonic() - begin < 3 * SILENCE + 10
    (first, at_first), (second, at_second) = found
    assert first == second == 1, found
    assert "rank 1 (node2, process" in at_first and "no sign of life" in at_first
    assert "rank 0 (node1, process" in at_second
    hosts.ip("-n", hosts.spaces[1], "link", "set", hosts.ends[1], "up")
    with training(hosts, data, tmp_path, "node1:29500") as ranks:
        for status, errors in ends(ranks):
            assert status == 0, errors
    same(alone("pretrain"), metrics(tmp_path / "run"))
