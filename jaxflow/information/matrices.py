"""Matrices factored, inverted and solved: one after the other on a CPU, a batch at once elsewhere.

On a CPU jaxlib's kernels for a *batch* of matrices hand parts of it to the threads of XLA's pool, and wait for them in
a thread of the pool. Programs that run side by side (``batching.on_all_cores``) can so take all threads, which then
wait for each other for ever (jaxlib 0.10). The kernels for one matrix wait for nothing, and a loop of them is as fast:
a matrix of a dozen nodes is a microsecond's work.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

Out = TypeVar("Out")


def one_by_one(function: Callable[..., Out]) -> Callable[..., Out]:
    """``function`` of single arrays, which ``vmap`` maps by a loop on a CPU and as always elsewhere."""
    single = custom_vmap(function)

    def loop(*arrays: Array) -> Out:
        return jax.lax.map(lambda item: single(*item), arrays)

    @single.def_vmap
    def mapped(size: int, batched: list[bool], *arrays: Array) -> tuple[Out, Any]:
        pairs = zip(arrays, batched, strict=True)
        items = [a if own else jnp.broadcast_to(a, (size, *a.shape)) for a, own in pairs]
        found = jax.lax.platform_dependent(*items, cpu=loop, default=jax.vmap(function))
        return found, jax.tree.map(lambda _: True, found)

    return single


@one_by_one
def root(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower triangular L with A = LLᵀ; NaN where A is not positive definite."""
    return jnp.linalg.cholesky(matrix)


@one_by_one
def inverse(lower: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """L⁻¹ of a lower triangular L."""
    eye = jnp.eye(len(lower), dtype=lower.dtype)
    return jax.scipy.linalg.solve_triangular(lower, eye, lower=True)


@one_by_one
def solved(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """A⁻¹b of a positive definite A, from its Cholesky factor."""
    return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix), True), right)


@one_by_one
def general_inverse(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """A⁻¹ of any regular A."""
    return jnp.linalg.inv(matrix)


@one_by_one
def orthonormalised(columns: Float[Array, "n m"]) -> tuple[Float[Array, "n r"], Float[Array, "r m"]]:
    """Q and R of the columns' decomposition A = QR."""
    return jnp.linalg.qr(columns)
