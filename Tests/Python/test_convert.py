"""The converter and the tool, called from Python."""
import io
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import pando
from conftest import SAMPLE


def test_progress_comes_as_jets_of_all(tmp_path):
    told = []
    outcome = pando.convert(SAMPLE, tmp_path / "a.pando", batch_rows=64, progress=lambda *numbers: told.append(numbers))
    assert outcome["rows"] == 1727 and outcome["missing"] == [] and outcome["output"] == str(tmp_path / "a.pando")
    assert told[-1] == (1727, 1727) and told == sorted(told)
    assert pando.Dataset(tmp_path / "a.pando").fingerprint == outcome["fingerprint"]


def test_a_bar_of_tqdm_moves(tmp_path):
    tqdm = pytest.importorskip("tqdm").tqdm
    text = io.StringIO()
    with tqdm(unit=" jets", file=text, mininterval=0) as bar:
        pando.convert(SAMPLE, tmp_path / "a.pando", batch_rows=64, progress=bar)
        assert bar.n == bar.total == 1727
    assert "100%" in text.getvalue() and "1727/1727" in text.getvalue()
    dataset = pando.Dataset(tmp_path / "a.pando")
    with tqdm(unit="B", unit_scale=True, file=text) as bar:
        assert dataset.verify(progress=bar, threads=2).is_sound
        assert bar.n == bar.total == sum(shard["bytes"] for shard in dataset.catalogue["shards"])


def test_options_are_those_of_the_tool(tmp_path):
    outcome = pando.convert(
        [SAMPLE], tmp_path / "a.pando", codec="lz4", batch_rows=100, limit=250, splits="train=0.5,test=0.5", no_parity=True,
        threads=1,
    )
    dataset = pando.Dataset(tmp_path / "a.pando")
    assert outcome["rows"] == len(dataset) == 250 and list(dataset.splits) == ["train", "test"]
    assert dataset.catalogue["parity"] == [] and dataset.catalogue["shards"][0]["batches"] == 3
    forecast = pando.convert(SAMPLE, tmp_path / "b.pando", dry_run=True)
    assert forecast["rows"] == 1727 and not (tmp_path / "b.pando").exists()


def test_inputs_that_are_skipped_are_missing(tmp_path):
    bad = tmp_path / "bad.h5"
    bad.write_bytes(SAMPLE.read_bytes()[:5000])
    outcome = pando.convert([SAMPLE, bad], tmp_path / "a.pando", on_bad_input="skip")
    assert outcome["rows"] == 1727 and [gap["input"] for gap in outcome["missing"]] == [str(bad)]


def test_failures_are_in_the_words_of_the_tool(tmp_path):
    with pytest.raises(pando.ConvertError, match=r"^nope.h5: cannot open: No such file or directory$") as failure:
        pando.convert("nope.h5", tmp_path / "a.pando")
    done = subprocess.run([sys.executable, "-m", "pando", "convert", "nope.h5", tmp_path / "a.pando"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == f"pando: error: {failure.value}\n"
    with pytest.raises(pando.ConvertError, match="--codec is zstd, lz4 or none"):
        pando.convert(SAMPLE, tmp_path / "a.pando", codec="zip")
    with pytest.raises(RuntimeError, match="enough"):
        pando.convert(SAMPLE, tmp_path / "a.pando", progress=lambda *_: (_ for _ in ()).throw(RuntimeError("enough")))


def test_ctrl_c_stops_it_and_the_same_call_goes_on(tmp_path):
    program = """
import os, signal, sys, pando
def told(done, total):
    # As from a terminal, at a moment when it is at work.
    if not told.is_first:
        return
    told.is_first = False
    print(done, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
told.is_first = True
try:
    pando.convert([sys.argv[1]] * 1, sys.argv[2], batch_rows=1, threads=1, level=19, progress=told)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    output = tmp_path / "a.pando"
    # Shells ignore Ctrl-C in what they run in the background, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, "-c", program, SAMPLE, output], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert int(process.stdout.readline()) < 1727
    out, _ = process.communicate(timeout=60)
    assert out.endswith("stopped\n") and process.returncode == 0
    with pytest.raises(pando.DatasetError, match="its conversion has not finished"):
        pando.Dataset(output)
    # It was asked to stop and not killed: nobody has to find out first that its claim is that of a dead process.
    assert not list(output.rglob("claim.json")) and not list(output.rglob("*.tmp"))
    pando.convert(SAMPLE, output, batch_rows=1, threads=1, level=19)
    assert pando.Dataset(output).verify(lossless=True).is_sound


def test_the_package_is_the_tool(sample):
    done = subprocess.run([sys.executable, "-m", "pando", "verify", "--lossless", sample], capture_output=True, text=True)
    assert done.returncode == 0 and "sound" in done.stdout
    assert subprocess.run([sys.executable, "-m", "pando", "verify", "/nope"], capture_output=True).returncode == 1
    version = subprocess.run([sys.executable, "-m", "pando", "--version"], capture_output=True, text=True, check=True).stdout
    assert version.strip() == pando.__version__
    script = pathlib.Path(sys.executable).parent / "pando"
    if script.exists():
        assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == version


def test_it_needs_no_environment(sample):
    program = [sys.executable, "-c", "import sys, pando; print(len(pando.Dataset(sys.argv[1])))", sample]
    kept = {name: value for name, value in os.environ.items() if name.startswith("P")}
    assert subprocess.run(program, env=kept, capture_output=True, text=True, check=True).stdout == "1727\n"
