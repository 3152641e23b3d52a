"""The kernel SVM estimate: the same Nyström map as scikit-learn's, a solver that converges, XOR, and its laws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.kernel_approximation import Nystroem
from sklearn.preprocessing import StandardScaler

from jaxflow import InputError, node_flows
from jaxflow.information import kernel_svm, linear_svm, rank_normalised, rounded
from jaxflow.information.cross_validation import (
    INNER,
    LANDMARK_SEED,
    LANDMARKS,
    hyperparameter_draws,
    nested_folds,
    outer_splitter,
)
from jaxflow.information.newton import SQUARED_HINGE, smoothed_hinge
from jaxflow.information.nystrom import fold_accuracies, search_layers, whitening
from jaxflow.information.sklearn_svms import Task, kernel_pipeline, search_task
from jaxflow.information.svms import KERNEL, PUBLISHED

NAMES = KERNEL.hyperparameters
EXTREMES = [(0.01, 100.0), (0.01, 0.01), (1.0, 1.0), (100.0, 100.0), (100.0, 0.01)]  # gamma, C


def ring(rng, count=400):
    """One class inside the other: nothing linear to see; a quarter of the message is noise."""
    x = rng.normal(size=(count, 2)).astype(np.float32)
    inside = np.linalg.norm(x, axis=1) < 1.2
    return x, np.where(rng.random(count) < 0.15, ~inside, inside).astype(int)


def awkward_layers(rng):
    """A ring, separable classes, a duplicated column, a constant one, a leaky sliver, values far from 0, few rows."""
    x, message = ring(rng)
    squeezed = np.where(x > 0, x, 0.01 * x)
    return {
        "ring": (x, message),
        "separable": (np.column_stack([x[:, 0] + 9 * message, x[:, 1]]).astype(np.float32), message),
        "duplicated": (x[:, [0, 0]], message),
        "constant": (np.column_stack([x[:, 0], np.ones(len(x), np.float32)]), message),
        "sliver": (squeezed, message),
        "far": (x + np.float32(100), message),
        "binary": ((x > 0).astype(np.float32), (x[:, 0] > 0) ^ (x[:, 1] > 0)),
        "few rows": (x[:80], message[:80]),  # all of which are landmarks
    }


LAYERS = tuple(awkward_layers(np.random.default_rng(0)))
of_a_fold = jax.jit(fold_accuracies)
solved = jax.jit(lambda *arrays: rounded.solve(rounded.Machine(*arrays)))


# --- the solver against scikit-learn's ----------------------------------------------------------------------------


def test_landmarks_are_nystroems(rng):
    """The first inner fold of every outer one."""
    _, message = ring(rng)
    folds = nested_folds(message)
    for rows, landmarks in zip(folds.inner_train[::INNER], folds.inner_landmarks[::INNER], strict=True):
        real = rows[rows >= 0]
        theirs = Nystroem(n_components=LANDMARKS, random_state=LANDMARK_SEED).fit(real[:, None].astype(float))
        np.testing.assert_array_equal(landmarks, real[theirs.component_indices_])


@pytest.mark.parametrize("name", LAYERS)
def test_a_fold_is_told_as_by_an_exact_solver_in_scikit_learns_map(rng, name):
    """Extreme γ and C, double precision, the same objective: at most two held-out samples apart, all converged.

    Of the extremes SciPy solves all for the ring, and those of the largest C for the others, which takes its time.
    """
    x, message = awkward_layers(rng)[name]
    message = np.asarray(message).astype(int)
    folds = jax.device_put(nested_folds(message))
    assert (name == "few rows") == (int(np.sum(folds.inner_train[0] >= 0)) < LANDMARKS)
    signs = jnp.asarray(2 * message[None] - 1, jnp.float32)
    rows = folds.inner_train[0], folds.inner_test[0], folds.inner_landmarks[0]
    ours, failed = of_a_fold(jnp.asarray(x.T), signs, *rows, jnp.asarray(EXTREMES, jnp.float32))
    assert not np.asarray(failed).any()
    train, test = (np.asarray(r)[np.asarray(r) >= 0] for r in rows[:2])
    scaler = StandardScaler().fit(x[train].astype(float))
    solved_by_scipy = list(zip(EXTREMES, ours, strict=True))[:: 1 if name == "ring" else 3]
    for (gamma, c), accuracy in solved_by_scipy:
        nystroem = Nystroem(gamma=gamma, n_components=min(LANDMARKS, len(train)), random_state=LANDMARK_SEED)
        phi = np.column_stack([nystroem.fit_transform(scaler.transform(x[train].astype(float))), np.ones(len(train))])
        w = exact_minimum(phi, 2.0 * message[train] - 1, c)
        scores = nystroem.transform(scaler.transform(x[test].astype(float))) @ w[:-1] + w[-1]
        theirs = np.mean((scores > 0) == (message[test] > 0))
        assert float(accuracy) == pytest.approx(theirs, abs=2.1 / len(test)), (gamma, c)


def exact_minimum(phi, t, c):
    """Of the objective in double precision, by SciPy's trust region."""
    penalty = np.append(np.ones(phi.shape[1] - 1), 1e-6)

    def objective(w):
        r = 1 - t * (phi @ w)
        parts = np.where(r > 0.25, r, np.maximum(r + 0.25, 0) ** 2)
        pull = np.clip((r + 0.25) / 0.5, 0, 1)
        return penalty @ w**2 / 2 + c * parts.sum(), penalty * w - c * phi.T @ (pull * t)

    def hessian(w):
        near = np.abs(1 - t * (phi @ w)) < 0.25
        return np.diag(penalty) + 2 * c * phi[near].T @ phi[near]

    start = np.zeros(phi.shape[1])
    return minimize(objective, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-6}).x


