"""The page of the reproduction, made from its tables alone: what it says can be checked against them.

The prose is the template ``page.md`` beside this file; here are the numbers and tables that it holds.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from jaxflow.reproduction.drawings import FIGURES
from jaxflow.reproduction.paper import COST
from jaxflow.reproduction.runs import CLOSED, LINEAR, PAPERS, PROGRAM, RATE, ROWS
from jaxflow.reproduction.verdicts import AFFORDED, NAMES

BEYOND_ROUNDING = 0.05  # printed correlations whose sign is compared
KINDS = (PAPERS, CLOSED, ROWS, RATE, PROGRAM)
SHARED = {"shared_edges_large": "adult-large", "shared_edges_mnist": "mnist"}  # table → experiment


def page(tables: Mapping[str, pd.DataFrame]) -> str:
    """Markdown from the tables of ``docs/reproduction``.

    Args:
        tables: the page's tables by the names of their files; those that only a full reproduction makes
            (``inversion``, ``shared_edges_large``, ``shared_edges_mnist``, ``alpha``) may be left out.

    Returns:
        The text of ``docs/reproduction.md``.
    """
    verdicts, numbers, runs = tables["verdicts"], tables["numbers"], tables["runs"]
    missing = runs.loc[runs["networks"] == 0, "run"].tolist()
    drawn = [(name, run) for name, (run, _) in FIGURES.items() if run not in missing]
    text = filled(
        "page",
        missing=filled("missing", runs=", ".join(missing)) if missing else "",
        counts=_counts(verdicts),
        signs=_signs(numbers),
        differences=_differences(verdicts, numbers),
        numbers=_numbers(numbers),
        claims=_claims(verdicts),
        flow_or_weight=_flow_or_weight(tables["predictors"], tables["beyond"]),
        predictors=_predictors(tables["predictors"]),
        beyond=_beyond(tables["beyond"]),
        decisions=_decisions(tables["decisions"]),
        inversion=_inversion(tables["inversion"]) if "inversion" in tables else "",
        **{name: _shared_edges(name, tables[name]) if name in tables else "" for name in SHARED},
        alpha=_alpha(tables["alpha"]) if "alpha" in tables else "",
        cost=_cost(runs[(runs["networks"] > 0) & runs["kind"].isin([PAPERS, CLOSED, LINEAR])]),
        figures="\n\n".join(filled("figure", name=name, run=run) for name, run in drawn),
    )
    # where a name stood for nothing, the empty lines around it become one
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


@cache
def _pieces() -> dict[str, Template]:
    """The pieces of ``page.md`` by name."""
    text = (resources.files("jaxflow.reproduction") / "page.md").read_text(encoding="utf-8")
    # split returns what stands before the first name, then names and texts in turn
    parts = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)[1:]
    return {name: Template(piece.strip("\n")) for name, piece in zip(parts[::2], parts[1::2], strict=True)}


def filled(piece: str, **values: object) -> str:
    """A piece of ``page.md`` with a value in the place of every ``$name``.

    Args:
        piece: the name of the piece.
        **values: one for every name that the piece holds.

    Returns:
        The piece's Markdown.

    Raises:
        KeyError: no such piece, or a name without a value.

    Example:
        >>> filled("figure", name="fig3", run="synthetic-kernel-svm")
        '![fig3: synthetic-kernel-svm](reproduction/fig3.png)'
    """
    return _pieces()[piece].substitute(values)


def short(tables: Mapping[str, pd.DataFrame]) -> str:
    """What the README says of it: the count of claims, Table 2 side by side, hours then and minutes now."""
    runs = tables["runs"]
    parts = [_counts(tables["verdicts"]), _table_2(tables["numbers"])]
    return "\n\n".join([*parts, _cost(runs[(runs["networks"] > 0) & (runs["kind"] == PAPERS)])])


def _table_2(numbers: pd.DataFrame) -> str:
    """The paper's correlations and ours, a row per experiment and flow; an edge is of the layer that it leaves."""
    own = numbers[(numbers["kind"] == PAPERS) & numbers["claim"].str.startswith("r of")]
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for row in own.itertuples():
        claim = str(row.claim).split()  # r of bias flow and effect, layer 0
        cells = rows.setdefault((str(row.experiment), claim[2]), {})
        cells[int(claim[-1])] = f"{_number(row.paper)} / {_number(row.ours)}"
    layers = sorted({layer for cells in rows.values() for layer in cells})
    names = ["experiment", "flow", *(f"layer {layer}" for layer in layers)]
    return markdown(names, [(*key, *(cells.get(layer, "") for layer in layers)) for key, cells in rows.items()])


def _counts(verdicts: pd.DataFrame) -> str:
    """How many claims agree."""
    counts = verdicts["verdict"].value_counts()
    verdict = {name: counts.get(name, 0) for name in ("agree", "differ", "undecided")}
    return filled("counts", claims=len(verdicts), **verdict)


