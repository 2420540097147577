"""What docs/python.md shows runs, block by block, in one place."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import pando
from conftest import ROOT, SAMPLE

PAGE = (ROOT / "docs/python.md").read_text()


def run_blocks(folder, mark):
    blocks = re.findall(rf"<!-- {mark} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"printed nothing:\n{block}"
    return len(blocks)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    (folder / "aoj").mkdir()
    for name in "ab":
        shutil.copy(SAMPLE, folder / f"aoj/{name}.h5")
    return folder


def test_blocks_run(place):
    pytest.importorskip("awkward")
    pytest.importorskip("tqdm")
    assert run_blocks(place, "tested with the wheel") == 4


def test_blocks_with_pytorch_run(place):
    pytest.importorskip("torch")
    if not (place / "aoj.pando").exists():
        pando.convert([place / "aoj/a.h5", place / "aoj/b.h5"], place / "aoj.pando")
    assert run_blocks(place, "tested with PyTorch") == 1


@pytest.mark.skipif("PANDO_PAGE_INSTALL" not in os.environ, reason="scripts/test-wheel builds and installs the wheel")
def test_the_wheel_was_built_and_installed_in_the_words_of_the_page():
    (block,) = re.findall(r"<!-- tested by scripts/test-wheel -->\n```sh\n(.*?)\n```", PAGE, re.DOTALL)
    assert block == os.environ["PANDO_PAGE_INSTALL"]
    assert block.splitlines() == ["make wheel", "pip install dist/pando-*.whl"]
    # What runs here is what lies there.
    (wheel,) = (ROOT / "dist").glob("pando-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in ("lib/libPandoC.so", "loader.py"):
            assert archive.read(f"pando/{name}") == (pathlib.Path(pando.__file__).parent / name).read_bytes()


def test_all_blocks_are_tested():
    assert PAGE.count("```python") == len(re.findall(r"<!-- tested with (?:the wheel|PyTorch) -->\n```python", PAGE)) == 5
    assert PAGE.count("```sh") == PAGE.count("<!-- tested by scripts/test-wheel -->\n```sh") == 1
    assert PAGE.count("```") == 2 * 6
