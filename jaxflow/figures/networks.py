"""One network's flows, and how all of them trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from jaxflow.figures.style import ALPHA, COLOURS, FULL, faint_legend, message_titles, new_figure, plain_text
from jaxflow.outputs import PAPER, Roles


def flow_panel(
    axes: Axes,
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    message: tuple[str, str],
    colour: str,
    names: Sequence[str] = (),
) -> None:
    """One network's flows of a message: edge width by edge flow, node shade by node flow.

    Edges out of a node whose flow is not significant (p_max ≥ 0.05) are grey and dashed; where there are no p-values,
    those of a flow below the noise floor. The widest edge and the darkest node
    are those of the largest flow; but flows that are all near the noise floor, or below it, stay thin and pale: full
    width and shade stand for at least ``FULL`` times the floor.

    Args:
        axes: to draw on.
        nodes: rows of the node-flow table of one network.
        edges: rows of the edge-flow table of the same network.
        message: its name in the tables, and in the title.
        colour: of edges and nodes.
        names: of the nodes of the first layer shown.
    """
    node_rows = nodes[nodes["message"] == message[0]].to_dict("records")
    edge_rows = edges[edges["message"] == message[0]].to_dict("records")
    widths: dict[Any, Any] = dict(nodes.groupby("layer")["node"].max())
    at = {(n["layer"], n["node"]): (n["layer"], widths[n["layer"]] / 2 - n["node"]) for n in node_rows}
    faint = {(n["layer"], n["node"]) for n in node_rows if _is_faint(n)}
    largest = max(1e-12, *(edge["flow"] for edge in edge_rows))
    strongest = max(1e-12, *(node["flow"] for node in node_rows))
    floor = max((node["null95"] for node in node_rows if node["null95"] > 0), default=0)  # NaN where there is none
    full = max(1, FULL * floor / strongest)  # of edges, too: their flows are multiples of nodes'
    looks = {False: (colour, "-", "round"), True: ("0.75", "--", "butt")}
    for below, (shown, style, cap) in looks.items():
        own = [edge for edge in edge_rows if ((edge["layer"], edge["source"]) in faint) is below]
        ends = [(at[edge["layer"], edge["source"]], at[edge["layer"] + 1, edge["target"]]) for edge in own]
        thick = [0.3 + 6 * edge["flow"] / (full * largest) for edge in own]
        edge_lines = LineCollection(ends, linewidths=thick, colors=shown, linestyles=style, capstyle=cap, zorder=1)
        axes.add_collection(edge_lines)
    shade = LinearSegmentedColormap.from_list("flow", ["white", colour])
    places = np.array([at[node["layer"], node["node"]] for node in node_rows])
    colours = shade([0.8 * node["flow"] / (full * strongest) for node in node_rows])
    axes.scatter(*places.T, s=190, color=colours, edgecolors="black", linewidths=0.7, zorder=2)
    first = min(widths)
    for index, name in enumerate(names):
        axes.annotate(plain_text(name), at[first, index], (-12, 0), textcoords="offset points", ha="right", va="center")
    scale = "" if full == 1 else f", full width {full * largest:.2g}"
    above = scale if len(faint) < len(node_rows) else ", none significant"
    _frame_flows(axes, sorted(widths), f"{message[1]} flow (bits)\nwidest edge {largest:.2g}{above}")


def _is_faint(node: dict[Any, Any]) -> bool:
    """Whether a node's flow may have come from nothing; False where nothing is known of that."""
    p_max = node.get("p_max", np.nan)
    return bool(node["flow"] <= node["null95"]) if np.isnan(p_max) else p_max >= ALPHA


def _frame_flows(axes: Axes, layers: Sequence[Any], title: str) -> None:
    """Layer ticks and nothing else."""
    axes.set_xticks(layers, [*(f"layer {layer}" for layer in layers[:-1]), "output"])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(0.12)
    axes.set_title(title)


def flows(
    node_flows: pd.DataFrame,
    edge_flows: pd.DataFrame,
    network: int,
    title: str,
    names: Sequence[str] = (),
    roles: Roles = PAPER,
) -> Figure:
    """A network's accuracy and bias flows side by side (as Venkatesh et al. 2021, Fig. 8)."""
    layers = node_flows["layer"].nunique()
    titles = message_titles(roles)
    height = max(2.8, 0.28 * (node_flows["node"].max() + 1))
    figure, grid = new_figure((1.3 + 0.6 * layers) * len(titles), height, 1, len(titles))
    nodes = node_flows[node_flows["network"] == network]
    edges = edge_flows[edge_flows["network"] == network]
    for number, (axes, message) in enumerate(zip(grid[0], titles.items(), strict=True)):
        flow_panel(axes, nodes, edges, message, COLOURS[number % len(COLOURS)], names)
    faint_legend(figure)
    figure.suptitle(f"{title}, network {network}")
    return figure


def training(table: pd.DataFrame, title: str) -> Figure:
    """Loss of every epoch, median and 5th to 95th percentile over networks, and the learning rates."""
    figure, grid = new_figure(6.8, 2.5, 1, 2)
    labels = {"loss": "cross-entropy (nats)", "learning_rate": "learning rate"}
    for axes, (column, label) in zip(grid[0], labels.items(), strict=True):
        low, median, high = (table.groupby("epoch")[column].quantile(q) for q in (0.05, 0.5, 0.95))
        axes.fill_between(low.index, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="5–95 % of networks")
        axes.plot(median.index, median, color=COLOURS[0], label="median")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
    grid[0, 1].set_yscale("log")
    grid[0, 0].legend()
    figure.suptitle(title)
    return figure


def typical_network(networks: pd.DataFrame, bias: str = "output_bias") -> int:
    """The network whose output bias is nearest the median."""
    distance = (networks[bias] - networks[bias].median()).abs()
    return int(networks["network"][distance.idxmin()])
