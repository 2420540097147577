"""What docs/python.md shows runs, block by block, in one place."""
import re
import shutil
import subprocess
import sys

import pytest

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
    assert run_blocks(place, "tested with the wheel") == 3


def test_blocks_with_pytorch_run(place):
    pytest.importorskip("torch")
    import pando

    if not (place / "aoj.pando").exists():
        pando.convert([place / "aoj/a.h5", place / "aoj/b.h5"], place / "aoj.pando")
    assert run_blocks(place, "tested with PyTorch") == 1


def test_all_blocks_of_python_are_tested():
    shown = PAGE.count("```python")
    assert shown == len(re.findall(r"<!-- tested with (?:the wheel|PyTorch) -->\n```python", PAGE)) == 4
