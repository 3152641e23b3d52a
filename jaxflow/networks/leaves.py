"""Leaves of a pytree of parameters: floating arrays are weights, and everything else is left alone."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def is_floating(leaf: Any) -> bool:
    """Whether a leaf is a floating array; integers, keys, functions and plain Python numbers are not."""
    return hasattr(leaf, "shape") and jnp.issubdtype(leaf.dtype, jnp.floating)


def floating_leaves(params: Any) -> tuple[list[Any], Callable[..., Any]]:
    """The floating arrays of a pytree, and a function that puts such a list back in their places.

    Returns:
        The leaves, and ``rebuild(leaves, others)``: what is no floating array goes through the function ``others``, by
        default as it is.

    Example:
        >>> leaves, rebuild = floating_leaves({"kernel": jnp.ones(2), "steps": 3})
        >>> rebuild([2 * leaf for leaf in leaves])
        {'kernel': Array([2., 2.], dtype=float32), 'steps': 3}
    """
    leaves, structure = jax.tree.flatten(params)
    floating = [is_floating(leaf) for leaf in leaves]

    def rebuild(values: Sequence[Any], others: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
        following = iter(values)
        filled = [next(following) if own else others(leaf) for own, leaf in zip(floating, leaves, strict=True)]
        return jax.tree.unflatten(structure, filled)

    return [leaf for own, leaf in zip(floating, leaves, strict=True) if own], rebuild


def empty_leaf(leaf: Any, dtype: Any) -> Any:
    """Zeros, or False, in the shape of a leaf that no edge lies on; what has no shape stays as it is."""
    return jnp.zeros(leaf.shape, dtype) if hasattr(leaf, "shape") else leaf
