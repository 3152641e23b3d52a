"""Kernel support vector machines: a Gaussian kernel through Nyström's map, then a linear machine by Newton's method.

The map is scikit-learn's ``Nystroem`` up to a rotation, which changes nothing for a machine with a spherical penalty:

    φ(x) = L⁻¹ k(x)   k(x)ᵢ = exp(−γ‖x − ℓᵢ‖²)   K + εI = LLᵀ   Kᵢⱼ = exp(−γ‖ℓᵢ − ℓⱼ‖²)

with the landmarks ℓ drawn from the training rows. ε fades out what float32 cannot tell from rounding; scikit-learn cuts
the eigenvalues at 1e-12. The objective is ½‖w‖² + C Σ h(1 − t (wᵀφ + b)), b free, h the hinge of the paper's program
rounded off within ¼ of its kink, so that Newton's method converges (see docs/method.md). More than two classes share
the map, γ and C; there is one machine for each against the rest.
"""

import functools
import operator
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information import matrices
from jaxflow.information.cross_validation import INNER, OUTER, Folds, Search
from jaxflow.information.linear import fraction, of_all_machines, told_right, training_rows
from jaxflow.information.newton import HIGHEST
from jaxflow.information.rounded import Machine, solve
from jaxflow.programs import ALONE

RIDGE = 1e-5  # ε
FREE = 1e-6  # penalty of the intercept: as good as none, and keeps the Hessian regular


def squared_distances(a: Float[Array, "n A"], b: Float[Array, "n B"]) -> Float[Array, "A B"]:
    """‖aᵢ − bⱼ‖² of all columns, from differences: none is negative."""
    return functools.reduce(operator.add, ((own[:, None] - other[None]) ** 2 for own, other in zip(a, b, strict=True)))


def told_of_fold(
    x: Float[Array, "n N"],
    t: Float[Array, "R N"],
    train: Int[Array, " B"],
    test: Int[Array, " b"],
    landmarks: Int[Array, " m"],
    draws: Float[Array, "K 2"],
) -> tuple[Bool[Array, "K b"], Int[Array, " K"]]:
    """Which held-out rows of one fold are told right by every draw (γ, C), and how many of its fits did not converge.

    Rows numbered −1 do not count; the distances are shared by all draws, the map by the machines of all classes.
    """
    features, mean, deviation = training_rows(x, train[None])
    standardised = (x - mean[0][:, None]) / deviation[0][:, None]
    marks = standardised[:, landmarks]
    used, real = landmarks >= 0, train >= 0
    far, out = (_distances_and_zero(rows, marks, used) for rows in (features[0, :-1], standardised[:, test]))
    far = jnp.where(real[:, None], far, jnp.inf)
    between = jnp.where(used[:, None], _distances_and_zero(marks, marks, used)[:, :-1], jnp.inf)
    signs = jnp.where(real, t[:, train], 0)

    def fit(draw: Float[Array, "2"]) -> tuple[Array, Array]:
        gamma, c = draw
        whiten = jax.scipy.linalg.block_diag(whitening(jnp.exp(-gamma * between)).T, 1.0)
        phi = jnp.matmul(jnp.exp(-gamma * far), whiten, precision=HIGHEST)
        tested = jnp.exp(-gamma * out)
        penalty = jnp.ones(len(whiten), phi.dtype).at[-1].set(FREE)

        def machine(own: Float[Array, " B"]) -> tuple[Array, Array]:
            w, failed = solve(Machine(phi, own, c, penalty))
            return jnp.matmul(tested, jnp.matmul(whiten, w, precision=HIGHEST), precision=HIGHEST), failed.astype(int)

        scores, failed = of_all_machines(machine, signs)
        return told_right(scores, t[:, test]) & (test >= 0), failed

    return batched_map(fit, draws, _fit_bytes(train))


def _distances_and_zero(
    rows: Float[Array, "n A"], marks: Float[Array, "n m"], used: Bool[Array, " m"]
) -> Float[Array, "A m+1"]:
    """Of all rows from all landmarks, infinite from those that are none, and a last column of zeros."""
    return jnp.pad(jnp.where(used[None], squared_distances(rows, marks), jnp.inf), ((0, 0), (0, 1)))


def fold_accuracies(
    x: Float[Array, "n N"],
    t: Float[Array, "R N"],
    train: Int[Array, " B"],
    test: Int[Array, " b"],
    landmarks: Int[Array, " m"],
    draws: Float[Array, "K 2"],
) -> tuple[Float[Array, " K"], Int[Array, " K"]]:
    """Held-out accuracy of one fold for every draw, and how many of its fits did not converge: ``told_of_fold``."""
    right, failed = told_of_fold(x, t, train, test, landmarks, draws)
    return fraction(right, jnp.broadcast_to(test[None], right.shape)), failed


def whitening(kernel: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """L⁻¹ of K + εI = LLᵀ."""
    eye = jnp.eye(len(kernel), dtype=kernel.dtype)
    return matrices.inverse(matrices.root(kernel + RIDGE * eye))


def _fit_bytes(train: Array) -> int:
    """What one fit needs: features, kernel and masked features of all rows."""
    return 4 * 4 * 128 * train.shape[-1]


def choose(
    x: Float[Array, "n N"], t: Float[Array, "R N"], folds: Folds, draws: Float[Array, "K 2"]
) -> tuple[Int[Array, " 5"], Int[Array, ""]]:
    """The draw of every outer fold, by mean accuracy over its inner folds, the first among equals; unconverged fits."""
    rows = folds.inner_train, folds.inner_test, folds.inner_landmarks
    item_bytes = len(draws) * _fit_bytes(folds.inner_train)
    accuracy, failed = batched_map(lambda fold: fold_accuracies(x, t, *fold, draws=draws), rows, item_bytes)
    chosen = jnp.argmax(jnp.mean(accuracy.reshape(OUTER, INNER, -1), axis=1), axis=-1)
    return chosen, jnp.sum(failed)


def score(
    x: Float[Array, "n N"], t: Float[Array, "R N"], folds: Folds, own: Float[Array, "5 2"]
) -> tuple[Bool[Array, "5 B"], Int[Array, ""]]:
    """Which held-out rows of every outer fold are told right with its own draw, and unconverged fits."""
    rows = folds.train, folds.test, folds.landmarks, own[:, None]
    right, failed = batched_map(lambda fold: told_of_fold(x, t, *fold), rows, _fit_bytes(folds.train))
    return right[:, 0], jnp.sum(failed)


@partial(jax.jit, compiler_options=ALONE)
def search_layers(
    layers: Float[Array, "B n N"],
    t: Float[Array, "R N"],
    folds: Folds,
    draws: Float[Array, "K 2"],
    chosen: Int[Array, "B 5"] | None = None,
) -> Search:
    """Nested cross-validation of every layer, fields ``[B, ...]``; given the draws of the folds, only the outer one.

    Args:
        layers: activations.
        t: signs of the machines, see ``one_against_the_rest``.
        folds: of the message.
        draws: values of γ and C.
        chosen: numbers of the draws to use instead of searching.
    """

    def one(item: tuple[Array, ...], t: Array, folds: Folds, draws: Array) -> Search:
        x, *known = item
        own, unchosen = (known[0], 0) if known else choose(x, t, folds, draws)
        right, unscored = score(x, t, folds, draws[own])
        return Search(fraction(right, folds.test), own, unchosen + unscored, right)

    fits = OUTER if chosen is not None else OUTER * INNER * len(draws)
    items = (layers,) if chosen is None else (layers, chosen)
    return batched_map(one, items, fits * _fit_bytes(folds.train), t, folds, draws)
