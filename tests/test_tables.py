"""Output measures against counting, and the tables."""

import numpy as np
import oracles
import pandas as pd
import pytest
from given_logits import outputs_of_logits
from scipy import stats

from jaxflow import tables
from jaxflow.inference.evidence import Evidence
from jaxflow.interventions import Strategy
from jaxflow.metrics import Scores
from jaxflow.outputs import PAPER, Roles, measure_names
from jaxflow.statistics import correlations

TWO = Roles("hired", ("sex", "age"))


@pytest.fixture
def labels(rng):
    z = rng.integers(0, 2, 900)
    return (rng.random(900) < 0.3 + 0.4 * z).astype(np.int32), z.astype(np.int32)


def test_outputs_equal_counting(rng, labels):
    y, z = labels
    logits = (rng.normal(size=(4, 900, 2)) + np.stack([-y, y + 0.5 * z], 1)).astype(np.float32)
    for own in logits:
        measured, decided = outputs_of_logits(own, {"y": y, "z": z}), own.argmax(-1)

        def gap(cell, decided=decided):
            return decided[cell & (z == 1)].mean() - decided[cell & (z == 0)].mean()

        assert set(measured) == set(measure_names(PAPER))
        assert measured["argmax_accuracy"] == pytest.approx(100 * np.mean(decided == y), abs=1e-3)
        assert measured["parity_gap"] == pytest.approx(100 * gap(y >= 0), abs=1e-3)
        assert measured["odds_gap"] == pytest.approx(100 * max(abs(gap(y == 0)), abs(gap(y == 1))), abs=1e-3)
        for measure, message in (("accuracy", y), ("bias", z)):
            bits = oracles.gaussian_bits(message, own)[-1]
            assert measured[measure] == pytest.approx(100 * oracles.accuracy_of(bits, message.mean()), abs=2e-2)


def test_constant_logits_are_chance(labels):
    measured = outputs_of_logits(np.ones((900, 2)), {"y": labels[0], "z": labels[1]})
    for measure, message in zip(("accuracy", "bias"), labels, strict=True):
        assert float(measured[measure]) == pytest.approx(100 * max(message.mean(), 1 - message.mean()), abs=1e-4)
    assert measured["parity_gap"] == 0
    assert measured["odds_gap"] == 0


def test_an_empty_cell_adds_no_gap():
    y = np.array([0, 0, 1, 1])
    measured = outputs_of_logits(np.array([[0.0, 1], [1, 0], [0, 1], [0, 1]]), {"y": y, "z": y})
    assert measured["odds_gap"] == 0
    assert measured["parity_gap"] == pytest.approx(50)
    assert all(np.isfinite(value) for value in measured.values())


def dependence_rows(flow, effect, message="y", layer=0):
    return pd.DataFrame({"message": message, "layer": layer, "flow": flow, "effect": effect})


def test_correlations_equal_scipy(rng):
    flow, noise = rng.random((2, 300))
    table = correlations(
        pd.concat([dependence_rows(flow, -flow + noise), dependence_rows(flow, noise, "z", 1)], ignore_index=True)
    )
    expected = stats.pearsonr(flow, -flow + noise)
    assert table.loc[0, ["message", "layer", "points", "nonzero"]].tolist() == ["y", 0, 300, 300]
    assert table.loc[0, "r"] == pytest.approx(expected.statistic)
    assert table.loc[0, "p"] == pytest.approx(expected.pvalue)
    assert table.loc[1, "message"] == "z"


def test_correlation_of_a_constant_is_empty_and_zeros_are_counted(rng):
    table = correlations(dependence_rows(rng.random(50), np.zeros(50)))
    assert table[["r", "p"]].isna().all(axis=None)
    assert table.loc[0, "nonzero"] == 0


def test_p_is_never_zero(rng):
    flow = rng.random(5000)
    table = correlations(dependence_rows(flow, flow + 1e-3 * rng.random(5000)))
    assert 0 < table.loc[0, "p"] < 1e-300


def evidence(floor):
    """Of a layer of three nodes, each field with numbers of its own."""
    return Evidence(np.array([floor]), *(np.full((1, 3), field + floor) for field in range(1, 6)))


def test_witnesses_are_lists_of_nodes():
    table = tables.node_flows_table(
        np.array([7]),
        {"y": {0: np.array([[0.5, 0.1, 0.0]])}, "z": {0: np.array([[0.2, 0.3, 0.4]])}},
        {"y": {0: np.array([[0b110, 0b001, 0]])}, "z": {0: np.array([[0b100, 0b101, 0b010]])}},
        {"y": {0: evidence(0.01)}, "z": {0: evidence(0.02)}},
    )
    columns = ["network", "layer", "node", "message", "flow", "witness"]
    assert table.columns.tolist() == [*columns, "null95", "p", "p_max", "honest", "low", "high"]
    by_node = table.set_index(["node", "message"])
    assert by_node.loc[(0, "y"), "witness"] == "1+2"
    assert by_node.loc[(1, "z"), "witness"] == "0+2"
    assert by_node.loc[(2, "y"), "witness"] == ""
    assert by_node.loc[(2, "z"), "flow"] == 0.4
    assert by_node.loc[(2, "z"), "null95"] == 0.02
    assert by_node.loc[(1, "z"), ["p", "p_max", "honest", "low", "high"]].tolist() == [1.02, 2.02, 3.02, 4.02, 5.02]


