"""The tool omnijet: trainings that go on bit for bit, refusals before they begin."""
import contextlib
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import time

import numpy as np
import pytest

import decode
from conftest import ROOT, SAMPLE, Dataset, run
from test_readers import whole

OMNIJET = pathlib.Path(os.environ.get("PANDO_OMNIJET", ROOT / ".build/release/omnijet"))
pytestmark = pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
SMALL = [
    "tokenizer.width=16", "tokenizer.blocks=1", "tokenizer.heads=2", "tokenizer.codes=32", "batch=32", "epochSteps=5", "epochs=3",
    "checkpointSteps=2", "logSteps=1", "validation.limit=64",
]


def omnijet(*arguments, status=0, **options):
    done = subprocess.run([OMNIJET, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def result(*arguments):
    """What a command prints as JSON on stdout; warnings may stand on stderr."""
    return json.loads(omnijet(*arguments).splitlines()[0])


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    path = tmp_path_factory.mktemp("omnijet") / "jets.pando"
    run("convert", SAMPLE, path, "--quiet")
    return path


def command(jets, directory, *settings):
    settings = [*SMALL, f'data.datasets=["{jets}"]', *settings]
    return [ROOT / "configs/tokenizer-small.json", "--run", directory, *(word for s in settings for word in ("--set", s))]


def metrics(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def reached(directory, step):
    """Whether a run has written the line of a step."""
    path = directory / "metrics.jsonl"
    return path.exists() and re.search(rf'"step":{step}\b', path.read_text()) is not None


def test_a_training_that_is_killed_ends_with_the_same_bits(jets, tmp_path):
    omnijet("tokenizer", "train", *command(jets, tmp_path / "whole"), "--quiet")
    broken = tmp_path / "broken"
    for step in 3, 8:
        child = subprocess.Popen([OMNIJET, "tokenizer", "train", *map(str, command(jets, broken)), "--quiet"])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if reached(broken, step):
                break
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, "it had ended before it was killed"
    omnijet("tokenizer", "train", *command(jets, broken), "--quiet")
    for name in "last.safetensors", "best.safetensors", "metrics.jsonl":
        assert (tmp_path / "whole" / name).read_bytes() == (broken / name).read_bytes(), name
    lines = metrics(broken)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 16))
    assert [line["step"] for line in lines if "validation" in line] == [5, 10, 15]


def test_of_two_trainings_in_one_directory_the_second_names_the_first_and_disturbs_nothing(jets, tmp_path):
    omnijet("tokenizer", "train", *command(jets, tmp_path / "whole", "epochs=20"), "--quiet")
    shared = tmp_path / "shared"
    words = [OMNIJET, "tokenizer", "train", *map(str, command(jets, shared, "epochs=20")), "--quiet"]
    first = subprocess.Popen(words)
    while first.poll() is None and not reached(shared, 3):
        time.sleep(0.002)
    # However slowly the second one starts, the first is still at work.
    first.send_signal(signal.SIGSTOP)
    text = omnijet("tokenizer", "train", *command(jets, shared, "epochs=20"), "--quiet", status=1)
    assert f"another training is at work: process {first.pid} on host" in text and "choose another directory" in text
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=60) == 0
    assert sorted(os.listdir(shared)) == sorted(os.listdir(tmp_path / "whole"))
    for name in "last.safetensors", "best.safetensors", "metrics.jsonl":
        assert (tmp_path / "whole" / name).read_bytes() == (shared / name).read_bytes(), name


def test_a_training_that_is_killed_leaves_no_obstacle_though_nobody_collects_it(jets, tmp_path):
    run, words = tmp_path / "run", ["tokenizer", "train", *map(str, command(jets, tmp_path / "run", "epochs=20")), "--quiet"]
    child = subprocess.Popen([OMNIJET, *words])
    while child.poll() is None and not reached(run, 3):
        time.sleep(0.002)
    child.kill()
    # Dead, and in the table of processes until it is waited for.
    while pathlib.Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.002)
    assert (run / "claim.json").exists()
    began = time.monotonic()
    omnijet(*words)
    assert time.monotonic() - began < 60 and child.wait() == -signal.SIGKILL
    assert not list(run.glob("claim*")) and [line["step"] for line in metrics(run) if "loss" in line] == list(range(1, 101))


