"""A real Slurm converts: arrays of every shape, tasks that are killed and requeued, a dataset that nobody can tell from the undisturbed one."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from cluster import PATH, Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PANDO_BINARY", ROOT / ".build/release/pando"))
DATA = pathlib.Path(os.environ.get("PANDO_DATA", ROOT / "samples"))
SAMPLE = ROOT / "samples/aoj_sample.h5"
TASKS = 8
# Inputs: as many names of real files as make a task take some seconds.
INPUTS = int(os.environ.get("PANDO_SLURM_INPUTS", 120))
# Small shards, so that a task that is killed has something to go on from.
OPTIONS = ["--shard-size", "200kB", "--batch-rows", "512", "--threads", "1"]


def pando(*arguments, status=0, folder=None):
    done = subprocess.run(
        [BINARY, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory from which jobs are submitted: the scripts of batch/, the tool, inputs."""
    folder = tmp_path_factory.mktemp("jets")
    (folder / "parts").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin/pando").symlink_to(BINARY)
    shutil.copytree(ROOT / "batch", folder / "batch")
    files = sorted(path for path in (DATA / "h5").glob("aoj_small.h5")) + [SAMPLE]
    names = [folder / f"in{number:03}.h5" for number in range(INPUTS)]
    for number, name in enumerate(names):
        name.symlink_to(files[number % len(files)])
    (folder / "files.txt").write_text("".join(f"{name.name}\n" for name in names))
    # As a user would: the script with options of his own.
    script = folder / "batch/slurm.sh"
    text = script.read_text()
    assert '--task auto --tasks "$tasks" --quiet' in text and f"tasks={TASKS}\n" in text
    script.write_text(
        text.replace('"$tasks" --quiet', f'"$tasks" {" ".join(OPTIONS)}').replace("--cpus-per-task=2", "--cpus-per-task=1"))
    return folder


