"""Is it the flow, or just the weight? What predicts the effect of removing an edge, as a tidy table.

The paper correlates |w|·F, the edge flow, with the effect. The weight |w| and the node flow F can be asked alone, and F
for what it tells beyond |w|.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy.special import betainc

PREDICTORS = ("edge flow", "weight", "node flow", "node flow given weight")
COLUMNS = ("effect", *PREDICTORS[:3])
EDGE = ["network", "layer", "source", "message"]
RESAMPLES = 2000
PERCENTILES = (2.5, 97.5)


def _pearson(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Pearson's r and its two-sided p = I(1 − r²; n/2 − 1, ½), I the regularised incomplete beta function.

    That of ``scipy.stats.pearsonr``, whose import takes longer than a run's analyses. NaN where either is constant.
    """
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan, np.nan
    r = float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
    return r, max(float(betainc(len(a) / 2 - 1, 0.5, 1 - r**2)), np.finfo(float).tiny)


def correlations(dependence: pd.DataFrame) -> pd.DataFrame:
    """Pearson r and p of edge flow and effect, per message and layer (Venkatesh et al. 2021, Table 2).

    points: edges × networks; nonzero: effects that are not 0. r and p are empty where flow or effect is constant.
    p assumes independent Gaussian points; one too small for a double is given as the smallest one, never as 0.
    """
    rows = []
    for (message, layer), group in dependence.groupby(["message", "layer"]):
        flow, effect = group["flow"].to_numpy(float), group["effect"].to_numpy(float)
        r, p = _pearson(flow, effect)
        rows.append((message, layer, r, p, len(group), int(np.count_nonzero(effect))))
    return pd.DataFrame(rows, columns=["message", "layer", "r", "p", "points", "nonzero"])


def predictors(
    dependence: pd.DataFrame, edge_flows: pd.DataFrame, node_flows: pd.DataFrame, seed: int = 0
) -> pd.DataFrame:
    """Correlation of every predictor with the effect of removing the edge, per message and layer.

    Columns: message, layer, predictor, r (Pearson; partial for ``node flow given weight``), low and high (95 %
    percentile bootstrap over whole networks, whose edges are not independent), rho (Spearman, with rho_low and
    rho_high), networks, points. Empty where a predictor or the effect is constant; no interval from one network.

    Args:
        dependence: network, layer, source, target, message, effect.
        edge_flows: the same edges with flow and weight.
        node_flows: network, layer, node, message, flow.
        seed: of the resampling.
    """
    rows = []
    for (message, layer), group in _joined(dependence, edge_flows, node_flows).groupby(["message", "layer"]):
        values = group[list(COLUMNS)].to_numpy(float)
        networks = group["network"].to_numpy()
        plain = _intervals(values, networks, seed)
        ranked = _intervals(pd.DataFrame(values).rank().to_numpy(), networks, seed)
        for k, predictor in enumerate(PREDICTORS):
            rows.append((message, layer, predictor, *plain[k], *ranked[k], len(np.unique(networks)), len(group)))
    names = ("message", "layer", "predictor", "r", "low", "high", "rho", "rho_low", "rho_high", "networks", "points")
    return pd.DataFrame(rows, columns=list(names))


def _joined(dependence: pd.DataFrame, edge_flows: pd.DataFrame, node_flows: pd.DataFrame) -> pd.DataFrame:
    """A row for every edge, network and message: effect and predictors."""
    weights = edge_flows[[*EDGE, "target", "weight"]]
    nodes = node_flows.rename(columns={"node": "source", "flow": "node flow"})[[*EDGE, "node flow"]]
    joined = dependence.merge(weights, on=[*EDGE, "target"], validate="1:1").merge(nodes, on=EDGE, validate="m:1")
    return joined.assign(weight=joined["weight"].abs()).rename(columns={"flow": "edge flow"})


def _intervals(values: np.ndarray, networks: np.ndarray, seed: int) -> np.ndarray:
    """Correlation and interval of every predictor ``[4, 3]`` from rows of effect and predictors ``[rows, 4]``."""
    statistic = _correlations_of(values, networks)
    count = len(np.unique(networks))
    point = statistic(np.ones(count))
    if count < 2:
        return np.column_stack([point, np.full((len(PREDICTORS), 2), np.nan)])
    drawn = statistic(resampled(count, seed))
    return np.column_stack([point, *np.percentile(drawn, PERCENTILES, axis=-1)])


def resampled(networks: int, seed: int) -> np.ndarray:
    """How often each network is drawn in every resampling with replacement ``[2000, networks]``."""
    return np.random.default_rng(seed).multinomial(networks, np.full(networks, 1 / networks), RESAMPLES)


def _correlations_of(values: np.ndarray, networks: np.ndarray) -> Callable[..., np.ndarray]:
    """Correlations ``[4, ...]`` as a function of how often each network counts ``[..., S]``, from its sums of products.

    Columns are centred and scaled first: sums of squares of what is far from 0 would cancel.
    """
    centred = values - values.mean(axis=0)
    scale = centred.std(axis=0)
    centred = np.column_stack([np.ones(len(values)), centred / np.where(scale > 0, scale, 1)])
    _, number = np.unique(networks, return_inverse=True)
    sums = np.zeros((number.max() + 1, centred.shape[1], centred.shape[1]))
    np.add.at(sums, number, centred[:, :, None] * centred[:, None, :])

    def statistic(times: np.ndarray) -> np.ndarray:
        total = np.tensordot(times, sums, 1)
        mean = total[..., 0, 1:] / total[..., :1, 0]
        covariance = total[..., 1:, 1:] / total[..., :1, :1] - mean[..., :, None] * mean[..., None, :]
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0))
        deviation = np.where(deviation > 1e-9, deviation, np.nan)
        r = covariance / (deviation[..., :, None] * deviation[..., None, :])
        effect_weight, effect_node, weight_node = r[..., 0, 2], r[..., 0, 3], r[..., 2, 3]
        left = np.sqrt((1 - effect_weight**2) * (1 - weight_node**2))
        partial = (effect_node - effect_weight * weight_node) / np.where(left > 1e-9, left, np.nan)
        return np.stack([r[..., 0, 1], effect_weight, effect_node, partial])

    return statistic


def edit_changes(edits: pd.DataFrame, measures: Iterable[str]) -> pd.DataFrame:
    """Means of measures over edited networks: before, pruned and after, with the change and its interval.

    Columns: measure, before, pruned, after, change (after less before), low and high (95 % percentile bootstrap over
    networks; NaN of a single one). Signs are left out. A measure that some network has not is left out.

    Args:
        edits: rows of the table of edits; several of one network are its mean.
        measures: their names, without ``_before`` and the like.
    """
    rows = []
    for name in dict.fromkeys(measures):
        means = {
            when: edits[f"{name}_{when}"].abs().groupby(edits["network"]).mean()
            for when in ("before", "pruned", "after")
        }
        if not means["before"].notna().all():  # numbers have no gaps
            continue
        change = (means["after"] - means["before"]).to_numpy()
        low, high = np.nan, np.nan
        if len(change) > 1:
            low, high = np.percentile(resampled(len(change), 0) @ change / len(change), PERCENTILES)
        rows.append((name, *(own.mean() for own in means.values()), change.mean(), low, high))
    return pd.DataFrame(rows, columns=["measure", "before", "pruned", "after", "change", "low", "high"])
