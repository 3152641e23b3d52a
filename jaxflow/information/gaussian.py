"""Gaussian information: I(M; X_T) from the joint covariance, for all subsets T of a layer in O(2ⁿ).

Three steps, all in the precision of the activations. Centre and standardise; Gram–Schmidt gives the triangular
factor R of the columns (X = QR) and the message's coordinates C = QᵀM, see ``columns``; a recursion over the nodes
splits every (R, C) into the subsets with and without the next node, see ``recursion``. The factor never looks at the
message: many messages and permutations about one layer share it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map, in_blocks, lanes, nodes_together
from jaxflow.information.cells import warn_of_thin_cells
from jaxflow.information.checks import checked
from jaxflow.information.columns import Layer, Projected, Rows, decomposed, of_two_classes, projected
from jaxflow.information.estimates import Advance, Estimates, ignore
from jaxflow.information.pairing import paired, with_values
from jaxflow.information.ranks import rank_normalised
from jaxflow.information.recursion import (
    DOUBLED,
    Sizes,
    directions,
    explained_along,
    explained_variance,
    unexplained_bits,
)
from jaxflow.messages import Message

Groups = tuple[int, ...] | None
LayerBits = Callable[[Mapping[str, Message], Array, Groups], dict[str, Array]]

MANY = 64  # messages of two classes from which on the directions of all subsets are worth computing
MANY_BYTES = 2**25  # of these messages, and of their information, that are held at once


def gaussian(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    rank: bool = False,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    classes: int | None = None,
) -> Float[Array, "*batch subsets"]:
    """Gaussian information about a message in every subset of a layer's nodes.

    I(M; X_T) = ½ log₂(det Cov M / det Cov(M | X_T)) bits for all 2ⁿ subsets T: the Gaussian approximation of Venkatesh
    et al. 2021, App. A.3 (the determinant form of eq. 13). K classes are K − 1 of their indicators, whichever: the
    value is −½ log₂ of Wilks' Λ, clipped to [0, H(M)]. Numbers are taken as they are and not clipped above, but for
    what float32 tells apart: at most 20 bits about each column of a message that the layer determines.

    **It is an approximation and no bound.** It sees linear dependence only: for M = X₁ xor X₂ it is 0 and the truth
    is 1 bit. It can also lie above the truth, because classes are not Gaussian: for two equally likely normal
    classes of equal variance, two standard deviations apart, the truth is 0.486 bit and the Gaussian value 0.5; three
    standard deviations apart, 0.760 and 0.850 (``tests/test_gaussian.py``; more samples do not help).

    A column that the columns before it in T determine (residual variance ≤ 1e-6 of the standardised column) adds
    nothing: constant, duplicate, collinear and dead columns are exact. Scale and offset of a column change nothing
    beyond what rounding took from the data before they came here.

    Args:
        message: integers or booleans are classes 0 … K − 1, ``[..., N]``; floating numbers are continuous, ``[..., N]``
            or ``[..., N, d]``; floats that are all 0 or 1 are classes too. The samples are axis −2 of the activations.
        activations: ``[..., N, n]``: samples on axis −2, columns on the last. Axes before them are batches and
            broadcast against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``: times are the batch.
        rank: replace activations by normal scores first, see ``rank_normalised``; ``copula`` does more.
        given: what the information is conditioned on. Classes ``[N]``: every stratum has its own means and
            covariances, Σ_g P(g) I(M; X_T | G = g), each clipped to its own H(M | G = g). Numbers ``[N]`` or
            ``[N, g]``: regressed, with an intercept, out of message and activations.
        groups: for every column of the activations the number of its node, 0 … n − 1; each its own if not given.
        classes: K, if it is not to be counted. Integers that are being traced (under ``jit`` or ``vmap``) need it,
            or come as ``jaxflow.as_message`` made outside; traced floats are numbers unless K is given.

    Returns:
        Bits ``[..., 2**n]``, T indexed by bitmask (bit i set = node i in T). H(M) from the data.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, groups that leave a node without columns,
            negative classes, NaN, infinity or masked values. Under a transformation values cannot be checked: NaN gives
            NaN there, and float32 values below 1.2e-38 count as 0.

    Example:
        >>> message = np.array([0, 0, 1, 1, 2, 2] * 2)
        >>> activations = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]] * 2)
        >>> gaussian(message, activations)[1]  # the first node tells the first class from the others
        Array(1.5849625, dtype=float32)
    """
    checks = checked(message, activations, given=given, groups=groups, classes=classes)
    warn_of_thin_cells({"the message": checks.message}, checks.activations.shape[-1])
    x = rank_normalised(checks.activations) if rank else checks.activations
    return about_layers(checks.message, x, groups=checks.groups)


@partial(jax.jit, static_argnames="groups")
def about_layers(
    message: Message, activations: Float[Array, "*batch N c"], groups: Groups = None
) -> Float[Array, "*batch2 subsets"]:
    """Every message about its layer."""
    pairs = paired(message, activations)

    def one(values: Array, layer: Array) -> Array:
        return bits_about(pairs.messages, layer, groups)(values)

    values, layers = pairs.messages.values, pairs.layers
    if len(layers) == 1:  # a vmap of one would turn products of matrices into batches of products
        return pairs.placed(one(values[0], layers[0])[None])
    if values.shape[1] >= MANY:  # of which all layers' do not fit into memory at once
        return pairs.placed(batched_map(lambda pair: one(*pair), (values, layers), 8 * layers[0].size))
    return pairs.placed(jax.vmap(one)(values, layers))


def estimate_listed(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    layer_bits: LayerBits,
    groups: Groups = None,
    draws: Mapping[str, object] | None = None,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of an estimator that lists all subsets of a layer, see ``jaxflow.information.Estimate``.

    Args:
        layers: activations.
        messages: by name, ``values [P, N]`` or ``[P, N, d]``; the first of each is the message, the others are its
            permutations.
        members: nodes of every subset.
        layer_bits: the bits of all subsets of one layer's nodes, a pure function.
        groups: the node of every column.
        draws: not used, nothing is searched.
        advance: told how many (layer, message, subset) are done.
    """
    del draws
    masks = members @ 2 ** np.arange(members.shape[1])
    listed = _all_layers(layers, dict(messages), layer_bits=layer_bits, groups=groups)
    bits = {name: np.asarray(every)[..., masks] for name, every in listed.items()}
    advance(sum(every[:, 0].size for every in bits.values()))
    return {name: Estimates(np.swapaxes(every, 0, 1)) for name, every in bits.items()}


