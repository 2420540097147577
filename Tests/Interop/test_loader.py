"""What the loader hands out of datasets of any source, held against numpy on what other programs read from the inputs."""
import json
import subprocess

import h5py
import numpy as np
import pytest

import jetclass
from conftest import BINARY, DATA, SAMPLE, convert

PROBE = BINARY.parent / "loader-probe"
LABELS = "QCD Hbb Hcc Hgg H4q Hqql Zqq Wqq Tbqq Tbl".split()
RELEASED = [
    {"name": "part_pt", "func": "log", "inv_func": "exp", "subtract_by": 1.8},
    {"name": "eta_rel", "larger_than": -0.8, "smaller_than": 0.8, "multiply_by": 3},
    {"name": "phi_rel", "larger_than": -0.8, "smaller_than": 0.8, "multiply_by": 3},
]
LENGTH = 200
AXIS = ["jet_pt", "jet_eta", "jet_phi"]

files = pytest.mark.skipif(not jetclass.FILES, reason="no files of JetClass beside the project")
pytestmark = pytest.mark.skipif(not PROBE.exists(), reason="no loader-probe beside the tool")


class Loaded:
    """The jets of an epoch in the order in which they came."""

    def __init__(self, tmp_path, sources, features=RELEASED, columns=(), axis="constituents", batch_size=64, **options):
        width = len(features)
        features = {"features": features, "pad_length": LENGTH, "axis": axis}
        columns = ["source", "source_row", "jet_pt", *columns]
        asked = {"features": features, "columns": columns, "batchSize": batch_size, **options}
        asked["sources"] = [{"dataset": str(path), "weight": weight} for path, weight in sources]
        folder = tmp_path / "dump"
        folder.mkdir(exist_ok=True)
        (tmp_path / "asked.json").write_text(json.dumps(asked))
        subprocess.run([PROBE, "dump", tmp_path / "asked.json", folder], check=True)

        def numbers(name, kind):
            return np.fromfile(folder / name, kind)

        self.source, self.row = numbers("column_source", "<u2"), numbers("column_source_row", "<i8")
        self.jet_pt = numbers("column_jet_pt", "<f4")
        self.dataset, self.labels = numbers("datasets", "<i4"), numbers("labels", "<i4")
        self.features = numbers("features", "<f4").reshape(len(self.row), LENGTH, width)
        self.mask = numbers("mask", "u1").reshape(len(self.row), LENGTH) == 1


class Jets:
    """Constituents and jets as numpy has them: p[row, slot, 4], what else there is by name, and which slots are real."""

    def __init__(self, momenta, fields, jets):
        self.p = momenta.astype(float)
        self.real = (momenta != 0).any(2)
        self.fields, self.jets = fields, jets

    @staticmethod
    def of_jetclass(path):
        return Jets.of_parts(*jetclass.read(path))

    @staticmethod
    def of_parts(jets, parts, flags):
        fields = {name: parts[..., number] for number, name in enumerate(jetclass.FLOATS)}
        fields |= {name: flags[..., number] for number, name in enumerate(jetclass.FLAGS)}
        return Jets(parts[..., :4], fields, {name: jets[:, i] for i, name in enumerate(jetclass.JETS)})

    @staticmethod
    def of_aoj(path):
        with h5py.File(path) as file:
            parts, jets = file["PFCands"][:], file["jet_kinematics"][:]
        names = ["px", "py", "pz", "E", "d0", "d0Err", "dz", "dzErr", "charge", "pdgId", "puppiWeight"]
        fields = {name: parts[..., number] for number, name in enumerate(names)}
        return Jets(parts[..., :4], fields, {name: jets[:, i] for i, name in enumerate(AXIS)})

    def kinematics(self, axis="constituents"):
        """pt, and eta and phi relative to the axis, of OmniJet-alpha's definitions in double precision."""
        with np.errstate(all="ignore"):
            x, y, z = self.p[..., 0], self.p[..., 1], self.p[..., 2]
            pt = np.hypot(x, y)
            eta, phi = np.arcsinh(z / pt), np.arctan2(y, x)
            if axis == "stored":
                jet_eta, jet_phi = (self.jets[name].astype(float) for name in AXIS[1:])
            else:
                sum_x, sum_y, sum_z = (self.p[..., i].sum(1) for i in range(3))
                jet_eta, jet_phi = np.arcsinh(sum_z / np.hypot(sum_x, sum_y)), np.arctan2(sum_y, sum_x)
        return pt, eta - jet_eta[:, None], np.mod(phi - jet_phi[:, None] + np.pi, 2 * np.pi) - np.pi

    def released(self, row, relative):
        """The released features of a jet; nothing if a constituent lies on a cut."""
        pt, eta, phi = (values[row][self.real[row]] for values in relative)
        if min(np.abs(np.abs(np.append(eta, 0)) - 0.8).min(), np.abs(np.abs(np.append(phi, 0)) - 0.8).min()) < 4e-6:
            return None
        kept = (np.abs(eta) < 0.8) & (np.abs(phi) < 0.8)
        return np.stack([np.log(pt[kept]) - 1.8, 3 * eta[kept], 3 * phi[kept]], -1)


