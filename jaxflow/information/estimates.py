"""What estimators share: one signature for stacks of layers, and how messages and layers of any shape come to it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.errors import InputError
from jaxflow.information.checks import checked_inputs

Advance = Callable[[int], object]


def ignore(_done: int) -> None:
    """For those who do not ask for progress."""


LayerBits = Callable[[Array, Array], Array]
"""An estimator that runs under ``jit``: ``(messages [K, N], layer [N, n]) → bits [K, 2**n]``, all subsets."""


class Estimates(NamedTuple):
    """What is found for layers [S], messages [K] with their permutations [P], and subsets [T].

    Attributes:
        bits: ``[P, S, K, T]``.
        draws: hyperparameters of every outer fold, as numbers of the 25 draws ``[S, K, T, 5]``; None without a search.
        unconverged: fits that did not converge, ``[S, K, T]``.
        fits: how many stand behind one estimate.
    """

    bits: Any
    draws: Any = None
    unconverged: Any = 0
    fits: int = 0


@runtime_checkable
class Estimator(Protocol):
    """``(message [..., N], activations [..., N, n]) → bits [..., subsets]``, the whole layer last."""

    def __call__(self, message: ArrayLike, activations: ArrayLike, /) -> Array:
        """Information in bits."""
        ...


@runtime_checkable
class Estimate(Protocol):
    """An estimator on stacks, as the pipeline calls it."""

    def __call__(
        self, layers: Array, messages: Array, members: np.ndarray, *, draws: Any = None, advance: Advance = ignore
    ) -> Estimates:
        """Estimates for layers ``[S, N, n]``, 0/1 messages ``[P, K, N]`` and subsets ``[T, n]``.

        Args:
            layers: activations.
            messages: the first of axis 0 chooses the folds; the others are permutations of it.
            members: nodes of every subset.
            draws: hyperparameters to use instead of searching, ``[S, K, 5]``.
            advance: told how many (layer, message, subset) are done, as they are.
        """
        ...


def subset_members(nodes: int, subsets: Sequence[int] | None = None) -> Bool[np.ndarray, "T n"]:
    """The nodes of every bitmask; of all 2ⁿ if none are given.

    Raises:
        InputError: a mask with a node that the layer does not have.
    """
    masks = np.arange(2**nodes) if subsets is None else np.asarray(subsets, int)
    if masks.ndim != 1 or (masks < 0).any() or (masks >= 2**nodes).any():
        raise InputError(f"subsets are bitmasks from 0 to {2**nodes - 1} of {nodes} nodes, got {subsets}")
    return masks[:, None] >> np.arange(nodes)[None] & 1 == 1


def broadcast(
    estimate: Callable[[Array, Array, np.ndarray], Estimates],
    message: ArrayLike,
    activations: ArrayLike,
    subsets: Sequence[int] | None,
) -> tuple[Float[Array, "*batch T"], int, int]:
    """Bits for messages ``[..., N]`` and activations ``[..., N, n]`` that broadcast, unconverged fits and all fits.

    Every distinct pair is estimated once; layers that are asked about the same messages go together. A message that
    is constant carries nothing.
    """
    m, x = (np.asarray(array) for array in checked_inputs(message, activations))
    members = subset_members(x.shape[-1], subsets)
    layers = x.reshape(-1, *x.shape[-2:])
    messages, number = np.unique(m.reshape(-1, m.shape[-1]), axis=0, return_inverse=True)
    batch = np.broadcast_shapes(m.shape[:-1], x.shape[:-2])
    asked = np.broadcast_to(number.reshape(m.shape[:-1]), batch).ravel()
    layer = np.broadcast_to(np.arange(len(layers)).reshape(x.shape[:-2]), batch).ravel()
    bits = np.zeros((len(layers), len(messages), len(members)))
    unconverged = fits = 0
    for group, about in _groups(layer, asked, messages):
        found = estimate(jnp.asarray(layers[group]), jnp.asarray(messages[about])[None], members)
        bits[np.ix_(group, about)] = found.bits[0]
        unconverged += int(np.sum(found.unconverged))
        fits += found.fits * len(group) * len(about) * int(members.any(axis=1).sum())
    return jnp.asarray(bits[layer, asked].reshape(*batch, len(members)), x.dtype), unconverged, fits


def _groups(layer: np.ndarray, asked: np.ndarray, messages: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Layers that are asked about the same messages, and these; constant messages are left out."""
    about = defaultdict(set)
    for one, message in zip(layer.tolist(), asked.tolist(), strict=True):
        if np.ptp(messages[message]) > 0:
            about[one].add(message)
    groups = defaultdict(list)
    for one, own in about.items():
        groups[tuple(sorted(own))].append(one)
    return [(members, list(own)) for own, members in groups.items()]