@partial(jax.jit, static_argnames=("layer_bits", "groups"))
def _all_layers(
    layers: Float[Array, "S N c"], messages: dict[str, Message], layer_bits: LayerBits, groups: Groups = None
) -> dict[str, Float[Array, "S P subsets"]]:
    """Every layer about every message, in bounded memory."""
    nodes = max(groups) + 1 if groups else layers.shape[-1]
    count = sum(len(message.values) for message in messages.values())
    item_bytes = 8 * layers[0].size + 16 * count * 2**nodes
    return batched_map(lambda layer, about: layer_bits(about, layer, groups), layers, item_bytes, messages)


def layer_bits(
    messages: Mapping[str, Message], layer: Float[Array, "N c"], groups: Groups = None
) -> dict[str, Float[Array, "P subsets"]]:
    """``gaussian`` of one layer about many messages, under ``jit``: its decomposition serves them all.

    Messages of one kind, of which nothing or the same is given, also share the recursion.
    """
    kinds: dict[tuple, list[str]] = {}
    for name, message in messages.items():
        kind = message.classes, message.strata, id(message.given), message.values.shape[2:]
        kinds.setdefault(kind, []).append(name)
    by_name, whole = {}, None
    for names in kinds.values():
        kind = messages[names[0]]
        if kind.given is None and whole is None:
            whole = decomposed(by_node(layer, groups))
        values = [messages[name].values for name in names]
        bits = bits_about(kind, layer, groups, whole)(jnp.concatenate(values))
        ends = np.cumsum([len(stack) for stack in values])[:-1]
        by_name |= dict(zip(names, jnp.split(bits, ends), strict=True))
    return {name: by_name[name] for name in messages}


estimate = partial(estimate_listed, layer_bits=layer_bits)


