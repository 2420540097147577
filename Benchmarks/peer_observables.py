#!/usr/bin/env python3
"""Observables of jets with fastjet and awkward, as their users write it: whole arrays, no loop over jets in Python.

    peer_observables.py INPUT.npz [--processes N] [--write OUT.npz] [--what original|groomed|clustering]

INPUT.npz has `momenta`, float32 [constituents, 4] (px, py, pz, E), and `counts`. Each process takes a stretch of jets; its time begins when
arrays are in memory and imports are done. One clustering serves all of the original's observables: exclusive jets for 1 to 4 axes, taus over
all constituents, D2 and C2 by fjcontrib's C++.
"""
import argparse
import json
import multiprocessing
import os
import time
import warnings

import awkward as ak
import fastjet
import numpy as np
import vector

vector.register_awkward()
# It warns that exclusive jets of other algorithms should be interpreted with care, whatever the algorithm.
warnings.filterwarnings("ignore", message=".*exclusive jets.*")
RADIUS = 0.8


def wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def momenta(jets, counts):
    """Constituents as fastjet takes them: a record array of px, py, pz, E for each jet."""
    columns = {name: jets[:, k].astype(np.float64) for k, name in enumerate(("px", "py", "pz", "E"))}
    return ak.unflatten(ak.zip(columns, with_name="Momentum4D"), counts)


def taus(particles, sequence):
    """tau1 to tau4: the nearest axis of each constituent, with pseudorapidities."""
    pt, eta, phi = particles.pt, particles.eta, particles.phi
    total = ak.sum(pt, axis=1) * RADIUS
    found = []
    for axes in range(1, 5):
        jets = sequence.exclusive_jets(n_jets=axes)
        jets = ak.zip({name: jets[name] for name in ("px", "py", "pz", "E")}, with_name="Momentum4D")
        nearest = None
        for axis in range(axes):
            deta, dphi = eta - jets.eta[:, axis], wrapped(phi - jets.phi[:, axis])
            distance = np.sqrt(deta * deta + dphi * dphi)
            nearest = distance if nearest is None else np.minimum(nearest, distance)
        found.append(ak.to_numpy(ak.sum(pt * nearest, axis=1) / total))
    return found


def original(particles):
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.kt_algorithm, RADIUS))
    jet = ak.sum(particles.px, axis=1), ak.sum(particles.py, axis=1), ak.sum(particles.pz, axis=1), ak.sum(particles.E, axis=1)
    jet = vector.zip(dict(zip(("px", "py", "pz", "E"), jet)))
    found = {"jet_pt": jet.pt, "jet_eta": jet.eta, "jet_phi": jet.phi, "jet_mass": jet.mass, "multiplicity": ak.num(particles)}
    one, two, three, four = taus(particles, sequence)
    with np.errstate(all="ignore"):
        found |= {"tau1": one, "tau2": two, "tau3": three, "tau4": four, "tau21": two / one, "tau32": three / two,
                  "tau43": four / three}
    for name in ("d2", "c2"):
        found[name] = ak.flatten(sequence.exclusive_jets_energy_correlator(njets=1, func=name), axis=None)
    return {name: ak.to_numpy(values) for name, values in found.items()}


def groomed(particles):
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.cambridge_algorithm, 1000.0))
    jet = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=0, symmetry_cut=0.1, R0=0.8)
    names = {"msoftdrop": "sd_mass", "ptsoftdrop": "sd_pt", "deltaRsoftdrop": "sd_rg", "symmetrysoftdrop": "sd_zg"}
    return {ours: np.asarray(ak.flatten(jet[name], axis=None)) for name, ours in names.items()}


def clustering(particles):
    """What the Python bindings take for one clustering and three exclusive jets."""
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.kt_algorithm, RADIUS))
    return {"px": np.asarray(ak.flatten(sequence.exclusive_jets(n_jets=3).px, axis=None))}


WORK = {"original": original, "groomed": groomed, "clustering": clustering}


def stretch(task):
    path, first, end, what = task
    with np.load(path) as file:
        counts, jets = file["counts"], file["momenta"]
    at = np.concatenate([[0], np.cumsum(counts)])
    jets, counts = jets[at[first]:at[end]], counts[first:end]
    # The first use of anything is slow: compiled behaviours, lazily imported parts. It is not counted.
    WORK[what](momenta(jets[:at[first + 8] - at[first]], counts[:8]))
    wall, cpu = time.perf_counter(), time.process_time()
    found = WORK[what](momenta(jets, counts))
    return time.perf_counter() - wall, time.process_time() - cpu, found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write")
    parser.add_argument("--what", choices=WORK, default="original")
    options = parser.parse_args()
    # fastjet prints a banner with the first clustering; what this program says is JSON.
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with np.load(options.input) as file:
        jets = len(file["counts"])
    borders = [jets * k // options.processes for k in range(options.processes + 1)]
    tasks = [(options.input, first, end, options.what) for first, end in zip(borders, borders[1:])]
    if options.processes == 1:
        results = [stretch(tasks[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            results = pool.map(stretch, tasks, chunksize=1)
    if options.write:
        np.savez(options.write, **{name: np.concatenate([found[name] for *_, found in results]) for name in results[0][2]})
    report = {"jets": jets, "wall": max(wall for wall, *_ in results), "cpu": sum(cpu for _, cpu, _ in results)}
    os.write(out, (json.dumps(report) + "\n").encode())


if __name__ == "__main__":
    main()
