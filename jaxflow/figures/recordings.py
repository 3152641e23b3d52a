"""Flows in a recording: over time, as a matrix of unit and time, and as a network where weights are known."""

from collections.abc import Iterator, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxflow.figures.networks import flow_panel
from jaxflow.figures.style import ALPHA, COLOURS, MANY_COLOURS, new_figure, plain_text

FAINT = "0.65"  # of nodes that are nowhere significant
MOST_LAYERS = 10  # of a network drawing
MOST_LABELS = 25  # of nodes beside a matrix


def all_figures(
    flows: pd.DataFrame, edges: pd.DataFrame, title: str, names: Sequence[str]
) -> Iterator[tuple[str, Figure]]:
    """Every figure of a recording with its name, before its layout.

    Args:
        flows: the node-flow table, with ``time`` and ``p_max``.
        edges: the edge-flow table; empty without weights.
        title: of the figures.
        names: of the nodes; empty where layers differ in width.
    """
    yield "flow_over_time", flow_over_time(flows, title, names)
    yield "flow_matrix", flow_matrix(flows, title, names)
    if len(edges):
        yield "flows", flow_network(flows, edges, title, names)


def flow_over_time(table: pd.DataFrame, title: str, names: Sequence[str] = ()) -> Figure:
    """A panel for every message: a line for every node, dots where p_max < 0.05, grey below the noise floor.

    Of many nodes only those that are significant somewhere have a colour.

    Args:
        table: the node-flow table of a recording.
        title: of the figure.
        names: of the nodes.
    """
    messages = list(dict.fromkeys(table["message"]))
    figure, grid = new_figure(6.8, 2.2 * len(messages) + 0.6, len(messages), 1, shared=True)
    colours, named = _node_colours(table)
    for axes, message in zip(grid[:, 0], messages, strict=True):
        _time_panel(axes, table[table["message"] == message], colours)
        axes.set_title(f"flow of {plain_text(message)}")
        axes.set_ylabel("flow (bits)")
    grid[-1, 0].set_xlabel("time")
    handles = [Line2D([], [], color=colours[node], label=_label(node, names)) for node in named]
    handles += [Line2D([], [], color=FAINT, label="other nodes")] if FAINT in colours else []
    handles += [Line2D([], [], color="0.4", marker="o", linestyle="none", label=f"p_max < {ALPHA}")]
    handles += [Line2D([], [], color="0.9", linewidth=5, label="below null95")]
    figure.legend(handles=handles, loc="outside right center", title="node" if named else None)
    if not named:
        scale = Normalize(0, len(colours) - 1)
        figure.colorbar(ScalarMappable(scale, MANY_COLOURS), ax=list(grid[:, 0]), label="node", pad=0.01, aspect=40)
    figure.suptitle(title)
    return figure


def _node_colours(table: pd.DataFrame) -> tuple[list[str], list[int]]:
    """A colour for every node, and the nodes that a legend names; none where colours stand for numbers."""
    count = int(table["node"].max()) + 1
    nodes = list(range(count))
    strong = sorted(set(table.loc[table["p_max"] < ALPHA, "node"].tolist()))
    if count <= len(COLOURS):
        return list(COLOURS[:count]), nodes
    if 0 < len(strong) <= len(COLOURS):
        return [COLOURS[strong.index(node)] if node in strong else FAINT for node in nodes], strong
    return [to_hex(own) for own in mpl.colormaps[MANY_COLOURS](np.linspace(0, 1, count))], []


def _time_panel(axes: Axes, rows: pd.DataFrame, colours: Sequence[str]) -> None:
    """One message's lines; significant flows in front."""
    floor = rows.groupby("time")["null95"].first()
    axes.fill_between(floor.index, 0, floor, color="0.9", linewidth=0, zorder=0)
    for node, own in rows.groupby("node"):
        colour = colours[int(str(node))]
        strong = own[own["p_max"] < ALPHA]
        marker = "o" if len(own) == 1 else None
        depth = 1 if colour == FAINT else 2
        look = {"color": colour, "linewidth": 0.5 * depth, "zorder": depth}
        axes.plot(own["time"], own["flow"], marker=marker, markersize=1.5, alpha=0.75, **look)
        axes.plot(strong["time"], strong["flow"], "o", color=colour, zorder=3)
    axes.set_ylim(bottom=0)


