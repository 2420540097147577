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


def is_packed(interpretation):
    """Whether it is Float16_t or Double32_t in uproot's eyes."""
    content = getattr(interpretation, "content", interpretation)
    return isinstance(content, (uproot.interpretation.numerical.TruncatedNumerical, uproot.AsDtype)) and (
        "Float16" in repr(content) or "Double32" in repr(content))


def is_plain(interpretation):
    """Whether uproot sees numbers or texts, flat, jagged or in vectors: what must not be refused."""
    if isinstance(interpretation, uproot.AsObjects):
        interpretation = interpretation.simplify()
    if isinstance(interpretation, uproot.AsJagged):
        interpretation = interpretation.content
    if isinstance(interpretation, (uproot.AsStrings, uproot.interpretation.numerical.TruncatedNumerical)):
        return True
    # Structs of classes are of a subclass of their own.
    return type(interpretation) is uproot.AsDtype


def branches_of(tree, prefix=""):
    """All branches with their paths, parents before children."""
    for branch in tree.branches:
        yield prefix + branch.name, branch
        yield from branches_of(branch, prefix + branch.name + "/")


def trees_of(file):
    """The paths of all trees."""
    classes = file.classnames(recursive=True, cycle=False)
    return {name for name, kind in classes.items() if kind in ("TTree", "TNtuple", "TNtupleD")}


class Comparison:
    """A file as `pando inspect` and as uproot read it."""

    def __init__(self, path):
        self.path = path
        self.read = 0
        self.problems = []
        # (tree, branch, why) of what is not read.
        self.refused = []
        # Branches that uproot does not read or reads wrongly.
        self.alone = []
        found, _ = inspect(path)
        with uproot.open(path) as file:
            if {tree["path"] for tree in found["trees"]} != trees_of(file):
                self.problems.append(f"other trees than {sorted(trees_of(file))}")
            for tree in found["trees"]:
                self.compare_tree(tree, file)

    def compare_tree(self, tree, file):
        if "error" in tree:
            self.problems.append(f"{tree['path']}: {tree['error']}")
            return
        if "refusal" in tree:
            self.refused.append((tree["path"], "", tree["refusal"]))
            return
        theirs = file[tree["path"]]
        if tree["entries"] != theirs.num_entries:
            self.problems.append(f"{tree['path']}: {tree['entries']} entries, uproot {theirs.num_entries}")
        # Names may come twice: the same number of times in both, in the same order.
        waiting = {}
        for path, branch in branches_of(theirs):
            waiting.setdefault(path, []).append(branch)
        current = {}
        for branch in tree["branches"]:
            path, leaf = branch["path"], None
            if path not in waiting:
                path, _, leaf = path.rpartition("/")
            if path not in waiting:
                self.problems.append(f"{tree['path']}/{branch['path']}: uproot has no such branch")
                continue
            # Leaves of one branch come one after the other.
            if leaf is None or (path, leaf) in current:
                current = {}
            if path not in current:
                if not waiting[path]:
                    self.problems.append(f"{tree['path']}/{path}: listed too often")
                    continue
                current[path] = waiting[path].pop(0)
            current[path, leaf] = True
            try:
                self.compare_branch(tree["path"], branch, current[path], leaf)
            finally:
                if leaf is None:
                    current = {}
        for path, left in waiting.items():
            if left:
                self.problems.append(f"{tree['path']}/{path}: not listed")

    def compare_branch(self, tree, branch, theirs, leaf):
        name = branch["path"]
        if "refusal" in branch:
            if "a node of sub-branches" in branch["refusal"] and theirs.branches:
                return
            self.refused.append((tree, name, branch["refusal"]))
            if is_plain(theirs.interpretation):
                self.problems.append(f"{tree}/{name}: refused ({branch['refusal']}), is {theirs.interpretation}")
            return
        self.read += 1
        if "error" in branch:
            self.problems.append(f"{tree}/{name}: {branch['error']}")
            return
        if name in UPROOT_FAILS.get(self.path.name, ()):
            self.alone.append((tree, name))
            return
        try:
            problem = self.difference(tree, branch, theirs, leaf)
        except Exception as error:  # Whatever uproot does not read, by name.
            self.alone.append((tree, name))
            problem = None if CORPUS else f"uproot: {type(error).__name__} {error}"
        if problem:
            self.problems.append(f"{tree}/{name} ({branch['type']}): {problem}")

    def difference(self, tree, branch, theirs, leaf):
        """What differs between the values of a branch; None if nothing does."""
        entries = theirs.tree.num_entries
        if theirs.branches and branch["type"] == "int32":
            return self.masters_difference(branch, theirs)
        array = theirs.array(library="np" if leaf else "ak")
        if leaf:
            array = array[leaf]
        # Branches may be longer than their tree.
        values, offsets = plain(array[:entries])
        if values.dtype == bool:
            values = values.view(np.uint8)
        if (offsets is None) != ("offsetsDigest" not in branch):
            return "jagged in one, flat in the other"
        if offsets is not None and digest(offsets) != branch["offsetsDigest"]:
            return "other items in entries"
        if digest(values) == branch["digest"]:
            return None
        if not is_packed(theirs.interpretation):
            return f"other values than uproot's {theirs.interpretation}"
        # Packed floats, with tolerance.
        mine = printed(self.path, tree, branch["path"], min(entries, branch["entries"]))
        flat = ak.to_numpy(ak.flatten(ak.Array(mine), axis=None)).astype(values.dtype)
        if flat.shape != values.reshape(-1).shape:
            return "other numbers of values"
        scale = np.abs(values).max()
        worst = np.abs(flat.astype(np.float64) - values.reshape(-1)).max()
        return None if worst <= PACKED * scale else f"differs by {worst} of {scale}"

    def masters_difference(self, branch, theirs):
        """The items of a split collection: uproot gives its members, each of which has as many."""
        for member in theirs.branches:
            if member.num_entries == branch["entries"] and not isinstance(
                member.interpretation, uproot.interpretation.identify.UnknownInterpretation
            ):
                counts = np.asarray(ak.num(member.array()), dtype=np.int32)[: theirs.tree.num_entries]
                return None if digest(counts) == branch["digest"] else "other numbers of items"
        # Without members or with none that uproot reads: there must be nothing in them.
        mine = printed(self.path, theirs.tree.name, branch["path"], branch["entries"]) if branch["entries"] else []
        return "a collection that nothing tells the size of" if any(mine) else None


