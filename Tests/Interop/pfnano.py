"""Makes PFNano files for tests, with uproot: events with jets, candidates and links between them, triggers, filters, generated particles."""
import awkward as ak
import numpy as np
import uproot

from conftest import DATA

FOLDER = DATA / "root"
TRIGGERS = ["HLT_AK8PFJet500", "HLT_PFHT900", "HLT_PFJet450"]
FILTERS = [
    "Flag_goodVertices", "Flag_globalSuperTightHalo2016Filter", "Flag_HBHENoiseFilter", "Flag_HBHENoiseIsoFilter",
    "Flag_EcalDeadCellTriggerPrimitiveFilter", "Flag_BadPFMuonFilter", "Flag_eeBadScFilter", "Flag_CSCTightHaloFilter",
]
SCORES = ["H4qvsQCD", "HbbvsQCD", "HccvsQCD", "QCD", "TvsQCD", "WvsQCD", "ZvsQCD", "mass"]


def made(seed, events, simulation=False):
    """Scalars by name and collections by name: numbers without physics, all of them different."""
    random = np.random.default_rng(seed)

    def jagged(counts, values):
        return ak.unflatten(values, counts)

    scalars = {
        "run": random.choice([278820, 279667, 281797], events).astype(np.uint32),
        "luminosityBlock": random.integers(1, 500, events).astype(np.uint32),
        "event": random.integers(1, 2**33, events).astype(np.uint64),
        **{name: random.random(events) < 0.5 for name in TRIGGERS},
        **{name: random.random(events) < 0.97 for name in FILTERS},
    }
    jets = random.integers(0, 4, events)
    total = int(jets.sum())

    def floats(low, high, count):
        return random.uniform(low, high, count).astype(np.float32)

    fat = {
        "pt": floats(200, 900, total), "eta": floats(-3, 3, total), "phi": floats(-3.14, 3.14, total),
        "msoftdrop": floats(0, 200, total), "jetId": random.choice([6, 6, 6, 2, 0], total).astype(np.int32),
        "nConstituents": random.integers(1, 99, total).astype(np.uint8),
        **{f"tau{n}": floats(0, 0.5, total) for n in range(1, 5)},
        **{f"particleNet_{name}": floats(0, 1, total) for name in SCORES},
    }
    candidates = random.integers(0, 60, events)
    count = int(candidates.sum())
    particles = {
        "pt": np.exp(floats(-1, 4, count)).astype(np.float16).astype(np.float32), "eta": floats(-2.5, 2.5, count),
        "phi": floats(-3.14, 3.14, count), "mass": random.choice([0.1395263671875, 0.0], count).astype(np.float32),
        **{name: floats(-1, 1, count) for name in ("d0", "d0Err", "dz", "dzErr")},
        "charge": random.integers(-1, 2, count).astype(np.int32),
        "pdgId": random.choice([211, -211, 22, 130], count).astype(np.int32), "puppiWeight": floats(0, 1, count),
    }
    links = [(jet, n) for e in range(events) if jets[e] for n in range(candidates[e]) for jet in [random.integers(jets[e])]]
    owners = np.array([jet for jet, _ in links], np.int32)
    numbers = np.array([n for _, n in links], np.int32)
    linked = np.where(jets > 0, candidates, 0)
    collections = {
        "FatJet": {name: jagged(jets, values) for name, values in fat.items()},
        "PFCands": {name: jagged(candidates, values) for name, values in particles.items()},
        "FatJetPFCands": {"jetIdx": jagged(linked, owners), "pFCandsIdx": jagged(linked, numbers)},
    }
    if simulation:
        scalars["genWeight"] = floats(-1, 2, events)
        collections["GenPart"] = generated(random, events)
    return scalars, collections


def generated(random, events):
    """Generated particles of random kinds with random mothers, as odd as they come: also cycles, code 0, mothers that are not there."""
    counts = random.integers(0, 30, events)
    total = int(counts.sum())
    codes = random.choice([6, -6, 24, -24, 23, 25, 5, -5, 1, -2, 3, -4, 11, -12, 7, 21, 0], total)
    mothers = np.concatenate([random.integers(-1, n + 2, n) for n in counts])
    # Most come from something heavy, and most of these are quarks.
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    for index in np.flatnonzero(random.random(total) < 0.8):
        end = starts[index] + counts[np.searchsorted(np.cumsum(counts), index, "right")]
        heavy = np.flatnonzero(np.isin(np.abs(codes[starts[index] : end]), (6, 23, 24, 25)))
        if len(heavy) and abs(codes[index]) not in (6, 23, 24, 25):
            mothers[index] = random.choice(heavy)
    fields = {
        "pdgId": codes.astype(np.int32), "genPartIdxMother": mothers.astype(np.int32),
        "statusFlags": random.choice([1 << 13, 1 << 13 | 1, 1 << 13 | 1 << 12, 0], total).astype(np.int32),
        "eta": random.uniform(-0.6, 0.6, total).astype(np.float32),
        # On both sides of where phi jumps.
        "phi": (random.choice([-1, 1], total) * random.uniform(2.8, 3.1416, total)).astype(np.float32),
    }
    return {name: ak.unflatten(values, counts) for name, values in fields.items()}


