"""The arena's page: tables say what was chosen and reported, verdicts count the tables, figures draw them."""

import sys
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxflow.metrics import METRICS

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "experiments" / "studies"), str(ROOT / "experiments")]
choices, measures, written = map(import_module, ("arena_choices", "arena_measures", "arena_page"))
MEASURES = measures.MEASURES
SIZES = {"node": 6, "edge": 15, "path": 18}
WANTED = measures.candidates(tuple(METRICS), SIZES)


def scene(name: str = "made", ablation: str = "zero", networks: int = 4, seed: int = 1):
    """Measures ``[S, 2, G, 2, M]`` and rank correlations of no network in particular."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(50, 80, size=(networks, 2, len(WANTED), 2, len(MEASURES))).astype(np.float32)
    found[:, :, 0, :, MEASURES.index("accuracy")] = 75
    found[:, :, 0, :, MEASURES.index("bias")] = 90  # what edges carry of it is a share of something
    score = rng.uniform(-1, 1, size=(networks, 2, len(measures.rankings(tuple(METRICS)))))
    return written.Scene(name, ablation, WANTED, found, score)


@pytest.fixture(scope="module")
def scenes():
    return [scene(), scene("second", seed=2), scene(ablation="mean", seed=3)]


@pytest.fixture(scope="module")
def fronts(scenes):
    return written.fronts_table(scenes)


@pytest.fixture(scope="module")
def budgets(scenes):
    return written.budgets_table(scenes)


def test_a_budget_is_the_choice_of_one_half_on_the_other_by_a_loop(scenes, budgets):
    """Of one metric: the least bias within the budget where it is chosen, and what that comes to where reported."""
    own = [0, *(k for k, one in enumerate(WANTED) if one.metric == "magnitude" and not one.kept)]
    accuracy, bias = (MEASURES.index(name) for name in choices.READINGS["information"])
    for budget in (0.5, 5.0):
        changes = []
        for chosen, reported in scenes[1].measures.transpose(0, 1, 3, 2, 4).reshape(-1, 2, len(WANTED), len(MEASURES)):
            within = [g for g in own if chosen[0, accuracy] - chosen[g, accuracy] <= budget]
            changes.append(reported[0] - reported[min(within, key=lambda g: chosen[g, bias])])
        at = budgets.set_index(["scene", "reading", "metric", "budget"]).loc[
            ("second", "information", "magnitude", budget)
        ]
        assert [at["removed"], at["lost"]] == pytest.approx(np.mean(changes, axis=0)[[bias, accuracy]], abs=1e-3)


def test_budgets_are_the_area_in_parts_and_flow_beats_itself_by_nothing(fronts, budgets):
    assert set(budgets["scene"]) == {"made", "second"}
    assert len(budgets) == 2 * len(choices.READINGS) * len(METRICS) * len(choices.BUDGETS)  # of the zero ablation alone
    keys = ["scene", "reading", "metric"]
    means = budgets.groupby(keys)[["removed", "lost", "flow_more"]].mean()
    areas = fronts[fronts["ablation"] == "zero"].set_index(keys).loc[means.index]
    for part, whole in (("removed", "area"), ("lost", "lost"), ("flow_more", "flow_less")):
        np.testing.assert_allclose(means[part], areas[whole], atol=1e-3)
    own = budgets[budgets["metric"] == written.FLOW]
    assert (own[["flow_more", "flow_more_low", "flow_more_high"]] == 0).to_numpy().all()
    between = budgets["removed_low"].le(budgets["removed"]) & budgets["removed"].le(budgets["removed_high"])
    assert between.all()


def test_beside_a_debiaser_stands_flow_at_its_accuracy():
    """One pruning by flow has 68 % and a gap of 5 in all networks; the debiaser 67 % and a gap of 9, to any side."""
    one = scene()
    accuracy, gap = (MEASURES.index(name) for name in choices.READINGS["recalibrated"])
    one.measures[..., accuracy], one.measures[..., gap] = 60, 1
    one.measures[:, :, 0, :, accuracy], one.measures[:, :, 0, :, gap] = 70, 30
    pruned = choices.members(WANTED, written.FLOW)[3]
    one.measures[:, :, pruned, :, accuracy], one.measures[:, :, pruned, :, gap] = 68, 5
    other = np.zeros((4, 2, len(written.DEBIASED)))
    other[..., written.DEBIASED.index("argmax_accuracy")] = 67
    other[..., written.DEBIASED.index("parity_gap")] = [9, -9]
    others = {"made": {"unchanged": other, "moved": other}}
    table = written.beside_table([one, scene(ablation="mean")], others)
    assert list(table["debiaser"]) == ["moved"]
    row = table.iloc[0]
    assert row[["accuracy", "flow_accuracy", "gap", "flow_gap"]].tolist() == pytest.approx([67, 68, 9, 5])
    assert row[["flow_less", "flow_less_low", "flow_less_high"]].tolist() == pytest.approx([4, 4, 4])
    assert "| moved | 68.0 / 5.0 ↑ |" in written.beside_markdown(table)


def test_verdicts_count_what_is_beyond_chance(scenes, fronts):
    """Flow is better than `gradient` in one scene and worse in the other; beside `magnitude` nothing is decided."""
    table = fronts.assign(flow_less_low=-1.0, flow_less_high=1.0)
    at = table["metric"].eq("gradient") & table["ablation"].eq("zero") & table["reading"].eq("information")
    table.loc[at, "flow_less_low"], table.loc[at, "flow_less_high"] = [0.5, -2.0], [2.0, -0.5]
    beside = pd.DataFrame(
        {"scene": ["made", "second"], "debiaser": "moved", "flow_less_low": [1.0, 2.0], "flow_less_high": [3.0, 4.0]}
    )
    scores = written.scores_table(scenes)
    said = written.verdicts(table, scores, beside, scenes)
    assert "4 networks of every scene (`--seeds 4 --ablations zero mean`)" in said
    assert "In how many of 2 scenes" in said
    assert "| `gradient` | 1 and 1 | 0 and 0 | 0 and 0 |" in said
    assert "| `magnitude` | 0 and 0 | 0 and 0 | 0 and 0 |" in said
    assert "in so many of 2 scenes: `moved` 2 and 0." in said
    rho = np.mean([one.score[:, :, 0].mean() for one in scenes[:2]])
    assert measures.rankings(tuple(METRICS))[0] == (written.FLOW, "node")
    assert f"Flow's rank correlation with exact removal is {rho:.2f} for single nodes" in said
    assert "does NOT hold" in said  # these numbers are of no network
    kept = [one._replace(measures=np.repeat(one.measures[..., :1, :, :], len(WANTED), axis=2)) for one in scenes]
    assert "choose holds" in written.verdicts(table, scores, beside, kept)


def test_figures_draw_the_tables(fronts, budgets):
    for figure, table in ((written.fronts_figure(budgets), budgets), (written.glance_figure(fronts), fronts)):
        own = table[table["reading"] == "information"]
        drawn = {axes.get_title(): axes.lines for axes in figure.axes if axes.get_title()}
        assert set(drawn) == {"made", "second"}
        for name, metric in product(drawn, ("gradient", "removal")):
            of = own[(own["scene"] == name) & (own["metric"] == metric)]
            points = {tuple(np.ravel(np.column_stack(line.get_data())).round(6)) for line in drawn[name]}
            if table is budgets:
                assert tuple(of[["lost", "removed"]].to_numpy().ravel().round(6)) in points
            else:
                at = of[of["ablation"] == "zero"].iloc[0]
                place = list(METRICS)[::-1].index(metric)
                assert (round(at["area"], 6), place) in points
