"""Bias against accuracy under pruning."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxflow.errors import counted
from jaxflow.figures.levels import mark_chance
from jaxflow.figures.style import (
    COLOURS,
    MARKERS,
    METRIC_LOOK,
    STYLES,
    message_titles,
    middle_level,
    new_figure,
)
from jaxflow.interventions import METHODS
from jaxflow.outputs import PAPER, Roles


def tradeoff_curve(
    axes: Axes, table: pd.DataFrame, look: int, label: str, style: str = "-", bias: str = "bias"
) -> None:
    """Mean bias and accuracy over networks at every factor, with one standard error both ways.

    Args:
        axes: to draw on.
        table: rows of the tradeoff table of one strategy.
        look: number of colour and marker.
        label: for the legend.
        style: of the line.
        bias: column of the table.
    """
    colour, marker = COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)]
    by_factor = table.rename(columns={bias: "bias"}).groupby("factor", sort=True)[["bias", "accuracy"]]
    mean, sem = by_factor.mean()[::-1], by_factor.sem()[::-1].fillna(0)
    axes.errorbar(
        mean["bias"], mean["accuracy"], xerr=sem["bias"], yerr=sem["accuracy"],
        color=colour, marker=marker, linestyle=style, label=label, elinewidth=0.5,
    )  # fmt: skip
    if mean.index.min() < 0:
        removed = mean[mean.index == 0]
        hollow = {"markersize": 6, "markerfacecolor": "white", "color": colour, "linestyle": "none"}
        axes.plot(removed["bias"], removed["accuracy"], "D", label="factor 0" if look == 0 else None, **hollow)


def mark_unpruned(axes: Axes, networks: pd.DataFrame, bias: str = "bias") -> None:
    """A star at the mean bias and accuracy before pruning."""
    axes.plot(
        networks["output_bias" if bias == "bias" else bias].mean(), networks["output_accuracy"].mean(),
        marker="*", markersize=11, color="#F0E442", markeredgecolor="black", markeredgewidth=0.6,
        linestyle="none", label="unpruned", zorder=5,
    )  # fmt: skip


def _label_tradeoff(axes: Axes, name: str = "bias") -> None:
    axes.set_xlabel(f"information {name} (%)")
    axes.set_ylabel("information accuracy (%)")


def _shared(roles: Roles) -> bool | Literal["row"]:
    """Attributes differ in how much of them can be known: each has a scale of its own."""
    return "row" if len(roles.attributes) > 1 else True


def _label_outer(axes: Axes, roles: Roles) -> None:
    """Labels of a scale once only: the vertical one in the first column, the horizontal one wherever it differs."""
    spec = axes.get_subplotspec()
    if len(roles.attributes) == 1:
        axes.label_outer()
    elif spec is not None and not spec.is_first_col():
        axes.set_ylabel("")


def _aimed_at(table: pd.DataFrame, attribute: str) -> pd.DataFrame:
    """Rows of the interventions that aim at an attribute: all of them where there is one."""
    return table[table["attribute"] == attribute] if "attribute" in table else table


def metric_look(metric: str, metrics: Sequence[str]) -> tuple[int, str]:
    """Colour and line style of a metric; others than the paper's take the next colour, then the next style."""
    if metric in METRIC_LOOK:
        return METRIC_LOOK[metric], STYLES[metric]
    style, colour = divmod([name for name in metrics if name not in METRIC_LOOK].index(metric), 3)
    return 3 + colour, list(STYLES.values())[style % len(STYLES)]


