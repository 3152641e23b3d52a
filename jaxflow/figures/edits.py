"""One network with its edits, and what the edits of all networks gave on rows that did not choose them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxflow.errors import counted
from jaxflow.figures.style import COLOURS, laid_out, new_figure, paper_style, plain_text

WIDEST = 4.5  # points, of the edge of the largest weight that leaves a layer
KEPT, SCALED, REMOVED = "0.7", COLOURS[0], COLOURS[1]


def typical_edit(table: pd.DataFrame, columns: Sequence[str]) -> int:
    """The network whose written edit changes the measure by the median of all that were edited; 0 if none was.

    Args:
        table: of the edits.
        columns: of the measure of every attribute that is aimed at, without ``_before`` and ``_after``.
    """
    own = table[table["written"] & (table["edges"] != "")]
    if not len(own):
        return int(table["network"].iloc[0])
    change = worst(own, columns, "after") - worst(own, columns, "before")
    return int(own["network"].iloc[int((change - change.median()).abs().argmin())])


def worst(table: pd.DataFrame, columns: Sequence[str], when: str) -> pd.Series:
    """The measure of the worst attribute, without its sign."""
    return table[[f"{column}_{when}" for column in columns]].abs().max(axis=1)


def edited_panel(
    axes: Axes,
    weights: Sequence[np.ndarray],
    multipliers: Sequence[np.ndarray],
    names: Sequence[str] = (),
    first_layer: int = 0,
) -> None:
    """One network: edges as wide as their weights, those that were edited in colour.

    Args:
        axes: to draw on.
        weights: ``[n_l, n_{l+1}]`` of every layer shown, before the edit.
        multipliers: of the same edges.
        names: of the nodes of the first layer.
        first_layer: its number.
    """
    sizes = [*(len(w) for w in weights), weights[-1].shape[1]]
    at = [[(layer, (size - 1) / 2 - node) for node in range(size)] for layer, size in enumerate(sizes)]
    for layer, (w, by) in enumerate(zip(weights, multipliers, strict=True)):
        largest = max(np.abs(w).max(), 1e-12)
        looks = ((by == 1, KEPT, "-"), ((by != 1) & (by != 0), SCALED, "-"), (by == 0, REMOVED, (0, (2, 1.5))))
        for order, (chosen, colour, style) in enumerate(looks, start=1):
            places = np.argwhere(chosen)
            ends = [(at[layer][i], at[layer + 1][j]) for i, j in places]
            widths = [0.4 + WIDEST * abs(w[i, j]) / largest for i, j in places]
            axes.add_collection(LineCollection(ends, linewidths=widths, colors=colour, linestyles=style, zorder=order))
    places = np.array([place for layer in at for place in layer])
    axes.scatter(*places.T, s=150, color="white", edgecolors="black", linewidths=0.7, zorder=5)
    for place, name in zip(at[0], names, strict=False):
        axes.annotate(plain_text(name), place, (-11, 0), textcoords="offset points", ha="right", va="center")
    every, last = -(-len(sizes) // 8), len(sizes) - 1  # of many layers some are named
    shown = [k for k in range(0, last, every) if last - k >= every]
    numbers = [k + first_layer for k in shown]
    layers = [f"layer {number}" if number else "inputs" for number in numbers]
    axes.set_xticks([*shown, last], [*layers, "output"])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(0.14)


def change_panel(axes: Axes, table: pd.DataFrame, columns: Sequence[str], ylabel: str, at_most: float | None) -> None:
    """Measure against decision accuracy, before and after, of every written edit.

    Args:
        axes: to draw on.
        table: of the edits.
        columns: of the measure of every attribute that is aimed at.
        ylabel: what the measure is called.
        at_most: what it shall be at most, if that was asked for.
    """
    own = table[table["written"]]
    points = {when: (own[f"argmax_accuracy_{when}"], worst(own, columns, when)) for when in ("before", "after")}
    ends = np.stack([np.column_stack(points[when]) for when in ("before", "after")], axis=1)
    axes.add_collection(LineCollection(list(ends), colors="0.85", linewidths=0.6, zorder=1))
    looks = {"before": ("0.5", "o"), "after": (SCALED, "s")}
    for when, (x, y) in points.items():
        colour, marker = looks[when]
        axes.scatter(x, y, s=9, color=colour, marker=marker, linewidths=0, alpha=0.7, zorder=2, label=when)
        mean = "mean of all" if when == "after" and len(x) > 1 else None
        axes.scatter([x.mean()], [y.mean()], s=55, color=colour, marker=marker, edgecolors="black", zorder=3,
                     label=mean)  # fmt: skip
    if at_most is not None:
        axes.axhline(at_most, color=REMOVED, linewidth=0.8, linestyle="--", zorder=0, label="asked for")
    axes.set_xlabel("decision accuracy (%)")
    axes.set_ylabel(ylabel)
    axes.legend()


def draw_edit(
    table: pd.DataFrame,
    columns: Sequence[str],
    one: tuple[int, Sequence[np.ndarray], Sequence[np.ndarray]],
    labels: tuple[str, str],
    names: Sequence[str] = (),
    at_most: float | None = None,
    first_layer: int = 0,
) -> Figure:
    """A network with its edits, and beside it all networks before and after, on the rows that did not choose.

    Args:
        table: of the edits.
        columns: of the measure of every attribute that is aimed at.
        one: number of the network that is drawn, its weights and their multipliers, of the layers shown.
        labels: title, and what the measure is called.
        names: of the nodes of the first layer shown.
        at_most: what the measure shall be at most, if that was asked for.
        first_layer: number of the first layer shown.
    """
    number, weights, multipliers = one
    with paper_style():
        tallest = max(*(len(w) for w in weights), weights[-1].shape[1])
        figure, grid = new_figure(7.2, max(3.0, 0.26 * tallest + 0.8), 1, 2)
        edited_panel(grid[0, 0], weights, multipliers, names, first_layer)
        edited = sum(int(np.sum(by != 1)) for by in multipliers)
        grid[0, 0].set_title(f"network {number}: {counted(edited, 'edge')} edited")
        _legend(grid[0, 0], multipliers)
        change_panel(grid[0, 1], table, columns, labels[1], at_most)
        grid[0, 1].set_title("every network, on rows that did not choose")
        figure.suptitle(labels[0])
        return laid_out(figure)


def _legend(axes: Axes, multipliers: Sequence[np.ndarray]) -> None:
    """What the colours of edges mean, below the network."""
    factors = sorted({float(value) for by in multipliers for value in np.unique(by)} - {0.0, 1.0})
    scaled = f"weight × {', '.join(f'{factor:g}' for factor in factors)}"
    handles = [Line2D([], [], color=KEPT, label="as it was")]
    handles += [Line2D([], [], color=SCALED, label=scaled)] if factors else []
    gone = any((by == 0).any() for by in multipliers)
    handles += [Line2D([], [], color=REMOVED, linestyle="--", label="removed")] if gone else []
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)
