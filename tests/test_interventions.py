"""Scores, selections and pruning."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxflow import Flows, InputError, Scores, Shown, mlp, prune, rank, select
from jaxflow.interventions import UNRANKED, Padded, Strategy, check_strategies, edge_ranks
from jaxflow.metrics import METRICS, flow_ratio
from jaxflow.paths import widest_paths

X = jnp.asarray(np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32))
NETWORK = mlp((4,))


@pytest.fixture
def params():
    return jax.jit(NETWORK.init)(jax.random.key(0), X)


@pytest.fixture
def selection(params):
    return select(NETWORK, params, ranked(params, "random", "edge", key=jax.random.key(3)), 5)


def ranked(params, metric, method, flow_z=None, flow_y=None, samples=5000, **options):
    """Ranks under a metric, from flows of the inputs and the hidden nodes; by default there are none."""
    none = [jnp.zeros(3), jnp.zeros(4)]
    node = {name: dict(enumerate(own or none)) for name, own in (("y", flow_y), ("z", flow_z))}
    return rank(NETWORK, params, Flows(node, samples=samples), metric, method, **options)


def chosen_edges(params, ranks, level):
    mask = select(NETWORK, params, ranks, level)
    return {
        (layer, *map(int, edge))
        for layer, kernel in enumerate(NETWORK.weights(mask))
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
    pruned = NETWORK.activations(prune(params, selection, 0.0), X)
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
    ranks = ranked(params, "bias/acc", "node", flow_z, flow_y)
    node_1 = {(0, 1, target) for target in range(4)}
    hidden_3 = {(1, 3, target) for target in range(2)}
    assert chosen_edges(params, ranks, 1) == node_1
    assert chosen_edges(params, ranks, 2) == node_1 | hidden_3
    # equal ratios 1: the larger numerator first (0.5 of the hidden node against 0.2 of the input)
    assert chosen_edges(params, ranks, 3) == node_1 | hidden_3 | {(1, 0, 0), (1, 0, 1)}


def test_edge_scores_weigh_the_ratio_of_the_source(params):
    weights = NETWORK.weights(params)
    flow_z = [jnp.array([0.1, 0.3, 0.2]), jnp.array([0.5, 0.01, 0.1, 0.2])]
    flow_y = [jnp.array([0.2, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]
    scores = {
        (layer, i, j): abs(float(weights[layer][i, j])) * float(flow_z[layer][i]) / float(flow_y[layer][i])
        for layer in (0, 1)
        for i, j in np.ndindex(*weights[layer].shape)
    }
    order = sorted(scores, key=lambda edge: -scores[edge])
    ranks = ranked(params, "bias/acc", "edge", flow_z, flow_y)
    for level in (1, 2, 6, 9, 20):
        assert chosen_edges(params, ranks, level) == set(order[:level])


def test_nothing_over_nothing_sorts_last(params):
    flow_z = [jnp.array([0.0, 0.3, 0.2]), jnp.array([0.5, 0.01, 0.1, 0.2])]
    flow_y = [jnp.array([0.0, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]
    ranks = ranked(params, "bias/acc", "node", flow_z, flow_y)
    assert not chosen_edges(params, ranks, 6) & {(0, 0, target) for target in range(4)}


def test_equal_scores_go_by_index(params):
    ones = [jnp.ones(3), jnp.ones(4)]
    ranks = ranked(params, "bias/acc", "node", ones, ones)
    assert {edge[:2] for edge in chosen_edges(params, ranks, 2)} == {(0, 0), (0, 1)}


@pytest.mark.parametrize("seed", range(6))
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
    weights = NETWORK.weights(params)
    scores = padded([np.asarray(jnp.abs(w)) for w in weights])
    ranks = edge_ranks("path", Padded(scores, scores), 3, 4)
    paths = oracles.widest_paths([np.asarray(jnp.abs(w)) for w in weights], 4)
    for level in range(1, 5):
        expected = {(layer, path[layer], path[layer + 1]) for path in paths[:level] for layer in (0, 1)}
        assert chosen_edges(params, ranks, level) == expected
    pruned = prune(params, select(NETWORK, params, ranks, 4), 0.5)
    ratios = np.concatenate([np.ravel(k / w) for k, w in zip(NETWORK.weights(pruned), weights, strict=True)])
    assert {round(float(ratio), 6) for ratio in ratios} == {0.5, 1.0}


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
    weights = NETWORK.weights(params)
    keys = jax.random.split(jax.random.key(0), 3000)
    first = jax.vmap(lambda key: ranked(params, "random", "edge", key=key).ravel().argmin())(keys)
    counts = np.bincount(np.asarray(first), minlength=32)
    counts = counts[counts > 0]
    assert len(counts) == 20  # 3·4 + 4·2 edges, none outside
    assert ((counts - 150) ** 2 / 150).sum() < 43.8  # 99.9 % point for 19 degrees of freedom
    drawn = [
        METRICS["random"](Shown([], [], weights, key=keys[0], method=method)).edge[0] for method in ("edge", "path")
    ]
    assert not np.array_equal(*map(np.asarray, drawn))


def test_random_draws_are_folded_by_method_and_layer(params):
    """The same draws in every version: networks of a former run are extended by the same control."""
    key, weights = jax.random.key(5), NETWORK.weights(params)
    for number, method in enumerate(("node", "edge", "path")):
        scores = METRICS["random"](Shown([], [], weights, key=key, method=method))
        for layer, w in enumerate(weights):
            own = jax.random.fold_in(jax.random.fold_in(key, number), layer)
            if method == "node":
                np.testing.assert_array_equal(scores.node[layer], jax.random.uniform(own, w.shape[:1]))
            else:
                np.testing.assert_array_equal(scores.edge[layer], jax.random.uniform(own, w.shape))


def test_magnitude_control_takes_the_largest_weights(params):
    """Without a look at any flow: the largest |w|, the nodes with the largest sum of them, the widest paths."""
    weights = [np.abs(np.asarray(w)) for w in NETWORK.weights(params)]
    edges = {(layer, *edge): w[edge] for layer, w in enumerate(weights) for edge in np.ndindex(*w.shape)}
    largest = sorted(edges, key=edges.__getitem__, reverse=True)
    ranks = ranked(params, "magnitude", "edge")
    assert chosen_edges(params, ranks, 5) == set(largest[:5])
    nodes = {(layer, node): w[node].sum() for layer, w in enumerate(weights) for node in range(len(w))}
    layer, node = max(nodes, key=nodes.__getitem__)
    ranks = ranked(params, "magnitude", "node")
    assert chosen_edges(params, ranks, 1) == {(layer, node, target) for target in range(weights[layer].shape[1])}
    width = {path: min(weights[0][path[:2]], weights[1][path[1:]]) for path in np.ndindex(3, 4, 2)}
    ranks = ranked(params, "magnitude", "path")
    ((_, a, b), (_, c, d)) = sorted(chosen_edges(params, ranks, 1))
    assert b == c
    assert width[a, b, d] == max(width.values())


def test_levels_are_nested(params):
    for method in ("node", "edge", "path"):
        ranks = ranked(params, "random", method, key=jax.random.key(8))
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
        (Strategy(METRICS["magnitude"], "node", 8), "has 7"),
        (Strategy(7, "node", 1), "metrics"),
        (Strategy("random", "nodes", 1), "methods"),
    ],
)
def test_more_than_there_is_cannot_be_pruned(strategy, says):
    with pytest.raises(InputError, match=says):
        check_strategies([strategy], (3, 4, 2))


def test_a_metric_of_ones_own_goes_wherever_a_name_does(params):
    """One line; and one that scores edges alone is refused for nodes only."""
    flow_z = [jnp.array([0.1, 0.3, 0.2]), jnp.array([0.5, 0.0, 0.1, 0.2])]
    by_flow = lambda shown: Scores(node=shown.remove)  # noqa: E731
    order = [(1, 0), (0, 1), (0, 2), (1, 3)]  # 0.2 twice: the lower index
    for level in range(1, 5):
        chosen = chosen_edges(params, ranked(params, by_flow, "node", flow_z), level)
        assert {edge[:2] for edge in chosen} == set(order[:level])
    wrapped, named = (
        ranked(params, metric, "path", flow_z) for metric in (lambda shown: METRICS["bias/acc"](shown), "bias/acc")
    )
    np.testing.assert_array_equal(wrapped, named)
    check_strategies([Strategy(by_flow, "node", 2)], (3, 4, 2))
    with pytest.raises(InputError, match="scores no edges"):
        ranked(params, by_flow, "edge", flow_z)


def test_ties_are_the_metrics_to_break(params):
    def first_by_index(shown):
        return Scores(node=[jnp.ones_like(f) for f in shown.remove])

    def last_by_index(shown):
        ties = [jnp.arange(float(len(f))) + 0.5 * layer for layer, f in enumerate(shown.remove)]
        return Scores(first_by_index(shown).node, node_tie=ties)

    assert {edge[:2] for edge in chosen_edges(params, ranked(params, first_by_index, "node"), 2)} == {(0, 0), (0, 1)}
    assert {edge[:2] for edge in chosen_edges(params, ranked(params, last_by_index, "node"), 2)} == {(1, 3), (1, 2)}


def test_messages_change_roles(params):
    flow = [jnp.array([0.1, 0.3, 0.2]), jnp.array([0.5, 0.01, 0.1, 0.2])]
    other = [jnp.array([0.2, 0.1, 0.2]), jnp.array([0.5, 0.3, 0.4, 0.1])]
    changed = ranked(params, "bias/acc", "edge", flow, other, keep="z", remove="y")
    np.testing.assert_array_equal(changed, ranked(params, "acc/bias", "edge", flow, other))


def test_ranks_from_a_later_layer_on_select_nothing_before_it(params):
    """As where the input layer is left out of the analysis."""
    node = {name: {1: jnp.array([0.5, 0.0, 0.1, 0.2]), 2: jnp.zeros(2)} for name in "yz"}
    ranks = rank(NETWORK, params, Flows(node, samples=100), "magnitude", "edge")
    assert ranks.shape == (1, 4, 4)
    assert {edge[0] for edge in chosen_edges(params, ranks, 8)} == {1}
    assert len(chosen_edges(params, ranks, 8)) == 8
    with pytest.raises(InputError, match="cannot select 9, only 8 are ranked"):
        select(NETWORK, params, ranks, 9)


def test_only_the_paths_that_are_ranked_are_selected(params):
    """Three of 24 paths, and no level that would silently stop at them."""
    ranks = ranked(params, "magnitude", "path", most=3)
    assert chosen_edges(params, ranks, 3) == chosen_edges(params, ranked(params, "magnitude", "path"), 3) != set()
    assert int(ranks.max()) == UNRANKED + 3
    with pytest.raises(InputError, match=r"cannot select 4, only 3 are ranked: .*rank more paths \(most=\)"):
        select(NETWORK, params, ranks, jnp.int32(4))
    np.testing.assert_array_equal(ranked(params, "magnitude", "path"), ranked(params, "magnitude", "path", most=24))


@pytest.mark.parametrize(("method", "count"), [("node", 7), ("edge", 20), ("path", 24)])
def test_a_level_is_refused_beyond_all_there_is(params, method, count):
    """20 edges, which the first few of the 24 paths already cover: all levels up to 24 are paths that are ranked."""
    ranks = ranked(params, "magnitude", method)
    assert len(chosen_edges(params, ranks, count)) == 20
    with pytest.raises(InputError, match=f"cannot select {count + 1}, only {count} are ranked") as caught:
        select(NETWORK, params, ranks, count + 1)
    assert "\n" not in str(caught.value)
    traced = jax.jit(lambda level: select(NETWORK, params, ranks, level))(count + 1)  # a sweep's levels
    assert sum(int(own.sum()) for own in NETWORK.weights(traced)) == 20


def test_what_does_not_fit_is_refused(params):
    flows = Flows({name: {0: jnp.zeros(3), 1: jnp.zeros(4)} for name in "yz"}, samples=100)
    one_layer = Flows({name: {0: jnp.zeros(3)} for name in "yz"})
    for says, arguments, options in [
        ("about 'w'; choose from y, z", (flows,), {"remove": "w"}),
        ("unknown metric", (flows, "bias"), {}),
        ("unknown method", (flows, "random", "nodes"), {}),
        ("needs a key", (flows, "random"), {}),
        ("not of one network's layers", (one_layer,), {}),
        ("between 1 and 24", (flows, "magnitude", "path"), {"most": 25}),
    ]:
        with pytest.raises(InputError, match=says):
            rank(NETWORK, params, *arguments, **options)
    with pytest.raises(InputError, match=r"ranks \[1, 2, 2\]"):
        select(NETWORK, params, jnp.zeros((1, 2, 2), int), 1)
