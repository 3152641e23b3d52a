"""Node flows of wide layers: a search for the maximising subset where 2ⁿ cannot be listed.

``climbing`` proposes sets by the flows that ``conditional_sets`` updates as nodes come and go; what is proposed is
computed anew from samples here. Shapes: n nodes, w = n + m columns with the message's m, orthonormal, as the last, d
slots for the nodes of a set.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map
from jaxflow.errors import InputError
from jaxflow.information.checks import checked
from jaxflow.information.climbing import candidates, random_sets
from jaxflow.information.columns import HIGHEST, Layer, coordinates, decomposed, projected, standardised
from jaxflow.information.conditional_sets import Problem, bits_gained, determinant_and_inverse, quadratic_form
from jaxflow.information.pairing import paired, with_values
from jaxflow.information.recursion import DETERMINED
from jaxflow.messages import Message
from jaxflow.values import whole

MOST_SETS = 100_000  # side by side, and nodes of one


def search_flows(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    beam: int = 8,
    restarts: int = 8,
    depth: int = 32,
    key: Array | None = None,
    given: ArrayLike | None = None,
    groups: Any = None,
    classes: int | None = None,
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch n n"]]:
    """Lower bounds on F_M(V) = max_T I(M; X_V | X_T) by Gaussian information, in bits, and the T that attain them.

    For every node V a beam grows the sets T of the largest conditional information, node by node up to ``depth``, past
    plateaus, and keeps the best it saw. Then the best set, and random ones, climb by adding or removing single nodes.
    Every bound is certified: it is I(M; X_V | X_T) of the returned T, computed from the samples' QR factors apart from
    the search's running updates; that is the difference of ``information.gaussian`` between T ∪ V and T, as far as
    float32 tells what T leaves of the message: of numbers that T determines up to 1e-5 of their variance, the bits that
    V adds are rough.

    A set in which a node would keep 1e-5 of its variance or less is not tried, and a node with so little left has no
    flow. With fewer samples than nodes a subset of N − 1 nodes fits any message: flows then tend to H(M), whatever the
    message is, and only a comparison with permuted messages tells what they mean.

    The result depends on nothing but the arguments: not on the batch, and on the order of nodes only where nodes
    tie. Random sets are the same for every layer of a batch, drawn by the rank of a node's own information.

    Args:
        message: classes ``[..., N]`` or numbers ``[..., N]`` or ``[..., N, d]``, see ``gaussian``.
        activations: ``[..., N, n]``: samples on axis −2, nodes on the last; axes before them are batches and broadcast
            against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``.
        beam: sets that grow side by side; 1 is greedy search.
        restarts: random sets that climb, beside the beam's; with 0 nothing climbs.
        depth: most nodes of T.
        key: of the random sets, ``jax.random.key(0)`` by default.
        given: numbers ``[N]`` or ``[N, g]`` that are regressed out of message and activations. Strata of classes are
            not searched: ``gaussian_flows`` lists their subsets.
        groups: only None or a node for every column; ``gaussian_flows`` takes nodes of several columns.
        classes: K of a message that is being traced.

    Returns:
        Flows ``[..., n]`` and witnesses ``[..., n, n]``: row V holds True for the nodes in T, none where the flow is 0.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a layer without nodes, negative
            classes, NaN, infinity or masked values, a beam or depth below 1, strata, nodes of several columns.
    """
    beam, restarts, depth = (
        whole(name, value, low, MOST_SETS)
        for name, value, low in (("beam", beam, 1), ("restarts", restarts, 0), ("depth", depth, 1))
    )
    m, x, groups = checked(message, activations, given=given, groups=groups, classes=classes, most=None)
    if m.strata or groups is not None:
        what = "strata of classes" if m.strata else "nodes of several columns"
        raise InputError(f"search_flows does not take {what}; gaussian_flows does, for layers of up to 30 nodes")
    pairs = paired(m, x)
    key = jax.random.key(0) if key is None else key
    size = min(depth, max(1, x.shape[-1] - 1))
    flows, witnesses = _all_layers(pairs.layers, pairs.messages, key, beam, restarts, size)
    return pairs.placed(flows), pairs.placed(witnesses)


@partial(jax.jit, static_argnames=("beam", "restarts", "depth"))
def _all_layers(
    layers: Float[Array, "S N n"], messages: Message, key: Array, beam: int, restarts: int, depth: int
) -> tuple[Float[Array, "S Q n"], Bool[Array, "S Q n n"]]:
    """Every layer about its messages, ``values [S, Q, N]`` or ``[S, Q, N, m]``, in bounded memory."""
    n = layers.shape[-1]
    set_bytes = 4 * (2 * restarts + beam + 1) * depth * n

    def one(item: tuple[Array, Array], ranks: Int[Array, "c d"], given: Any) -> tuple[Array, Array]:
        about = Message(item[1], given, messages.classes)
        return _layer_flows(item[0], about, partial(candidates, beam=beam, depth=depth, ranks=ranks), set_bytes)

    ranks = random_sets(key, n, restarts, depth)
    item_bytes = 12 * layers[0].size + n * set_bytes
    return batched_map(one, (layers, messages.values), item_bytes, ranks, messages.given)


def _layer_flows(
    layer: Float[Array, "N n"], messages: Message, search: Callable[[Problem], Array], set_bytes: int
) -> tuple[Float[Array, "Q n"], Bool[Array, "Q n n"]]:
    """One layer about its messages, one after the other; Q and R of the standardised layer stand in for the samples."""
    n = layer.shape[-1]
    known, x = _given_out(layer, messages.given)
    basis, columns = jnp.linalg.qr(x.T)
    within = jnp.matmul(columns.T, columns, precision=HIGHEST)
    whole, taken = Layer(jnp.concatenate([known, basis.T]), columns), len(known)

    def about(values: Array) -> tuple[Array, Array]:
        found = projected(with_values(messages, values[None]), whole, None, taken)
        c, entropy = found.coordinates[0, taken:], found.limit[0]
        covariance = _bordered(within, jnp.matmul(c.T, columns, precision=HIGHEST))
        order = jnp.argsort(-jnp.sqrt(jnp.sum(covariance[n:, :n] ** 2, axis=0)))

        def one(target: Int[Array, ""]) -> tuple[Array, Array]:
            found = search(Problem(covariance, entropy, order, target))
            flows = jax.vmap(partial(_certified, columns, c, entropy, target))(found)
            best = jnp.argmax(flows)
            return flows[best], jnp.zeros(n, bool).at[found[best]].set(flows[best] > 0, mode="drop")

        return batched_map(one, jnp.arange(n), set_bytes)

    return jax.lax.map(about, messages.values)


def _given_out(layer: Float[Array, "N n"], given: Float[Array, "N g"] | None) -> tuple[Array, Float[Array, "n N"]]:
    """Directions of what is given ``[g, N]``, and the standardised columns less their part in them."""
    x = standardised(layer.T)
    if given is None:
        return jnp.zeros((0, len(layer)), layer.dtype), x
    known = decomposed(given).basis
    x = coordinates(x, known)[1]
    return known, jnp.where(jnp.sum(x**2, axis=1, keepdims=True) > DETERMINED, x, 0)


def _bordered(within: Float[Array, "n n"], about: Float[Array, "m n"]) -> Float[Array, "w w"]:
    """Covariance of the nodes and, last, of the orthonormal columns of the message."""
    return jnp.block([[within, about.T], [about, jnp.eye(len(about), dtype=about.dtype)]])


def _certified(
    columns: Float[Array, "k n"],
    about: Float[Array, "k m"],
    entropy: Float[Array, ""],
    target: Int[Array, ""],
    nodes: Int[Array, " d"],
) -> Float[Array, ""]:
    """I(M; X_V | X_T) by Gram–Schmidt, every column twice, in the order of the slots, the target last."""
    listed = jnp.append(nodes, target)
    chosen = jnp.where(listed[:, None] < columns.shape[1], columns.T.at[listed].get(mode="clip"), 0)

    def add(basis: Array, item: tuple[Array, Array]) -> tuple[Array, Array]:
        j, v = item
        for _ in range(2):
            v = v - jnp.matmul(jnp.matmul(basis, v, precision=HIGHEST), basis, precision=HIGHEST)
        variance = jnp.vdot(v, v, precision=HIGHEST)
        direction = jnp.where(variance > DETERMINED, v / jnp.sqrt(jnp.maximum(variance, DETERMINED)), 0)
        return basis.at[j].set(direction), jnp.matmul(direction, about, precision=HIGHEST)

    parts = jax.lax.scan(add, jnp.zeros_like(chosen), (jnp.arange(len(chosen)), chosen))[1]
    left = jnp.eye(about.shape[1], dtype=about.dtype) - jnp.matmul(parts[:-1].T, parts[:-1], precision=HIGHEST)
    determinant, inverse = determinant_and_inverse(left)
    return bits_gained(determinant, quadratic_form(inverse, parts[-1], parts[-1]), entropy)