def bits_about(
    kind: Message, layer: Float[Array, "N c"], groups: Groups = None, whole: Layer | None = None
) -> Callable[[Array], Float[Array, "Q subsets"]]:
    """The bits of one layer as a function of messages' values ``[Q, N]`` or ``[Q, N, d]``; it is decomposed here.

    Args:
        kind: a message whose values are not looked at.
        layer: activations.
        groups: the node of every column.
        whole: the layer decomposed, if that is done and nothing is given.
    """
    x, sizes, given = by_node(layer, groups), node_sizes(groups), kind.given
    if not kind.strata:
        known = whole if given is None and whole is not None else decomposed(x, None, given)
        taken = 0 if given is None else given.shape[1]
        return lambda values: all_bits(with_values(kind, values), known, None, taken, sizes)
    rows = given[None] == jnp.arange(kind.strata, dtype=given.dtype)[:, None]
    strata = jax.lax.map(lambda inside: (inside, decomposed(x, inside)), rows)
    kept = jnp.sum(rows, dtype=x.dtype)  # rows that belong to no stratum do not count
    nodes = x.shape[1] if sizes is None else len(sizes)

    def averaged(values: Array) -> Array:
        def add(total: Array, stratum: tuple[Array, Layer]) -> tuple[Array, None]:
            inside, known = stratum
            bits = all_bits(with_values(kind, values), known, inside, 0, sizes)
            return total + jnp.sum(inside, dtype=x.dtype) / kept * bits, None

        return jax.lax.scan(add, jnp.zeros((len(values), 2**nodes), x.dtype), strata)[0]

    return averaged


def by_node(layer: Float[Array, "N c"], groups: Groups) -> Float[Array, "N c"]:
    """The columns of a node side by side."""
    return layer if groups is None else layer[:, np.argsort(groups, kind="stable")]


def node_sizes(groups: Groups) -> tuple[int, ...] | None:
    """How many columns each node has; None if one each."""
    return None if groups is None else tuple(np.bincount(groups).tolist())


def all_bits(
    messages: Message, layer: Layer, rows: Rows, taken: int, sizes: tuple[int, ...] | None
) -> Float[Array, "Q subsets"]:
    """I(M; X_T) about messages ``values [Q, N]`` or ``[Q, N, d]``, a batch of them at a time.

    Args:
        messages: all of one kind.
        layer: decomposed.
        rows: the samples that count; all if None.
        taken: how many of the layer's first directions are given.
        sizes: how many columns each node has; None if one each.
    """
    nodes = len(layer.factor) - taken if sizes is None else len(sizes)
    columns = messages.values.shape[-1] if messages.continuous else messages.classes - 1

    def batch(values: Array) -> Array:
        projections = projected(with_values(messages, values), layer, rows, taken)
        return jax.vmap(lambda one: subset_bits(one, layer, taken, sizes))(projections)

    if len(messages.values) == 1:
        projections = projected(messages, layer, rows, taken)
        return subset_bits(jax.tree.map(lambda a: a[0], projections), layer, taken, sizes)[None]
    if (
        len(messages.values) >= MANY
        and messages.classes == 2
        and not taken
        and sizes is None
        and nodes <= nodes_together()
    ):
        return _bits_of_many(messages, layer, rows)
    return in_blocks(batch, messages.values, lanes(4 * columns**2 * 2**nodes))


def _bits_of_many(messages: Message, layer: Layer, rows: Rows) -> Float[Array, "Q subsets"]:
    """``all_bits`` about many messages of two classes, from the directions of all subsets."""
    along, samples = directions(layer.factor), messages.values.shape[1]

    def block(values: Array) -> Array:
        coordinates, limit = of_two_classes(values, layer.basis, rows)
        return bits_explained(explained_along(along, coordinates), limit[:, None])

    return in_blocks(block, messages.values, max(1, MANY_BYTES // (4 * max(samples, along.shape[1]))))


def bits_explained(explained: Float[Array, "*batch subsets"], limit: Float[Array, "..."]) -> Array:
    """Bits about a message of one column of whose variance so much is explained."""
    return jnp.clip(-jnp.log1p(-jnp.minimum(explained, 1)) / (2 * jnp.log(2.0)), 0, limit)


def subset_bits(
    message: Projected, layer: Layer, taken: int = 0, sizes: Sizes = None, doubled: int = DOUBLED
) -> Float[Array, " subsets"]:
    """I(M; X_T) of all subsets about one message, from the decomposed layer."""
    coordinates, residual, limit = message
    if residual is None:
        return bits_explained(explained_variance(layer.factor, coordinates[:, 0], sizes, doubled=doubled), limit)
    bits = unexplained_bits(layer.factor, coordinates, residual, sizes, taken, doubled)
    return jnp.clip(bits, 0, limit).at[0].set(0)
