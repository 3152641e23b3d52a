"""Figures from tables. Every function takes or makes Axes or a Figure and returns it; none saves.

Colours are Okabe and Ito's, safe for colour-blind readers; markers and line styles tell the same in grey.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxflow.datasets import Dataset
from jaxflow.errors import printable
from jaxflow.interventions import METHODS, METRICS
from jaxflow.running.config import Config
from jaxflow.running.results import Results

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLES = {"bias/acc": "-", "acc/bias": "--", "random": ":", "magnitude": "-."}
METRIC_LOOK = {"bias/acc": 0, "acc/bias": 1, "random": 6, "magnitude": 2}
MANY_COLOURS = "viridis"
LONGEST_LABEL, LONGEST_TITLE = 24, 60  # characters of a name
MANY_POINTS = 20_000  # beyond which to look for the best place of a legend takes seconds
MESSAGE_NAMES = {"y": "accuracy", "z": "bias"}
PAPER: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "svg.hashsalt": "jaxflow",
}


@contextmanager
def paper_style() -> Iterator[None]:
    """The look of all figures, for the length of a block."""
    with mpl.rc_context(PAPER):
        yield


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, shared: bool = False
) -> tuple[Figure, np.ndarray]:
    """A figure that no global state knows of, in inches, and its grid of Axes, all on the same scale if ``shared``."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)


def tradeoff_curve(axes: Axes, table: pd.DataFrame, look: int, label: str, style: str = "-") -> None:
    """Mean bias and accuracy over networks at every factor, with one standard error both ways.

    Args:
        axes: to draw on.
        table: rows of the tradeoff table of one strategy.
        look: number of colour and marker.
        label: for the legend.
        style: of the line.
    """
    colour, marker = COLOURS[look % len(COLOURS)], MARKERS[look % len(MARKERS)]
    by_factor = table.groupby("factor", sort=True)[["bias", "accuracy"]]
    mean, sem = by_factor.mean()[::-1], by_factor.sem()[::-1].fillna(0)
    axes.errorbar(
        mean["bias"], mean["accuracy"], xerr=sem["bias"], yerr=sem["accuracy"],
        color=colour, marker=marker, linestyle=style, label=label, elinewidth=0.5,
    )  # fmt: skip
    if mean.index.min() < 0:
        removed = mean[mean.index == 0]
        hollow = {"markersize": 6, "markerfacecolor": "white", "color": colour, "linestyle": "none"}
        axes.plot(removed["bias"], removed["accuracy"], "D", label="factor 0" if look == 0 else None, **hollow)


def mark_unpruned(axes: Axes, networks: pd.DataFrame) -> None:
    """A star at the mean bias and accuracy before pruning."""
    axes.plot(
        networks["output_bias"].mean(), networks["output_accuracy"].mean(),
        marker="*", markersize=11, color="#F0E442", markeredgecolor="black", markeredgewidth=0.6,
        linestyle="none", label="unpruned", zorder=5,
    )  # fmt: skip


def _label_tradeoff(axes: Axes) -> None:
    axes.set_xlabel("information bias (%)")
    axes.set_ylabel("information accuracy (%)")


def tradeoff(table: pd.DataFrame, networks: pd.DataFrame, title: str) -> Figure:
    """Metrics against each other: for every method its middle level, both flow ratios and the random control."""
    methods = [method for method in METHODS if method in set(table["method"])]
    figure, grid = new_figure(2.2 * len(methods) + 1, 2.6, 1, len(methods), shared=True)
    for axes, method in zip(grid[0], methods, strict=True):
        rows = table[table["method"] == method]
        level = middle_level(rows["level"])
        for metric in METRICS:
            chosen = rows[(rows["metric"] == metric) & (rows["level"] == level)]
            if len(chosen):
                tradeoff_curve(axes, chosen, METRIC_LOOK[metric], metric, STYLES[metric])
        mark_unpruned(axes, networks)
        axes.set_title(f"top {counted(level, method)}")
        _label_tradeoff(axes)
        axes.label_outer()
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", title="pruned by")
    figure.suptitle(title)
    return figure


