"""omnijet evaluate and omnijet scaling, on a study that is as small as possible."""
import json
import math
import shutil
import subprocess

import pytest

from conftest import SAMPLE, run
from test_compare import page_of
from test_omnijet import OMNIJET, omnijet, train

pytestmark = pytest.mark.skipif(not OMNIJET.exists(), reason="omnijet is not built")
SHAPE = {"width": 16, "blocks": 1, "heads": 2, "codes": 32}
BACKBONE = {"vocabulary": 34, "width": 16, "blocks": 1, "heads": 2}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of the sample: two strategies, three sizes, one seed; done but for its last two runs."""
    folder = tmp_path_factory.mktemp("scaling")
    run("convert", SAMPLE, folder / "jets.pando", "--quiet")
    jets = str(folder / "jets.pando")
    write = lambda name, value: (folder / name).write_text(json.dumps(value)) and str(folder / name)
    tokenizer = write("tokenizer.json", {
        "task": "tokenizer", "data": {"datasets": ["x"]}, "tokenizer": SHAPE, "optimizer": {"rate": 2e-3},
        "schedule": {"kind": "warmup", "epochs": 1}, "batch": 32, "epochSteps": 10, "epochs": 5})
    training = write("training.json", {
        "task": "pretrain", "data": {"datasets": ["x"]}, "backbone": BACKBONE, "schedule": {"kind": "constant"}, "optimizer": {"rate": 3e-3},
        "batch": 32, "steps": 20, "patience": 3})
    write("study.json", {
        "classes": [{"name": "jets", "dataset": jets}], "background": {"name": "before", "dataset": jets},
        "tokenizers": {"own": {"configuration": tokenizer, "datasets": [jets]}},
        "backbones": {"own": {"tokenizer": "own", "configuration": training, "datasets": [jets]}},
        "strategies": [
            {"name": "fine-tuned", "tokenizer": "own", "backbone": "own"}, {"name": "from scratch", "tokenizer": "own"}],
        "training": training, "sizes": [20, 60, 200, 100000], "seeds": [1], "validation": 100, "generated": 60, "reference": "test"})
    scaling(folder, "--prepare")
    scaling(folder, "--run", "0/2")
    return folder


def scaling(folder, *options, status=0):
    return omnijet("scaling", folder / "study.json", "--into", folder / "work", "--quiet", *options, status=status)


def test_a_study_is_done_run_by_run_and_collected(study):
    lines = scaling(study, "--list").splitlines()
    # Sizes that the data do not allow are said, on stderr.
    assert "jets to train on: no runs with 100,000" in lines.pop()
    assert [line.split("  ")[1] for line in lines] == [
        f"runs/jets/{strategy}/{size}/1" for size in (20, 60, 200) for strategy in ("fine-tuned", "from scratch")]
    assert ["ended" in line for line in lines] == [True, False, True, False, True, False]
    # Half of it can be looked at, and says so.
    assert "3 runs have not ended" in scaling(study, "--collect", "--replicas", "10")
    before = (study / "work/runs/jets/fine-tuned/20/1/best.safetensors").stat().st_mtime_ns
    scaling(study, "--replicas", "20")
    assert (study / "work/runs/jets/fine-tuned/20/1/best.safetensors").stat().st_mtime_ns == before, "what has ended is left alone"
    found = json.loads((study / "work/report/study.json").read_text())
    assert found["missing"] == [] and len(found["results"]) == 6
    assert {result["generated"] for result in found["results"].values()} == {60}
    assert len(found["curves"]) == 5 * 2 * 2
    for curve in found["curves"]:
        assert [point["size"] for point in curve["points"]] == [20, 60, 200]
        # Replicas of a small reference can lose a bin: their KL is infinite, and says so.
        assert all(
            point["value"] > 0 and (point["error"] == "inf" or point["error"] > 0) and point["steps"][0] > 0 for point in curve["points"])
        values, sizes = [math.log(point["value"]) for point in curve["points"]], [math.log(n) for n in (20, 60, 200)]
        mean = sum(sizes) / 3
        slope = sum((x - mean) * y for x, y in zip(sizes, values)) / sum((x - mean) ** 2 for x in sizes)
        assert curve["law"]["exponent"] == pytest.approx(-slope, rel=1e-6)
    page = (study / "work/report/report.html").read_text()
    assert "scaling-jets" in page and page.count("<svg") == 1 and "runs/jets/from scratch/200/1" in page


def test_killed_runs_end_with_the_same_bits(study, tmp_path):
    path = study / "work/runs/jets/fine-tuned/200/1"
    shutil.move(path, tmp_path / "whole")
    words = ["scaling", study / "study.json", "--into", study / "work", "--quiet", "--run", "4/6"]
    for wait in 0.9, 1.2:
        child = subprocess.Popen([OMNIJET, *map(str, words)])
        try:
            child.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    omnijet(*words)
    for name in "result.json", "best.safetensors", "metrics.jsonl", "generated.pando/dataset.json", "generated.pando/shards/00000.arrow":
        assert (path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_studies_that_contradict_themselves_are_refused(study, tmp_path):
    described = json.loads((study / "study.json").read_text())
    for change, message in [
        ({"colour": 1}, "colour: is not known"),
        ({"sizes": [10, 10]}, "twice"),
        ({"strategies": [{"name": "a", "tokenizer": "other"}]}, "names the tokenizer other"),
        ({"observables": ["beauty"]}, "there is no 'beauty'"),
        ({"tokenizers": {"own": {}}}, "neither a checkpoint nor configuration"),
    ]:
        (tmp_path / "study.json").write_text(json.dumps(described | change))
        assert message in omnijet("scaling", tmp_path / "study.json", "--into", tmp_path / "work", "--list", status=1)
    omnijet("scaling", study / "study.json", "--into", tmp_path / "w", "--run", "4/4", status=64)


def test_generated_jets_are_held_against_the_reference_twice(study, tmp_path):
    generated = study / "work/runs/jets/fine-tuned/200/1/generated.pando"
    out = omnijet(
        "evaluate", generated, "--reference", f"{study / 'jets.pando'}@split=test,name=truth", "--tokenizer",
        study / "work/tokenizers/own/best.safetensors", "--into", tmp_path / "e", "--groups", "jet,nsubjettiness", "--replicas", "10", "--json")
    found = json.loads(out.splitlines()[0])
    assert [one["name"] for one in found["raw"]["datasets"]] == ["truth", "generated", "reconstructed"]
    assert [one["name"] for one in found["reconstructed"]["datasets"]] == ["reconstructed", "generated"]
    assert found["raw"]["datasets"][0]["jets"] == found["raw"]["datasets"][2]["jets"]
    for one in found["raw"]["comparisons"]:
        if one["quantity"]["name"] == "multiplicity":
            # The tokenizer keeps each constituent.
            assert one["others"][1]["metrics"]["w1"]["value"] == 0 < one["others"][0]["metrics"]["w1"]["value"]
    page = page_of(tmp_path / "e")
    assert "through the tokenizer" in page
