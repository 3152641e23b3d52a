"""Random orders of rows, of which permutation tests and noise floors are made."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int


@partial(jax.jit, inline=True)
def permuted_within(key: Array, numbers: Int[Array, " N"]) -> Int[Array, " N"]:
    """An order of the rows in which each has changed places with rows of its own number only.

    Args:
        key: of the permutation.
        numbers: of strata or folds.
    """
    shuffled = jnp.lexsort((jax.random.bits(key, numbers.shape), numbers))
    return jnp.zeros_like(shuffled).at[jnp.argsort(numbers, stable=True)].set(shuffled)


def orders_within(keys: Array, numbers: Int[np.ndarray, " N"]) -> Int[np.ndarray, "B N"]:
    """``permuted_within`` of many keys, on the host.

    NumPy sorts numbers that hold a row's random bits and the row itself; JAX, which sorts pairs of numbers on a CPU,
    takes ten times as long.
    """
    drawn = np.asarray(random_bits(keys, len(numbers))).astype(np.uint64) << 32
    drawn |= np.arange(len(numbers), dtype=np.uint64)
    orders = np.empty(drawn.shape, np.int64)
    places = np.argsort(numbers, kind="stable")
    for rows in np.split(places, np.flatnonzero(np.diff(numbers[places])) + 1):
        orders[:, rows] = np.sort(drawn[:, rows], axis=1) & (2**32 - 1)
    return orders


@partial(jax.jit, static_argnames="rows")
def random_bits(keys: Array, rows: int) -> Array:
    """What ``permuted_within`` draws from every key ``[B, rows]``."""
    return jax.vmap(lambda key: jax.random.bits(key, (rows,)))(keys)
