"""How sure a flow is: permutation p-values of every node, and of the largest of many nodes, layers or time bins."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_real_array
from jaxflow.errors import InputError
from jaxflow.flows import node_flows
from jaxflow.information import EstimatorSpec, gaussian, spec_of, subset_members
from jaxflow.information.checks import checked
from jaxflow.messages import Message
from jaxflow.orders import permuted_within
from jaxflow.values import whole

MOST_PERMUTATIONS = 10**6
BLOCK_BYTES = 2**27  # of surrogates and their information that are held at once


class Significance(NamedTuple):
    """Flows of nodes ``[..., n]`` with their p-values; a tuple of five.

    Attributes:
        flow: in bits.
        witness: bitmasks of the subsets that attain them.
        p: probability of as large a flow of this node about a permuted message.
        p_max: the same for all nodes of all layers together (family-wise).
        null95: 95th percentile of the flows about permuted messages, pooled over a layer's nodes ``[...]``.
    """

    flow: Any
    witness: Any
    p: Any
    p_max: Any
    null95: Any


def significance(
    key: Array,
    message: ArrayLike,
    activations: ArrayLike,
    *,
    estimator: str | Callable[..., Any] = gaussian,
    given: ArrayLike | None = None,
    within: ArrayLike | None = None,
    groups: Any = None,
    permutations: int | ArrayLike = 1000,
) -> Significance:
    """Node flows with permutation p-values, of one layer or of a stack of layers or time bins about one message.

    The message is permuted B times, the same way for all nodes, subsets and layers, whose decomposition is computed
    once. With F_b the flow about permutation b,

        p(V) = (1 + #{b : F_b(V) ≥ F(V)}) / (B + 1)

    and p_max is Westfall and Young's step-down over all nodes of the stack (*Resampling-based multiple testing*, 1993,
    algorithm 4.1): in descending order of F, node j is compared with max_{k ≥ j} F_b(k), and p-values may only rise.
    The probability that any node without information has p_max ≤ α is at most α. Neither is ever 0, and a dead node,
    whose flow is 0 under every permutation, has 1.

    Args:
        key: of the permutations.
        message: one message, classes ``[N]`` or numbers ``[N]`` or ``[N, d]``.
        activations: ``[..., N, n]``: samples on axis −2; axes before them are layers or time bins.
        estimator: of information, a name or function that has a null distribution: gaussian, copula, quadratic (which
            permutes within its folds) or your own.
        given: another message that the flows are conditioned on. Where it is classes, rows change places within them.
        within: numbers ``[N]``; rows change places only with those of the same number, such as a recording's session.
        groups: the node of every column, if nodes have several.
        permutations: B; or surrogate messages ``[B, N]`` of your own, such as shifted ones, instead of permutations.

    Returns:
        flow, witness, p, p_max ``[..., n]`` and null95 ``[...]``.

    Raises:
        InputError: several messages at once, an estimator without a null distribution, shapes that do not fit.

    Example:
        >>> message = np.arange(400) % 2
        >>> activations = np.stack([message + np.sin(np.arange(400.0)), np.cos(np.arange(400.0))], axis=1)
        >>> found = significance(jax.random.key(0), message, activations, permutations=99)
        >>> [bool(p < 0.05) for p in found.p_max], round(float(found.p.min()), 2)
        ([True, False], 0.01)
    """
    spec = spec_of(estimator)
    inputs = checked(message, activations, given=given, groups=groups)
    own = _one_message(inputs.message)
    spec.accepts(own, "the message")
    null = _surrogates(key, spec, own, within, permutations)
    batch, layers = inputs.activations.shape[:-2], inputs.activations.reshape(-1, *inputs.activations.shape[-2:])
    bits_of = _blocks(spec, layers, own, null, inputs.groups)
    flow, witness = node_flows(next(bits_of))
    flow, witness = np.asarray(flow[0]), np.asarray(witness[0])
    drawn = np.concatenate([np.asarray(node_flows(bits)[0]) for bits in bits_of])
    p = (1 + np.sum(drawn >= flow, axis=0)) / (1 + len(drawn))
    p_max = step_down(flow.ravel(), drawn.reshape(len(drawn), -1)).reshape(p.shape)
    null95 = np.percentile(np.moveaxis(drawn, 1, 0).reshape(len(layers), -1), 95, axis=1)
    flow, witness, p, p_max = (a.reshape(*batch, a.shape[-1]) for a in (flow, witness, p, p_max))
    return Significance(flow, witness, p, p_max, null95.reshape(batch))


def step_down(flow: Float[np.ndarray, " n"], drawn: Float[np.ndarray, "B n"]) -> Float[np.ndarray, " n"]:
    """Westfall and Young's adjusted p-values of the largest statistics, step by step from the largest down."""
    order = np.argsort(-flow, kind="stable")
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]  # of this and all smaller ones
    p = (1 + np.sum(largest >= flow[order], axis=0)) / (1 + len(drawn))
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def _one_message(message: Message) -> Message:
    """The message without batch axes, of which only those of length 1 can be left out."""
    values, own = jnp.asarray(message.values), 2 if message.continuous else 1
    if values.size != np.prod(values.shape[values.ndim - own :]):
        raise InputError("significance takes one message at a time: call it for each, or jax.vmap over estimators")
    return replace(message, values=values.reshape(values.shape[values.ndim - own :]))


