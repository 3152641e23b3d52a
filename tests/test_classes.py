"""Classifiers of K classes, conditioned on classes, of nodes with several columns: laws and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from jaxflow import InputError
from jaxflow.information import kernel_svm, linear_svm, quadratic, subset_members, svms
from jaxflow.information.cross_validation import (
    OUTER,
    check_folds,
    hyperparameter_draws,
    nested_folds,
    one_against_the_rest,
    outer_folds,
    outer_splitter,
)
from jaxflow.information.linear import search_layers
from jaxflow.information.quadratic import BOUNDS
from jaxflow.information.quadratic import estimate as estimate_quadratic
from jaxflow.messages import Message, accuracy_to_information, as_message, message_entropy

CLASSIFIERS = [quadratic, linear_svm, kernel_svm]


@pytest.fixture
def message(rng):
    return rng.choice(3, 300, p=[0.5, 0.3, 0.2])


@pytest.fixture
def layer(rng, message):
    means = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [0.0, 1.5, 0.0]])
    return (rng.normal(size=(300, 3)) + means[message]).astype(np.float32)


# --- what accuracy is worth ------------------------------------------------------------------------------------------


def test_fano_with_more_classes_is_feders_and_merhavs_bound(message):
    """Between chance and 1 the formula, 0 at chance and below, H(M) at 1."""
    p = np.bincount(message) / 300
    entropy = -np.sum(p * np.log2(p))
    error = 0.1
    expected = entropy + 0.1 * np.log2(0.1) + 0.9 * np.log2(0.9) - error * np.log2(2)
    bits = accuracy_to_information(np.array([0, 0.2, p.max(), 1 - error, 1]), message)
    np.testing.assert_allclose(bits, [0, 0, 0, expected, entropy], atol=1e-12)
    assert message_entropy(message) == pytest.approx(entropy)


def test_a_class_without_members_counts_for_nothing():
    bits = accuracy_to_information(np.array([0.8]), np.array([0, 3] * 20))
    np.testing.assert_allclose(bits, accuracy_to_information(np.array([0.8]), np.array([0, 1] * 20)))


def test_machines_are_one_against_the_rest(message):
    signs = one_against_the_rest(message)
    np.testing.assert_array_equal(signs.argmax(axis=0), message)
    np.testing.assert_array_equal(signs.sum(axis=0), -1)
    np.testing.assert_array_equal(one_against_the_rest(message > 0), [2 * (message > 0) - 1])


# --- K classes -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_separable_classes_are_their_entropy(rng, estimator):
    message = np.arange(90) % 3
    x = np.column_stack([message**2 + 0.1 * rng.random(90), np.cos(2 * message), np.ones(90), np.sin(2 * message)])
    bits = np.asarray(estimator(message, x[:, [0, 1, 3, 2]], subsets=[0, 7, 8]))
    np.testing.assert_allclose(bits, [0, np.log2(3), 0], atol=1e-6)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("estimator", [linear_svm, kernel_svm])
def test_the_other_backend_tells_separable_classes_too(rng, estimator):
    message = np.arange(90) % 3
    x = np.eye(3)[message] + 0.05 * rng.normal(size=(90, 3))
    assert float(estimator(message, x, subsets=[7], backend="sklearn")[0]) == pytest.approx(np.log2(3), abs=0.25)


@pytest.mark.parametrize("bound", BOUNDS)
def test_names_of_classes_change_nothing(message, layer, bound):
    """Nor does a name without members, which one bound shows: 0, 1, 2 or 3, 0, 2."""
    bits = quadratic(message, layer, bound=bound)
    for names in ([2, 0, 1], [3, 0, 2])[: 2 if bound == "fano" else 1]:
        np.testing.assert_allclose(quadratic(np.array(names)[message], layer, bound=bound), bits, atol=1e-5)


@pytest.mark.usefixtures("few_draws")
def test_names_of_classes_do_not_move_the_linear_machines(message, layer):
    """Folds are drawn by class number, so that relabelling moves accuracy by a little of a fold's noise."""
    bits = np.asarray(linear_svm(np.stack([message, 3 * message]), layer[None], subsets=[3, 7]))
    np.testing.assert_array_equal(bits[0], bits[1])