def submit(cluster, place, *arguments):
    environment = {**cluster.environment, "PATH": f"{place / 'bin'}:{PATH}"}
    done = subprocess.run(
        ["sbatch", "--parsable", *map(str, arguments)], cwd=place, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def over(cluster, job):
    return all(state in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED") for state in cluster.states(job).values())


def status(place, *more):
    return json.loads(pando("status", "parts", "--json", *more, folder=place))


def claim(place, task):
    try:
        return json.loads((place / f"parts/{task}.pando/claim.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def shards(place, task):
    return len(list((place / f"parts/{task}.pando/shards").glob("*.arrow")))


@pytest.mark.parametrize(
    "shape, count, expected",
    [
        ("0-3", None, [f"task {task} of 4" for task in range(4)]),
        ("0-3%2", 4, [f"task {task} of 4" for task in range(4)]),
        ("0", None, ["task 0 of 1"]),
        ("3,5", 8, ["task 3 of 8", "task 5 of 8"]),
        ("2,4-5", 8, ["task 2 of 8", "task 4 of 8", "task 5 of 8"]),
        ("3,5", None, ["an array of 2 tasks numbered 3 to 5"] * 2),
        ("0,2-3", None, ["an array of 3 tasks numbered 0 to 3"] * 3),
        ("1-4", None, ["an array of 4 tasks numbered 1 to 4"] * 4),
        ("0-6:3", None, ["an array of 3 tasks numbered 0 to 6 in steps of 3"] * 3),
        ("7", None, ["an array of 1 tasks numbered 7 to 7"]),
        ("1-8:7", 8, ["the array goes to 8, but of 8 tasks"] * 2),
    ],
    ids=str,
)
def test_arrays_of_every_shape(cluster, place, shape, count, expected):
    script = place / "shape.sh"
    options = f"--tasks {count}" if count else ""
    script.write_text(f"#!/bin/bash\nexec pando convert in000.h5 'none{{task}}.pando' --task auto {options} --dry-run\n")
    job = submit(cluster, place, f"--array={shape}", "--output=shape-%A-%a.txt", script)
    cluster.wait(lambda: over(cluster, job), f"the array {shape} does not end", 60)
    texts = [path.read_text() for path in sorted(place.glob(f"shape-{job}-*.txt"))]
    assert len(texts) == len(expected)
    for text, words in zip(texts, expected):
        assert words in text, text


def test_a_job_that_is_no_array_has_no_task_although_it_has_a_rank(cluster, place):
    script = place / "rank.sh"
    script.write_text("#!/bin/bash\necho procid $SLURM_PROCID\nexec pando convert in000.h5 none.pando --task auto\n")
    job = submit(cluster, place, "--output=rank.txt", script)
    cluster.wait(lambda: cluster.output("squeue", "-h", "-t", "all", "-j", job, "-o", "%T") in ("FAILED", "COMPLETED"), "no end", 60)
    text = (place / "rank.txt").read_text()
    assert "procid 0" in text and "no task of a batch system" in text
    assert not (place / "none.pando").exists()


def test_killed_and_requeued_tasks_end_with_the_undisturbed_dataset(cluster, place, tmp_path):
    began = time.monotonic()
    told = []

    def look():
        found = status(place)
        told.append(found.get("secondsLeft"))
        return found

    def writes(task):
        return shards(place, task) >= 1 and look() and shards(place, task) >= 2

    job = submit(cluster, place, "batch/slurm.sh")
    killed, requeued = 1, 3
    # One is killed as by a node that runs out of memory, and requeued; the other is requeued while it runs, as by preemption.
    cluster.wait(lambda: writes(killed), "task 1 writes no shards", 120)
    process = claim(place, killed)["process"]
    os.kill(process, signal.SIGKILL)
    cluster.wait(lambda: cluster.states(job)[killed] == "FAILED", "a killed task does not fail", 60)
    seen = status(place)
    assert seen["count"] == TASKS and seen["tasks"][killed]["state"] == "dead" and killed in seen["again"]
    assert "running" in {task["state"] for task in seen["tasks"]}
    done = cluster.call("scontrol", "requeue", f"{job}_{killed}")
    assert done.returncode == 0, done.stderr
    cluster.wait(lambda: writes(requeued), "task 3 writes no shards", 120)
    before = shards(place, requeued)
    assert not (place / f"parts/{requeued}.pando/dataset.json").exists()
    done = cluster.call("scontrol", "requeue", f"{job}_{requeued}")
    assert done.returncode == 0, done.stderr
    cluster.wait(lambda: claim(place, requeued) is None, "a requeued task does not leave", 60)
    stopped = status(place)["tasks"][requeued]
    assert stopped["state"] == "stopped" and 0 < stopped["rows"] < stopped["rowsOfAll"] and shards(place, requeued) >= before
    cluster.wait(lambda: look()["states"]["finished"] == TASKS, "the array does not finish", 300)
    cluster.wait(lambda: over(cluster, job), "the array does not end", 60)
    assert set(cluster.states(job).values()) == {"COMPLETED"}
    assert any(told), "no task ever told how long it takes"
    assert status(place)["again"] == [] and pando("status", "parts", "--again", folder=place) == ""
    pando("index", *(f"parts/{task}.pando" for task in reversed(range(TASKS))), "--into", "jets.pando", "--quiet", folder=place)
    print(f"the array took {time.monotonic() - began:.0f} s with what was killed")

    # The same tasks, one after the other and undisturbed.
    for task in range(TASKS):
        pando("convert", "@files.txt", tmp_path / f"{task}.pando", "--task", f"{task}/{TASKS}", *OPTIONS[:-2], "--quiet", folder=place)
    pando("index", *(tmp_path / f"{task}.pando" for task in range(TASKS)), "--into", tmp_path / "jets.pando", "--quiet", folder=place)
    found, expected = (json.loads((path / "dataset.json").read_text()) for path in (place / "jets.pando", tmp_path / "jets.pando"))
    assert found["fingerprint"] == expected["fingerprint"] and found["rows"] == expected["rows"] > 10_000
    assert [(shard["digest"], shard["rows"]) for shard in found["shards"]] == [
        (shard["digest"], shard["rows"]) for shard in expected["shards"]]
    pando("verify", "--lossless", "--quiet", place / "jets.pando")

    # All of it once more: nothing to do, and nothing is touched.
    files = {path: path.stat().st_mtime_ns for path in (place / "parts").glob("*.pando/**/*")}
    job = submit(cluster, place, "--array=0,5", "batch/slurm.sh")
    cluster.wait(lambda: over(cluster, job), "a finished task does not end", 60)
    assert set(cluster.states(job).values()) == {"COMPLETED"}
    assert len(re.findall("already complete", (place / "parts/5.log").read_text())) == 1
    assert {path: path.stat().st_mtime_ns for path in (place / "parts").glob("*.pando/**/*")} == files


def test_a_task_that_runs_out_of_time_saves_what_it_has_and_says_so(cluster, place):
    job = submit(cluster, place, "--array=0", "--output=time.txt", "--export=ALL,NAME=timed", place_script(place))
    cluster.wait(lambda: len(list((place / "timed0.pando/shards").glob("*.arrow"))) >= 1, "no shards", 120)
    # As --signal=B:USR1@120 does before the limit: to the batch script alone, in whose place pando is.
    done = cluster.call("scancel", "--batch", "--signal=USR1", f"{job}_0")
    assert done.returncode == 0, done.stderr
    cluster.wait(lambda: over(cluster, job), "the task does not leave", 60)
    assert cluster.states(job)[0] == "FAILED"
    assert "run the same command again to go on" in (place / "time.txt").read_text()
    assert not (place / "timed0.pando/dataset.json").exists() and not (place / "timed0.pando/claim.json").exists()


def place_script(place):
    script = place / "timed.sh"
    script.write_text(
        f"#!/bin/bash\nexec pando convert @files.txt 'timed{{task}}.pando' --task auto --tasks 2 {' '.join(OPTIONS)}\n")
    return script


OMNIJET = pathlib.Path(os.environ.get("PANDO_OMNIJET", ROOT / ".build/release/omnijet"))


def training(folder):
    """The command of a small training, without the directory of its run."""
    pando("convert", SAMPLE, folder / "jets.pando", "--quiet")
    (folder / "run.json").write_text(json.dumps({
        "task": "tokenizer", "data": {"datasets": ["jets.pando"]}, "validation": {"limit": 64}, "batch": 32, "epochSteps": 10, "epochs": 2,
        "tokenizer": {"width": 16, "blocks": 1, "heads": 2, "codes": 64, "dropout": 0}}))
    return f"{OMNIJET} tokenizer train run.json --quiet --json --join-timeout 60"


@pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
def test_the_tasks_of_a_step_train_one_model(cluster, tmp_path):
    """Ranks and the place to meet come from what srun sets; without srun in a batch script it is one process, which says so."""
    command = training(tmp_path)
    script = tmp_path / "job.sh"
    script.write_text(f"""#!/bin/bash
export OMP_NUM_THREADS=1
{command} --run alone
srun -n 2 {command} --run together
""")
    job = cluster.submit("--ntasks=2", f"--output={tmp_path}/job.log", script, cwd=tmp_path)
    end = time.monotonic() + 120
    while cluster.output("squeue", "-h", "-j", job) and time.monotonic() < end:
        time.sleep(0.3)
    log = (tmp_path / "job.log").read_text()
    results = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert len(results) == 2, log + cluster.logs()
    assert "rank 0 of 2 (SLURM_PROCID, SLURM_STEP_NUM_TASKS), meeting at" in log
    assert "this process was not started by srun: running as a single process" in log
    assert abs(results[0]["best"] - results[1]["best"]) <= 1e-5 * results[0]["best"]


@pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
def test_steps_of_an_interactive_job_train_one_model_too(cluster, tmp_path):
    """A step that is started from salloc inherits the name `interactive`; its tasks are ranks for all that."""
    command = f"{training(tmp_path)} --run run"
    done = cluster.call(
        "salloc", "-n", "2", "bash", "-c", f"export OMP_NUM_THREADS=1; srun -n 2 printenv SLURM_JOB_NAME; srun -n 2 {command}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr + cluster.logs()
    assert done.stdout.splitlines()[:2] == ["interactive"] * 2, "Slurm has another name for it now"
    assert "rank 0 of 2 (SLURM_PROCID, SLURM_STEP_NUM_TASKS), meeting at" in done.stderr
    assert "single process" not in done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("{")]) == 1
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == sorted(set(steps)), "two processes wrote"
