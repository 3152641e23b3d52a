"""Every printed claim beside what comes out here, with an interval and a verdict: pure functions of a run's tables.

Intervals are 95 % percentile bootstraps over whole networks, conditional on this draw of rows. A printed number agrees
if it lies in the interval widened by 0.1 (by ½ if it was printed to whole per cent or points); a printed order agrees
if the interval of the difference lies above 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxflow.reproduction.paper import CORRELATIONS
from jaxflow.running.presets import PAPER_ESTIMATORS
from jaxflow.statistics import PERCENTILES, resampled

WIDENED, WHOLE = 0.1, 0.5
AFFORDED = 2.0  # points of accuracy
NAMES = {"y": "accuracy", "z": "bias"}


class Verdict(NamedTuple):
    """A claim of the paper; ``paper`` is NaN where it printed an order, not a number."""

    run: str
    claim: str
    paper: float
    ours: float
    low: float
    high: float
    verdict: str


def judged(run: str, claim: str, paper: float, ours: float, interval: tuple[float, float]) -> Verdict:
    """The verdict on one number, or on one difference that should be positive; without an interval there is none."""
    low, high = interval
    if np.isnan([ours, low, high]).any():
        verdict = "undecided"
    elif np.isnan(paper):
        verdict = "agree" if low > 0 else "differ"
    else:
        widened = WIDENED if abs(paper) < 1 else WHOLE
        verdict = "agree" if low - widened <= paper <= high + widened else "differ"
    return Verdict(run, claim, paper, ours, low, high, verdict)


def correlations(run: str, experiment: str, predictors: pd.DataFrame) -> list[Verdict]:
    """Table 2 of one experiment, from the run's predictors."""
    edge = predictors[predictors["predictor"] == "edge flow"]
    keys, values = edge[["message", "layer"]].to_numpy(), edge[["r", "low", "high"]].to_numpy(float)
    found = {(message, layer): own for (message, layer), own in zip(keys, values, strict=True)}
    first = int(predictors["layer"].min())
    rows = []
    for message, printed in CORRELATIONS[experiment].items():
        for k, paper in enumerate(printed):
            r, low, high = found[message, first + k]
            claim = f"r of {NAMES[message]} flow and effect, layer {first + k}"
            rows.append(judged(run, claim, paper, r, (low, high)))
    return rows


def mean_of_networks(run: str, claim: str, paper: float, values: pd.Series) -> Verdict:
    """A printed mean over networks."""
    return _bootstrapped(run, claim, paper, values.to_numpy()[:, None], lambda mean: mean[..., 0])


class Curves(NamedTuple):
    """Tradeoff curves: strategies, factors, and every network's bias and accuracy ``[S, strategies, factors, 2]``."""

    strategies: list[tuple[str, str, int]]
    factors: np.ndarray
    points: np.ndarray


def curves(tradeoff: pd.DataFrame, measures: Sequence[str] = ("bias", "accuracy")) -> Curves:
    """The tradeoff table as an array, with the measures on its last axis; factors fall."""
    keys = ["network", "metric", "method", "level", "factor"]
    ordered = tradeoff.sort_values(keys, ascending=[True, True, True, True, False])
    networks = ordered["network"].nunique()
    one = ordered[ordered["network"] == ordered["network"].iloc[0]]
    factors = np.unique(one["factor"].to_numpy(float))[::-1]
    metrics, methods, levels = (one[key].tolist()[:: len(factors)] for key in keys[1:4])
    values = ordered[list(measures)].to_numpy(float).reshape(networks, len(metrics), len(factors), len(measures))
    return Curves(list(zip(metrics, methods, levels, strict=True)), factors, values)


def bias_taken_off(run: str, paper: float, tradeoff: Curves) -> Verdict:
    """The most bias that pruning by bias-to-accuracy flow takes off for at most two points of accuracy."""
    chosen = [k for k, strategy in enumerate(tradeoff.strategies) if strategy[0] == "bias/acc"]

    def statistic(mean: np.ndarray) -> np.ndarray:
        bias, accuracy = np.moveaxis(mean[..., chosen, :, :], -1, 0)
        afforded = accuracy >= accuracy[..., :1] - AFFORDED
        return np.max(np.where(afforded, bias[..., :1] - bias, 0), axis=(-2, -1))

    claim = f"points of bias taken off for at most {AFFORDED:g} of accuracy"
    return _bootstrapped(run, claim, paper, tradeoff.points, statistic)