def check_released(loaded, jets, chosen=None, axis="constituents", near=2e-6):
    """Holds the features of all jets against those of their rows."""
    relative = [one.kinematics(axis) for one in jets]
    rows = np.arange(len(loaded.row)) if chosen is None else np.flatnonzero(chosen)
    compared = 0
    for number in rows:
        source, row = loaded.source[number], loaded.row[number]
        assert loaded.jet_pt[number] == jets[source].jets["jet_pt"][row]
        expected = jets[source].released(row, relative[source])
        if expected is None:
            continue
        assert loaded.mask[number].sum() == len(expected) and loaded.mask[number][: len(expected)].all()
        found = loaded.features[number]
        assert not found[len(expected) :].any()
        assert np.abs(found[: len(expected)] - expected).max(initial=0) <= near
        compared += 1
    assert compared > 0.95 * len(rows) > 0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """All files of JetClass in one dataset, in small record batches."""
    path = tmp_path_factory.mktemp("jetclass") / "jc.pando"
    return convert(path, jetclass.FILES, "--schema", "jetclass", "--batch-rows", "100")


@pytest.fixture(scope="module")
def jets():
    return [Jets.of_jetclass(path) for path in jetclass.FILES]


@files
@pytest.mark.parametrize("axis", ["constituents", "stored"])
@pytest.mark.parametrize("angles", ["stored", "momenta"])
def test_jets_of_jetclass_have_the_features_of_their_momenta(tmp_path, dataset, jets, axis, angles):
    loaded = Loaded(tmp_path, [(dataset.path, 1)], axis=axis, angles=angles)
    places = sorted(zip(loaded.source.tolist(), loaded.row.tolist()))
    assert places == [(source, row) for source, one in enumerate(jets) for row in range(len(one.p))]
    check_released(loaded, jets, axis=axis, near=4e-7 if angles == "momenta" else 2e-6)


@files
def test_other_features_of_jetclass_are_the_columns_of_the_file(tmp_path, dataset, jets):
    same = ["part_deta", "part_d0val", "part_dzerr", "part_charge", *jetclass.FLAGS]
    asked = {name: name for name in same} | {"charge": "part_charge", "isPhoton": "part_isPhoton", "energy": "part_energy"}
    names = ["part_deta", "part_d0val", "part_dzerr", "charge", "energy", "isPhoton", *jetclass.FLAGS[3:]]
    loaded = Loaded(tmp_path, [(dataset.path, 1)], features=[{"name": name} for name in names])
    for number in range(len(loaded.row)):
        one, row = jets[loaded.source[number]], loaded.row[number]
        for column, name in enumerate(names):
            expected = one.fields[asked.get(name, name)][row][one.real[row]].astype(np.float32)
            found = loaded.features[number][loaded.mask[number]][:, column]
            assert np.array_equal(found, expected), (name, row)


