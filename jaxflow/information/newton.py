"""Linear support vector machines by Newton's method, for many folds and many C at once.

    argmin_w ½‖w‖² + C Σ ℓ(1 − t wᵀx)        t = ±1, the intercept one more coordinate of w

The loss ℓ is the squared hinge, piecewise quadratic, so Newton's method is exact once every sample is on its piece, and
every step is three matrix products over the samples:

    margins          W X                  [C, d] × [d, N]
    gradient         W − C (ℓ′ ∘ t) Xᵀ
    Hessians         1 + C ℓ″ (X ⊗ X)ᵀ     X ⊗ X the products of feature pairs
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.information import matrices

HIGHEST = jax.lax.Precision.HIGHEST
MOST_PAIRED = 32
LENGTHS = 2.0 ** np.array([0, *np.arange(-10, 0, 0.5), 0.5, 1, 1.5, 2])  # that are tried; the full one wins ties
STEPS, TOLERANCE = 50, 1e-6  # of Newton's method; squared decrement against objective: the resolution of float32


class Loss(NamedTuple):
    """A loss of r = 1 − margin with its first two derivatives."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


def squared_hinge() -> Loss:
    """max(0, r)²."""
    return Loss(
        lambda r: jnp.maximum(r, 0) ** 2,
        lambda r: 2 * jnp.maximum(r, 0),
        lambda r: jnp.where(r > 0, 2.0, 0.0),
    )


def smoothed_hinge(width: float) -> Loss:
    """max(0, r), rounded off by a parabola where |r| < width."""
    return Loss(
        lambda r: jnp.where(r > width, r, jnp.maximum(r + width, 0) ** 2 / (4 * width)),
        lambda r: jnp.clip((r + width) / (2 * width), 0, 1),
        lambda r: jnp.where(jnp.abs(r) < width, 1 / (2 * width), 0.0),
    )


SQUARED_HINGE = squared_hinge()


class Problem(NamedTuple):
    """What is minimised for F samples and K values of C: ``solve`` says what each is."""

    x: Float[Array, "F d N"]
    t: Float[Array, "F N"]
    c: Float[Array, "F K"]
    curvature: Callable[[Array], Array]

    def objective(self, w: Float[Array, "F K d"], r: Float[Array, "F K N"]) -> Float[Array, "F K"]:
        """½‖w‖² + C Σ ℓ(r)."""
        return jnp.sum(w**2, axis=-1) / 2 + self.c * jnp.sum(SQUARED_HINGE.value(r), axis=-1)

    def margins(self, w: Float[Array, "F K d"]) -> Float[Array, "F K N"]:
        """Margins t wᵀx."""
        return self.t[:, None] * jnp.einsum("fkd,fdn->fkn", w, self.x, precision=HIGHEST)


class Fits(NamedTuple):
    """Where the solver stands: weights ``[F, K, d]``, r ``[F, K, N]``, objective, step length, decrement ``[F, K]``."""

    w: Array
    r: Array
    objective: Array
    length: Array
    decrement: Array


def solve(
    x: Float[Array, "F d N"],
    t: Float[Array, "F N"],
    c: Float[Array, "F K"],
    start: Float[Array, "F K d"],
) -> tuple[Float[Array, "F K d"], Int[Array, ""]]:
    """The minimisers for F samples and K values of C at once.

    The best of many lengths is stepped where there are many coordinates: kinks close together make the full step too
    short or too long, and trying costs little beside a Hessian. Few coordinates take the full one. Where none lowers
    the objective, the next are shorter than all that were tried, so the method cannot cycle.

    Args:
        x: features, the intercept's ones among them.
        t: ±1, 0 for rows that do not count.
        c: C of every fit.
        start: weights to begin with.

    Returns:
        Weights, and the number of fits that did not converge.
    """
    problem = Problem(x, t, c, _curvature(x))

    def unfinished(carry: tuple[Fits, Array]) -> Array:
        fits, steps = carry
        return (steps < STEPS) & jnp.any(fits.decrement > TOLERANCE)

    r = jnp.where(t[:, None] != 0, 1 - problem.margins(start), -jnp.inf)
    begin = Fits(start, r, problem.objective(start, r), jnp.ones_like(c), jnp.full_like(c, jnp.inf))
    fits, _ = jax.lax.while_loop(
        unfinished, lambda carry: (_step(problem, carry[0]), carry[1] + 1), (begin, jnp.zeros((), int))
    )
    return fits.w, jnp.sum(fits.decrement > TOLERANCE)


def _step(problem: Problem, fits: Fits) -> Fits:
    """One step of every fit; one whose objective would rise stays where it is, and tries shorter lengths next."""
    direction, decrement = _newton_direction(problem, fits)
    along = problem.margins(direction)

    def moved(length: Array) -> tuple[Array, Array]:
        return fits.w - length[..., None] * direction, fits.r + length[..., None] * along

    length, shorter = fits.length, 0.5
    if direction.shape[-1] > MOST_PAIRED:
        lengths = jnp.asarray(LENGTHS, length.dtype)
        tried = jax.lax.map(lambda by: problem.objective(*moved(by * fits.length)), lengths)
        length *= lengths[jnp.argmin(tried, axis=0)]
        shorter = LENGTHS.min() / LENGTHS.max() / 2  # where no row lies on a curved piece, 1e-9 of a step is far enough
    w, r = moved(length)
    new = problem.objective(w, r)
    lower = new < fits.objective * (1 + 1e-6)  # float32 may call it a little higher where nothing is left to gain
    w, r = (jnp.where(lower[..., None], a, b) for a, b in ((w, fits.w), (r, fits.r)))
    new = jnp.where(lower, new, fits.objective)
    decrement /= jnp.maximum(new, jnp.finfo(new.dtype).tiny)
    return Fits(w, r, new, jnp.where(lower, 1, fits.length * shorter), decrement)


def _newton_direction(problem: Problem, fits: Fits) -> tuple[Float[Array, "F K d"], Float[Array, "F K"]]:
    """The inverse Hessian times the gradient, and their product with the gradient: the squared decrement."""
    x, t, c, curvature = problem
    pull = jnp.einsum("fkn,fdn->fkd", SQUARED_HINGE.slope(fits.r) * t[:, None], x, precision=HIGHEST)
    gradient = fits.w - c[..., None] * pull
    bend = curvature(SQUARED_HINGE.curvature(fits.r).astype(x.dtype))
    hessian = jnp.eye(x.shape[1])[None, None] + c[..., None, None] * bend
    direction = jax.vmap(jax.vmap(matrices.solved))(hessian, gradient)
    return direction, jnp.sum(direction * gradient, axis=-1)


def _curvature(x: Float[Array, "F d N"]) -> Callable[[Float[Array, "F K N"]], Float[Array, "F K d d"]]:
    """Σ x xᵀ weighted by sample: of few coordinates from their pairs, which all C share, of many directly."""
    d = x.shape[1]
    if d > MOST_PAIRED:
        return lambda weight: jnp.einsum("fkdn,fen->fkde", weight[:, :, None] * x[:, None], x, precision=HIGHEST)
    rows, columns = np.triu_indices(d)
    pairs = x[:, rows] * x[:, columns]
    place = np.zeros((d, d), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return lambda weight: jnp.einsum("fkn,fpn->fkp", weight, pairs, precision=HIGHEST)[..., place]