def less_bias(run: str, claim: str, tradeoff: Curves, less: str, more: str) -> Verdict:
    """How much less bias one metric leaves than another at equal accuracy, mean over methods and levels (points).

    Of the two mean curves of a strategy the biases are compared at the accuracies that both reach.
    """
    number = {strategy: k for k, strategy in enumerate(tradeoff.strategies)}
    pairs = [
        (number[less, method, level], number[more, method, level])
        for metric, method, level in tradeoff.strategies
        if metric == less
    ]
    return _bootstrapped(run, claim, np.nan, tradeoff.points, lambda mean: _mean_gap(mean, pairs))


def nodes_beat_edges(run: str, tradeoff: Curves) -> Verdict:
    """By how much pruning nodes leaves less bias than pruning as many weights as edges, at equal accuracy (points)."""
    number = {strategy: k for k, strategy in enumerate(tradeoff.strategies)}
    pairs = [
        (number["bias/acc", "node", level], number["bias/acc", "edge", 3 * level])
        for metric, method, level in tradeoff.strategies
        if (metric, method) == ("bias/acc", "node") and ("bias/acc", "edge", 3 * level) in number
    ]
    claim = "bias left by edges minus bias left by nodes, at equal accuracy"
    return _bootstrapped(run, claim, np.nan, tradeoff.points, lambda mean: _mean_gap(mean, pairs))


def negative_factors_raise_bias(run: str, tradeoff: Curves) -> Verdict:
    """Fig. 17: how far bias at the lowest factor lies above its curve's minimum, where that is most (bias/acc)."""
    chosen = [k for k, strategy in enumerate(tradeoff.strategies) if strategy[0] == "bias/acc"]

    def statistic(mean: np.ndarray) -> np.ndarray:
        bias = mean[..., 0][..., chosen, :]
        return np.max(bias[..., -1] - np.min(bias, axis=-1), axis=-1)

    claim = f"rise of bias from its minimum to factor {tradeoff.factors[-1]:g}".replace("-", "−")
    return _bootstrapped(run, claim, np.nan, tradeoff.points, statistic)


def features_carry(run: str, edge_flows: pd.DataFrame) -> list[Verdict]:
    """Fig. 8: the widest accuracy edge leaves X3, the widest bias edges leave X1 and X2 (difference of flows, bits)."""
    first = edge_flows[edge_flows["layer"] == 0]
    claims = {
        "y": ("widest accuracy flow of X3 minus that of X1 and X2", lambda m: m[..., 2] - np.max(m[..., :2], axis=-1)),
        "z": ("widest bias flow of X1 and X2 minus that of X3", lambda m: np.min(m[..., :2], axis=-1) - m[..., 2]),
    }
    return [
        _bootstrapped(run, claim, np.nan, _widest(first[first["message"] == message]), statistic)
        for message, (claim, statistic) in claims.items()
    ]


def _widest(edges: pd.DataFrame) -> np.ndarray:
    """Flow of the widest edge out of every source ``[networks, sources]``."""
    table = edges.pivot_table(index="network", columns="source", values="flow", aggfunc="max")
    return table.to_numpy(float)


def verdict_table(verdicts: list[Verdict]) -> pd.DataFrame:
    """All verdicts as a table."""
    return pd.DataFrame(verdicts, columns=list(Verdict._fields))


