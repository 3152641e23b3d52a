"""Nested cross-validation of linear support vector machines, all folds and all C at once.

The objective is scikit-learn's ``LinearSVC(dual=False)``: ½‖w‖² + C Σ max(0, 1 − t wᵀx)², t = ±1, the intercept one
more coordinate of w. The solutions for 25 values of C lie close together: all start from the one at C = 1. More than
two classes are told apart by one machine for each against the rest, with one C for all; the largest score decides.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map
from jaxflow.information.cross_validation import INNER, OUTER, Folds, Search
from jaxflow.information.newton import HIGHEST, solve
from jaxflow.programs import ALONE


def training_rows(
    x: Float[Array, "n N"], rows: Int[Array, "F R"]
) -> tuple[Float[Array, "F n+1 R"], Float[Array, "F n"], Float[Array, "F n"]]:
    """Standardised features of the rows of every fold, ones below them; mean and deviation (1 for a constant).

    The mean of a constant is the constant: by a sum and a division it may be off by a rounding, on one processor and
    not on another, and what would be left of the column is then as large as any other.
    """
    real = (rows >= 0)[:, None].astype(x.dtype)
    count = jnp.sum(real, axis=-1)
    chosen = jnp.moveaxis(x[:, rows], 0, 1)
    constant = jnp.all((chosen == chosen[..., :1]) | (real == 0), axis=-1)
    mean = jnp.where(constant, chosen[..., 0], jnp.sum(chosen * real, axis=-1) / count)
    centred = (chosen - mean[..., None]) * real
    variance = jnp.sum(centred**2, axis=-1) / count
    deviation = jnp.where(variance > 0, jnp.sqrt(variance), 1)
    return jnp.concatenate([centred / deviation[..., None], real], axis=1), mean, deviation


def held_out_scores(
    w: Float[Array, "F K d"],
    x: Float[Array, "n N"],
    rows: Int[Array, "F B"],
    mean: Float[Array, "F n"],
    deviation: Float[Array, "F n"],
) -> Float[Array, "F K B"]:
    """Scores wᵀx of every fold's test rows, standardised as its training rows are."""
    features = (jnp.moveaxis(x[:, rows], 0, 1) - mean[..., None]) / deviation[..., None]
    return jnp.einsum("fkd,fdn->fkn", w[..., :-1], features, precision=HIGHEST) + w[..., -1:]


def told_right(scores: Float[Array, "R *batch B"], signs: Float[Array, "R *batch B"]) -> Bool[Array, "*batch B"]:
    """Whether the machines tell the class: one by its sign, several by whose score is the largest."""
    if len(signs) == 1:
        return ((scores > 0) == (signs > 0))[0]
    return jnp.argmax(scores, axis=0) == jnp.argmax(signs, axis=0)


def of_all_machines(
    fit: Callable[[Float[Array, "..."]], tuple[Array, Array]], signs: Float[Array, "R *batch"]
) -> tuple[Float[Array, "R *shape"], Int[Array, ""]]:
    """Scores of the R machines, one after the other, and all fits that did not converge."""
    if len(signs) == 1:  # two classes: no loop
        scores, failed = fit(signs[0])
        return scores[None], failed
    scores, failed = jax.lax.map(fit, signs)
    return scores, jnp.sum(failed)


def choose(
    x: Float[Array, "n N"], t: Float[Array, "R N"], folds: Folds, c: Float[Array, " K"]
) -> tuple[Int[Array, " 5"], Int[Array, ""]]:
    """The draw of every outer fold, by mean accuracy over its inner folds, the first among equals; unconverged fits."""
    features, mean, deviation = training_rows(x, folds.inner_train)
    fits, d = features.shape[:2]

    def machine(signs: Float[Array, "F B"]) -> tuple[Array, Array]:
        middle, _ = solve(features, signs, jnp.ones((fits, 1)), jnp.zeros((fits, 1, d)))
        w, failed = solve(
            features, signs, jnp.broadcast_to(c[None], (fits, len(c))), jnp.broadcast_to(middle, (fits, len(c), d))
        )
        return held_out_scores(w, x, folds.inner_test, mean, deviation), failed

    scores, failed = of_all_machines(machine, _signs(t, folds.inner_train))
    right = _right(scores, t, folds.inner_test)
    accuracy = fraction(right, jnp.broadcast_to(folds.inner_test[:, None], right.shape))
    return jnp.argmax(jnp.mean(accuracy.reshape(OUTER, INNER, -1), axis=1), axis=-1), failed


def score(
    x: Float[Array, "n N"], t: Float[Array, "R N"], folds: Folds, c: Float[Array, " 5"]
) -> tuple[Bool[Array, "5 B"], Int[Array, ""]]:
    """Which held-out rows of every outer fold are told right with its own C, and unconverged fits."""
    features, mean, deviation = training_rows(x, folds.train)

    def machine(signs: Float[Array, "F B"]) -> tuple[Array, Array]:
        w, failed = solve(features, signs, c[:, None], jnp.zeros((*features.shape[:1], 1, features.shape[1])))
        return held_out_scores(w, x, folds.test, mean, deviation), failed

    scores, failed = of_all_machines(machine, _signs(t, folds.train))
    return _right(scores, t, folds.test)[:, 0], failed


def _signs(t: Float[Array, "R N"], rows: Int[Array, "F B"]) -> Float[Array, "R F B"]:
    """Signs of the rows of every fold; 0 where there are fewer."""
    return jnp.where((rows >= 0)[None], t[:, rows], 0)


def _right(scores: Float[Array, "R F K B"], t: Float[Array, "R N"], rows: Int[Array, "F B"]) -> Bool[Array, "F K B"]:
    """Whether every fold's test rows are told right."""
    return told_right(scores, jnp.broadcast_to(t[:, rows][:, :, None], scores.shape)) & (rows >= 0)[:, None]


def fraction(right: Bool[Array, "*batch B"], rows: Int[Array, "*batch B"]) -> Float[Array, "*batch"]:
    """Fraction of the rows that are told right; those numbered −1 are none."""
    return jnp.sum(right, axis=-1) / jnp.sum(rows >= 0, axis=-1)


@partial(jax.jit, compiler_options=ALONE)
def search_layers(
    layers: Float[Array, "B n N"],
    t: Float[Array, "R N"],
    folds: Folds,
    draws: Float[Array, "K 1"],
    chosen: Int[Array, "B 5"] | None = None,
) -> Search:
    """Nested cross-validation of every layer, fields ``[B, ...]``; given the draws of the folds, only the outer one.

    Args:
        layers: activations.
        t: signs of the machines, see ``one_against_the_rest``.
        folds: of the message.
        draws: values of C.
        chosen: numbers of the draws to use instead of searching.
    """

    def one(item: tuple[Array, ...], t: Array, folds: Folds, c: Array) -> Search:
        x, *known = item
        own, unchosen = (known[0], 0) if known else choose(x, t, folds, c)
        right, unscored = score(x, t, folds, c[own])
        return Search(fraction(right, folds.test), own, unchosen + unscored, right)

    fits = len(folds.train) if chosen is not None else folds.inner_train.shape[0] * len(draws)
    item_bytes = 16 * folds.train.shape[1] * fits
    items = (layers,) if chosen is None else (layers, chosen)
    return batched_map(one, items, item_bytes, t, folds, draws[:, 0])
