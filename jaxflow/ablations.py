"""Ablations: what a pruned edge transmits in the place of its signal — nothing, its mean, or another row's value.

An edge from j to k that is pruned by the factor f transmits f w h_j + (1 − f) w h′_j. h′ is 0 (``zero``, the paper's
pruning), the mean of h_j over the rows (``mean``) or the value of h_j in a random other row (``resample``), both of the
network as it was before pruning.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

ABLATIONS = ("zero", "mean", "resample")


def donors(key: Array, ablation: str, rows: int) -> Int[Array, " N"] | None:
    """The row whose values every row gets under ``resample``: a random permutation; None under the others."""
    return jax.random.permutation(key, rows) if ablation == "resample" else None


def replacements(
    layers: Sequence[Float[Array, "N _"]], ablation: str, donors: Int[Array, " N"] | None
) -> list[Float[Array, "_ _"]] | None:
    """What ablated edges transmit by layer before their weights, ``[1, n]`` or ``[N, n]``; None for nothing.

    Args:
        layers: what the nodes of the network as it is transmit.
        ablation: one of ``ABLATIONS``.
        donors: of ``resample``.

    Example:
        >>> replacements([jnp.array([[1.0], [3.0]])], "mean", None)[0].tolist()
        [[2.0]]
    """
    if ablation == "zero":
        return None
    if ablation == "mean":
        return [jnp.mean(own, axis=0, keepdims=True) for own in layers]
    return [own[donors] for own in layers]


def shifts_of(
    weights: Sequence[Float[Array, "_ _"]], gone: Sequence[Array], replaced: Sequence[Float[Array, "_ _"]]
) -> list[Float[Array, "_ _"]]:
    """What is added to the inputs of the nodes behind ablated edges, ``[1, m]`` or ``[N, m]``.

    Args:
        weights: of the network as it is.
        gone: for every edge the share of its signal that is gone, 1 − f.
        replaced: see ``replacements``.
    """
    return [h @ (w * share) for h, w, share in zip(replaced, weights, gone, strict=True)]
