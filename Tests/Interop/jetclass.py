"""Makes files that hold jets as JetClass does: momenta of full precision, angles to the jet, flags in place of codes."""
import json

import h5py
import numpy as np

import aoj
from conftest import DATA

MOMENTA = ["part_px", "part_py", "part_pz", "part_energy"]
ANGLES = ["part_deta", "part_dphi"]
TRACKS = ["part_d0val", "part_d0err", "part_dzval", "part_dzerr"]
FLAGS = ["part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon"]
FLOATS = MOMENTA + ANGLES + TRACKS + ["part_charge"]
LABELS = {
    "label_QCD": np.float32, **{f"label_{name}": bool for name in ("Hbb", "Hcc", "Hgg", "H4q", "Hqql")},
    **{f"label_{name}": np.int32 for name in ("Zqq", "Wqq", "Tbqq", "Tbl")},
}
PREFIXES = [
    "ZJetsToNuNu_", "HToBB_", "HToCC_", "HToGG_", "HToWW4Q_", "HToWW2Q1L_", "ZToQQ_", "WToQQ_", "TTBar_", "TTBarLep_",
]
AUX = ["aux_genpart_eta", "aux_genpart_phi", "aux_genpart_pid", "aux_genpart_pt", "aux_truth_match"]
TAUS = ["jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4"]
JETS = ["jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_nparticles", "jet_sdmass"]
MASSES = [0.13957, 0, 0, 0.000511, 0.10566, 0]

FILES = sorted((DATA / "jetclass").glob("*/*.root"))


def column(name):
    described = {"name": name}
    if name == "part_charge":
        described["narrow"] = "int8"
    return described


def schema(path, **changes):
    """Writes a source schema for the files of `write`."""
    described = {
        "name": "jetclass-h5",
        "description": "jets of JetClass in HDF5, padded with zeros",
        "format": "hdf5",
        "datasets": [
            {"path": "jets", "type": "float32", "role": "jet", "columns": [column(name) for name in JETS]},
            {"path": "parts", "type": "float32", "role": "constituent", "columns": [column(name) for name in FLOATS]},
            {"path": "flags", "type": "int32", "role": "constituent", "columns": [column(name) for name in FLAGS]},
        ],
        "forward": {
            "momentum": MOMENTA,
            "angles": ANGLES,
            "axis": ["jet_eta", "jet_phi"],
            "flags": FLAGS,
            "masses": [{"pid": code, "mass": mass} for code, mass in enumerate(MASSES) if mass],
        },
    }
    described["forward"] |= changes
    path.write_text(json.dumps(described))
    return path


def write(path, jets, parts, flags, chunk_rows=100):
    with h5py.File(path, "w") as file:
        for name, values in ("jets", jets), ("parts", parts), ("flags", flags):
            chunks = (min(chunk_rows, len(values)), *values.shape[1:])
            file.create_dataset(name, data=values, chunks=chunks, compression="gzip", maxshape=(None, *values.shape[1:]))
    return path


def read(path):
    """Jets, constituents and flags of a ROOT file, padded with zeros."""
    import awkward
    import uproot

    tree = uproot.open(path)["tree"].arrays(JETS + FLOATS + FLAGS)
    slots = int(awkward.max(awkward.num(tree["part_px"])))

    def padded(name):
        return awkward.to_numpy(awkward.fill_none(awkward.pad_none(tree[name], slots, clip=True), 0))

    jets = np.stack([awkward.to_numpy(tree[name]) for name in JETS], -1)
    return (
        jets.astype(np.float32),
        np.stack([padded(name) for name in FLOATS], -1).astype(np.float32),
        np.stack([padded(name) for name in FLAGS], -1).astype(np.int32),
    )


def made(seed, rows, slots=60):
    """Jets whose momenta and angles belong together, as in `read`, so that tests need no file."""
    random = np.random.default_rng(seed)
    real = np.arange(slots) < random.integers(0, slots + 1, rows)[:, None]
    jets = np.zeros((rows, len(JETS)), np.float32)
    jets[:, 0] = random.uniform(500, 1000, rows)
    jets[:, 1] = random.uniform(-2, 2, rows)
    jets[:, 2] = random.uniform(-np.pi, np.pi, rows)
    parts = np.zeros((rows, slots, len(FLOATS)), np.float32)
    deta, dphi = random.normal(0, 0.2, (2, rows, slots)).astype(np.float32)
    sign = np.where(jets[:, 1] > 0, 1.0, -1.0)
    eta, phi = deta * sign[:, None] + jets[:, 1:2].astype(float), dphi + jets[:, 2:3].astype(float)
    pt = random.exponential(10, (rows, slots)) + 0.5
    kind = random.choice(6, (rows, slots), p=[0.5, 0.1, 0.35, 0.02, 0.02, 0.01])
    momenta = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(sum(p.astype(np.float32).astype(float) ** 2 for p in momenta) + np.array(MASSES)[kind] ** 2)
    for number, values in enumerate((*momenta, energy, deta, dphi)):
        parts[..., number] = values
    tracks = np.isin(kind, (0, 3, 4))
    parts[..., 6:10] = random.normal(0, 0.1, (rows, slots, 4)) * tracks[..., None]
    parts[..., 10] = tracks * random.choice([-1, 1], (rows, slots))
    flags = (kind[..., None] == np.arange(len(FLAGS))).astype(np.int32)
    parts[~real], flags[~real] = 0, 0
    return jets, parts, flags


def noise(seed, rows, slots=60):
    """Random bits everywhere: NaN, infinities, -0.0 and subnormals among them, flags of any value."""
    random = np.random.default_rng(seed)
    flags = random.integers(-(2**31), 2**31, (rows, slots, len(FLAGS)), np.int64).astype(np.int32)
    small = random.random(flags.shape) < 0.8
    flags[small] = random.integers(-1, 3, small.sum())
    return aoj.random_bits(random, (rows, len(JETS))), aoj.random_bits(random, (rows, slots, len(FLOATS))), flags


def write_root(path, seed, rows, labels, slots=60, without=(), **options):
    """Writes a ROOT file with the branches of JetClass, as jagged leaves, by uproot. Labels: a number of a class for each jet."""
    import awkward as ak
    import uproot

    jets, parts, flags = made(seed, rows, slots)
    random = np.random.default_rng(seed + 1)
    real = parts[..., 3] > 0
    counts = real.sum(1)
    columns = {name: ak.unflatten(parts[..., number][real], counts) for number, name in enumerate(FLOATS)}
    columns |= {name: ak.unflatten(flags[..., number][real], counts) for number, name in enumerate(FLAGS)}
    columns |= {name: jets[:, number] for number, name in enumerate(JETS)}
    columns |= {name: random.random(rows).astype(np.float32) for name in TAUS + AUX}
    columns["jet_nparticles"] = counts.astype(np.float32)
    columns |= {name: (np.asarray(labels) == number).astype(kind) for number, (name, kind) in enumerate(LABELS.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path, **options) as file:
        file.mktree("tree", {name: values for name, values in columns.items() if name not in without})
    return path
