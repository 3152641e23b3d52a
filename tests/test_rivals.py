"""Rivals of information flow: what defines each of them, on networks where the answer is known."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import spearmanr

from jaxflow import METRICS, InputError, measure_outputs, mlp, network, network_flows, rank
from jaxflow.gaps import logit_gap, margins
from jaxflow.messages import as_message, conditioned
from jaxflow.metrics import FLOW_METRICS, NODE_METRICS, Rows, Scores, Shown
from jaxflow.metrics.rows import ones_like

RNG = np.random.default_rng(4)
N = 240
Y, Z = RNG.integers(0, 2, N), RNG.integers(0, 2, N)
X = jnp.asarray(RNG.normal(size=(N, 3)) + np.stack([Y, Z, Y * Z], 1), jnp.float32)
LEAKY, LINEAR = mlp(hidden=(4, 3)), mlp(hidden=(4, 3), linear=(1, 2))
PARAMS = jax.tree.map(lambda leaf: 2.5 * leaf, jax.jit(LEAKY.init)(jax.random.key(5), X))
RIVALS = [name for name in METRICS if name not in FLOW_METRICS]


def rows_of(net: Any = LEAKY, params: Any = PARAMS, z: Any = Z) -> Rows:
    attribute = z if hasattr(z, "given") else as_message(z, samples=N)
    return Rows(net, params, X, as_message(Y), attribute)


@partial(jax.jit, static_argnames=("metric", "method"))
def scored(rows: Rows, metric: str, method: str) -> Any:
    found = METRICS[metric](Shown([], [], rows.weights, jax.random.key(1), N, method, rows))
    return found.node, found.edge


def scores(metric: str, rows: Rows, method: str = "node") -> Scores:
    return Scores(*jax.tree.map(np.asarray, scored(rows, metric, method)))


def pruned(params: Any, layer: int, source: int, target: int | slice = slice(None)) -> Any:
    kernel = params[f"layer_{layer}"]["kernel"]
    return {**params, f"layer_{layer}": {**params[f"layer_{layer}"], "kernel": kernel.at[source, target].set(0)}}


def signed_gap(logits: np.ndarray) -> float:
    difference = np.asarray(logits, float) @ [-1, 1]
    return difference[Z == 1].mean() - difference[Z == 0].mean()


def test_the_gap_of_two_groups_is_that_of_the_mean_difference_of_logits():
    logits = np.asarray(LEAKY.activations(PARAMS, X)[-1])
    gap = float(logit_gap(jnp.asarray(logits), as_message(Z)))
    assert gap == pytest.approx(abs(signed_gap(logits)), rel=1e-4)
    assert float(logit_gap(jnp.asarray(logits) + 7, as_message(1 - Z))) == pytest.approx(gap, rel=1e-4)
    assert float(logit_gap(jnp.asarray(logits[:, 1:] - logits[:, :1]), as_message(Z))) == pytest.approx(gap, rel=1e-4)


def test_the_gap_of_more_groups_strata_and_numbers():
    logits, groups = RNG.normal(size=(N, 3)), RNG.integers(0, 3, N)
    m = np.asarray(margins(jnp.asarray(logits, jnp.float32)))
    means = {(y, g): m[(y == Y) & (g == groups)].mean(axis=0) for y in range(2) for g in range(3)}
    largest = max(np.ptp([means[y, g] for g in range(3)], axis=0).max() for y in range(2))
    found = logit_gap(jnp.asarray(logits, jnp.float32), conditioned(as_message(groups), Y))
    assert float(found) == pytest.approx(largest, rel=1e-4)
    numbers = RNG.normal(size=N) + logits[:, 0]
    slopes = [np.polyfit(numbers, own, 1)[0] * numbers.std() for own in m.T]
    found = logit_gap(jnp.asarray(logits, jnp.float32), as_message(numbers.astype(np.float32)))
    assert float(found) == pytest.approx(np.abs(slopes).max(), rel=1e-3)


def test_gradient_is_the_weight_times_the_gaps_derivative_by_it():
    slopes = jax.grad(lambda params: logit_gap(LEAKY.activations(params, X)[-1], as_message(Z)))(PARAMS)
    found = scores("gradient", rows_of())
    for layer, edge in enumerate(found.edge):
        expected = PARAMS[f"layer_{layer}"]["kernel"] * slopes[f"layer_{layer}"]["kernel"]
        np.testing.assert_allclose(edge, expected, atol=1e-5)
        np.testing.assert_allclose(found.node[layer], edge.sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("metric", ["integrated-5", "integrated-32"])
def test_integrated_gradients_sum_to_the_total_change(metric):
    """Exactly in a linear network, where the gap is a cubic in the weights' share; about where slopes have kinks."""
    for net, tolerance in ((LINEAR, 1e-4), (LEAKY, 0.05)):
        rows = rows_of(net)
        total = logit_gap(net.activations(PARAMS, X)[-1], rows.attribute)
        assert total > 1  # without edges all rows have the same output
        found = sum(edge.sum() for edge in scores(metric, rows).edge)
        assert found == pytest.approx(float(total), rel=tolerance)


