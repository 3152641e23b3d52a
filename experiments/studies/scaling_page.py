"""The page of the scaling study, and its two figures, from the tables of ``scaling.py``, which imports this file."""

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator
from measuring import machine, markdown

from jaxflow.figures import COLOURS, MARKERS, PAPER_TITLES, new_figure

LABELS = {
    "seeds": "networks\n(adult-small, whole run)",
    "exact": "nodes\n(exact flows, one message)",
    "search": "nodes\n(greedy search, one message)",
    "depth": "hidden layers of 16\n(one epoch, 16 networks)",
    "samples": "samples\n(all subsets of 6 nodes)",
}
BY_WIDTH, BY_DEPTH = ("3x5", "6x5", "10x5"), ("6x1", "6x3", "6x5", "6x10")


def growth(table: pd.DataFrame) -> tuple[float, str]:
    """Exponent of the last three points in the size, or in 2^nodes for what lists subsets."""
    last = table.sort_values("size").tail(3)
    log_seconds = np.log2(last["seconds"].to_numpy(float))
    listed = last["kind"].iloc[0] == "exact"
    sizes = last["size"].to_numpy(float)
    slope = np.polyfit(sizes if listed else np.log2(sizes), log_seconds, 1)[0]
    return float(slope), "$2^{{{:.2f}n}}$" if listed else "$n^{{{:.2f}}}$"


def growth_figure(table: pd.DataFrame):
    """Seconds and peak memory against size, a column for every kind."""
    kinds = [kind for kind in LABELS if kind in set(table["kind"])]
    figure, grid = new_figure(2.6 * len(kinds), 4.4, 2, len(kinds))
    for axes, kind in zip(grid.T, kinds, strict=True):
        rows = table[table["kind"] == kind].sort_values("size")
        exponent, form = growth(rows)
        for k, (column, label) in enumerate((("seconds", form.format(exponent)), ("compilation", "compilation"))):
            if rows[column].notna().any():
                axes[0].plot(rows["size"], rows[column], MARKERS[k] + "-", color=COLOURS[k], label=label)
        axes[1].plot(rows["size"], rows["peak_gb"], MARKERS[2] + "-", color=COLOURS[2])
        axes[0].legend()
        axes[0].set_yscale("log")
        for own in axes:
            own.set_xscale("linear" if kind == "exact" else "log")
            own.set_xticks(rows["size"].iloc[::-2], [f"{size:,}" for size in rows["size"].iloc[::-2]])
            own.xaxis.set_minor_locator(NullLocator())
        axes[1].set_ylim(0)
        axes[1].set_xlabel(LABELS[kind])
    grid[0, 0].set_ylabel("seconds")
    grid[1, 0].set_ylabel("peak of the process (GB)")
    return figure


def mnist_figure(table: pd.DataFrame):
    """R by layer, a panel for every message and for width and depth."""
    figure, grid = new_figure(7.2, 5.0, 2, 2, shared=True)
    for (row, column), axes in np.ndenumerate(grid):
        message = list(PAPER_TITLES)[column]
        for look, name in enumerate((BY_WIDTH, BY_DEPTH)[row]):
            own = table[(table["network"] == name) & (table["message"] == message)]
            r, low, high = (own[field].to_numpy(float) for field in ("r", "low", "high"))
            at = own["layer"] + 0.08 * look
            bars = np.nan_to_num(np.abs([r - low, high - r]))
            axes.errorbar(at, r, yerr=bars, fmt=MARKERS[look] + "-", color=COLOURS[look], label=name, elinewidth=0.6)
        axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        axes.set_title(f"effect on {PAPER_TITLES[message]}, by {('width', 'depth')[row]}")
        axes.set_xlabel("layer")
        axes.set_ylabel("r of edge flow and effect")
        axes.label_outer()
        if column == 1:
            axes.legend(title="hidden layers", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def points(rows: pd.DataFrame) -> str:
    """All points of one kind of growth, as a table."""
    rows = rows.sort_values("size")
    seconds, size = rows["seconds"].to_numpy(float), rows["size"].to_numpy(int)
    last = "ms a network", 1000 * seconds / size
    if rows["compilation"].notna().any():
        last = "compilation, s", rows["compilation"].to_numpy(float)
    names = (LABELS[rows["kind"].iloc[0]].split("\n")[0], "seconds", "peak, GB", last[0])
    columns = zip(size, seconds, rows["peak_gb"], last[1], strict=True)
    return markdown(names, [(f"{n:,}", digits(s), f"{peak:.2f}", digits(own)) for n, s, peak, own in columns])


def digits(value: float) -> str:
    """Two significant digits, no power of ten."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def correlations(table: pd.DataFrame, message: str) -> str:
    """R of every network and layer about one message, with its interval."""
    own = table[table["message"] == message]
    bounds = zip(
        own["network"], own["layer"], *(own[name].to_numpy(float) for name in ("r", "low", "high")), strict=True
    )
    told = {
        (network, layer): f"{r:+.2f} ({low:+.2f}, {high:+.2f})" if np.isfinite(low) else f"{r:+.2f}"
        for network, layer, r, low, high in bounds
    }
    layers = range(own["layer"].min(), own["layer"].max() + 1)
    told = {place: "–" if r == "+nan" else r for place, r in told.items()}
    rows = [(name, *(told.get((name, layer), "") for layer in layers)) for name in own["network"].unique()]
    return markdown(("hidden", *(f"layer {layer}" for layer in layers)), rows)


def growth_text(table: pd.DataFrame) -> str:
    """What was timed, kind by kind."""
    kinds = [kind for kind in LABELS if kind in set(table["kind"])]
    sections = [f"## {LABELS[kind].replace(chr(10), ' ')}\n\n{points(table[table['kind'] == kind])}" for kind in kinds]
    return (
        "# How it scales\n\n"
        f"Made by `python experiments/studies/scaling.py --data-dir DIR` ({machine()}); every point in a process of its"
        " own, all numbers in [scaling.csv](scaling.csv).\n\n"
        "![Seconds and peak memory against networks, nodes, layers and samples](figures/scaling.png)\n\n"
        "*Exponents are fitted to the last three points. Seconds are the fastest of three calls, compilation apart;"
        " whole runs count both.*\n\n" + "\n\n".join(sections) + "\n"
    )


def mnist_text(table: pd.DataFrame) -> str:
    """The correlations of Table 2 on mnist by width and depth."""
    networks = table["networks"].max()
    parts = [
        f"\n## mnist: flow and effect by width and depth\n\n{networks} networks of each kind; `3x5` has five hidden"
        " layers of three. Pearson's r of edge flow and effect of removing the edge, with its 95 % interval (bootstrap"
        " over networks); no interval where hardly any edge of the layer has an effect, – where none has. All numbers"
        " in [scaling_mnist.csv](scaling_mnist.csv).\n\n"
        "![r of edge flow and effect by layer](figures/scaling_mnist.png)\n"
    ]
    parts += [
        f"\nEffect on {name}, by layer of the edge's source:\n\n{correlations(table, message)}\n"
        for message, name in PAPER_TITLES.items()
    ]
    return "".join(parts)
