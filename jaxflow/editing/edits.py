"""An edit of one network: chosen on one half of the rows, reported on the other, and the roles exchanged."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.batching import batched_map, is_traced, on_all_cores
from jaxflow.editing.candidates import (
    Candidate,
    Sample,
    Setting,
    all_candidates,
    analysed,
    applied,
    multipliers,
    outcomes,
    ranks_of,
)
from jaxflow.editing.choosing import best, first_least
from jaxflow.editing.recalibration import laid_down, refit
from jaxflow.messages import Message, unpermuted
from jaxflow.networks import Params
from jaxflow.outputs import counted_measures, measure_names, outputs_of, stack_outputs
from jaxflow.programs import BRIEF, REPEATED, compiled
from jaxflow.study import Study, pass_bytes


class Data(NamedTuple):
    """The rows of an edit.

    Attributes:
        halves: of the analysis rows, equally many each, stacked ``[2, H, ...]``: the first chooses, then the second.
        train: the rows that trained the network, to recalibrate on; None not to.
        limit: of the aim, see ``choosing.Aim``.
    """

    halves: Sample
    train: Sample | None
    limit: Float[Array, ""]


class Choice(NamedTuple):
    """An edit chosen on one half and reported on the other, or several with leading axes.

    Attributes:
        params: edited, and recalibrated; as they were where the aim is not reached or no edit is needed.
        multipliers: what every edge's weight was multiplied by, ``[n_l, n_{l+1}]`` for every layer but the output.
        ranking: number of attribute and strategy in ``Setting.aimed``; −1 where no edit is made by one.
        factor: of the strategy; 1 where no edit is made by one.
        reached: whether the aim is reached, on the rows that choose.
        least: the measure of the best candidate on the rows that choose, for refusals only.
        before: what the network as it is shows on the other rows, by measure, per cent.
        pruned: what the edited one shows there, not recalibrated.
        after: what ``params`` show there.
    """

    params: Params
    multipliers: tuple[Array, ...]
    ranking: Int[Array, ""]
    factor: Float[Array, ""]
    reached: Bool[Array, ""]
    least: Float[Array, ""]
    before: dict[str, Array]
    pruned: dict[str, Array]
    after: dict[str, Array]


def both_ways(key: Array, params: Params, data: Data, setting: Setting) -> Choice:
    """The edits of one network chosen on either half ``[2, ...]``, each reported on the other.

    Args:
        key: for metrics that draw.
        params: of one network.
        data: the rows.
        setting: how the edit is chosen.
    """
    swapped = jax.tree.map(lambda a: a[::-1], data.halves)
    one = partial(_one_way, key, params, data, setting)
    if setting.study.spec.layer_bits is not None:
        return jax.lax.map(lambda halves: one(*halves), (data.halves, swapped))
    found = [one(*jax.tree.map(lambda a, half=half: a[half], (data.halves, swapped))) for half in range(2)]
    return jax.tree.map(lambda *own: jnp.stack(own), *found)


@compiled("setting", alone=True, on_cpu=REPEATED)
def stack_both_ways(keys: Array, params: Params, data: Data, setting: Setting) -> Choice:
    """``both_ways`` of many networks ``[S, 2, ...]``, by an estimator that runs under ``jit``."""

    def one(item: tuple[Array, Params], data: Data) -> Choice:
        return both_ways(*item, data, setting)

    item_bytes = pass_bytes(params, data.halves.x[0], setting.study)
    return batched_map(one, (keys, params), item_bytes, data)


def edited_stack(keys: Array, params: Params, data: Data, setting: Setting) -> Choice:
    """``both_ways`` of many networks on all cores ``[S, 2, ...]``; one after the other if the estimator gets arrays."""
    if setting.study.spec.layer_bits is not None:
        return on_all_cores(lambda items: stack_both_ways(*items, data, setting=setting), (keys, params))
    count = len(jax.tree.leaves(params)[0])
    found = [both_ways(keys[k], jax.tree.map(lambda leaf, k=k: leaf[k], params), data, setting) for k in range(count)]
    return jax.tree.map(lambda *own: np.stack([np.asarray(a) for a in own]), *found)


def edited_alone(key: Array, params: Params, data: Data, setting: Setting) -> Choice:
    """``both_ways`` of one network, compiled if the estimator can be; inside of other programs a part of these."""
    if setting.study.spec.layer_bits is None or is_traced((key, params)):
        return both_ways(key, params, data, setting)
    stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
    return jax.tree.map(lambda own: own[0], stack_both_ways(key[None], stacked, data, setting=setting))


def _one_way(key: Array, params: Params, data: Data, setting: Setting, chosen: Sample, reported: Sample) -> Choice:
    """The edit chosen on some rows and reported on others: nothing of the choice depends on the latter."""
    ranks, train = ranks_of(setting, key, params, chosen), data.train
    edges = sum(w.size for w in analysed(setting, params))
    candidates = all_candidates(setting, edges)
    value, accuracy = outcomes(setting, params, ranks, candidates, chosen, train)
    number, bounds = best(setting.aim, value, accuracy, data.limit), (data.limit, accuracy[0])
    candidate = jax.tree.map(lambda own: own[number], candidates)
    shown = value[number], accuracy[number]
    if setting.refine:
        look = partial(outcomes, setting, params, ranks, sample=chosen, train=train)
        candidate, shown = _refined(setting, look, candidate, shown, bounds)
    reached = setting.aim.reached(*shown, bounds)
    none = jax.tree.map(lambda own: own[0], candidates)
    kept = jax.tree.map(lambda own, other: jnp.where(reached, own, other), candidate, none)
    pruned, edited = handed_out(params, ranks, kept, train, setting=setting)
    outputs = partial(_outputs, setting.study, sample=reported)
    ranking = jnp.where(kept.level > 0, kept.ranking, -1)
    told = [outputs(own) for own in (params, pruned, edited)]
    return Choice(edited, multipliers(setting, params, ranks, kept), ranking, kept.factor, reached, shown[0], *told)


@compiled("setting", on_cpu=REPEATED)
def handed_out(
    params: Params, ranks: Int[Array, "K L W W"], kept: Candidate, train: Sample | None, setting: Setting
) -> tuple[Params, Params]:
    """The parameters after the edit, and the same recalibrated; untouched where there is none."""
    network, how, pruned = setting.study.network, setting.recalibrate, applied(setting, params, ranks, kept)
    if train is None or how == "none":
        return pruned, pruned
    own = refit(network.activations(pruned, train.x)[-1], train.messages[setting.study.roles.label].values, how)
    fitted, changed = laid_down(network, pruned, own, train.x, how), (kept.level > 0) | jnp.any(kept.removed)
    return pruned, jax.tree.map(
        lambda a, b: jnp.where(changed, a, b) if hasattr(b, "shape") and hasattr(b, "dtype") else b, fitted, params
    )


def _refined(
    setting: Setting, look: Any, candidate: Candidate, shown: tuple[Array, Array], bounds: tuple[Array, Array]
) -> tuple[Candidate, tuple[Array, Array]]:
    """Single edges removed beside a candidate, always the best, as long as that is better than not to.

    Args:
        setting: how many at most.
        look: measure and accuracy of many candidates.
        candidate: to begin with.
        shown: its measure and accuracy.
        bounds: limit of the aim, and accuracy of the network as it is.
    """
    aim, edges = setting.aim, candidate.removed.shape[0]

    def step(state: tuple[Candidate, tuple[Array, Array]], _: Any) -> tuple[Any, None]:
        candidate, shown = state
        more = jnp.eye(edges, dtype=bool) | candidate.removed[None]
        same = jax.tree.map(lambda own: jnp.broadcast_to(own, (edges, *own.shape)), candidate)
        value, accuracy = look(candidates=same._replace(removed=more))
        cost, tie = aim.cost(value, accuracy, bounds)
        own = first_least(cost, tie)
        now, _ = aim.cost(shown[0][None], shown[1][None], bounds)
        better = cost[own] < now[0]
        removed = jnp.where(better, more[own], candidate.removed)
        kept = tuple(jnp.where(better, new[own], old) for new, old in zip((value, accuracy), shown, strict=True))
        return (candidate._replace(removed=removed), kept), None

    state = candidate, shown
    if not setting.sees_arrays:
        return jax.lax.scan(step, state, length=setting.refine)[0]
    for _ in range(setting.refine):
        state, _ = step(state, None)
    return state


def _outputs(study: Study, params: Params, sample: Sample) -> dict[str, Array]:
    """All output measures of one network on some rows, per cent."""
    found = (_compiled_outputs if study.spec.layer_bits is not None else _estimated_outputs)(params, sample, study)
    return {name: found[name] for name in measure_names(study.roles)}  # a program's dicts are sorted by name


def _compiled_outputs(params: Params, sample: Sample, study: Study) -> dict[str, Array]:
    """By an estimator that runs under ``jit``."""
    logits = study.network.activations(params, sample.x)[-1]
    about = study.estimated(sample.messages)
    bits: Any = study.spec.layer_bits(unpermuted(about), logits, study.output_groups(logits.shape[1]))  # pyright: ignore[reportOptionalCall]
    counted = counted_measures(logits, sample.messages, study.roles)
    return outputs_of({name: own[0, -1] for name, own in bits.items()}, counted, sample.messages, study.roles)


def _estimated_outputs(params: Params, sample: Sample, study: Study) -> dict[str, Array]:
    """By an estimator that gets arrays."""
    logits, counted = logits_counted(params, sample, study=study)
    found = study.estimate_variants(np.asarray(logits)[None, None], unpermuted(study.estimated(sample.messages)))
    bits = {name: jnp.asarray(own.bits[0, 0, 0], logits.dtype) for name, own in found.items()}
    return stack_outputs(bits, counted, sample.messages, roles=study.roles)


@compiled("study", on_cpu=BRIEF)
def logits_counted(params: Params, sample: Sample, study: Study) -> tuple[Array, dict[str, Array]]:
    """The output of one network, and what is counted on it."""
    logits = study.network.activations(params, sample.x)[-1]
    return logits, counted_measures(logits, sample.messages, study.roles)


def halves_of(messages: dict[str, Message], rows: Int[Array, "2 H"], x: Any) -> Sample:
    """The two halves of a sample, stacked ``[2, H, ...]``."""

    def taken(values: Any) -> Any:
        return None if values is None else jnp.asarray(values)[rows]

    halved = {
        name: Message(taken(own.values), taken(own.given), own.classes, own.strata) for name, own in messages.items()
    }
    return Sample(taken(x), halved)