@files
@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("way", ["number", "columns"])
def test_splits_are_folders_and_labels_those_of_the_file(tmp_path, dataset, jets, split, way):
    import uproot

    if way == "number":
        loaded = Loaded(tmp_path, [(dataset.path, 1)], split=split, labelColumn="label")
    else:
        loaded = Loaded(tmp_path, [(dataset.path, 1)], split=split, labels=[f"label_{name}" for name in LABELS])
    own = [number for number, path in enumerate(jetclass.FILES) if path.parent.name.startswith(split)]
    places = sorted(zip(loaded.source.tolist(), loaded.row.tolist()))
    assert own and places == [(source, row) for source in own for row in range(len(jets[source].p))]
    for source in own:
        tree = uproot.open(jetclass.FILES[source])["tree"]
        ones = np.stack([np.asarray(tree[f"label_{name}"].array(library="np")) != 0 for name in LABELS], -1)
        chosen = loaded.source == source
        assert (ones.sum(1) == 1).all()
        assert np.array_equal(loaded.labels[chosen], ones.argmax(1)[loaded.row[chosen]])
    check_released(loaded, jets)


@files
def test_mixtures_of_aoj_and_jetclass(tmp_path, dataset, jets):
    aoj_path = convert(tmp_path / "aoj.pando", [SAMPLE], "--batch-rows", "100").path
    features = [*RELEASED, {"name": "charge"}]
    loaded = Loaded(tmp_path, [(aoj_path, 0.9), (dataset.path, 0.1)], features=features, batch_size=80, columns=["jet_eta"])
    share = (loaded.dataset == 1).mean()
    assert len(loaded.row) > 1600 and abs(share - 0.1) < 0.01
    other = [Jets.of_aoj(SAMPLE)]
    for number, one in ((0, other), (1, jets)):
        chosen = loaded.dataset == number
        assert len(set(zip(loaded.source[chosen], loaded.row[chosen]))) == chosen.sum()
        rest, loaded.features = loaded.features, loaded.features[..., :3]
        check_released(loaded, one, chosen)
        loaded.features = rest
        for place in np.flatnonzero(chosen)[::7]:
            source, row = loaded.source[place], loaded.row[place]
            charges = one[source].fields["charge" if number == 0 else "part_charge"][row][one[source].real[row]]
            found = loaded.features[place][loaded.mask[place]][:, 3]
            # Cuts took some.
            assert len(found) < len(charges) or np.array_equal(found, charges)


@pytest.mark.parametrize("kind", ["made", "scaled"])
@pytest.mark.parametrize("angles", ["stored", "momenta"])
def test_jets_with_the_names_of_jetclass_load_in_either_layout(tmp_path, kind, angles):
    content = jetclass.made(11, 400)
    if kind == "scaled":  # Nothing predicts these; they are stored as they are.
        content[1][..., 0] *= np.float32(1.5)
    path = jetclass.write(tmp_path / "in.h5", *content)
    made = convert(tmp_path / "d.pando", [path], "--schema", jetclass.schema(tmp_path / "schema.json"), "--batch-rows", "50")
    layout = made.catalogue["encoding"].get("forward")
    assert (layout is not None) == (kind == "made")
    loaded = Loaded(tmp_path, [(made.path, 1)], angles=angles)
    assert sorted(loaded.row.tolist()) == list(range(400))
    check_released(loaded, [Jets.of_parts(*content)])


PFNANO = {"pfnano_mc_ttbar.root": "expected_stable_sort_mc_ttbar.h5", "pfnano_mc_qcd.root": "expected_stable_sort_mc_qcd.h5"}


@pytest.mark.parametrize("name", PFNANO)
def test_jets_of_pfnano_have_the_features_of_their_momenta(tmp_path, name):
    path = DATA / "root" / name
    if not path.exists():
        pytest.skip("no files of PFNano beside the project")
    made = convert(tmp_path / "d.pando", [path], "--schema", "pfnano", "--batch-rows", "100")
    expected = Jets.of_aoj(DATA / "h5" / PFNANO[name])
    count = 0
    for split in ["train", "val", "test"]:
        loaded = Loaded(tmp_path, [(made.path, 1)], split=split, batch_size=16)
        check_released(loaded, [expected])
        count += len(loaded.row)
    assert count == len(expected.p) == made.catalogue["rows"]
