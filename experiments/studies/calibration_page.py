"""Figures of the calibration study and the numbers of its page, from the tables of ``calibration.py``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from measuring import markdown
from numpy.typing import ArrayLike

from jaxflow.figures import COLOURS, MARKERS, new_figure

ALPHAS = (0.01, 0.02, 0.05, *(k / 10 for k in range(1, 10)))
LEVEL = 0.05
CLASSES = {  # truth over its standard error: above, up to
    "0": (-1.0, 0.0),
    "0 to 1": (0.0, 1.0),
    "1 to 2": (1.0, 2.0),
    "2 to 4": (2.0, 4.0),
    "4 to 8": (4.0, 8.0),
    "above 8": (8.0, np.inf),
    "above 1": (1.0, np.inf),
}
WANTED = {"0": (0.93, 1.0), "above 1": (0.93, 0.98)}
MANY = 200  # flows of which a coverage is drawn
MARK = "<!-- from calibration_{}.csv -->"  # before a part of the page
METHODS = ("p_max", "null95", "frites maxstat")


def binomial_error(share: ArrayLike, count: ArrayLike) -> np.ndarray:
    """Standard error of a share."""
    return np.sqrt(np.asarray(share) * (1 - np.asarray(share)) / np.asarray(count))


def null_figure(table: pd.DataFrame) -> Figure:
    """Share of null layers whose smallest p_max is at most α, less α; and at α = 0.05 cell by cell."""
    figure, (grid,) = new_figure(7.2, 2.9, 1, 2)
    kinds = list(dict.fromkeys(table["kind"]))
    alpha = np.linspace(0, 1, 201)
    reach = 2 * binomial_error(alpha, int(table["layers"].min()))
    grid[0].fill_between(alpha, -reach, reach, color="0.85", linewidth=0)
    grid[0].axhline(0, color="0.5", linewidth=0.6)
    for (kind, _, _), own in table.groupby(["kind", "nodes", "rows"], sort=False):
        at, excess = [0, *own["alpha"], 1], [0, *(own["share"] - own["alpha"]), 0]
        grid[0].plot(at, excess, color=COLOURS[kinds.index(kind)], linewidth=0.6, alpha=0.8)
    grid[0].set_xlabel("α")
    grid[0].set_ylabel("share of null layers with\nsmallest p_max ≤ α, less α")
    grid[0].set_ylim(-0.05, 0.05)
    own = table[np.isclose(table["alpha"], LEVEL)]
    for place, (kind, cells) in enumerate(own.groupby("kind", sort=False)):
        at = np.arange(len(cells)) + (place - 1) * 0.22
        error = 2 * binomial_error(cells["share"], cells["layers"])
        grid[1].errorbar(
            at, cells["share"], yerr=error, fmt=MARKERS[place], color=COLOURS[place], label=kind, elinewidth=0.6
        )
    cells = own[own["kind"] == kinds[0]]
    names = [f"{nodes}\n{rows:,}" for nodes, rows in zip(cells["nodes"], cells["rows"], strict=True)]
    grid[1].set_xticks(range(len(names)), names, fontsize=6)
    grid[1].axhline(LEVEL, color="0.5", linewidth=0.6, zorder=0)
    grid[1].set_ylim(0)
    grid[1].set_xlabel("nodes, rows")
    grid[1].set_ylabel(f"family-wise error at α = {LEVEL}")
    grid[1].legend(title="columns", loc="lower left", ncols=3)
    return figure


def coverage_figure(table: pd.DataFrame) -> Figure:
    """Coverage against the rows for truths of 0 and above their standard error, and against the truth."""
    figure, (grid,) = new_figure(7.2, 2.8, 1, 3)
    titles = {"0": "the truth is 0", "above 1": "the truth exceeds\nits standard error"}
    for axes, (name, title) in zip(grid, titles.items(), strict=False):
        axes.axhspan(*WANTED[name], color="0.9", linewidth=0, zorder=0)
        for look, (nodes, own) in enumerate(table[table["truth"] == name].groupby("nodes")):
            at = own["rows"] * 1.07 ** (look - 1)
            error = 2 * own["error"]
            style = {"fmt": MARKERS[look] + "-", "color": COLOURS[look], "elinewidth": 0.6}
            axes.errorbar(at, own["coverage"], yerr=error, label=f"{nodes} nodes", **style)
        rows = sorted(set(table["rows"]))
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{count:,}" for count in rows])
        axes.minorticks_off()
        axes.set_title(title)
        axes.set_xlabel("rows")
    parts = [name for name in CLASSES if name != "above 1"]
    grid[2].axhspan(*WANTED["above 1"], color="0.9", linewidth=0, zorder=0)
    for look, (rows, own) in enumerate(table[table["truth"].isin(parts)].groupby("rows")):
        mean = own.assign(kept=own["coverage"] * own["flows"]).groupby("truth")[["kept", "flows"]].sum()
        coverage = (mean["kept"] / mean["flows"])[mean["flows"] >= MANY].reindex(parts)
        grid[2].plot(parts, coverage, MARKERS[look] + "-", color=COLOURS[look + 3], label=f"{rows:,} rows")
    grid[2].set_title("by the truth over\nits standard error")
    grid[2].tick_params("x", rotation=40)
    for axes in grid:
        axes.set_ylim(0.9, 1.002)
    grid[0].set_ylabel("coverage of 95 % intervals")
    grid[0].legend(loc="lower right")
    grid[2].legend(loc="lower right")
    return figure


def power_figure(table: pd.DataFrame) -> Figure:
    """Share of layers in which the planted node is found, against the effect, and what is found without any."""
    scenes = list(dict.fromkeys(table["scene"]))
    figure, (grid,) = new_figure(7.2, 2.6, 1, len(scenes) + 1)
    width = 0.8 / len(scenes)
    for axes, scene in zip(grid, scenes, strict=False):
        for look, method in enumerate(METHODS):
            own = table[(table["scene"] == scene) & (table["method"] == method)]
            if len(own):
                error = 2 * binomial_error(own["planted_node"], own["layers"])
                style = {"fmt": MARKERS[look] + "-", "color": COLOURS[look], "elinewidth": 0.6}
                axes.errorbar(own["effect"], own["planted_node"], yerr=error, label=method, **style)
        axes.set_title(scene)
        axes.set_xlabel("difference of means\n(standard deviations)")
        axes.set_ylim(-0.02, 1.02)
    grid[0].set_ylabel("planted node found")
    grid[0].legend()
    null = table[table["effect"] == 0]
    found = [method for method in METHODS if method in set(null["method"])]
    for place, scene in enumerate(scenes):
        own = null[null["scene"] == scene].set_index("method").loc[found]
        error = 2 * binomial_error(own["any_node"], own["layers"])
        at = np.arange(len(found)) + (place - (len(scenes) - 1) / 2) * width
        colour = ("0.75", "0.45", "0.2")[place]
        grid[-1].bar(at, own["any_node"], width, yerr=error, label=scene, color=colour, error_kw={"elinewidth": 0.6})
    grid[-1].axhline(LEVEL, color="k", linewidth=0.6)
    grid[-1].set_xticks(range(len(found)), [name.replace(" ", "\n") for name in found])
    grid[-1].set_title("no effect: any node found")
    grid[-1].set_ylim(0, 1.4 * null["any_node"].max())
    grid[-1].legend(loc="upper left")
    return figure


def told(share: Any, error: Any) -> str:
    """A share with two standard errors."""
    return f"{share:.3f} ± {2 * error:.3f}"


def null_text(table: pd.DataFrame) -> str:
    """Family-wise error cell by cell, and of all cells together."""
    own = table[np.isclose(table["alpha"], LEVEL)].copy()
    own["error"] = binomial_error(own["share"], own["layers"])
    rows = sorted(set(own["rows"]))
    lines = []
    for (nodes, kind), cells in own.groupby(["nodes", "kind"], sort=False):
        by_rows = {row.rows: told(row.share, row.error) for row in cells.itertuples()}
        lines.append((nodes, kind, *(by_rows.get(count, "") for count in rows)))
    limit = LEVEL + 2 * binomial_error(LEVEL, own["layers"])
    total, mean = own["layers"].sum(), np.average(own["share"], weights=own["layers"])
    most = own.sort_values("share").iloc[-1]
    place = f"{most['kind']}, {most['nodes']} nodes, {most['rows']:,} rows"
    summary = (
        f"{own['layers'].iloc[0]:,} null layers in each of {len(own)} cells. Of all {total:,} layers together"
        f" {100 * mean:.2f} ± {200 * binomial_error(mean, total):.2f} % have a node with p_max ≤ {LEVEL}. The largest"
        f" cell is {most['share']:.4f} ({place}); {(own['share'] > limit).sum()} of {len(own)} cells lie more than two"
        f" standard errors above {LEVEL}, that is above {limit[0]:.4f}."
    )
    return summary + "\n\n" + markdown(("nodes", "columns", *(f"N = {count:,}" for count in rows)), lines)


def coverage_text(table: pd.DataFrame) -> str:
    """Coverage cell by cell, in the classes of the truth."""
    names = [name for name in CLASSES if name != "above 1"]
    lines = []
    for (nodes, rows), own in table.groupby(["nodes", "rows"], sort=False):
        by_name = own.set_index("truth")
        cells = [told(by_name.loc[name, "coverage"], by_name.loc[name, "error"]) for name in ("0", "above 1")]
        parts = [f"{by_name.loc[name, 'coverage']:.3f}" if by_name.loc[name, "flows"] else "" for name in names[1:]]
        lines.append((nodes, f"{rows:,}", *cells, *parts))
    head = ("nodes", "N", "truth 0", "truth above its error", *names[1:])
    return f"{table['layers'].iloc[0]:,} layers in every line.\n\n" + markdown(head, lines)


def choice_text(table: pd.DataFrame) -> str:
    """Coverage by the size of the truth, for subsets chosen on the other half or on other rows."""
    lines = []
    for chosen_on, own in table.groupby("chosen_on", sort=False):
        by_name = {row.truth: told(row.coverage, row.error) for row in own.itertuples()}
        lines.append((chosen_on, *(by_name[name] for name in CLASSES)))
    summary = f"{table['layers'].iloc[0]:,} layers of twelve nodes and 1,000 rows in either line."
    return summary + "\n\n" + markdown(("chosen on", *CLASSES), lines)


def beyond_text(table: pd.DataFrame) -> str:
    """Coverage scene by scene, and how often p_max finds a node that tells nothing beside one that does."""
    rows = sorted(set(table["rows"]))
    lines, found = [], []
    for scene, own in table.groupby("scene", sort=False):
        by_rows = own.set_index("rows")
        cells = [told(by_rows.loc[count, "coverage"], by_rows.loc[count, "error"]) for count in rows]
        lines.append((scene, f"{own['truth'].iloc[0]:.3g}", *cells))
        if own["p_max"].notna().any():
            cells = [told(by_rows.loc[count, "p_max"], by_rows.loc[count, "p_max_error"]) for count in rows]
            found.append((scene, *cells))
    names = [f"N = {count:,}" for count in rows]
    return (
        f"{table['layers'].max():,} layers in every cell, {table['layers'].min():,} by quadratic.\n\n"
        + markdown(("scene", "truth (bits)", *names), lines)
        + f"\n\nShare of the layers in which the last node, which tells nothing, has p_max ≤ {LEVEL}:\n\n"
        + markdown(("scene", *names), found)
    )


def power_text(table: pd.DataFrame) -> str:
    """Share of layers in which the planted node is found; with no effect, in which any is."""
    methods = [method for method in METHODS if method in set(table["method"])]
    lines = []
    for (scene, effect), own in table.groupby(["scene", "effect"], sort=False):
        by_name = own.set_index("method")
        column = "planted_node" if effect else "any_node"
        shares = [f"{by_name.loc[method, column]:.3f}" if method in by_name.index else "" for method in methods]
        lines.append((scene, f"{effect:g}" if effect else "0: any node", *shares))
    return f"{table['layers'].iloc[0]:,} layers in every line.\n\n" + markdown(("nodes", "effect", *methods), lines)


def page_parts(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """What stands between the page's marks, by the names of the tables that have rows."""
    texts = {"null": null_text, "coverage": coverage_text, "choice": choice_text}
    texts |= {"beyond": beyond_text, "power": power_text}
    return {name: texts[name](table) for name, table in tables.items() if len(table)}
