"""What is chosen on one half of the rows and reported on the other, from the arena's measures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from arena_measures import MEASURES, Candidate

BUDGETS = (0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0)  # points of accuracy
READINGS = {  # what is given up, and what is to fall
    "information": ("accuracy", "bias"),
    "decision": ("argmax_accuracy", "parity_gap"),
    "recalibrated": ("recalibrated_argmax_accuracy", "recalibrated_parity_gap"),
}
FAIR = 5.0  # per cent, within which φ asks the parity gap to be
BOUND = "greedy"  # may also do what ``removal`` does, and so is at least as good where it chooses
ROUNDING = 0.02  # per cent


class Front(NamedTuple):
    """What a ranking's choices come to on the rows that report, mean of both roles.

    Attributes:
        removed: points taken off, per network and budget ``[S, B]``.
        lost: points of accuracy lost ``[S, B]``.
    """

    removed: np.ndarray
    lost: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """Mean over budgets ``[S]``."""
        return self.removed.mean(axis=1)


def members(wanted: Sequence[Candidate], metric: str, method: str | None = None) -> np.ndarray:
    """Numbers of a ranking's interventions, and of the network as it is, which comes first."""
    names = {metric, "removal"} if metric == BOUND else {metric}
    own = [k for k, c in enumerate(wanted) if c.metric in names and not c.kept and method in (None, c.method)]
    return np.array([0, *own])


def front(measures: np.ndarray, own: np.ndarray, reading: str) -> Front:
    """For every network and budget the intervention with the least left, among those that lose no more accuracy.

    Args:
        measures: ``[S, 2, G, 2, M]``: by network, role, intervention, half (the one that chooses first) and measure.
        own: numbers of the interventions to choose from, the network as it is first.
        reading: a name in ``READINGS``.
    """
    lost, removed = _changes(measures, own, reading)
    shown = []
    for budget in BUDGETS:
        chosen = _cheapest(lost[..., 0], removed[..., 0], budget)
        shown.append([_at(of[..., 1], chosen).mean(axis=1) for of in (removed, lost)])
    return Front(*np.moveaxis(np.array(shown), 0, -1))


def as_accurate_as(measures: np.ndarray, own: np.ndarray, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and parity gap ``[S]`` of the recalibrated decision, with the least gap that leaves an accuracy.

    Args:
        measures: see ``front``.
        own: see ``front``.
        accuracy: per cent, on the half that chooses; a network that has less as it is stays so.
    """
    lost, removed = _changes(measures, own, "recalibrated")
    kept, left = (measures[..., 1, MEASURES.index(name)][:, :, own] for name in READINGS["recalibrated"])
    unpruned = measures[:, :, :1, 0, MEASURES.index(READINGS["recalibrated"][0])]
    chosen = _cheapest(lost[..., 0], removed[..., 0], np.maximum(unpruned - accuracy, 0))
    return _at(kept, chosen).mean(axis=1), _at(left, chosen).mean(axis=1)


def _changes(measures: np.ndarray, own: np.ndarray, reading: str) -> list[np.ndarray]:
    """Accuracy lost and bias taken off by interventions, ``[S, 2, G, 2]``."""
    both = (measures[..., MEASURES.index(name)][:, :, own] for name in READINGS[reading])
    return [of[:, :, :1] - of for of in both]


def _cheapest(lost: np.ndarray, removed: np.ndarray, budget: float | np.ndarray) -> np.ndarray:
    """Which intervention ``[S, 2]`` takes off most within the budget; of equal ones that which costs least."""
    allowed = np.where(lost <= budget, removed, -np.inf)
    best = allowed >= allowed.max(axis=2, keepdims=True)
    return np.argmin(np.where(best, lost, np.inf), axis=2)


def _at(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """``[S, 2]`` of ``[S, 2, G]``."""
    return np.take_along_axis(values, chosen[..., None], 2)[..., 0]


def fair_accuracy(measures: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ ``[S]``: balanced accuracy where the parity gap is below 5 points, else 0 (Savani et al. 2020), and how often.

    Of the recalibrated decision. Chosen is the largest φ, or where nothing is fair the least gap.
    """
    accuracy, gap = (
        measures[..., MEASURES.index(name)][:, :, own]
        for name in ("recalibrated_balanced_accuracy", "recalibrated_parity_gap")
    )
    worth = np.where(gap[..., 0] < FAIR, accuracy[..., 0], -gap[..., 0])
    said, fair = (_at(of[..., 1], np.argmax(worth, axis=2)) for of in (accuracy, gap))
    return np.where(fair < FAIR, said, 0).mean(axis=1), (fair < FAIR).mean(axis=1)


def faithfulness(measures: np.ndarray, wanted: Sequence[Candidate], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """How much of the bias a metric's first edges carry alone: shares of edges, and parts ``[S, K]``.

    (b_k − b_0) / (b − b_0) with b the bias of the network, b_k with the first k edges left, b_0 with none; on the rows
    that report (CPR and CMD of MIB, Mueller et al. 2025, are its mean and the mean distance from 1). NaN of a network
    whose edges carry less than a point.
    """
    kept = [k for k, c in enumerate(wanted) if c.kept and c.metric == metric]
    none, *some = sorted(kept, key=lambda k: wanted[k].level)
    counts = np.array([wanted[k].level for k in some])
    bias = measures[:, :, :, 1, MEASURES.index("bias")].mean(axis=1)
    whole = bias[:, :1] - bias[:, [none]]
    return counts / counts.max(), (bias[:, some] - bias[:, [none]]) / np.where(whole > 1, whole, np.nan)


def one_step_excess(measures: np.ndarray, wanted: Sequence[Candidate]) -> float:
    """By how much any ranking's first removal beats exact removal's on the rows that choose: at most rounding.

    In points of accuracy less bias, over all networks, nodes and edges.
    """
    merit = measures[:, :, :, 0, MEASURES.index("accuracy")] - measures[:, :, :, 0, MEASURES.index("bias")]
    worst = -np.inf
    for method in ("node", "edge"):
        first = {
            c.metric: k
            for k, c in enumerate(wanted)
            if (c.method, c.level, c.factor, c.kept) == (method, 1, 0.0, False)
        }
        oracle = merit[:, :, first["removal"]]
        worst = max(worst, max(float((merit[:, :, k] - oracle).max()) for k in first.values()))
    return worst
