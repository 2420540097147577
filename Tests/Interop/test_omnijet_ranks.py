"""Trainings by several processes: the losses of one, whatever dies, and what does not fit together."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import decode
from conftest import ROOT, SAMPLE, Dataset, run
from test_omnijet import OMNIJET, metrics, omnijet, reached
from test_readers import whole

pytestmark = pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
# Ranks and the threads of libraries must not fight for cores.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SILENCE = 4
# Settings of a run that is still far from its end when a test has seen one of its steps and acts.
LONG = ["epochs=15"]
BACKBONE = {"vocabulary": 66, "width": 32, "blocks": 2, "heads": 4, "dropout": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with jets, tokens of them, and the configuration of each task: 50 steps, in parts, without dropout."""
    folder = tmp_path_factory.mktemp("ranks")
    run("convert", SAMPLE, folder / "jets.pando", "--quiet")
    shape = {"width": 16, "blocks": 1, "heads": 2, "codes": 64, "dropout": 0, "replaceFrequency": 7}
    steps = {"batch": 32, "part": 3, "epochSteps": 10, "epochs": 5, "checkpointSteps": 2, "logSteps": 1, "validation": {"limit": 64}}
    write(folder, "tokenizer", {"task": "tokenizer", "data": {"datasets": ["jets.pando"]}, "tokenizer": shape, **steps})
    omnijet("tokenizer", "train", "tokenizer.json", "--run", "tokenizer", "--quiet", cwd=folder)
    omnijet("tokenize", "tokenizer/best.safetensors", "jets.pando", "tokens.pando", "--quiet", cwd=folder)
    runs = np.unique(decode.flat(whole(Dataset(folder / "tokens.pando", [])), "run")).tolist()
    assert len(runs) > 1
    tokens = {"data": {"datasets": ["tokens.pando"]}, "backbone": BACKBONE, **steps}
    write(folder, "pretrain", {"task": "pretrain", **tokens})
    write(folder, "classify", {
        "task": "classify", "head": "classAttention", "label": "run", "labels": runs, "classes": len(runs), **tokens})
    return folder


def write(folder, name, configuration):
    (folder / f"{name}.json").write_text(json.dumps(configuration))


# Features for which most jets have no constituents.
HARD = {"name": "part_pt", "func": "log", "inv_func": "exp", "subtract_by": 1.8, "larger_than": 100}
ANGLES = [{"name": name, "multiply_by": 3, "larger_than": -0.8, "smaller_than": 0.8} for name in ("part_etarel", "part_phirel")]
COMMANDS = {"tokenizer": ["tokenizer", "train"], "pretrain": ["pretrain"], "classify": ["finetune", "--from", "scratch"]}


def words(task, directory, *settings):
    options = [word for setting in settings for word in ("--set", setting)]
    return [*COMMANDS[task], f"{task}.json", "--run", str(directory), "--quiet", "--json", "--silence", str(SILENCE), *options]


