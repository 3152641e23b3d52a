"""Arrays as tidy tables: networks, information, flows, tradeoff and dependence."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxflow.interventions import Strategy
from jaxflow.outputs import Outputs

Values: TypeAlias = Array | np.ndarray
ByLayer: TypeAlias = Mapping[int, Values]
MESSAGES = ("y", "z")
ROUNDING = 1e-4  # percentage points; smaller effects are float32 rounding and count as 0
LISTED_NODES = 10  # layers wider than this are left out of the information table


def tidy(**columns: object) -> pd.DataFrame:
    """One row for every element of the broadcast columns."""
    arrays = np.broadcast_arrays(*(np.asarray(column) for column in columns.values()))
    return pd.DataFrame({name: array.ravel() for name, array in zip(columns, arrays, strict=True)})


def _network_major(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one under the other, network by network: the order of rows does not depend on chunks."""
    return pd.concat(tables).sort_values("network", kind="stable", ignore_index=True)


def networks_table(networks: np.ndarray, outputs: Outputs) -> pd.DataFrame:
    """Unpruned networks, per cent: the fields of ``Outputs``; accuracy and bias as output_accuracy and output_bias."""
    fields = outputs._asdict()
    argmax_accuracy, accuracy, bias = (fields.pop(name) for name in ("argmax_accuracy", "accuracy", "bias"))
    return tidy(network=networks, argmax_accuracy=argmax_accuracy, output_accuracy=accuracy, output_bias=bias, **fields)


def training_table(networks: np.ndarray, loss: Values, learning_rate: Values) -> pd.DataFrame:
    """Mean loss (nats) and learning rate of every epoch, from ``[S, epochs]``."""
    epochs = np.arange(loss.shape[1])[None, :]
    return tidy(network=networks[:, None], epoch=epochs, loss=loss, learning_rate=learning_rate)


def information_table(networks: np.ndarray, bits: ByLayer) -> pd.DataFrame:
    """I(M; X_T) in bits, from layer → ``[S, 2, 2**n]``, for layers of up to 10 nodes."""
    return _network_major(
        [
            tidy(
                network=networks[:, None, None],
                layer=layer,
                subset=np.arange(values.shape[-1])[None, :, None],
                message=np.array(MESSAGES, object)[None, None, :],
                bits=np.swapaxes(values, 1, 2),
            )
            for layer, values in bits.items()
            if 0 < values.shape[-1] <= 2**LISTED_NODES
        ]
    )


def node_flows_table(
    networks: np.ndarray,
    flows: ByLayer,
    witnesses: ByLayer,
    null95: ByLayer,
) -> pd.DataFrame:
    """Node flows in bits with their witnesses, from layer → ``[S, 2, n]``, and noise floors, layer → ``[S, 2]``."""
    return _network_major(
        [
            tidy(
                network=networks[:, None, None],
                layer=layer,
                node=np.arange(values.shape[-1])[None, :, None],
                message=np.array(MESSAGES, object)[None, None, :],
                flow=np.swapaxes(values, 1, 2),
                witness=np.swapaxes(_node_lists(witnesses[layer]), 1, 2),
                null95=null95[layer][:, None, :],
            )
            for layer, values in flows.items()
        ]
    )


def _node_lists(masks: Values) -> np.ndarray:
    """Bitmasks as node indices joined by ``+``, empty for none."""
    values, inverse = np.unique(masks, return_inverse=True)
    names = ["+".join(str(i) for i in range(int(mask).bit_length()) if mask >> i & 1) for mask in values]
    return np.array(names, object)[inverse].reshape(masks.shape)


def edge_flows_table(networks: np.ndarray, flows: ByLayer, weights: ByLayer) -> pd.DataFrame:
    """Edge flows in bits, from layer → ``[S, 2, n, m]`` and kernels, layer → ``[S, n, m]``."""
    return _network_major(
        [
            tidy(
                network=networks[:, None, None, None],
                layer=layer,
                source=np.arange(values.shape[2])[None, :, None, None],
                target=np.arange(values.shape[3])[None, None, :, None],
                weight=weights[layer][..., None],
                message=np.array(MESSAGES, object),
                flow=np.moveaxis(np.asarray(values), 1, -1),
            )
            for layer, values in flows.items()
        ]
    )


def tradeoff_table(
    networks: np.ndarray, strategies: Sequence[Strategy], factors: Sequence[float], outputs: Outputs
) -> pd.DataFrame:
    """Outputs after every intervention, per cent, from fields ``[S, strategies, factors]``."""
    metric, method, level = (np.array(column, object)[None, :, None] for column in zip(*strategies, strict=True))
    return tidy(
        network=networks[:, None, None],
        metric=metric,
        method=method,
        level=level,
        factor=np.array(factors)[None, None, :],
        **outputs._asdict(),
    )


def fits_table(networks: np.ndarray, fits: Mapping[str, tuple[Values, Values]]) -> pd.DataFrame:
    """Fits behind a network's estimates and those that did not converge, from stage → two arrays ``[S, 2]``."""
    return _network_major(
        [
            tidy(
                network=networks[:, None],
                stage=stage,
                message=np.array(MESSAGES, object)[None, :],
                fits=total,
                unconverged=unconverged,
            )
            for stage, (total, unconverged) in fits.items()
        ]
    )


def edge_list(weights: ByLayer) -> np.ndarray:
    """All edges (layer, source, target) as rows ``[E, 3]``, from layer → kernel ``[..., n, m]``."""
    return np.concatenate(
        [[(layer, *edge) for edge in np.ndindex(*kernel.shape[-2:])] for layer, kernel in weights.items()]
    )


def dependence_table(
    networks: np.ndarray, edges: np.ndarray, flows: ByLayer, unpruned: Outputs, removed: Outputs
) -> pd.DataFrame:
    """Edge flow against effect: the change of output accuracy (y) or bias (z) in percentage points, new − old.

    Args:
        networks: numbers ``[S]``.
        edges: (layer, source, target) ``[E, 3]``.
        flows: layer → ``[S, 2, n, m]``.
        unpruned: fields ``[S]``.
        removed: with each edge alone removed, fields ``[S, E]``.
    """
    flow = np.stack([flows[layer][:, :, source, target] for layer, source, target in edges], axis=1)
    effects = [after - before[:, None] for after, before in zip(removed[:2], unpruned[:2], strict=True)]
    effects = [np.where(np.abs(effect) < ROUNDING, 0, effect) for effect in effects]
    layer, source, target = edges.T[:, None, :, None]
    return tidy(
        network=networks[:, None, None],
        layer=layer,
        source=source,
        target=target,
        message=np.array(MESSAGES, object),
        flow=flow,
        effect=np.stack(effects, axis=-1),
    )
