"""Random orders of rows, of which permutation tests and noise floors are made."""

from functools import partial

import jax
import jax.numpy as jnp
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
