"""Linear support vector machines for all folds and all C at once, by Newton's method.

The objective is scikit-learn's ``LinearSVC(dual=False)``: ½‖w‖² + C Σ max(0, 1 − t wᵀx)², t = ±1, the intercept one
more coordinate of w. It is piecewise quadratic, so Newton's method is exact once the active set {t wᵀx < 1} is right,
and the few coordinates make every step three thin matrix products over the samples:

    margins          W X               [C, d] × [d, N]
    gradient         W − 2C (r ∘ t) Xᵀ   r = max(0, 1 − margin)
    Hessians         I + 2C A (X ⊗ X)ᵀ   A the 0/1 active set, X ⊗ X the products of feature pairs

The solutions for 25 values of C lie close together: all start from the one at C = 1.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.batching import ALONE, batched_map
from jaxflow.information.cross_validation import INNER, OUTER, Folds, Search

HIGHEST = jax.lax.Precision.HIGHEST
MOST_PAIRED = 32
LENGTHS = (1.0, 0.25, 0.5, 2.0, 4.0)
STEPS, TOLERANCE = 30, 1e-6  # of Newton's method; squared decrement against objective: the resolution of float32


class Fits(NamedTuple):
    """Where the solver stands: weights ``[F, K, d]``, hinges r ``[F, K, N]``, objective, step length, decrement."""

    w: Array
    hinge: Array
    objective: Array
    length: Array
    decrement: Array


def solve_squared_hinge(
    x: Float[Array, "F d N"],
    t: Float[Array, "F N"],
    c: Float[Array, "F K"],
    start: Float[Array, "F K d"],
    penalty: Float[Array, " d"] | None = None,
) -> tuple[Float[Array, "F K d"], Int[Array, ""]]:
    """argmin_w ½ Σ p w² + C Σ max(0, 1 − t wᵀx)² for F samples and K values of C at once.

    The best of a few lengths is stepped; where none lowers the objective they are halved, so the method cannot cycle.
    Many coordinates take several lengths (kinks close together make the full step too short or too long, and trying
    costs little beside a Hessian), few take the full one.

    Args:
        x: features, the intercept's ones among them.
        t: ±1, 0 for rows that do not count.
        c: C of every fit.
        start: weights to begin with.
        penalty: p, of every coordinate; 1 if not given.

    Returns:
        Weights, and the number of fits that did not converge.
    """
    p = (jnp.ones(x.shape[1], x.dtype) if penalty is None else penalty)[None, None]
    curvature = _curvature(x)
    lengths = LENGTHS if x.shape[1] > MOST_PAIRED else LENGTHS[:1]

    def evaluated(w: Array) -> tuple[Array, Array]:
        margins = t[:, None] * jnp.einsum("fkd,fdn->fkn", w, x, precision=HIGHEST)
        hinge = jnp.maximum(1 - margins, 0) * jnp.abs(t)[:, None]
        return hinge, jnp.sum(p * w**2, axis=-1) / 2 + c * jnp.sum(hinge**2, axis=-1)

    def step(fits: Fits) -> Fits:
        gradient = p * fits.w - 2 * c[..., None] * jnp.einsum(
            "fkn,fdn->fkd", fits.hinge * t[:, None], x, precision=HIGHEST
        )
        active = (fits.hinge > 0).astype(x.dtype)
        hessian = p[..., None] * jnp.eye(x.shape[1])[None, None] + 2 * c[..., None, None] * curvature(active)
        direction = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(hessian), True), gradient[..., None])[..., 0]
        best = fits._replace(length=fits.length / 2)
        for length in lengths:
            w = fits.w - (length * fits.length)[..., None] * direction
            new = Fits(w, *evaluated(w), jnp.ones_like(c), fits.decrement)
            # the full step first: float32 may call it a little higher where nothing is left to gain
            best = _better(new, best, 1e-6 if length == 1 else 0.0)
        decrement = jnp.sum(direction * gradient, axis=-1)
        return best._replace(decrement=decrement / jnp.maximum(best.objective, jnp.finfo(x.dtype).tiny))

    def unfinished(carry: tuple[Fits, Array]) -> Array:
        fits, steps = carry
        return (steps < STEPS) & jnp.any(fits.decrement > TOLERANCE)

    begin = Fits(start, *evaluated(start), jnp.ones_like(c), jnp.full_like(c, jnp.inf))
    fits, _ = jax.lax.while_loop(unfinished, lambda carry: (step(carry[0]), carry[1] + 1), (begin, jnp.zeros((), int)))
    return fits.w, jnp.sum(fits.decrement > TOLERANCE)


def _better(new: Fits, old: Fits, rounding: float) -> Fits:
    """Of every fit the one with the lower objective, the old one among equals beyond rounding."""
    lower = new.objective < old.objective * (1 + rounding) if rounding else new.objective < old.objective
    return Fits(*(jnp.where(lower[..., None] if a.ndim > 2 else lower, a, b) for a, b in zip(new, old, strict=True)))


def _curvature(x: Float[Array, "F d N"]) -> Callable[[Float[Array, "F K N"]], Float[Array, "F K d d"]]:
    """Σ x xᵀ over the active samples: of few coordinates from their pairs, which all C share, of many directly."""
    d = x.shape[1]
    if d > MOST_PAIRED:
        return lambda active: jnp.einsum("fkdn,fen->fkde", active[:, :, None] * x[:, None], x, precision=HIGHEST)
    rows, columns = np.triu_indices(d)
    pairs = x[:, rows] * x[:, columns]
    place = np.zeros((d, d), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return lambda active: jnp.einsum("fkn,fpn->fkp", active, pairs, precision=HIGHEST)[..., place]


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
    middle, _ = solve_squared_hinge(features, signs, jnp.ones((fits, 1)), jnp.zeros((fits, 1, d)))
    w, failed = solve_squared_hinge(
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
    w, failed = solve_squared_hinge(features, signs, c[:, None], jnp.zeros((*features.shape[:1], 1, features.shape[1])))
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
    c = draws[:, 0]

    def one(item: tuple[Array, ...]) -> Search:
        x, *known = item
        own, unchosen = (known[0], 0) if known else choose(x, t, folds, c)
        accuracy, unscored = score(x, t, folds, c[own])
        return Search(accuracy, own, unchosen + unscored)

    fits = len(folds.train) if chosen is not None else folds.inner_train.shape[0] * len(c)
    item_bytes = 16 * folds.train.shape[1] * fits
    return batched_map(one, (layers,) if chosen is None else (layers, chosen), item_bytes)
