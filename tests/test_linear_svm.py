"""The linear SVM estimate: scikit-learn as the authors ran it, and the batched solver that agrees with it."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from scipy.stats import loguniform
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from jaxflow import InputError
from jaxflow.information import linear_svm
from jaxflow.information.cross_validation import (
    DRAW_SEED,
    DRAWS,
    LARGEST,
    SMALLEST,
    hyperparameter_draws,
    inner_splitter,
    nested_folds,
    outer_splitter,
)
from jaxflow.information.linear import search_layers
from jaxflow.information.newton import solve
from jaxflow.information.sklearn_svms import Task, kernel_pipeline, linear_pipeline, search_task
from jaxflow.information.svms import KERNEL
from jaxflow.messages import accuracy_to_information
from jaxflow.pipeline import preset

C = ("linearsvc__C",)


@pytest.fixture
def message(rng):
    return (rng.random(400) < 0.4).astype(int)


@pytest.fixture
def layer(rng, message):
    return (rng.normal(size=(400, 3)) + np.outer(message, [1.0, 0.4, 0.0])).astype(np.float32)


@pytest.fixture(scope="module")
def activations(reference):
    """Of the authors' network 0."""
    params = {
        f"layer_{layer}": {leaf: reference[f"{leaf}_{layer}"][0] for leaf in ("kernel", "bias")} for layer in (0, 1)
    }
    return oracles.forward(params, reference["x"])


def random_search(pipeline, names):
    """The authors' search, by scikit-learn's own machinery."""
    ranges = dict.fromkeys(names, loguniform(SMALLEST, LARGEST))
    return RandomizedSearchCV(pipeline, ranges, n_iter=DRAWS, cv=inner_splitter(), random_state=DRAW_SEED)


# --- against the authors' digits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["y", "z"])
def test_sklearn_gives_the_authors_digits(reference, activations, name):
    """They take H(M) = 1, so the accuracy that their bits stand for is compared, to the digit."""
    folds = search_task(Task(linear_pipeline, C, activations[2], reference[name]))[0]
    theirs = reference[f"linear_svm_bits_{name}_2_network0"][3]
    assert oracles.accuracy_of(theirs, 0.5) == pytest.approx(folds.mean(), abs=1e-9)


@pytest.mark.parametrize(("layer", "name"), [(0, "z"), (1, "y"), (2, "z")])
def test_batched_solver_gives_the_authors_accuracies(reference, activations, layer, name):
    """All subsets, to within two of 5,300 test samples.

    Their program reads an accuracy below chance as information (up to 0.0004 bit here); ours are 0 there.
    """
    message = reference[name]
    ours = np.asarray(linear_svm(message, activations[layer].astype(np.float32)), float)
    theirs = reference[f"linear_svm_bits_{name}_{layer}_network0"]
    told = ours > 0
    assert (theirs[~told] < 5e-4).all()
    accuracies = [
        [oracles.accuracy_of(b, p) for b in bits[told]] for bits, p in ((ours, message.mean()), (theirs, 0.5))
    ]
    np.testing.assert_allclose(*accuracies, atol=2.1 / 5300)


@pytest.mark.parametrize(
    ("pipeline", "names", "rows", "seed"),
    [
        (linear_pipeline, C, 101, 1),
        pytest.param(kernel_pipeline, KERNEL.hyperparameters, 180, 0, marks=pytest.mark.slow),
    ],
)
def test_the_plain_loop_is_scikit_learns_search_to_the_bit(pipeline, names, rows, seed):
    """Accuracies and draws of two outer folds; few rows and noise make ties, of which the first draw is taken."""
    rng = np.random.default_rng(seed)
    message = rng.integers(0, 2, rows)
    x = rng.normal(size=(rows, 2)) + np.outer(message, [0.6, 0])
    accuracy, chosen, *_ = search_task(Task(pipeline, names, x, message))
    assert pipeline is kernel_pipeline or len(set(chosen[:2])) == 2  # or all might be the first draw
    for k, (train, held_out) in list(enumerate(outer_splitter().split(x, message)))[:2]:
        search = random_search(pipeline(), names).fit(x[train], message[train])
        assert (accuracy[k], chosen[k]) == (search.score(x[held_out], message[held_out]), search.best_index_)


# --- against scikit-learn on other data ---------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_solver_finds_the_minimum_that_scikit_learn_finds(layer, message, c):
    x = StandardScaler().fit_transform(layer.astype(float))
    exact = LinearSVC(dual=False, C=c, tol=1e-10, max_iter=10_000).fit(x, message)
    features = np.column_stack([x, np.ones(len(x))]).T[None].astype(np.float32)
    signs = (2.0 * message[None] - 1).astype(np.float32)
    w, failed = solve(jnp.asarray(features), jnp.asarray(signs), jnp.full((1, 1), c), jnp.zeros((1, 1, 4)))
    assert int(failed) == 0
    np.testing.assert_allclose(w[0, 0], np.append(exact.coef_, exact.intercept_), rtol=1e-3, atol=1e-4)


def test_many_coordinates_end_at_a_minimum(rng):
    """The gradient at the solution, in double precision, is small beside its parts."""
    x = np.where(rng.random((60, 900)) < 0.5, 1e-2, 1.0) * rng.normal(size=(60, 900))
    t = np.sign(x[:20].sum(axis=0) + rng.normal(size=900))
    c = np.array([0.01, 1.0, 100.0])
    start = np.zeros((1, 3, 60))
    w, failed = jax.jit(solve)(*(jnp.asarray(a, jnp.float32) for a in (x[None], t[None], c[None], start)))
    assert int(failed) == 0
    for own, by in zip(np.asarray(w[0], float), c, strict=True):
        pull = by * x * (2 * np.maximum(1 - t * (own @ x), 0) * t)
        assert np.abs(own - pull.sum(axis=1)).max() < 1e-3 * np.abs(pull).sum(axis=1).max()


