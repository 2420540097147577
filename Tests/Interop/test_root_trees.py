"""Every branch of every ROOT file, held against uproot: values, bit for bit, and the items of each entry."""
import json
import os
import pathlib
import subprocess

import awkward as ak
import numpy as np
import pytest
import uproot
import xxhash

from conftest import BINARY

DATA = pathlib.Path(os.environ.get("PANDO_DATA", "nowhere"))
CORPUS = os.environ.get("PANDO_ROOT_CORPUS")
ROOTS = [pathlib.Path(CORPUS)] if CORPUS else [DATA / "root", DATA / "jetclass"]
FILES = sorted(path for folder in ROOTS for path in folder.rglob("*.root"))

# Where uproot is wrong or fails, by file and branch; what these hold is checked by formula in test_root_zoo.py.
UPROOT_FAILS = {
    "zoo_offset_map_many.root": {"v", "w"},
    "zoo_offset_map_one.root": {"w"},
}


def digest(array):
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(array).tobytes())


def inspect(path, *options):
    done = subprocess.run(
        [BINARY, "inspect", path, "--json", "--verbose", *options], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout), done


def plain(array):
    """Values in the machine's order, one after the other, and the items before each entry (None if each has one)."""
    if isinstance(array, np.ndarray) and array.dtype != object and array.dtype.names is None:
        return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("=")), None
    if not isinstance(array, ak.Array):
        array = ak.Array(array)
    kind = array.layout
    if kind.parameter("__array__") == "string":
        content = ak.to_packed(array).layout
        offsets = np.asarray(content.offsets, dtype=np.int64)
        return np.asarray(content.content.data)[: offsets[-1]], offsets
    content = ak.to_packed(array).layout
    if isinstance(content, ak.contents.NumpyArray):
        return np.asarray(content.data), None
    if isinstance(content, ak.contents.RegularArray):
        return ak.to_numpy(array), None
    assert isinstance(content, (ak.contents.ListOffsetArray, ak.contents.ListArray)), type(content)
    offsets = np.asarray(content.to_ListOffsetArray64(True).offsets, dtype=np.int64)
    inner = content.to_ListOffsetArray64(True).content
    return ak.to_numpy(ak.Array(inner))[: offsets[-1]], offsets


# What uproot computes from packed floats differs in the last bits from what ROOT computes.
PACKED = 6e-8


def check(path):
    found, done = inspect(path)
    read = refused = 0
    problems = []
    with uproot.open(path) as file:
        for tree in found["trees"]:
            if "error" in tree:
                refused += 1
                continue
            theirs = file[tree["path"]]
            assert tree["entries"] == theirs.num_entries
            seen = set()
            for branch in tree["branches"]:
                name = branch["path"]
                if "type" not in branch:
                    refused += 1
                    continue
                if name in UPROOT_FAILS.get(path.name, ()):
                    continue
                if name in seen:
                    continue  # A name twice: the first is read.
                seen.add(name)
                assert "error" not in branch, branch
                try:
                    problem = compare(theirs, branch, path, tree["path"])
                except Exception as error:  # Whatever uproot does not read, by name.
                    problem = f"{tree['path']}/{name} ({branch['type']}): {type(error).__name__} {error}"
                if problem:
                    problems.append(problem)
                read += 1
    return read, refused, problems


def lookup(theirs, name):
    """A branch, and the leaf of one that has several."""
    try:
        return theirs[name], None
    except uproot.KeyInFileError:
        parent, _, leaf = name.rpartition("/")
        return theirs[parent], leaf


def compare(theirs, branch, path, tree):
    theirs, leaf = lookup(theirs, branch["path"])
    array = theirs.array(library="np" if leaf else "ak")
    if leaf:
        array = array[leaf]
    values, offsets = plain(array)
    if values.dtype == bool:
        values = values.view(np.uint8)
    if digest(values) == branch["digest"] and (offsets is None) == ("offsetsDigest" not in branch):
        if offsets is None or digest(offsets) == branch["offsetsDigest"]:
            return None
        return f"{branch['path']}: other items in entries"
    # Packed floats, with tolerance.
    rows = f"0..{len(array)}"
    done = subprocess.run(
        [BINARY, "inspect", path, "--tree", tree, "--columns", branch["path"], "--rows", rows, "--json"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mine = [entry["values"][branch["path"]] for entry in json.loads(done.stdout)["entries"]]
    if branch["type"].startswith("string"):
        return None if mine == ak.to_list(array) else f"{branch['path']}: other texts"
    flat = ak.to_numpy(ak.flatten(ak.Array(mine), axis=None)).astype(values.dtype)
    if "float" not in branch["type"] or flat.shape != values.reshape(-1).shape:
        return f"{branch['path']} ({branch['type']}): other values than uproot's"
    scale = np.abs(values).max()
    worst = np.abs(flat.astype(np.float64) - values.reshape(-1)).max()
    return None if worst <= PACKED * scale else f"{branch['path']}: differs by {worst} of {scale}"


@pytest.mark.skipif(not FILES, reason="no ROOT files beside the project")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_all_branches_hold_what_uproot_reads(path):
    read, refused, problems = check(path)
    print(path.name, read, "read,", refused, "refused")
    assert not problems
