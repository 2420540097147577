"""`pando composition` against the formula, computed from the files."""
import json

import numpy as np
import pytest
import uproot

import decode
import pfnano
from conftest import convert, run
from test_readers import whole

TABLE = {
    "luminosity_fb-1": 2.5, "unit": "pb",
    "samples": [
        {"process": "QCD", "match": None, "dataset": "/QCD_low/x/MINIAODSIM", "cross_section_pb": 100},
        {"process": "ttbar", "match": "top", "dataset": "/TT_a/x/MINIAODSIM", "cross_section_pb": 3},
        {"process": "V", "match": None, "dataset": "/V_low/x/MINIAODSIM", "cross_section_pb": 7},
        {"process": "V", "match": None, "dataset": "/V_high/x/MINIAODSIM", "cross_section_pb": 5},
    ],
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("composition")
    (folder / "table.json").write_text(json.dumps(TABLE))
    for number, name in enumerate(["V_low", "V_high"]):
        (folder / name).mkdir()
        files = [pfnano.simple(folder / name / f"{n}.root", 10 * number + n, 200, simulation=True) for n in range(2)]
        convert(folder / f"{name}.pando", files)
    convert(folder / "data.pando", [pfnano.simple(folder / "data.root", 99, 5000)])
    return folder


def estimate(folder, *arguments):
    return json.loads(run("composition", "--json", "--cross-sections", folder / "table.json", *arguments))


def by_formula(folder, name, cross_section, luminosity):
    """Jets and their error, from the files alone."""
    generated = [uproot.open(path)["Runs"]["genEventSumw"].array(library="np")[0] for path in sorted((folder / name).iterdir())]
    weights = decode.flat(whole_of(folder / f"{name}.pando"), "gen_weight").astype(np.float64)
    scale = luminosity * 1000 * cross_section / sum(generated)
    return scale * weights.sum(), scale * np.sqrt((weights**2).sum())


def whole_of(path):
    from conftest import Dataset

    return whole(Dataset(path, []))


@pytest.mark.parametrize("luminosity", [None, 16.4])
def test_estimates_are_those_of_the_formula(samples, luminosity):
    options = [] if luminosity is None else ["--luminosity", luminosity]
    found = estimate(
        samples, samples / "V_low.pando", f"V_h={samples / 'V_high.pando'}", "--data", samples / "data.pando", *options)
    low = by_formula(samples, "V_low", 7, luminosity or 2.5)
    high = by_formula(samples, "V_high", 5, luminosity or 2.5)
    assert [(s["jets"], s["uncertainty"]) for s in found["samples"]] == [pytest.approx(low), pytest.approx(high)]
    qcd, v = found["processes"]
    assert (qcd["process"], v["process"]) == ("QCD", "V") and qcd["isRemainder"]
    assert v["jets"] == pytest.approx(low[0] + high[0]) and v["uncertainty"] == pytest.approx(np.hypot(low[1], high[1]))
    jets = json.loads((samples / "data.pando/dataset.json").read_text())["rows"]
    assert found["dataJets"] == jets and qcd["jets"] == pytest.approx(jets - v["jets"])
    assert v["share"] + qcd["share"] == pytest.approx(1) and v["share"] == pytest.approx(v["jets"] / jets)
    assert sorted(found["missing"]) == ["QCD_low", "TT_a"]


def test_without_data_there_is_no_remainder(samples):
    found = estimate(samples, samples / "V_low.pando")
    assert [process["process"] for process in found["processes"]] == ["V"] and "dataJets" not in found


def test_the_page_names_samples_and_processes(samples):
    page = run(
        "composition", samples / "V_low.pando", "--cross-sections", samples / "table.json", "--data", samples / "data.pando")
    assert "V_low" in page and "what the others leave" in page


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["TT_a={V_low.pando}"], "its jets were matched with nothing, expected top; convert it with --match top"),
        (["V={V_low.pando}"], "begins the names of several samples"),
        (["X={V_low.pando}"], "no sample of the table begins so"),
        (["{data.pando}"], "do not tell which sample it is of"),
        (["V_low={data.pando}"], "holds no sums of generator weights"),
        (["V_low={V_low.pando}", "--data", "{V_high.pando}"], "is simulation, expected data"),
    ],
)
def test_what_does_not_fit_is_refused(samples, arguments, message):
    arguments = [str(samples / a[1:-1]) if a[0] == "{" else a.replace("{", f"{samples}/").replace("}", "") for a in arguments]
    with pytest.raises(AssertionError, match=message):
        estimate(samples, *arguments)


def test_the_table_of_the_paper_comes_along(samples):
    with pytest.raises(AssertionError, match="TTToHadronic_TuneCP5_13TeV-powheg-pythia8"):
        run("composition", f"nothing={samples / 'V_low.pando'}")
