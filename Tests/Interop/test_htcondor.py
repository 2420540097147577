"""The submit file, read and expanded by HTCondor's own library; its jobs are run here, as a machine of a pool would run them."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest

from conftest import BINARY, ROOT, SAMPLE, run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    classad = pytest.importorskip("classad")

TASKS = 8
# So many that a task works on for seconds behind its first shard: it is to be evicted or killed in between, on a busy machine too.
INPUTS = 24
SMALL = ["--batch-rows", "64", "--shard-size", "20kB", "--threads", "1"]
# In a process of its own: the library has no right to end the one that tests.
EXPAND = """
import json, sys, htcondor
submit = htcondor.Submit(sys.stdin.read())
submit.update(json.loads(sys.argv[1]))
ads = list(submit.jobs(clusterid=int(sys.argv[2]), itemdata=submit.itemdata()))
print(json.dumps([ad.printOld() for ad in ads]))
sys.stdout.flush()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the comments of the submit file ask for."""
    for number in range(INPUTS):
        shutil.copy(SAMPLE, tmp_path / f"in{number}.h5")
    (tmp_path / "files.txt").write_text("".join(f"in{number}.h5\n" for number in range(INPUTS)))
    (tmp_path / "parts").mkdir()
    queue(tmp_path, range(TASKS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def queue(place, tasks):
    (place / "tasks.txt").write_text("".join(f"{task}\n" for task in tasks))


def jobs(cluster=7, **changes):
    """The descriptions of the jobs that condor_submit would send, of the tool that was built and with shards so small that a task has several."""
    text = (ROOT / "batch/htcondor.sub").read_text()
    words = next(line.split("=", 1)[1] for line in text.splitlines() if line.startswith("arguments"))
    changes = {"executable": str(BINARY), "arguments": f"{words} {' '.join(SMALL)}", **changes}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPAND, json.dumps(changes), str(cluster)], input=text, capture_output=True, text=True,
        env={**os.environ, "CONDOR_CONFIG": "ONLY_ENV"})
    assert done.returncode == 0, done.stderr
    return [classad.parseOne(text) for text in json.loads(done.stdout)]


class Job:
    """A job that runs."""

    def __init__(self, description):
        self.description = description
        folder = pathlib.Path(description["Iwd"])
        number = description["ProcId"]
        description_file = folder / f"job-{description['ClusterId']}-{number}.ad"
        description_file.write_text(description.printOld())
        variables = dict(word.split("=", 1) for word in description.get("Environment", "").split())
        self.output = (folder / description["Err"])
        with open(folder / description["Out"], "w") as out, open(self.output, "w") as errors:
            self.process = subprocess.Popen(
                [description["Cmd"], *description["Args"].split()], cwd=folder, stdout=out, stderr=errors,
                env={**os.environ, **variables, "_CONDOR_JOB_AD": str(description_file)})

    def evict(self):
        """Asks it to leave, as the submit file says."""
        self.process.send_signal(signal.Signals[self.description["KillSig"]])
        return self.end()

    def end(self):
        self.process.wait(timeout=120)
        return self.process.returncode


def leaves(description, status, runs=1):
    """Whether a job that has ended with this status, or by a signal if it is negative, leaves the queue."""
    ended = classad.parseOne(description.printOld())
    ended["NumJobCompletions"] = runs
    ended["ExitBySignal"] = status < 0
    ended["ExitSignal" if status < 0 else "ExitCode"] = abs(status)
    return ended.eval("OnExitRemove")


def fingerprint(parts, into):
    run("index", *parts, "--into", into, "--quiet")
    return json.loads((into / "dataset.json").read_text())["fingerprint"]


def test_jobs_that_are_evicted_and_killed_end_with_the_undisturbed_dataset(place):
    found = jobs()
    assert [job["Environment"] for job in found] == [f"PANDO_TASK={task}/{TASKS}" for task in range(TASKS)]
    evicted, killed = 2, 5
    for task, job in enumerate(found):
        running = Job(job)
        if task in (evicted, killed):
            while running.process.poll() is None and not list(pathlib.Path(f"parts/{task}.pando").glob("shards/*.arrow")):
                time.sleep(0.001)
            if task == killed:
                running.process.kill()
            status = running.evict()
            assert status == (-signal.SIGKILL if task == killed else -signal.SIGTERM), running.output.read_text()
            assert not leaves(job, status)
        else:
            assert running.end() == 0, running.output.read_text()
            assert leaves(job, 0)
    status = json.loads(run("status", "parts", "--json"))
    assert status["again"] == [evicted, killed]
    assert [status["tasks"][task]["state"] for task in (evicted, killed)] == ["stopped", "dead"]

    # Submitted again by the words of the submit file: HTCondor numbers these jobs from 0 on.
    queue(place, status["again"])
    again = jobs(cluster=8)
    assert [job["ProcId"] for job in again] == [0, 1]
    assert [Job(job).end() for job in again] == [0, 0]
    assert json.loads(run("status", "parts", "--json"))["again"] == []

    hand = [place / f"hand{task}.pando" for task in range(TASKS)]
    for task, part in enumerate(hand):
        run("convert", "@files.txt", part, "--task", f"{task}/{TASKS}", "--quiet", *SMALL)
    parts = sorted((place / "parts").glob("*.pando"))
    assert len(parts) == TASKS
    assert fingerprint(parts, place / "jets.pando") == fingerprint(hand, place / "undisturbed.pando")


def test_what_cannot_be_helped_is_not_tried_for_ever(place):
    job = jobs()[0]
    assert leaves(job, 0) and leaves(job, 3), "a dataset with gaps is finished"
    assert not leaves(job, 1) and not leaves(job, -signal.SIGKILL)
    assert leaves(job, 1, runs=job["JobMaxRetries"] + 1)
    # What status a conversion ends with that was told to go on without a bad input.
    (place / "in3.h5").write_bytes(b"no jets")
    job["Args"] += " --on-bad-input skip"
    assert Job(job).end() == 3


def test_the_task_is_found_in_htcondors_own_description_of_the_job(place):
    """Without the variable that the submit file sets: HTCondor's numbers, which are those of the tasks when all are submitted."""
    arguments = f"convert @files.txt none.pando --task auto --tasks {TASKS} --dry-run"
    for task, job in enumerate(jobs(cluster=9, environment="", arguments=arguments)):
        running = Job(job)
        assert running.end() == 0, running.output.read_text()
        assert f"task {task} of {TASKS} (ProcId, --tasks)" in running.output.read_text()
