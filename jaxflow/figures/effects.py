"""Edge flow against the effect of removing the edge."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from jaxflow.figures.style import COLOURS, MANY_COLOURS, MANY_POINTS, MARKERS, message_titles, new_figure
from jaxflow.outputs import PAPER, Roles


def dependence_panel(axes: Axes, table: pd.DataFrame, message: str, name: str) -> None:
    """Edge flow against effect of removing the edge: a point per edge and network, a fit and its R² per layer.

    More layers than there are colours are coloured by number, without a legend.
    """
    colours = layer_colours(table)
    for look, (layer, rows) in enumerate(table[table["message"] == message].groupby("layer")):
        flow, effect = rows["flow"].to_numpy(), rows["effect"].to_numpy()
        colour = colours[look]
        marker = MARKERS[look % len(MARKERS)]
        axes.scatter(flow, effect, s=5, color=colour, marker=marker, alpha=0.35, linewidths=0, rasterized=True)
        label = f"layer {layer}"
        if np.ptp(flow) > 0 and np.ptp(effect) > 0:
            slope, intercept = np.polyfit(flow, effect, 1)
            ends = np.array([flow.min(), flow.max()])
            # darker than the points, which it leaves visible: no halo
            axes.plot(ends, intercept + slope * ends, color=_darker(colour), linewidth=1.0)
            label += f", R² = {np.corrcoef(flow, effect)[0, 1] ** 2:.2f}"
        axes.plot([], [], color=_darker(colour), linewidth=1.0, marker=marker, markerfacecolor=colour,
                  markeredgecolor=colour, label=label)  # fmt: skip
    axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    axes.set_xlabel(f"weighted {name} flow (bits)")
    axes.set_ylabel(f"change of {name} (points)")
    if len(colours) <= len(COLOURS):
        axes.legend(title="edges leaving", loc="best" if len(table) < MANY_POINTS else "upper right")


def dependence(table: pd.DataFrame, title: str, roles: Roles = PAPER) -> Figure:
    """Does the flow on an edge tell what its removal does? Accuracy and bias side by side."""
    titles = message_titles(roles)
    figure, grid = new_figure(3.4 * len(titles), 3.0, 1, len(titles))
    for axes, (message, name) in zip(grid[0], titles.items(), strict=True):
        dependence_panel(axes, table, message, name)
    if table["layer"].nunique() > len(COLOURS):
        layers = Normalize(table["layer"].min(), table["layer"].max())
        figure.colorbar(ScalarMappable(layers, MANY_COLOURS), ax=list(grid[0]), label="edges leaving layer")
    figure.suptitle(title)
    return figure


def _darker(colour: Any) -> tuple[float, float, float]:
    """The same hue, for a line upon points."""
    red, green, blue = to_rgb(colour)
    return 0.6 * red, 0.6 * green, 0.6 * blue


def layer_colours(table: pd.DataFrame) -> list[Any]:
    """A colour for every layer of a table."""
    count = table["layer"].nunique()
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(mpl.colormaps[MANY_COLOURS](np.linspace(0, 1, count)))
