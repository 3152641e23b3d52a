"""Arrays as tidy tables: networks, training, information, flows, tradeoff and dependence.

What is by message comes as a dict by name, what is by layer as a dict by number, and both in the order of the rows.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxflow.errors import InputError
from jaxflow.flows import LISTED_NODES
from jaxflow.outputs import PAPER, Roles, measure_names

Values: TypeAlias = Array | np.ndarray
ByLayer: TypeAlias = Mapping[int, Values]
ByMessage: TypeAlias = Mapping[str, ByLayer]
Outputs: TypeAlias = Mapping[str, Values]
ROUNDING = 1e-4  # percentage points; smaller effects are float32 rounding and count as 0


def tidy(**columns: object) -> pd.DataFrame:
    """One row for every element of the broadcast columns."""
    arrays = np.broadcast_arrays(*(np.asarray(column) for column in columns.values()))
    return pd.DataFrame({name: array.ravel() for name, array in zip(columns, arrays, strict=True)})


def _network_major(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one under the other, network by network: the order of rows does not depend on chunks."""
    return pd.concat(tables).sort_values("network", kind="stable", ignore_index=True)


def _by_message(values: ByMessage, layer: int) -> np.ndarray:
    """Values of a layer, messages on the last axis."""
    return np.stack([np.asarray(own[layer]) for own in values.values()], axis=-1)


def _names(values: Mapping[str, Any]) -> np.ndarray:
    """Names of the messages, to be broadcast against the last axis."""
    return np.array(list(values), object)


def networks_table(networks: np.ndarray, outputs: Outputs, roles: Roles) -> pd.DataFrame:
    """Unpruned networks, per cent: every output measure, accuracy and a single bias as ``output_…``."""
    names = [name for name in measure_names(roles) if name != "argmax_accuracy"]
    renamed = {"accuracy": "output_accuracy", "bias": "output_bias"}
    columns = {renamed.get(name, name): outputs[name] for name in names}
    return tidy(network=networks, argmax_accuracy=outputs["argmax_accuracy"], **columns)


def training_table(networks: np.ndarray, loss: Values, learning_rate: Values) -> pd.DataFrame:
    """Mean loss (nats) and learning rate of every epoch, from ``[S, epochs]``."""
    epochs = np.arange(loss.shape[1])[None, :]
    return tidy(network=networks[:, None], epoch=epochs, loss=loss, learning_rate=learning_rate)


def information_table(networks: np.ndarray, bits: ByMessage) -> pd.DataFrame:
    """I(M; X_T) in bits, from message → layer → ``[S, 2**n]``, for layers of up to 10 nodes."""
    return _network_major(
        [
            tidy(
                network=networks[:, None, None],
                layer=layer,
                subset=np.arange(values.shape[-1])[None, :, None],
                message=_names(bits)[None, None, :],
                bits=_by_message(bits, layer),
            )
            for layer, values in next(iter(bits.values())).items()
            if 0 < values.shape[-1] <= 2**LISTED_NODES
        ]
    )


def node_flows_table(
    networks: np.ndarray,
    flows: ByMessage,
    witnesses: ByMessage,
    evidence: Mapping[str, Mapping[int, Any]],
) -> pd.DataFrame:
    """Node flows in bits with witnesses, message → layer → ``[S, n]``, and how sure they are.

    Args:
        networks: their numbers ``[S]``.
        flows: message → layer → ``[S, n]``.
        witnesses: bitmasks ``[S, n]``, or booleans ``[S, n, n]``.
        evidence: message → layer → ``Evidence`` with the noise floor ``[S]`` first, the others ``[S, n]``.
    """
    return _network_major(
        [
            tidy(
                network=networks[:, None, None],
                layer=layer,
                node=np.arange(values.shape[-1])[None, :, None],
                message=_names(flows)[None, None, :],
                flow=_by_message(flows, layer),
                witness=_witnesses(witnesses, layer),
                **_evidence(evidence, layer),
            )
            for layer, values in next(iter(flows.values())).items()
        ]
    )


def _evidence(evidence: Mapping[str, Mapping[int, Any]], layer: int) -> dict[str, np.ndarray]:
    """Its columns by name, ``[S, n, messages]`` or ``[S, 1, messages]``."""
    first = next(iter(evidence.values()))[layer]
    fields = {name: [getattr(of_message[layer], name) for of_message in evidence.values()] for name in first._fields}
    columns = {name: np.stack(values, axis=-1) for name, values in fields.items()}
    return {name: values if values.ndim == 3 else values[:, None] for name, values in columns.items()}


