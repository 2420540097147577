"""Commands and programs in the pages are run: those under the mark `<!-- tested -->`, page by page, in the order of the page."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import pytest

import jetclass
import pfnano
from conftest import BINARY, ROOT, SAMPLE, has_command
from test_omnijet import OMNIJET

BLOCK = re.compile(r"<!-- tested -->\n```(sh|python)\n(.*?)```", re.DOTALL)
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if BLOCK.search(page.read_text())]


def workplace(folder):
    """A directory as the pages presume it: the tool in PATH, some files in aoj/."""
    (folder / "bin").mkdir()
    (folder / "bin/pando").symlink_to(BINARY)
    (folder / "bin/omnijet").symlink_to(OMNIJET)
    (folder / "configs").symlink_to(ROOT / "configs")
    (folder / "aoj").mkdir()
    for name in "ab":
        shutil.copy(SAMPLE, folder / f"aoj/{name}.h5")
    for number, prefix in enumerate(jetclass.PREFIXES[:2]):
        jetclass.write_root(folder / f"jetclass/train/{prefix}000.root", number, 40, [number] * 40)
    jetclass.write_root(folder / "TTBar_000.root", 8, 40, [8] * 40)
    (folder / "pfnano").mkdir()
    for number, name in enumerate("ab"):
        pfnano.simple(folder / f"pfnano/{name}.root", number)
    (folder / "mc").mkdir()
    pfnano.simple(folder / "mc/tth.root", 3, simulation=True)
    (folder / "golden.json").write_text('{"278820": [[1, 400]], "279667": [[1, 400]]}')
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1"}


def run_block(language, text, folder, environment):
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip() or "--quiet" in text, f"printed nothing:\n{text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page, tmp_path):
    environment = workplace(tmp_path)
    if page.stem == "reading-shards":
        subprocess.run([BINARY, "convert", "--quiet", *(tmp_path / "aoj").iterdir(), tmp_path / "aoj.pando"], check=True)
    for language, text in BLOCK.findall(page.read_text()):
        for command in re.findall(r"^pando (\w+)", text, re.MULTILINE):
            if not has_command(command):
                pytest.skip(f"this build has no 'pando {command}'")
        if re.search("^omnijet ", text, re.MULTILINE) and not OMNIJET.exists():
            pytest.skip("omnijet is not built")
        run_block(language, text, tmp_path, environment)


def test_examples_in_the_help_run(tmp_path):
    environment = workplace(tmp_path)
    names = ["convert", "inspect", "verify", "repair", "index", "status", "export", "composition", "compare"]  # in an order in which they can be typed
    (tmp_path / "files.txt").write_text("aoj/a.h5\naoj/b.h5\n")
    for part in range(3):
        command = [BINARY, "convert", "--quiet", SAMPLE, tmp_path / f"part{part}.pando", "--task", f"{part}/3"]
        subprocess.run(command, check=True)
    for name, source, match in ("jetht", "pfnano/a", []), ("tth", "mc/tth", ["--match", "top"]), ("w400", "mc/tth", ["--match", "W"]):
        subprocess.run([BINARY, "convert", "-q", tmp_path / f"{source}.root", tmp_path / f"{name}.pando", *match], check=True)
    mixed = jetclass.write_root(tmp_path / "mixed.root", 5, 40, [0, 8] * 20)
    subprocess.run([BINARY, "convert", "-q", mixed, tmp_path / "jets.pando"], check=True)
    shown = []
    for name in filter(has_command, names):
        text = subprocess.run([BINARY, name, "--help"], capture_output=True, text=True, check=True).stdout
        examples = text[text.index("EXAMPLE") :]
        shown += [line.strip() for line in re.findall(r"^  (pando .*)$", examples[: examples.index("USAGE")], re.MULTILINE)]
    assert len(shown) >= 5
    with h5py.File(SAMPLE, "r") as file:
        event = ":".join(map(str, file["event_info"][0]))
    for line in shown:
        line = re.sub(r"--event \S+", f"--event {event}", line)
        line = line.replace("@files.txt aoj.pando", "@files.txt task.pando").replace("--into aoj.pando", "--into joined.pando")
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_demo_runs():
    done = subprocess.run([ROOT / "scripts/demo"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sound" in done.stdout and "demo-output/aoj_sample.pando" in done.stdout


def test_the_picture_is_drawn_from_a_dataset(sample, tmp_path):
    picture = tmp_path / "columns.svg"
    subprocess.run([sys.executable, ROOT / "scripts/plot_columns.py", sample.path, picture], check=True)
    shown = picture.read_text()
    assert "1,727 jets" in shown and ">dphi<" in shown
    committed = (ROOT / "docs/images/columns.svg").read_text()
    assert committed.splitlines()[0] == shown.splitlines()[0], "draw docs/images/columns.svg again"