def tradeoff_levels(table: pd.DataFrame, networks: pd.DataFrame, title: str) -> Figure:
    """All strategies: a row of panels for every method, a column for every metric, a curve for every level."""
    methods = [method for method in METHODS if method in set(table["method"])]
    metrics = [metric for metric in METRICS if metric in set(table["metric"])]
    size = 2.1 * len(metrics) + 1, 1.9 * len(methods) + 0.4
    figure, grid = new_figure(*size, len(methods), len(metrics), shared=True)
    for (row, column), axes in np.ndenumerate(grid):
        method, metric = methods[row], metrics[column]
        chosen = table[(table["method"] == method) & (table["metric"] == metric)]
        for look, level in enumerate(sorted(set(chosen["level"]))):
            tradeoff_curve(axes, chosen[chosen["level"] == level], look, counted(level, method))
        mark_unpruned(axes, networks)
        axes.set_title(f"random {method}s" if metric == "random" else f"{method}s by {metric}")
        _label_tradeoff(axes)
        axes.label_outer()
        if column == len(metrics) - 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="pruned")
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


def plain_text(text: str, longest: int = LONGEST_LABEL) -> str:
    r"""A user's name as matplotlib draws it letter by letter: no mathematics, one line, cut where it is too long.

    ``$`` would begin mathematics, and ``$\frac{$`` a failure after all the computing.
    """
    line = printable(text)
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return line.replace("$", r"\$")