def test_conductance_of_every_layer_is_the_total_change():
    for net, tolerance in ((LINEAR, 1e-4), (LEAKY, 0.02)):
        rows = rows_of(net)
        total = float(logit_gap(net.activations(PARAMS, X)[-1], rows.attribute))
        found = scores("conductance", rows)
        for node, edge in zip(found.node, found.edge, strict=True):
            assert node.sum() == pytest.approx(total, rel=tolerance)
            np.testing.assert_allclose(node, edge.sum(axis=1), atol=1e-5)


def probability_gap(params: Any, rows: Any = X) -> Any:
    return logit_gap(jax.nn.softmax(LEAKY.activations(params, rows)[-1]), as_message(Z))


def test_saliency_is_the_derivative_by_a_constant_added_to_a_unit():
    found = scores("saliency", rows_of()).node
    of_inputs = jax.grad(probability_gap, argnums=1)(PARAMS, X).sum(axis=0)
    np.testing.assert_allclose(found[0], of_inputs, atol=1e-5)
    kernel = PARAMS["layer_2"]["kernel"]
    for unit in range(3):  # a constant added to a last hidden unit shifts the logits by the weights behind it

        def moved(amount: Any, unit: int = unit) -> Any:
            return probability_gap(LEAKY.shift(PARAMS, [jnp.zeros(4), jnp.zeros(3), amount * kernel[unit]]))

        assert found[2][unit] == pytest.approx(float(jax.grad(moved)(0.0)), abs=1e-5)


def test_saliency_measured_again_is_that_of_what_is_left():
    order, left = scores("saliency-again", rows_of()).node, PARAMS
    taken: list[tuple[int, int]] = []
    for _ in range(4):
        found = scores("saliency", rows_of(params=left)).node
        alive = {(layer, unit): own for layer, of_layer in enumerate(found) for unit, own in enumerate(of_layer)}
        best = max((place for place in alive if place not in taken), key=lambda place: alive[place])
        assert order[best[0]][best[1]] == -len(taken)
        taken, left = [*taken, best], pruned(left, *best)


def test_fisher_is_the_groups_difference_of_squared_derivatives():
    rows = rows_of()
    ones = ones_like(rows.weights)

    def loss(own: Any, x: Any, y: Any) -> Any:
        logits = LEAKY.activations(rows.scaled(own), x[None])[-1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[None])[0]

    losses = jax.vmap(partial(loss, ones))(X, jnp.asarray(Y, jnp.int32))
    slopes = jax.vmap(jax.grad(loss), (None, 0, 0))(ones, X, jnp.asarray(Y, jnp.int32))
    served = [float(losses[z == Z].mean()) for z in range(2)]
    best = int(np.argmin(served))
    found = scores("fisher", rows)
    for node, edge, slope in zip(found.node, found.edge, map(np.asarray, slopes), strict=True):
        for ours, squares in ((edge, slope**2), (node, slope.sum(axis=2) ** 2)):
            expected = 0.5 * (squares[best == Z].mean(axis=0) - squares[best != Z].mean(axis=0))
            np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=1e-4)


def test_mediation_of_a_cut_node_is_nothing_and_of_the_only_way_everything():
    cut = pruned(pruned(PARAMS, 1, 2), 0, 1, 3)
    found = scores("mediation", rows_of(params=cut))
    cuts = found.node[1][2], found.edge[0][1, 3], np.abs(found.edge[1][2]).max()
    np.testing.assert_allclose(cuts, 0, atol=1e-6)
    narrow = mlp(hidden=(1,))
    params = narrow.init(jax.random.key(2), X)
    rows = rows_of(narrow, params)
    total = float(logit_gap(narrow.activations(params, X)[-1], rows.attribute))
    # rows get random partners: the mean of N draws is off by their spread over the root of N
    spread = np.asarray(margins(narrow.activations(params, X)[-1]))[:, 1].std()
    assert scores("mediation", rows).node[1][0] == pytest.approx(total, abs=float(4 * spread * (2 / N) ** 0.5))


def test_mediation_of_a_last_edge_is_its_weight_times_the_groups_difference_there():
    """Edges to the logits add up to their node; each is its closed form but for who has which partner."""
    found = scores("mediation", rows_of())
    np.testing.assert_allclose(found.edge[2].sum(axis=1), found.node[2], rtol=1e-4, atol=1e-5)
    hidden, logits = map(np.asarray, LEAKY.activations(PARAMS, X)[-2:])
    high, low = hidden[Z == 1], hidden[Z == 0]
    weights = np.asarray(PARAMS["layer_2"]["kernel"]) * [-1, 1] * np.sign(signed_gap(logits))
    expected = weights * (high.mean(axis=0) - low.mean(axis=0))[:, None]
    # half the sum of two means of random partners, as many as there are rows in the other group
    off = 0.5 * np.abs(weights) * np.sqrt(high.var(axis=0) / len(low) + low.var(axis=0) / len(high))[:, None]
    assert (np.abs(found.edge[2] - expected) <= 4 * off).all()
    assert (np.abs(expected) > 4 * off).all()  # so that zeros fail


