"""Columns that hold one value in many rows, nearly dead units above all: the quadratic estimate, and its choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from jaxflow import node_flows
from jaxflow.information import quadratic
from jaxflow.information.choosing import best_elsewhere, best_subset, chosen_losses
from jaxflow.information.cross_validation import outer_folds
from jaxflow.information.quadratic import BOUNDS
from jaxflow.information.ranks import ranking, scores_and_atom
from jaxflow.messages import accuracy_to_information, message_entropy

ROWS = 5000
MARGIN = {"fano": 0.006, "cross-entropy": 0.002}  # bits: what one standard error of a paired difference is worth here


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, ROWS)


def beside(message, alive, rng):
    """A node that tells 0.478 bit, and units that are alive in some rows of class 1 and 0 in turn."""
    units = np.zeros((ROWS, len(alive)), np.float32)
    for unit, count in enumerate(alive):
        rows = rng.choice(np.flatnonzero(message == 1 - unit % 2), count, replace=False)
        units[rows, unit] = np.abs(rng.normal(size=count))
    return np.column_stack([2 * message + rng.normal(size=ROWS), units]).astype(np.float32)


def relu_units(rng):
    """Eight real units and a label that they determine, wrong in 11 % of the rows: the truth is 0.5 bit."""
    units = np.maximum(rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=8) - 0.5, 0)
    score = units @ rng.normal(size=8)
    return ((score > np.median(score)) ^ (rng.random(ROWS) < 0.11)).astype(int), units.astype(np.float32)


# --- the atom of a column ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "atom"),
    [
        (np.repeat([0.0, 1, 2, 3], [98, 1, 0, 1]), 0),
        (np.concatenate([np.full(50, -1.0), np.arange(50)]), -1),
        (np.repeat([5.0, 3], 50), 3),  # of equally frequent values the smallest
        (np.where(np.arange(100) % 2, 0.0, -0.0) + (np.arange(100) < 9), 0),
        (np.ones(100), None),
        (np.arange(100.0), None),
        (np.repeat(np.arange(150.0), 2), None),  # every value in less than one row of a hundred
    ],
)
def test_the_atom_is_the_most_frequent_value(column, atom):
    _, at = jax.jit(scores_and_atom)(jnp.asarray(column, jnp.float32), ranking(np.ones((1, len(column)), bool)))
    np.testing.assert_array_equal(at, np.zeros(len(column), bool) if atom is None else column == atom)


# --- adding a node -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("alive", [0, 1, 2, 20, 1000])
def test_a_nearly_dead_unit_takes_nothing_away(message, rng, alive, bound):
    alone, both = np.asarray(quadratic(message, beside(message, [alive], rng), bound=bound))[[1, 3]]
    assert both > alone - MARGIN[bound]
    assert alive > 0 or both == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("bound", BOUNDS)
def test_of_several_nearly_dead_units_none_takes_anything_away(message, rng, bound):
    bits = np.asarray(quadratic(message, beside(message, [2, 10, 50, 200], rng), bound=bound))
    masks = np.arange(32)
    for node in range(5):
        assert (bits[masks | 1 << node] > bits[masks] - MARGIN[bound]).all()


def test_a_unit_alive_in_one_row_of_the_other_class_ruins_nothing(message, rng):
    """A class that is dead in training meets a held-out row that is not: its surprise stays bounded."""
    x = beside(message, [5], rng)
    x[np.flatnonzero(message == 0)[7], 1] = 3
    bits = np.asarray(quadratic(message, x, bound="cross-entropy"))
    assert bits[3] > bits[1] - MARGIN["cross-entropy"]


@pytest.mark.parametrize(("bound", "least"), [("fano", 0.4), ("cross-entropy", 0.37)])
def test_real_units_tell_most_of_half_a_bit(rng, bound, least):
    """Class covariances alone: 0.29 and 0."""
    message, units = relu_units(rng)
    assert least < float(quadratic(message, units, subsets=[255], bound=bound)[0]) < 0.51


# --- what stays ----------------------------------------------------------------------------------------------------


def by_hand(message, x):
    """Losses [fits, rows] of the three fits in double precision by SciPy's densities, and the fold of every row."""
    losses, fold = np.zeros((2, 3, len(message))), np.zeros(len(message), int)
    values, counts = zip(*(np.unique(column, return_counts=True) for column in x.T), strict=True)
    at = np.column_stack([c == v[n.argmax()] for c, v, n in zip(x.T, values, counts, strict=True)]).astype(float)
    at = (at - at.mean(axis=0)) / at.std(axis=0)
    eye = np.eye(2 * x.shape[1])
    for number, held_out in enumerate(outer_folds(message)):
        fold[held_out] = number
        train = np.setdiff1d(np.arange(len(message)), held_out)
        order = np.sort(x[train], axis=0)
        both = [np.searchsorted(a, c) + np.searchsorted(a, c, "right") for a, c in zip(order.T, x.T, strict=True)]
        scores = ndtri(np.clip(np.array(both).T, 1, 2 * len(train) - 1) / (2 * len(train)))
        groups = [train[message[train] == m] for m in (0, 1)]
        lacking = np.diag(np.maximum(1 - scores[train].var(axis=0), 0))
        every = np.column_stack([scores, at])
        within = sum(len(g) * np.cov(every[g].T, bias=True) for g in groups) / len(train)
        fits = [
            (scores, [np.cov(scores[g].T, bias=True) for g in groups]),
            (scores, [np.cov(scores[g].T, bias=True) + lacking for g in groups]),
            (every, [within] * 2),
        ]
        for fit, (columns, covariances) in enumerate(fits):
            n = columns.shape[1]
            joint = np.array([
                np.log(len(g)) + multivariate_normal(columns[g].mean(axis=0), 0.999 * c + 1e-3 * eye[:n, :n]).logpdf(
                    columns[held_out]
                )
                for g, c in zip(groups, covariances, strict=True)
            ])  # fmt: skip
            odds = joint[1] - joint[0]
            losses[0, fit, held_out] = (odds > 0) != message[held_out]
            losses[1, fit, held_out] = np.logaddexp2(0, np.where(message[held_out], -odds, odds) / np.log(2))
    return losses, fold


