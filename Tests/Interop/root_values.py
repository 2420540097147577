"""Reads columns of a tree with ROOT itself, in a process of its own: root_values.py FILE TREE OUTPUT.npz NAME TYPE [NAME TYPE]...

Writes `N.values` (one after the other, in the given type) and `N.counts`, how many each entry has; or `N.error` for what ROOT does not give.
"""
import itertools
import sys

import numpy as np
import ROOT

# Larger trees are read by RDataFrame, which is wrong where offsets are not stored and counter and array end in other baskets.
LARGE = 20_000


def entry_of(tree, leaf, name, kind):
    """The values of the present entry."""
    if leaf.ClassName() == "TLeafC":
        found = getattr(tree, name)
        if isinstance(found, str):
            return np.frombuffer(found.encode(), np.uint8)
        # A view of what a char* leads to, which has no end of its own.
        return np.array([ord(x) for x in itertools.takewhile(lambda x: x != "\0", found)], np.uint8)
    if leaf.ClassName() == "TLeafElement":
        found = getattr(tree, name)
        if hasattr(found, "c_str"):
            return np.frombuffer(str(found).encode(), np.uint8)
        values = list(found)
        if values and isinstance(values[0], str):
            return np.array([ord(x) for x in values], np.int64).astype(kind)
        return np.array(values, kind)
    if "int" in kind:
        return np.array([leaf.GetValueLong64(i) for i in range(leaf.GetLen())], np.int64).astype(kind)
    return np.array([leaf.GetValue(i) for i in range(leaf.GetLen())]).astype(kind)


def read(tree, name, kind):
    branch = tree.GetBranch(name) or tree.GetBranch(name.split(".")[0])
    leaf = branch.GetLeaf(name.split(".")[-1]) or branch.GetListOfLeaves()[0]
    if tree.GetEntries() > LARGE:
        values = ROOT.RDataFrame(tree).AsNumpy([name])[name]
        return values.astype(kind), np.ones(len(values), np.int64)
    tree.SetBranchStatus("*", 0)
    tree.SetBranchStatus(branch.GetName(), 1)
    if leaf.GetLeafCount():
        tree.SetBranchStatus(leaf.GetLeafCount().GetBranch().GetName(), 1)
    parts = []
    for entry in range(tree.GetEntries()):
        tree.GetEntry(entry)
        parts.append(entry_of(tree, leaf, name, kind))
    return np.concatenate(parts) if parts else np.zeros(0, kind), np.array([len(part) for part in parts], np.int64)


path, name, output, *columns = sys.argv[1:]
ROOT.gErrorIgnoreLevel = ROOT.kFatal
file = ROOT.TFile.Open(path)
results = {}
for number, (column, kind) in enumerate(zip(columns[::2], columns[1::2])):
    try:
        results[f"{number}.values"], results[f"{number}.counts"] = read(file.Get(name), column, kind)
    except Exception as error:
        results[f"{number}.error"] = np.array(f"{type(error).__name__}: {error}"[:200])
np.savez(output, **results)
