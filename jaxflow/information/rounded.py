"""A linear machine with a rounded hinge, by Newton's method whose Hessian follows the rows at the kink.

    argmin_w ½ Σ p w² + C Σ h(r)    r = 1 − t wᵀx    t = ±1, 0 for rows that do not count

h is max(0, r), rounded off by a parabola where |r| < δ. Only the rows there bend the objective:

    H = diag(p) + C/(2δ) S    S = Σ xxᵀ over rows with |r| < δ

From one step to the next few rows enter or leave, and S changes by these alone: in the last steps a Hessian costs no
more than a gradient. The method starts from a machine with a wide kink, curved from w = 0 on, of every fourth row.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxflow.information import matrices
from jaxflow.information.newton import HIGHEST, LENGTHS, STEPS, TOLERANCE, smoothed_hinge

WIDTH = 0.25  # δ
WIDE, FEW, NEAR = 2, 4, 1e-2  # δ of the machine to start from, one row in how many it is fitted to, its tolerance
BLOCK = 128  # rows that are added to S by one product
SHORTER = LENGTHS.min() / LENGTHS.max() / 2  # than all lengths that were tried


class Machine(NamedTuple):
    """Rows with their classes, C, and the penalty of every coordinate."""

    x: Float[Array, "N d"]
    t: Float[Array, " N"]
    c: Float[Array, ""]
    penalty: Float[Array, " d"]

    def objective(self, width: float, w: Float[Array, " d"], r: Float[Array, " N"]) -> Float[Array, ""]:
        """½ Σ p w² + C Σ h(r)."""
        return self.penalty @ w**2 / 2 + self.c * jnp.sum(smoothed_hinge(width).value(r))

    def gradient(self, width: float, w: Float[Array, " d"], r: Float[Array, " N"]) -> Float[Array, " d"]:
        """Of the objective: p w − C Σ h′(r) t x."""
        pull = smoothed_hinge(width).slope(r) * self.t
        return self.penalty * w - self.c * jnp.matmul(pull, self.x, precision=HIGHEST)

    def hessian(self, width: float, scatter: Float[Array, "d d"]) -> Float[Array, "d d"]:
        """H = diag(p) + C/(2δ) S."""
        return jnp.diag(self.penalty) + self.c / (2 * width) * scatter

    def margins(self, w: Float[Array, " d"]) -> Float[Array, " N"]:
        """Margins t wᵀx."""
        return self.t * jnp.matmul(self.x, w, precision=HIGHEST)


class Fit(NamedTuple):
    """Where the method stands: w, r, the rows in the kink and their S; step length, and the decrement by objective."""

    w: Float[Array, " d"]
    r: Float[Array, " N"]
    kink: Bool[Array, " N"]
    scatter: Float[Array, "d d"]
    length: Float[Array, ""]
    decrement: Float[Array, ""]


def solve(machine: Machine) -> tuple[Float[Array, " d"], Bool[Array, ""]]:
    """The minimiser, and whether the method has not converged."""
    some = machine._replace(x=machine.x[::FEW], t=machine.t[::FEW], c=FEW * machine.c)
    near = _minimised(some, WIDE, NEAR, jnp.zeros_like(machine.x[0]))
    fit = _minimised(machine, WIDTH, TOLERANCE, near.w)
    return fit.w, _unfinished(fit, TOLERANCE)


def _unfinished(fit: Fit, tolerance: float) -> Bool[Array, ""]:
    """Also where the decrement is no number."""
    return ~(fit.decrement <= tolerance)


def _minimised(machine: Machine, width: float, tolerance: float, start: Float[Array, " d"]) -> Fit:
    """Steps until the squared decrement is below the tolerance, relative to the objective."""

    def unfinished(carry: tuple[Fit, Array]) -> Array:
        fit, steps = carry
        return (steps < STEPS) & _unfinished(fit, tolerance)

    def step(carry: tuple[Fit, Array]) -> tuple[Fit, Array]:
        fit, steps = carry
        return _step(machine, width, fit), steps + 1

    r = jnp.where(machine.t != 0, 1 - machine.margins(start), -jnp.inf)
    nothing = jnp.zeros((len(start), len(start)), start.dtype)
    begin = Fit(start, r, jnp.zeros(len(r), bool), nothing, *jnp.array([1, jnp.inf], r.dtype))
    return jax.lax.while_loop(unfinished, step, (begin, jnp.zeros((), int)))[0]


def _step(machine: Machine, width: float, fit: Fit) -> Fit:
    """One step of the best of many lengths; where none lowers the objective the next are shorter than all of them.

    Kinks close together make the full step too short or too long, and trying costs little beside a Hessian.
    """
    kink = jnp.abs(fit.r) < width
    scatter = scatter_of(machine.x, kink, fit.kink, fit.scatter)
    gradient = machine.gradient(width, fit.w, fit.r)
    direction = matrices.solved(machine.hessian(width, scatter), gradient)
    along = machine.margins(direction)

    def objective(length: Array) -> Array:
        return machine.objective(width, fit.w - length * direction, fit.r + length * along)

    before = objective(jnp.zeros_like(fit.length))
    lengths = fit.length * jnp.asarray(LENGTHS, fit.r.dtype)
    tried = jax.lax.map(objective, lengths)
    best = jnp.argmin(tried)
    lower = tried[best] < before * (1 + 1e-6)  # float32 may call it a little higher where nothing is left to gain
    length = jnp.where(lower, lengths[best], 0)
    decrement = direction @ gradient / jnp.maximum(jnp.minimum(tried[best], before), jnp.finfo(before.dtype).tiny)
    return Fit(
        fit.w - length * direction,
        fit.r + length * along,
        kink,
        scatter,
        jnp.where(lower, 1, fit.length * SHORTER),
        decrement,
    )


def scatter_of(
    x: Float[Array, "N d"], rows: Bool[Array, " N"], old: Bool[Array, " N"], scatter: Float[Array, "d d"]
) -> Float[Array, "d d"]:
    """S = Σ xxᵀ over ``rows``, given that over the ``old`` ones.

    A CPU adds the rows that enter and subtracts those that leave; an accelerator multiplies all rows at once, which it
    does as fast.
    """
    return jax.lax.platform_dependent(x, rows, old, scatter, cpu=_changed, default=_anew)


def _anew(x: Array, rows: Array, _old: Array, _scatter: Array) -> Array:
    return jnp.matmul(x.T * rows.astype(x.dtype)[None], x, precision=HIGHEST)


def _changed(x: Array, rows: Array, old: Array, scatter: Array) -> Array:
    """Block after block of the rows that differ, as many as there are; from nothing where that takes fewer."""
    anew = jnp.sum(rows) < jnp.sum(rows != old)
    old, start = old & ~anew, jnp.where(anew, 0, scatter)
    signs = rows.astype(x.dtype) - old.astype(x.dtype)
    numbers = numbers_of(rows != old)

    def add(block: Array, total: Array) -> Array:
        own = jax.lax.dynamic_slice_in_dim(numbers, block * BLOCK, BLOCK)
        some = x.at[own].get(mode="clip")
        sign = signs.at[own].get(mode="fill", fill_value=0)
        return total + jnp.matmul(some.T * sign[None], some, precision=HIGHEST)

    return jax.lax.fori_loop(0, -(-jnp.sum(rows != old) // BLOCK), add, start)


def numbers_of(rows: Bool[Array, " N"]) -> Int[Array, " M"]:
    """Numbers of the true rows, then N, a block longer than the rows; ``jnp.nonzero`` takes three times as long.

    Example:
        >>> numbers_of(jnp.array([False, True, True, False]))[:3].tolist()
        [1, 2, 4]
    """
    count = len(rows)
    none = jnp.full(count + BLOCK, count, jnp.int32)
    place = jnp.where(rows, jnp.cumsum(rows, dtype=jnp.int32) - 1, len(none))
    return none.at[place].set(jnp.arange(count, dtype=jnp.int32), mode="drop")
