"""What is measured at the output, and the analyses of it: tradeoff, dependence and correlation, as tidy tables."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int
from scipy.stats import pearsonr

from jaxflow.information.entropy import information_to_accuracy
from jaxflow.information.estimates import Estimator
from jaxflow.interventions import Strategy, prune
from jaxflow.networks import MLP, Params, forward

Values: TypeAlias = Array | np.ndarray
ByLayer: TypeAlias = Mapping[int, Values]
MESSAGES = ("y", "z")
ROUNDING = 1e-4  # percentage points; smaller effects are float32 rounding and count as 0
LISTED_NODES = 10  # layers wider than this are left out of the information table


class Outputs(NamedTuple):
    """What an output layer shows, in per cent: see ``measure_outputs``."""

    accuracy: Array
    bias: Array
    argmax_accuracy: Array
    parity_gap: Array
    odds_gap: Array


def pruned_logits(
    network: MLP, params: Params, selection: Params, factor: float | Array, start: Float[Array, "N n"]
) -> Float[Array, "N 2"]:
    """Logits of a network after an intervention, from the activations of its first layer on."""
    return forward(network, prune(params, selection, factor), start)[-1]


def measure_outputs(
    logits: Float[Array, "*batch N 2"], y: Int[Array, " N"], z: Int[Array, " N"], estimator: Estimator
) -> Outputs:
    """Accuracy, bias and the gaps of the network's own decision, in per cent, for any leading axes.

    accuracy and bias: the accuracies that I(Y; Ŷ) and I(Z; Ŷ) stand for, Ŷ both logits (Venkatesh et al. 2021,
    defs. 2, 3). Because they can hide damage to the decision Ŷ = argmax: its accuracy,
    parity_gap = P(Ŷ=1|Z=1) − P(Ŷ=1|Z=0) and odds_gap = max_y |P(Ŷ=1|Z=1,Y=y) − P(Ŷ=1|Z=0,Y=y)|. A cell (y, z) without
    samples adds no gap.
    """
    messages = jnp.stack([y, z])
    bits = estimator(messages.astype(logits.dtype), logits[..., None, :, :])[..., -1]
    decisions = jnp.vectorize(partial(decision_measures, messages=messages), signature="(s,c)->(k)")(logits)
    return outputs(bits, decisions, messages)


@jax.jit
def outputs(
    bits: Float[Array, "*batch 2"], decisions: Float[Array, "*batch 3"], messages: Int[Array, "2 N"]
) -> Outputs:
    """``measure_outputs`` from the information in the logits about y and z, and the measures of the decisions."""
    probabilities = messages.astype(bits.dtype).mean(axis=-1)
    accuracies = information_to_accuracy(bits, jnp.broadcast_to(probabilities, bits.shape))
    return Outputs(*jnp.moveaxis(100 * jnp.concatenate([accuracies, decisions], axis=-1), -1, 0))


@jax.jit
def decision_measures(logits: Float[Array, "N 2"], messages: Int[Array, "2 N"]) -> Float[Array, "3"]:
    """Accuracy, parity gap and odds gap of the argmax, as fractions."""
    y, z = messages
    decision = logits[:, 1] > logits[:, 0]

    def gap(cell: Array) -> Array:
        """P(Ŷ=1|Z=1, cell) − P(Ŷ=1|Z=0, cell)."""
        groups = [cell & (z == value) for value in (1, 0)]
        counts = [jnp.sum(group) for group in groups]
        rates = [jnp.sum(decision & group) / jnp.maximum(n, 1) for group, n in zip(groups, counts, strict=True)]
        return jnp.where(jnp.minimum(*counts) > 0, rates[0] - rates[1], 0)

    odds = jnp.maximum(*(jnp.abs(gap(y == value)) for value in (0, 1)))
    return jnp.stack([jnp.mean(decision == (y == 1)), gap(jnp.ones_like(decision)), odds])


def tidy(**columns: object) -> pd.DataFrame:
    """One row for every element of the broadcast columns."""
    arrays = np.broadcast_arrays(*(np.asarray(column) for column in columns.values()))
    return pd.DataFrame({name: array.ravel() for name, array in zip(columns, arrays, strict=True)})


def _network_major(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one under the other, network by network: the order of rows does not depend on chunks."""
    return pd.concat(tables).sort_values("network", kind="stable", ignore_index=True)


def networks_table(networks: np.ndarray, outputs: Outputs) -> pd.DataFrame:
    """Unpruned networks: argmax_accuracy, output_accuracy, output_bias, parity_gap, odds_gap, per cent."""
    return tidy(
        network=networks,
        argmax_accuracy=outputs.argmax_accuracy,
        output_accuracy=outputs.accuracy,
        output_bias=outputs.bias,
        parity_gap=outputs.parity_gap,
        odds_gap=outputs.odds_gap,
    )


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


def correlations(dependence: pd.DataFrame) -> pd.DataFrame:
    """Pearson r and p of edge flow and effect, per message and layer (Venkatesh et al. 2021, Table 2).

    points: edges × networks; nonzero: effects that are not 0. r and p are empty where flow or effect is constant.
    p assumes independent Gaussian points; one too small for a double is given as the smallest one, never as 0.
    """
    rows = []
    for (message, layer), group in dependence.groupby(["message", "layer"]):
        flow, effect = group["flow"].to_numpy(float), group["effect"].to_numpy(float)
        r, p = np.nan, np.nan
        if len(group) > 2 and np.ptp(flow) > 0 and np.ptp(effect) > 0:
            result = pearsonr(flow, effect)
            r, p = result.statistic, max(result.pvalue, np.finfo(float).tiny)
        rows.append((message, layer, r, p, len(group), int(np.count_nonzero(effect))))
    return pd.DataFrame(rows, columns=["message", "layer", "r", "p", "points", "nonzero"])