def test_two_of_three_classes_are_the_binary_message(message, layer):
    """A message of numbers 0 and 2 is the message of 0 and 1, to the bit."""
    np.testing.assert_array_equal(quadratic(2 * (message > 0), layer), quadratic(message > 0, layer))


def scores_by_hand(column, among):
    ascending = np.sort(column[among])
    both = np.searchsorted(ascending, column, "left") + np.searchsorted(ascending, column, "right")
    return norm.ppf(np.clip(both, 1, 2 * len(ascending) - 1) / (2 * len(ascending)))


def test_the_plain_fit_is_scikit_learns_quadratic_discriminant(rng, message):
    """Own covariances, no atoms: mean accuracy within two held-out samples, cross-entropy within 0.005 bit."""
    x = rng.normal(size=(300, 2)) * np.array([1.0, 2.0, 0.4])[message][:, None] + message[:, None]
    dead = np.column_stack([x, np.zeros(300)])  # as many columns as elsewhere
    accuracy, surprise = [], []
    for held_out in outer_folds(message):
        rows = np.setdiff1d(np.arange(300), held_out)
        scores = np.column_stack([scores_by_hand(column, rows) for column in x.T])
        theirs = QuadraticDiscriminantAnalysis(reg_param=1e-3).fit(scores[rows], message[rows])
        accuracy.append(theirs.score(scores[held_out], message[held_out]))
        told = theirs.predict_proba(scores[held_out])[np.arange(len(held_out)), message[held_out]]
        surprise += list(-np.log2(told))
    fano, entropy = (float(quadratic(message, dead, bound=bound)[3]) for bound in BOUNDS)
    low, high = accuracy_to_information(np.mean(accuracy) + np.array([-2.1, 2.1]) / 300, message)
    assert low <= fano <= high
    assert entropy == pytest.approx(message_entropy(message) - np.mean(surprise), abs=0.005)


def test_linear_machines_are_scikit_learns(message, layer):
    """With the draws that ours chose, every outer fold is told as by ``LinearSVC``, within one sample."""
    c = hyperparameter_draws("C")[:4]
    folds = jax.device_put(nested_folds(message))
    signs = jnp.asarray(one_against_the_rest(message), jnp.float32)
    search = search_layers(jnp.asarray(layer.T)[None], signs, folds, jnp.asarray(c, jnp.float32))
    assert int(search.unconverged[0]) == 0
    for k, (rows, held_out) in enumerate(outer_splitter().split(layer, message)):
        own = LinearSVC(dual=False, C=c[int(search.chosen[0, k]), 0])
        theirs = make_pipeline(StandardScaler(), own).fit(layer[rows], message[rows])
        expected = theirs.score(layer[held_out], message[held_out])
        assert float(search.accuracy[0, k]) == pytest.approx(expected, abs=1.1 / len(held_out))


@pytest.mark.usefixtures("few_draws")
def test_backends_agree_on_three_classes(message, layer):
    ours, theirs = (linear_svm(message, layer, subsets=[7], backend=backend) for backend in svms.BACKENDS)
    assert float(ours[0]) == pytest.approx(float(theirs[0]), abs=0.05)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("dead", [False, True])
def test_a_class_that_a_fold_never_saw_gives_no_nan(message, layer, bound, dead):
    """A permutation that gathers a class in one fold: not seen in its training rows."""
    fold = outer_folds(message)[0]
    moved = np.zeros(300, int)
    moved[fold[:20]] = 1
    moved[np.setdiff1d(np.arange(300), fold)[:40]] = 2
    x = np.maximum(layer, 0) if dead else layer
    messages = {"y": Message(np.stack([message, moved]), classes=3)}
    bits = estimate_quadratic(jnp.asarray(x)[None], messages, subset_members(3), bound=bound)["y"].bits
    assert bits.shape == (2, 1, 8)
    assert np.isfinite(bits).all()
    np.testing.assert_allclose(bits[0, 0], quadratic(message, x, bound=bound), atol=1e-6)


