"""Output measures against counting, and the tables."""

import jax.numpy as jnp
import numpy as np
import oracles
import pandas as pd
import pytest
from scipy import stats

from jaxflow import tables
from jaxflow.information import gaussian
from jaxflow.outputs import Outputs, measure_outputs
from jaxflow.statistics import correlations


@pytest.fixture
def labels(rng):
    z = rng.integers(0, 2, 900)
    return (rng.random(900) < 0.3 + 0.4 * z).astype(np.int32), z.astype(np.int32)


def test_outputs_equal_counting(rng, labels):
    y, z = labels
    logits = (rng.normal(size=(4, 900, 2)) + np.stack([-y, y + 0.5 * z], 1)).astype(np.float32)
    measured = measure_outputs(jnp.asarray(logits), jnp.asarray(y), jnp.asarray(z), gaussian)
    for k, decided in enumerate(logits.argmax(-1)):

        def gap(cell, decided=decided):
            return decided[cell & (z == 1)].mean() - decided[cell & (z == 0)].mean()

        assert measured.argmax_accuracy[k] == pytest.approx(100 * np.mean(decided == y), abs=1e-3)
        assert measured.parity_gap[k] == pytest.approx(100 * gap(y >= 0), abs=1e-3)
        assert measured.odds_gap[k] == pytest.approx(100 * max(abs(gap(y == 0)), abs(gap(y == 1))), abs=1e-3)
        for ours, message in ((measured.accuracy, y), (measured.bias, z)):
            bits = oracles.gaussian_bits(message, logits[k])[-1]
            assert ours[k] == pytest.approx(100 * oracles.accuracy_of(bits, message.mean()), abs=2e-2)


def test_constant_logits_are_chance(labels):
    y, z = map(jnp.asarray, labels)
    measured = measure_outputs(jnp.ones((900, 2)), y, z, gaussian)
    assert float(measured.accuracy) == pytest.approx(100 * max(labels[0].mean(), 1 - labels[0].mean()), abs=1e-4)
    assert float(measured.bias) == pytest.approx(100 * max(labels[1].mean(), 1 - labels[1].mean()), abs=1e-4)
    assert measured.parity_gap == 0
    assert measured.odds_gap == 0


def test_an_empty_cell_adds_no_gap():
    y = jnp.array([0, 0, 1, 1], jnp.int32)
    measured = measure_outputs(jnp.array([[0.0, 1], [1, 0], [0, 1], [0, 1]]), y, y, gaussian)
    assert measured.odds_gap == 0
    assert measured.parity_gap == pytest.approx(50)
    assert all(np.isfinite(value) for value in measured)


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


def test_witnesses_are_lists_of_nodes():
    table = tables.node_flows_table(
        np.array([7]),
        {0: np.array([[[0.5, 0.1, 0.0], [0.2, 0.3, 0.4]]])},
        {0: np.array([[[0b110, 0b001, 0], [0b100, 0b101, 0b010]]])},
        {0: np.array([[0.01, 0.02]])},
    )
    assert table.columns.tolist() == ["network", "layer", "node", "message", "flow", "witness", "null95"]
    by_node = table.set_index(["node", "message"])
    assert by_node.loc[(0, "y"), "witness"] == "1+2"
    assert by_node.loc[(1, "z"), "witness"] == "0+2"
    assert by_node.loc[(2, "y"), "witness"] == ""
    assert by_node.loc[(2, "z"), "flow"] == 0.4
    assert by_node.loc[(2, "z"), "null95"] == 0.02


def test_information_rows_are_network_major_and_wide_layers_left_out(rng):
    bits = {0: rng.random((2, 2, 4)), 1: rng.random((2, 2, 2**11)), 2: rng.random((2, 2, 4))}
    table = tables.information_table(np.array([3, 4]), bits)
    assert set(table["layer"]) == {0, 2}
    assert table["network"].is_monotonic_increasing
    row = table[(table.network == 4) & (table.layer == 2) & (table.subset == 3) & (table.message == "z")]
    assert row["bits"].item() == bits[2][1, 1, 3]


def test_effects_of_rounding_count_as_none():
    unpruned, removed = Outputs(*np.full((7, 1), 70.0)), Outputs(*np.full((7, 1, 4), 70.00001))
    edges = np.array([[0, i, 0] for i in range(4)])
    flows = {0: np.arange(8.0).reshape(1, 2, 4, 1)}
    table = tables.dependence_table(np.array([0]), edges, flows, unpruned, removed)
    assert correlations(table)["nonzero"].tolist() == [0, 0]
    assert correlations(table)["r"].isna().all()


def test_dependence_pairs_every_edge_with_its_effect(rng):
    weights = {1: rng.normal(size=(2, 3, 2)), 2: rng.normal(size=(2, 2, 2))}
    flows = {layer: rng.random((2, 2, *w.shape[1:])) for layer, w in weights.items()}
    edges = tables.edge_list(weights)
    unpruned = Outputs(*rng.random((7, 2)))
    removed = Outputs(*rng.random((7, 2, 10)))
    table = tables.dependence_table(np.array([0, 1]), edges, flows, unpruned, removed)
    assert len(table) == 2 * 10 * 2
    row = table[(table.network == 1) & (table.layer == 2) & (table.source == 1) & (table.target == 0)]
    z = row[row.message == "z"]
    assert z["flow"].item() == flows[2][1, 1, 1, 0]
    index = edges.tolist().index([2, 1, 0])
    assert z["effect"].item() == pytest.approx(removed.bias[1, index] - unpruned.bias[1])
    y = row[row.message == "y"]
    assert y["effect"].item() == pytest.approx(removed.accuracy[1, index] - unpruned.accuracy[1])
