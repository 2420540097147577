"""PFNano files become what the original event loop makes of them, and say what they do not have."""
import json

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

import decode
import pfnano
from conftest import DATA, ROOT, SAMPLE, convert, run
from test_catalogue import validate
from test_export import assert_same_file
from test_readers import whole

PARTS = {name: DATA / f"root/pfnano_{name}.root" for name in ("data_2016G", "data_2016H", "mc_qcd", "mc_ttbar")}
DATA_FILES = [PARTS["data_2016G"], PARTS["data_2016H"]]
GOLDEN = ["--golden", DATA / "root/golden.json"]
needs_files = pytest.mark.skipif(not PARTS["mc_qcd"].exists(), reason="there are no PFNano files beside the project")

# Inputs, options, what the original made of them, and its cut flow (shared by the description of the files).
CASES = {
    "expected_stable_sort": (DATA_FILES, GOLDEN, [1400, 1016, 801, 762, 1676, 1327, 1304, 1249]),
    "expected_stable_sort_data_no_json": (DATA_FILES, [], [1400, 1400, 1097, 1044, 2304, 1838, 1801, 1727]),
    "expected_stable_sort_data_2016G": (DATA_FILES[:1], GOLDEN, [700, 400, 310, 290, 635, 511, 504, 481]),
    "expected_stable_sort_data_2016H": (DATA_FILES[1:], GOLDEN, [700, 616, 491, 472, 1041, 816, 800, 768]),
    "expected_stable_sort_mc_qcd": ([PARTS["mc_qcd"]], [], [700, 700, 547, 528, 1197, 921, 910, 873]),
    "expected_stable_sort_mc_ttbar": ([PARTS["mc_ttbar"]], [], [700, 700, 578, 540, 1154, 839, 834, 804]),
    "expected_stable_sort_mc_ttbar_top": (
        [PARTS["mc_ttbar"]], ["--match", "top"], [700, 700, 578, 540, 1154, 839, 834, 804, 231]),
    "expected_stable_sort_mc_ttbar_W": (
        [PARTS["mc_ttbar"]], ["--match", "W"], [700, 700, 578, 540, 1154, 839, 834, 804, 200]),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The datasets of the cases, each converted once."""
    folder, known = tmp_path_factory.mktemp("pfnano"), {}

    def get(name):
        if name not in known:
            inputs, options, _ = CASES[name]
            known[name] = convert(folder / f"{name}.pando", inputs, *options)
        return known[name]

    return get


@needs_files
@pytest.mark.parametrize("name", CASES)
def test_conversion_and_export_give_the_bytes_of_the_original(made, tmp_path, name):
    dataset, expected = made(name), DATA / f"h5/{name}.h5"
    validate(dataset.catalogue)
    assert "sound" in run("verify", "--lossless", dataset.path)
    out = tmp_path / f"{name}.h5"
    run("export", dataset.path, out)
    assert_same_file(out, expected)
    flow = [cut["passed"] for cut in dataset.catalogue["cutFlow"]]
    assert flow == [*CASES[name][2], dataset.catalogue["rows"]]


@needs_files
@pytest.mark.parametrize("name", [name for name in CASES if len(CASES[name][0]) == 1])
def test_a_dataset_is_the_one_made_from_the_hdf5_file(made, tmp_path, name):
    """Jet for jet and column for column."""
    ours, other = whole(made(name)), whole(convert(tmp_path / "h5.pando", [DATA / f"h5/{name}.h5"]))
    extra = set(ours.column_names) - set(other.column_names)
    assert extra <= {"gen_weight"} and set(other.column_names) <= set(ours.column_names)
    for column in other.column_names:
        assert ours[column].equals(other[column]), column
    found, expected = decode.table_fields(ours), decode.table_fields(other)
    decode.assert_same_bits((found[0], {name: found[1][name] for name in expected[1]}), expected)


def in_one_order(constituents):
    """Constituents of each jet by falling pt as float32, and among equal ones by all of their numbers."""
    px, py = constituents[..., 0], constituents[..., 1]
    pt = np.sqrt(px * px + py * py)
    keys = [constituents[..., column] for column in range(constituents.shape[-1])]
    order = np.lexsort([*keys, -pt], axis=-1)
    return np.take_along_axis(constituents, order[..., None], 1)


@needs_files
@pytest.mark.parametrize("name", ["expected_default_sort", "expected_merged"])
def test_other_sorts_differ_in_the_order_of_ties_only(made, tmp_path, name):
    run("export", made("expected_stable_sort").path, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as ours, h5py.File(DATA / f"h5/{name}.h5") as theirs:
        for dataset in ("event_info", "jet_kinematics", "jet_tagging"):
            assert ours[dataset][()].tobytes() == theirs[dataset][()].tobytes()
        assert in_one_order(ours["PFCands"][()]).tobytes() == in_one_order(theirs["PFCands"][()]).tobytes()


@needs_files
@pytest.mark.parametrize("name", ["mc_qcd", "mc_ttbar"])
def test_sums_of_weights_are_those_of_the_file(made, name):
    found = made(f"expected_stable_sort_{name}").catalogue["generator"]
    with uproot.open(PARTS[name]) as file:
        runs = file["Runs"].arrays(["genEventCount", "genEventSumw", "genEventSumw2"], library="np")
    assert found["events"] == runs["genEventCount"].sum()
    assert found["sumOfWeights"] == pytest.approx(runs["genEventSumw"].sum(), rel=1e-14)
    assert found["sumOfSquaredWeights"] == pytest.approx(runs["genEventSumw2"].sum(), rel=1e-14)
    weights = decode.flat(whole(made(f"expected_stable_sort_{name}")), "gen_weight").astype(np.float64)
    assert found["selectedSumOfWeights"] == pytest.approx(weights.sum(), rel=1e-12)
    assert found["selectedSumOfSquaredWeights"] == pytest.approx((weights**2).sum(), rel=1e-12)
    assert "generator" not in made("expected_stable_sort").catalogue, "data have no generator"


def numbers(dataset):
    table = whole(dataset)
    return np.stack([decode.flat(table, name) for name in ("run", "lumi", "event")], -1), decode.flat(table, "jet_pt")


def assert_selected(dataset, expected):
    found = numbers(dataset)
    assert len(expected[1]) > 20
    for ours, theirs in zip(found, expected):
        assert np.array_equal(ours, theirs)


def test_made_files_give_the_jets_that_awkward_selects(tmp_path):
    path = pfnano.simple(tmp_path / "in.root")
    golden = {"278820": [[1, 120], [300, 300]], "281797": [[200, 499]], "279667": []}
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    assert_selected(convert(tmp_path / "a.pando", [path]), pfnano.selected(path))
    chosen = convert(tmp_path / "b.pando", [path], "--golden", tmp_path / "golden.json")
    assert_selected(chosen, pfnano.selected(path, golden=golden))


@pytest.mark.parametrize("kind", ["top", "W", "Z", "H"])
def test_jets_match_as_particle_by_particle(tmp_path, kind):
    scalars, collections = pfnano.made(8, 3000, simulation=True)
    jets = collections["FatJet"]
    total = len(ak.flatten(jets["eta"]))
    random = np.random.default_rng(8)
    # Where the particles are, so that some match.
    for name, values in ("eta", random.uniform(-1, 1, total)), ("phi", random.uniform(2.5, 3.14, total) * random.choice([-1, 1], total)):
        jets[name] = ak.unflatten(values.astype(np.float32), ak.num(jets[name]))
    path = pfnano.write(tmp_path / "in.root", scalars, collections)
    everything, matched = (convert(tmp_path / f"{n}.pando", [path], *o) for n, o in enumerate([[], ["--match", kind]]))
    tree = uproot.open(path)["Events"].arrays(
        ["event", *(f"GenPart_{name}" for name in ("pdgId", "genPartIdxMother", "statusFlags", "eta", "phi"))])
    particles = {
        entry["event"]: [dict(zip(("pdgId", "genPartIdxMother", "statusFlags", "eta", "phi"), values)) for values in zip(
            *(entry[f"GenPart_{name}"] for name in ("pdgId", "genPartIdxMother", "statusFlags", "eta", "phi")))]
        for entry in tree.to_list()
    }
    table = whole(everything)
    expected = [
        (event, pt) for event, pt, eta, phi in zip(*(decode.flat(table, n) for n in ("event", "jet_pt", "jet_eta", "jet_phi")))
        if pfnano.matches(kind, (float(eta), float(phi)), particles[event])
    ]
    table = whole(matched)
    assert list(zip(decode.flat(table, "event"), decode.flat(table, "jet_pt"))) == expected and len(expected) > 2
    assert matched.catalogue["generator"]["match"] == kind if "generator" in matched.catalogue else True


def test_a_selection_is_a_file(tmp_path):
    path = pfnano.simple(tmp_path / "in.root", seed=2)
    selection = json.loads((ROOT / "schemas/selections/aoj-2016.json").read_text())
    selection |= {"name": "hard", "triggers": ["HLT_PFHT900"]}
    selection["cuts"][0]["value"] = 500
    selection["constituents"]["most"] = 7
    (tmp_path / "hard.json").write_text(json.dumps(selection))
    dataset = convert(tmp_path / "out.pando", [path], "--selection", tmp_path / "hard.json")
    assert_selected(dataset, pfnano.selected(path, ["HLT_PFHT900"], 500))
    assert decode.lengths(whole(dataset), "charge").max() == 7
    kept = dataset.catalogue["provenance"]["selection"]["selection"]
    assert kept["name"] == "hard" and kept["cuts"][0]["value"] == 500
    # The first seven links of each jet, then sorted.
    tree = uproot.open(path)["Events"].arrays(["FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx", "PFCands_pt", "event", "FatJet_pt"])
    table = whole(dataset)
    event, pt = decode.flat(table, "event")[0], decode.flat(table, "jet_pt")[0]
    entry = tree[tree["event"] == event][0]
    jet = int(np.flatnonzero(ak.to_numpy(entry["FatJet_pt"]) == pt)[0])
    links = ak.to_numpy(entry["FatJetPFCands_pFCandsIdx"][entry["FatJetPFCands_jetIdx"] == jet])[:7]
    (_, fields), count = decode.table_fields(table), decode.lengths(table, "charge")[0]
    stored = np.hypot(fields["px"].astype(float), fields["py"].astype(float))[:count]
    assert stored == pytest.approx(np.sort(ak.to_numpy(entry["PFCands_pt"])[links])[::-1], rel=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.update(trigers=[]), "trigers: is not known"),
        (lambda s: s["cuts"][0].update(branch="Jet_pt"), "is no branch of FatJet"),
        (lambda s: s["cuts"][0].update({"is": "~"}), "is not a selection"),
        (lambda s: s["constituents"].update(most=0), "expected 1 to 65535"),
        (lambda s: s["disabledTriggers"].append(s["triggers"][0]), "is among the triggers"),
        (lambda s: s.pop("filters"), "'filters' is missing"),
    ],
)
def test_selections_that_make_no_sense_are_refused(tmp_path, change, message):
    path = pfnano.simple(tmp_path / "in.root", events=20)
    selection = json.loads((ROOT / "schemas/selections/aoj-2016.json").read_text())
    change(selection)
    (tmp_path / "s.json").write_text(json.dumps(selection))
    with pytest.raises(AssertionError, match=message):
        run("convert", path, tmp_path / "out.pando", "--selection", tmp_path / "s.json", "--quiet")


@pytest.mark.parametrize(
    "text, message",
    [("[]", "is no JSON object"), ('{"a": []}', "is no run number"), ('{"1": [[3]]}', "not two rising numbers"),
     ('{"1": [[5, 3]]}', "not two rising numbers"), ('{"1": 7}', "has no list of ranges"), ("{", "is no JSON object")],
)
def test_golden_files_that_make_no_sense_are_refused(tmp_path, text, message):
    path = pfnano.simple(tmp_path / "in.root", events=20)
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(AssertionError, match=message):
        run("convert", path, tmp_path / "out.pando", "--golden", tmp_path / "g.json", "--quiet")


def report(*arguments):
    return json.loads(run("convert", *arguments, "--quiet", "--json"))


def test_missing_triggers_and_filters_are_said_once_and_count_as_in_the_original(tmp_path):
    scalars, collections = pfnano.made(3, 200)
    lacking = {name: values for name, values in scalars.items() if name not in ("HLT_PFHT900", "Flag_eeBadScFilter")}
    paths = [pfnano.write(tmp_path / f"{n}.root", lacking, collections) for n in range(3)]
    whole_file = pfnano.write(tmp_path / "whole.root", scalars, collections)
    remarks = report(*paths, whole_file, tmp_path / "out.pando")["remarks"]
    named = [remark for remark in remarks if "HLT_PFHT900" in remark]
    assert len(named) == 1 and "not in 3 of 4 inputs" in named[0] and "count as not fired" in named[0]
    named = [remark for remark in remarks if "Flag_eeBadScFilter" in remark]
    assert len(named) == 1 and "count as passed" in named[0]
    # Its flag is true everywhere here, so that the reference of the tests need not know of it.
    reference = pfnano.write(tmp_path / "ref.root", lacking | {"Flag_eeBadScFilter": np.ones(200, bool)}, collections)
    assert_selected(convert(tmp_path / "one.pando", paths[:1]), pfnano.selected(reference))


def test_a_column_that_may_be_missing_is_absent_and_said_so(tmp_path):
    scalars, collections = pfnano.made(4, 200)
    other = {**collections, "FatJet": {k: v for k, v in collections["FatJet"].items() if k != "particleNet_mass"}}
    first = pfnano.write(tmp_path / "a.root", scalars, other)
    second = pfnano.write(tmp_path / "b.root", scalars, collections)
    for inputs, place in ([first], "in no input"), ([second, first], "not in 1 of 2 inputs"):
        out = tmp_path / f"{len(inputs)}.pando"
        remarks = report(*inputs, out)["remarks"]
        assert any("no column jet_particleNet_mass" in remark and place in remark for remark in remarks)
        names = [column["name"] for column in json.loads((out / "dataset.json").read_text())["columns"]]
        assert "jet_particleNet_mass" not in names and "jet_particleNet_QCD" in names
        assert "sound" in run("verify", "--lossless", out)
    run("export", tmp_path / "1.pando", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["jet_tagging"].shape[1] == 12


def broken(tmp_path, change):
    scalars, collections = pfnano.made(5, 60)
    collections = {name: dict(fields) for name, fields in collections.items()}
    change(scalars, collections)
    return pfnano.write(tmp_path / "bad.root", scalars, collections)


def shorter(values):
    counts = ak.num(values)
    return values[:, : ak.max(counts) - 1]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s, c: c["FatJet"].pop("msoftdrop"), "has no branch FatJet_msoftdrop, which is needed"),
        (lambda s, c: c["FatJet"].pop("jetId"), "has no branch FatJet_jetId"),
        (lambda s, c: c["PFCands"].pop("mass"), "has no branch PFCands_mass"),
        (lambda s, c: s.pop("run"), "has no branch run"),
        (lambda s, c: s.update(event=s["event"].astype(np.float64)), "branch event"),
        (lambda s, c: s.update(HLT_PFHT900=np.ones(60, np.float32)), "branch HLT_PFHT900.*expected bool"),
        (lambda s, c: c["FatJet"].update(eta=shorter(c["FatJet"]["eta"])), "as many items in each event"),
        (lambda s, c: c["PFCands"].update(d0=shorter(c["PFCands"]["d0"])), "PFCands_d0.*as many items in each event"),
        (lambda s, c: c["FatJetPFCands"].update(pFCandsIdx=c["FatJetPFCands"]["pFCandsIdx"] + 1000), "names candidate"),
        (lambda s, c: c["FatJetPFCands"].update(pFCandsIdx=c["FatJetPFCands"]["pFCandsIdx"] - 1000), "names candidate -"),
    ],
)
def test_files_that_do_not_fit_are_refused_by_name(tmp_path, change, message):
    path = broken(tmp_path, change)
    with pytest.raises(AssertionError, match=f"bad.root.*{message}"):
        run("convert", path, tmp_path / "out.pando", "--schema", "pfnano", "--quiet")


def test_a_bad_file_can_be_left_out(tmp_path):
    good, cut = pfnano.simple(tmp_path / "good.root"), tmp_path / "cut.root"
    cut.write_bytes(good.read_bytes()[:-500])
    out = tmp_path / "out.pando"
    run("convert", good, cut, out, "--quiet", "--on-bad-input", "skip", status=3)
    catalogue = json.loads((out / "dataset.json").read_text())
    validate(catalogue)
    assert [gap["input"] for gap in catalogue["missing"]] == [str(cut)]
    run("convert", good, cut, tmp_path / "none.pando", "--quiet", status=1)


def test_options_of_events_are_for_files_of_events(tmp_path):
    for options in ["--selection", "aoj-2016"], ["--golden", SAMPLE], ["--match", "top"]:
        run("convert", SAMPLE, tmp_path / "out.pando", *options, "--quiet", status=64)
    run("convert", SAMPLE, tmp_path / "out.pando", "--match", "gluon", status=64)


def test_other_trees_are_refused_with_what_they_are(tmp_path):
    with uproot.recreate(tmp_path / "other.root") as file:
        file.mktree("Delphes", {"x": np.arange(3)})
    with pytest.raises(AssertionError, match="neither a JetClass nor a PFNano file; it holds Delphes .TTree"):
        run("convert", tmp_path / "other.root", tmp_path / "out.pando")


def test_tasks_join_to_the_whole_with_its_cut_flow(tmp_path):
    path = pfnano.simple(tmp_path / "in.root", simulation=True)
    whole_run = convert(tmp_path / "whole.pando", [path])
    parts = [convert(tmp_path / f"{n}.pando", [path], "--task", f"{n}/3").path for n in range(3)]
    run("index", *parts, "--into", tmp_path / "joined.pando")
    joined = json.loads((tmp_path / "joined.pando/dataset.json").read_text())
    for key in "rows", "constituents", "cutFlow", "generator":
        assert joined[key] == whole_run.catalogue[key], key


def test_threads_and_interruptions_do_not_change_bytes(tmp_path):
    paths = [pfnano.simple(tmp_path / f"{n}.root", seed=n, events=400) for n in range(4)]
    one = convert(tmp_path / "one.pando", paths, "--threads", "1", "--batch-rows", "64", "--shard-size", "20kB")
    two = convert(tmp_path / "two.pando", paths, "--threads", "3", "--batch-rows", "64", "--shard-size", "20kB")
    assert len(one.shards) > 3
    for ours, other in zip(one.shards, two.shards):
        assert ours.read_bytes() == other.read_bytes()


def test_lost_shards_are_made_again_from_the_inputs_with_their_selection(tmp_path):
    path = pfnano.simple(tmp_path / "in.root", events=600)
    (tmp_path / "golden.json").write_text('{"278820": [[1, 400]]}')
    dataset = convert(
        tmp_path / "out.pando", [path], "--no-parity", "--golden", tmp_path / "golden.json", "--batch-rows", "32", "--shard-size",
        "20kB")
    before = dataset.shards[1].read_bytes()
    dataset.shards[1].write_bytes(before[:1000] + b"damage" + before[1006:])
    run("verify", dataset.path, status=1)
    run("repair", dataset.path)
    assert dataset.shards[1].read_bytes() == before