def _witnesses(witnesses: ByMessage, layer: int) -> np.ndarray:
    """Witnesses of a layer as node indices joined by ``+``, messages on the last axis.

    Those of listed layers are bitmasks ``[S, n]``, those of searched ones rows of booleans ``[S, n, n]``.
    """
    if _by_message(witnesses, layer).dtype != bool:
        return _node_lists(_by_message(witnesses, layer))
    masks = np.stack([np.asarray(own[layer]) for own in witnesses.values()], axis=2)
    lists = ["+".join(map(str, np.flatnonzero(row))) for row in masks.reshape(-1, masks.shape[-1])]
    return np.array(lists, object).reshape(masks.shape[:-1])


def _node_lists(masks: Values) -> np.ndarray:
    """Bitmasks as node indices joined by ``+``, empty for none."""
    values, inverse = np.unique(masks, return_inverse=True)
    names = ["+".join(str(i) for i in range(int(mask).bit_length()) if mask >> i & 1) for mask in values]
    return np.array(names, object)[inverse].reshape(masks.shape)


def edge_flows_table(networks: np.ndarray, flows: ByMessage, weights: ByLayer) -> pd.DataFrame:
    """Edge flows in bits, from message → layer → ``[S, n, m]`` and weights, layer → ``[S, n, m]``."""
    return _network_major(
        [
            tidy(
                network=networks[:, None, None, None],
                layer=layer,
                source=np.arange(weight.shape[1])[None, :, None, None],
                target=np.arange(weight.shape[2])[None, None, :, None],
                weight=np.asarray(weight)[..., None],
                message=_names(flows),
                flow=_by_message(flows, layer),
            )
            for layer, weight in weights.items()
        ]
    )


def tradeoff_table(
    networks: np.ndarray, aims: Sequence[tuple[Any, str]], factors: Sequence[float], outputs: Outputs, roles: Roles
) -> pd.DataFrame:
    """Outputs after every intervention, per cent, from measure → ``[S, aims, factors]``.

    Args:
        networks: numbers ``[S]``.
        aims: strategy, and the attribute that it aims at; the attribute is a column where there are several.
        factors: what the chosen weights were multiplied by.
        outputs: by measure.
        roles: label and attributes.
    """
    strategies = [(metric_name(strategy[0]), *strategy[1:], attribute) for strategy, attribute in aims]
    metric, method, level, attribute = (
        np.array(column, object)[None, :, None] for column in zip(*strategies, strict=True)
    )
    aimed = {"attribute": attribute} if len(roles.attributes) > 1 else {}
    return tidy(
        network=networks[:, None, None],
        metric=metric,
        method=method,
        level=level,
        **aimed,
        factor=np.array(factors)[None, None, :],
        **{name: outputs[name] for name in measure_names(roles)},
    )