def test_the_solver_ends_at_a_minimum(rng):
    """The gradient at its solution, in double precision, is small beside its parts."""
    x = np.where(rng.random((900, 60)) < 0.5, 1e-2, 1.0) * rng.normal(size=(900, 60))
    t = np.sign(x[:, :20].sum(axis=1) + rng.normal(size=900))
    x[:, -1] = 1
    penalty = np.ones(60)
    penalty[-1] = 1e-6
    for c in (0.01, 1.0, 100.0):
        w, failed = solved(*(jnp.asarray(a, jnp.float32) for a in (x, t, c, penalty)))
        assert not failed
        w = np.asarray(w, float)
        pull = c * x.T * (np.asarray(smoothed_hinge(0.25).slope(jnp.asarray(1 - t * (x @ w)))) * t)
        assert np.abs(penalty * w - pull.sum(axis=1)).max() < 1e-3 * np.abs(pull).sum(axis=1).max()


def test_the_hessians_rows_are_followed_from_any_others(rng):
    """None or all before, few or many that change, more than a block: always the sum over the rows as they are."""
    x = rng.normal(size=(900, 60)).astype(np.float32)
    follow = jax.jit(rounded.scatter_of)
    rows = rng.random(900) < 0.4
    for old in (
        rows,
        rows ^ (rng.random(900) < 0.02),
        rows ^ (rng.random(900) < 0.3),
        ~rows,
        rows & False,
        rows | True,
    ):
        before = x[old].T.astype(float) @ x[old]
        now = follow(*map(jnp.asarray, (x, rows, old, before.astype(np.float32))))
        np.testing.assert_allclose(now, x[rows].T.astype(float) @ x[rows], atol=1e-3)


@pytest.mark.parametrize("loss", [SQUARED_HINGE, smoothed_hinge(0.25), smoothed_hinge(2)])
def test_slopes_and_curvatures_are_the_derivatives(loss):
    r = jnp.array([-3.0, -0.2, 0.1, 0.3, 2.5])
    np.testing.assert_allclose(jax.vmap(jax.grad(loss.value))(r), loss.slope(r), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(loss.slope))(r), loss.curvature(r), rtol=1e-6)
    np.testing.assert_array_equal([f(jnp.array(-jnp.inf)) for f in loss], 0)


def test_whitening_survives_equal_landmarks():
    kernel = np.ones((100, 100), np.float32)
    assert np.isfinite(whitening(jnp.asarray(kernel))).all()
    assert np.isfinite(whitening(jnp.zeros((100, 100), jnp.float32))).all()


