"""Metrics of the room Evaluation, held against SciPy and NumPy on thousands of random samples."""
import json
import subprocess
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from conftest import BINARY

PROBE = BINARY.parent / "evaluation-probe"
pytestmark = pytest.mark.skipif(not PROBE.exists(), reason="no evaluation-probe beside the tool")


class Asked:
    """Cases for the probe and the numbers that they point into."""

    def __init__(self):
        self.values, self.cases, self.length = [], [], 0

    def stretch(self, values):
        self.values.append(np.asarray(values, float))
        self.length += len(values)
        return {"start": self.length - len(values), "count": len(values)}

    def add(self, generated, reference, weights=(None, None), **options):
        case = {"generated": self.stretch(generated), "reference": self.stretch(reference), **options}
        for name, found in zip(("generatedWeights", "referenceWeights"), weights):
            if found is not None:
                case[name] = self.stretch(found)
        self.cases.append(case)

    def answers(self, folder, fits=()):
        (folder / "cases.json").write_text(json.dumps({"cases": self.cases, "fits": list(fits)}))
        np.concatenate([*self.values, np.zeros(0)]).astype("<f8").tofile(folder / "values")
        done = subprocess.run([PROBE, folder / "cases.json", folder / "values"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def samples(random, number, is_integer):
    """Two samples that are alike, far apart, of a few values, of one entry, ..."""
    sizes = [1, 1] if number % 17 == 0 else [int(size) for size in np.exp(random.uniform(0, np.log(2000), 2)) + 1]
    if number % 29 == 0:
        sizes[number % 2] = 1
    kind = number % 7
    draw = {
        0: lambda n, s: random.normal(s, 1 + s, n),
        1: lambda n, s: np.round(random.normal(s, 2, n), 1),  # ties
        2: lambda n, s: random.exponential(1 + s, n) ** 3,  # a long tail
        3: lambda n, s: random.uniform(10 * s, 10 * s + 1, n),  # supports that do not meet
        4: lambda n, s: random.choice([0.0, 0.25, 1.0], n),
        5: lambda n, s: random.normal(s, 1, n).astype("f4").astype(float),
        6: lambda n, s: np.concatenate([np.full(n // 2, 0.5), random.normal(0, 1, n - n // 2)]),
    }[kind]
    shift = float(random.choice([0, 0.1, 2]))
    generated, reference = draw(sizes[0], shift), draw(sizes[1], 0.0)
    if is_integer:
        generated, reference = np.round(5 * generated), np.round(5 * reference)
    return generated, reference


def edges_of(reference, bins, is_integer):
    """Inner edges by the description in docs/evaluation.md."""
    edges = np.quantile(reference, np.arange(1, bins) / bins)
    edges = np.unique(np.floor(edges) + 0.5 if is_integer else edges)
    edges = edges[edges <= reference.max()]
    while len(edges):
        empty = np.flatnonzero(counts(edges, reference) == 0)
        if not len(empty):
            break
        edges = np.delete(edges, max(empty[0] - 1, 0))
    return edges


def counts(edges, values):
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def released(generated, reference, edges):
    """As the released code writes it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        bins = np.quantile(reference, np.linspace(0.001, 0.999, edges))
        p, q = (np.histogram(values, bins, density=True)[0] + 1e-8 for values in (reference, generated))
        return float(stats.entropy(p, q))


def same(found, expected, absolute=0.0, relative=0.0):
    found = float(found)
    if np.isnan(expected) or np.isinf(expected):
        return np.isnan(found) if np.isnan(expected) else found == expected
    return abs(found - expected) <= absolute + relative * abs(expected)


@pytest.mark.parametrize("is_integer", [False, True], ids=["continuous", "whole numbers"])
def test_metrics_of_random_samples_are_those_of_scipy(tmp_path, is_integer):
    random, asked, pairs = np.random.default_rng(20 + is_integer), Asked(), []
    for number in range(2000):
        generated, reference = samples(random, number, is_integer)
        bins, edges = int(random.integers(1, 70)), int(random.integers(2, 70))
        pairs.append((generated, reference, bins, edges))
        asked.add(generated, reference, bins=bins, edges=edges, isInteger=is_integer, threads=1 + number % 2)
    seen = {"nan": 0, "zero": 0, "disjoint": 0}
    for (generated, reference, bins, number), found in zip(pairs, asked.answers(tmp_path)["cases"], strict=True):
        scale = max(np.ptp(np.concatenate([generated, reference])), 1e-300)
        w1 = stats.wasserstein_distance(generated, reference)
        assert same(found["w1"], w1, 1e-13 * scale, 1e-11), (found["w1"], w1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy takes an asymptotic formula for the p-value, which is not compared
            ks = stats.ks_2samp(generated, reference, method="asymp").statistic
        assert same(found["ks"], ks, 1e-12)
        edges = edges_of(reference, bins, is_integer)
        assert np.array_equal(found["edges"], edges)
        p, q = counts(edges, generated), counts(edges, reference)
        assert q.min() > 0
        assert same(found["kl"], stats.entropy(p, q), 1e-12)
        middle = (p / p.sum() + q / q.sum()) / 2
        assert same(found["js"], (stats.entropy(p, middle) + stats.entropy(q, middle)) / 2, 1e-12)
        old = released(generated, reference, number)
        # Histograms of densities lose some digits where bins are narrow.
        assert same(found["kl_released"], old, 1e-9, 1e-9), (found["kl_released"], old)
        seen["nan"] += np.isnan(old)
        seen["zero"] += w1 == 0
        seen["disjoint"] += ks == 1
    assert seen["nan"] > 100 and seen["zero"] > 0 and seen["disjoint"] > 100, seen


def test_weighted_distances_are_those_of_scipy(tmp_path):
    random, asked, expected = np.random.default_rng(3), Asked(), []
    for number in range(1000):
        generated, reference = samples(random, number, number % 5 == 0)
        weights = [None if number % 3 == which else random.exponential(1, len(values)) * (random.random(len(values)) < 0.9) + 1e-9
                   for which, values in enumerate((generated, reference))]
        asked.add(generated, reference, weights)
        expected.append((stats.wasserstein_distance(generated, reference, *weights), np.ptp(np.concatenate([generated, reference]))))
    for found, (w1, scale) in zip(asked.answers(tmp_path)["cases"], expected, strict=True):
        assert same(found["w1"], w1, 1e-13 * scale, 1e-11), (found["w1"], w1)


def test_large_samples_lose_nothing(tmp_path):
    random, asked = np.random.default_rng(4), Asked()
    generated, reference = random.normal(0.001, 1, 2_000_000) + 1e3, random.normal(0, 1, 2_000_000) + 1e3
    asked.add(generated, reference, threads=2)
    found = asked.answers(tmp_path)["cases"][0]
    exact = float(np.abs(np.sort(generated) - np.sort(reference)).astype(np.longdouble).sum() / len(generated))
    assert abs(found["w1"] / exact - 1) < 1e-13


def test_power_laws_are_those_of_numpy_and_scipy(tmp_path):
    random, fits, expected = np.random.default_rng(5), [], []
    for number in range(1000):
        count = int(random.integers(3, 12))
        sizes = np.sort(np.exp(random.uniform(0, 18, count)))
        values = np.exp(random.normal(0, 2)) * sizes ** -random.uniform(-0.2, 0.8) * np.exp(random.normal(0, 0.2, count))
        errors = values * random.uniform(0.01, 0.5, count)
        points = [{"size": s, "value": v, "error": e} for s, v, e in zip(sizes, values, errors)]
        weighted = number % 2 == 1
        fits.append({"points": points, "weighting": "errors" if weighted else "equal", "leavingOutSaturated": False})
        x, y = np.log(sizes), np.log(values)
        if not weighted:
            line = stats.linregress(x, y)
            expected.append((-line.slope, line.stderr, line.intercept, line.intercept_stderr))
        elif number % 4 == 1:
            (slope, start), spread = curve_fit(lambda x, a, b: a * x + b, x, y, (0, 0), errors / values)
            expected.append((-slope, spread[0, 0] ** 0.5, start, spread[1, 1] ** 0.5))
        else:
            # polyfit weighs residuals, not their squares, and scales by the scatter with n - 2 degrees of freedom.
            (slope, start), spread = np.polyfit(x, y, 1, w=values / errors, cov=True)
            expected.append((-slope, spread[0, 0] ** 0.5, start, spread[1, 1] ** 0.5))
    names = ("exponent", "exponentError", "logAmplitude", "logAmplitudeError")
    for number, (law, line) in enumerate(zip(Asked().answers(tmp_path, fits)["fits"], expected, strict=True)):
        close = 1e-5 if number % 4 == 1 else 1e-8  # curve_fit goes by numerical derivatives
        for name, value in zip(names, line):
            assert same(law[name], value, close, close), (name, law, line)


def test_uncertainties_are_those_of_drawing_again(tmp_path):
    """The multinomial numbers along sorted entries, against drawing entries and computing all again."""
    random, asked = np.random.default_rng(6), Asked()
    generated, reference = random.normal(0.2, 1.1, 1500), random.normal(0, 1, 2500)
    asked.add(generated, reference, bins=20, replicas=4000)
    found = asked.answers(tmp_path)["cases"][0]["errors"]
    edges = edges_of(reference, 20, False)
    drawn = {"w1": [], "ks": [], "kl": []}
    for _ in range(1500):
        p, q = random.choice(generated, 1500), random.choice(reference, 2500)
        drawn["w1"].append(stats.wasserstein_distance(p, q))
        everywhere = np.sort(np.concatenate([p, q]))
        drawn["ks"].append(np.abs(np.searchsorted(np.sort(p), everywhere, "right") / 1500
                                  - np.searchsorted(np.sort(q), everywhere, "right") / 2500).max())
        drawn["kl"].append(stats.entropy(counts(edges, p), counts(edges, q)))
    for name, values in drawn.items():
        low, high = np.percentile(values, [16, 84])
        assert abs(found[name] / ((high - low) / 2) - 1) < 0.1, name
