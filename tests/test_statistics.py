"""What predicts the effect of an edge: correlations and their intervals against SciPy, regression and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from jaxflow.statistics import PREDICTORS, _correlations_of, predictors

NETWORKS = 12


@pytest.fixture
def tables(rng):
    """Edges 3 → 2 of twelve networks, y and z, whose effect is a noisy function of node flow and weight."""
    keys = pd.MultiIndex.from_product(
        [range(NETWORKS), [0], range(3), range(2), ["y", "z"]],
        names=["network", "layer", "source", "target", "message"],
    )
    edges = keys.to_frame(index=False)
    edges["weight"] = np.repeat(rng.normal(size=len(edges) // 2), 2)
    nodes = edges.drop_duplicates(["network", "layer", "source", "message"])[["network", "layer", "source", "message"]]
    nodes = nodes.assign(flow=rng.exponential(size=len(nodes))).rename(columns={"source": "node"})
    joined = edges.merge(nodes.rename(columns={"node": "source", "flow": "node flow"}))
    edges["flow"] = joined["weight"].abs() * joined["node flow"]
    effect = -joined["node flow"] - 0.3 * joined["weight"].abs() + rng.normal(size=len(joined))
    dependence = edges.drop(columns="weight").assign(effect=effect)
    return dependence.sample(frac=1, random_state=0), edges, nodes


def columns(tables, message):
    """Effect, edge flow, weight and node flow by an own join."""
    dependence, edges, nodes = (table[table["message"] == message] for table in tables)
    flow = {(row.network, row.node): row.flow for row in nodes.itertuples()}
    weight = {(row.network, row.source, row.target): abs(row.weight) for row in edges.itertuples()}
    return np.array(
        [
            (row.effect, row.flow, weight[row.network, row.source, row.target], flow[row.network, row.source])
            for row in dependence.itertuples()
        ]
    ), dependence["network"].to_numpy()


@pytest.mark.parametrize("message", ["y", "z"])
def test_correlations_are_scipys_and_the_partial_one_is_that_of_residuals(tables, message):
    predicted = predictors(*tables).query("message == @message").set_index("predictor")
    values, _ = columns(tables, message)
    for k, name in enumerate(PREDICTORS[:3], 1):
        assert predicted.loc[name, "r"] == pytest.approx(pearsonr(values[:, 0], values[:, k]).statistic)
        assert predicted.loc[name, "rho"] == pytest.approx(spearmanr(values[:, 0], values[:, k]).statistic)
    design = np.column_stack([np.ones(len(values)), values[:, 2]])
    residuals = values[:, [0, 3]] - design @ np.linalg.lstsq(design, values[:, [0, 3]], rcond=None)[0]
    assert predicted.loc["node flow given weight", "r"] == pytest.approx(pearsonr(*residuals.T).statistic)
    assert (predicted["points"] == len(values)).all()


def test_a_draw_of_networks_is_the_correlation_of_all_their_rows(tables, rng):
    values, networks = columns(tables, "y")
    times = rng.integers(0, 3, (5, NETWORKS))
    correlations = _correlations_of(1e4 + values, networks)(times)
    for k, drawn in enumerate(times):
        rows = np.repeat(np.arange(len(networks)), drawn[networks])
        assert correlations[0, k] == pytest.approx(pearsonr(values[rows, 0], values[rows, 1]).statistic)


def test_intervals_cover_the_estimate_and_come_out_the_same_again(tables):
    predicted = predictors(*tables)
    assert (predicted["low"] < predicted["r"]).all()
    assert (predicted["r"] < predicted["high"]).all()
    assert (predicted["rho_low"] < predicted["rho"]).all()
    pd.testing.assert_frame_equal(predicted, predictors(*tables))
    assert not predictors(*tables, seed=1)["low"].equals(predicted["low"])


def test_edges_that_share_their_network_make_wider_intervals(rng):
    """Copies of every edge add points but no knowledge: the interval stays as wide as with one."""
    base = rng.normal(size=(NETWORKS, 2)).repeat(30, axis=0)
    names = {
        "network": np.repeat(np.arange(NETWORKS), 30),
        "layer": 0,
        "source": 0,
        "target": np.tile(np.arange(30), 12),
    }
    edges = pd.DataFrame({**names, "message": "y", "weight": base[:, 0], "flow": np.abs(base[:, 0])})
    nodes = pd.DataFrame({"network": np.arange(NETWORKS), "layer": 0, "node": 0, "message": "y", "flow": 1.0})
    dependence = edges.drop(columns="weight").assign(effect=base[:, 1])
    one = [table[table["target"] == 0] if "target" in table else table for table in (dependence, edges, nodes)]
    many, few = (predictors(*drawn).iloc[0] for drawn in ((dependence, edges, nodes), one))
    assert many["high"] - many["low"] == pytest.approx(few["high"] - few["low"])


def test_what_is_constant_has_no_correlation(tables):
    dependence, edges, nodes = tables
    predicted = predictors(dependence.assign(effect=0.0), edges, nodes)
    assert predicted[["r", "low", "high", "rho"]].isna().all(axis=None)
    alone = [table[table["network"] == 3] for table in tables]
    predicted = predictors(*alone)
    assert predicted["low"].isna().all()
    assert predicted["r"].notna().all()