@pytest.mark.usefixtures("few_draws")
def test_nested_accuracy_lies_within_the_spread_of_stochastic_gradients(rng):
    """Mean outer accuracy beside scikit-learn's under two SGD seeds, on 200 rows: two standard errors of a fold."""
    x, message = ring(rng, 200)
    folds = jax.device_put(nested_folds(message))
    draws = jnp.asarray(hyperparameter_draws(*NAMES), jnp.float32)
    ours = search_layers(jnp.asarray(x.T)[None], jnp.asarray(2 * message[None] - 1, jnp.float32), folds, draws)
    theirs = [search_task(Task(partial(kernel_pipeline, s), NAMES, x.astype(float), message))[0] for s in range(2)]
    assert float(ours.accuracy.mean()) == pytest.approx(np.mean(theirs), abs=0.03)
    assert int(ours.unconverged[0]) == 0


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("backend", ["jax", "sklearn"])
def test_sees_what_is_not_linear(rng, backend):
    """M = X₁ xor X₂: 1 bit together, nothing alone, flow 1 on both nodes."""
    x = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], 50, axis=0) + 0.05 * rng.normal(size=(200, 2))
    message = np.repeat([0, 1, 1, 0], 50)
    bits = np.concatenate([kernel_svm(message, x, subsets=[mask], backend=backend) for mask in range(4)])
    np.testing.assert_allclose(bits, [0, 0, 0, 1], atol=0.1)
    np.testing.assert_allclose(node_flows(jnp.asarray(bits))[0], 1, atol=0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_laws_of_order_scale_batch_and_repetition(rng):
    """The order of nodes, scale, shift and what else is estimated beside it change nothing; nor does asking again."""
    x, message = ring(rng, 200)
    layers = np.stack([x, x[:, ::-1], -3 * x + 2, x])
    bits = np.asarray(kernel_svm(message, layers, subsets=[3]))
    np.testing.assert_allclose(bits, np.broadcast_to(bits[0], bits.shape), atol=0.02)
    np.testing.assert_array_equal(bits[0], bits[3])
    np.testing.assert_allclose(kernel_svm(message, x, subsets=[3]), bits[0], atol=1e-6)


@pytest.mark.usefixtures("few_draws")
def test_kept_draws_give_the_same_accuracies_without_a_search(rng):
    x, message = ring(rng, 200)
    folds = jax.device_put(nested_folds(message))
    draws = jnp.asarray(hyperparameter_draws(*NAMES), jnp.float32)
    signs = jnp.asarray(2 * message[None] - 1, jnp.float32)
    searched = search_layers(jnp.asarray(x.T)[None], signs, folds, draws)
    kept = search_layers(jnp.asarray(x.T)[None], signs, folds, draws, searched.chosen)
    np.testing.assert_allclose(kept.accuracy, searched.accuracy, atol=1e-6)
    theirs = Task(kernel_pipeline, NAMES, x.astype(float), message)
    accuracy, chosen, *_ = search_task(theirs)
    again, same, *_ = search_task(theirs._replace(chosen=chosen))
    np.testing.assert_array_equal(accuracy, again)
    np.testing.assert_array_equal(chosen, same)


@pytest.mark.usefixtures("few_draws")
def test_separable_unbalanced_and_noise(rng):
    message = (rng.random(200) < 0.2).astype(int)
    p = message.mean()
    x = np.column_stack([message, np.zeros(200)])
    bits = [float(kernel_svm(message, x, subsets=[mask])[0]) for mask in range(3)]
    assert bits[1] == pytest.approx(-p * np.log2(p) - (1 - p) * np.log2(1 - p), abs=1e-6)
    assert bits[0] == bits[2] == 0


def test_folds_cover_the_inner_loop():
    message = np.tile([0, 1], 100)
    assert len(nested_folds(message).inner_train) == INNER * outer_splitter().get_n_splits(message, message)


def test_the_published_alpha_is_scikit_learns_alone(rng):
    """A penalty so strong that the majority class is predicted; the batched solver refuses it."""
    x, message = ring(rng, 120)
    with pytest.raises(InputError, match="exists with backend sklearn only"):
        kernel_svm(message, x, published_alpha=True)
    draws = hyperparameter_draws(*PUBLISHED.hyperparameters)
    strong = np.flatnonzero(draws[:, 1] > 1)[0]
    task = Task(PUBLISHED.pipeline, PUBLISHED.hyperparameters, x.astype(float), message, np.full(5, strong))
    majority = max(message.mean(), 1 - message.mean())
    assert search_task(task)[0].mean() == pytest.approx(majority, abs=0.06)


@pytest.mark.usefixtures("few_draws")
def test_rank_normalisation_makes_any_estimate_invariant_to_monotone_maps(rng):
    message = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 2)) + message[:, None]
    mapped = np.column_stack([np.exp(x[:, 0]), np.where(x[:, 1] > 0, x[:, 1], 0.01 * x[:, 1])])
    np.testing.assert_allclose(rank_normalised(mapped), rank_normalised(x), atol=1e-6)
    np.testing.assert_allclose(linear_svm(message, mapped, rank=True), linear_svm(message, x, rank=True), atol=1e-6)
    assert float(linear_svm(message, mapped, rank=True)[3]) != float(linear_svm(message, mapped)[3])


@pytest.mark.parametrize("backend", ["jax", "sklearn"])
def test_a_constant_column_tells_nothing_and_no_fit_fails(backend):
    """Nothing is fitted: warnings are errors here, of unconverged fits too. One class to four is the hard ratio."""
    message = (np.arange(100) % 5 < 1).astype(int)
    np.testing.assert_array_equal(kernel_svm(message, np.full((100, 1), 0.3, np.float32), backend=backend), 0)


def test_where_no_row_lies_on_a_curved_piece_the_solver_gets_away():
    """Equal rows, 1:4: the wide hinge ends where the narrow one is straight, and a full step is 1e9 times too long."""
    features = np.zeros((60, 101), np.float32)
    features[:, [0, -1]] = 1
    signs = np.where(np.arange(60) < 12, 1, -1).astype(np.float32)
    penalty = jnp.ones(101).at[-1].set(1e-6)
    for c in (0.01, 2.7, 28.0, 100.0):
        w, failed = solved(features, signs, jnp.float32(c), penalty)
        assert not failed
        assert float(w[0] + w[-1]) == pytest.approx(-1.125, abs=1e-3)
