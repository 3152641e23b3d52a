"""The noise floor of node flows: what the flow about a message that the layer cannot know amounts to."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxflow.arrays import as_key
from jaxflow.flows import node_flows, null95_of_flows
from jaxflow.information.checks import checked
from jaxflow.information.gaussian import gaussian
from jaxflow.information.specs import spec_of
from jaxflow.messages import Message
from jaxflow.orders import permuted_within
from jaxflow.values import MOST_PERMUTATIONS, whole


def noise_floor(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    key: Array,
    permutations: int = 20,
    estimator: str | Callable[..., Any] = gaussian,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
) -> Float[Array, "*batch"]:
    """null95: the 95th percentile of a layer's node flows about permutations of the message, in bits.

    A flow is a maximum over subsets and so biased upward; about as much as this floor comes from nothing. The floor is
    the layer's, pooled over its nodes, and not corrected for how many there are: in layers that know nothing of the
    message some node is above it in 19 % of those of 3 nodes and in 44 % of those of 10 (docs/method.md). To call one
    node of many informative takes more than a flow above the floor.

    Args:
        message: classes or numbers, see ``gaussian``. All messages of a batch are permuted alike.
        activations: ``[..., N, n]``: samples on axis −2, see ``gaussian``.
        key: of the permutations, as ``jax.random.key(0)``.
        permutations: how many; n flows of each stand behind the percentile.
        estimator: of the information in all subsets, the name or function that the flows were computed with.
        given: what the flows are conditioned on. The message moves within the strata of classes; about numbers, which
            have none, it moves freely.
        groups: for every column of the activations the number of its node.

    Returns:
        The floor ``[...]``, one for every message and layer.

    Raises:
        InputError: what the estimator refuses; no permutations.

    Example:
        >>> message, time = np.arange(1000) % 2, np.arange(1000)
        >>> activations = np.stack([message + np.sin(time), np.cos(time)], axis=1)
        >>> flow, _ = node_flows(gaussian(message, activations))
        >>> (flow > noise_floor(message, activations, key=jax.random.key(0))).tolist()
        [True, False]
    """
    key, permutations = as_key(key), whole("permutations", permutations, 1, MOST_PERMUTATIONS)
    m, x, groups = checked(message, activations, given=given, groups=groups)
    strata = m.given if m.strata else jnp.zeros(x.shape[-2], jnp.int32)
    options: dict[str, Any] = {} if groups is None else {"groups": groups}
    spec = spec_of(estimator)
    bits: Any = spec.function
    # in its normal form the message keeps its number of classes under jit, where the moved one cannot be looked at
    whole_form = isinstance(message, Message) or spec.layer_bits is not None
    if m.given is not None and not whole_form:
        options["given"] = m.given

    def flows(key: Array) -> Array:
        moved = jnp.take(m.values, permuted_within(key, strata), axis=-2 if m.continuous else -1)
        return node_flows(bits(replace(m, values=moved) if whole_form else moved, x, **options))[0]

    # one permutation at a time: the bits of all of them would take as many times the memory
    return null95_of_flows(jnp.stack([flows(own) for own in jax.random.split(key, permutations)]))
