"""The noise floor of node flows: what the flow about a message that the layer cannot know amounts to."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxflow.flows import node_flows, null95_of_flows
from jaxflow.information.checks import checked_inputs
from jaxflow.information.estimates import Estimator
from jaxflow.information.gaussian import gaussian
from jaxflow.values import whole

MOST_PERMUTATIONS = 10**6


def noise_floor(
    message: ArrayLike,
    activations: ArrayLike,
    *,
    key: Array,
    permutations: int = 20,
    estimator: Estimator = gaussian,
) -> Float[Array, "*batch"]:
    """null95: the 95th percentile of a layer's node flows about permutations of the message, in bits.

    A flow is a maximum over subsets and so biased upward; about as much as this floor comes from nothing. The floor is
    the layer's, pooled over its nodes, and not corrected for how many there are: in layers that know nothing of the
    message some node is above it in 19 % of those of 3 nodes and in 44 % of those of 10 (docs/method.md). To call one
    node of many informative takes more than a flow above the floor.

    Args:
        message: binary, ``[..., N]``. All messages of a batch are permuted alike.
        activations: ``[..., N, n]``: samples on axis −2, see ``gaussian``.
        key: of the permutations, as ``jax.random.key(0)``.
        permutations: how many; n flows of each stand behind the percentile.
        estimator: of the information in all subsets, the one that the flows were computed with.

    Returns:
        The floor ``[...]``, one for every message and layer.

    Raises:
        InputError: what the estimator refuses; no permutations.

    Example:
        >>> message = jnp.arange(1000) % 2
        >>> activations = jnp.stack([message + jnp.sin(jnp.arange(1000.0)), jnp.cos(jnp.arange(1000.0))], axis=1)
        >>> flow, _ = node_flows(gaussian(message, activations))
        >>> (flow > noise_floor(message, activations, key=jax.random.key(0))).tolist()
        [True, False]
    """
    permutations = whole("permutations", permutations, 1, MOST_PERMUTATIONS)
    m, x = checked_inputs(message, activations)
    orders = [jax.random.permutation(own, m.shape[-1]) for own in jax.random.split(key, permutations)]
    # one permutation at a time: the bits of all of them would take as many times the memory
    flows = [node_flows(estimator(m[..., order], x))[0] for order in orders]
    return null95_of_flows(jnp.stack(flows))