def _signs(numbers: pd.DataFrame) -> str:
    """Whether Table 2's signs come out, mnist's clipped accuracy aside."""
    table_2 = numbers[(numbers["kind"] == PAPERS) & numbers["claim"].str.startswith("r of")]
    clipped = (table_2["experiment"] == "mnist") & table_2["claim"].str.contains("accuracy")
    clear = table_2[~clipped & (table_2["paper"].abs() > BEYOND_ROUNDING)]
    same = np.sign(clear["paper"]) == np.sign(clear["ours"])
    values: dict[str, object] = {
        "numbers": len(table_2),
        "agree": (table_2["verdict"] == "agree").sum(),
        "clear": len(clear),
        "rounding": BEYOND_ROUNDING,
        "same": same.sum(),
    }
    if same.all():
        return filled("signs", **values)
    exceptions = "; ".join(_other_sign(row, numbers) for row in clear[~same].itertuples())
    return filled("signs_except", **values, exceptions=exceptions)


def _other_sign(row: Any, numbers: pd.DataFrame) -> str:
    """A number whose sign differs, and the runs in which it does not."""
    others = numbers[(numbers["experiment"] == row.experiment) & (numbers["claim"] == row.claim)]
    same = others.loc[np.sign(others["ours"]) == np.sign(row.paper), ["kind", "ours"]].to_numpy()
    return filled(
        "other_sign",
        experiment=row.experiment,
        claim=row.claim,
        paper=_number(row.paper),
        ours=_number(row.ours),
        elsewhere=", ".join(f"{_number(ours)} with {kind}" for kind, ours in same) or "nowhere",
    )


