"""The picture of what trips estimators up, from the table of ``truth.py``: scenes by estimators."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from truth_peers import PEERS
from truth_tables import answered, in_order, signed, whole_layers

from jaxflow.figures import COLOURS, new_figure

FAR = 0.3  # bits at which the colour is full
SHADES = LinearSegmentedColormap.from_list("below and above", (COLOURS[0], "white", COLOURS[1]))
NONE, FAILS = "0.93", "0.3"  # of cells of those who take no such table, and of those who give no number
TITLES = {"classes": "about two classes", "number": "about a number"}


def pitfalls_figure(table: pd.DataFrame) -> Figure:
    """Estimate less truth of every scene (rows) and estimator (columns), in bits: a panel for classes, one for numbers.

    White is right, blue below the truth, red above it. Dark cells gave no finite number in some draw; light ones take
    no such message or no second column.
    """
    own = whole_layers(answered(table))
    names = in_order(own["estimator"])
    kinds = own["scene"].str.split(": ", n=1).str[0]
    figure, grid = new_figure(7.2, 4.8, len(TITLES), 1)
    for axes, (kind, title) in zip(grid[:, 0], TITLES.items(), strict=True):
        draw_scenes(axes, own[kinds == kind], names)
        axes.set_title(title, loc="left")
    top = grid[0, 0]
    top.tick_params(labeltop=True)
    for label in top.get_xticklabels():
        label.set(rotation=40, ha="left", rotation_mode="anchor")
    return figure


def draw_scenes(axes: Axes, own: pd.DataFrame, names: list[str]) -> None:
    """A panel: a row for every scene, with its truth in its name; a line parts our estimators from the others."""
    scenes = list(dict.fromkeys(own["scene"]))
    truth = own.groupby("scene")["truth"].first()
    cells = pd.MultiIndex.from_product((scenes, names))
    bias, draws = (
        own.set_index(["scene", "estimator"])[name].reindex(cells).to_numpy(float).reshape(len(scenes), -1)
        for name in ("bias", "draws")
    )
    there, fails = ~np.isnan(draws), np.isnan(bias)
    colours = SHADES((np.clip(bias, -FAR, FAR) / FAR + 1) / 2)
    colours[~there] = to_rgba(NONE)
    colours[there & fails] = to_rgba(FAILS)
    axes.imshow(colours, aspect="auto")
    for (row, column), value in np.ndenumerate(bias):
        if there[row, column]:
            text = "fails" if fails[row, column] else signed(value, 2) if abs(value) >= 0.005 else "0"
            pale = fails[row, column] or abs(value) > 0.8 * FAR
            axes.text(column, row, text, ha="center", va="center", fontsize=6, color="w" if pale else "k")
    ours = sum(name not in PEERS for name in names)
    axes.axvline(ours - 0.5, color="k", linewidth=1)
    labels = [f"{name.split(': ', 1)[1].replace(', ', ',' + chr(10))} ({truth[name]:.2f})" for name in scenes]
    axes.set_yticks(range(len(scenes)), labels, fontsize=7)
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)
