"""The tables and figures of the known circuit's page, from the tables of ``circuit.py``, which imports this file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from circuit_network import AREA, STEP_SECONDS, STEPS_OF_BIN
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measuring import markdown, write_table
from scipy.stats import t

from jaxflow.figures import COLOURS, MARKERS, flow_matrix, new_figure, paper_style

Tables = Mapping[str, pd.DataFrame]
CONTEXTS = ("motion", "colour")
STAGES = {  # numbers of the units, the output's after all others
    "streams": np.flatnonzero(AREA < 2),
    "integrating": np.flatnonzero(AREA == 2),
    "output": np.array([len(AREA)]),
}
NAMES = [f"{(*CONTEXTS, 'integrating')[area]} {np.sum(AREA[:unit] == area) + 1}" for unit, area in enumerate(AREA)]
OF_LESIONS = ("recording", "kind", "stage", "message", "which", "context")
SHOWN = ("rates", "half the spikes")  # in figures and longer tables
PREDICTORS = {"flow": "flow F", "edge": "edge flow Σ \\|w\\|·F", "weight": "weight Σ \\|w\\|", "spread": "spread"}
LESIONS = [("none", "none")] + [
    (message, which) for message in (*CONTEXTS, "choice", "irrelevant") for which in ("largest", "smallest")
]


def over_networks(table: pd.DataFrame, names: Sequence[str], value: str) -> pd.DataFrame:
    """A value averaged within every network, then over networks, with its 95 % interval (Student's t)."""
    names = list(names)
    of_networks = table.groupby([*names, "network"], sort=False)[value].mean().groupby(names, sort=False)
    found = of_networks.agg(["mean", "std", "count"]).reset_index()
    reach = found["std"] / np.sqrt(found["count"]) * t.ppf(0.975, found["count"] - 1)
    ends = {"low": found["mean"] - reach, "high": found["mean"] + reach, "networks": found["count"]}
    return found.drop(columns=["std", "count"]).assign(**ends)


def concerned(flows: pd.DataFrame) -> pd.DataFrame:
    """Flows without those of motion and colour in the other's stream."""
    outside = np.zeros(len(flows), bool)
    for area, name in enumerate(CONTEXTS):
        other = np.flatnonzero(1 - area == AREA)
        outside |= (flows["message"] == name).to_numpy() & flows["unit"].isin(other).to_numpy()
    return flows[~outside]


def last_bin(flows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the last bin."""
    return flows[flows["bin"] == flows["bin"].max()]


def told(summary: pd.DataFrame, form: str, **where: object) -> str:
    """The mean and interval in the row of a summary that this is true of; a dash if there is none."""
    chosen = summary[np.logical_and.reduce([summary[name] == value for name, value in where.items()])]
    if len(chosen) != 1:
        return "–"
    mean, low, high = (f"{chosen[name].iloc[0]:{form}}" for name in ("mean", "low", "high"))
    return f"{mean} ({low}, {high})"


def significant(flows: pd.DataFrame) -> pd.Series:
    """Per cent of networks in which some unit of a stage has a significant flow in the last bin."""
    names = ["recording", "stage", "message", "context"]
    found = concerned(last_bin(flows)).assign(found=lambda table: table["p_max"] < 0.05)
    return 100 * found.groupby([*names, "network"])["found"].any().groupby(names).mean()


def gate_table(tables: Tables, summary: pd.DataFrame) -> str:
    """Flows of motion and colour in the last bin by stage and context, and what edges send on by weight."""
    shares, last = significant(tables["flows"]), last_bin(summary)
    sent = over_networks(tables["sent"], ["stage", "message", "context"], "sent")
    rows = []
    for message, stage, context in ((m, s, c) for m in CONTEXTS for s in STAGES for c in CONTEXTS):
        where = {"stage": stage, "message": message, "context": context}
        share = f"{shares['rates', stage, message, context]:.0f} %"
        flow = told(last, ".4f", recording="rates", **where)
        rows.append((message, stage, context, flow, share, told(sent, ".2f", **where)))
    names = ("flow of", "stage", "context", "bits per unit", "significant in", "Σ \\|w\\|·F to the next stage")
    return markdown(names, rows)


def stream_table(summary: pd.DataFrame) -> str:
    """Accuracy, and choices that stay as they were, after lesions of the units of the largest flows in the streams."""
    own = summary[
        (summary["kind"] == "mean") & summary["recording"].isin(("–", "rates")) & (summary["which"] != "smallest")
    ]
    columns = [(measure, context) for measure in ("accuracy", "same") for context in CONTEXTS]
    rows = []
    for message, stage in (("none", "none"), *((message, "streams") for message in CONTEXTS)):
        where = {"stage": stage, "message": message}
        which = own[own["which"].isin(("none", "largest"))]
        cells = [told(which, ".1f", measure=measure, context=context, **where) for measure, context in columns]
        rows.append((message if message == "none" else f"largest flow of {message}", *cells))
    words = {"accuracy": "accuracy", "same": "same choices"}
    return markdown(("lesion", *(f"{words[measure]}, {context} context" for measure, context in columns)), rows)


def lesion_table(summary: pd.DataFrame, kind: str) -> str:
    """Accuracy that is left after every lesion of integrating units by rates, by context."""
    own = summary[(summary["kind"] == kind) & summary["recording"].isin(("–", "rates"))]
    own = own[own["stage"].isin(("none", "integrating")) & (own["measure"] == "accuracy")]
    rows = []
    for message, which in LESIONS:
        cells = [told(own, ".1f", message=message, which=which, context=context) for context in CONTEXTS]
        rows.append(("none" if which == "none" else f"{which} flow of {message}", *cells))
    return markdown(("lesion", *(f"accuracy, {context} context" for context in CONTEXTS)), rows)


def effects(lesions: pd.DataFrame) -> pd.DataFrame:
    """Points of accuracy that the lesion of one unit costs, beside each message that it is compared with.

    Motion and colour: in the context that asks for them. Choice and irrelevant: mean of both contexts.
    """
    own = lesions[lesions["kind"] == "mean"]
    intact = own[own["stage"] == "none"].set_index(["network", "context"])["accuracy"]
    alone = own[own["stage"] == "one"].set_index(["network", "context"])
    lost = (intact.reindex(alone.index) - alone["accuracy"]).rename("lost")
    table = alone.assign(lost=lost).reset_index().rename(columns={"which": "unit"})
    table["unit"] = table["unit"].astype(int)
    both = table.groupby(["network", "unit"])["lost"].mean().reset_index()
    parts = [table.assign(message=table["context"]), both.assign(message="choice"), both.assign(message="irrelevant")]
    return pd.concat(parts)[["network", "unit", "message", "lost"]]


def correlations(tables: Tables) -> pd.DataFrame:
    """Pearson's r over a network's integrating units of the effect and flow, edge flow, weight and spread."""
    own = tables["chosen"][tables["chosen"]["stage"] == "integrating"]
    own = own.assign(edge=own["weight"] * own["flow"])
    joined = own.merge(effects(tables["lesions"]), on=["network", "unit", "message"])
    groups = joined.groupby(["recording", "message", "network"], sort=False)[[*PREDICTORS, "lost"]]
    r = groups.apply(lambda table: table[list(PREDICTORS)].corrwith(table["lost"]))
    return r.reset_index().melt(["recording", "message", "network"], var_name="predictor", value_name="r")


def predictor_table(tables: Tables) -> str:
    """What goes with the effect of a unit's lesion, by recording and message."""
    r = over_networks(correlations(tables), ["recording", "message", "predictor"], "r")
    rows = []
    for recording, message in ((recording, message) for recording in SHOWN for message in r["message"].unique()):
        where = {"recording": recording, "message": message}
        rows.append((recording, message, *(told(r, "+.2f", predictor=own, **where) for own in PREDICTORS)))
    return markdown(("recording", "message", *PREDICTORS.values()), rows)


def contrasts(lesions: pd.DataFrame) -> pd.DataFrame:
    """Points of accuracy by which lesions of large flows cost more than as many of small ones, by network.

    Motion and colour: in the context that asks for it, and in the other. Choice and irrelevant: mean of both.
    """
    names = ["recording", "kind", "stage", "message", "context", "network"]
    wide = lesions.pivot_table(index=names, columns="which", values="accuracy")
    both = {"smallest": wide["smallest"] - wide["largest"], "without": wide["without"] - wide["as many"]}
    table = pd.DataFrame(both).reset_index()
    own = np.where(table["message"] == table["context"], "own", "other")
    return table.assign(context=np.where(table["message"].isin(CONTEXTS), own, "both"))


def recordings_table(tables: Tables, summary: pd.DataFrame) -> str:
    """A row for every finding, a column for every recording."""
    several = tables["lesions"][tables["lesions"]["which"].isin(("largest", "smallest", "as many", "without"))]
    costs = over_networks(contrasts(several), ["recording", "kind", "stage", "message", "context"], "smallest")
    last, shares = last_bin(summary), significant(tables["flows"])
    recordings, rows = list(dict.fromkeys(last["recording"])), []
    for stage, context in ((stage, context) for stage in tuple(STAGES)[:2] for context in CONTEXTS):
        where = {"stage": stage, "message": "colour", "context": context}
        cells = [told(last, ".3f", recording=own, **where) for own in recordings]
        rows.append((f"colour flow per unit, {stage}, {context} context, bits", *cells))
        cells = [f"{shares[own, stage, 'colour', context]:.0f} %" for own in recordings]
        rows.append(("significant in", *cells))
    places = [(message, context) for message in CONTEXTS for context in ("own", "other")]
    for message, context in [*places, ("choice", "both"), ("irrelevant", "both")]:
        where = {"kind": "mean", "stage": "integrating", "message": message, "context": context}
        name = f"{context} context" + "s" * (context == "both")
        cells = [told(costs, "+.1f", recording=own, **where) for own in recordings]
        rows.append((f"cost of lesions by {message} flow, {name}, points", *cells))
    return markdown(("", *recordings), rows)


def without_table(tables: Tables) -> str:
    """Accuracy that is left without the integrating units that have no flow, and without as many of the largest."""
    own = tables["lesions"].query("kind == 'mean' and stage == 'integrating' and which in ('without', 'as many')")
    asked = own[(own["message"] == own["context"]) | ~own["message"].isin(CONTEXTS)]
    left = over_networks(asked, ["recording", "message", "which"], "accuracy")
    units = tables["chosen"].query("stage == 'integrating'").groupby(["recording", "message"])["without"].mean()
    rows = []
    for recording, message in ((recording, message) for recording in SHOWN for message in own["message"].unique()):
        where = {"recording": recording, "message": message}
        cells = [told(left, ".1f", which=which, **where) for which in ("without", "as many")]
        networks = left[(left["recording"] == recording) & (left["message"] == message)]["networks"].max()
        rows.append((recording, message, f"{100 * units[recording, message]:.1f} %", networks, *cells))
    names = (
        "recording",
        "flow of",
        "units without flow",
        "networks with some",
        "lesion of these",
        "as many of the largest flow",
    )
    return markdown(names, rows)


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


def filled(page: str, name: str, table: str) -> str:
    """The page with what stands between a table's two markers replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    inside = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
    return inside.sub(lambda _: f"{begin}{table}\n{end}", page)


def write_page(tables: Tables, docs: Path) -> None:
    """Write the summaries, the figures and, where there is a page, its tables; print the tables."""
    within = tables["flows"][tables["flows"]["context"] != "given"]
    flows = over_networks(concerned(within), ["recording", "stage", "message", "context", "bin"], "honest")
    several = tables["lesions"][tables["lesions"]["stage"] != "one"]
    measures = ("accuracy", "same")
    lesions = pd.concat([over_networks(several, OF_LESIONS, name).assign(measure=name) for name in measures])
    write_table(flows, docs / "circuit_flows.csv")
    write_table(lesions, docs / "circuit_lesions.csv")
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    with paper_style():
        unit_figure(tables["flows"]).savefig(docs / "figures/circuit_units.png", dpi=120)
        gate_figure(flows).savefig(docs / "figures/circuit_gate.png", dpi=120)
        lesion_figure(lesions).savefig(docs / "figures/circuit_lesions.png", dpi=120)
    page = docs / "circuit.md"
    text = page.read_text() if page.exists() else ""
    shown = {"gate": gate_table(tables, flows), "streams": stream_table(lesions)}
    shown |= {"lesions": lesion_table(lesions, "mean")}
    shown |= {"silent lesions": lesion_table(lesions, "silent"), "units without flow": without_table(tables)}
    shown |= {"predictors": predictor_table(tables), "recordings": recordings_table(tables, flows)}
    for name, table in shown.items():
        print(f"\n{name}\n\n{table}")
        text = filled(text, name, table)
    if text:
        page.write_text(text)
