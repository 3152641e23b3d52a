"""The quadratic estimate: normal scores against SciPy, the discriminant against its densities, and its laws."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from scipy.stats import multivariate_normal, norm, rankdata

from jaxflow import InputError, node_flows
from jaxflow.information import quadratic
from jaxflow.information.cross_validation import outer_folds
from jaxflow.information.ranks import normal_scores, ranking, stable_order
from jaxflow.messages import accuracy_to_information, as_message
from jaxflow.study import with_permutations


@pytest.fixture
def message(rng):
    return (rng.random(600) < 0.4).astype(int)


@pytest.fixture
def layer(rng, message):
    x = rng.normal(size=(600, 3)) * np.where(message, 2.0, 1.0)[:, None] + np.outer(message, [1.0, 0.4, 0.0])
    return x.astype(np.float32)


def entropy(message):
    p = message.mean()
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


# --- normal scores -----------------------------------------------------------------------------------------------


def awkward_columns(rng):
    """Distinct values, ties, both zeros, a constant, huge and tiny values, an exact block of rows."""
    return [
        rng.normal(size=500), rng.integers(0, 7, 500), np.where(rng.random(500) < 0.5, 0.0, -0.0), np.ones(500),
        np.exp(rng.uniform(-80, 80, 500)) * rng.choice([-1, 1], 500), rng.normal(size=512), np.repeat([3.0, -1], 64),
    ]  # fmt: skip


def test_order_is_numpys_stable_one(rng):
    for column in awkward_columns(rng):
        column = column.astype(np.float32)
        np.testing.assert_array_equal(jax.jit(stable_order)(jnp.asarray(column)), np.argsort(column, kind="stable"))


def test_scores_are_normal_quantiles_of_mid_ranks_among_the_counted_rows(rng):
    for column in awkward_columns(rng):
        column = column.astype(np.float32)
        counted = rng.random((2, len(column))) < 0.8
        scores = jax.jit(normal_scores)(jnp.asarray(column), ranking(counted))
        for own, rows in zip(np.asarray(scores), counted, strict=True):
            among = column[rows]
            np.testing.assert_allclose(own[rows], norm.ppf((rankdata(among) - 0.5) / len(among)), atol=1e-5)
            both = np.sum(among < column[~rows, None], axis=1) + np.sum(among <= column[~rows, None], axis=1)
            share = np.clip(both, 1, 2 * len(among) - 1) / (2 * len(among))
            np.testing.assert_allclose(own[~rows], norm.ppf(share), atol=1e-5)


# --- the discriminant --------------------------------------------------------------------------------------------


def scores_by_hand(column, among):
    """Normal scores of a column, by sorting."""
    ascending = np.sort(column[among])
    both = np.searchsorted(ascending, column, "left") + np.searchsorted(ascending, column, "right")
    return norm.ppf(np.clip(both, 1, 2 * len(ascending) - 1) / (2 * len(ascending)))


def test_bounds_equal_scipys_densities(layer, message):
    accuracies, surprises = [], []
    for held_out in outer_folds(message):
        rows = np.setdiff1d(np.arange(600), held_out)
        x = np.column_stack([scores_by_hand(column, rows) for column in layer.T])
        joint = []
        for own in (x[rows][message[rows] == m] for m in (0, 1)):
            covariance = (1 - 1e-3) * np.cov(own.T, bias=True) + 1e-3 * np.eye(3)
            density = multivariate_normal(own.mean(axis=0), covariance)
            joint.append(np.log2(len(own) / len(rows)) + density.logpdf(x[held_out]) / np.log(2))
        accuracies.append(np.mean((joint[1] > joint[0]) == message[held_out]))
        surprises += list(np.logaddexp2(*joint) - np.choose(message[held_out], joint))
    expected = accuracy_to_information(np.mean(accuracies, keepdims=True), message)[0]
    assert float(quadratic(message, layer)[-1]) == pytest.approx(expected, abs=1e-6)
    bound = quadratic(message, layer, bound="cross-entropy")[-1]
    assert float(bound) == pytest.approx(entropy(message) - np.mean(surprises), abs=1e-4)


def test_sees_what_is_not_linear(rng):
    """M = X₁ xor X₂: 1 bit together, nothing alone, flow 1 on both nodes."""
    x = rng.integers(0, 2, (2000, 2))
    bits = quadratic(x[:, 0] ^ x[:, 1], x)
    np.testing.assert_allclose(bits, [0, 0, 0, entropy(x[:, 0] ^ x[:, 1])], atol=0.01)
    np.testing.assert_allclose(node_flows(bits)[0], 1, atol=0.01)


def test_a_change_of_scale_alone_is_seen(rng):
    message = rng.integers(0, 2, 2000)
    x = rng.normal(size=(2000, 2)) * np.column_stack([1 + 9 * message, np.ones(2000)])
    assert float(quadratic(message, x)[1]) > 0.2


def test_cross_entropy_nears_the_truth_for_gaussian_classes(rng):
    """Two normals a distance 2 apart: I by quadrature; neither bound is above it, cross-entropy within 0.02 bit."""
    message = rng.integers(0, 2, 20_000)
    x = rng.normal(size=(20_000, 1)) + 2 * message[:, None]
    grid = np.linspace(-8, 10, 20_001)
    densities = norm.pdf(grid), norm.pdf(grid - 2)
    mixture = sum(densities) / 2
    truth = sum(np.trapezoid(d * np.log2(d / mixture), grid) for d in densities) / 2
    fano, cross_entropy = (float(quadratic(message, x, bound=bound)[1]) for bound in ("fano", "cross-entropy"))
    assert truth - 0.02 < cross_entropy < truth + 0.01
    assert fano < cross_entropy


# --- laws ----------------------------------------------------------------------------------------------------------


def test_monotone_maps_change_nothing(layer, message):
    mapped = np.column_stack([np.exp(layer[:, 0]), layer[:, 1] ** 3, -5 * layer[:, 2]])
    bits = quadratic(message, layer)
    np.testing.assert_allclose(quadratic(message, np.maximum(mapped, 1e-3 * mapped)), bits, atol=1e-6)


def test_order_of_nodes_changes_nothing(layer, message):
    order = [int(f"{mask:03b}"[::-1], 2) for mask in range(8)]
    permuted = np.asarray(quadratic(message, layer[:, ::-1]))[order]
    np.testing.assert_allclose(permuted, quadratic(message, layer), atol=1e-6)


@pytest.mark.parametrize("copied", [0, 1, 2])
def test_a_duplicate_moves_accuracy_by_at_most_a_fifth_of_a_point(layer, message, copied):
    once = quadratic(message, layer, subsets=[7])
    twice = quadratic(message, np.column_stack([layer, layer[:, copied]]), subsets=[15])
    accuracies = [100 * oracles.accuracy_of(float(bits[0]), message.mean()) for bits in (once, twice)]
    assert abs(np.subtract(*accuracies)) <= 0.2


def test_constant_and_dead_columns_carry_nothing(layer, message):
    dead = np.column_stack([layer[:, 0], np.ones(600), np.zeros(600)])
    bits = quadratic(message, dead)
    assert np.isfinite(bits).all()
    np.testing.assert_array_equal(np.asarray(bits)[[0, 2, 4, 6]], 0)
    np.testing.assert_allclose(np.asarray(bits)[[3, 5, 7]], bits[1], atol=1e-6)


def test_a_message_that_is_a_node_is_its_entropy(layer, message):
    bits = quadratic(message, np.column_stack([message, layer[:, 1:]]))
    assert float(bits[1]) == pytest.approx(entropy(message), abs=1e-6)


def test_many_layers_and_messages_at_once_equal_one_by_one(layer, message):
    other = 1 - message[::-1]
    layers = np.stack([layer, layer[::-1], 2 * layer])
    bits = quadratic(np.stack([message, other])[:, None], layers)
    assert bits.shape == (2, 3, 8)
    for k, own in enumerate((message, other)):
        for s in range(3):
            np.testing.assert_allclose(bits[k, s], quadratic(own, layers[s]), atol=1e-6)
    paired = quadratic(np.stack([message, other]), layers[:2], subsets=[5])
    np.testing.assert_allclose(paired[:, 0], [bits[0, 0, 5], bits[1, 1, 5]], atol=1e-6)


def test_permutations_keep_every_folds_classes(message):
    folds = np.stack([np.arange(600) % 5, np.zeros(600, int)])
    own = {"y": as_message(message), "z": as_message(message)}
    moved = with_permutations(jax.random.key(0), own, dict(zip(own, folds, strict=True)), 20)
    permuted = np.stack([moved["y"].values, moved["z"].values], axis=1)
    np.testing.assert_array_equal(permuted[0], [message, message])
    assert len(np.unique(permuted[:, 1], axis=0)) == 21
    for fold in range(5):
        assert set(permuted[:, 0, folds[0] == fold].sum(axis=1)) == {message[folds[0] == fold].sum()}
    assert (permuted[:, 1].sum(axis=1) == message.sum()).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [({"bound": "chernoff"}, "unknown bound 'chernoff'"), ({"subsets": [8]}, "bitmasks from 0 to 7 of 3 nodes"),
     ({"message": np.eye(1, 600, dtype=int)[0]}, "class 1 of the message has 1 sample")],
)  # fmt: skip
def test_senseless_calls_are_refused(layer, message, change, says):
    arguments = {"message": message, **change}
    with pytest.raises(InputError, match=says):
        quadratic(arguments.pop("message"), layer, **arguments)


def test_a_constant_message_carries_nothing(layer):
    np.testing.assert_array_equal(quadratic(np.ones(600, int), layer), 0)
