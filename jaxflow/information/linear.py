"""Nested cross-validation of linear support vector machines, all folds and all C at once.

The objective is scikit-learn's ``LinearSVC(dual=False)``: ½‖w‖² + C Σ max(0, 1 − t wᵀx)², t = ±1, the intercept one
more coordinate of w. The solutions for 25 values of C lie close together: all start from the one at C = 1.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import ALONE, batched_map
from jaxflow.information.cross_validation import INNER, OUTER, Folds, Search
from jaxflow.information.newton import HIGHEST, solve


def training_rows(
    x: Float[Array, "n N"], rows: Int[Array, "F R"]
) -> tuple[Float[Array, "F n+1 R"], Float[Array, "F n"], Float[Array, "F n"]]:
    """Standardised features of the rows of every fold, ones below them; mean and deviation (1 for a constant)."""
    real = (rows >= 0)[:, None].astype(x.dtype)
    count = jnp.sum(real, axis=-1)
    chosen = jnp.moveaxis(x[:, rows], 0, 1)
    mean = jnp.sum(chosen * real, axis=-1) / count
    centred = (chosen - mean[..., None]) * real
    variance = jnp.sum(centred**2, axis=-1) / count
    deviation = jnp.where(variance > 0, jnp.sqrt(variance), 1)
    return jnp.concatenate([centred / deviation[..., None], real], axis=1), mean, deviation


def held_out_accuracy(
    w: Float[Array, "F K d"],
    x: Float[Array, "n N"],
    t: Float[Array, " N"],
    rows: Int[Array, "F R"],
    mean: Float[Array, "F n"],
    deviation: Float[Array, "F n"],
) -> Float[Array, "F K"]:
    """Fraction of every fold's test rows on the right side."""
    features = (jnp.moveaxis(x[:, rows], 0, 1) - mean[..., None]) / deviation[..., None]
    scores = jnp.einsum("fkd,fdn->fkn", w[..., :-1], features, precision=HIGHEST) + w[..., -1:]
    real = (rows >= 0)[:, None]
    right = ((scores > 0) == (t[rows] > 0)[:, None]) & real
    return jnp.sum(right, axis=-1) / jnp.sum(real, axis=-1)


def choose(
    x: Float[Array, "n N"], t: Float[Array, " N"], folds: Folds, c: Float[Array, " K"]
) -> tuple[Int[Array, " 5"], Int[Array, ""]]:
    """The draw of every outer fold, by mean accuracy over its inner folds, the first among equals; unconverged fits."""
    features, mean, deviation = training_rows(x, folds.inner_train)
    signs = jnp.where(folds.inner_train >= 0, t[folds.inner_train], 0)
    fits, d = features.shape[:2]
    middle, _ = solve(features, signs, jnp.ones((fits, 1)), jnp.zeros((fits, 1, d)))
    w, failed = solve(
        features, signs, jnp.broadcast_to(c[None], (fits, len(c))), jnp.broadcast_to(middle, (fits, len(c), d))
    )
    accuracy = held_out_accuracy(w, x, t, folds.inner_test, mean, deviation)
    return jnp.argmax(jnp.mean(accuracy.reshape(OUTER, INNER, -1), axis=1), axis=-1), failed


def score(
    x: Float[Array, "n N"], t: Float[Array, " N"], folds: Folds, c: Float[Array, " 5"]
) -> tuple[Float[Array, " 5"], Int[Array, ""]]:
    """Held-out accuracy of every outer fold with its own C, and unconverged fits."""
    features, mean, deviation = training_rows(x, folds.train)
    signs = jnp.where(folds.train >= 0, t[folds.train], 0)
    w, failed = solve(features, signs, c[:, None], jnp.zeros((*features.shape[:1], 1, features.shape[1])))
    return held_out_accuracy(w, x, t, folds.test, mean, deviation)[:, 0], failed


@partial(jax.jit, compiler_options=ALONE)
def search_layers(
    layers: Float[Array, "B n N"],
    t: Float[Array, " N"],
    folds: Folds,
    draws: Float[Array, "K 1"],
    chosen: Int[Array, "B 5"] | None = None,
) -> Search:
    """Nested cross-validation of every layer, fields ``[B, ...]``; given the draws of the folds, only the outer one."""

    def one(item: tuple[Array, ...], t: Array, folds: Folds, c: Array) -> Search:
        x, *known = item
        own, unchosen = (known[0], 0) if known else choose(x, t, folds, c)
        accuracy, unscored = score(x, t, folds, c[own])
        return Search(accuracy, own, unchosen + unscored)

    fits = len(folds.train) if chosen is not None else folds.inner_train.shape[0] * len(draws)
    item_bytes = 16 * folds.train.shape[1] * fits
    items = (layers,) if chosen is None else (layers, chosen)
    return batched_map(one, items, item_bytes, t, folds, draws[:, 0])
