"""What the arena measures on a stack of networks: every ranking's interventions, chosen on one half of the rows.

The analysis rows are halved within the cells of label and attribute. Flows, gradients, removals and whatever else ranks
edges see one half, and so does the threshold of a recalibrated decision; outputs are measured on both.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.stats import spearmanr

from jaxflow.ablations import donors
from jaxflow.batching import batched_map, on_all_cores
from jaxflow.inference.honest import equal_halves, rows_of
from jaxflow.interventions import Strategy
from jaxflow.measurements import measure_flows
from jaxflow.messages import Message, read_out, unpermuted
from jaxflow.metrics import METRICS, NODE_METRICS, Rows, Shown
from jaxflow.networks import Params
from jaxflow.outputs import decision_measures
from jaxflow.programs import REPEATED, compiled
from jaxflow.rankings import strategy_ranks
from jaxflow.study import Messages, Study, pass_bytes
from jaxflow.sweeps import pruned_logits, transmitted_instead

COUNTED = ("argmax_accuracy", "balanced_accuracy", "parity_gap", "odds_gap")
MEASURES = ("accuracy", "bias", *COUNTED, *(f"recalibrated_{name}" for name in COUNTED))
LEVELS = {"node": (1, 2, 3), "edge": (1, 2, 4, 8, 16), "path": (1, 2, 4)}
FACTORS = (0.75, 0.5, 0.25, 0.0)
SHARES = (0, 1, 2, 5, 10, 20, 50, 100)  # per cent of the edges that are left
STEPS = 256  # of the thresholds that a decision may be put on
TOGETHER = 16


class Candidate(NamedTuple):
    """An intervention: the first ``level`` of a ranking times a factor; or all edges but those.

    Attributes:
        metric: of the ranking.
        method: ``node``, ``edge`` or ``path``.
        level: how many are chosen.
        factor: what they are multiplied by.
        kept: whether the chosen edges are those that stay, and all others go.
    """

    metric: str
    method: str
    level: int
    factor: float
    kept: bool = False


def rankings(metrics: Sequence[str]) -> list[tuple[str, str]]:
    """Every metric with every method that it has scores for."""
    return [(m, method) for method in LEVELS for m in metrics if method == "node" or m not in NODE_METRICS]


def candidates(metrics: Sequence[str], sizes: dict[str, int]) -> list[Candidate]:
    """The network as it is, all interventions, and the shares of edges that stay.

    Args:
        metrics: names.
        sizes: how many nodes, edges and paths there are.
    """
    found = [Candidate("", "node", 0, 1.0)]
    for metric, method in rankings(metrics):
        levels = [level for level in LEVELS[method] if level < sizes[method]]
        found += [Candidate(metric, method, level, factor) for level, factor in product(levels, FACTORS)]
    edges = [metric for metric, method in rankings(metrics) if method == "edge"]
    counts = sorted({-(-share * sizes["edge"] // 100) for share in SHARES})
    return found + [Candidate(metric, "edge", count, 0.0, True) for metric, count in product(edges, counts)]


class Part(NamedTuple):
    """Half of the analysis rows: inputs, messages, and the donors of the ablation ``resample``."""

    x: Any
    messages: dict[str, Message]
    others: Any


class Found(NamedTuple):
    """What is measured on a stack of networks, the roles of the halves exchanged on the second axis.

    Attributes:
        measures: in per cent ``[S, 2, G, 2, M]``: on the rows that chose, and on those that report.
        score: rank correlation of every ranking of single nodes or edges, made on one half, with the effect of exact
            removal on the other: on accuracy less bias ``[S, 2, R]``.
    """

    measures: Any
    score: Any


def measured(
    study: Study,
    params: Params,
    data: tuple[Any, Messages],
    metrics: Sequence[str],
    wanted: Sequence[Candidate],
    keys: tuple[Any, Any],
) -> Found:
    """Everything about the networks of a stack under one ablation.

    Args:
        study: the architecture, the messages' roles and the ablation.
        params: of all networks.
        data: inputs and messages of the analysis half.
        metrics: names of those that rank.
        wanted: the interventions.
        keys: of halves and random rows, the same for all networks; and of random rankings, one for every network.
    """
    halves = halves_of(study, data[1], keys[0])
    found = [_role(study, params, data, halves[[k, 1 - k]], metrics, wanted, keys) for k in range(2)]
    measures, score = (np.stack([own[part] for own in found], axis=1) for part in range(2))
    return Found(measures, score)


def halves_of(study: Study, messages: Messages, key: Any) -> Int[np.ndarray, "2 H"]:
    """Row numbers of two halves, drawn within the cells of label and attribute."""
    y, z = (messages[name] for name in (study.roles.label, study.roles.attributes[0]))
    cells = np.asarray(y.values) * z.classes + np.asarray(z.values)
    return equal_halves(jax.random.fold_in(key, 0), Message(cells, None, y.classes * z.classes))


def part_of(x: Any, messages: Messages, rows: Int[np.ndarray, " H"]) -> tuple[Array, dict[str, Message]]:
    """Some rows, on the device."""
    parts = {name: rows_of(own, rows) for name, own in messages.items()}
    return jnp.asarray(x)[rows], jax.tree.map(jnp.asarray, parts)


def _role(
    study: Study, params: Params, data: Any, halves: np.ndarray, metrics: Sequence[str], wanted: Any, keys: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Measures and score where the first of the halves chooses and the second reports."""
    choosing, reporting = (part_of(data[0], data[1], rows) for rows in halves)
    flows = measure_flows(study, params, choosing[0], unpermuted(choosing[1])).flows
    listed = rankings(metrics)
    strategies = tuple(Strategy(metric, method, max(LEVELS[method])) for metric, method in listed)
    others = [donors(jax.random.fold_in(keys[0], 1), study.ablation, len(part[0])) for part in (choosing, reporting)]
    halved = [Part(*part, own) for part, own in zip((choosing, reporting), others, strict=True)]

    def shown(items: Any) -> Array:
        return _shown(*items, tuple(halved), _rows(wanted, listed), study=study)

    ranks = np.asarray(strategy_ranks(keys[1], params, flows, *choosing, study, strategies, others[0]))
    effects = on_all_cores(partial(_removals, part=halved[1], study=study), params)
    return np.asarray(on_all_cores(shown, (params, ranks))), _agreement(listed, ranks, effects, study, params)