def launch(folder, ranks, words, **options):
    return subprocess.run(
        [OMNIJET, "launch", "-n", str(ranks), "--grace", "3", "--", *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=120, **options)


def same(ours, theirs):
    """Whether two lists of metrics have the same lines: losses to 1e-5, parts of them and norms, which rounding moves more, to 1e-3."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.keys() == b.keys() and a["step"] == b["step"]
        for name, value in a.items():
            if name in ("step", "jets", "rows", "empty", "rate"):
                assert value == b[name], (name, a, b)
            else:
                tolerance = 1e-5 if name in ("loss", "validation") else 1e-3
                assert abs(value - b[name]) <= tolerance * abs(value), (name, a, b)


@pytest.fixture(scope="module")
def alone(data):
    """The metrics of one process, made when they are asked for."""
    found = {}

    def ask(task, *settings):
        directory = "-".join(["alone", task, *settings])
        if directory not in found:
            omnijet(*words(task, directory, *settings), cwd=data)
            found[directory] = metrics(data / directory)
        return found[directory]

    return ask


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("task", COMMANDS)
def test_several_processes_give_the_losses_of_one(data, alone, tmp_path, task, ranks):
    done = launch(data, ranks, words(task, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert f"rank 0 of {ranks} (RANK, WORLD_SIZE)" in done.stderr and "rank 1:" not in done.stderr
    assert json.loads(done.stdout)["steps"] == 50
    lines = metrics(tmp_path / "run")
    assert len([line for line in lines if "loss" in line]) == 50
    same(alone(task), lines)


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("settings", [[], ["positions=released"]])
def test_a_rank_whose_part_of_a_batch_is_empty_takes_part_in_everything(data, tmp_path, ranks, settings):
    """Most jets and all of some ranks' parts have no constituents; codes die, and the first centres come from all."""
    write(data, "empty", {
        "task": "tokenizer", "data": {"datasets": ["jets.pando"], "emptyJets": "skip"},
        "tokenizer": {"width": 16, "blocks": 1, "heads": 2, "codes": 2, "dropout": 0, "replaceFrequency": 2},
        "features": {"axis": "constituents", "pad_length": 128, "features": [HARD, *ANGLES]},
        "batch": 8, "epochSteps": 10, "epochs": 2, "logSteps": 1, "validation": {"limit": 64, "emptyJets": "skip"}})
    command = ["tokenizer", "train", "empty.json", "--silence", str(SILENCE), *(word for one in settings for word in ("--set", one))]
    omnijet(*command, "--run", tmp_path / "alone", "--quiet", cwd=data)
    done = launch(data, ranks, [*command, "--run", str(tmp_path / "run"), "--quiet"])
    assert done.returncode == 0, done.stderr
    ours, theirs = metrics(tmp_path / "alone"), metrics(tmp_path / "run")
    jets = [line["jets"] for line in theirs if "loss" in line]
    assert 0 < min(jets) < ranks, "in some step a rank had no jet"
    if not settings:
        same(ours, theirs)


@pytest.mark.parametrize("lost, after", [(1, 4), (0, 2)])
def test_a_rank_that_is_killed_ends_all_and_another_number_goes_on(data, alone, tmp_path, lost, after):
    """The curve of the undisturbed run, over two kills and three numbers of processes."""
    for ranks, step in (2, 13), (4, 27):
        started = start(data, ranks, words("pretrain", tmp_path / "run", *LONG), grace=20)
        wait_for_step(tmp_path / "run", step)
        begin = time.monotonic()
        with stopped(started.ranks().values()):
            os.kill(started.ranks()[lost], signal.SIGKILL)
        status, errors = started.end()
        assert status == 1 and time.monotonic() - begin < SILENCE + 10
        assert f"omnijet: error: rank {lost} was ended by signal 9" in errors
        others = [line for line in errors.splitlines() if "no sign of life" in line or "is gone" in line]
        assert len(others) == ranks - 1 and all(f"rank {lost} (" in line for line in others), errors
    done = launch(data, after, words("pretrain", tmp_path / "run", *LONG))
    assert done.returncode == 0, done.stderr
    assert f"the run had 4 ranks and has {after} now" in done.stderr or after == 4
    same(alone("pretrain", *LONG), metrics(tmp_path / "run"))


class Started:
    """A launch that runs."""

    def __init__(self, process):
        self.process = process

    def ranks(self):
        """The process of each rank."""
        found = {}
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            variables = dict(
                part.split("=", 1) for part in pathlib.Path(f"/proc/{child}/environ").read_text(errors="replace").split("\0") if "=" in part)
            found[int(variables["RANK"])] = int(child)
        return found

    def end(self):
        try:
            _, errors = self.process.communicate(timeout=60)
        finally:
            # Its ranks go with it.
            self.process.kill()
        return self.process.returncode, errors


def start(folder, ranks, words, grace=3):
    return Started(subprocess.Popen(
        [OMNIJET, "launch", "-n", str(ranks), "--grace", str(grace), "--", *words], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True))


def state(process):
    """The letter of /proc: T is stopped; Z has ended, and nobody has asked about it; X is gone."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def is_alive(process):
    return state(process) not in "ZX"


@contextlib.contextmanager
def stopped(processes):
    """Nothing happens in these processes meanwhile, however long the test itself has to wait for a processor."""
    processes = list(processes)
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        # Until it has heard that, it may hear other signals first.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(state(process) not in "TZX" for process in processes):
            time.sleep(0.001)
        assert all(map(is_alive, processes)), "the run was over before the test could act"
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def wait_for_step(directory, step):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if reached(directory, step):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_ends_all(data, tmp_path, rank):
    started = start(data, 2, words("pretrain", tmp_path / "run", "epochs=100000"))
    wait_for_step(tmp_path / "run", 5)
    process = started.ranks()[rank]
    begin = time.monotonic()
    os.kill(process, signal.SIGSTOP)
    status, errors = started.end()
    assert status == 1 and time.monotonic() - begin < 2 * SILENCE + 15
    assert f"rank {rank} (" in errors and ("no sign of life" in errors or "has not answered" in errors)
    assert not is_alive(process), "the launcher leaves none behind"


def test_a_rank_that_fails_tells_the_others(data, tmp_path):
    """One process sees damaged data under the same name."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in good, bad:
        shutil.copytree(data / "tokens.pando", folder / "tokens.pando")
        shutil.copy(data / "pretrain.json", folder)
    shard = next((bad / "tokens.pando/shards").iterdir())
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 4:3 * len(damaged) // 4] = bytes(b ^ 1 for b in damaged[len(damaged) // 4:3 * len(damaged) // 4])
    shard.write_bytes(damaged)
    done = by_hand([good, bad], words("pretrain", tmp_path / "run", "epochs=100000"))
    for rank, (status, errors) in enumerate(done):
        assert status == 1 and "00000.arrow" in errors, errors
        assert rank == 1 or "omnijet: error: rank 1: " in errors
    assert not list((tmp_path / "run").glob("*.tmp*"))


def by_hand(folders, words, options=None, timeout=60):
    """Processes that are told by options which they are. Status and errors of each."""
    port = free_port()
    common = ["--world-size", str(len(folders)), "--master", f"127.0.0.1:{port}", "--join-timeout", "8"]
    processes = [
        subprocess.Popen(
            [OMNIJET, *words, *common, "--rank", str(rank), *(options or {}).get(rank, [])], cwd=folder, env=ENVIRONMENT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank, folder in enumerate(folders)]
    return [(process.returncode, errors) for process in processes for _, errors in [process.communicate(timeout=timeout)]]


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_ranks_that_do_not_fit_together_are_refused_before_training(data, tmp_path):
    command = words("pretrain", tmp_path / "run")
    other = tmp_path / "other"
    other.mkdir()
    omnijet("tokenize", data / "tokenizer/previous.safetensors", data / "jets.pando", other / "tokens.pando", "--quiet")
    found = json.loads((other / "tokens.pando/dataset.json").read_text())["fingerprint"]
    cases = [
        ([data, data], {1: ["--set", "seed=7"]}, ["another configuration than rank 0", "seed = 7, not 1603"]),
        ([data, data], {1: ["--world-size", "3"]}, ["rank 0", "one of 2", "rank 1", "one of 3"]),
        ([data, data], {1: ["--no-overlap"]}, ["rank 1", "another --overlap than rank 0", "off, not on"]),
        ([data, data, data], {2: ["--rank", "1"]}, ["two processes are rank 1"]),
        ([data, data], {1: ["--set", "optimiser=1"]}, ["optimiser: is not known"]),
        ([data] * 3, {}, ["a world of 3 does not divide the 32 streams"]),
    ]
    shutil.copy(data / "pretrain.json", other)
    cases.append(([data, other], {}, ["another fingerprint of tokens.pando than rank 0", found]))
    for folders, options, parts in cases:
        for status, errors in by_hand(folders, command, options):
            assert status == 1 and all(part in errors for part in parts), (parts, errors)
    assert not (tmp_path / "run/metrics.jsonl").exists()


def test_a_master_that_is_not_there_and_ranks_that_do_not_come(data, tmp_path):
    command = [*words("pretrain", tmp_path / "run"), "--join-timeout", "2", "--world-size", "2"]
    nobody = f"127.0.0.1:{free_port()}"
    assert f"cannot reach the master at {nobody}" in omnijet(*command, "--rank", 1, "--master", nobody, cwd=data, status=1)
    assert "1 of 2 ranks came within 2 s; missing: 1" in omnijet(*command, "--rank", 0, "--master", nobody, cwd=data, status=1)
    assert "not like node01:29500" in omnijet(*command, "--rank", 0, "--master", "nowhere", cwd=data, status=1)
    assert "MASTER_ADDR" in omnijet(*command, "--rank", 0, cwd=data, status=1)
    omnijet(*words("pretrain", tmp_path / "run"), "--rank", 0, cwd=data, status=64)
    assert "rank 5 of 2" in omnijet(*command, "--rank", 5, "--master", nobody, cwd=data, status=1)


def connections(port):
    """How many have connected to a port of this machine, rank 0 itself among them."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def wait_for_connections(port, count):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and connections(port) < count:
        time.sleep(0.01)
    assert connections(port) >= count
    # What a process says of itself comes right behind.
    time.sleep(1)


@pytest.fixture
def joining(data, tmp_path):
    """Starts one rank of three by hand, at one port."""
    port, started = free_port(), []

    def start(rank, *options, timeout=30):
        started.append(subprocess.Popen(
            [OMNIJET, *words("pretrain", tmp_path / "run"), "--world-size", "3", "--master", f"127.0.0.1:{port}", "--join-timeout",
             str(timeout), "--rank", str(rank), *options], cwd=data, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True))
        return started[-1]

    start.port = port
    yield start
    for process in started:
        process.kill()
        process.communicate()


def end(process, timeout=60):
    _, errors = process.communicate(timeout=timeout)
    return process.returncode, errors


def test_a_rank_that_comes_late_is_told_what_does_not_fit(joining):
    first, second = joining(0), joining(1, "--set", "seed=7")
    status, errors = end(second)
    assert status == 1 and "seed = 7, not 1603" in errors
    time.sleep(6)
    assert first.poll() is None, "rank 0 has left while one had not seen it"
    for status, errors in end(joining(2)), end(first):
        assert status == 1 and "seed = 7, not 1603" in errors, errors
    assert "this process stays for up to" in errors and "until 1 more have seen it" in errors


def test_when_rank_0_gives_up_the_others_say_who_is_missing(joining):
    """Their own time would end later."""
    for status, errors in [end(process) for process in (joining(0, timeout=4), joining(1))]:
        assert status == 1 and "2 of 3 ranks came within 4 s; missing: 2" in errors, errors


def test_a_rank_0_that_is_killed_before_all_have_come_is_said(joining):
    first, second = joining(0), joining(1)
    wait_for_connections(joining.port, 2)
    first.kill()
    status, errors = end(second)
    assert status == 1 and f"rank 0 has left the store at 127.0.0.1:{joining.port}" in errors, errors


def test_a_rank_that_is_killed_before_all_have_come_ends_all(joining):
    """Its card lies there, and the others try to reach it."""
    first, second = joining(0), joining(1)
    wait_for_connections(joining.port, 2)
    second.kill()
    third = joining(2)
    begin = time.monotonic()
    for status, errors in end(first), end(third):
        assert status == 1 and f"process {second.pid}) has given no sign of life" in errors, errors
    assert time.monotonic() - begin < 2 * SILENCE + 15


def block(directory):
    """In a moment the thread of rank 0 that trains waits for somebody to read its metrics."""
    os.mkfifo(directory / "fifo")
    os.rename(directory / "fifo", directory / "metrics.jsonl")
    # Many steps.
    time.sleep(2)


def test_a_training_that_hangs_is_named(data, tmp_path):
    started = start(data, 2, [*words("pretrain", tmp_path / "run", "epochs=100000"), "--longest-wait", "3"], grace=60)
    wait_for_step(tmp_path / "run", 5)
    block(tmp_path / "run")
    begin = time.monotonic()
    status, errors = started.end()
    assert status == 1 and time.monotonic() - begin < 3 + 2 * SILENCE + 15
    found = [line for line in errors.splitlines() if "has kept the others waiting for 3 s" in line]
    assert {line.startswith("rank 1: ") for line in found} == {True, False} and all("rank 0 (" in line for line in found), errors


def test_a_rank_0_that_is_blocked_does_not_stay_when_another_is_lost(data, tmp_path):
    started = start(data, 3, [*words("pretrain", tmp_path / "run", "epochs=100000", "batch=33")], grace=60)
    wait_for_step(tmp_path / "run", 5)
    block(tmp_path / "run")
    begin = time.monotonic()
    os.kill(started.ranks()[1], signal.SIGKILL)
    status, errors = started.end()
    assert status == 1 and time.monotonic() - begin < 2 * SILENCE + 15
    assert "omnijet: error: rank 1 was ended by signal 9" in errors
    found = [line for line in errors.splitlines() if "has given no sign of life" in line]
    assert len(found) == 2 and all("rank 1 (" in line for line in found), errors


def test_the_last_lines_of_all_ranks_are_printed_though_nobody_reads_for_a_while(data, tmp_path):
    """The launcher's own errors go into a pipe that is full while the ranks end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    launcher = subprocess.Popen(
        [OMNIJET, "launch", "-n", "2", "--", *words("pretrain", tmp_path / "run", "epochs=100000")], cwd=data, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=writing)
    wait_for_step(tmp_path / "run", 5)
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b".")
    os.set_blocking(writing, True)
    os.close(writing)
    launcher.send_signal(signal.SIGTERM)
    # Longer than the ranks need to save and to leave.
    time.sleep(4)
    with os.fdopen(reading) as pipe:
        errors = pipe.read()
    assert launcher.wait(timeout=60) == -signal.SIGTERM
    assert "stopped, with its state saved" in errors


