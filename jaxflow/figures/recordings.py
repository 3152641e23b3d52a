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
from matplotlib.patches import Patch

from jaxflow.figures.networks import flow_panel
from jaxflow.figures.style import (
    ALPHA,
    COLOURS,
    FULL,
    LONGEST_TITLE,
    MANY_COLOURS,
    faint_legend,
    new_figure,
    plain_text,
)
from jaxflow.figures.ticks import ROOM, bins_of_ticks, named_places, round_times, short

FAINT = "0.65"  # of nodes that are nowhere significant
BAND = "0.9"  # below the noise floor
ABSENT = "0.8"  # where a layer has no such node
MOST_LAYERS = 10  # of a network drawing
MOST_LABELS = 60  # of nodes beside a matrix
MOST_BARS, MOST_NUMBERS = 40, 15  # that are labelled, with names upright and with numbers
LETTER = 0.06  # inches that a letter of a node's name takes


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

    Of many nodes only those that are significant somewhere have a colour. Every message has its own scale; where
    none of its flows is significant it reaches to ``FULL`` times the noise floor at least, so that noise stays low. A
    single layer has no course in time: there every node has a bar.

    Args:
        table: the node-flow table of a recording.
        title: of the figure.
        names: of the nodes.
    """
    if len(_times(table)) == 1:
        return _flow_of_nodes(table, title, names)
    messages = list(dict.fromkeys(table["message"]))
    figure, grid = new_figure(6.8, 2.2 * len(messages) + 0.6, len(messages), 1, shared="col")
    colours, named = _node_colours(table)
    for axes, message in zip(grid[:, 0], messages, strict=True):
        _time_panel(axes, table[table["message"] == message], colours)
        _frame_panel(axes, table[table["message"] == message], message)
    grid[-1, 0].set_xlabel("time")
    grid[-1, 0].set_xticks(*round_times(_times(table)))
    handles = [Line2D([], [], color=colours[node], label=_label(node, names)) for node in named]
    handles += [Line2D([], [], color=FAINT, label="other nodes")] if FAINT in colours else []
    handles += [Line2D([], [], color="0.4", marker="o", linestyle="none", label=f"p_max < {ALPHA}")]
    figure.legend(handles=[*handles, _band_handle()], loc="outside right center", title="node" if named else None)
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
    axes.fill_between(floor.index, 0, floor, color=BAND, linewidth=0, zorder=0)
    for node, own in rows.groupby("node"):
        colour = colours[int(str(node))]
        strong = own[own["p_max"] < ALPHA]
        marker = "o" if len(own) == 1 else None
        depth = 1 if colour == FAINT else 2
        look = {"color": colour, "linewidth": 0.5 * depth, "zorder": depth}
        axes.plot(own["time"], own["flow"], marker=marker, markersize=1.5, alpha=0.75, **look)
        axes.plot(strong["time"], strong["flow"], "o", color=colour, zorder=3)


def _frame_panel(axes: Axes, rows: pd.DataFrame, message: str) -> None:
    """Title and scale of one message's flows."""
    axes.set_title(f"flow of {plain_text(message, LONGEST_TITLE)}")
    axes.set_ylabel("flow (bits)")
    axes.set_ylim(0, _full(rows, 1.05))


def _full(rows: pd.DataFrame, above: float = 1) -> float:
    """Where a scale of flows ends: ``above`` times the largest; where none is significant, ``FULL`` noise floors."""
    noise = "null95" in rows and (rows["p_max"] >= ALPHA).all()
    floor = FULL * rows["null95"].max() if noise else 0.0
    return float(np.nanmax([above * rows["flow"].max(), floor, 0.0])) or 1.0


def _band_handle() -> Line2D:
    """What the legend says of the grey band."""
    return Line2D([], [], color=BAND, linewidth=5, label="below null95")


def _times(table: pd.DataFrame) -> np.ndarray:
    """The time of every layer."""
    return table.drop_duplicates("layer").sort_values("layer")["time"].to_numpy(dtype=float)


def _flow_of_nodes(table: pd.DataFrame, title: str, names: Sequence[str]) -> Figure:
    """A panel for every message of a single layer: a bar for every node, coloured where p_max < 0.05."""
    messages = list(dict.fromkeys(table["message"]))
    places, labels = _node_ticks(table, names, MOST_BARS if len(names) else MOST_NUMBERS)
    upright = sum(map(len, labels)) > ROOM
    below = LETTER * max(map(len, labels)) if upright else 0.2
    figure, grid = new_figure(6.8, 2.2 * len(messages) + 0.4 + below, len(messages), 1, shared="col")
    for axes, message in zip(grid[:, 0], messages, strict=True):
        rows = table[table["message"] == message]
        strong = rows["p_max"] < ALPHA
        axes.axhspan(0, rows["null95"].fillna(0).max(), color=BAND, linewidth=0, zorder=0)
        axes.bar(rows["node"], rows["flow"], color=np.where(strong, COLOURS[0], FAINT))
        _frame_panel(axes, rows, message)
    grid[-1, 0].set_xticks(places, labels, rotation=90 if upright else 0, fontsize=6 if upright else None)
    grid[-1, 0].set_xlabel("node")
    looks = {COLOURS[0]: f"p_max < {ALPHA}", FAINT: "other nodes"}
    handles = [Line2D([], [], color=colour, linewidth=5, label=label) for colour, label in looks.items()]
    figure.legend(handles=[*handles, _band_handle()], loc="outside right center")
    figure.suptitle(title)
    return figure


