"""The paper's figures from our runs, and one that it does not have."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxflow.figures import (
    COLOURS,
    MARKERS,
    PAPER_TITLES,
    counted,
    dependence,
    flows,
    mark_unpruned,
    new_figure,
    tradeoff,
    tradeoff_by_metric,
    tradeoff_curve,
    tradeoff_levels,
    typical_network,
)
from jaxflow.reproduction.diagrams import graphical_model, synthetic_model
from jaxflow.reproduction.runs import RATIOS
from jaxflow.running.results import Results

NODES_EDGES = (("node", 2), ("node", 3), ("edge", 3), ("edge", 6))
WITH_PATHS = (*NODES_EDGES, ("path", 1), ("path", 2))


def _dependence(results: Results, title: str) -> Figure:
    return dependence(results.table("dependence"), title)


def _flows(results: Results, title: str) -> Figure:
    networks = results.table("networks")
    tables = results.table("node_flows"), results.table("edge_flows")
    return flows(*tables, typical_network(networks), title, ("X1", "X2", "X3"))


def _levels(results: Results, title: str) -> Figure:
    return tradeoff_levels(results.table("tradeoff"), results.table("networks"), title)


def _controls(results: Results, title: str) -> Figure:
    return tradeoff(results.table("tradeoff"), results.table("networks"), title)


def _ratios(curves: tuple[tuple[str, int], ...]) -> Callable[[Results, str], Figure]:
    def draw(results: Results, title: str) -> Figure:
        return tradeoff_by_metric(results.table("tradeoff"), results.table("networks"), curves, RATIOS, title)

    return draw


FIGURES: Mapping[str, tuple[str, Callable[[Results, str], Figure]]] = {
    "fig2": ("synthetic-kernel-svm", _dependence),
    "fig3": ("synthetic-kernel-svm", _ratios(NODES_EDGES)),
    "fig4": ("adult-small-linear-svm", _dependence),
    "fig5": ("adult-small-linear-svm", _ratios(NODES_EDGES)),
    "fig6a": ("adult-large-linear-svm", _ratios(WITH_PATHS)),
    "fig6b": ("mnist-gaussian", _ratios(WITH_PATHS)),
    "fig8": ("synthetic-kernel-svm", _flows),
    "fig9": ("adult-large-linear-svm", _dependence),
    "fig10": ("synthetic-kernel-svm", _levels),
    "fig11": ("adult-small-linear-svm", _levels),
    "fig12": ("adult-large-linear-svm", _levels),
    "fig13": ("synthetic-gaussian", _ratios(NODES_EDGES)),
    "fig14": ("adult-small-gaussian", _ratios(NODES_EDGES)),
    "fig15": ("adult-large-gaussian", _ratios(WITH_PATHS)),
    "fig16": ("adult-small-gaussian", _controls),
    "fig17": ("adult-large-gaussian", _levels),
    "quadratic": ("synthetic-quadratic", _ratios(NODES_EDGES)),
}
"""Name → run and how it is drawn (Venkatesh et al. 2021)."""

DIAGRAMS: Mapping[str, Callable[[], Figure]] = {"fig1": graphical_model, "fig7": synthetic_model}
WAYS = {"": "jaxflow", "_double": "eq. 13, double precision", "_single": "eq. 13, single precision"}


def inversion_figure(compared: pd.DataFrame) -> Figure:
    """Fig. 13 by bias-to-accuracy flow: jaxflow's estimate beside the inversion of a near-singular covariance.

    Below, the same without the weights removed altogether, to show what lies close together.
    """
    figure, grid = new_figure(8.4, 4.8, 2, 3)
    for row, own in enumerate((compared, compared[compared["factor"] > 0])):
        for axes, (way, title) in zip(grid[row], WAYS.items(), strict=True):
            if axes is not grid[row, 0]:
                axes.sharex(grid[row, 0])
                axes.sharey(grid[row, 0])
            shown = own.assign(bias=own[f"bias{way}"], accuracy=own[f"accuracy{way}"])
            for look, (method, level) in enumerate(NODES_EDGES):
                chosen = (shown["metric"] == "bias/acc") & (shown["method"] == method) & (shown["level"] == level)
                tradeoff_curve(axes, shown[chosen], look, counted(level, method))
            unpruned = shown[shown["factor"] == 1]
            mark_unpruned(axes, unpruned.rename(columns={"bias": "output_bias", "accuracy": "output_accuracy"}))
            axes.set_title("factors 0.1 to 1" if row else title)
            axes.set_xlabel("bias at the output (%)")
        grid[row, 0].set_ylabel("accuracy at the output (%)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", title="pruned")
    figure.suptitle("synthetic, Gaussian estimate, by bias/acc")
    return figure


def predictor_figure(predictors: pd.DataFrame) -> Figure:
    """R of every predictor with its interval: a panel per message, a row per run and layer."""
    figure, grid = new_figure(7.2, 0.9 + 0.24 * len(predictors) / 8, 1, 2, shared=True)
    names = list(dict.fromkeys(predictors["predictor"]))
    places = list(dict.fromkeys(zip(predictors["run"], predictors["layer"], strict=True)))
    for axes, message in zip(grid[0], PAPER_TITLES, strict=True):
        for k, name in enumerate(names):
            rows = predictors[(predictors["message"] == message) & (predictors["predictor"] == name)]
            at = [places.index(place) + 0.16 * (k - 1.5) for place in zip(rows["run"], rows["layer"], strict=True)]
            r, low, high = (rows[column].to_numpy(float) for column in ("r", "low", "high"))
            axes.errorbar(
                r, at, xerr=np.nan_to_num(np.abs([r - low, high - r])), fmt=MARKERS[k], color=COLOURS[k], label=name,
                markersize=3, linewidth=1,
            )  # fmt: skip
        axes.axvline(0, color="0.7", linewidth=0.6, zorder=0)
        axes.set_title(f"effect on {PAPER_TITLES[message]}")
        axes.set_xlabel("r with the effect of removal")
        axes.set_yticks(range(len(places)), [f"{run}, layer {layer}" for run, layer in places])
        axes.label_outer()
    grid[0, 0].invert_yaxis()
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return figure