@pytest.mark.parametrize("seed", [0, 1])
def test_every_fold_takes_the_fit_that_does_best_in_the_others(seed):
    rng = np.random.default_rng(seed)
    message = rng.integers(0, 2, 600)
    x = np.maximum(rng.normal(size=(600, 2)) + np.outer(message, [1.0, 0.3]) - 0.5, 0).astype(np.float32)
    (mistakes, surprise), fold = by_hand(message, x)
    chosen = np.zeros((2, 600))
    for k in range(5):
        other, own = fold != k, fold == k
        apart = np.array([np.sum(row[other] != mistakes[0, other]) for row in mistakes])
        fewest = np.argmin(mistakes[:, other].sum(axis=1) + np.sqrt(apart))
        chosen[0, own] = mistakes[fewest, own]
        chosen[1, own] = surprise[np.argmin(surprise[:, other].sum(axis=1)), own]
    accuracy = np.mean([1 - chosen[0, fold == k].mean() for k in range(5)], keepdims=True)
    assert float(quadratic(message, x, subsets=[3])[0]) == pytest.approx(
        accuracy_to_information(accuracy, message)[0], abs=1e-6
    )
    expected = max(message_entropy(message) - chosen[1].mean(), 0)
    assert float(quadratic(message, x, subsets=[3], bound="cross-entropy")[0]) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("bound", BOUNDS)
def test_subsets_without_an_atom_do_not_see_the_columns_that_have_one(message, rng, bound):
    x = beside(message, [50, 200, 9], rng)
    layer = np.column_stack([x[:, 0], rng.normal(size=ROWS) * (1 + message), x[:, 1:]])
    bits = np.asarray(quadratic(message, layer, bound=bound))
    np.testing.assert_allclose(bits[:4], quadratic(message, layer[:, :2], bound=bound), atol=1e-6)


def test_bits_that_interact_keep_their_bit(rng):
    x = rng.integers(0, 2, (ROWS, 2))
    for bound in BOUNDS:
        assert float(quadratic(x[:, 0] ^ x[:, 1], x, bound=bound)[3]) == pytest.approx(1, abs=0.01)


def test_chance_is_not_turned_into_information(rng):
    """Where nothing is to be known, the choice finds nothing: 40 messages about the same three tied columns."""
    layer = np.maximum(rng.normal(size=(1000, 3)), 0).astype(np.float32)
    messages = rng.integers(0, 2, (40, 1000))
    bits = np.asarray(quadratic(messages, layer[None], bound="cross-entropy"))
    assert bits.mean(axis=0).max() < 0.001
    assert node_flows(jnp.asarray(bits))[0].mean() < 0.001


# --- the choice ----------------------------------------------------------------------------------------------------


def sums_of(*fits):
    """``[1, C, 1, 5]``: one subset, one message."""
    return jnp.asarray(fits, jnp.float32)[None, :, None]


def test_a_folds_own_loss_has_no_part_in_its_choice():
    """Fit 1 is worse in fold 0 alone: fold 0 takes it, for it is better elsewhere, and the others do not."""
    sums = sums_of([10, 10, 10, 10, 10], [99, 9, 9, 9, 9])
    chosen, *_ = best_elsewhere(sums, jnp.zeros_like(sums), "cross-entropy")
    np.testing.assert_array_equal(chosen[0, 0], [99, 10, 10, 10, 10])


