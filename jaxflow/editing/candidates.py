"""The interventions that an edit is chosen from, and what each would show on the rows that choose.

A candidate multiplies the weights of the edges of rank below a level by a factor, and may remove some edges beside. An
estimator that runs under ``jit`` is compiled together with the network; the others get logits as arrays.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxflow.analysis import network_flows
from jaxflow.batching import batched_map
from jaxflow.editing.choosing import Aim
from jaxflow.editing.recalibration import refit
from jaxflow.flows import Flows
from jaxflow.interventions import Strategy, prune, select, strategy_ranks
from jaxflow.measurements import measure_flows
from jaxflow.messages import Message, read_out, unpermuted
from jaxflow.metrics import Rows
from jaxflow.metrics.steps import by_layer
from jaxflow.networks import Params
from jaxflow.outputs import decision_measures
from jaxflow.programs import BRIEF, REPEATED, compiled
from jaxflow.study import Study

BLOCK = 32  # candidates whose logits are held together for an estimator that gets arrays


@dataclass(frozen=True)
class Setting:
    """How an edit is chosen: hashable, so that what is compiled for it is traced once.

    Attributes:
        study: how networks are measured.
        aim: what is to be reached.
        strategies: (metric, method, level) of the candidates, each aimed at every attribute of the aim.
        factors: what the chosen weights are multiplied by, none of them 1.
        recalibrate: what of the output is refitted, see ``recalibration.refit``.
        refine: single edges that may be removed beside, one after the other.
    """

    study: Study
    aim: Aim
    strategies: tuple[Strategy, ...]
    factors: tuple[float, ...]
    recalibrate: str = "bias"
    refine: int = 0

    @property
    def aimed(self) -> tuple[tuple[str, Strategy], ...]:
        """Attribute and strategy of every ranking."""
        return tuple((name, strategy) for name in self.aim.attributes for strategy in self.strategies)

    @property
    def sees_arrays(self) -> bool:
        """Whether candidates are measured by an estimator that must see arrays."""
        return self.study.spec.layer_bits is None and self.aim.measure == "bias"


class Sample(NamedTuple):
    """Rows: inputs, and messages by name, those that information is measured about among them."""

    x: Any
    messages: dict[str, Message]


class Candidate(NamedTuple):
    """One intervention, or many with a leading axis: number of the ranking, level, factor, and edges to remove."""

    ranking: Int[Array, "*v"]
    level: Int[Array, "*v"]
    factor: Float[Array, "*v"]
    removed: Bool[Array, "*v E"]


def all_candidates(setting: Setting, edges: int) -> Candidate:
    """The network as it is, and then every strategy, aimed at every attribute, with every factor."""
    levels = np.array([strategy.level for _, strategy in setting.aimed])
    rankings = np.repeat(np.arange(len(levels)), len(setting.factors))
    factors = np.tile(np.asarray(setting.factors, np.float32), len(levels))
    return Candidate(
        jnp.asarray(np.append(0, rankings), jnp.int32),
        jnp.asarray(np.append(0, levels[rankings]), jnp.int32),
        jnp.asarray(np.append(np.float32(1), factors), jnp.float32),
        jnp.zeros((1 + len(rankings), edges), bool),
    )


def analysed(setting: Setting, params: Params) -> list[Array]:
    """Weights from the first analysed layer on."""
    return [jnp.asarray(w) for w in setting.study.network.weights(params)[setting.study.first_layer :]]


def applied(setting: Setting, params: Params, ranks: Int[Array, "K L W W"], candidate: Candidate) -> Params:
    """The parameters of one network after one candidate."""
    network, first = setting.study.network, setting.study.first_layer
    chosen = select(network, params, ranks[candidate.ranking], candidate.level)
    pruned = prune(params, chosen, candidate.factor)
    if not setting.refine:
        return pruned
    weights = network.weights(params)
    own = by_layer(weights[first:], "edge", candidate.removed)
    return prune(pruned, network.spread(params, [*(jnp.zeros(w.shape, bool) for w in weights[:first]), *own]), 0.0)


def multipliers(
    setting: Setting, params: Params, ranks: Int[Array, "K L W W"], candidate: Candidate
) -> tuple[Array, ...]:
    """What a candidate multiplies every edge's weight by, ``[n_l, n_{l+1}]`` for every layer but the output."""
    weights, first = [jnp.asarray(w) for w in setting.study.network.weights(params)], setting.study.first_layer
    removed = by_layer(weights[first:], "edge", candidate.removed)
    found = [jnp.ones(w.shape, w.dtype) for w in weights[:first]]
    for layer, w in enumerate(weights[first:]):
        chosen = ranks[candidate.ranking, layer, : w.shape[0], : w.shape[1]] < candidate.level
        scaled = jnp.where(chosen, candidate.factor.astype(w.dtype), jnp.ones((), w.dtype))
        found.append(jnp.where(removed[layer], jnp.zeros((), w.dtype), scaled))
    return tuple(found)


def ranks_of(setting: Setting, key: Array, params: Params, sample: Sample) -> Int[Array, "K L W W"]:
    """Rank of every edge of one network under every strategy and about every attribute, from the rows that choose."""
    study, roles = setting.study, setting.study.roles
    flows, weights = _flows(study, params, sample), analysed(setting, params)

    def about(name: str) -> Array:
        label, attribute = sample.messages[roles.label], sample.messages[roles.measured(name)]
        rows = Rows(study.network, params, sample.x, label, attribute, study.first_layer)
        names = {"keep": roles.measured(roles.label), "remove": roles.measured(name)}
        return strategy_ranks(weights, flows, setting.strategies, **names, key=key, rows=rows)

    return jnp.concatenate([about(name) for name in setting.aim.attributes])