BOSONS = {"top": 24, "W": 24, "Z": 23, "H": 25}


def matches(kind, jet, particles):
    """Whether a jet (eta, phi) matches: the generator match of AspenOpenJets once more, particle by particle."""

    def first(wanted):
        return next((i for i, p in enumerate(particles) if wanted(p["pdgId"]) and p["statusFlags"] & 8192), None)

    def near(index):
        turn = jet[1] - float(particles[index]["phi"])
        turn += 2 * np.pi if turn < -np.pi else 0
        turn -= 2 * np.pi if turn > np.pi else 0
        return np.hypot(jet[0] - float(particles[index]["eta"]), turn) < 0.8

    def holds(boson, top=None):
        plus = minus = bottom = None
        for i, p in enumerate(particles):
            mother = p["genPartIdxMother"]
            if mother <= 0:
                continue
            if mother == boson and abs(p["pdgId"]) <= 16:
                if p["pdgId"] > 0:
                    plus = i if plus is None else plus
                else:
                    minus = i if minus is None else minus
            if top is not None and mother == top and abs(p["pdgId"]) == 5:
                bottom = i if bottom is None else bottom
        if plus is None or minus is None or (top is not None and bottom is None):
            return False
        quarks = abs(particles[plus]["pdgId"]) <= 5 and abs(particles[minus]["pdgId"]) <= 5
        return quarks and near(plus) and near(minus) and (top is None or near(bottom))

    if kind != "top":
        boson = first(lambda code: abs(code) == BOSONS[kind])
        return boson is not None and holds(boson)
    found = [first(lambda code, wanted=wanted: code == wanted) for wanted in (6, -6, 24, -24)]
    return None not in found and (holds(found[2], found[0]) or holds(found[3], found[1]))


def write(path, scalars, collections, runs=None, compression=uproot.ZLIB(1)):
    """Writes the tree Events, and Runs if there are columns for it."""
    with uproot.recreate(path, compression=compression) as file:
        columns = dict(scalars)
        for name, fields in collections.items():
            if len({tuple(ak.num(values).tolist()) for values in fields.values()}) == 1:
                columns[name] = ak.zip(fields)
            else:  # Branches of unequal length get counters of their own.
                columns |= {f"{name}_{field}": values for field, values in fields.items()}
        file.mktree("Events", columns)
        if runs:
            file.mktree("Runs", runs)
    return path


def runs(events, weights):
    return {
        "run": np.ones(1, np.uint32), "genEventCount": np.array([events], np.int64),
        "genEventSumw": np.array([weights.astype(np.float64).sum()]),
        "genEventSumw2": np.array([(weights.astype(np.float64) ** 2).sum()]),
    }


def simple(path, seed=1, events=300, simulation=False):
    """A file as it should be."""
    scalars, collections = made(seed, events, simulation)
    return write(path, scalars, collections, runs(events, scalars["genWeight"]) if simulation else None)


def selected(path, triggers=TRIGGERS, least=300.0, golden=None):
    """Events of the jets that are taken, with their pt, in order: the selection once more, with awkward."""
    tree = uproot.open(path)["Events"]
    fields = ["run", "luminosityBlock", "event", *FILTERS, "FatJet_pt", "FatJet_eta", "FatJet_jetId"]
    events = tree.arrays([*fields, *(name for name in triggers if name in tree)])
    keep = np.zeros(len(events), bool)
    for name in triggers:
        if name in tree:
            keep |= ak.to_numpy(events[name])
    for name in FILTERS:
        keep &= ak.to_numpy(events[name])
    if golden is not None:
        runs, blocks = ak.to_numpy(events["run"]), ak.to_numpy(events["luminosityBlock"])
        keep &= [any(a <= block <= b for a, b in golden.get(str(run), [])) for run, block in zip(runs, blocks)]
    events = events[keep]
    jets = (events["FatJet_pt"] > least) & (abs(events["FatJet_eta"]) < 2.5) & (events["FatJet_jetId"] == 6)
    numbers = [ak.flatten(ak.broadcast_arrays(events[name], jets)[0][jets]) for name in ("run", "luminosityBlock", "event")]
    return np.stack([ak.to_numpy(n).astype(np.int64) for n in numbers], -1), ak.to_numpy(ak.flatten(events["FatJet_pt"][jets]))