def test_mistakes_need_a_margin_and_surprise_does_not():
    sums, apart = sums_of([10] * 5, [9] * 5), sums_of([0] * 5, [5] * 5)  # 4 fewer elsewhere, of 20 told otherwise
    np.testing.assert_array_equal(best_elsewhere(sums, apart, "fano")[0][0, 0], [10] * 5)
    np.testing.assert_array_equal(best_elsewhere(sums, apart, "cross-entropy")[0][0, 0], [9] * 5)
    np.testing.assert_array_equal(best_elsewhere(sums, sums_of([0] * 5, [3] * 5), "fano")[0][0, 0], [9] * 5)
    np.testing.assert_array_equal(best_elsewhere(sums_of([9] * 5, [9] * 5), apart * 0, "fano")[0][0, 0], [9] * 5)


def test_every_message_chooses_for_itself():
    sums = jnp.concatenate([sums_of([10] * 5, [9] * 5), sums_of([9] * 5, [10] * 5)], axis=-1)
    np.testing.assert_array_equal(best_elsewhere(sums, sums * 0, "cross-entropy")[0], np.full((1, 1, 10), 9))


@pytest.mark.slow
def test_permutations_choose_as_the_messages_themselves_would(message, rng):
    """Several layers and messages at once equal one by one, where columns have atoms."""
    x = beside(message, [20, 300], rng)
    layers = np.stack([x, x[:, ::-1]])
    messages = np.stack([message, 1 - message])
    bits = np.asarray(quadratic(messages[:, None], layers, subsets=[7]))
    np.testing.assert_allclose(bits, bits[0, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(jax.device_get(quadratic(message, x, subsets=[7]))[0], bits[0, 0, 0])


# --- the fits of smaller subsets -----------------------------------------------------------------------------------


def best_subset_by_hand(loss, elsewhere):
    """For every subset and fold ``[T, F]`` a look at all its subsets, in plain Python."""
    chosen = loss.copy()
    for t, f in np.ndindex(*loss.shape):
        inside = [s for s in range(t) if s | t == t and elsewhere[s, f] < elsewhere[t, f]]
        if inside:
            fewest = min(elsewhere[s, f] for s in inside)
            chosen[t, f] = max(loss[s, f] for s in inside if elsewhere[s, f] == fewest)
    return chosen


@pytest.mark.parametrize("nodes", [1, 4])
def test_a_fold_takes_the_best_of_all_subsets_of_a_subset(rng, nodes):
    """Also where many are equally good: few different numbers."""
    loss, elsewhere = rng.integers(0, 6, (2, 2**nodes, 1, 10)).astype(np.float32)
    found, source = best_subset(jnp.asarray(loss), jnp.asarray(elsewhere))
    np.testing.assert_array_equal(found[:, 0], best_subset_by_hand(loss[:, 0], elsewhere[:, 0]))
    np.testing.assert_array_equal(found, np.take_along_axis(loss, np.asarray(source), axis=0))
    assert (np.asarray(source) | np.arange(2**nodes)[:, None, None] == np.arange(2**nodes)[:, None, None]).all()


def test_no_order_of_nodes_changes_the_best_subset(rng):
    loss, elsewhere = rng.integers(0, 3, (2, 2, 2, 2, 1, 5)).astype(np.float32)
    found, turned = (
        best_subset(*(jnp.asarray(a.reshape(8, 1, 5)) for a in both))[0].reshape(2, 2, 2, 5)
        for both in ((loss, elsewhere), (loss.transpose(2, 0, 1, 3, 4), elsewhere.transpose(2, 0, 1, 3, 4)))
    )
    np.testing.assert_array_equal(turned, found.transpose(2, 0, 1, 3))


def test_subsets_without_an_atom_keep_their_loss_to_the_bit(rng):
    """Also where other fits and smaller subsets do better."""
    sums = jnp.asarray(rng.random((8, 3, 2, 5)), jnp.float32)
    concerned = jnp.arange(8) >= 4
    for bound in BOUNDS:
        chosen, _ = chosen_losses(sums, jnp.zeros_like(sums), concerned, bound, every_subset=True)
        np.testing.assert_array_equal(chosen[:4], sums[:4, 0])
        assert (np.asarray(chosen[4:]) != np.asarray(sums[4:, 0])).any()


@pytest.mark.parametrize("bound", BOUNDS)
def test_among_real_units_none_takes_more_away_than_chance_would(rng, bound):
    """With a subset's own fits 0.041 and 0.014 bit. An estimate of 5,000 rows has a standard error of 0.012."""
    message, units = relu_units(rng)
    bits = np.asarray(quadratic(message, units[:, 3:], bound=bound))
    masks = np.arange(32)
    for node in range(5):
        assert (bits[masks | 1 << node] > bits[masks] - 0.012).all()