def test_a_training_that_was_taken_over_writes_no_checkpoint(jets, tmp_path):
    run = tmp_path / "run"
    child = subprocess.Popen(
        [OMNIJET, "tokenizer", "train", *map(str, command(jets, run, "epochs=100000")), "--quiet"], stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not reached(run, 3):
        time.sleep(0.002)
    child.send_signal(signal.SIGSTOP)
    other = json.loads((run / "claim.json").read_text())
    (run / "other").write_text(json.dumps({**other, "host": "elsewhere", "process": 17, "token": "abc"}))
    (run / "other").rename(run / "claim.json")
    before = (run / "last.safetensors").read_bytes()
    child.send_signal(signal.SIGCONT)
    try:
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 1 and "process 17 on host elsewhere has taken it over since" in errors
    assert (run / "last.safetensors").read_bytes() == before and (run / "claim.json").exists()


def test_a_training_learns_and_says_how(jets, tmp_path):
    settings = ["epochs=8", "epochSteps=20", "tokenizer.width=32", "tokenizer.heads=4", "tokenizer.codes=128"]
    out = result("tokenizer", "train", *command(jets, tmp_path / "run", *settings), "--quiet", "--json")
    assert out["reason"] == "finished" and out["steps"] == 160
    lines = metrics(tmp_path / "run")
    losses = [line["validation"] for line in lines if "validation" in line]
    assert min(losses) < 0.6 * losses[0] and out["best"] == min(losses)
    page = omnijet("tokenizer", "evaluate", tmp_path / "run/best.safetensors", jets, "--limit", 500)
    assert "part_pt" in page and "perplexity" in page
    figures = tmp_path / "figures"
    found = result("tokenizer", "evaluate", tmp_path / "run/best.safetensors", jets, "--limit", 500, "--json", "--figures", figures)
    assert "jet_mass" in (figures / "tokenizer.svg").read_text() and (figures / "tokenizer.png").exists()
    # Sums of what is a little off are a little off.
    ofjets = {part["feature"]: part for part in found["jetResolutions"]}
    assert abs(ofjets["jet_pt"]["bias"]) < 0.2 and 0 < ofjets["jet_pt"]["rms"] < 0.4 and ofjets["jet_mass"]["unit"] == "GeV"
    resolution = {part["feature"]: part["rms"] for part in found["resolutions"]}
    # The features themselves spread by about 0.25.
    assert resolution["part_etarel"] < 0.15 and resolution["part_phirel"] < 0.15
    assert 50 < found["perplexity"] <= found["used"] <= found["codes"] == 128


def test_sigterm_saves_and_ends_by_the_signal(jets, tmp_path):
    words = ["tokenizer", "train", *command(jets, tmp_path / "run", "epochs=100000"), "--quiet"]
    child = subprocess.Popen([OMNIJET, *map(str, words)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "run/last.safetensors").exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGTERM and "run the same command again to go on" in errors


def test_a_signal_that_comes_twice_at_once_is_one_and_a_late_second_one_ends_the_training_at_once(jets, tmp_path):
    """A scheduler that signals launcher and ranks reaches each rank twice within milliseconds."""
    words = ["tokenizer", "train", *command(jets, tmp_path / "run", "epochs=100000"), "--quiet"]
    reading, writing = os.pipe()
    child = subprocess.Popen([OMNIJET, *map(str, words)], stderr=writing)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (tmp_path / "run/last.safetensors").exists():
        time.sleep(0.01)
    # A pipe that is full and that nobody reads: what it says at its end holds it up, for as long as this test needs.
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    os.close(writing)
    child.send_signal(signal.SIGTERM)
    time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == -signal.SIGTERM
    with os.fdopen(reading, "rb") as said:
        assert b"run the same command" not in said.read()

    child = subprocess.Popen([OMNIJET, *map(str, words)], stderr=subprocess.PIPE, text=True)
    step = metrics(tmp_path / "run")[-1]["step"]
    while time.monotonic() < deadline and not reached(tmp_path / "run", step + 7):
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGTERM and "run the same command again to go on" in errors


@pytest.mark.parametrize(
    "settings, message",
    [
        (["optimiser.rate=1"], "optimiser: is not known"),
        (["tokenizer.colour=3"], "tokenizer.colour: is not known"),
        (["tokenizer.heads=3"], "3 do not divide the width"),
        (["optimizer.rate=-1"], "optimizer: has a setting that is out of range"),
        (["data.datasets=[]"], "names no dataset"),
        (['data.datasets=["nothing.pando"]'], "nothing.pando: no such dataset"),
        (["data.split=nothing"], "nothing"),
        (["task=dance"], "task: is not tokenizer, pretrain or classify"),
        (["from=nothing.safetensors"], "nothing.safetensors"),
        (["batch=100000"], "batch"),
        (["tokenizer.inputs=4"], "are 4, but there are 3 features"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(jets, tmp_path, settings, message):
    assert message in omnijet("tokenizer", "train", *command(jets, tmp_path / "run", *settings), "--quiet", status=1)
    assert not (tmp_path / "run/metrics.jsonl").exists()


def test_a_run_with_another_configuration_is_not_gone_on_with(jets, tmp_path):
    omnijet("tokenizer", "train", *command(jets, tmp_path / "run"), "--quiet")
    text = omnijet("tokenizer", "train", *command(jets, tmp_path / "run", "clip=1"), "--quiet", status=1)
    clip = json.loads((tmp_path / "run/configuration.json").read_text())["clip"]
    assert f"was written by a run with another configuration: clip = {clip}, not 1" in text
    checkpoint = tmp_path / "run/last.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert "last.safetensors" in omnijet("tokenizer", "train", *command(jets, tmp_path / "run"), "--quiet", status=1)


def test_the_wrong_command_for_a_task_is_wrong_usage(jets, tmp_path):
    omnijet("pretrain", *command(jets, tmp_path / "run"), "--quiet", status=64)


def test_only_trainings_are_launched_as_several_processes(tmp_path):
    """Each process would do the whole work of anything else, and write the same files."""
    for words in ["tokenizer", "evaluate", "a", "b"], ["tokenizer"], ["tokenizer", "--help"]:
        text = omnijet("launch", "-n", 2, "--", *words, status=64, cwd=tmp_path)
        assert f"'{' '.join(words[:2])}' is no training by several processes: tokenizer train, pretrain or finetune" in text


def test_jets_without_tokens_are_refused(jets, tmp_path):
    configuration = tmp_path / "c.json"
    configuration.write_text(json.dumps({"task": "pretrain", "data": {"datasets": [str(jets)]}}))
    assert "holds no tokens" in omnijet("pretrain", configuration, "--run", tmp_path / "run", status=1)


def train(task, configuration, directory, folder, *settings):
    path = folder / f"{directory}.json"
    path.write_text(json.dumps(configuration))
    words = [*task, path, "--run", folder / directory, "--quiet", "--json", *settings]
    return result(*words)


def test_from_jets_to_generated_jets(jets, tmp_path):
    """Tokenizer, tokens, pre-training, fine-tuning, generation: each step's output makes sense, not only files."""
    shape = {"width": 32, "blocks": 1, "heads": 4, "codes": 64}
    train(["tokenizer", "train"], {
        "task": "tokenizer", "data": {"datasets": [str(jets)]}, "tokenizer": shape, "optimizer": {"rate": 2e-3},
        "schedule": {"kind": "warmup", "epochs": 1}, "batch": 32, "epochSteps": 20, "epochs": 6}, "tokenizer", tmp_path)
    tokenizer, tokens = tmp_path / "tokenizer/best.safetensors", tmp_path / "tokens.pando"
    omnijet("tokenize", tokenizer, jets, tokens, "--quiet")
    before, after = (json.loads((path / "dataset.json").read_text()) for path in (jets, tokens))
    assert after["rows"] == before["rows"] and after["splits"]["parts"] == before["splits"]["parts"]
    table = whole(Dataset(tokens, []))
    assert decode.flat(table, "event").tolist() == decode.flat(whole(Dataset(jets, [])), "event").tolist()
    codes = decode.flat(table, "code")
    assert codes.max() < 64 and len(np.unique(codes)) > 20
    assert "sound" in run("verify", "--lossless", tokens)

    backbone = {"vocabulary": 66, "width": 32, "blocks": 1, "heads": 4}
    pretrain = {
        "task": "pretrain", "data": {"datasets": [str(tokens)]}, "backbone": backbone, "optimizer": {"rate": 3e-3},
        "batch": 32, "epochSteps": 20, "epochs": 4}
    train(["pretrain"], pretrain, "backbone", tmp_path)
    losses = [line["validation"] for line in metrics(tmp_path / "backbone") if "validation" in line]
    # Better than knowing nothing, and than at the begin.
    assert losses[-1] < losses[0] and losses[-1] < math.log(66)
    start = tmp_path / "backbone/best.safetensors"

    tuned = train(["finetune"], pretrain | {"epochs": 1, "batch": 16}, "tuned", tmp_path, "--from", start, "--limit", 64)
    scratch = train(["finetune"], pretrain | {"epochs": 1, "batch": 16}, "scratch", tmp_path, "--from", "scratch", "--limit", 64)
    assert tuned["best"] < scratch["best"], "what was learnt before helps with few jets"

    wrong = pretrain | {"backbone": backbone | {"vocabulary": 100}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    assert "set backbone.vocabulary=66" in omnijet("pretrain", tmp_path / "wrong.json", "--run", tmp_path / "w", status=1)

    generated = tmp_path / "generated.pando"
    omnijet("generate", start, "--tokenizer", tokenizer, "--jets", 300, generated, "--quiet")
    assert "sound" in run("verify", "--lossless", generated)
    table = whole(Dataset(generated, []))
    fields = decode.table_fields(table)[1]
    pt = np.hypot(fields["px"], fields["py"])
    assert table.num_rows == 300 and np.isfinite(pt).all() and (pt > 0).all()
    # All constituents are massless and near the axis at (0, 0).
    assert np.abs(np.arctan2(fields["py"], fields["px"])).max() < 1.5
    omnijet("generate", start, "--tokenizer", tokenizer, "--jets", 300, tmp_path / "again.pando", "--quiet", "--batch", 7)
    assert json.loads((tmp_path / "again.pando/dataset.json").read_text())["fingerprint"] == json.loads(
        (generated / "dataset.json").read_text())["fingerprint"]
    other = train(["tokenizer", "train"], {
        "task": "tokenizer", "data": {"datasets": [str(jets)]}, "tokenizer": shape, "batch": 32, "epochSteps": 2, "epochs": 1},
        "other", tmp_path)
    assert other["reason"] == "finished"
    text = omnijet(
        "generate", start, "--tokenizer", tmp_path / "other/last.safetensors", "--jets", 3, tmp_path / "no.pando", status=1)
    assert "was trained on tokens of tokenizer" in text


def test_the_benchmark_runs():
    found = result("bench", "--batch", "4", "--rounds", "1", "--mean-length", "8", "--json")
    assert [rate["work"] for rate in found["rates"]] == ["training", "generation", "tokenising"]
    assert all(rate["jetsPerSecond"] > 0 and rate["rows"] > 0 for rate in found["rates"])
    assert 0 < found["trainingPerSecond"] < found["productsPerSecond"] and found["device"] == "cpu"
    assert 0 < found["utilisation"] < 1 and ("OpenBLAS" in found["kernels"] or "MKL" in found["kernels"])
    half = result("bench", "--batch", "4", "--rounds", "1", "--mean-length", "8", "--only", "training", "--peak", "0.5", "--json")
    assert half["utilisation"] == pytest.approx(half["trainingPerSecond"] / 500)


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench"], ["pretrain", "no.json", "--run", "RUN"], ["finetune", "no.json", "--run", "RUN", "--from", "scratch"],
        ["tokenizer", "train", "no.json", "--run", "RUN"], ["tokenizer", "evaluate", "no", "no"], ["tokenize", "no", "no", "RUN"],
        ["generate", "no", "--tokenizer", "no", "--jets", "1", "RUN"],
        ["evaluate", "no", "--reference", "no", "--tokenizer", "no", "--into", "RUN"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_device_that_is_not_there_is_refused_before_anything_else(tmp_path, arguments):
    arguments = [str(tmp_path / "run") if word == "RUN" else word for word in arguments]
    text = omnijet(*arguments, "--device", "cuda:99", status=1)
    assert "cuda:99 is not there; there is cpu" in text and not (tmp_path / "run").exists()


def test_a_launcher_s_number_chooses_the_gpu(tmp_path):
    for name in "LOCAL_RANK", "SLURM_LOCALID":
        text = omnijet("bench", "--device", "cuda", status=1, env={**os.environ, name: "98"})
        assert "cuda:98 is not there" in text
    assert "cuda:97 is not there" in omnijet("bench", "--device", "cuda:97", status=1, env={**os.environ, "LOCAL_RANK": "1"})
    omnijet("bench", "--device", "gpu", status=64)