def _node_ticks(table: pd.DataFrame, names: Sequence[str], most: int) -> tuple[list[int], list[str]]:
    """Which nodes are labelled, and their names, else their numbers."""
    return named_places([_label(node, names) for node in range(int(table["node"].max()) + 1)], most)


def flow_matrix(table: pd.DataFrame, title: str, names: Sequence[str] = ()) -> Figure:
    """A panel for every message: the flow of every node (rows) at every time, a dot where p_max < 0.05.

    One scale serves all messages, so that noise is pale beside signal. Where no flow is significant it reaches to
    ``FULL`` times the noise floor at least. Where a narrower layer has no such node the matrix is grey.

    Args:
        table: the node-flow table of a recording.
        title: of the figure.
        names: of the nodes.
    """
    messages = list(dict.fromkeys(table["message"]))
    nodes = int(table["node"].max()) + 1
    height = min(max(1.4, 0.16 * nodes + 0.7), 8)
    figure, grid = new_figure(6.8, height * len(messages) + 0.5, len(messages), 1, shared=True)
    colours = mpl.colormaps["Blues"].with_extremes(bad=ABSENT)
    scale, absent = Normalize(0, _full(table)), False
    for axes, message in zip(grid[:, 0], messages, strict=True):
        rows = table[table["message"] == message]
        flow = rows.pivot_table(index="node", columns="layer", values="flow").reindex(range(nodes)).to_numpy()
        absent |= bool(np.isnan(flow).any())
        axes.imshow(flow, aspect="auto", cmap=colours, norm=scale, interpolation="nearest")
        strong = rows[rows["p_max"] < ALPHA]
        first = rows["layer"].min()
        axes.plot(strong["layer"] - first, strong["node"], "o", color=COLOURS[1], markersize=_dot(flow.shape))
        axes.set_title(f"flow of {plain_text(message, LONGEST_TITLE)}, dots: p_max < {ALPHA}")
        axes.spines[:].set(visible=True, color=ABSENT)
        axes.set_yticks(*_node_ticks(table, names, MOST_LABELS), fontsize=6)
        axes.set_ylabel("node")
    grid[-1, 0].set_xticks(*bins_of_ticks(_times(table)))
    grid[-1, 0].set_xlabel("time")
    bar = min(2.4 / (height * len(messages)), 0.9)  # of the panels' height
    look = {"pad": 0.01, "shrink": bar, "aspect": 20, "anchor": (0.0, 1.0)}
    figure.colorbar(ScalarMappable(scale, colours), ax=list(grid[:, 0]), label="flow (bits)", **look)
    if absent:
        figure.legend(handles=[Patch(color=ABSENT, label="no such node")], loc="outside lower right")
    figure.suptitle(title)
    return figure


def _dot(shape: tuple[int, ...]) -> float:
    """Size of a dot that leaves most of its cell to be seen."""
    return float(np.clip(min(120 / shape[1], 150 / shape[0]), 0.8, 3))


def flow_network(table: pd.DataFrame, edges: pd.DataFrame, title: str, names: Sequence[str] = ()) -> Figure:
    """Nodes and edges of a few layers, those around a message's largest edge flow, a panel for every message.

    Args:
        table: the node-flow table of a recording.
        edges: its edge-flow table; edges of weight 0 are none.
        title: of the figure.
        names: of the nodes.
    """
    messages = list(dict.fromkeys(table["message"]))
    layers = table["layer"].nunique()
    beside = LETTER * max((len(plain_text(name)) for name in names), default=0)
    height = max(2.4, 0.22 * (table["node"].max() + 1) + 0.6)
    width = max(3.6, 1.2 + 0.6 * min(layers, MOST_LAYERS)) + beside
    figure, grid = new_figure(width, height * len(messages) + 0.8, len(messages), 1)
    for place, (axes, message) in enumerate(zip(grid[:, 0], messages, strict=True)):
        own, out = (of[of["message"] == message] for of in (table, edges))
        first, last = _busiest(own, out)
        nodes = own[own["layer"].between(first, last)]
        inside = out[out["layer"].between(first, last - 1)]
        inside = inside[(inside["weight"] != 0) | (inside["weight"] == 0).all()]
        about = (message, plain_text(message, LONGEST_TITLE))
        flow_panel(axes, nodes, inside, about, COLOURS[place % len(COLOURS)], names)
        _label_layers(axes, nodes, layers)
    faint_legend(figure)
    figure.suptitle(title)
    return figure


def _label_layers(axes: Axes, nodes: pd.DataFrame, layers: int) -> None:
    """Times below the layers that are drawn, and how many are not."""
    labels = short(_times(nodes))
    numbers = sorted(nodes["layer"].unique())
    every = 1 + max(map(len, labels)) // 9
    axes.set_xticks(numbers[::every], labels[::every])
    left_out = f": {len(numbers)} of {layers} bins, those about the largest edge flow" if len(numbers) < layers else ""
    axes.set_xlabel(f"time{left_out}")
    axes.margins(y=min(0.12, 1 / (nodes["node"].max() + 1)))


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
