#!/usr/bin/env python3
"""Makes large ROOT files to measure with out of small ones, once: they are kept in bench-results/inputs.

    root_inputs.py jetclass|pfnano-zlib|pfnano-lzma ENTRIES OUT.root

Entries of the small files are drawn with replacement. Each copy is turned in phi, mirrored in eta and smeared, so that no
bytes repeat, and stored with the precision of the original: what is drawn twice compresses no better than what is not.
ROOT writes the files where it is installed; otherwise uproot does, with counted arrays in place of std::vector.
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CODECS = {"jetclass": ("LZ4", 4), "pfnano-zlib": ("ZLIB", 6), "pfnano-lzma": ("LZMA", 9)}
SOURCES = {
    "jetclass": ["jetclass/train/TTBar_000.root", "jetclass/train/WToQQ_000.root", "jetclass/train/ZJetsToNuNu_000.root"],
    "pfnano": ["root/pfnano_data_2016G.root", "root/pfnano_data_2016H.root"]}


def data():
    return os.environ.get("PANDO_DATA", f"{ROOT}/../shared/data")


def available(kind):
    return all(os.path.exists(f"{data()}/{name}") for name in SOURCES[kind.split("-")[0]])


def get(results, kind, entries, python):
    """The path of a file of so many entries, and who wrote it: ROOT if a Python has it."""
    writer = "root" if python else "uproot"
    path = f"{results}/inputs/{kind}-{entries}-{writer}.root"
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        print(f"making {entries:,} entries like {kind}, written by {writer}", file=sys.stderr, flush=True)
        subprocess.run([python or sys.executable, "-W", "ignore", __file__, kind, str(entries), path + ".tmp"],
                       check=True, stdout=subprocess.DEVNULL)
        os.rename(path + ".tmp", path)
    return path, writer


class Table:
    """Columns of a tree: numbers of an entry, or numbers of the items of one of its collections."""

    def __init__(self, counts, columns, titles=None):
        #: name of a collection -> items of each entry
        self.counts = counts
        #: name -> (collection or None, values)
        self.columns = columns
        self.titles = titles or {}

    def drawn(self, pick):
        """Some entries of it, and of each item the number of its entry."""
        import numpy as np
        places, counts, owners = {}, {}, {}
        for name, count in self.counts.items():
            start = np.concatenate([[0], np.cumsum(count)[:-1]])
            counts[name] = count[pick]
            first = np.concatenate([[0], np.cumsum(counts[name])[:-1]])
            owners[name] = np.repeat(np.arange(len(pick)), counts[name])
            places[name] = start[pick][owners[name]] + np.arange(len(owners[name])) - first[owners[name]]
        columns = {
            name: (owner, values[pick] if owner is None else values[places[owner]])
            for name, (owner, values) in self.columns.items()}
        return Table(counts, columns, self.titles), owners


def load(kind):
    """The entries of all small files."""
    import awkward as ak
    import numpy as np
    import uproot
    trees = [uproot.open(f"{data()}/{name}")["tree" if kind == "jetclass" else "Events"] for name in SOURCES[kind]]
    counts, columns, titles = {}, {}, {}
    for branch in trees[0].branches:
        name = branch.name
        # Triggers that a file does not have did not fire.
        arrays = [tree[name].array() if name in tree else ak.Array(np.zeros(tree.num_entries, np.bool_)) for tree in trees]
        owner = None
        if arrays[0].ndim == 2:
            owner = "part" if kind == "jetclass" else name.split("_")[0]
            counts.setdefault(owner, np.concatenate([ak.to_numpy(ak.num(array)) for array in arrays]))
        elif kind == "pfnano" and f"{name[1:]}_pt" in trees[0]:
            continue
        columns[name] = owner, np.concatenate([ak.to_numpy(ak.flatten(array, axis=None)) for array in arrays])
        titles[name] = branch.title
    return Table(counts, columns, titles)


def wrapped(phi):
    import numpy as np
    return (phi + np.pi) % (2 * np.pi) - np.pi


def smear_jetclass(table, owners, random):
    """Momenta changed, and all that follows from them made anew."""
    import numpy as np
    owner, jets = owners["part"], len(table.counts["part"])
    old = {name: values.astype(np.float64) for name, (_, values) in table.columns.items()}
    new = dict(old)
    pt, phi = np.hypot(old["part_px"], old["part_py"]), np.arctan2(old["part_py"], old["part_px"])
    eta = np.arcsinh(old["part_pz"] / pt)
    mass2 = old["part_energy"] ** 2 - (pt * np.cosh(eta)) ** 2
    mass2[mass2 < 1e-6 * old["part_energy"] ** 2] = 0
    turn, side = random.uniform(-np.pi, np.pi, jets), random.choice([-1.0, 1.0], jets)
    pt *= 1 + 0.01 * random.standard_normal(len(pt))
    eta = (eta + 2e-4 * random.standard_normal(len(pt))) * side[owner]
    phi = wrapped(phi + turn[owner] + 2e-4 * random.standard_normal(len(pt)))
    momentum = [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.sqrt((pt * np.cosh(eta)) ** 2 + mass2)]
    x, y, z, energy = (np.bincount(owner, part, minlength=jets) for part in momentum)
    new.update(zip(["part_px", "part_py", "part_pz", "part_energy"], momentum))
    new["jet_pt"], new["jet_phi"], new["jet_energy"] = np.hypot(x, y), np.arctan2(y, x), energy
    new["jet_eta"] = np.arcsinh(z / new["jet_pt"])
    new["part_deta"] = (eta - new["jet_eta"][owner]) * np.where(new["jet_eta"] > 0, 1, -1)[owner]
    new["part_dphi"] = wrapped(phi - new["jet_phi"][owner])
    for name in ["d0val", "d0err", "dzval", "dzerr"]:
        new[f"part_{name}"] = old[f"part_{name}"] * (1 + 0.03 * random.standard_normal(len(pt)))
    for name in ["jet_sdmass", "jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4", "aux_genpart_pt"]:
        new[name] = old[name] * (1 + 0.02 * random.standard_normal(jets))
    new["aux_genpart_eta"] = old["aux_genpart_eta"] * side
    new["aux_genpart_phi"] = np.where(old["aux_genpart_pid"] != 0, wrapped(old["aux_genpart_phi"] + turn), 0)
    for name, (owner, values) in table.columns.items():
        table.columns[name] = owner, new[name].astype(values.dtype)


def rounded(values, bits):
    """float32 with so many bits of mantissa, as NanoAOD has them."""
    import numpy as np
    raw = np.asarray(values, np.float32).view(np.uint32)
    half = np.uint32(1 << (22 - bits))
    return ((raw + half) & np.uint32(0xFFFFFFFF << (23 - bits) & 0xFFFFFFFF)).view(np.float32)


def smear_pfnano(table, owners, random):
    """Angles stay on the grid on which MiniAOD packs them: other momenta would be stored otherwise."""
    import numpy as np
    events = len(table.columns["run"][1])
    turn, side = random.uniform(-np.pi, np.pi, events), random.choice([-1, 1], events).astype(np.float32)
    for name, (owner, values) in list(table.columns.items()):
        if owner is None or values.dtype != np.float32:
            continue
        field = name.split("_", 1)[1]
        if field == "eta":
            values = values * side[owners[owner]]
        elif field == "phi" and owner != "PFCands":
            values = rounded(wrapped(values + turn[owners[owner]]), 12)
        elif field in ("mass", "rawFactor", "trkChi2", "phi", "btagEtaRel") and owner in ("PFCands", "FatJetPFCands"):
            pass
        elif owner != "FatJetPFCands":
            # -1 and 0 say that there is no track, 1 that a weight is full.
            changed = rounded(values * np.exp(0.03 * random.standard_normal(len(values))), 10)
            values = np.where((values == -1) | (values == 0) | (values == 1), values, changed)
            if field.startswith("puppiWeight"):
                values = np.minimum(values, np.float32(1))
        table.columns[name] = owner, values
    pt = table.columns["PFCands_pt"][1].astype(np.float64)
    shift = np.where(pt < 1, 0.1 * pt, 0.1 / np.maximum(pt, 1e-9)) * np.where(np.trunc(10 * pt) % 2 == 0, 1, -1)
    phi = wrapped(table.columns["PFCands_phi"][1] + turn[owners["PFCands"]])
    phi = (np.rint(phi * 32767 / 3.2 - shift) + shift) * 3.2 / 32767
    table.columns["PFCands_phi"] = "PFCands", rounded(phi, 12)


WRITER = r"""
#include <TTree.h>
#include <cstring>
#include <deque>
#include <vector>