@pytest.mark.usefixtures("few_draws")
def test_many_fits_at_once_equal_one_by_one(layer, message):
    folds = jax.device_put(nested_folds(message))
    c = jnp.asarray(hyperparameter_draws(*C), jnp.float32)
    layers = jnp.stack([jnp.asarray(x.T) for x in (layer, layer[:, ::-1], layer * [1, 0, 1])])
    signs = jnp.asarray(2 * message[None] - 1, jnp.float32)
    together = search_layers(layers, signs, folds, c)
    kept = search_layers(layers, signs, folds, c, together.chosen)
    for b in range(3):
        alone = search_layers(layers[b : b + 1], signs, folds, c)
        np.testing.assert_array_equal(together.chosen[b], alone.chosen[0])
        np.testing.assert_allclose(together.accuracy[b], alone.accuracy[0], atol=1e-6)
        np.testing.assert_allclose(kept.accuracy[b], alone.accuracy[0], atol=1e-6)


def test_backends_choose_the_same_c_and_agree_in_a_fold(layer, message):
    """The first and the last."""
    c = hyperparameter_draws(*C)
    folds = jax.device_put(nested_folds(message))
    signs = jnp.asarray(2 * message[None] - 1, jnp.float32)
    search = search_layers(jnp.asarray(layer.T)[None], signs, folds, jnp.asarray(c, jnp.float32))
    for k, (rows, held_out) in list(enumerate(outer_splitter().split(layer, message)))[::4]:
        theirs = random_search(linear_pipeline(), C).fit(layer[rows], message[rows])
        scores = theirs.cv_results_["mean_test_score"]
        ours = int(search.chosen[0, k])
        assert scores[ours] >= scores.max() - 1.1 / len(rows)  # the same C, or a tie within one sample
        chosen = make_pipeline(StandardScaler(), LinearSVC(dual=False, C=c[ours, 0])).fit(layer[rows], message[rows])
        expected = chosen.score(layer[held_out], message[held_out])
        assert float(search.accuracy[0, k]) == pytest.approx(expected, abs=1.1 / len(held_out))


def test_folds_are_scikit_learns_and_cover_every_row(message):
    folds = nested_folds(message)
    assert sorted(folds.test[folds.test >= 0]) == list(range(400))
    for k, (rows, _) in enumerate(outer_splitter().split(message, message)):
        inner = list(inner_splitter().split(message[rows], message[rows]))
        for j, (train, test) in enumerate(inner):
            got = folds.inner_train[4 * k + j]
            np.testing.assert_array_equal(got[got >= 0], rows[train])
            got = folds.inner_test[4 * k + j]
            np.testing.assert_array_equal(got[got >= 0], rows[test])


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_draws")
def test_scale_shift_and_order_change_nothing(layer, message):
    bits = linear_svm(message, layer)
    np.testing.assert_allclose(linear_svm(message, -5 * layer + 3), bits, atol=5e-3)
    permuted = linear_svm(message, layer[:, ::-1])
    order = [int(f"{mask:03b}"[::-1], 2) for mask in range(8)]
    np.testing.assert_allclose(np.asarray(permuted)[order], bits, atol=5e-3)


@pytest.mark.usefixtures("few_draws")
def test_separable_is_the_entropy_and_noise_is_nothing(rng, message):
    p = message.mean()
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    bits = linear_svm(message, np.column_stack([message, np.ones(400), 0.01 * rng.normal(size=400)]))
    assert float(bits[0b001]) == pytest.approx(entropy, abs=1e-6)
    np.testing.assert_array_equal(np.asarray(bits)[[0b000, 0b010]], 0)
    assert float(bits[0b100]) < 0.02
    assert np.isfinite(bits).all()


def test_fano_is_finite_and_clipped_at_both_ends(message):
    p = message.mean()
    bits = accuracy_to_information(np.array([0.0, 0.5, 1 - p, 0.9, 1.0]), message)
    assert bits[:3].tolist() == [0, 0, 0]
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    assert bits[3] == pytest.approx(entropy + 0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert bits[4] == pytest.approx(entropy)


@pytest.mark.usefixtures("few_draws")
def test_chosen_subsets_equal_those_of_all(layer, message):
    np.testing.assert_array_equal(
        linear_svm(message, layer, subsets=(7, 2)), np.asarray(linear_svm(message, layer))[[7, 2]]
    )


@pytest.mark.usefixtures("few_draws")
def test_messages_and_layers_broadcast(layer, message):
    other = 1 - message[::-1]
    bits = linear_svm(np.stack([message, other])[:, None], np.stack([layer, 2 * layer]), subsets=(7,))
    assert bits.shape == (2, 2, 1)
    assert float(bits[1, 0, 0]) == float(linear_svm(other, layer, subsets=(7,))[0])


def test_constant_message_carries_nothing(layer):
    np.testing.assert_array_equal(linear_svm(np.ones(400, int), layer), 0)


def test_too_few_samples_and_unknown_backends_are_refused(layer):
    few = np.zeros(400, int)
    few[:4] = 1
    with pytest.raises(InputError, match="has 4 samples, nested cross-validation needs 5"):
        linear_svm(few, layer)
    with pytest.raises(InputError, match="unknown backend 'torch'; choose from jax, sklearn"):
        linear_svm(few, layer, backend="torch")


def test_the_papers_strategies_are_the_classifiers_default():
    assert len(preset("adult-small", estimator="linear-svm").strategies) == 12
    assert len(preset("adult-small").strategies) == 30
