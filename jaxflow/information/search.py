"""Node flows of wide layers: a search for the maximising subset where 2ⁿ cannot be listed.

``climbing`` proposes sets by the flows that ``conditional_sets`` updates as nodes come and go; what is proposed is
computed anew from samples here. Shapes: n nodes of c columns, w = c + m columns with the message's m, orthonormal, as
the last, d slots for the nodes of a set.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_key
from jaxflow.batching import batched_map, is_traced, on_all_cores
from jaxflow.errors import InputError, shown
from jaxflow.information import matrices
from jaxflow.information.checks import checked
from jaxflow.information.climbing import candidates, random_sets
from jaxflow.information.columns import HIGHEST, Layer, Rows, coordinates, decomposed, projected, standardised
from jaxflow.information.conditional_sets import (
    SINGLE,
    Moves,
    Problem,
    bits_gained,
    determinant_and_inverse,
    quadratic_form,
)
from jaxflow.information.gaussian import Groups, by_node, gaussian, node_sizes
from jaxflow.information.grouped_sets import NOWHERE, gained_by_all, grouped, table_of
from jaxflow.information.pairing import paired, with_values
from jaxflow.information.probe import probe
from jaxflow.information.probe_search import probe_flows
from jaxflow.information.recursion import DETERMINED
from jaxflow.information.stratified_sets import stratified
from jaxflow.messages import Message
from jaxflow.programs import ALONE
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
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    classes: int | None = None,
    estimator: Any = gaussian,
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch n n"]]:
    """Lower bounds on F_M(V) = max_T I(M; X_V | X_T) in bits, by Gaussian information or a probe, and their T.

    For every node V a beam grows the sets T of the largest conditional information, node by node up to ``depth``, past
    plateaus, and keeps the best it saw. Then the best set, and random ones, climb by adding or removing single nodes.
    Every bound is certified: it is I(M; X_V | X_T) of the returned T, computed from the samples' QR factors apart from
    the search's running updates; that is the difference of ``information.gaussian`` between T ∪ V and T, as far as
    float32 tells what T leaves of the message: of numbers that T determines up to 1e-5 of their variance, the bits that
    V adds are rough.

    A set in which a node would keep 1e-5 of its variance or less is not tried, and a node with so little left has no
    flow. With fewer samples than nodes a subset of N − 1 nodes fits any message: flows then tend to H(M), whatever the
    message is, and only a comparison with permuted messages tells what they mean.

    ``estimator=probe`` searches for what no linear map shows. One probe (see ``probe``) learns to predict the message
    by any subset of the layer. By what it loses on half of the held-out rows one set T grows from nothing for every V,
    and another shrinks from all other nodes. If on the other half V lessens what is lost given T, by a standard
    error, a probe of the columns of T ∪ V alone gives the flow, its bits of T ∪ V less those of T. Otherwise it is 0.
    Copies of one node have the same flow.

    The result depends on nothing but the arguments: not on the batch, and on the order of nodes only where nodes
    tie. Random sets are the same for every layer of a batch, drawn by the rank of a node's own information.

    Args:
        message: classes ``[..., N]`` or numbers ``[..., N]`` or ``[..., N, d]``, see ``gaussian``.
        activations: ``[..., N, n]``: samples on axis −2, nodes on the last; axes before them are batches and broadcast
            against the message's. A recording ``[trial, time, unit]`` with a message for every trial is
            ``activations.swapaxes(0, 1)``.
        beam: sets that grow side by side; 1 is greedy search. A probe grows one.
        restarts: random sets that climb, beside the beam's; with 0 nothing climbs. A probe has none.
        depth: most nodes of T.
        key: of the random sets, or of the probes, ``jax.random.key(0)`` by default.
        given: what the information is conditioned on. Classes ``[N]``: the flow is the maximum of Σ_g P(g) I(M; X_V |
            X_T, G = g), one set T for all strata. Numbers ``[N]`` or ``[N, g]`` are regressed out of message and
            activations.
        groups: for every column of the activations the number of its node, 0 … n − 1; each its own if not given.
        classes: K, if it is not to be counted. Integers that are being traced (under ``jit`` or ``vmap``) need it,
            or come as ``jaxflow.as_message`` made outside; traced floats are numbers unless K is given.
        estimator: ``gaussian`` or ``probe``, the function or its name. A probe must see arrays, and needs 5 samples of
            each class (of a stratum).

    Returns:
        Flows ``[..., n]`` and witnesses ``[..., n, n]``: row V holds True for the nodes in T, none where the flow is 0.

    Raises:
        InputError: shapes that do not fit or could be meant in two ways, a layer without nodes, groups that leave a
            node without columns, negative classes, NaN, infinity or masked values, a beam or depth below 1; another
            estimator, or what a probe cannot estimate.

    Example:
        >>> message = np.arange(200) % 2
        >>> noise = np.random.default_rng(0).normal(size=(200, 40))
        >>> noise[:, 3] += message + 5 * noise[:, 7]  # the message, hidden in the noise of another node
        >>> flow, witness = search_flows(message, noise, beam=1, restarts=0, depth=1)
        >>> int(flow.argmax()), np.flatnonzero(witness[3])
        (3, array([7]))
    """
    beam, restarts, depth = (
        whole(name, value, low, MOST_SETS)
        for name, value, low in (("beam", beam, 1), ("restarts", restarts, 0), ("depth", depth, 1))
    )
    by_probe = _by_probe(estimator)
    m, x, groups = checked(message, activations, given=given, groups=groups, classes=classes, most=None)
    if groups is not None and max(groups) + 1 == len(groups):  # one column each: nodes in another order
        x, groups = x[..., np.argsort(groups)], None
    pairs = paired(m, x)
    key = jax.random.key(0) if key is None else as_key(key)
    nodes = x.shape[-1] if groups is None else max(groups) + 1
    size = min(depth, max(1, nodes - 1))

    items = pairs.layers, pairs.messages.values
    traced = is_traced((items, pairs.messages.given, key))

    def search(items: tuple[Array, Array]) -> tuple[Array, Array]:
        run = _all_layers if traced else _compiled_search
        return run(items[0], with_values(pairs.messages, items[1]), key, beam, restarts, size, groups)

    if by_probe:
        found = probe_flows(pairs, groups, size, key)
    else:
        found = search(items) if traced else on_all_cores(search, items)
    flows, witnesses = map(jnp.asarray, found)
    return pairs.placed(flows), pairs.placed(witnesses)


def _by_probe(estimator: Any) -> bool:
    """Whether an estimator is the probe, not the Gaussian."""
    for name, function in (("gaussian", gaussian), ("probe", probe)):
        if estimator is function or (isinstance(estimator, str) and estimator == name):
            return function is probe
    raise InputError(f"search_flows searches by the estimators gaussian and probe, not by {shown(estimator)}")


def _all_layers(
    layers: Float[Array, "S N c"],
    messages: Message,
    key: Array,
    beam: int,
    restarts: int,
    depth: int,
    groups: Groups = None,
) -> tuple[Float[Array, "S Q n"], Bool[Array, "S Q n n"]]:
    """Every layer about its messages, ``values [S, Q, N]`` or ``[S, Q, N, m]``, in bounded memory.

    Args:
        layers: activations.
        messages: what is given is the same for all.
        key: of the random sets.
        beam: sets that grow side by side.
        restarts: random sets.
        depth: most nodes of a set.
        groups: the node of every column.
    """
    columns, strata, sizes = layers.shape[-1], max(1, messages.strata), node_sizes(groups)
    n, most = (columns, 1) if sizes is None else (len(sizes), max(sizes))
    set_bytes = 4 * strata * (2 * restarts + beam + 1) * (depth * most * columns + n * (most**2 - 1))
    table = None if sizes is None else table_of(sizes)

    def one(item: tuple[Array, Array], ranks: Int[Array, "c d"], given: Any) -> tuple[Array, Array]:
        about = with_values(replace(messages, given=given), item[1])
        search = partial(candidates, beam=beam, depth=depth, ranks=ranks)
        return _layer_flows(by_node(item[0], groups), about, table, search, set_bytes)

    ranks = random_sets(key, n, restarts, depth)
    item_bytes = 12 * layers[0].size + n * set_bytes + 8 * (strata - 1) * columns**2
    return batched_map(one, (layers, messages.values), item_bytes, ranks, messages.given)


_compiled_search = jax.jit(_all_layers, static_argnames=("beam", "restarts", "depth", "groups"), compiler_options=ALONE)


class Summary(NamedTuple):
    """All that a search knows of a layer and its messages, within one stratum or, with a leading axis, within each.

    Attributes:
        columns: R of the standardised columns X = QR, which stands in for the samples.
        covariance: RᵀR.
        about: QᵀM of every message's orthonormal columns.
        entropy: of every message.
    """

    columns: Float[Array, "*G k c"]
    covariance: Float[Array, "*G c c"]
    about: Float[Array, "*G Q k m"]
    entropy: Float[Array, "*G Q"]


def _layer_flows(
    layer: Float[Array, "N c"],
    messages: Message,
    table: Any,
    search: Callable[[Moves, Problem], Array],
    set_bytes: int,
) -> tuple[Float[Array, "Q n"], Bool[Array, "Q n n"]]:
    """One layer about its messages, one after the other; ``table`` has the columns of nodes of several."""
    moves, n = (SINGLE, layer.shape[1]) if table is None else (grouped(table), len(table))
    certified, weights = partial(_certified, table), None
    if messages.strata:
        rows = messages.given[None] == jnp.arange(messages.strata, dtype=messages.given.dtype)[:, None]
        counts = jnp.sum(rows, axis=1, dtype=layer.dtype)
        weights = counts / jnp.sum(counts)  # rows that belong to no stratum do not count
        moves, certified = stratified(moves, weights), partial(_certified_by_strata, table, weights)
        summary = jax.lax.map(partial(_summary, layer, messages), rows)
        summary = summary._replace(about=jnp.moveaxis(summary.about, 1, 0), entropy=summary.entropy.T)
    else:
        summary = _summary(layer, messages, None)
    bordered = _bordered if weights is None else jax.vmap(_bordered)

    def about(item: tuple[Array, Array]) -> tuple[Array, Array]:
        c, entropy = item
        covariance = bordered(summary.covariance, jnp.matmul(c.mT, summary.columns, precision=HIGHEST))
        order = _by_own_information(moves, covariance, entropy, n)

        def one(target: Int[Array, ""]) -> tuple[Array, Array]:
            found = search(moves, Problem(covariance, entropy, order, target))
            flows = jax.vmap(partial(certified, summary.columns, c, entropy, target))(found)
            best = jnp.argmax(flows)
            return flows[best], jnp.zeros(n, bool).at[found[best]].set(flows[best] > 0, mode="drop")

        return batched_map(one, jnp.arange(n), set_bytes)

    return jax.lax.map(about, (summary.about, summary.entropy))


def _summary(layer: Float[Array, "N c"], messages: Message, rows: Rows) -> Summary:
    """Of all rows, or those of a stratum."""
    known, x = _given_out(layer, messages.given, rows)
    basis, columns = matrices.orthonormalised(x.T)
    covariance = jnp.matmul(columns.T, columns, precision=HIGHEST)
    whole, taken = Layer(jnp.concatenate([known, basis.T]), columns), len(known)

    def about(values: Array) -> tuple[Array, Array]:
        found = projected(with_values(messages, values[None]), whole, rows, taken)
        return found.coordinates[0, taken:], found.limit[0]

    return Summary(columns, covariance, *jax.lax.map(about, messages.values))


def _given_out(layer: Float[Array, "N c"], given: Any, rows: Rows) -> tuple[Float[Array, "g N"], Float[Array, "c N"]]:
    """Directions of numbers that are given, and the standardised columns less their part in them.

    Within a stratum, ``rows``, nothing is left to be given.
    """
    x = standardised(layer.T, rows)
    if given is None or rows is not None:
        return jnp.zeros((0, len(layer)), layer.dtype), x
    known = decomposed(given).basis
    x = coordinates(x, known)[1]
    return known, jnp.where(jnp.sum(x**2, axis=1, keepdims=True) > DETERMINED, x, 0)


def _by_own_information(moves: Moves, covariance: Array, entropy: Array, n: int) -> Int[Array, " n"]:
    """Nodes by their own information, most first."""
    if moves is SINGLE:  # which only the message's columns tell apart
        return jnp.argsort(-jnp.sqrt(jnp.sum(covariance[n:, :n] ** 2, axis=0)))

    def own(target: Int[Array, ""]) -> Array:
        problem = Problem(covariance, entropy, jnp.arange(n), target)
        return moves.own_flow(problem, moves.empty_set(problem, 1))

    return jnp.argsort(-jax.lax.map(own, jnp.arange(n)))


def _bordered(within: Float[Array, "n n"], about: Float[Array, "m n"]) -> Float[Array, "w w"]:
    """Covariance of the nodes and, last, of the orthonormal columns of the message."""
    return jnp.block([[within, about.T], [about, jnp.eye(len(about), dtype=about.dtype)]])


def _certified_by_strata(
    table: Any,
    weights: Float[Array, " G"],
    columns: Float[Array, "G k c"],
    about: Float[Array, "G k m"],
    entropy: Float[Array, " G"],
    target: Int[Array, ""],
    nodes: Int[Array, " d"],
) -> Float[Array, ""]:
    """Σ_g P(g) I(M; X_V | X_T, G = g), see ``_certified``."""
    flows = jax.vmap(partial(_certified, table), (0, 0, 0, None, None))(columns, about, entropy, target, nodes)
    return jnp.vdot(weights, flows, precision=HIGHEST)


def _certified(
    table: Any,
    columns: Float[Array, "k c"],
    about: Float[Array, "k m"],
    entropy: Float[Array, ""],
    target: Int[Array, ""],
    nodes: Int[Array, " d"],
) -> Float[Array, ""]:
    """I(M; X_V | X_T) by Gram–Schmidt, every column twice, in the order of the slots, the target last."""
    listed, most = jnp.append(nodes, target), 1
    if table is not None:
        listed, most = jnp.asarray(table).at[listed].get(mode="fill", fill_value=NOWHERE).ravel(), table.shape[1]
    chosen = jnp.where(listed[:, None] < columns.shape[1], columns.T.at[listed].get(mode="clip"), 0)

    def add(basis: Array, item: tuple[Array, Array]) -> tuple[Array, Array]:
        j, v = item
        for _ in range(2):
            v = v - jnp.matmul(jnp.matmul(basis, v, precision=HIGHEST), basis, precision=HIGHEST)
        variance = jnp.vdot(v, v, precision=HIGHEST)
        direction = jnp.where(variance > DETERMINED, v / jnp.sqrt(jnp.maximum(variance, DETERMINED)), 0)
        return basis.at[j].set(direction), jnp.matmul(direction, about, precision=HIGHEST)

    parts = jax.lax.scan(add, jnp.zeros_like(chosen), (jnp.arange(len(chosen)), chosen))[1]
    left = jnp.eye(about.shape[1], dtype=about.dtype) - jnp.matmul(parts[:-most].T, parts[:-most], precision=HIGHEST)
    if table is not None:  # directions of the target's columns, which are orthonormal
        return gained_by_all(jnp.eye(most, dtype=left.dtype), parts[-most:], left, entropy)
    determinant, inverse = determinant_and_inverse(left)
    return bits_gained(determinant, quadratic_form(inverse, parts[-1], parts[-1]), entropy)
