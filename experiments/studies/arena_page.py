"""The page of the arena: tables, verdicts and the figure, all from what was measured."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from arena_choices import (
    BOUND,
    BUDGETS,
    READINGS,
    ROUNDING,
    Front,
    as_accurate_as,
    fair_accuracy,
    faithfulness,
    front,
    members,
    one_step_excess,
)
from arena_measures import Candidate, rankings
from matplotlib.figure import Figure
from measuring import fill_page, markdown, write_table

from jaxflow.figures import COLOURS, new_figure, paper_style
from jaxflow.metrics import METRICS
from jaxflow.statistics import PERCENTILES, resampled

FLOW = "bias/acc"
MARK = "<!-- from arena: {} -->"
DEBIASED = ("accuracy", "bias", "argmax_accuracy", "parity_gap", "odds_gap")
DECIDED = ("argmax_accuracy", "parity_gap")
CONTROLS = ("acc/bias", "random", "magnitude")
EXACT = ("removal", BOUND)
DRAWN = (FLOW, "gradient", "magnitude", "random", *EXACT)  # fronts


class Scene(NamedTuple):
    """What was measured of a scene under an ablation, see ``arena_measures.Found``."""

    name: str
    ablation: str
    wanted: Sequence[Candidate]
    measures: np.ndarray
    score: np.ndarray


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over networks and its 95 % bootstrap interval."""
    count = len(values)
    drawn = resampled(count, 0) @ values / count
    low, high = np.percentile(drawn, PERCENTILES)
    return float(values.mean()), float(low), float(high)


def fronts_table(scenes: Sequence[Scene]) -> pd.DataFrame:
    """Area under every front, the accuracy that it cost, and what it is short of flow's and of the bound's."""
    rows = []
    for scene in scenes:
        for reading in READINGS:
            found = {m: front(scene.measures, members(scene.wanted, m), reading) for m in METRICS}
            rows += [_front_row(scene, reading, metric, found) for metric in METRICS]
    return pd.DataFrame(rows)


def _front_row(scene: Scene, reading: str, metric: str, found: dict[str, Front]) -> dict[str, object]:
    """One metric in one scene; differences are paired by network."""
    own = found[metric]
    row: dict[str, object] = {"scene": scene.name, "ablation": scene.ablation, "reading": reading, "metric": metric}
    row |= {"networks": len(own.area), "lost": own.lost.mean()}
    for name, values in (
        ("area", own.area),
        ("flow_less", found[FLOW].area - own.area),
        ("to_bound", found[BOUND].area - own.area),
    ):
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), interval(values), strict=True))
    return row


def budgets_table(scenes: Sequence[Scene]) -> pd.DataFrame:
    """The fronts under the zero ablation: bias taken off and accuracy lost at every budget, paired with flow's."""
    rows = []
    for scene, reading in product(scenes, READINGS):
        if scene.ablation != "zero":
            continue
        found = {m: front(scene.measures, members(scene.wanted, m), reading) for m in METRICS}
        for metric, (k, budget) in product(METRICS, enumerate(BUDGETS)):
            removed, flow = found[metric].removed[:, k], found[FLOW].removed[:, k]
            lost = found[metric].lost[:, k].mean()
            row = (scene.name, reading, metric, budget, lost, *interval(removed), *interval(flow - removed))
            rows.append(row)
    columns = ["removed", "removed_low", "removed_high", "flow_more", "flow_more_low", "flow_more_high"]
    return pd.DataFrame(rows, columns=["scene", "reading", "metric", "budget", "lost", *columns])


def methods_table(scenes: Sequence[Scene]) -> pd.DataFrame:
    """Area under the front of every metric by nodes, edges and paths alone."""
    rows = []
    for scene in scenes:
        for metric, method in rankings(tuple(METRICS)):
            own = members(scene.wanted, metric, method)
            for reading in READINGS:
                area, low, high = interval(front(scene.measures, own, reading).area)
                rows.append((scene.name, scene.ablation, reading, metric, method, area, low, high))
    return pd.DataFrame(rows, columns=["scene", "ablation", "reading", "metric", "method", "area", "low", "high"])


