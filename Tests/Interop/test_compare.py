"""pando compare and inspect --figures: the numbers are those of SciPy, the pictures and the page are there."""
import csv
import json
import re

import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

import jetclass
from conftest import DATA, SAMPLE, run

OBSERVABLES = ["jet_pt", "jet_mass", "tau21", "tau32", "multiplicity", "sd_mass"]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """The sample of AspenOpenJets, and made jets of two classes."""
    folder = tmp_path_factory.mktemp("compare")
    run("convert", SAMPLE, folder / "aoj.pando", "--quiet")
    jetclass.write_root(folder / "mixed.root", 3, 400, np.repeat([0, 8], 200))
    run("convert", folder / "mixed.root", folder / "made.pando", "--quiet")
    return folder


def columns(dataset, folder, *options):
    """Observables of each jet as numbers."""
    run("bench", "observables", dataset, "--groups", "original,groomed", "--repeat", "1", "--write", folder / "jets.csv", *options)
    with open(folder / "jets.csv") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def test_metrics_of_two_datasets_are_those_of_scipy(datasets, tmp_path):
    text = run(
        "compare", datasets / "aoj.pando", datasets / "made.pando", "--observables", ",".join(OBSERVABLES), "--minimum-constituents", "1",
        "--replicas", "20", "--json", "--quiet")
    found = json.loads(text)
    a, b = columns(datasets / "aoj.pando", tmp_path), columns(datasets / "made.pando", tmp_path)
    assert [one["quantity"]["name"] for one in found["comparisons"]] == OBSERVABLES
    assert [one["jets"] for one in found["datasets"]] == [len(a["jet"]), len(b["jet"])]
    for one in found["comparisons"]:
        truth, made = (values[one["quantity"]["name"]] for values in (a, b))
        row = one["others"][0]
        assert row["count"] == np.isfinite(made).sum() and row["dropped"] == (~np.isfinite(made)).sum()
        truth, made = truth[np.isfinite(truth)], made[np.isfinite(made)]
        assert row["metrics"]["w1"]["value"] == pytest.approx(wasserstein_distance(truth, made), rel=1e-9)
        assert row["metrics"]["ks"]["value"] == pytest.approx(ks_2samp(truth, made).statistic, rel=1e-9)
        assert row["metrics"]["w1"]["error"] > 0
        # Halves of the reference are nearer to each other than another dataset.
        assert one["reference"]["metrics"]["w1"]["value"] < row["metrics"]["w1"]["value"]


def test_jets_are_chosen_by_label_split_and_number(datasets):
    made = datasets / "made.pando"
    text = run("compare", f"{made}@name=QCD,label=0", f"{made}@name=top,label=8", f"{made}@name=few,limit=50",
               "--observables", "jet_pt", "--replicas", "0", "--json", "--quiet")
    found = json.loads(text)["datasets"]
    assert [(one["name"], one["jets"]) for one in found] == [("QCD", 200), ("top", 200), ("few", 50)]
    assert "two datasets are called 'made'" in failing("compare", made, made)
    assert "is not known" in failing("compare", f"{made}@colour=red", made, status=64)
    assert "there is no 'beauty'" in failing("compare", made, f"{made}@name=b", "--observables", "beauty", status=64)
    assert "has no jets with these choices" in failing("compare", f"{made}@label=5", made)


def failing(*arguments, status=1):
    import subprocess

    from conftest import BINARY
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stderr


def page_of(folder):
    page = (folder / "report.html").read_text()
    # One file: nothing is fetched.
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#|data:)""", page)
    assert page.count("<svg") == len(list(folder.glob("*.svg"))) >= 5
    return page


def test_figures_and_a_page_are_written(datasets, tmp_path):
    made = datasets / "made.pando"
    run("compare", datasets / "aoj.pando", f"{made}@name=a <b> & c", "--into", tmp_path / "out", "--observables", "jet_mass,multiplicity",
        "--replicas", "10", "--quiet")
    page = page_of(tmp_path / "out")
    assert "a &lt;b&gt; &amp; c" in page and "<b> & c" not in page
    for fingerprint in (json.loads((folder / "dataset.json").read_text())["fingerprint"] for folder in (datasets / "aoj.pando", made)):
        assert fingerprint in page
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"overview.svg", "overview.png", "occupancy.png", "constituents-by-type.gp", "observable-jet_mass.csv", "comparison.json"} <= names
    # What was drawn are densities: their integral is 1 for both.
    with open(tmp_path / "out/observable-jet_mass.csv") as file:
        rows = list(csv.reader(file))
    head, numbers = rows[0], rows[1:]
    for name in "aoj", "a <b> & c":
        low, high, density = (head.index(f"{name}: {part}") for part in ("bin from", "bin to", "density"))
        integral = sum((float(row[high]) - float(row[low])) * float(row[density]) for row in numbers if row[high])
        assert integral == pytest.approx(1, abs=1e-6)
    assert (tmp_path / "out/overview.png").read_bytes()[:4] == b"\x89PNG"


def test_one_dataset_has_figures_too(datasets, tmp_path):
    run("inspect", datasets / "aoj.pando", "--figures", tmp_path / "figures")
    page = page_of(tmp_path / "figures")
    assert "Jets of aoj" in page and "occupancy" in page
    assert (tmp_path / "figures/observable-tau21.png").exists()


@pytest.mark.skipif(not (DATA / "jetclass/train").is_dir(), reason="no simulated JetClass files (PANDO_DATA)")
def test_simulated_jets_look_as_physics_says(tmp_path):
    """Top jets have the top's mass and three prongs; QCD has neither, and fewer constituents; W jets have the W's mass and two prongs."""
    jets = tmp_path / "jets.pando"
    run("convert", *sorted((DATA / "jetclass").glob("train/*.root")), jets, "--quiet")
    choices = [f"{jets}@name={name},label={label}" for name, label in (("QCD", 0), ("W", 7), ("top", 8))]
    names = ["jet_mass", "sd_mass", "tau21", "tau32", "multiplicity"]
    text = run("compare", *choices, "--observables", ",".join(names), "--into", tmp_path / "out", "--replicas", "0", "--json", "--quiet")
    mean = {
        one["quantity"]["name"]: {row["name"]: row["mean"] for row in [one["reference"], *one["others"]]}
        for one in json.loads(text)["comparisons"]}
    with open(tmp_path / "out/observable-jet_mass.csv") as file:
        head, *rows = csv.reader(file)

    def peak(name):
        low, high, density = (head.index(f"{name}: {part}") for part in ("bin from", "bin to", "density"))
        best = max((row for row in rows if row[high]), key=lambda row: float(row[density]))
        return (float(best[low]) + float(best[high])) / 2

    assert 168 < peak("top") < 185 and 78 < peak("W") < 92 and peak("QCD") < 75
    # As the folder's description has them.
    for name, constituents, tau21, tau32 in ("QCD", 42.3, 0.621, 0.786), ("top", 66.4, 0.471, 0.491), ("W", 39.6, 0.350, 0.737):
        assert mean["multiplicity"][name] == pytest.approx(constituents, abs=0.1)
        # Its taus are computed in another way.
        assert mean["tau21"][name] == pytest.approx(tau21, abs=0.08) and mean["tau32"][name] == pytest.approx(tau32, abs=0.08)
    assert mean["tau32"]["top"] < mean["tau32"]["W"] - 0.15 and mean["tau32"]["top"] < mean["tau32"]["QCD"] - 0.2
    assert mean["tau21"]["W"] < mean["tau21"]["top"] < mean["tau21"]["QCD"]
