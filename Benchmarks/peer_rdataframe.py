#!/usr/bin/env python3
"""Reads and converts ROOT files with ROOT's RDataFrame; runs in .venv-bench-root.

    peer_rdataframe.py read FILE TREE
    peer_rdataframe.py jetclass|pfnano INPUT.root OUTPUT_DIRECTORY

Reading sums every branch. A conversion writes a tree with Zstandard, level 3 (Snapshot); of PFNano a row is an event with at least
one jet, its jets and their constituents flattened. RDataFrame compiles what it is asked for, which takes seconds: the same is run over
one entry before, and its time subtracted; `with_start` has both. Prints one JSON object.
"""
import argparse
import json
import os
import time
import warnings

warnings.simplefilter("ignore")
import ROOT  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
HELPERS = r"""
#include <ROOT/RVec.hxx>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace benchmark {
using Floats = ROOT::RVecF;
using Numbers = ROOT::RVecI;

/// Numbers of the jets that pass the cuts.
Numbers jets(const Floats& pt, const Floats& eta, const Numbers& id) {
  Numbers taken;
  for (int i = 0; i < int(pt.size()); i++)
    if (pt[i] > 300 && std::abs(eta[i]) < 2.5 && id[i] == 6) taken.push_back(i);
  return taken;
}

struct Constituents { Numbers counts, index; Floats px, py, pz, energy; };

/// Up to 150 candidates of each jet with their momenta, by falling pt.
Constituents constituents(const Numbers& taken, const Numbers& owner, const Numbers& index, const Floats& pt,
                          const Floats& eta, const Floats& phi, const Floats& mass) {
  Constituents all;
  for (int jet : taken) {
    Numbers mine;
    for (size_t i = 0; i < owner.size() && mine.size() < 150; i++)
      if (owner[i] == jet) mine.push_back(index[i]);
    std::vector<std::array<float, 4>> p;
    std::vector<float> keys;
    for (int i : mine) {
      const double t = pt[i], h = eta[i], f = phi[i], m = mass[i], size = t * std::cosh(h);
      p.push_back({float(t * std::cos(f)), float(t * std::sin(f)), float(t * std::sinh(h)), float(std::sqrt(size * size + m * m))});
      keys.push_back(std::sqrt(p.back()[0] * p.back()[0] + p.back()[1] * p.back()[1]));
    }
    std::vector<int> order(mine.size());
    std::iota(order.rbegin(), order.rend(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return keys[a] > keys[b]; });
    for (int i : order) {
      all.index.push_back(mine[i]);
      all.px.push_back(p[i][0]);
      all.py.push_back(p[i][1]);
      all.pz.push_back(p[i][2]);
      all.energy.push_back(p[i][3]);
    }
    all.counts.push_back(mine.size());
  }
  return all;
}
}
"""
JETS = ["pt", "eta", "phi", "msoftdrop", "nConstituents", "tau1", "tau2", "tau3", "tau4", "particleNet_H4qvsQCD",
        "particleNet_HbbvsQCD", "particleNet_HccvsQCD", "particleNet_QCD", "particleNet_TvsQCD", "particleNet_WvsQCD",
        "particleNet_ZvsQCD", "particleNet_mass"]
CANDIDATES = ["d0", "d0Err", "dz", "dzErr", "charge", "pdgId", "puppiWeight"]


def names(frame):
    return [str(name) for name in frame.GetColumnNames()]


def read(frame, output):
    results = [frame.Sum(name) for name in names(frame)]
    results[0].GetValue()
    return {}


def options():
    chosen = ROOT.RDF.RSnapshotOptions()
    chosen.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.kZSTD
    chosen.fCompressionLevel = 3
    return chosen


def convert_jetclass(frame, output):
    count, parts = frame.Count(), frame.Define("many", "(long) part_px.size()").Sum("many")
    frame.Snapshot("tree", output, names(frame), options())
    return {"jets": int(count.GetValue()), "constituents": int(parts.GetValue())}


def convert_pfnano(frame, output):
    with open(f"{HERE}/../schemas/selections/aoj-2016.json") as file:
        rules = json.load(file)
    known = set(names(frame))
    any_fired = " || ".join(name for name in rules["triggers"] if name in known)
    all_passed = " && ".join(name for name in rules["filters"] if name in known)
    chosen = frame.Filter(any_fired).Filter(all_passed)
    chosen = chosen.Define("taken", "benchmark::jets(FatJet_pt, FatJet_eta, FatJet_jetId)").Filter("taken.size() > 0")
    chosen = chosen.Define(
        "all_", "benchmark::constituents(taken, FatJetPFCands_jetIdx, FatJetPFCands_pFCandsIdx, PFCands_pt, PFCands_eta,"
        " PFCands_phi, PFCands_mass)")
    columns = ["run", "luminosityBlock", "event", "counts"]
    chosen = chosen.Define("counts", "all_.counts")
    for name in ["px", "py", "pz", "energy"]:
        chosen = chosen.Define(name, f"all_.{name}")
    for name in JETS:
        chosen = chosen.Define(f"jet_{name}", f"ROOT::VecOps::Take(FatJet_{name}, taken)")
    for name in CANDIDATES:
        chosen = chosen.Define(name, f"ROOT::VecOps::Take(PFCands_{name}, all_.index)")
    columns += ["px", "py", "pz", "energy", *CANDIDATES, *(f"jet_{name}" for name in JETS)]
    jets = chosen.Define("many", "(long) taken.size()").Sum("many")
    parts = chosen.Define("many", "(long) all_.index.size()").Sum("many")
    chosen.Snapshot("Events", output, columns, options())
    return {"jets": int(jets.GetValue()), "constituents": int(parts.GetValue())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["read", "jetclass", "pfnano"])
    parser.add_argument("input")
    parser.add_argument("target", help="tree or directory")
    chosen = parser.parse_args()
    ROOT.gInterpreter.Declare(HELPERS)
    tree = {"read": chosen.target, "jetclass": "tree", "pfnano": "Events"}[chosen.work]
    work = {"read": read, "jetclass": convert_jetclass, "pfnano": convert_pfnano}[chosen.work]
    output = None if chosen.work == "read" else f"{chosen.target}/0.root"
    if output:
        os.makedirs(chosen.target)
    times = []
    # The first time more is compiled and loaded, once for all.
    for is_whole in (False, False, True):
        begin = time.perf_counter(), time.process_time()
        frame = ROOT.RDataFrame(tree, chosen.input)
        outcome = work(frame if is_whole else frame.Range(1), output)
        times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, cpu = (whole - compiling for whole, compiling in zip(times[2], times[1]))
    print(json.dumps(outcome | {
        "wall": wall, "cpu": cpu, "with_compiling": times[2][0], "bytes": os.path.getsize(output) if output else 0}))


if __name__ == "__main__":
    main()
