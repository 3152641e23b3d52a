"""Scenes beyond Gaussian layers about two classes, for ``calibration.py``: other messages, strata, uneven residuals.

Every scene is a function of random numbers and a number of rows, and draws a message and some layers about it whose
last node is looked at: its information given any of the others is known in closed form.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from calibration_layers import generator

from jaxflow import honest_flows
from jaxflow.inference.permutations import family_wise, permuted_flows

EACH = 5  # layers about one message, which have its chance in common
PERMUTATIONS, ALPHA = 199, 0.05


class Drawn(NamedTuple):
    """Some layers about one message.

    Attributes:
        message: ``[N]``.
        layers: ``[S, N, n]``.
        truth: bits that the last node tells.
        given: strata ``[N]``, if there are any.
    """

    message: np.ndarray
    layers: np.ndarray
    truth: float
    given: np.ndarray | None = None


def gated(rng: np.random.Generator, rows: int, gate: float) -> Drawn:
    """The last node is noise in those rows in which the first one leaves the message open, and silent in the others."""
    message = rng.integers(0, 2, rows)
    first = 1.3 * (2 * message - 1) + rng.normal(size=(EACH, rows))
    last = rng.normal(size=first.shape) * (np.abs(first) < gate)
    return Drawn(message, np.stack([first, last], axis=-1), 0.0)


def beside(rng: np.random.Generator, rows: int) -> Drawn:
    """The first of two nodes tells the message, with means 1.5 standard deviations apart; the last is noise."""
    message = rng.integers(0, 2, rows)
    layers = rng.normal(size=(EACH, rows, 2))
    return Drawn(message, layers + 1.5 * message[:, None] * np.array([1.0, 0.0]), 0.0)


def wide_class(rng: np.random.Generator, rows: int) -> Drawn:
    """A class of one row in ten has three times the spread of the other, and the same mean."""
    message = (rng.random(rows) < 0.1).astype(int)
    return Drawn(message, (rng.normal(size=(EACH, rows)) * (1 + 2 * message))[..., None], 0.0)


def common_scale(rng: np.random.Generator, rows: int) -> Drawn:
    """Message and node are uncorrelated numbers, and both four times as large in every second row."""
    scale = rng.choice([0.5, 2.0], rows)
    return Drawn(scale * rng.normal(size=rows), (scale * rng.normal(size=(EACH, rows)))[..., None], 0.0)


def rarely_alive(rng: np.random.Generator, rows: int) -> Drawn:
    """A ReLU unit above 0 in one row of 44, about a number that it does not know."""
    return Drawn(rng.normal(size=rows), np.maximum(rng.normal(size=(EACH, rows)) - 2, 0)[..., None], 0.0)


def unequal_strata(rng: np.random.Generator, rows: int, share: float, effect: float) -> Drawn:
    """Information in one of two strata only, whose share of the rows is drawn with them."""
    given, message = (rng.random(rows) < share).astype(int), rng.integers(0, 2, rows)
    layers = effect * message * given + rng.normal(size=(EACH, rows))
    return Drawn(message, layers[..., None], share * 0.5 * np.log2(1 + effect**2 / 4), given)


def three_classes(rng: np.random.Generator, rows: int, step: float) -> Drawn:
    """Three equally likely classes whose means are equal steps apart."""
    message = rng.integers(0, 3, rows)
    layers = step * message + rng.normal(size=(EACH, rows))
    return Drawn(message, layers[..., None], 0.5 * np.log2(1 + step**2 * 2 / 3))


def numbers(rng: np.random.Generator, rows: int, r: float) -> Drawn:
    """Message and node are bivariate normal with correlation r."""
    message = rng.normal(size=rows)
    layers = r * message + np.sqrt(1 - r**2) * rng.normal(size=(EACH, rows))
    return Drawn(message, layers[..., None], -0.5 * np.log2(1 - r**2))


GATED, BESIDE = "noise where the first node leaves the message open", "noise beside a node that tells the message"
SCENES: dict[str, tuple[Callable[[np.random.Generator, int], Drawn], str]] = {  # how it is drawn, and the estimator
    f"{GATED} (gate 0.3)": (partial(gated, gate=0.3), "gaussian"),
    f"{GATED} (gate 0.6)": (partial(gated, gate=0.6), "gaussian"),
    BESIDE: (beside, "gaussian"),
    f"{BESIDE}, quadratic": (beside, "quadratic"),
    "one class in ten, with three times the spread": (wide_class, "gaussian"),
    "uncorrelated numbers of one scale": (common_scale, "gaussian"),
    "ReLU unit alive in one row of 44, a number": (rarely_alive, "gaussian"),
    "two strata, half of the rows informative": (partial(unequal_strata, share=0.5, effect=2.0), "gaussian"),
    "two strata, a fifth of the rows informative": (partial(unequal_strata, share=0.2, effect=2.0), "gaussian"),
    "three classes": (partial(three_classes, step=0.5), "gaussian"),
    "number, r = 0.5": (partial(numbers, r=0.5), "gaussian"),
    "number, r = 0.95": (partial(numbers, r=0.95), "gaussian"),
    "number, r = 0.5, copula": (partial(numbers, r=0.5), "copula"),
    "number, r = 0.95, copula": (partial(numbers, r=0.95), "copula"),
}


def significant(own: Drawn, seed: int, estimator: str) -> np.ndarray:
    """Whether the last node of every layer has p_max ≤ 0.05, each layer a family of its own ``[S]``."""
    flow, _, others = permuted_flows(
        jax.random.key(seed), own.message, own.layers, estimator=estimator, permutations=PERMUTATIONS
    )
    p_max = np.stack([family_wise(flow[k], others[:, k]) for k in range(len(flow))])
    return p_max[:, -1] <= ALPHA + 1e-9


def clustered_error(shares: np.ndarray) -> float:
    """Standard error of the mean of ``[B, S]`` whose rows are independent of one another."""
    return float(shares.mean(axis=1).std(ddof=1) / np.sqrt(len(shares)))


def beyond_cell(scene: str, rows: int, layers: int) -> pd.DataFrame:
    """How often the interval holds the truth, and where a companion tells the message, how often p_max finds the node.

    Of a truth of 0 it does if its lower end is at most 0.
    """
    draw, estimator = SCENES[scene]
    below, above, found, truth = [], [], [], 0.0
    fewer = 10 if estimator == "quadratic" else 1  # which fits every permutation by itself
    for block in range(layers // EACH // fewer):
        own = draw(generator("beyond", scene, rows, block), rows)
        own, truth = own._replace(layers=own.layers.astype(np.float32)), own.truth
        key = jax.random.key(block)
        _, low, high = honest_flows(key, own.message, own.layers, estimator=estimator, given=own.given)
        below.append(truth < np.asarray(low)[:, -1])
        above.append(truth > np.asarray(high)[:, -1])
        if scene.startswith((GATED, BESIDE)):
            found.append(significant(own, block, estimator))
    held = ~(np.array(below) | np.array(above))
    row: dict[str, Any] = {"truth": truth, "layers": held.size, "coverage": held.mean(), "error": clustered_error(held)}
    row |= {"truth_below": np.mean(below), "truth_above": np.mean(above)}
    row |= {"p_max": np.mean(found) if found else np.nan}
    return pd.DataFrame([row | {"p_max_error": clustered_error(np.array(found)) if found else np.nan}])