def printed(path, tree, column, entries):
    """A column as `pando inspect` prints it."""
    done = subprocess.run(
        [BINARY, "inspect", path, "--tree", tree, "--columns", column, "--rows", f"0..{entries}", "--json"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [entry["values"][column] for entry in json.loads(done.stdout)["entries"]]


def listed_refusals():
    """What is known not to be read, by file: `root_refused.tsv`."""
    listed = {}
    for line in (pathlib.Path(__file__).parent / "root_refused.tsv").read_text().splitlines():
        name, tree, branch, why = line.split("\t")
        listed.setdefault(name, []).append((tree, branch, why))
    return listed


@pytest.mark.skipif(not FILES, reason="no ROOT files beside the project")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_all_branches_hold_what_uproot_reads(path):
    if path.name == OLD_CODEC:
        pytest.skip("uproot does not read the old codec: held against the file without compression below")
    found = Comparison(path)
    print(f"{path.name}: {found.read} branches read, {len(found.refused)} refused, {len(found.alone)} only here")
    for tree, branch, why in found.refused:
        print(f"refused: {path.name}\t{tree}\t{branch}\t{why}")
    assert not found.problems
    if not CORPUS:
        assert found.refused == listed_refusals().get(path.name, [])
        assert {name for _, name in found.alone} == UPROOT_FAILS.get(path.name, set())


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