def pruning_tables(
    strategies: Sequence[Any],
    factors: Sequence[float],
    outputs: Outputs,
    *,
    remove: str = "z",
    roles: Roles = PAPER,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tradeoff table of networks that ``analysis.measure_pruning`` pruned, and the networks table of its start.

    Args:
        strategies: (metric, method, level) each.
        factors: what the selected weights were multiplied by, 1 among them.
        outputs: of many networks, by measure ``[S, K, F]``.
        remove: the attribute that was aimed at.
        roles: label and attributes.

    Raises:
        InputError: no factor is 1, which leaves the networks as they are.
    """
    unpruned = np.flatnonzero(np.asarray(factors) == 1)
    if not len(unpruned):
        raise InputError("the networks as they are cannot be told: let one of the factors be 1")
    networks = np.arange(len(next(iter(outputs.values()))))
    start = {name: np.asarray(values)[:, 0, unpruned[0]] for name, values in outputs.items()}
    aims = [(strategy, remove) for strategy in strategies]
    return tradeoff_table(networks, aims, factors, outputs, roles), networks_table(networks, start, roles)


def metric_name(metric: Any) -> str:
    """A metric's name in tables: of a user's own function the function's."""
    named = metric.func if isinstance(metric, partial) else metric
    return metric if isinstance(metric, str) else getattr(named, "__name__", type(named).__name__)


def fits_table(networks: np.ndarray, fits: Mapping[str, Mapping[str, tuple[Values, Values]]]) -> pd.DataFrame:
    """Fits behind a network's estimates and those that did not converge, from stage → message → two arrays ``[S]``."""
    return _network_major(
        [
            tidy(
                network=networks[:, None],
                stage=stage,
                message=_names(of_stage)[None, :],
                fits=np.stack([np.asarray(own[0]) for own in of_stage.values()], axis=-1),
                unconverged=np.stack([np.asarray(own[1]) for own in of_stage.values()], axis=-1),
            )
            for stage, of_stage in fits.items()
        ]
    )


def edge_list(weights: ByLayer) -> np.ndarray:
    """All edges (layer, source, target) as rows ``[E, 3]``, from layer → weights ``[..., n, m]``."""
    return np.concatenate(
        [[(layer, *edge) for edge in np.ndindex(*weight.shape[-2:])] for layer, weight in weights.items()]
    )


def dependence_table(
    networks: np.ndarray, edges: np.ndarray, flows: ByMessage, unpruned: Outputs, removed: Outputs, roles: Roles
) -> pd.DataFrame:
    """Edge flow against effect: the change of a message's output measure in percentage points, new − old.

    That is ``accuracy`` for the label and ``bias`` for an attribute.

    Args:
        networks: numbers ``[S]``.
        edges: (layer, source, target) ``[E, 3]``.
        flows: message → layer → ``[S, n, m]``.
        unpruned: by measure ``[S]``.
        removed: with each edge alone removed, by measure ``[S, E]``.
        roles: label and attributes.
    """
    flow = np.stack([_by_message(flows, layer)[:, source, target] for layer, source, target in edges.tolist()], axis=1)
    measures = ["accuracy", *(f"bias{roles.suffix(name)}" for name in roles.attributes)]
    effects = [np.asarray(removed[name]) - np.asarray(unpruned[name])[:, None] for name in measures]
    effects = [np.where(np.abs(effect) < ROUNDING, 0, effect) for effect in effects]
    layer, source, target = edges.T[:, None, :, None]
    return tidy(
        network=networks[:, None, None],
        layer=layer,
        source=source,
        target=target,
        message=_names(flows),
        flow=flow,
        effect=np.stack(effects, axis=-1),
    )


def recorded_flows_table(times: Mapping[int, float], found: Mapping[str, Mapping[str, ByLayer]]) -> pd.DataFrame:
    """Node flows of a recording's layers, in bits, with what stands beside them.

    Args:
        times: of the layers by number, in the order of the rows.
        found: message → column (``flow``, ``witness`` as bitmasks, ``null95``, ``p``, ``honest``, ``low``, ``high``) →
            layer → ``[n]``, or a number for the whole layer.
    """
    columns = list(next(iter(found.values())))

    def of_layer(layer: int, time: float) -> pd.DataFrame:
        nodes = len(next(iter(found.values()))["flow"][layer])
        values = {
            column: np.stack([np.broadcast_to(own[column][layer], (nodes,)) for own in found.values()], axis=-1)
            for column in columns
        }
        values["witness"] = _node_lists(values["witness"])
        node = np.arange(nodes)[:, None]
        return tidy(network=0, layer=layer, time=time, node=node, message=_names(found)[None, :], **values)

    return pd.concat([of_layer(layer, time) for layer, time in times.items()], ignore_index=True)


def edits_table(
    networks: np.ndarray, choices: Any, aimed: Sequence[tuple[str, Any]], measures: Sequence[str], refitted: str
) -> pd.DataFrame:
    """Two rows for every network: the edit that either half of the rows has chosen, reported on the other half.

    Args:
        networks: numbers ``[S]``.
        choices: fields of ``editing.edits.Choice``, ``[S, 2, ...]``.
        aimed: attribute and strategy of every ranking.
        measures: names, in the order of the columns.
        refitted: what of the output was recalibrated.
    """
    ranking, shape = np.asarray(choices.ranking), np.shape(choices.ranking)
    own = [("", ("", "", 0)) if number < 0 else aimed[number] for number in ranking.ravel()]
    edges = [edges_text([np.asarray(m)[k] for m in choices.multipliers]) for k in np.ndindex(shape)]
    parts = zip(own, edges, strict=True)
    texts = [(name, metric_name(by[0]), by[1], by[2], done, refitted if done else "none") for (name, by), done in parts]
    names = ("attribute", "metric", "method", "level", "edges", "recalibrated")
    columns = {name: np.array(values, object).reshape(shape) for name, values in zip(names, zip(*texts), strict=True)}  # noqa: B905
    reports = {
        f"{measure}_{when}": np.asarray(getattr(choices, when)[measure])
        for when in ("before", "pruned", "after")
        for measure in measures
    }
    return tidy(
        network=networks[:, None],
        chosen_on=np.arange(2)[None],
        written=(np.arange(2) == 0)[None],
        reached=np.asarray(choices.reached),
        **{name: columns[name] for name in names[:4]},
        factor=np.round(np.asarray(choices.factor, float), 6),  # as it was asked for, before float32
        **{name: columns[name] for name in names[4:]},
        **reports,
    )


def edges_text(multipliers: Sequence[np.ndarray]) -> str:
    """What was multiplied by what, ``layer/source/target*factor`` of every edge that was edited."""
    found = [(layer, *place) for layer, own in enumerate(multipliers) for place in np.argwhere(own != 1)]
    return " ".join(f"{layer}/{i}/{j}*{multipliers[layer][i, j]:g}" for layer, i, j in found)