def test_another_rank_0_and_a_checkpoint_of_another_run_are_refused(data, tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        master = f"127.0.0.1:{taken.getsockname()[1]}"
        text = omnijet(
            *words("pretrain", tmp_path / "run"), "--rank", 0, "--world-size", 2, "--master", master, "--join-timeout", 2, cwd=data, status=1)
        assert f"cannot listen at {master}" in text and "another rank 0" in text
    omnijet(*words("pretrain", tmp_path / "run", "steps=2"), cwd=data)
    done = launch(data, 2, words("pretrain", tmp_path / "run", "steps=2", "clip=1"))
    assert done.returncode == 1 and done.stderr.count("was written by a run with another configuration") >= 2


def test_a_signal_to_the_launcher_saves_and_the_same_command_goes_on(data, alone, tmp_path):
    started = start(data, 2, words("pretrain", tmp_path / "run", *LONG))
    wait_for_step(tmp_path / "run", 5)
    with stopped(started.ranks().values()):
        started.process.send_signal(signal.SIGTERM)
        wait_for_signal(started.ranks().values(), signal.SIGTERM)
    status, errors = started.end()
    assert status == -signal.SIGTERM and "run the same command again to go on" in errors
    assert launch(data, 2, words("pretrain", tmp_path / "run", *LONG)).returncode == 0
    same(alone("pretrain", *LONG), metrics(tmp_path / "run"))


def wait_for_signal(processes, number):
    """Until a signal has been sent to processes that are stopped, and so cannot have heard it."""
    def is_sent(process):
        found = re.search(r"^ShdPnd:\s*(\w+)", pathlib.Path(f"/proc/{process}/status").read_text(errors="replace"), re.MULTILINE)
        return int(found[1], 16) >> (number - 1) & 1

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(map(is_sent, processes)):
        time.sleep(0.01)
    assert all(map(is_sent, processes))


def test_only_rank_0_needs_the_directory_of_the_run(data, alone, tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        shutil.copytree(data / "tokens.pando", folder / "tokens.pando")
        shutil.copy(data / "pretrain.json", folder)
    command = words("pretrain", "run", *LONG)
    child = subprocess.Popen([OMNIJET, *command], cwd=folders[0], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    wait_for_step(folders[0] / "run", 5)
    with stopped([child.pid]):
        child.terminate()
    assert child.wait() == -signal.SIGTERM
    for status, errors in by_hand(folders, command):
        assert status == 0, errors
    same(alone("pretrain", *LONG), metrics(folders[0] / "run"))
    assert not (folders[1] / "run").exists()


def test_ranks_do_not_outlive_their_launcher(data, tmp_path):
    started = start(data, 2, words("pretrain", tmp_path / "run", "epochs=100000"))
    wait_for_step(tmp_path / "run", 3)
    ranks = started.ranks().values()
    assert len(ranks) == 2 and all(map(is_alive, ranks))
    started.process.kill()
    deadline = time.monotonic() + 20
    # Not every first process of a container asks about those that it inherits.
    while time.monotonic() < deadline and any(map(is_alive, ranks)):
        time.sleep(0.05)
    assert not any(map(is_alive, ranks))
    started.process.communicate()


def torchrun():
    """A Python whose torchrun works; Debian's PyTorch 1.13 has one that does not start with Python 3.11."""
    for python in sys.executable, ROOT / ".venv-wheel/bin/python", "/usr/bin/python3":
        command = [str(python), "-m", "torch.distributed.run", "--nproc_per_node", "1", "--no_python", "true"]
        if pathlib.Path(python).exists() and subprocess.run(command, capture_output=True).returncode == 0:
            return python
    return None


def test_torchrun_starts_it_too(data, alone, tmp_path):
    python = torchrun()
    if python is None:
        pytest.skip("no torchrun that works")
    command = [
        python, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()), "--no_python", "--", OMNIJET,
        *words("pretrain", tmp_path / "run")]
    done = subprocess.run(command, cwd=data, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    same(alone("pretrain"), metrics(tmp_path / "run"))


def mpirun(folder, words):
    """Two processes of Open MPI, as on a cluster: of its variables only rank and world size are read."""
    freedom = {**ENVIRONMENT, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", "--oversubscribe", "-n", "2", OMNIJET, *words, "--master", f"127.0.0.1:{free_port()}"]
    return subprocess.Popen(command, cwd=folder, env=freedom, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not shutil.which("mpirun"), reason="no mpirun here")
def test_mpirun_starts_it_too(data, alone, tmp_path):
    started = mpirun(data, words("pretrain", tmp_path / "run"))
    _, errors = started.communicate(timeout=120)
    assert started.returncode == 0, errors
    assert "rank 0 of 2 (OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE)" in errors
    same(alone("pretrain"), metrics(tmp_path / "run"))


@pytest.mark.skipif(not shutil.which("mpirun"), reason="no mpirun here")
def test_mpirun_ends_with_a_rank_that_is_killed_and_another_launcher_goes_on(data, alone, tmp_path):
    started = mpirun(data, words("pretrain", tmp_path / "run", *LONG))
    wait_for_step(tmp_path / "run", 13)
    ranks = [
        [process for process in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_rank(process, rank, str(tmp_path / "run"))]
        for rank in range(2)]
    assert [len(found) for found in ranks] == [1, 1]
    with stopped([process for found in ranks for process in found]):
        os.kill(ranks[1][0], signal.SIGKILL)
    _, errors = started.communicate(timeout=60)
    assert started.returncode != 0 and "rank 1" in errors and "signal 9" in errors, errors
    assert launch(data, 2, words("pretrain", tmp_path / "run", *LONG)).returncode == 0
    same(alone("pretrain", *LONG), metrics(tmp_path / "run"))


def is_rank(process, rank, word):
    """Whether a process is this rank of Open MPI, with `word` on its command line."""
    try:
        line, variables = (pathlib.Path(f"/proc/{process}/{name}").read_text(errors="replace").split("\0") for name in ("cmdline", "environ"))
    except OSError:
        return False
    return word in line and f"OMPI_COMM_WORLD_RANK={rank}" in variables


def test_the_launcher_says_what_it_cannot(data):
    omnijet("launch", "-n", 2, status=64)
    omnijet("launch", "-n", 0, "--", "pretrain", status=64)
    assert "no training by several processes" in omnijet("launch", "-n", 2, "--", "tokenize", "a", "b", "c", status=64)
    text = omnijet("launch", "-n", 2, "--", "pretrain", "nothing.json", "--run", "run", cwd=data, status=1)
    assert "nothing.json" in text
    text = omnijet("launch", "-n", 2, "--", "pretrain", "nothing.json", "--nothing", cwd=data, status=1)
    assert re.search(r"omnijet: error: rank . failed with status 64: Error: Missing expected argument", text), text