def scores_table(scenes: Sequence[Scene]) -> pd.DataFrame:
    """Rank correlations with exact removal on the other half, φ, and faithfulness, by metric."""
    rows = []
    for scene in scenes:
        listed = rankings(tuple(METRICS))
        for metric in METRICS:
            row: dict[str, object] = {"scene": scene.name, "ablation": scene.ablation, "metric": metric}
            for method in ("node", "edge"):
                if (metric, method) in listed:
                    rho = scene.score[:, :, listed.index((metric, method))].mean(axis=1)
                    row |= dict(zip((f"{method}_rho", f"{method}_low", f"{method}_high"), interval(rho), strict=True))
            phi, fair = fair_accuracy(scene.measures, members(scene.wanted, metric))
            row |= dict(zip(("phi", "phi_low", "phi_high"), interval(phi), strict=True)) | {"fair": 100 * fair.mean()}
            if (metric, "edge") in listed:
                _, parts = faithfulness(scene.measures, scene.wanted, metric)
                row |= {"cpr": np.nanmean(parts), "cmd": np.nanmean(np.abs(1 - parts))}
            rows.append(row)
    return pd.DataFrame(rows)


def debiasers_table(others: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Outputs after every debiaser by scene, in per cent, gaps without their sign; means of roles and networks."""
    rows = []
    for (scene, found), (k, name) in product(others.items(), enumerate(DEBIASED)):
        for debiaser, measures in found.items():
            values, before = (np.abs(own[:, :, k]).mean(axis=1) for own in (measures, found["unchanged"]))
            mean, less = interval(values), interval(before - values)
            rows.append((scene, debiaser, name, *mean, *less))
    columns = ["scene", "debiaser", "measure", "mean", "low", "high", "less", "less_low", "less_high"]
    return pd.DataFrame(rows, columns=columns)


def debiasers_markdown(table: pd.DataFrame) -> str:
    """Argmax accuracy and parity gap by debiaser and scene."""
    keys = zip(table["scene"], table["debiaser"], table["measure"], strict=True)
    mean = dict(zip(keys, table["mean"], strict=True))
    names, debiasers = (list(dict.fromkeys(table[column])) for column in ("scene", "debiaser"))
    rows = [
        (
            debiaser,
            *(f"{mean[n, debiaser, 'argmax_accuracy']:.1f} / {mean[n, debiaser, 'parity_gap']:.1f}" for n in names),
        )
        for debiaser in debiasers
    ]
    return markdown(("debiaser", *names), rows)


def beside_table(scenes: Sequence[Scene], others: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Decisions pruned by flow that are as accurate as a debiaser's are on average: whose parity gap is smaller."""
    rows = []
    for scene in scenes:
        if scene.ablation != "zero":
            continue
        found = others[scene.name]
        for debiaser in [name for name in found if name != "unchanged"]:
            accuracy, gap = (np.abs(found[debiaser][..., DEBIASED.index(n)]).mean(axis=1) for n in DECIDED)
            own = as_accurate_as(scene.measures, members(scene.wanted, FLOW), float(accuracy.mean()))
            means = accuracy.mean(), own[0].mean(), gap.mean(), own[1].mean()
            rows.append((scene.name, debiaser, *means, *interval(gap - own[1])))
    columns = ["accuracy", "flow_accuracy", "gap", "flow_gap", "flow_less", "flow_less_low", "flow_less_high"]
    return pd.DataFrame(rows, columns=["scene", "debiaser", *columns])


def beside_markdown(table: pd.DataFrame) -> str:
    """Accuracy and parity gap by flow where it is as accurate; ↑ where its gap is smaller beyond chance, ↓ larger."""
    names, debiasers = (list(dict.fromkeys(table[column])) for column in ("scene", "debiaser"))

    def cell(debiaser: str, name: str) -> str:
        row = table[(table["debiaser"] == debiaser) & (table["scene"] == name)].iloc[0]
        return f"{row['flow_accuracy']:.1f} / {row['flow_gap']:.1f}{_mark(row)}"

    return markdown(("as accurate as", *names), [(d, *(cell(d, name) for name in names)) for d in debiasers])


def _mark(row: pd.Series) -> str:
    """↑ where flow is better beyond chance, ↓ where worse."""
    return " ↑" if row["flow_less_low"] > 0 else " ↓" if row["flow_less_high"] < 0 else ""


def verdicts(fronts: pd.DataFrame, scores: pd.DataFrame, beside: pd.DataFrame, scenes: Sequence[Scene]) -> str:
    """What the tables say, in sentences; flow may lose."""
    zero = fronts[fronts["ablation"] == "zero"]
    asked = f"--seeds {fronts['networks'].min()} --ablations {' '.join(dict.fromkeys(fronts['ablation']))}"
    lines = [f"{fronts['networks'].min()} networks of every scene (`{asked}`), under the zero ablation.", ""]
    count = zero["scene"].nunique()
    lines += [
        f"In how many of {count} scenes flow takes off more than a ranking beyond chance, and in how many less:",
        "",
    ]
    by = {reading: zero[zero["reading"] == reading] for reading in READINGS}
    rows = [
        (f"`{metric}`", *(_won(own[own["metric"] == metric]) for own in by.values()))
        for metric in METRICS
        if metric != FLOW
    ]
    lines += [markdown(("ranking", *READINGS), rows), ""]
    means = scores[scores["ablation"] == "zero"].groupby("metric")[["node_rho", "edge_rho", "cpr", "phi"]].mean()
    flow, chance, gradient = (means.loc[name] for name in (FLOW, "random", "gradient"))
    lines.append(
        f"- Flow's rank correlation with exact removal is {flow['node_rho']:.2f} for single nodes (random"
        f" {chance['node_rho']:.2f}) and {flow['edge_rho']:.2f} for single edges (random {chance['edge_rho']:.2f})."
        f" Of the bias its first edges carry {flow['cpr']:.2f} alone, those of `gradient` {gradient['cpr']:.2f}; φ is"
        f" {flow['phi']:.1f} and {gradient['phi']:.1f} %."
    )
    rivals = [f"`{name}` {_won(own)}" for name, own in beside.groupby("debiaser", sort=False)]
    lines.append(
        f"- Beside debiasers, decisions pruned by flow have at the same accuracy the smaller parity gap beyond chance,"
        f" and the larger, in so many of {beside['scene'].nunique()} scenes: {'; '.join(rivals)}."
    )
    excess = max(one_step_excess(scene.measures, scene.wanted) for scene in scenes)
    said = "holds" if excess <= ROUNDING else "does NOT hold"
    lines.append(
        f"- That no ranking's first removal beats exact removal's where both choose {said}: the largest excess is"
        f" {excess:.3f} points."
    )
    return "\n".join(lines)


def _won(of: pd.DataFrame) -> str:
    """In how many scenes flow does better and worse than a rival, beyond chance."""
    return f"{(of['flow_less_low'] > 0).sum()} and {(of['flow_less_high'] < 0).sum()}"


def fronts_markdown(fronts: pd.DataFrame, reading: str) -> str:
    """Areas by metric and scene under the zero ablation; ↑ where flow takes off more, ↓ where less."""
    own = fronts[(fronts["ablation"] == "zero") & (fronts["reading"] == reading)]
    names = list(dict.fromkeys(own["scene"]))

    def cell(metric: str, name: str) -> str:
        row = own[(own["metric"] == metric) & (own["scene"] == name)].iloc[0]
        return f"{row['area']:.2f} ({row['lost']:.1f}){'' if metric == FLOW else _mark(row)}"

    return markdown(("metric", *names), [(f"`{m}`", *(cell(m, name) for name in names)) for m in METRICS])


def scores_markdown(scores: pd.DataFrame) -> str:
    """Mean over scenes under the zero ablation of what ``scores_table`` has."""
    own = scores[scores["ablation"] == "zero"].drop(columns=["scene", "ablation"]).groupby("metric").mean()
    columns = {"node_rho": "ρ nodes", "edge_rho": "ρ edges", "phi": "φ, %", "fair": "fair, %"}
    columns |= {"cpr": "CPR", "cmd": "CMD"}
    values = own.reindex(index=list(METRICS), columns=list(columns)).to_numpy(float)
    rows = [
        (f"`{metric}`", *("" if np.isnan(value) else f"{value:.2f}" for value in of))
        for metric, of in zip(METRICS, values, strict=True)
    ]
    return markdown(("metric", *columns.values()), rows)


def ablations_markdown(fronts: pd.DataFrame) -> str:
    """Areas of information by metric and ablation, mean over scenes."""
    own = fronts[fronts["reading"] == "information"].pivot_table("area", "metric", "ablation", sort=False)
    return markdown(("metric", *own.columns), [(f"`{m}`", *(f"{v:.2f}" for v in own.loc[m])) for m in METRICS])


def glance_figure(fronts: pd.DataFrame, reading: str = "information") -> Figure:
    """Where flow beats a rival and where not, and how far all are from the bound: one panel a scene."""
    own = fronts[(fronts["ablation"] == "zero") & (fronts["reading"] == reading)]
    names = list(dict.fromkeys(own["scene"]))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, grid = new_figure(1.1 + 1.5 * columns, 2.6 * rows + 0.3, rows, columns)  # no wider than a page shows it
    order = list(METRICS)[::-1]
    for axes, name in zip(grid.ravel(), names, strict=False):
        of = own[own["scene"] == name].set_index("metric").loc[order]
        flow = of.loc[FLOW, "area"]
        axes.axvline(flow, color=COLOURS[0], linewidth=0.8)
        axes.axvline(of.loc[BOUND, "area"], color="0.5", linewidth=0.8, linestyle=":")
        for place, (metric, row) in enumerate(of.iterrows()):
            # an interval of the paired difference, drawn about the area, meets flow's line where nothing is decided
            low, high = flow - row["flow_less_high"], flow - row["flow_less_low"]
            colour = _colour(str(metric))
            axes.plot([low, high], [place, place], color=colour, linewidth=1)
            axes.plot(row["area"], place, "o", color=colour, markersize=3)
        axes.set_title(name)
        axes.set_yticks(range(len(order)), order if axes in grid[:, 0] else [])
    for axes in grid.ravel()[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("points of bias taken off, mean over budgets of 0.5 to 10 points of accuracy", fontsize="medium")
    return figure


def fronts_figure(budgets: pd.DataFrame, reading: str = "information") -> Figure:
    """Bias taken off against accuracy lost, a point a budget: flow, attribution, controls and exact removal."""
    own = budgets[budgets["reading"] == reading]
    names = list(dict.fromkeys(own["scene"]))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, grid = new_figure(1.55 * columns + 1.1, 1.8 * rows, rows, columns)
    for axes, name in zip(grid.ravel(), names, strict=False):
        for look, metric in enumerate(DRAWN):
            of = own[(own["scene"] == name) & (own["metric"] == metric)]
            colour = COLOURS[look % len(COLOURS)]
            axes.fill_between(of["lost"], of["removed_low"], of["removed_high"], color=colour, alpha=0.2, linewidth=0)
            axes.plot(of["lost"], of["removed"], "o-", color=colour, markersize=2.5, label=metric)
        axes.set_title(name)
    for axes in grid.ravel()[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("points of accuracy lost", fontsize="medium")
    figure.supylabel("points of bias taken off", fontsize="medium")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", title="pruned by")
    return figure


def _colour(metric: str) -> str:
    """Flow, exact removal, controls, and attribution."""
    if metric == FLOW:
        return COLOURS[0]
    return "black" if metric in EXACT else "0.55" if metric in CONTROLS else COLOURS[1]


def write_page(docs: Path, scenes: Sequence[Scene], others: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Tables, figure and the parts of the page, from rankings and, by scene, from debiasers' measures ``[S, 2, M]``."""
    fronts, scores, beside = fronts_table(scenes), scores_table(scenes), debiasers_table(others)
    flow_beside, budgets = beside_table(scenes, others), budgets_table(scenes)
    tables = {"fronts": fronts, "budgets": budgets, "methods": methods_table(scenes), "scores": scores}
    tables |= {"debiasers": beside, "beside": flow_beside}
    for name, table in tables.items():
        write_table(table, docs / f"arena_{name}.csv")
    with paper_style():
        (docs / "figures").mkdir(parents=True, exist_ok=True)
        for name, figure in (("arena", glance_figure(fronts)), ("arena_fronts", fronts_figure(budgets))):
            figure.savefig(docs / "figures" / f"{name}.png", dpi=200)
    parts = {reading: fronts_markdown(fronts, reading) for reading in READINGS}
    parts |= {"verdicts": verdicts(fronts, scores, flow_beside, scenes), "scores": scores_markdown(scores)}
    parts |= {"ablations": ablations_markdown(fronts), "debiasers": debiasers_markdown(beside)}
    parts |= {"beside": beside_markdown(flow_beside)}
    fill_page(docs / "arena.md", parts, MARK)