def middle_level(levels: pd.Series) -> int:
    """The middle one of the levels there are, the lower of two."""
    distinct = sorted(set(levels))
    return int(distinct[(len(distinct) - 1) // 2])


def counted(level: int, method: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{level} {method}{'' if level == 1 else 's'}"


def dependence_panel(axes: Axes, table: pd.DataFrame, message: str) -> None:
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
            axes.plot(ends, intercept + slope * ends, color="white", linewidth=2.6)
            axes.plot(ends, intercept + slope * ends, color=colour)
            label += f", R² = {np.corrcoef(flow, effect)[0, 1] ** 2:.2f}"
        axes.plot([], [], color=colour, marker=marker, label=label)
    axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    axes.set_xlabel(f"weighted {MESSAGE_NAMES[message]} flow (bits)")
    axes.set_ylabel(f"change of {MESSAGE_NAMES[message]} (points)")
    if len(colours) <= len(COLOURS):
        axes.legend(title="edges leaving", loc="best" if len(table) < MANY_POINTS else "upper right")


def dependence(table: pd.DataFrame, title: str) -> Figure:
    """Does the flow on an edge tell what its removal does? Accuracy and bias side by side."""
    figure, grid = new_figure(6.8, 3.0, 1, 2)
    for axes, message in zip(grid[0], MESSAGE_NAMES, strict=True):
        dependence_panel(axes, table, message)
    if table["layer"].nunique() > len(COLOURS):
        layers = Normalize(table["layer"].min(), table["layer"].max())
        figure.colorbar(ScalarMappable(layers, MANY_COLOURS), ax=list(grid[0]), label="edges leaving layer")
    figure.suptitle(title)
    return figure


def layer_colours(table: pd.DataFrame) -> list[Any]:
    """A colour for every layer of a table."""
    count = table["layer"].nunique()
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(mpl.colormaps[MANY_COLOURS](np.linspace(0, 1, count)))


def flow_panel(
    axes: Axes, nodes: pd.DataFrame, edges: pd.DataFrame, message: str, colour: str, names: Sequence[str] = ()
) -> None:
    """One network's flows of a message: edge width by edge flow, node shade by node flow.

    Edges out of a node whose flow lies below the noise floor are grey and dotted.

    Args:
        axes: to draw on.
        nodes: rows of the node-flow table of one network.
        edges: rows of the edge-flow table of the same network.
        message: ``y`` or ``z``.
        colour: of edges and nodes.
        names: of the nodes of the first layer shown.
    """
    node_rows = nodes[nodes["message"] == message].to_dict("records")
    edge_rows = edges[edges["message"] == message].to_dict("records")
    widths: dict[Any, Any] = dict(nodes.groupby("layer")["node"].max())
    at = {(n["layer"], n["node"]): (n["layer"], widths[n["layer"]] / 2 - n["node"]) for n in node_rows}
    faint = {(n["layer"], n["node"]) for n in node_rows if n["flow"] <= n["null95"]}
    largest = max(1e-12, *(edge["flow"] for edge in edge_rows))
    looks = {False: (colour, "-", "round"), True: ("0.75", ":", "butt")}
    for below, (shown, style, cap) in looks.items():
        own = [edge for edge in edge_rows if ((edge["layer"], edge["source"]) in faint) is below]
        ends = [(at[edge["layer"], edge["source"]], at[edge["layer"] + 1, edge["target"]]) for edge in own]
        thick = [0.3 + 6 * edge["flow"] / largest for edge in own]
        edge_lines = LineCollection(ends, linewidths=thick, colors=shown, linestyles=style, capstyle=cap, zorder=1)
        axes.add_collection(edge_lines)
    shade = LinearSegmentedColormap.from_list("flow", ["white", colour])
    strongest = max(1e-12, *(node["flow"] for node in node_rows))
    places = np.array([at[node["layer"], node["node"]] for node in node_rows])
    colours = shade([0.8 * node["flow"] / strongest for node in node_rows])
    axes.scatter(*places.T, s=190, color=colours, edgecolors="black", linewidths=0.7, zorder=2)
    first = min(widths)
    for index, name in enumerate(names):
        axes.annotate(plain_text(name), at[first, index], (-12, 0), textcoords="offset points", ha="right", va="center")
    _frame_flows(axes, sorted(widths), f"{MESSAGE_NAMES[message]} flow, widest edge {largest:.2g} bits")


def _frame_flows(axes: Axes, layers: Sequence[Any], title: str) -> None:
    """Layer ticks and nothing else."""
    axes.set_xticks(layers, [*(f"layer {layer}" for layer in layers[:-1]), "output"])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(0.12)
    axes.set_title(title)


def flows(
    node_flows: pd.DataFrame, edge_flows: pd.DataFrame, network: int, title: str, names: Sequence[str] = ()
) -> Figure:
    """A network's accuracy and bias flows side by side (as Venkatesh et al. 2021, Fig. 8)."""
    layers = node_flows["layer"].nunique()
    figure, grid = new_figure(2.6 + 1.2 * layers, max(2.8, 0.28 * (node_flows["node"].max() + 1)), 1, 2)
    nodes = node_flows[node_flows["network"] == network]
    edges = edge_flows[edge_flows["network"] == network]
    for axes, message, colour in zip(grid[0], MESSAGE_NAMES, COLOURS[:2], strict=True):
        flow_panel(axes, nodes, edges, message, colour, names)
    handles = [Line2D([], [], color="0.75", linestyle=":")]
    figure.legend(handles, ["node flow below its noise floor"], loc="outside lower center")
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


def typical_network(networks: pd.DataFrame) -> int:
    """The network whose output bias is nearest the median."""
    distance = (networks["output_bias"] - networks["output_bias"].median()).abs()
    return int(networks["network"][distance.idxmin()])


def laid_out(figure: Figure) -> Figure:
    """Compute the layout once and keep it: matplotlib would do it again for every file, and draw twice for it."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    return figure


def draw_all(results: Results, config: Config, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """Every figure of a run with its name."""
    with paper_style():
        for name, figure in _all_figures(results, config, dataset):
            yield name, laid_out(figure)


def _all_figures(results: Results, config: Config, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """``draw_all`` before the layout."""
    tables = {name: results.table(name) for name in ("networks", "node_flows", "edge_flows", "training")}
    networks = tables["networks"]
    title = plain_text(config.name, LONGEST_TITLE)
    title += f", {config.estimator} estimate, {len(networks)} network{'s' if len(networks) > 1 else ''}"
    names = dataset.features if config.first_layer == 0 else ()
    yield "training", training(tables["training"], title)
    yield "flows", flows(tables["node_flows"], tables["edge_flows"], typical_network(networks), title, names)
    yield "dependence", dependence(results.table("dependence"), title)
    tradeoffs = results.table("tradeoff")
    if len(tradeoffs):
        yield "tradeoff", tradeoff(tradeoffs, networks, title)
        yield "tradeoff_levels", tradeoff_levels(tradeoffs, networks, title)