// Branches of a tree that are filled from arrays in memory.
struct BenchmarkWriter {
  struct Column {
    char kind; const char* data; const Long64_t* ends; size_t width;
    std::vector<char> buffer; std::vector<float> floats; std::vector<int> integers;
  };
  std::deque<Column> columns;
  TTree* tree;

  // Kinds: 's' a number, 'c' an array that a branch counts, 'f' and 'i' vectors.
  void add(const std::string& name, const std::string& leaf, const std::string& title, const std::string& kind, size_t width,
           size_t most, size_t data, size_t ends) {
    columns.push_back({kind[0], reinterpret_cast<const char*>(data), reinterpret_cast<const Long64_t*>(ends), width});
    Column& column = columns.back();
    column.buffer.resize(width * (most + 1));
    TBranch* branch = kind == "f" ? tree->Branch(name.c_str(), &column.floats, 32000)
                    : kind == "i" ? tree->Branch(name.c_str(), &column.integers, 32000)
                    : tree->Branch(name.c_str(), column.buffer.data(), leaf.c_str(), 32000);
    if (!title.empty()) branch->SetTitle(title.c_str());
  }

  void fill(Long64_t entries) {
    for (Long64_t i = 0; i < entries; i++) {
      for (Column& column : columns) {
        const Long64_t first = column.ends ? column.ends[i] : i, end = column.ends ? column.ends[i + 1] : i + 1;
        if (column.kind == 'f') {
          const float* values = reinterpret_cast<const float*>(column.data);
          column.floats.assign(values + first, values + end);
        } else if (column.kind == 'i') {
          const int* values = reinterpret_cast<const int*>(column.data);
          column.integers.assign(values + first, values + end);
        } else {
          std::memcpy(column.buffer.data(), column.data + first * column.width, (end - first) * column.width);
        }
      }
      tree->Fill();
    }
  }
};
"""
LETTERS = {"float32": "F", "int32": "I", "uint32": "i", "uint64": "l", "uint8": "b", "bool": "O"}


def write_root(table, kind, path):
    import numpy as np
    import ROOT as root
    root.gInterpreter.Declare(WRITER)
    codec, level = CODECS[kind]
    file = root.TFile(path, "RECREATE", "", {"ZLIB": 1, "LZMA": 2, "LZ4": 4}[codec] * 100 + level)
    name = "tree" if kind == "jetclass" else "Events"
    tree = root.TTree(name, name)
    writer = root.BenchmarkWriter()
    writer.tree = tree
    kept = {owner: np.concatenate([[0], np.cumsum(count)]).astype(np.int64) for owner, count in table.counts.items()}
    written = set()
    for name, (owner, values) in table.columns.items():
        letter, title = LETTERS[str(values.dtype)], table.titles[name]
        if kind == "jetclass" and owner:
            writer.add(name, "", "", letter.lower(), 4, 0, values.ctypes.data, kept[owner].ctypes.data)
            continue
        if owner and owner not in written:
            written.add(owner)
            kept[f"n{owner}"] = table.counts[owner].astype(np.uint32)
            writer.add(f"n{owner}", f"n{owner}/i", "", "s", 4, 1, kept[f"n{owner}"].ctypes.data, 0)
        leaf = f"{name}[n{owner}]/{letter}" if owner else f"{name}/{letter}"
        most = int(table.counts[owner].max()) if owner else 1
        writer.add(name, leaf, title, "c" if owner else "s", values.dtype.itemsize, most, values.ctypes.data,
                   kept[owner].ctypes.data if owner else 0)
    writer.fill(len(next(iter(table.counts.values()))))
    tree.Write()
    file.Close()


def write_uproot(table, kind, path):
    import awkward as ak
    import uproot
    codec, level = CODECS[kind]
    arrays = {name: values for name, (owner, values) in table.columns.items() if owner is None}
    for owner, count in table.counts.items():
        fields = {name.split("_", 1)[1]: ak.unflatten(values, count)
                  for name, (belongs, values) in table.columns.items() if belongs == owner}
        arrays[owner] = ak.zip(fields)
    entries = len(next(iter(table.counts.values())))
    with uproot.recreate(path, compression=getattr(uproot, codec)(level)) as file:
        tree = file.mktree(
            "tree" if kind == "jetclass" else "Events",
            {name: array.type.content if isinstance(array, ak.Array) else array.dtype for name, array in arrays.items()})
        for first in range(0, entries, 1000):
            tree.extend({name: array[first:first + 1000] for name, array in arrays.items()})


def main():
    import numpy as np
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=CODECS)
    parser.add_argument("entries", type=int)
    parser.add_argument("output")
    options = parser.parse_args()
    kind, random = options.kind.split("-")[0], np.random.default_rng(1)
    small = load(kind)
    known = len(next(iter(small.counts.values())))
    table, owners = small.drawn(random.integers(known, size=options.entries))
    (smear_jetclass if kind == "jetclass" else smear_pfnano)(table, owners, random)
    for name, (owner, values) in table.columns.items():
        table.columns[name] = owner, np.ascontiguousarray(values)
    try:
        import ROOT  # noqa: F401
    except ImportError:
        write_uproot(table, options.kind, options.output)
    else:
        write_root(table, options.kind, options.output)


if __name__ == "__main__":
    main()
