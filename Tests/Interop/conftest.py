"""What the tests share: the tool, the files to convert, and each of them converted once."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PANDO_BINARY", ROOT / ".build/release/pando"))
DATA = pathlib.Path(os.environ.get("PANDO_DATA", ROOT / "samples"))
SAMPLE = ROOT / "samples/aoj_sample.h5"


def aoj_files():
    """AspenOpenJets files of the folder with data, else the sample."""
    found = sorted(path for path in (DATA / "h5").glob("*.h5") if path.name != "aoj_other_layout.h5")
    return found or [SAMPLE]


def run(*arguments, status=0, **options):
    """Runs the tool; it must end with this exit status."""
    command = [str(BINARY), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == status, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def has_command(name):
    """Whether the tool has this subcommand."""
    done = subprocess.run([str(BINARY), name, "--help"], capture_output=True, text=True)
    return f"USAGE: pando {name}" in done.stdout


class Dataset:
    """A dataset on disk."""

    def __init__(self, path, inputs):
        self.path = path
        self.inputs = inputs

    @property
    def catalogue(self):
        return json.loads((self.path / "dataset.json").read_text())

    @property
    def shards(self):
        return [self.path / entry["file"] for entry in self.catalogue["shards"]]


def convert(directory, inputs, *options):
    run("convert", *inputs, directory, "--quiet", *options)
    return Dataset(directory, inputs)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """Gives the dataset made of a file with default options, or with the given ones; each is made once."""
    folder = tmp_path_factory.mktemp("datasets")
    made = {}

    def get(path, *options):
        key = (path, options)
        if key not in made:
            made[key] = convert(folder / f"{len(made):03}.pando", [path], *options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def sample(converted):
    return converted(SAMPLE)


each_file = pytest.mark.parametrize("path", aoj_files(), ids=lambda path: path.stem)
