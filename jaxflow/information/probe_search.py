"""Flows of wide layers by the learned probe: one probe finds the company T of every node V, another values it.

``probe_climbing`` finds the sets. Their flows are estimated anew by probes that see no other nodes: bits of T ∪ V less
those of T, from the same networks. The columns are filled up by constant ones, which play no part, so that sets of many
sizes are one program.
"""

import warnings
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from jaxtyping import Shaped as AnyType

from jaxflow.batching import cores, is_traced, on_all_cores
from jaxflow.errors import InputError
from jaxflow.information.checks import must_see_arrays
from jaxflow.information.cross_validation import OUTER, check_cells
from jaxflow.information.gaussian import Groups
from jaxflow.information.pairing import Pairs, with_values
from jaxflow.information.probe import ProbeOptions, estimate, kept_rows, question_of, task_of
from jaxflow.information.probe_climbing import NO_COLUMN, Asked, Nodes, best_sets, taught
from jaxflow.information.probe_fits import Learned
from jaxflow.information.svms import ConvergenceWarning
from jaxflow.messages import Message, unpermuted

CYCLES = ProbeOptions().cycles  # of training, at most
ROWS = 100  # of every fold that choose T, about; the others decide whether anything was found


class Layer(NamedTuple):
    """A layer and the options of its search.

    Attributes:
        x: activations ``[N, c]``.
        groups: the node of every column.
        depth: most nodes of T.
        key: of all probes.
    """

    x: np.ndarray
    groups: tuple[int, ...]
    depth: int
    key: Array


def probe_flows(
    pairs: Pairs, groups: Groups, depth: int, key: Array
) -> tuple[Float[np.ndarray, "S Q n"], Bool[np.ndarray, "S Q n n"]]:
    """Flows of every layer about its messages, and the sets that attain them; see ``search_flows``.

    Args:
        pairs: layers and messages.
        groups: the node of every column; None where every column is one.
        depth: most nodes of T.
        key: of all probes.

    Raises:
        InputError: arrays that are being traced, a class too small for five folds.
    """
    if is_traced((pairs.layers, pairs.messages, key)):
        raise InputError(must_see_arrays("the search by a probe"))
    groups = groups or tuple(range(pairs.layers.shape[2]))
    layers, values = np.asarray(pairs.layers), np.asarray(pairs.messages.values)
    found = [
        [_flows(Layer(x, groups, depth, key), with_values(pairs.messages, message)) for message in about]
        for x, about in zip(layers, values, strict=True)
    ]
    short = sum(own[2] for row in found for own in row)
    if short:
        warnings.warn(
            f"{short} of the probes that certify flows still improved when their last cycle ended",
            ConvergenceWarning,
            stacklevel=3,
        )
    return tuple(np.array([[own[part] for own in row] for row in found]) for part in (0, 1))  # pyright: ignore[reportReturnType]


def _flows(layer: Layer, message: Message) -> tuple[np.ndarray, np.ndarray, int]:
    """Flows ``[n]`` of one layer about one message, witnesses ``[n, n]``, and how many certificates fell short."""
    n = max(layer.groups) + 1
    flows, witnesses = np.zeros(n, layer.x.dtype), np.zeros((n, n), bool)
    values = np.asarray(message.values)
    if not np.ptp(values, axis=0).any():
        return flows, witnesses, 0
    check_cells(message)
    members, certain, same_as = _sets(layer, message)
    targets = np.flatnonzero(certain)
    short = 0
    if len(targets):
        flows[targets], short = _certified(layer, message, targets, members[targets])
        witnesses[targets] = members[targets] & (flows[targets] > 0)[:, None]
    return flows[same_as], witnesses[same_as], short