def test_witnesses_of_searched_layers_are_lists_too():
    """Rows of booleans say what bitmasks say, also where one table holds both."""
    masks = np.array([[0b110, 0b001, 0]])
    rows = (masks[..., None] >> np.arange(3) & 1).astype(bool)
    flow, sure = {0: np.zeros((1, 3)), 1: np.zeros((1, 3))}, {0: evidence(0), 1: evidence(0)}
    table = tables.node_flows_table(np.array([0]), {"y": flow}, {"y": {0: masks, 1: rows}}, {"y": sure})
    listed, searched = (table[table.layer == layer]["witness"].tolist() for layer in (0, 1))
    assert listed == searched == ["1+2", "0", ""]


def test_information_rows_are_network_major_and_wide_layers_left_out(rng):
    bits = {name: {0: rng.random((2, 4)), 1: rng.random((2, 2**11)), 2: rng.random((2, 4))} for name in ("y", "z")}
    table = tables.information_table(np.array([3, 4]), bits)
    assert set(table["layer"]) == {0, 2}
    assert table["network"].is_monotonic_increasing
    row = table[(table.network == 4) & (table.layer == 2) & (table.subset == 3) & (table.message == "z")]
    assert row["bits"].item() == bits["z"][2][1, 3]


def same_outputs(roles, values):
    """The same values of every measure."""
    return dict.fromkeys(measure_names(roles), values)


def test_effects_of_rounding_count_as_none():
    unpruned, removed = same_outputs(PAPER, np.full(1, 70.0)), same_outputs(PAPER, np.full((1, 4), 70.00001))
    edges = np.array([[0, i, 0] for i in range(4)])
    flows = {name: {0: np.arange(4.0).reshape(1, 4, 1) + k} for k, name in enumerate("yz")}
    table = tables.dependence_table(np.array([0]), edges, flows, unpruned, removed, PAPER)
    assert correlations(table)["nonzero"].tolist() == [0, 0]
    assert correlations(table)["r"].isna().all()


@pytest.mark.parametrize("roles", [PAPER, TWO], ids=["one attribute", "two"])
def test_dependence_pairs_every_edge_with_its_effect(rng, roles):
    """Of every message its own measure: the label's accuracy, each attribute's bias."""
    weights = {1: rng.normal(size=(2, 3, 2)), 2: rng.normal(size=(2, 2, 2))}
    messages = roles.measured_names
    flows = {name: {layer: rng.random(w.shape) for layer, w in weights.items()} for name in messages}
    edges = tables.edge_list(weights)
    unpruned = {name: rng.random(2) for name in measure_names(roles)}
    removed = {name: rng.random((2, 10)) for name in measure_names(roles)}
    table = tables.dependence_table(np.array([0, 1]), edges, flows, unpruned, removed, roles)
    assert len(table) == 2 * 10 * len(messages)
    rows = table[(table.network == 1) & (table.layer == 2) & (table.source == 1) & (table.target == 0)]
    index = edges.tolist().index([2, 1, 0])
    measures = ["accuracy", *(f"bias{roles.suffix(name)}" for name in roles.attributes)]
    for message, measure in zip(messages, measures, strict=True):
        row = rows[rows.message == message]
        assert row["flow"].item() == flows[message][2][1, 1, 0]
        assert row["effect"].item() == pytest.approx(removed[measure][1, index] - unpruned[measure][1])


# Several attributes


def test_columns_of_one_attribute_are_the_papers():
    assert measure_names(PAPER) == measure_names(Roles("hired", ("sex",)))
    assert measure_names(PAPER) == (
        *("accuracy", "bias", "argmax_accuracy", "parity_gap", "odds_gap", "threshold_accuracy", "threshold_bias"),
    )


def test_several_attributes_have_their_names_in_the_columns(rng):
    outputs = {name: rng.random(3) for name in measure_names(TWO)}
    table = tables.networks_table(np.arange(3), outputs, TWO)
    each = [f"{measure}_{name}" for measure in ("bias", "parity_gap", "odds_gap") for name in TWO.attributes]
    last = ["threshold_accuracy", "threshold_bias_sex", "threshold_bias_age"]
    assert table.columns.tolist() == ["network", "argmax_accuracy", "output_accuracy", *each, *last]
    for name in outputs:
        np.testing.assert_array_equal(table["output_accuracy" if name == "accuracy" else name], outputs[name])


def test_an_intervention_says_which_attribute_it_aims_at(rng):
    strategies = [Strategy(metric, "edge", 2) for metric in ("bias/acc", first_score)]
    aims = [(strategy, attribute) for attribute in TWO.attributes for strategy in strategies]
    outputs = {name: rng.random((2, 4, 3)) for name in measure_names(TWO)}
    table = tables.tradeoff_table(np.array([5, 6]), aims, (1.0, 0.5, 0.0), outputs, TWO)
    assert table.columns.tolist()[:6] == ["network", "metric", "method", "level", "attribute", "factor"]
    assert len(table) == 2 * 4 * 3
    row = table[(table.network == 6) & (table.metric == "first_score") & (table.attribute == "age")]
    for name, values in outputs.items():
        np.testing.assert_array_equal(row[name], values[1, 3])
    one = {name: values[:, :2] for name, values in outputs.items()}
    alone = tables.tradeoff_table(
        np.array([5, 6]), aims[:2], (1.0, 0.5, 0.0), dict.fromkeys(measure_names(PAPER), one["accuracy"]), PAPER
    )
    assert "attribute" not in alone


def first_score(shown):
    """A metric of the user's: its name is its column."""
    return Scores(edge=shown.weights)