def _rows(wanted: Sequence[Candidate], listed: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """The candidates as arrays."""
    place = {ranking: k for k, ranking in enumerate(listed)}
    return {
        "ranking": np.array([place.get((own.metric, own.method), 0) for own in wanted]),
        "level": np.array([own.level for own in wanted]),
        "factor": np.array([own.factor for own in wanted], np.float32),
        "kept": np.array([own.kept for own in wanted]),
    }


@compiled("study", alone=True, on_cpu=REPEATED)
def _shown(
    params: Params, ranks: Any, halves: tuple[Part, Part], rows: dict[str, Any], study: Study
) -> Float[Array, "S G 2 M"]:
    """All candidates' measures of every network, on the half that chose and on the one that reports."""

    def of_network(item: tuple[Params, Array], halves: tuple[Part, Part], rows: dict[str, Any]) -> Array:
        (params, ranks), first = item, study.first_layer
        edges = sum(w.size for w in study.network.weights(params)[first:])
        begun = [
            ((x, study.network.start(params, x, first)), transmitted_instead(study, params, x, others))
            for x, _, others in halves
        ]

        def one(row: dict[str, Array]) -> Array:
            own = jnp.where(row["kept"], edges - 1 - ranks[row["ranking"]], ranks[row["ranking"]])
            level = jnp.where(row["kept"], edges - row["level"], row["level"])
            logits = [pruned_logits(study, params, begin, (own, level, row["factor"]), put) for begin, put in begun]
            shift = best_shift(logits[0], halves[0].messages[study.roles.label].values)
            return jnp.stack(
                [_measures(study, of, part.messages, shift) for of, part in zip(logits, halves, strict=True)]
            )

        return jax.lax.map(one, rows, batch_size=TOGETHER)

    item_bytes = 2 * TOGETHER * pass_bytes(params, halves[0].x, study)
    return batched_map(of_network, (params, ranks), item_bytes, halves, rows)


def _measures(study: Study, logits: Float[Array, "N 2"], messages: Messages, shift: Array) -> Float[Array, " M"]:
    """The measures of one output, in the order of ``MEASURES``."""
    roles, about = study.roles, study.estimated(messages)
    layer_bits: Any = study.spec.layer_bits
    bits = layer_bits(unpermuted(about), logits, study.output_groups(logits.shape[1]))
    measured_names = map(roles.measured, (roles.label, roles.attributes[0]))
    told = [100 * read_out(bits[name][0, -1], about[name]) for name in measured_names]
    moved = logits - jnp.stack([jnp.zeros_like(shift), shift])[None]
    return jnp.stack([*told, *_decided(study, logits, messages), *_decided(study, moved, messages)])


def _decided(study: Study, logits: Float[Array, "N 2"], messages: Messages) -> list[Array]:
    """Of the decision: accuracy, balanced accuracy and the gaps' sizes, in per cent."""
    found = decision_measures(logits, messages, study.roles)
    y, right = messages[study.roles.label], jnp.argmax(logits, axis=1) == messages[study.roles.label].values
    classes = jax.nn.one_hot(y.values, y.classes, dtype=logits.dtype)
    balanced = jnp.mean(right.astype(logits.dtype) @ classes / jnp.sum(classes, axis=0))
    gaps = [jnp.abs(found[name]) for name in COUNTED[2:]]
    return [100 * own for own in (found["argmax_accuracy"], balanced, *gaps)]


def best_shift(logits: Float[Array, "N 2"], y: Int[Array, " N"]) -> Float[Array, ""]:
    """The threshold on l₁ − l₀ from which class 1 is said that is right about most rows, among 256 equal steps."""
    score = logits[:, 1] - logits[:, 0]
    low, high = jnp.min(score), jnp.max(score)
    width = jnp.where(high > low, (high - low) / STEPS, 1)
    step = jnp.clip((score - low) / width, 0, STEPS - 1).astype(jnp.int32)
    gain = jnp.zeros(STEPS, score.dtype).at[step].add(jnp.where(y == 1, 1, -1).astype(score.dtype))
    right = jnp.concatenate([jnp.sum(gain)[None] - jnp.cumsum(gain) + gain, jnp.zeros(1, score.dtype)])
    return low + width * jnp.argmax(right).astype(score.dtype)


@compiled("study", alone=True, on_cpu=REPEATED)
def _removals(params: Params, part: Part, study: Study) -> tuple[Float[Array, "S _"], Float[Array, "S _"]]:
    """What exact removal of every node and of every edge takes off bias less accuracy, on some rows, flat."""

    def one(params: Params, part: Part) -> tuple[Array, Array]:
        label, attribute = (part.messages[name] for name in (study.roles.label, study.roles.attributes[0]))
        rows = Rows(study.network, params, part.x, label, attribute, study.first_layer, study.ablation, part.others)
        found = METRICS["removal"](Shown([], [], rows.weights, rows=rows))
        node, edge = (jnp.concatenate([own.ravel() for own in scores]) for scores in (found.node, found.edge))
        return node, edge

    return batched_map(one, params, TOGETHER * pass_bytes(params, part.x, study), part)


def _agreement(
    listed: Sequence[tuple[str, str]], ranks: np.ndarray, effects: Any, study: Study, params: Params
) -> np.ndarray:
    """Rank correlations ``[S, R]`` of rankings of nodes and edges with effects; NaN of paths."""
    one = jax.tree.map(lambda leaf: leaf[0], params)
    shapes = [w.shape for w in study.network.weights(one)[study.first_layer :]]
    found = np.full((len(ranks), len(listed)), np.nan)
    for k, (_, method) in enumerate(listed):
        if method != "path":
            own = [ranks[:, k, layer, :n, : m if method == "edge" else 1] for layer, (n, m) in enumerate(shapes)]
            order = np.concatenate([-part.reshape(len(ranks), -1) for part in own], axis=1)
            against = np.asarray(effects[method == "edge"])
            found[:, k] = [spearmanr(a, b).statistic for a, b in zip(order, against, strict=True)]
    return found