def _surrogates(key: Array, spec: EstimatorSpec, message: Message, within: Any, permutations: Any) -> Any:
    """Values of the message under the null hypothesis ``[B, N]`` or ``[B, N, d]``."""
    if np.ndim(permutations):
        return _own_surrogates(message, permutations)
    if spec.exchangeable is None:
        raise InputError(f"{spec.name} has no null distribution: use gaussian, copula or quadratic")
    count = whole("permutations", permutations, 1, MOST_PERMUTATIONS)
    numbers = np.asarray(spec.exchangeable(message))
    if within is not None:
        rows = as_real_array("within", within)
        if rows.shape != numbers.shape:
            raise InputError(f"within must hold one number for each of the {len(numbers)} samples, got {rows.shape}")
        numbers = np.unique(np.stack([numbers, np.asarray(rows)]), axis=1, return_inverse=True)[1].ravel()
    return message.values[_orders(key, jnp.asarray(numbers), count)]


def _orders(key: Array, numbers: Int[Array, " N"], count: int) -> Int[Array, "B N"]:
    """Random orders of the rows, each of which leaves every row in a place of its number."""
    return jax.lax.map(lambda own: permuted_within(own, numbers), jax.random.split(key, count))


def _own_surrogates(message: Message, surrogates: Any) -> Array:
    """The user's surrogate messages in the form of the message."""
    values = as_real_array("surrogates", surrogates)
    values = values[..., None] if message.continuous and values.ndim == message.values.ndim else values
    if values.shape[1:] != message.values.shape:
        raise InputError(f"surrogates must be [B, *message's shape], got {values.shape} for {message.values.shape}")
    if message.classes and not np.isin(np.asarray(values), np.arange(message.classes)).all():
        raise InputError(f"surrogates of a message of {message.classes} classes must hold 0 to {message.classes - 1}")
    return jnp.asarray(values).astype(message.values.dtype)


def _blocks(spec: EstimatorSpec, layers: Array, message: Message, null: Array, groups: Any) -> Any:
    """Bits ``[P, S, 2**n]`` about the message alone, then about its surrogates, as many at a time as memory holds.

    An estimator with folds chooses them from the first message of every block, which therefore is the message itself.
    """
    nodes = layers.shape[-1] if groups is None else max(groups) + 1
    members = subset_members(nodes)
    held = 4 * (len(layers) * len(members) + 8 * message.values.size)  # of one surrogate: its bits, and its columns
    width = min(max(1, BLOCK_BYTES // held), len(null))

    def bits(values: Array) -> Array:
        found = spec.estimate(layers, {"m": replace(message, values=values)}, members, groups=groups)
        return jnp.asarray(found["m"].bits, layers.dtype)

    yield bits(message.values[None])
    for begin in range(0, len(null), width):
        block = null[begin : begin + width]
        padded = jnp.concatenate([message.values[None], block, jnp.repeat(block[-1:], width - len(block), axis=0)])
        yield bits(padded)[1 : len(block) + 1]
