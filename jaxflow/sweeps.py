"""What pruning does to a stack of trained networks, as arrays: rankings, sweeps of interventions, removals of edges.

An intervention is one network's computation mapped over interventions and networks. With an estimator that runs under
``jit`` one program goes from ranks to outputs; for the others it stops at the logits, which they get as arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxflow.ablations import replacements, shifts_of
from jaxflow.batching import batched_map, on_all_cores
from jaxflow.information import Advance
from jaxflow.information.estimates import ignore
from jaxflow.interventions import prune, select, selected
from jaxflow.layers import Fits, fits_of, sum_of_fits
from jaxflow.messages import Message, unpermuted
from jaxflow.networks import Params
from jaxflow.outputs import counted_measures, outputs_of, stack_outputs
from jaxflow.programs import REPEATED, compiled
from jaxflow.study import Messages, Study, pass_bytes

MOST_TOGETHER = 32  # interventions by factors in one call
MOST_VARIANTS = 256  # in one call of an estimator that takes them as variants of one layer
FEW_EDGES = 256  # that are removed by the program of the sweep
Outputs: TypeAlias = dict[str, Any]


class Interventions(NamedTuple):
    """Interventions on every network, one a row: weights chosen by rank, or one edge, are multiplied by a factor.

    Attributes:
        ranking: number of the ranking ``[G]``.
        level: edges of rank below it are chosen ``[G]``.
        factor: what they are multiplied by ``[G]``.
        edge: one more edge (layer, source, target) ``[G, 3]``; a layer that is not there for none.
    """

    ranking: Any
    level: Any
    factor: Any
    edge: Any


class Stack(NamedTuple):
    """Networks that are intervened on.

    Attributes:
        params: stacked parameters.
        start: what interventions begin with, see ``Network.start``.
        ranks: of the edges under every ranking ``[S, K, L, W, W]``.
        x: inputs, the same for all.
        messages: by name, without permutations ``[N]``.
        donors: the row whose values every row gets under the ablation ``resample``.
    """

    params: Params
    start: Any
    ranks: Any
    x: Any
    messages: Messages
    donors: Any = None


def measure_interventions(
    study: Study,
    stack: Stack,
    levels: Sequence[int],
    factors: Sequence[float],
    unpruned: Outputs,
    *,
    draws: Mapping[str, Any] | None = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
) -> tuple[Outputs, Fits]:
    """Outputs of all networks after every intervention and factor, by measure ``[S, K, F]``, and the fits behind them.

    Of the output layer only the whole is estimated; a factor of 1 is no intervention.

    Args:
        study: how to measure.
        stack: the networks.
        levels: for every ranking, edges of rank below it are multiplied by the factor.
        factors: what they are multiplied by.
        unpruned: outputs of the networks as they are, by measure ``[S]``.
        draws: hyperparameters to keep, message → ``[S, G, 5]``; None searches them anew.
        width: interventions by factors that are measured together.
        advance: told how many (network, intervention, factor, message) are done.
    """
    rows, places = _by_rank(stack, levels, factors)
    after, fits = _in_groups(study, partial(_pruned, study=study), stack, rows, draws, width, advance)
    return _swept(after, unpruned, places, (1, len(levels), len(factors))), fits


def measure_together(
    study: Study,
    stack: Stack,
    levels: Sequence[int],
    factors: Sequence[float],
    unpruned: Outputs,
    edges: Int[np.ndarray, "E 3"],
    *,
    width: int,
    advance: Advance = ignore,
) -> tuple[Outputs, Outputs, Fits]:
    """What ``measure_interventions`` and ``measure_removals`` measure, and the fits behind both.

    For an estimator that takes interventions as variants of one layer, which learn from each other.
    """
    ranked, places = _by_rank(stack, levels, factors)
    rows = jax.tree.map(lambda *own: np.concatenate(own), ranked, _without_edges(study, edges))
    after, fits = _in_groups(study, partial(_pruned, study=study), stack, rows, None, width, advance)
    swept = {name: measure[:, : len(ranked.level)] for name, measure in after.items()}
    removed = {name: measure[:, len(ranked.level) :] for name, measure in after.items()}
    return _swept(swept, unpruned, places, (1, len(levels), len(factors))), removed, fits


def _by_rank(
    stack: Stack, levels: Sequence[int], factors: Sequence[float]
) -> tuple[Interventions, tuple[np.ndarray, np.ndarray]]:
    """An intervention for every ranking and factor that is one, and the numbers of both."""
    pairs = np.array([(k, f) for k, f in product(range(len(levels)), range(len(factors))) if factors[f] != 1], int)
    k, f = pairs.reshape(-1, 2).T
    nowhere = np.tile([stack.ranks.shape[2], 0, 0], (len(pairs), 1))
    return Interventions(k, np.array(levels, int)[k], np.array(factors, np.float32)[f], nowhere), (k, f)


def _without_edges(study: Study, edges: Int[np.ndarray, "E 3"]) -> Interventions:
    """An intervention for every edge (layer, source, target), that removes it."""
    none, first = np.zeros(len(edges), int), np.array([study.first_layer, 0, 0])
    return Interventions(none, none, np.zeros(len(edges), np.float32), edges - first)


def _swept(
    after: Outputs, unpruned: Outputs, places: tuple[np.ndarray, np.ndarray], shape: tuple[int, int, int]
) -> Outputs:
    """Outputs by measure ``[S, K, F]`` from those of interventions ``[S, G]``; where there is none, the unpruned."""
    k, f = places
    measured = {name: np.tile(np.asarray(before)[:, None, None], shape) for name, before in unpruned.items()}
    for name, values in measured.items():
        values[:, k, f] = after[name] if len(k) else values[:, k, f]
    return measured


def measure_removals(
    study: Study,
    stack: Stack,
    edges: Int[np.ndarray, "E 3"],
    *,
    draws: Mapping[str, Any] | None = None,
    width: int = MOST_TOGETHER,
    advance: Advance = ignore,
) -> tuple[Outputs, Fits]:
    """Outputs of all networks with every edge alone removed, by measure ``[S, E]``, and the fits behind them.

    What ``measure_interventions`` measures at factor 0. Few edges are removed by its program, where the stack has
    ranks, which it has been compiled for; many, in deep networks, by ``Network.logits_without``.

    Args:
        study: how to measure.
        stack: the networks; the values of its ranks play no part, None will do.
        edges: (layer, source, target), layers counted from the input.
        draws: hyperparameters to keep, message → ``[S, G, 5]``; None searches them anew.
        width: edges that are measured together.
        advance: told how many (network, edge, message) are done.
    """
    if stack.ranks is None or (len(edges) > FEW_EDGES and study.ablation == "zero"):
        bare = stack._replace(ranks=None)
        return _in_groups(study, partial(_removed, study=study), bare, edges, draws, width, advance)
    rows = _without_edges(study, edges)
    return _in_groups(study, partial(_pruned, study=study), stack, rows, draws, width, advance)


def _in_groups(
    study: Study,
    apply: Callable[..., Any],
    stack: Stack,
    rows: Any,
    draws: Mapping[str, Any] | None,
    width: int,
    advance: Advance,
) -> tuple[Outputs, Fits]:
    """Outputs under every intervention, by measure ``[S, G]``, ``width`` of them at a time, and the fits behind them.

    Args:
        study: how to measure.
        apply: compiled, of a stack and ``width`` of the rows: what is seen of the networks then, see ``_seen``.
        stack: the networks.
        rows: of the interventions, a pytree with a leading axis G.
        draws: hyperparameters to keep.
        width: interventions in one call.
        advance: told how many (network, intervention, message) are done.
    """
    networks = len(jax.tree.leaves(stack.params)[0])
    items, shared = stack[:3], stack[3:]
    parts, fits = [], []
    for begin in range(0, len(jax.tree.leaves(rows)[0]), width):
        group = jax.tree.map(lambda a, begin=begin: a[begin : begin + width], rows)
        size = len(jax.tree.leaves(group)[0])
        filled = jax.tree.map(partial(_filled, width=width), group)
        seen = on_all_cores(lambda items, filled=filled: apply(_stack(items, shared), filled), items)
        outputs, spent = _estimated(study, seen, size, stack.messages, draws, advance)
        parts.append(outputs)
        fits.append(spent)
    joined = jax.tree.map(lambda *fields: np.concatenate(fields, axis=1), *parts) if parts else {}
    return joined, sum_of_fits(fits, study, networks)


def _stack(items: tuple, shared: tuple) -> Stack:
    """A stack from what differs between networks, and what they share."""
    return Stack(*items, *shared)


def _filled(rows: np.ndarray, width: int) -> np.ndarray:
    """Pad to ``width`` rows by repeating the last, so that all groups share one compilation."""
    return rows[np.minimum(np.arange(width), len(rows) - 1)]


def _estimated(
    study: Study, seen: Any, count: int, messages: Messages, draws: Mapping[str, Any] | None, advance: Advance
) -> tuple[Outputs, Fits]:
    """Outputs of networks under the first ``count`` of G interventions, ``[S, count]``, and the fits behind them.

    Args:
        study: how to measure.
        seen: outputs by measure ``[S, G]``; or logits ``[S, G, N, c]``, to be estimated, and counted measures.
        count: interventions that are asked for.
        messages: without permutations.
        draws: hyperparameters to keep.
        advance: told how many (network, intervention, message) are done.
    """
    seen = jax.tree.map(lambda a: np.asarray(a)[:, :count], seen)
    about = study.estimated(messages)
    if isinstance(seen, dict):
        advance(len(about) * len(seen["accuracy"]) * count)
        return seen, {}
    logits, counted = seen
    networks = len(logits)
    kept = None if draws is None else {name: np.repeat(chosen, count, axis=0) for name, chosen in draws.items()}
    estimates = study.estimate_variants(logits, unpermuted(about), draws=kept, advance=advance)
    bits = {
        name: jnp.asarray(of_all.bits[0, :, 0], logits.dtype).reshape(networks, count)
        for name, of_all in estimates.items()
    }
    spent = jax.tree.map(lambda n: n.reshape(networks, count).sum(axis=1), fits_of(estimates, networks * count))
    counted = {name: jnp.asarray(measure) for name, measure in counted.items()}
    return jax.tree.map(np.asarray, stack_outputs(bits, counted, dict(messages), study.roles)), spent


def group_width(study: Study, *counts: int) -> int:
    """The width of groups that wastes least on filling up the last; one for all counts, so that all share a trace.

    An estimator that takes variants of one layer gets as many as it may, which teach each other.

    Args:
        study: how to measure.
        counts: interventions by factors.
    """
    if study.spec.variants is not None:
        most = max(1, *counts)
        return -(-most // -(-most // MOST_VARIANTS))
    return min(range(MOST_TOGETHER, 0, -1), key=lambda width: sum(-(-count // width) * (width + 1) for count in counts))


@compiled("study", alone=True, on_cpu=REPEATED)
def _pruned(stack: Stack, rows: Interventions, study: Study) -> Any:
    """What networks show after every intervention, ``[S, G, ...]``: see ``_seen``."""

    def one(item: tuple[Params, Any, Array], rows: Interventions, shared: tuple[Any, ...]) -> Any:
        (intact, start, ranks), (x, messages, donors) = item, shared
        replaced = transmitted_instead(study, intact, x, donors)

        def pruned(row: Interventions) -> Any:
            chosen = ranks[row.ranking].at[tuple(row.edge)].set(-1, mode="drop")
            logits = pruned_logits(study, intact, (x, start), (chosen, row.level, row.factor), replaced)
            return _seen(study, logits, messages)

        return jax.vmap(pruned)(rows)

    item_bytes = len(rows.level) * pass_bytes(stack.params, stack.x, study)
    return batched_map(one, stack[:3], item_bytes, rows, (stack.x, dict(stack.messages), stack.donors))


def transmitted_instead(study: Study, params: Params, x: Any, donors: Any) -> list[Array] | None:
    """What the ablated edges of one network transmit, see ``ablations.replacements``."""
    if study.ablation == "zero":
        return None
    return replacements(study.network.activations(params, x)[study.first_layer : -1], study.ablation, donors)


def pruned_logits(
    study: Study,
    intact: Params,
    begin: tuple[Any, Any],
    chosen: tuple[Int[Array, "L W W"], Any, Any],
    replaced: Sequence[Array] | None,
) -> Float[Array, "N c"]:
    """The output of one network after one intervention.

    Args:
        study: the architecture and the ablation.
        intact: parameters of the network as it is.
        begin: inputs, and what interventions begin with (``Network.start``).
        chosen: ranks of the edges, the level below which they are chosen, and the factor that they are multiplied by.
        replaced: what ablated edges transmit, see ``transmitted_instead``.
    """
    (x, start), (ranks, level, factor), first = begin, chosen, study.first_layer
    params = prune(intact, select(study.network, intact, ranks, level), factor)
    if replaced is None:
        return study.network.resume(params, x, start, first)[-1]
    weights = study.network.weights(intact)
    gone = [jnp.where(own, 1 - factor, 0) for own in selected(weights, ranks, level)[first:]]
    return study.network.logits_shifted(params, x, start, first, shifts_of(weights[first:], gone, replaced))


@compiled("study", alone=True, on_cpu=REPEATED)
def _removed(stack: Stack, edges: Int[Array, "G 3"], study: Study) -> Any:
    """What networks show without each of the edges, ``[S, G, ...]``: see ``_seen``."""

    def one(item: tuple[Params, Any], edges: Array, x: Array, messages: dict[str, Message]) -> Any:
        params, start = item
        logits = study.network.logits_without(params, x, start, study.first_layer, edges)
        return jax.vmap(partial(_seen, study, messages=messages))(logits)

    item_bytes = (1 + len(edges) // 4) * pass_bytes(stack.params, stack.x, study)
    return batched_map(one, stack[:2], item_bytes, edges, stack.x, dict(stack.messages))


def _seen(study: Study, logits: Float[Array, "N c"], messages: Messages) -> Any:
    """The outputs of one network; for an estimator that must see arrays the logits, and what is counted on them."""
    counted = counted_measures(logits, messages, study.roles)
    if study.spec.layer_bits is None:
        return logits, counted
    single = unpermuted(study.estimated(messages))
    bits: Any = study.spec.layer_bits(single, logits, study.output_groups(logits.shape[1]))
    return outputs_of({name: subsets[0, -1] for name, subsets in bits.items()}, counted, messages, study.roles)