def flow_matrix(table: pd.DataFrame, title: str, names: Sequence[str] = ()) -> Figure:
    """A panel for every message: the flow of every node (rows) at every time, a dot where p_max < 0.05.

    Args:
        table: the node-flow table of a recording.
        title: of the figure.
        names: of the nodes.
    """
    messages = list(dict.fromkeys(table["message"]))
    nodes = int(table["node"].max()) + 1
    height = min(max(1.4, 0.16 * nodes + 0.7), 8)
    figure, grid = new_figure(6.8, height * len(messages) + 0.5, len(messages), 1, shared=True)
    for axes, message in zip(grid[:, 0], messages, strict=True):
        rows = table[table["message"] == message]
        flow = rows.pivot_table(index="node", columns="layer", values="flow").reindex(range(nodes)).to_numpy()
        image = axes.imshow(flow, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest")
        strong = rows[rows["p_max"] < ALPHA]
        first = rows["layer"].min()
        axes.plot(strong["layer"] - first, strong["node"], "o", color=COLOURS[1], markersize=_dot(flow.shape))
        figure.colorbar(image, ax=axes, label="flow (bits)", pad=0.01)
        axes.set_title(f"flow of {plain_text(message)}, dots: p_max < {ALPHA}")
        axes.spines[:].set_visible(False)
        _label_matrix(axes, rows, nodes, names)
    grid[-1, 0].set_xlabel("time")
    figure.suptitle(title)
    return figure


def _dot(shape: tuple[int, ...]) -> float:
    """Size of a dot that leaves most of its cell to be seen."""
    return float(np.clip(min(120 / shape[1], 60 / shape[0]), 0.8, 3))


def _label_matrix(axes: Axes, rows: pd.DataFrame, nodes: int, names: Sequence[str]) -> None:
    """Times below, names of nodes at the left, as many as there is room for."""
    times = rows.drop_duplicates("layer")["time"].to_numpy()
    shown = np.unique(np.linspace(0, len(times) - 1, min(len(times), 9)).astype(int))
    axes.set_xticks(shown, [f"{times[place]:.4g}" for place in shown])
    every = -(-nodes // MOST_LABELS)
    places = range(0, nodes, every)
    axes.set_yticks(list(places), [_label(node, names) for node in places], fontsize=6)
    axes.set_ylabel("node")


def flow_network(table: pd.DataFrame, edges: pd.DataFrame, title: str, names: Sequence[str] = ()) -> Figure:
    """Nodes and edges of a few layers, those around a message's largest edge flow, a panel for every message.

    Args:
        table: the node-flow table of a recording.
        edges: its edge-flow table; edges of weight 0 are none.
        title: of the figure.
        names: of the nodes.
    """
    messages = list(dict.fromkeys(table["message"]))
    layers = min(table["layer"].nunique(), MOST_LAYERS)
    height = max(2.4, 0.22 * (table["node"].max() + 1) + 0.6)
    figure, grid = new_figure(1.8 + 0.6 * layers, height * len(messages) + 0.5, len(messages), 1)
    for place, (axes, message) in enumerate(zip(grid[:, 0], messages, strict=True)):
        own, out = (of[of["message"] == message] for of in (table, edges))
        first, last = _busiest(own, out)
        nodes = own[own["layer"].between(first, last)]
        inside = out[out["layer"].between(first, last - 1)]
        inside = inside[(inside["weight"] != 0) | (inside["weight"] == 0).all()]
        flow_panel(axes, nodes, inside, (message, plain_text(message)), COLOURS[place % len(COLOURS)], names)
        axes.set_xticks(range(first, last + 1), [f"{time:.4g}" for time in nodes.drop_duplicates("layer")["time"]])
    grid[-1, 0].set_xlabel("time")
    figure.suptitle(title)
    return figure


def _busiest(table: pd.DataFrame, edges: pd.DataFrame) -> tuple[int, int]:
    """First and last layer of the drawing: all, or those about the largest edge flow."""
    first, last = int(table["layer"].min()), int(table["layer"].max())
    if last - first < MOST_LAYERS:
        return first, last
    middle = int(edges["layer"].to_numpy()[int(np.argmax(edges["flow"].to_numpy()))])
    start = min(max(first, middle - MOST_LAYERS // 2), last - MOST_LAYERS + 1)
    return start, start + MOST_LAYERS - 1


def _label(node: int, names: Sequence[str]) -> str:
    """A node's name, or its number."""
    return plain_text(names[node]) if node < len(names) else str(node)