def _sets(layer: Layer, message: Message) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T of every node ``[n, n]``, whether its flow is to be certified, and the first node that is a copy of it."""
    n = max(layer.groups) + 1
    question = question_of(message, np.asarray(message.values))
    task = task_of(question, np.zeros((1, n), bool), layer.groups, layer.x.dtype)
    x = layer.x[kept_rows(message)]
    own, nothing = taught(x, task, layer.key, np.int32(CYCLES), head=question.head)
    nodes, same_as = _nodes(own, [x[:, np.equal(layer.groups, node)].tobytes() for node in range(n)])
    chooses = np.arange(task.test.shape[1]) % max(2, len(question.message) // (OUTER * ROWS)) == 0
    asked = Asked(nothing, np.flatnonzero(chooses), np.flatnonzero(~chooses))
    run = partial(best_sets, own=own, asked=asked, nodes=nodes, depth=layer.depth, head=question.head)
    targets = np.flatnonzero(nodes.useful)
    members, certain = np.zeros((n, n), bool), np.zeros(n, bool)
    if len(targets):
        members[targets], certain[targets] = on_all_cores(run, targets)
    return members, certain, same_as


def _nodes(own: Learned, values: list[bytes]) -> tuple[Nodes, AnyType[np.ndarray, " n"]]:
    """The nodes as the climbs see them, and for each the one of its copies that stands for them.

    Args:
        own: what was learned of the layer.
        values: of every node; by them, not by its place, one copy is chosen.
    """
    shows, nearest = np.asarray(own.shows), np.asarray(own.folds.nearest[0])
    near = np.any(np.asarray(own.folds.features[0, :, :, 2]) != 0, axis=0)  # columns of which the nearest leaves some
    follows = np.zeros((shows.shape[1],) * 2, bool)
    follows[nearest[near], np.flatnonzero(near)] = True
    moved = shows | (shows.astype(float) @ follows > 0)
    most = max(1, int(moved.sum(axis=1).max()))
    columns = np.argsort(~moved, axis=1, kind="stable")[:, :most].astype(np.int32)
    columns = np.where(np.take_along_axis(moved, columns, axis=1), columns, NO_COLUMN)
    order = np.array(sorted(range(len(shows)), key=values.__getitem__))
    _, first, number = np.unique(shows[order], axis=0, return_index=True, return_inverse=True)
    same_as = np.empty_like(order)
    same_as[order] = order[first[number.ravel()]]
    useful = (same_as == np.arange(len(shows))) & shows.any(axis=1)
    return Nodes(shows, columns, useful), same_as


def _certified(
    layer: Layer, message: Message, targets: AnyType[np.ndarray, " V"], members: Bool[np.ndarray, "V n"]
) -> tuple[Float[np.ndarray, " V"], int]:
    """The bits of T ∪ V less those of T by a probe of T ∪ V alone, and how many of the probes fell short.

    Targets whose T ∪ V are the same share a probe.
    """
    together = members.copy()
    together[np.arange(len(targets)), targets] = True
    sets, probe = np.unique(together, axis=0, return_inverse=True)
    slots = 1 << int(np.ceil(np.log2(sets.sum(axis=1).max())))  # few programs for sets of any size
    most = int(np.bincount(layer.groups).max())
    columns = [np.flatnonzero(np.equal(layer.groups, node)) for node in range(members.shape[1])]
    stack = np.zeros((len(sets), len(layer.x), slots * most), layer.x.dtype)
    for own, inside in zip(stack, sets, strict=True):
        for slot, node in enumerate(np.flatnonzero(inside)):
            own[:, slot * most : slot * most + len(columns[node])] = layer.x[:, columns[node]]
    bits, short = _all_and_all_but_one(layer, message, stack, slots, most)
    place = np.cumsum(sets, axis=1)[probe, targets]  # of the target among the nodes of its set, from 1
    return np.maximum(bits[probe, 0] - bits[probe, place], 0), short


def _all_and_all_but_one(
    layer: Layer, message: Message, stack: Float[np.ndarray, "C N c"], slots: int, most: int
) -> tuple[Float[np.ndarray, "C T"], int]:
    """Bits of all nodes of small layers, and of all but each in turn; and how many probes fell short.

    Args:
        layer: whose key the probes have.
        message: what they predict.
        stack: the layers.
        slots: nodes of each.
        most: columns of a node.
    """
    members = np.concatenate([np.ones((1, slots), bool), ~np.eye(slots, dtype=bool)])
    seed, about = int(jax.random.bits(layer.key)), unpermuted({"": message})
    groups = tuple(np.repeat(np.arange(slots), most).tolist())
    run = partial(estimate, messages=about, members=members, groups=groups, cycles=CYCLES, seed=seed)
    width = cores() if jax.default_backend() == "cpu" else len(stack)  # one layer on every core: one program for all
    found = [run(jnp.asarray(stack[begin : begin + width]))[""] for begin in range(0, len(stack), width)]
    short = sum(int(np.sum(np.asarray(own.unconverged)[:, 0] > 0)) for own in found)
    return np.concatenate([own.bits[0] for own in found]), short