def tradeoff(
    table: pd.DataFrame,
    networks: pd.DataFrame,
    title: str,
    roles: Roles = PAPER,
    chance: Mapping[str, float] = MappingProxyType({}),
) -> Figure:
    """Metrics against each other: for every method its middle level, both flow ratios and the random control.

    A row of panels for every attribute.

    Args:
        table: the tradeoff table.
        networks: the networks table.
        title: of the figure.
        roles: label and attributes.
        chance: what accuracy and bias come to where an output tells nothing, per cent by measure; drawn where known.
    """
    methods = [method for method in METHODS if method in set(table["method"])]
    metrics = list(dict.fromkeys(table["metric"]))
    size = 2.2 * len(methods) + 1, 2.2 * len(roles.attributes) + 0.4
    figure, grid = new_figure(*size, len(roles.attributes), len(methods), shared=_shared(roles))
    for (row, column), axes in np.ndenumerate(grid):
        attribute, method = roles.attributes[row], methods[column]
        bias = f"bias{roles.suffix(attribute)}"
        rows = _aimed_at(table[table["method"] == method], attribute)
        level = middle_level(rows["level"])
        for metric in metrics:
            chosen = rows[(rows["metric"] == metric) & (rows["level"] == level)]
            look, style = metric_look(metric, metrics)
            tradeoff_curve(axes, chosen, look, metric, style, bias)
        mark_unpruned(axes, networks, bias)
        axes.set_title(f"top {counted(level, method)}")
        _label_tradeoff(axes, message_titles(roles)[roles.measured(attribute)])
        _label_outer(axes, roles)
    names = [f"bias{roles.suffix(attribute)}" for attribute in roles.attributes]
    mark_chance(((axes, names[row], column == 0) for (row, column), axes in np.ndenumerate(grid)), chance)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", title="pruned by")
    figure.suptitle(title)
    return figure


def tradeoff_levels(
    table: pd.DataFrame,
    networks: pd.DataFrame,
    title: str,
    roles: Roles = PAPER,
    chance: Mapping[str, float] = MappingProxyType({}),
) -> Figure:
    """All strategies: a row for every attribute and method, a column for every metric, a curve for every level."""
    rows = [(name, method) for name in roles.attributes for method in METHODS if method in set(table["method"])]
    metrics = list(dict.fromkeys(table["metric"]))
    size = 2.1 * len(metrics) + 1, 1.9 * len(rows) + 0.4
    figure, grid = new_figure(*size, len(rows), len(metrics), shared=_shared(roles))
    for (row, column), axes in np.ndenumerate(grid):
        (attribute, method), metric = rows[row], metrics[column]
        bias = f"bias{roles.suffix(attribute)}"
        chosen = _aimed_at(table[(table["method"] == method) & (table["metric"] == metric)], attribute)
        for look, level in enumerate(sorted(set(chosen["level"]))):
            tradeoff_curve(axes, chosen[chosen["level"] == level], look, counted(level, method), bias=bias)
        mark_unpruned(axes, networks, bias)
        axes.set_title(f"random {method}s" if metric == "random" else f"{method}s by {metric}")
        _label_tradeoff(axes, message_titles(roles)[roles.measured(attribute)])
        _label_outer(axes, roles)
        if column == len(metrics) - 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="pruned")
    names = [f"bias{roles.suffix(attribute)}" for attribute, _ in rows]
    mark_chance(((axes, names[row], column == 0) for (row, column), axes in np.ndenumerate(grid)), chance)
    figure.suptitle(title)
    return figure


def tradeoff_by_metric(
    table: pd.DataFrame, networks: pd.DataFrame, curves: Sequence[tuple[str, int]], metrics: Sequence[str], title: str
) -> Figure:
    """Chosen methods and levels in one panel for every metric (as Venkatesh et al. 2021, Figs. 3, 5 and 6).

    Args:
        table: the tradeoff table.
        networks: the networks table.
        curves: (method, level) of every curve.
        metrics: of the panels.
        title: of the figure.
    """
    figure, grid = new_figure(2.8 * len(metrics) + 1, 2.8, 1, len(metrics), shared=True)
    for axes, metric in zip(grid[0], metrics, strict=True):
        for look, (method, level) in enumerate(curves):
            rows = table[(table["metric"] == metric) & (table["method"] == method) & (table["level"] == level)]
            tradeoff_curve(axes, rows, look, counted(level, method), STYLES[metric])
        mark_unpruned(axes, networks)
        axes.set_title("random" if metric == "random" else f"by {metric}")
        _label_tradeoff(axes)
        axes.label_outer()
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", title="pruned")
    figure.suptitle(title)
    return figure