@cache
def merit(without: tuple[int, ...] = ()) -> float:
    """Accuracy less bias in per cent, without a node (layer, node) or an edge (layer, source, target)."""
    params = pruned(PARAMS, *without) if without else PARAMS
    found = measure_outputs(LEAKY, params, X, {"y": Y, "z": Z})
    return float(found["accuracy"] - found["bias"])


def test_removal_is_what_the_output_loses_without_a_node_or_an_edge():
    found = scores("removal", rows_of())
    for place in [(0, 0), (1, 3), (2, 1)]:
        assert found.node[place[0]][place[1]] == pytest.approx(merit(place) - merit(), abs=0.01)
    for layer, *edge in [(0, 2, 1), (1, 0, 2), (2, 1, 0)]:
        expected = merit((layer, *edge)) - merit()
        assert found.edge[layer][tuple(edge)] == pytest.approx(expected, abs=0.01)


def test_greedy_begins_with_the_best_removal_and_goes_on_with_what_is_best_then():
    order, first = scores("greedy", rows_of()).node, scores("removal", rows_of()).node
    flat = np.concatenate(first)
    assert np.concatenate(order)[np.argmax(flat)] == 0
    best = next((layer, int(np.argmax(own == 0))) for layer, own in enumerate(order) if (own == 0).any())
    second = [own.copy() for own in scores("removal", rows_of(params=pruned(PARAMS, *best))).node]
    second[best[0]][best[1]] = -np.inf
    assert np.concatenate(order)[np.argmax(np.concatenate(second))] == -1


def test_random_scores_rank_at_chance():
    """Of 60 draws the mean rank correlation with exact removal is within three standard errors of 0."""
    effect = np.concatenate([own.ravel() for own in scores("removal", rows_of()).edge])
    weights = rows_of().weights

    def drawn(key: Any) -> Any:
        return jnp.concatenate([own.ravel() for own in METRICS["random"](Shown([], [], weights, key)).edge])

    found = [
        spearmanr(own, effect).statistic for own in np.asarray(jax.vmap(drawn)(jax.random.split(jax.random.key(5), 60)))
    ]
    assert abs(np.mean(found)) < 3 / np.sqrt((len(effect) - 1) * 60)


@pytest.mark.parametrize("metric", RIVALS)
def test_scores_follow_the_nodes_and_are_finite(metric):
    """Hidden nodes in another order have the same scores; an attribute of three groups within strata has scores too."""
    order = np.array([2, 0, 3, 1])
    first, second = PARAMS["layer_0"], PARAMS["layer_1"]
    turned = PARAMS | {
        "layer_0": {"kernel": first["kernel"][:, order], "bias": first["bias"][order]},
        "layer_1": {"kernel": second["kernel"][order], "bias": second["bias"]},
    }
    ours, theirs = scores(metric, rows_of(params=turned)), scores(metric, rows_of())
    np.testing.assert_allclose(ours.node[1], theirs.node[1][order], atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(ours.node[0], theirs.node[0], atol=2e-3, rtol=1e-3)
    if ours.edge is not None:
        np.testing.assert_allclose(ours.edge[1], theirs.edge[1][order], atol=2e-3, rtol=1e-3)
    several = scores(metric, rows_of(z=conditioned(as_message(np.arange(N) % 3), Y)))
    assert all(np.isfinite(own).all() for own in jax.tree.leaves(several))


def test_rank_asks_for_what_a_metric_needs():
    messages = {"y": Y, "z": Z}
    flows = network_flows(LEAKY, PARAMS, X, messages)
    asked = partial(rank, LEAKY, PARAMS, flows)
    with pytest.raises(InputError, match=r"the metric gradient looks at rows: rank\(..., x=x, messages=messages\)"):
        asked("gradient")
    with pytest.raises(InputError, match="mediation needs a key"):
        asked("mediation", x=X, messages=messages)
    with pytest.raises(InputError, match="compares groups, and the attribute is numbers"):
        asked("fisher", x=X, messages={"y": Y, "z": RNG.normal(size=N)})
    with pytest.raises(InputError, match="messages by name, y and z among them"):
        asked("gradient", x=X)
    with pytest.raises(InputError, match="one value for each of the 240 rows"):
        asked("gradient", x=X, messages={"y": Y[:9], "z": Z[:9]})
    for name in NODE_METRICS:
        with pytest.raises(InputError, match=f"the metric {name} scores no edges"):
            asked(name, "edge", x=X, messages=messages)
    bare = network(LEAKY.activations, LEAKY.weights)
    with pytest.raises(InputError, match="where its biases lie"):
        rank(bare, PARAMS, flows, "saliency", x=X, messages=messages)
    found = rank(bare, PARAMS, flows, "gradient", "edge", x=X, messages=messages)
    np.testing.assert_array_equal(found, asked("gradient", "edge", x=X, messages=messages))
