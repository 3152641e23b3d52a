"""Scores, selections and pruning."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxflow import InputError, prune
from jaxflow.interventions import (
    Scores,
    Strategy,
    check_strategies,
    edge_ranks,
    flow_ratio,
    flow_scores,
    magnitude_scores,
    random_scores,
    select,
    widest_paths,
)
from jaxflow.networks import MLP, forward, initial_params, kernels

X = jnp.asarray(np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32))
NETWORK = MLP((4, 2))


@pytest.fixture
def params():
    return jax.jit(initial_params, static_argnums=1)(jax.random.key(0), NETWORK, X)


@pytest.fixture
def selection(params):
    ranks = edge_ranks("edge", random_scores(jax.random.key(3), "edge", kernels(params)), 3, 5)
    return select(params, ranks, 5)


def chosen_edges(params, ranks, level):
    mask = select(params, ranks, level)
    return {
        (layer, *map(int, edge))
        for layer, kernel in enumerate(kernels(mask))
        for edge in zip(*np.nonzero(np.asarray(kernel)), strict=True)
    }


def padded(weights):
    width = max(max(w.shape) for w in weights)
    out = np.full((len(weights), width, width), -np.inf, np.float32)
    for layer, w in enumerate(weights):
        out[layer, : w.shape[0], : w.shape[1]] = w
    return jnp.asarray(out)


def test_factor_one_is_the_identity(params, selection):
    pruned = prune(params, selection, 1.0)
    jax.tree.map(np.testing.assert_array_equal, pruned, params)


def test_factor_zero_equals_deleting_the_edges(params, selection):
    pruned = forward(NETWORK, prune(params, selection, 0.0), X)
    by_hand = jax.tree.map(np.array, params)
    for layer in ("layer_0", "layer_1"):
        by_hand[layer]["kernel"][np.asarray(selection[layer]["kernel"])] = 0
    np.testing.assert_allclose(pruned[-1], oracles.forward(by_hand, np.asarray(X))[-1], atol=1e-6)


@pytest.mark.parametrize("factor", [0.3, -1.0, 2.0])
def test_any_factor_scales_the_chosen_weights_only(params, selection, factor):
    before = jax.tree.map(np.array, params)
    pruned = prune(params, selection, factor)
    for layer in ("layer_0", "layer_1"):
        mask = np.asarray(selection[layer]["kernel"])
        expected = np.where(mask, before[layer]["kernel"] * np.float32(factor), before[layer]["kernel"])
        np.testing.assert_array_equal(pruned[layer]["kernel"], expected)
        np.testing.assert_array_equal(pruned[layer]["bias"], before[layer]["bias"])
    jax.tree.map(np.testing.assert_array_equal, params, before)


def test_pruning_maps_over_networks_and_factors(params, selection):
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    factors = jnp.array([1.0, 0.5, 0.0])
    swept = jax.vmap(jax.vmap(prune, (None, None, 0)), (0, None, None))(many, selection, factors)
    for i, j in np.ndindex(2, 3):
        alone = prune(jax.tree.map(lambda leaf, i=i: leaf[i], many), selection, factors[j])
        jax.tree.map(lambda a, b, ij=(i, j): np.testing.assert_array_equal(a[ij], b), swept, alone)


def test_ratio_is_finite_and_zero_over_zero_is_zero():
    epsilon = 1 / (2 * 100 * np.log(2))
    ratio = flow_ratio(jnp.array([0.0, 0.2, 0.2]), jnp.array([0.0, 0.0, 0.4]), 100)
    np.testing.assert_allclose(ratio, [0, 0.2 / epsilon, 0.5], rtol=1e-6)


def test_node_selection_takes_all_outgoing_weights(params):
    flow_z = [jnp.array([0.1, 0.3, 0.2]), jnp.array([0.5, 0.0, 0.1, 0.2])]
    flow_y = [jnp.array([0.2, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]  # ratios ½ 3 1 | 1 0 ¼ 2
    ranks = edge_ranks("node", flow_scores("node", flow_z, flow_y, kernels(params), 5000), 3, 3)
    node_1 = {(0, 1, target) for target in range(4)}
    hidden_3 = {(1, 3, target) for target in range(2)}
    assert chosen_edges(params, ranks, 1) == node_1
    assert chosen_edges(params, ranks, 2) == node_1 | hidden_3
    # equal ratios 1: the larger numerator first (0.5 of the hidden node against 0.2 of the input)
    assert chosen_edges(params, ranks, 3) == node_1 | hidden_3 | {(1, 0, 0), (1, 0, 1)}


def test_edge_scores_weigh_the_ratio_of_the_source(params):
    weights = kernels(params)
    flow_z = [jnp.array([0.1, 0.3, 0.2]), jnp.array([0.5, 0.01, 0.1, 0.2])]
    flow_y = [jnp.array([0.2, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]
    scores = {
        (layer, i, j): abs(float(weights[layer][i, j])) * float(flow_z[layer][i]) / float(flow_y[layer][i])
        for layer in (0, 1)
        for i, j in np.ndindex(*weights[layer].shape)
    }
    order = sorted(scores, key=lambda edge: -scores[edge])
    ranks = edge_ranks("edge", flow_scores("edge", flow_z, flow_y, weights, 5000), 3, 9)
    for level in (1, 2, 6, 9, 20):
        assert chosen_edges(params, ranks, level) == set(order[:level])


def test_nothing_over_nothing_sorts_last(params):
    flow_z = [jnp.array([0.0, 0.3, 0.2]), jnp.array([0.5, 0.01, 0.1, 0.2])]
    flow_y = [jnp.array([0.0, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]
    ranks = edge_ranks("node", flow_scores("node", flow_z, flow_y, kernels(params), 5000), 3, 6)
    assert not chosen_edges(params, ranks, 6) & {(0, 0, target) for target in range(4)}


def test_equal_scores_go_by_index(params):
    ones = [jnp.ones(3), jnp.ones(4)]
    ranks = edge_ranks("node", flow_scores("node", ones, ones, kernels(params), 100), 3, 2)
    assert {edge[:2] for edge in chosen_edges(params, ranks, 2)} == {(0, 0), (0, 1)}


@pytest.mark.parametrize("seed", range(12))
def test_widest_paths_equal_brute_force(seed):
    """Small integers make ties everywhere; every other case is without."""
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, rng.integers(2, 6))
    shapes = list(itertools.pairwise(widths))
    draw = (lambda s: rng.integers(0, 3, s)) if seed % 2 else (lambda s: rng.random(s))
    weights = [draw(shape).astype(np.float32) for shape in shapes]
    count = min(7, int(np.prod(widths)))
    paths = jax.jit(widest_paths, static_argnums=(1, 2))(padded(weights), int(widths[0]), count)
    assert [tuple(map(int, path)) for path in paths] == oracles.widest_paths(weights, count)


def test_all_paths_can_be_asked_for():
    weights = [np.random.default_rng(0).random(shape).astype(np.float32) for shape in ((2, 3), (3, 2))]
    paths = widest_paths(padded(weights), 2, 12)
    assert len({tuple(map(int, path)) for path in paths}) == 12


def test_path_selection_shares_edges_once(params):
    """Two paths through one bottleneck: five edges, not six, and pruned once."""
    weights = kernels(params)
    scores = padded([np.asarray(jnp.abs(w)) for w in weights])
    ranks = edge_ranks("path", Scores(scores, scores), 3, 4)
    paths = oracles.widest_paths([np.asarray(jnp.abs(w)) for w in weights], 4)
    for level in range(1, 5):
        expected = {(layer, path[layer], path[layer + 1]) for path in paths[:level] for layer in (0, 1)}
        assert chosen_edges(params, ranks, level) == expected
    pruned = prune(params, select(params, ranks, 4), 0.5)
    ratios = {float(r) for k, w in zip(kernels(pruned), weights, strict=True) for r in np.unique(np.asarray(k / w))}
    assert {round(ratio, 6) for ratio in ratios} == {0.5, 1.0}


def test_twenty_layers_of_width_thirty_two():
    """Far too many paths to list; the widest of them is at least as wide as any that greedy steps find."""
    rng = np.random.default_rng(0)
    edge = rng.random((20, 32, 32)).astype(np.float32)
    paths = np.asarray(jax.jit(widest_paths, static_argnums=(1, 2))(jnp.asarray(edge), 32, 6))
    layers = np.arange(20)
    bottlenecks = [edge[layers, path[:-1], path[1:]].min() for path in paths]
    assert bottlenecks == sorted(bottlenecks, reverse=True)
    # the bottleneck of the best path, by thresholding: reachability through the edges at least that wide
    for threshold, reachable in ((bottlenecks[0], True), (np.nextafter(bottlenecks[0], 2, dtype=np.float32), False)):
        reached = np.ones(32, bool)
        for layer in range(20):
            reached = (reached[:, None] & (edge[layer] >= threshold)).any(axis=0)
        assert reached.any() == reachable


def test_random_control_is_uniform_and_one_draw_per_method(params):
    weights = kernels(params)
    keys = jax.random.split(jax.random.key(0), 3000)
    first = jax.vmap(lambda key: edge_ranks("edge", random_scores(key, "edge", weights), 3, 1).ravel().argmin())(keys)
    counts = np.bincount(np.asarray(first), minlength=32)
    counts = counts[counts > 0]
    assert len(counts) == 20  # 3·4 + 4·2 edges, none outside
    assert ((counts - 150) ** 2 / 150).sum() < 43.8  # 99.9 % point for 19 degrees of freedom
    drawn = [random_scores(keys[0], method, weights).score for method in ("edge", "path")]
    assert not np.array_equal(*map(np.asarray, drawn))
    np.testing.assert_array_equal(drawn[0], random_scores(keys[0], "edge", weights).score)


def test_magnitude_control_takes_the_largest_weights(params):
    """Without a look at any flow: the largest |w|, the nodes with the largest sum of them, the widest paths."""
    weights = [np.abs(np.asarray(w)) for w in kernels(params)]
    edges = {(layer, *edge): w[edge] for layer, w in enumerate(weights) for edge in np.ndindex(*w.shape)}
    largest = sorted(edges, key=edges.__getitem__, reverse=True)
    ranks = edge_ranks("edge", magnitude_scores("edge", kernels(params)), 3, 5)
    assert chosen_edges(params, ranks, 5) == set(largest[:5])
    nodes = {(layer, node): w[node].sum() for layer, w in enumerate(weights) for node in range(len(w))}
    layer, node = max(nodes, key=nodes.__getitem__)
    ranks = edge_ranks("node", magnitude_scores("node", kernels(params)), 3, 1)
    assert chosen_edges(params, ranks, 1) == {(layer, node, target) for target in range(weights[layer].shape[1])}
    width = {path: min(weights[0][path[:2]], weights[1][path[1:]]) for path in np.ndindex(3, 4, 2)}
    ranks = edge_ranks("path", magnitude_scores("path", kernels(params)), 3, 1)
    ((_, a, b), (_, c, d)) = sorted(chosen_edges(params, ranks, 1))
    assert b == c
    assert width[a, b, d] == max(width.values())


def test_levels_are_nested(params):
    for method in ("node", "edge", "path"):
        ranks = edge_ranks(method, random_scores(jax.random.key(8), method, kernels(params)), 3, 6)
        sets = [chosen_edges(params, ranks, level) for level in range(1, 7)]
        assert all(a < b or (method == "path" and a <= b) for a, b in itertools.pairwise(sets))


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        (Strategy("bias/acc", "node", 8), "has 7"),
        (Strategy("bias/acc", "edge", 21), "has 20"),
        (Strategy("random", "path", 25), "has 24"),
        (Strategy("bias/acc", "node", 0), "between 1 and"),
        (Strategy("bias", "node", 1), "metrics"),
        (Strategy("random", "nodes", 1), "methods"),
    ],
)
def test_more_than_there_is_cannot_be_pruned(strategy, says):
    with pytest.raises(InputError, match=says):
        check_strategies([strategy], (3, 4, 2))
