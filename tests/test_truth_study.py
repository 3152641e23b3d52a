"""The study of how near estimators are to the truth: whom it asks, what it keeps, and that its page says it."""

import sys
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata

from jaxflow.information import ESTIMATORS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def study(monkeypatch):
    """The modules of the study by their names."""
    for folder in ("experiments", "experiments/studies", "experiments/benchmarks"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return import_module


def test_whatever_has_a_name_is_asked_if_it_takes_the_message(study):
    truth = study("truth")
    assert set(ESTIMATORS) < set(truth.everybody(None))
    for name, rows in (("quadratic", 0), ("gaussian", 2), ("gradient boosting", 0)):
        found = truth.cell("dense normal, d = 2", 60, truth.everybody(None)[name], "truth", 2, False)
        assert (found["draws"] == rows).all()


def test_a_cell_is_the_mean_distance_of_its_draws_and_where_their_intervals_lie(study):
    """By an estimator that says 0.3, 0.4 and 0.8 bit where 0.486 is true, ± 0.1."""
    truth, said = study("truth"), (0.3, 0.4, 0.8)
    found = truth.cell(
        "equal covariances",
        20,
        truth.Asked(
            lambda drawn: len(drawn.message) == 20,
            lambda draws: [(np.array([0, bits]), 1.0) for bits, _ in zip(said, draws, strict=True)],
            lambda key, _: [np.array([said[jax.random.key_data(key)[1]] + step]) for step in (0, -0.1, 0.1)],
        ),
        "truth",
        3,
        True,
    )
    assert len(found) == 1
    assert found["bias"][0] == pytest.approx(0.5 - 0.486, abs=1e-4)
    assert found["spread"][0] == pytest.approx(np.std(said, ddof=1))
    assert found["covered"][0] == pytest.approx(1 / 3)
    assert found["too_high"][0] == pytest.approx(1 / 3)
    assert found["seconds"][0] == 1


def test_what_is_there_is_not_computed_again(study, tmp_path):
    truth, asked = study("truth"), []

    def make(*keys):
        asked.append(keys)
        return pd.DataFrame({"subset": [1], "draws": 2, "bias": 0.1})

    wanted = [("ring", 250, "knn"), ("XOR", 250, "knn")]
    first = truth.complete(tmp_path / "truth.csv", "truth", wanted[:1], make)
    whole = truth.complete(tmp_path / "truth.csv", "truth", wanted, make)
    assert asked == wanted
    pd.testing.assert_frame_equal(whole[:1], first)


def test_a_peer_that_fails_says_no_number_and_another_python_says_the_same(study, rng, monkeypatch):
    peers, outside = study("truth_peers"), study("truth_outside")
    message = rng.integers(0, 2, 300)
    pairs = [(message, (2 * message + rng.normal(size=300))[:, None]), (message, rng.normal(size=(300, 1)))]
    name = "scikit-learn kNN"
    here = [peers.asked(name, *pair)[0] for pair in pairs]
    assert here[0] == pytest.approx(0.486, abs=0.2)
    assert [bits for bits, _ in outside.asked_outside(sys.executable, name, pairs)] == here
    monkeypatch.setitem(peers.PEERS, name, peers.Peer("sklearn", lambda *_: 1 / 0))
    assert np.isnan(peers.asked(name, *pairs[0])[0])


@pytest.mark.slow
def test_boosting_tells_what_its_trees_can_cut(study, rng):
    message = rng.integers(0, 3, 600)
    bits = study("truth_peers").boosting(message, (message + 0.01 * rng.normal(size=600))[:, None])
    assert 1.4 < bits <= np.log2(3)


def test_the_page_says_what_its_tables_say(study):
    page, docs = study("truth_page"), ROOT / "docs"
    tables = {part: pd.read_csv(docs / f"{file}.csv") for part, file in study("truth").FILES.items()}
    text = (docs / "truth.md").read_text(encoding="utf-8")
    parts = page.page_parts(tables)
    assert set(parts) == set(page.TEXTS)
    assert all(f"\n{own}\n" in text for own in parts.values())
    assert study("measuring").filled(text, parts, page.MARK) == text


def told(**cells):
    """A table of whole layers: everybody's mean of four draws of 1,000 rows is 0.1 too small."""
    columns = {"rows": 1000, "subset": 1, "draws": 4, "truth": 0.5, "bias": -0.1, "spread": 0.01, "seconds": 0.02}
    return pd.DataFrame(columns | cells)


def test_the_guide_quotes_the_tables_and_says_what_they_lack(study):
    guide, speed = study("truth_guide"), pd.DataFrame({"nodes": [20], "package": "jaxflow", "later": [0.0312]})
    names = ("gaussian", "copula", "quadratic", "quadratic, cross-entropy", "linear-svm", "kernel-svm", "probe", "knn")
    scenes = [*guide.SCENES["classes"], *guide.SCENES["numbers"]]
    cells = [(name, scene, rows) for name in names for scene in scenes for rows in (guide.ROWS, guide.FEW)]
    table = told(**dict(zip(("estimator", "scene", "rows"), map(list, zip(*cells, strict=True)), strict=True)))
    table.loc[table["rows"] == guide.FEW, "bias"] = -0.2
    whole = guide.guide_text(table, speed)
    assert not set("{}") & set(whole)
    assert guide.MISSING not in whole.replace("?**", "")
    assert "`gaussian` (0.02 s; 2²⁰ subsets in 0.031 s)" in whole
    assert "XOR −0.100" in whole
    assert "ring −0.200 and −0.200" in whole
    assert "`quadratic` 0 of 29" in whole
    less = guide.guide_text(table[table["estimator"] != "probe"], speed)
    assert "`probe` (mean distance ?;" in less
    assert less.endswith("do not have yet.")


def test_the_picture_has_a_number_where_there_is_one(study):
    names = ["frites", "gaussian", "probe", "gaussian", "frites"]
    scenes = ["classes: a, b", "classes: a, b", "classes: a, b", "number: c", "number: c"]
    table = told(scene=scenes, estimator=names, bias=[np.nan, -0.1, np.nan, 0.001, 0.25], draws=[4, 4, 0, 4, 4])
    panels = study("truth_figure").pitfalls_figure(table).axes
    assert [[text.get_text() for text in own.texts] for own in panels] == [["−0.10", "fails"], ["0", "+0.25"]]
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["gaussian", "frites"]
    assert [tick.get_text() for tick in panels[0].get_yticklabels()] == ["a,\nb (0.50)"]


def test_estimators_stand_in_one_order_whatever_the_tables(study):
    names = ["mine", "frites", "knn", "quadratic, cross-entropy", "gaussian", "quadratic", "frites"]
    order = ["gaussian", "quadratic", "quadratic, cross-entropy", "knn", "frites", "mine"]
    assert study("truth_tables").in_order(names) == order


@pytest.mark.slow
def test_ours_are_compared_with_what_another_python_says_in_both_precisions(study, monkeypatch):
    """By half the logarithm of the determinants of scores Φ⁻¹(rank / (N + 1)), and 0.01 more in half of the tables."""
    agreement = study("truth_agreement")

    def determinants(python, name, tables):
        assert (python, name) == ("python", "theirs")
        bits = []
        for message, x in tables:
            both = norm.ppf(rankdata(np.column_stack([x, message]), axis=0) / (len(x) + 1))
            c, n = np.cov(both.T), x.shape[1]
            bits.append(0.5 * np.log2(np.linalg.det(c[:n, :n]) * c[n, n] / np.linalg.det(c)))
        return [(own + 0.01 * place, 0.0) for place, own in enumerate(bits)]

    monkeypatch.setattr(agreement, "asked_outside", determinants)
    pair = agreement.Pair("numbers", "copula", "theirs")
    with jax.numpy_dtype_promotion("standard"):  # as in a script
        one, two = (
            agreement.compared("python", pair, "", [agreement.correlated("numbers", own) for own in range(count)])
            for count in (1, 2)
        )
    assert one["double"] < 1e-12 < one["single"] < 1e-6
    assert two["double"] == pytest.approx(0.01)
    assert two["single"] == pytest.approx(0.01, abs=1e-6)
    assert two["their_bits"] - two["bits"] == pytest.approx(0.005)


def test_the_page_of_performance_says_what_the_table_of_speeds_says(study):
    speed, docs = study("peers_speed"), ROOT / "docs"
    assert speed.text(pd.read_csv(docs / "peers_speed.csv")) in (docs / "performance.md").read_text(encoding="utf-8")
    rows = [(8, "jaxflow", 2.0, 0.002, 0.0), (8, "hoi", 3.0, 1.0, 2e-6), (10, "jaxflow", 2.0, 0.004, 0.0)]
    text = speed.text(pd.DataFrame(rows, columns=["nodes", "package", "first", "later", "apart"]))
    assert "| 8 | 255 | 2 | 0.002 | 3 | 1 |  |  | 500 |  |" in text
    assert "| 10 | 1,023 | 2 | 0.004 |  |  |  |  |  |  |" in text
    assert text.endswith("at most 2e−6 apart.")


def test_an_estimate_above_the_truth_is_counted_and_a_failure_named(study):
    page = study("truth_page")
    table = pd.DataFrame(
        {
            **{"scene": ["ring", "XOR", "XOR", "Cauchy"], "rows": 250, "estimator": "mine", "subset": [1, 1, 3, 1]},
            **{"draws": [4, 4, 4, 0], "truth": [1.0, 0.0, 1.0, np.nan], "bias": [-0.02, 0.03, np.nan, np.nan]},
            **{"spread": [0.01, 0.01, np.nan, np.nan], "seconds": 0.5, "covered": np.nan, "too_high": np.nan},
        }
    )
    assert "| mine | 250 | 0.020 (at most 0.020; 1 scenes) |  |  | 1 of 3 | 0.5 |" in page.summary_text(table)
    assert "| XOR | 1.000 | fails |" in page.bias_text(table)
    assert "| ring | 1.000 | −0.020 ± 0.010 |" in page.bias_text(table)
    assert "Cauchy" not in page.bias_text(table)
    assert "| ring | 1.000 | 0.980 |" in page.pitfalls_text(table)
