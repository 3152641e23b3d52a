"""The figures of the known circuit's page, and how ``circuit.py`` writes the page with its tables."""

from pathlib import Path

import numpy as np
import pandas as pd
from circuit_network import AREA, STEP_SECONDS, STEPS_OF_BIN
from circuit_numbers import CONTEXTS, STAGES, Tables, summaries
from circuit_tables import LESIONS, MARKS, SHOWN, page_tables
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measuring import fill_page, write_table

from jaxflow.figures import COLOURS, MARKERS, flow_matrix, new_figure, paper_style

NAMES = [f"{(*CONTEXTS, 'integrating')[area]} {np.sum(AREA[:unit] == area) + 1}" for unit, area in enumerate(AREA)]


def unit_figure(flows: pd.DataFrame, network: int = 0) -> Figure:
    """Flows given the context of one network's units in time."""
    own = flows[(flows["network"] == network) & (flows["recording"] == "rates") & (flows["context"] == "given")]
    table = own.rename(columns={"bin": "layer", "unit": "node"})
    table = table.assign(time=(table["layer"] + 1) * STEPS_OF_BIN * STEP_SECONDS)
    figure = flow_matrix(table, "one network, given the context", [*NAMES, "output"])
    figure.set_size_inches(6.8, 6.8)
    return figure


def gate_figure(summary: pd.DataFrame) -> Figure:
    """Flow per unit against time: a row for motion and colour, a column for every stage, a line for every context."""
    figure, grid = new_figure(6.8, 4.0, 2, 3)
    for (row, column), axes in np.ndenumerate(grid):
        message, stage = CONTEXTS[row], list(STAGES)[column]
        own = summary[(summary["message"] == message) & (summary["stage"] == stage)]
        for look, context in enumerate(CONTEXTS):
            for style, recording in zip(("-", "--"), SHOWN, strict=True):
                line = own[(own["context"] == context) & (own["recording"] == recording)]
                time = (line["bin"] + 1) * STEPS_OF_BIN * STEP_SECONDS
                label = f"{context} context, {recording}"
                axes.plot(time, line["mean"], style, marker=MARKERS[look], color=COLOURS[look], label=label)
                axes.fill_between(time, line["low"], line["high"], color=COLOURS[look], alpha=0.25, linewidth=0)
        axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        place = {"streams": f"{message} stream", "integrating": "integrating stage", "output": "output"}[stage]
        axes.set_title(f"{message} flow, {place}")
    for axes in grid[:, 0]:
        axes.set_ylabel("flow per unit (bits)")
    for axes in grid[1]:
        axes.set_xlabel("end of the bin (s)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def lesion_panel(axes: Axes, summary: pd.DataFrame) -> None:
    """Accuracy after every lesion of a stage in one context, by the recording that units were chosen in."""
    for look, recording in enumerate(SHOWN):
        own = summary[summary["recording"].isin(("–", recording))]
        own = own.set_index(["message", "which"])[["mean", "low", "high"]].reindex(pd.MultiIndex.from_tuples(LESIONS))
        mean, low, high = own.to_numpy().T
        axes.errorbar(
            np.arange(len(own)) + 0.2 * look - 0.1, mean, yerr=[mean - low, high - mean], fmt=MARKERS[look],
            color=COLOURS[look], markerfacecolor="white" if look else COLOURS[look], label=f"chosen in {recording}",
        )  # fmt: skip
    axes.axhline(50, color="0.7", linewidth=0.6, zorder=0)
    labels = ["intact", *(f"{which} {message}" for message, which in LESIONS[1:])]
    axes.set_xticks(range(len(LESIONS)), labels, rotation=45, ha="right")


def lesion_figure(summary: pd.DataFrame) -> Figure:
    """Accuracy left: a row for every lesioned stage, a column for every context."""
    figure, grid = new_figure(6.8, 5.0, 2, 2, shared=True)
    for (row, column), axes in np.ndenumerate(grid):
        stage, context = list(STAGES)[row], CONTEXTS[column]
        own = summary[(summary["kind"] == "mean") & (summary["measure"] == "accuracy")]
        own = own[own["stage"].isin(("none", stage))]
        lesion_panel(axes, own[own["context"] == context])
        axes.set_title(f"{stage} lesioned, {context} context")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy left (%)")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def written(tables: Tables, most: int, docs: Path) -> dict[str, pd.DataFrame]:
    """The summaries as their files have them, rounded, so that the page says what the files say."""
    files = {name: docs / f"circuit_{name}.csv" for name in ("flows", "lesions", "numbers")}
    for name, table in summaries(tables, most).items():
        write_table(table, files[name])
    return {name: pd.read_csv(file) for name, file in files.items()}


def write_page(tables: Tables, most: int, docs: Path) -> None:
    """Write the summaries, the figures and, where there is a page, its tables; print the tables.

    Args:
        tables: a row for every network and more: flows, chosen, lesions, sent.
        most: units that are lesioned at a time.
        docs: the folder.
    """
    of_networks = written(tables, most, docs)
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    with paper_style():
        unit_figure(tables["flows"]).savefig(docs / "figures/circuit_units.png", dpi=120)
        gate_figure(of_networks["flows"]).savefig(docs / "figures/circuit_gate.png", dpi=120)
        lesion_figure(of_networks["lesions"]).savefig(docs / "figures/circuit_lesions.png", dpi=120)
    fill_page(docs / "circuit.md", page_tables(of_networks), *MARKS)