def _differences(verdicts: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """The numbers that differ, a line for each; empty if there are none."""
    differing = verdicts[(verdicts["verdict"] == "differ") & verdicts["paper"].notna()]
    lines = [_difference(row, numbers[numbers["claim"] == row.claim]) for row in differing.itertuples()]
    return filled("differences", lines="\n".join(lines)) if lines else ""


def _difference(row: Any, same_claim: pd.DataFrame) -> str:
    """The changes under which a number that differs does agree, or that hardly move it."""
    experiment = same_claim.loc[same_claim["run"] == row.run, "experiment"].iloc[0]
    others = same_claim[
        (same_claim["experiment"] == experiment)
        & (same_claim["run"] != row.run)
        & same_claim["ours"].notna()
        & (same_claim["kind"] != LINEAR)
    ]
    values = {"run": row.run, "claim": row.claim, "paper": _number(row.paper), "ours": _number(row.ours)}
    agreeing = others[others["verdict"] == "agree"]
    if len(agreeing):
        cells = [f"{_number(other.ours)} {_interval(other)} ({other.kind})" for other in agreeing.itertuples()]
        return filled("agrees_elsewhere", **values, values=", ".join(cells))
    low, high = _number(others["ours"].min()), _number(others["ours"].max())
    return filled("differs_everywhere", **values, value=low if low == high else f"between {low} and {high}")


def _numbers(numbers: pd.DataFrame) -> str:
    """A row for every printed number, a column for every kind of run."""
    rows = []
    for (experiment, claim), group in numbers.groupby(["experiment", "claim"], sort=False):
        cells = {row.kind: _judged(row) for row in group.itertuples()}
        nonzero = group.loc[group["kind"] == PAPERS, "nonzero"].dropna().tolist()
        paper = _number(group["paper"].iloc[0])
        rows.append((experiment, claim, paper, *(cells.get(kind, "") for kind in KINDS), *(nonzero or [""])))
    return markdown(["experiment", "claim", "paper", *KINDS, "effects that are not 0"], rows)


def _judged(row: Any) -> str:
    """A value with its interval, bold where it does not agree."""
    text = f"{_number(row.ours)} {_interval(row)}".strip()
    return text if row.verdict == "agree" else f"**{text}**"


def _claims(verdicts: pd.DataFrame) -> str:
    """A row for every claim."""
    rows = [
        (row.run, row.claim, _number(row.paper, "larger than 0"), _number(row.ours), _interval(row), row.verdict)
        for row in verdicts.itertuples()
    ]
    return markdown(["run", "claim", "paper", "ours", "95 % interval", "verdict"], rows)


def _flow_or_weight(predictors: pd.DataFrame, beyond: pd.DataFrame) -> str:
    """How often the edge flow says clearly more than the weight, counted."""
    wide = predictors.pivot_table(index=["run", "message", "layer"], columns="predictor", values=["r", "low", "high"])
    values = {"better": (beyond["low"] > 0).sum(), "runs": len(beyond)}
    for message, name in NAMES.items():
        layers = wide.xs(message, level="message")
        values[f"{name}_layers"] = len(layers)
        values[f"{name}_flow"] = (layers["high", "edge flow"] < layers["low", "weight"]).sum()
        values[f"{name}_weight"] = (layers["high", "weight"] < layers["low", "edge flow"]).sum()
    return filled("flow_or_weight", **values)


def _beyond(differences: pd.DataFrame) -> str:
    """A row for every run."""
    rows = [(row.run, f"{_number(row.ours)} points", _interval(row)) for row in differences.itertuples()]
    return markdown(["run", "mean over methods and levels", "95 % interval"], rows)


def _predictors(predictors: pd.DataFrame) -> str:
    """A row for every run, message and layer, a column for every predictor."""
    names = list(dict.fromkeys(predictors["predictor"]))
    cells = {
        (row.run, row.message, row.layer, row.predictor): f"{_number(row.r)} {_interval(row)}"
        for row in predictors.itertuples()
    }
    places = list(dict.fromkeys((run, message, layer) for run, message, layer, _ in cells))
    rows = [(*place, *(cells[*place, name] for name in names)) for place in places]
    return markdown(["run", "message", "layer", *names], rows)


def _decisions(decisions: pd.DataFrame) -> str:
    """What they show, counted; and a row for every run: both measures of the decision before, and their change."""
    rows = []
    for run, own in decisions.groupby("run", sort=False):
        cells = [(_signed(row.before).lstrip("+"), f"{_signed(row.change)} {_range(row)}") for row in own.itertuples()]
        rows.append((run, *(cell for pair in cells for cell in pair)))
    names = ["run", "argmax accuracy, %", "change, points", "parity gap, points", "change, points"]
    accuracy, gap = (decisions[decisions["claim"] == name] for name in ("argmax_accuracy", "parity_gap"))
    costly = int((accuracy["high"] < -AFFORDED).sum())
    fairer = int(((gap["low"] > 0) & (gap["before"] < 0) | (gap["high"] < 0) & (gap["before"] > 0)).sum())
    table = markdown(names, rows)
    return filled("decisions", fairer=fairer, runs=len(gap), costly=costly, table=table)


def _signed(value: object) -> str:
    """One decimal, always with its sign."""
    return f"{float(str(value)):+.1f}".replace("-", "−")


def _range(row: Any) -> str:
    """``[low, high]``, with signs; nothing without an interval."""
    return "" if row.low != row.low else f"[{_signed(row.low)}, {_signed(row.high)}]"


def _inversion(compared: pd.DataFrame) -> str:
    """How erratic the inversion is."""
    values = {}
    for precision in ("double", "single"):
        values[f"{precision}_off"] = f"{compared[f'far_{precision}'].mean():.1f}"
        off = (compared[f"bias_{precision}"] - compared["bias"]).abs()
        values[f"{precision}_curve"] = f"{off.max():.1f}"
    return filled("inversion", **values)


def _shared_edges(name: str, compared: pd.DataFrame) -> str:
    """What scaling shared edges once for every path changes; mnist's layer and pixels are in the table of numbers."""
    moved = {field: (compared[f"{field}_repeated"] - compared[field]).abs().max() for field in ("accuracy", "bias")}
    return filled("shared_edges", name=name, run=SHARED[name], **{key: f"{value:.2f}" for key, value in moved.items()})


def _alpha(compared: pd.DataFrame) -> str:
    """The kernel SVM's penalty both ways."""
    rows = []
    for name, suffix in (("C, as the text", ""), ("alpha, as the program", "_program")):
        accuracy, bias = compared[f"accuracy{suffix}"], compared[f"bias{suffix}"]
        whole = compared["factor"] == 1
        afforded = accuracy >= accuracy[whole].iloc[0] - AFFORDED
        points = f"{bias[whole].iloc[0] - bias[afforded].min():.1f}"
        rows.append((name, f"{accuracy[whole].iloc[0]:.1f}", f"{bias[whole].iloc[0]:.1f}", points))
    names = ["range drawn", "accuracy, %", "bias, %", f"bias taken off for at most {AFFORDED:g} points of accuracy"]
    return filled("alpha", networks=compared["networks"].iloc[0], table=markdown(names, rows))


def _cost(runs: pd.DataFrame) -> str:
    """A row for every run; the paper's cost beside the runs by its estimator."""
    rows = [
        (row.run, row.networks, _duration(row.training), _duration(row.analyses), _papers_cost(row))
        for row in runs.itertuples()
    ]
    return markdown(["run", "networks", "training", "analyses, 2 cores", "the paper's, of 100 networks"], rows)


def _papers_cost(row: Any) -> str:
    """Table 1, for the runs it is about."""
    return COST[row.experiment] if row.kind == PAPERS else "–"


def _duration(value: object) -> str:
    """Seconds up to two minutes, then minutes."""
    seconds = float(str(value))
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _number(value: object, otherwise: str = "–") -> str:
    """Two decimals below 10, one above; a minus that is one."""
    number = float(str(value))
    if number != number:
        return otherwise
    return f"{number:{'+.2f' if abs(number) < 10 else '.1f'}}".replace("-", "−")


def _interval(row: Any) -> str:
    """``[low, high]``."""
    low, high = map(_number, (row.low, row.high))
    return "" if "–" in (low, high) else f"[{low}, {high}]"


def markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
