"""The sources of the Python package: types and style, as python/pyproject.toml asks for them."""
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.parametrize(
    "command", [["mypy", "--strict", "--config-file", "pyproject.toml", "pando"], ["ruff", "check", "."], ["ruff", "format", "--check", "."]],
    ids=["mypy", "ruff check", "ruff format"],
)
def test_sources_pass(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT / "python", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_uses_the_package_is_checked_by_its_types(tmp_path):
    (tmp_path / "program.py").write_text(
        "import pando\n"
        "loader = pando.Loader('a.pando', batch_size='many')\n"
        "for batch in loader.batches(0):\n"
        "    reveal_type(batch)\n"
        "reveal_type(pando.Dataset('a')[1:3]['px'])\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "python/pyproject.toml", tmp_path / "program.py"]
    done = subprocess.run(command, cwd=ROOT / "python", capture_output=True, text=True)
    assert 'Argument "batch_size" to "Loader" has incompatible type "str"; expected "int"' in done.stdout
    assert "ndarray" in done.stdout
