"""Exact flows of wide layers: agreement with the listed ones and with double precision, invariances, bad conditions."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import gaussian_bits
from splits import half as split_of

from jaxflow import InputError, honest_flows, measurements, node_flows, tables
from jaxflow import layers as layers_module
from jaxflow.datasets import Dataset
from jaxflow.inference.honest import equal_halves
from jaxflow.information import ESTIMATORS, ExactFlows, gaussian, gaussian_flows, memory_needed
from jaxflow.information import exact as exact_module
from jaxflow.information.columns import decomposed, projected
from jaxflow.information.exact import _all_flows
from jaxflow.information.recursion import explained_variance
from jaxflow.layers import layer_flows
from jaxflow.messages import Message, as_message
from jaxflow.networks import MLP
from jaxflow.outputs import PAPER
from jaxflow.pipeline import preset, run, strategy_grid
from jaxflow.running import plan
from jaxflow.study import Study, with_permutations
from jaxflow.training import Training

N = 1500


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


def mixed(rng, message, nodes):
    """Correlated nodes that carry some of the message."""
    layer = rng.normal(size=(N, nodes)) @ rng.normal(size=(nodes, nodes)) + np.outer(message, rng.normal(size=nodes))
    return layer.astype(np.float32)


def holds(message, layer, exact, atol):
    """Every flow is, in double precision, the gain by its witness."""
    for node, (flow, mask) in enumerate(zip(exact.flow, exact.witness, strict=True)):
        assert not int(mask) >> node & 1
        without, member = gaussian_bits(message, layer, [int(mask), int(mask) | 1 << node])
        assert float(flow) == pytest.approx(max(0.0, member - without), abs=atol)


@pytest.mark.parametrize("nodes", [1, 3, 12])
def test_equals_the_listed_flows(rng, message, nodes):
    layer = mixed(rng, message, nodes)
    bits = gaussian(message, layer)
    exact, (flow, witness) = gaussian_flows(message, layer), node_flows(bits)
    np.testing.assert_allclose(exact.flow, flow, atol=1e-6)
    np.testing.assert_allclose(exact.whole, bits[-1], atol=1e-6)
    np.testing.assert_array_equal(exact.witness, witness)


def test_brute_force_in_double_precision(rng, message):
    layer = mixed(rng, message, 5)
    bits, exact = gaussian_bits(message, layer), gaussian_flows(message, layer)
    masks = np.arange(32)
    for node in range(5):
        without = masks[masks >> node & 1 == 0]
        gain = bits[without | 1 << node] - bits[without]
        assert exact.flow[node] == pytest.approx(gain.max(), abs=1e-6)
        assert gain[without == int(exact.witness[node])][0] == pytest.approx(gain.max(), abs=1e-6)


def test_eighteen_nodes_on_random_subsets(rng, message):
    layer = mixed(rng, message, 18)
    bits = np.asarray(gaussian(message, layer))
    exact = ExactFlows(*node_flows(jnp.asarray(bits)), bits[-1])
    masks = rng.integers(0, 2**18, 40)
    np.testing.assert_allclose(bits[masks], gaussian_bits(message, layer, masks), atol=1e-6)
    holds(message, layer, exact, 1e-6)
    for node in range(18):  # no subset beats the witness
        without = masks & ~(1 << node)
        assert (bits[without | 1 << node] - bits[without]).max() <= exact.flow[node] + 1e-6


@pytest.mark.parametrize("block", [3, 5])
def test_block_size_changes_nothing(rng, message, block):
    layer = mixed(rng, message, 7)
    whole = decomposed(jnp.asarray(layer))
    coordinates = projected(Message(jnp.asarray(message)[None]), whole).coordinates[0, :, 0]
    explained = jax.jit(partial(explained_variance, block=block))(whole.factor, coordinates)
    expected = 1 - 4.0 ** -gaussian_bits(message, layer)
    np.testing.assert_allclose(np.minimum(explained, expected.max()), expected, atol=1e-6)  # bits stop at H(M)


def test_node_order_changes_nothing(rng, message):
    layer = mixed(rng, message, 12)
    layer[:, 4], layer[:, 7] = layer[:, 2], 0.25
    order = rng.permutation(12)
    exact, moved = gaussian_flows(message, layer), gaussian_flows(message, layer[:, order])
    np.testing.assert_allclose(moved.flow, exact.flow[jnp.asarray(order)], atol=1e-6)
    np.testing.assert_allclose(moved.whole, exact.whole, atol=1e-6)


def test_batches_broadcast_and_equal_single_calls(rng):
    messages = rng.integers(0, 2, (2, 1, 3, N))
    layers = np.stack([mixed(rng, messages[0, 0, 0], 5) for _ in range(4)]).reshape(1, 4, 1, N, 5)
    exact = gaussian_flows(messages, layers)
    assert exact.flow.shape == exact.witness.shape == (2, 4, 3, 5)
    assert exact.whole.shape == (2, 4, 3)
    for i, j, k in np.ndindex(2, 4, 3):
        alone = gaussian_flows(messages[i, 0, k], layers[0, j, 0])
        np.testing.assert_allclose(exact.flow[i, j, k], alone.flow, atol=1e-6)
        np.testing.assert_array_equal(exact.witness[i, j, k], alone.witness)
        np.testing.assert_allclose(exact.whole[i, j, k], alone.whole, atol=1e-6)


def test_under_jit_the_same_with_one_trace(rng, message):
    layer, m = jnp.asarray(mixed(rng, message, 3)), as_message(message)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(gaussian_flows)(m, layer), gaussian_flows(m, layer))
    before = _all_flows._cache_size()
    gaussian_flows(message, layer + 1)
    assert _all_flows._cache_size() == before


def test_dead_and_duplicate_nodes_show_nothing_of_their_own(rng, message):
    layer = mixed(rng, message, 12)
    layer[:, 3], layer[:, 8] = 0, 0.1
    layer[:, 10], layer[:, 11] = 5 - 2 * layer[:, 1], layer[:, 1]
    exact = gaussian_flows(message, layer)
    np.testing.assert_array_equal(np.asarray(exact.flow)[[3, 8]], 0)
    np.testing.assert_array_equal(np.asarray(exact.witness)[[3, 8]], 0)
    assert not any(int(witness) & (1 << 3 | 1 << 8) for witness in exact.witness)
    np.testing.assert_allclose(np.asarray(exact.flow)[[10, 11]], exact.flow[1], atol=1e-6)
    kept = [i for i in range(12) if i not in (3, 8, 10, 11)]
    smaller = gaussian_flows(message, layer[:, [1, *kept]])
    np.testing.assert_allclose(exact.whole, smaller.whole, atol=1e-6)
    holds(message, layer, exact, 1e-6)


def chain(rng, message, nodes, step):
    """Node k is hidden in node k − 1, a small step away: the condition number is that of all steps together."""
    free = rng.normal(size=(N, nodes)) + 0.3 * message[:, None]
    return np.column_stack([free[:, 0], free[:, :-1] + step * free[:, 1:]])


def pairs(rng, message, nodes, step):
    """What carries the message is the small difference of two nodes."""
    nodes = nodes // 2
    common, hidden = rng.normal(size=(2, N, nodes))
    return np.column_stack([common, common + step * (hidden + 0.5 * message[:, None])])


def low_rank(rng, message, nodes, step):
    """Five directions and a little noise."""
    layer = (rng.normal(size=(N, 5)) + 0.2 * message[:, None]) @ rng.normal(size=(5, nodes))
    return layer + step * layer.std(axis=0) * rng.normal(size=(N, nodes))


@pytest.mark.parametrize("kind", [chain, pairs, low_rank])
@pytest.mark.parametrize("step", [0.1, 0.03, 0.01, 2e-3, 1e-4, 0.0])
def test_bad_conditions_show_no_noise(rng, message, kind, step):
    """Within 1e-5 bit of double precision under the same policy, however near to collinear."""
    layer = kind(rng, message, 12, step).astype(np.float32)
    bits, exact = np.asarray(gaussian(message, layer)), gaussian_flows(message, layer)
    masks = [2**12 - 1, *rng.integers(0, 2**12, 20)]
    np.testing.assert_allclose(bits[masks], gaussian_bits(message, layer, masks), atol=1e-5)
    holds(message, layer, exact, 1e-5)


def test_memory_is_what_was_said():
    shapes = (Message(jax.ShapeDtypeStruct((1, 100), jnp.int32)), jax.ShapeDtypeStruct((1, 100, 20), jnp.float32))
    used = _all_flows.lower(*shapes).compile().memory_analysis()
    assert memory_needed(20) / 4 <= used.temp_size_in_bytes <= memory_needed(20)


def test_too_wide_is_refused_with_what_would_fit(monkeypatch, message):
    monkeypatch.setattr(exact_module, "free_bytes", lambda: memory_needed(6) + 1)
    with pytest.raises(InputError, match=r"2\*\*7 subsets .* up to 6 nodes would"):
        gaussian_flows(message, np.zeros((N, 7)))
    assert gaussian_flows(message, np.zeros((N, 6))).flow.shape == (6,)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"2\*\*31 subsets; at most 30"):
        gaussian_flows(message, np.zeros((N, 31)))


def half(rng):
    y, z = rng.integers(0, 2, (2, N))
    x = rng.normal(size=(N, 3)) + np.column_stack([y, z, y + z]) * 0.7
    return split_of(x.astype(np.float32), y, z)


@pytest.fixture
def dataset(rng):
    return Dataset("own", half(rng), half(rng))


def config(**changes):
    strategies = strategy_grid(nodes=(1,), edges=(1,))
    return preset(
        "adult-small",
        **{"seeds": 2, "training": Training(epochs=2), "strategies": strategies, "factors": (1.0, 0.0)} | changes,
    )


@pytest.mark.parametrize(
    ("estimator", "most"), [("quadratic", 18), ("linear-svm", 15), ("kernel-svm", 8), ("gaussian", 30)]
)
def test_estimators_say_how_wide_they_go(monkeypatch, estimator, most):
    """Beyond, a run searches; the exact Gaussian flows end where memory does, too."""
    monkeypatch.setattr(exact_module, "free_bytes", lambda: memory_needed(40))
    assert layers_module.widest(ESTIMATORS[estimator]) == most
    monkeypatch.setattr(exact_module, "free_bytes", lambda: memory_needed(11))
    assert layers_module.widest(ESTIMATORS[estimator]) == (11 if estimator == "gaussian" else most)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_figures", "no_honest_flows")
def test_pipeline_with_a_wide_layer(monkeypatch, tmp_path, dataset):
    """Four nodes are wide where three are the most that is listed."""
    for module in (tables, layers_module, measurements, plan):
        monkeypatch.setattr(module, "LISTED_NODES", 3)
    told = []
    results = run(config(hidden=(4,)), dataset, out=tmp_path / "wide", report=lambda stage, *_: told.append(stage))
    assert "exact flows of 4 nodes will take 0.00 GB" in told
    flows = results.table("node_flows")
    wide = flows[flows.layer == 1]
    assert len(wide) == 2 * 2 * 4
    assert (wide.null95 > 0).all()
    assert set(results.table("information").layer) == {0, 2}
    assert len(results.table("edge_flows")) == 2 * 2 * (3 * 4 + 4 * 2)


@pytest.mark.slow
def test_a_wide_layer_is_measured_like_a_listed_one(monkeypatch, rng, message):
    monkeypatch.setattr(layers_module, "LISTED_NODES", 3)
    spec, both = ESTIMATORS["gaussian"], {"y": message, "z": rng.integers(0, 2, N)}
    messages = jax.tree.map(jnp.asarray, {name: as_message(values) for name, values in both.items()})
    messages = with_permutations(jax.random.key(0), messages, dict.fromkeys(both, np.zeros(N, int)), 20)
    layers = jnp.asarray(np.stack([mixed(rng, message, 4) for _ in range(3)]))
    halves = {name: jnp.asarray(equal_halves(jax.random.key(1), as_message(values))) for name, values in both.items()}
    exact = []
    for own in (spec, dataclasses.replace(spec, flows=None)):
        study = Study(MLP((4, 2)), PAPER, own)
        exact.append(layer_flows(study, 1, layers, messages, halves, lambda _: None))
    (wide, _, fits), (listed, *_) = exact
    for name in both:
        for field in ("node", "whole"):  # the mixing is not always kind
            np.testing.assert_allclose(getattr(wide[name], field), getattr(listed[name], field), atol=1e-5)
        for field in ("null95", "p", "p_max"):
            sure, expected = (getattr(own[name].evidence, field) for own in (wide, listed))
            np.testing.assert_allclose(sure, expected, atol=1e-5)
        honest = [honest_flows(jax.random.key(1), both[name], layer).flow for layer in layers]
        np.testing.assert_allclose(wide[name].evidence.honest, honest, atol=1e-5)
        np.testing.assert_array_equal(wide[name].witness, listed[name].witness)
        assert wide[name].bits.shape == listed[name].bits.shape == (3, 0)
    assert fits == {}
