"""ROOT itself as a second oracle, where it is there: for what uproot does not read, reads wrongly, or reads in the last bits
differently (packed floats). `PANDO_ROOT_PYTHON` names a Python that has it; else this one may."""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from test_root_trees import PUBLIC, ZOO, digest, inspect

PYTHON = os.environ.get("PANDO_ROOT_PYTHON") or (sys.executable if importlib.util.find_spec("ROOT") else None)
FILES = [*sorted(ZOO.glob("*.root")), PUBLIC / "uproot-double32-float16.root", PUBLIC / "uproot-small-dy-nooffsets.root"]

pytestmark = [
    pytest.mark.skipif(not ZOO.exists(), reason="no ROOT files beside the project"),
    pytest.mark.skipif(PYTHON is None, reason="ROOT is not installed (it is not needed; PANDO_ROOT_PYTHON names a Python that has it)"),
]


def kind(branch):
    """numpy's name of a branch's values; of texts that of their bytes."""
    name = re.sub(r"\[.*", "", branch["type"].removeprefix("vector<").removesuffix(">"))
    return {"string": "uint8", "bool": "uint8"}.get(name, name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_all_branches_hold_what_root_reads(path, tmp_path):
    found, _ = inspect(path)
    compared, left = 0, []
    for tree in found["trees"]:
        paths = [branch["path"] for branch in tree["branches"]]
        # Members of split objects have other names in ROOT.
        branches = [
            branch for branch in tree["branches"]
            if "type" in branch and tree["entries"] and not (branch["className"] == "TBranchElement" and "/" in branch["path"])
            and not (branch["className"] == "TBranchElement" and any(p.startswith(branch["path"] + "/") for p in paths))]
        if not branches:
            continue
        output = tmp_path / "values.npz"
        columns = [part for branch in branches for part in (branch["path"].replace("/", "."), kind(branch))]
        subprocess.run(
            [PYTHON, pathlib.Path(__file__).with_name("root_values.py"), path, tree["path"], output, *columns],
            check=True, capture_output=True, timeout=600)
        theirs = np.load(output)
        for number, branch in enumerate(branches):
            if f"{number}.error" in theirs:
                left.append((branch["path"], str(theirs[f"{number}.error"])))
                continue
            compared += 1
            values, counts = theirs[f"{number}.values"], theirs[f"{number}.counts"]
            assert digest(values) == branch["digest"], (tree["path"], branch["path"], branch["type"])
            if "offsetsDigest" in branch:
                items = int(np.prod([int(n) for n in re.findall(r"\[(\d+)\]", branch["type"])]))
                offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
                assert digest(offsets // items) == branch["offsetsDigest"], (tree["path"], branch["path"])
    print(path.name, compared, "branches equal, not given by ROOT:", left)
    # ROOT's Python does not always give vector<char> with bytes above 127.
    assert compared > 0 and {name for name, _ in left} <= {"vec_char"}