def test_messages_of_different_classes_are_estimated_together_as_alone(rng, message, layer):
    """A layer is ranked once for all of them."""
    two = (rng.random(300) < 0.5 + 0.3 * (message == 0)).astype(int)
    messages = {"a": Message(two[None]), "b": Message(message[None], classes=3), "c": Message(1 - two[None])}
    heard = []
    layers = jnp.asarray(layer[None])
    found = estimate_quadratic(layers, messages, subset_members(3), advance=heard.append)
    assert sum(heard) == 3 * 8
    assert list(found) == ["a", "b", "c"]
    for name, own in messages.items():
        alone = quadratic(own.values[0], np.asarray(layers))
        np.testing.assert_allclose(found[name].bits[0], alone, atol=1e-6)


# --- given -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("estimator", [quadratic, linear_svm, pytest.param(kernel_svm, marks=pytest.mark.slow)])
def test_given_is_the_weighted_sum_over_strata(rng, message, layer, estimator):
    """One stratum has all classes, one lacks a class, one has a single class, and one has no rows."""
    given = np.where(message == 2, 0, rng.choice([0, 1], 300))
    given = np.where((message == 0) & (rng.random(300) < 0.2), 3, given)
    bits = np.asarray(estimator(message, layer, given=given, subsets=[3, 7]))
    expected = sum(
        np.mean(given == g) * np.asarray(estimator(message[given == g], layer[given == g], subsets=[3, 7]))
        for g in (0, 1)
    )
    np.testing.assert_allclose(bits, expected, atol=1e-6)


def test_given_what_is_the_message_there_is_nothing_to_know(message, layer):
    np.testing.assert_array_equal(quadratic(message, layer, given=message), 0)


@pytest.mark.usefixtures("few_draws")
def test_draws_of_every_stratum_are_kept(rng, layer):
    """Given back, nothing is searched and the bits are the same; a stratum of one class has draws that nobody uses."""
    y, given = rng.integers(0, 2, 300), np.arange(300) % 3
    y = np.where(given == 2, 0, y)
    messages = {"y": as_message(y[None], given)}
    layers, members = jnp.asarray(np.stack([layer, 2 * layer])), np.ones((1, 3), bool)
    heard = []
    found = svms.estimate(layers, messages, members, svm=svms.LINEAR, advance=heard.append)["y"]
    assert sum(heard) == 2
    assert found.bits.shape == (1, 2, 1)
    assert found.draws.shape == (2, 1, 3, OUTER)
    draws = {"y": found.draws[:, 0]}
    again = svms.estimate(layers, messages, members, svm=svms.LINEAR, draws=draws)["y"]
    np.testing.assert_allclose(again.bits, found.bits, atol=1e-6)
    assert again.fits == 2 * OUTER < found.fits


@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_numbers_are_refused_in_one_line_that_names_who_takes_them(message, layer, estimator):
    for arguments in ({"message": layer[:, 0] + 0.5}, {"message": message, "given": layer[:, :2]}):
        with pytest.raises(InputError, match=r"continuous.*classes only.*gaussian or copula") as caught:
            estimator(activations=layer, **arguments)
        assert "\n" not in str(caught.value)


def test_a_stratum_with_too_few_of_a_class_is_named(message, layer):
    given = np.zeros(300, int)
    given[np.flatnonzero(message == 2)[:3]] = 1
    given[np.flatnonzero(message == 0)[:9]] = 1
    with pytest.raises(InputError, match="class 2 of the message has 3 samples in stratum 1 of what is given"):
        quadratic(message, layer, given=given)


def test_the_smallest_class_is_named():
    message = np.repeat([0, 1, 3], [20, 4, 3])
    with pytest.raises(InputError, match="class 3 of race has 3 samples, nested cross-validation needs 5"):
        check_folds(Message(message, classes=4), "race")
    with pytest.raises(InputError, match="class 1 of race has 0 samples"):
        check_folds(Message(np.zeros(20, int)), "race")


# --- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("estimator", [quadratic, linear_svm])
def test_nodes_of_several_columns(message, layer, estimator):
    """Groups of one column are no groups; a node of two columns is both of them."""
    plain = np.asarray(estimator(message, layer))
    np.testing.assert_array_equal(estimator(message, layer, groups=[0, 1, 2]), plain)
    grouped = np.asarray(estimator(message, layer, groups=[0, 1, 0]))
    np.testing.assert_allclose(grouped, plain[[0, 5, 2, 7]], atol=1e-6)