def _flows(study: Study, params: Params, sample: Sample) -> Flows:
    """Node flows of one network; of an estimator that must see arrays by its way for stacks."""
    about = study.estimated(sample.messages)
    if study.spec.layer_bits is not None:
        return network_flows(study.network, params, sample.x, about, study.spec, first_layer=study.first_layer)
    stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
    found = measure_flows(study, stacked, sample.x, unpermuted(sample.messages)).flows
    node = {name: {layer: jnp.asarray(own[0]) for layer, own in by.items()} for name, by in found.node.items()}
    return Flows(node, samples=len(sample.x))


def outcomes(
    setting: Setting, params: Params, ranks: Array, candidates: Candidate, sample: Sample, train: Sample | None
) -> tuple[Float[Array, " V"], Float[Array, " V"]]:
    """The measure that is aimed at, and the accuracy of the decisions, of one network after every candidate, per cent.

    Both are those of the recalibrated output where the setting has it recalibrated: what is chosen is what is handed
    out.
    """
    if not setting.sees_arrays:
        return _shown(params, ranks, candidates, sample, train, setting=setting)
    count, parts = len(candidates.level), []
    for begin in range(0, count, BLOCK):
        rows = np.minimum(np.arange(begin, begin + BLOCK), count - 1)  # the last repeated: one trace
        block = jax.tree.map(lambda a, rows=rows: jnp.asarray(a)[rows], candidates)
        logits, accuracy = _shown(params, ranks, block, sample, train, setting=setting)
        parts.append((_biases(setting, logits, sample), accuracy))
    value, accuracy = (jnp.concatenate(own)[:count] for own in zip(*parts, strict=True))
    return value, accuracy


@compiled("setting", alone=True, on_cpu=REPEATED)
def _shown(
    params: Params, ranks: Array, candidates: Candidate, sample: Sample, train: Sample | None, setting: Setting
) -> tuple[Array, Array]:
    """Measure and accuracy ``[V]`` after every candidate; logits ``[V, N, c]`` in place of a measure of arrays."""
    study = setting.study
    network, first, roles = study.network, study.first_layer, study.roles
    start = network.start(params, sample.x, first)
    trained = None if train is None else network.start(params, train.x, first)

    def one(candidate: Candidate, params: Params, ranks: Array, sample: Sample, train: Sample | None) -> Any:
        after = applied(setting, params, ranks, candidate)
        logits = network.resume(after, sample.x, start, first)[-1]
        if train is not None:
            fitted = network.resume(after, train.x, trained, first)[-1]
            changed = (candidate.level > 0) | jnp.any(candidate.removed)
            own = refit(fitted, train.messages[roles.label].values, setting.recalibrate)
            logits = jnp.where(changed, own.of(logits), logits)
        decided = {name: 100 * part for name, part in _decided(logits, sample, study).items()}
        if setting.sees_arrays:
            return logits, decided["argmax_accuracy"]
        if setting.aim.measure == "bias":
            decided |= _informed(logits, sample, setting)
        return setting.aim.worst(decided, roles), decided["argmax_accuracy"]

    rows = len(sample.x) + (0 if train is None else len(train.x))
    widths = sum(w.shape[1] for w in analysed(setting, params))
    return batched_map(one, candidates, 8 * rows * widths, params, ranks, sample, train)


def _decided(logits: Float[Array, "N c"], sample: Sample, study: Study) -> dict[str, Array]:
    """Fractions that the decisions amount to."""
    two = jnp.pad(logits, ((0, 0), (1, 0))) if logits.shape[1] == 1 else logits
    return decision_measures(two, sample.messages, study.roles)


def _informed(logits: Float[Array, "N c"], sample: Sample, setting: Setting) -> dict[str, Array]:
    """Biases of the attributes that are aimed at, in per cent, from the information in all logits."""
    study, roles = setting.study, setting.study.roles
    about = {name: sample.messages[roles.measured(name)] for name in setting.aim.attributes}
    bits: Any = study.spec.layer_bits(unpermuted(about), logits, study.output_groups(logits.shape[1]))  # pyright: ignore[reportOptionalCall]
    return {f"bias{roles.suffix(name)}": 100 * read_out(bits[name][0, -1], message) for name, message in about.items()}


def _biases(setting: Setting, logits: Float[Array, "V N c"], sample: Sample) -> Float[Array, " V"]:
    """The worst bias of every candidate by an estimator that gets arrays."""
    study, roles = setting.study, setting.study.roles
    about = {roles.measured(name): sample.messages[roles.measured(name)] for name in setting.aim.attributes}
    found = study.estimate_variants(np.asarray(logits)[None], unpermuted(about))
    bits = {name: jnp.asarray(own.bits[0, :, 0], jnp.float32) for name, own in found.items()}
    told = read_outs(bits, about)
    return setting.aim.worst(
        {f"bias{roles.suffix(name)}": told[roles.measured(name)] for name in setting.aim.attributes}, roles
    )


@compiled(on_cpu=BRIEF)
def read_outs(bits: dict[str, Array], about: dict[str, Message]) -> dict[str, Array]:
    """What information stands for, in per cent, by message."""
    return {name: 100 * read_out(own, about[name]) for name, own in bits.items()}
