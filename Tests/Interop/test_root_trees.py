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

# Where uproot is wrong or fails, by file and branch. What the first two hold is checked by formula below, the third against
# the bytes of its baskets, the old codec against the file without compression.
UPROOT_FAILS = {
    "zoo_offset_map_many.root": {"v", "w"},
    "zoo_offset_map_one.root": {"w"},
    "uproot-small-dy-nooffsets.root": {"Jet_jetId", "Jet_pt"},
}
OLD_CODEC = "zoo_types_old.root"


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
    if path.name == OLD_CODEC:
        return len(found["trees"][0]["branches"]), 0, []
    with uproot.open(path) as file:
        for tree in found["trees"]:
            assert "error" not in tree, tree
            if "refusal" in tree:
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
    entries = theirs.num_entries
    theirs, leaf = lookup(theirs, branch["path"])
    if theirs.branches and branch["type"] == "int32":
        # The items of a split collection: uproot gives its members.
        members = [b for b in theirs.branches if isinstance(b.interpretation, uproot.AsJagged) and b.num_entries]
        if not members:
            return None
        counts = np.asarray(ak.num(members[0].array()), dtype=np.int32)
        return None if digest(counts) == branch["digest"] else f"{branch['path']}: other numbers of items"
    array = theirs.array(library="np" if leaf else "ak")
    if leaf:
        array = array[leaf]
    # Branches may be longer than their tree.
    array = array[:entries]
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


def values(path, tree, names, rows=None):
    """Columns as `pando inspect` prints them."""
    if rows is None:
        found, _ = inspect(path, "--tree", tree)
        rows = f"0..{found['trees'][0]['entries']}"
    done = subprocess.run(
        [BINARY, "inspect", path, "--tree", tree, "--columns", ",".join(names), "--rows", rows, "--json"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    entries = json.loads(done.stdout)["entries"]
    return {name: [entry["values"][name] for entry in entries] for name in names}


ZOO = DATA / "root" / "zoo"
PUBLIC = DATA / "root" / "public"
beside = pytest.mark.skipif(not ZOO.exists(), reason="no ROOT files beside the project")


@beside
@pytest.mark.parametrize("name", ["zoo_offset_map_many.root", "zoo_offset_map_one.root"])
def test_offsets_that_are_not_stored_come_from_the_counter(name):
    found, _ = inspect(ZOO / name)
    tree = found["trees"][0]["path"]
    got = values(ZOO / name, tree, ["v", "w"])
    for entry, (v, w) in enumerate(zip(got["v"], got["w"])):
        n = 5 * entry % 9
        assert v == [entry] * n
        assert w == [j + 10 * entry for j in range(n)]


@beside
def test_the_old_codec_gives_what_the_file_without_compression_holds():
    old, _ = inspect(ZOO / OLD_CODEC)
    names = [branch["path"] for branch in old["trees"][0]["branches"] if "type" in branch]
    assert len(names) >= 60
    entries = old["trees"][0]["entries"]
    assert values(ZOO / OLD_CODEC, "t", names) == values(ZOO / "zoo_types_none.root", "t", names, f"0..{entries}")


@beside
def test_entries_are_counted_where_baskets_of_counter_and_array_end_elsewhere():
    path = PUBLIC / "uproot-small-dy-nooffsets.root"
    tree = uproot.open(path)["tree"]
    counts = tree["nJet"].array(library="np")
    for name, kind in (("Jet_pt", ">f4"), ("Jet_jetId", ">i4")):
        branch = tree[name]
        assert branch.num_baskets != tree["nJet"].num_baskets
        flat = np.frombuffer(b"".join(bytes(branch.basket(i).data) for i in range(branch.num_baskets)), kind)
        assert len(flat) == counts.sum()
        expected = [part.tolist() for part in np.split(flat, np.cumsum(counts)[:-1])]
        assert values(path, "tree", [name])[name] == expected


@beside
def test_the_branches_of_numbers_and_texts_are_all_read():
    lines = [line.split("\t") for line in (PUBLIC / "MANIFEST.tsv").read_text().splitlines()[1:]]
    short = {}
    for name, _, _, _, wanted, _, versions, *_ in lines:
        found, _ = inspect(PUBLIC / name)
        read = sum("type" in branch for tree in found["trees"] for branch in tree["branches"])
        if read < int(wanted):
            short[name] = (read, int(wanted), versions)
    # Trees of version 5, as Geant4 writes them, are refused by name.
    assert {name for name in short if short[name][2] != "TTree_v5"} == set(), short


@beside
def test_what_is_not_read_is_refused_by_name():
    found, _ = inspect(ZOO / "zoo_refuse.root")
    branches = {branch["path"]: branch for branch in found["trees"][0]["branches"]}
    assert values(ZOO / "zoo_refuse.root", found["trees"][0]["path"], ["x"])["x"] == list(range(30))
    refused = {name: branch["refusal"] for name, branch in branches.items() if "refusal" in branch}
    print(refused)
    words = " ".join(refused.values())
    for what in ("TLorentzVector", "TVector3", "vector<vector<"):
        assert what in words, (what, refused)
    assert {"table/table.first"} <= set(refused)
    for name in ("ntpl001_staff_rntuple_v1-0-0-0.root",):
        keys = {key["path"]: key["className"] for key in inspect(PUBLIC / name)[0]["keys"]}
        tree = next(path for path, kind in keys.items() if "RNTuple" in kind)
        done = subprocess.run([BINARY, "inspect", PUBLIC / name, "--tree", tree], capture_output=True, text=True)
        assert done.returncode == 1 and "RNTuple is not read" in done.stderr