def _bootstrapped(
    run: str, claim: str, paper: float, values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> Verdict:
    """A statistic of the mean over networks (axis 0 of ``values``), and its interval."""
    ours = float(statistic(values.mean(axis=0)[None])[0])
    if len(values) < 2:
        return judged(run, claim, paper, ours, (np.nan, np.nan))
    times = resampled(len(values), seed=0)
    drawn = statistic(np.tensordot(times, values, 1) / len(values))
    low, high = np.percentile(drawn, PERCENTILES)
    return judged(run, claim, paper, ours, (low, high))


def _mean_gap(mean: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Mean over pairs (less, more) of ``_gap``, for mean curves ``[..., strategies, factors, 2]``."""
    flat = mean.reshape(-1, *mean.shape[-3:])
    gaps = [[_gap(each[less], each[more]) for less, more in pairs] for each in flat]
    return np.mean(gaps, axis=-1).reshape(mean.shape[:-3])


def _gap(less: np.ndarray, more: np.ndarray) -> float:
    """Mean difference of two curves' biases, more − less, over the accuracies that both reach; 0 if there are none."""
    low = max(less[:, 1].min(), more[:, 1].min())
    high = min(less[:, 1].max(), more[:, 1].max())
    if high <= low:
        return 0.0
    at = np.linspace(low, high, 50)
    first, second = (np.interp(at, *curve[np.argsort(curve[:, 1])].T[::-1]) for curve in (less, more))
    return float(np.mean(second - first))


def numbers(name: str, experiment: str, tables: Mapping[str, pd.DataFrame]) -> list[Verdict]:
    """The paper's printed numbers on an experiment's networks beside those of any run of it."""
    rows = correlations(name, experiment, tables["predictors"])
    if experiment == "synthetic":
        rows.append(bias_taken_off(name, 10.0, curves(tables["tradeoff"])))
    if experiment == "mnist":
        networks = tables["networks"]
        rows.append(mean_of_networks(name, "argmax accuracy, %", 98.0, networks["argmax_accuracy"]))
        rows.append(mean_of_networks(name, "output bias, %", 65.0, networks["output_bias"]))
    return rows


def of_run(name: str, experiment: str, estimator: str, tables: Mapping[str, pd.DataFrame]) -> list[Verdict]:
    """All claims that a run can judge: those of the paper's figures with the same estimator."""
    rows = numbers(name, experiment, tables) if estimator == PAPER_ESTIMATORS[experiment] else []
    tradeoff = curves(tables["tradeoff"])
    match experiment, estimator:
        case "synthetic", "kernel-svm":
            rows += features_carry(name, tables["edge_flows"])
        case "adult-small" | "adult-large", "linear-svm":
            rows.append(nodes_beat_edges(name, tradeoff))
        case "adult-small", "gaussian":
            for less, more in (("bias/acc", "random"), ("random", "acc/bias")):
                rows.append(less_bias(name, f"bias left by {more} minus bias left by {less}", tradeoff, less, more))
        case "adult-large", "gaussian":
            rows.append(negative_factors_raise_bias(name, tradeoff))
        case _:
            pass
    return rows


def decisions(name: str, tables: Mapping[str, pd.DataFrame]) -> list[Verdict]:
    """Not asked by the paper: does the network's own decision become fairer, or only what a probe finds?

    Argmax accuracy and parity gap (per cent, points) where pruning by bias-to-accuracy flow takes off most bias for at
    most two points of the probe's accuracy, minus those before; the strategy and factor are chosen on the mean curves.
    """
    measures = ("argmax_accuracy", "parity_gap")
    found = curves(tables["tradeoff"], ("bias", "accuracy", *measures))
    bias, accuracy = np.moveaxis(found.points.mean(axis=0)[..., :2], -1, 0)
    chosen = np.array([metric == "bias/acc" for metric, _, _ in found.strategies])[:, None]
    afforded = chosen & (accuracy >= accuracy[:, :1] - AFFORDED)
    place = np.unravel_index(np.argmin(np.where(afforded, bias, np.inf)), bias.shape)
    change = found.points[:, place[0], place[1], 2:] - found.points[:, place[0], 0, 2:]
    before = found.points[:, place[0], 0, 2:].mean(axis=0)
    return [
        _bootstrapped(name, measure, float(before[k]), change[:, k, None], lambda mean: mean[..., 0])
        for k, measure in enumerate(measures)
    ]


def beyond_magnitude(name: str, tables: Mapping[str, pd.DataFrame]) -> Verdict:
    """Not asked by the paper: does pruning by flow leave less bias than pruning by the weights' magnitude?"""
    claim = "bias left by magnitude minus bias left by bias/acc"
    return less_bias(name, claim, curves(tables["tradeoff"]), "bias/acc", "magnitude")
