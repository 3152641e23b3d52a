"""The page of the reproduction, made from its tables alone: what it says can be checked against them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from jaxflow.reproduction.drawings import FIGURES
from jaxflow.reproduction.paper import COST

TABLES = ("verdicts", "beyond", "predictors", "runs")

HEAD = """# The paper again

Made by `jaxflow reproduce` from the tables in [reproduction/](reproduction).

*Can Information Flows Suggest Targets for Interventions in Neural Circuits?* asks whether pruning where the unwanted
flow is large takes bias off a network at little cost in accuracy, and whether the flow on an edge tells what its
removal does.
"""


def page(tables: Mapping[str, pd.DataFrame]) -> str:
    """Markdown from the tables ``TABLES``."""
    verdicts, runs = tables["verdicts"], tables["runs"]
    missing = runs.loc[runs["networks"] == 0, "run"].tolist()
    counts = verdicts["verdict"].value_counts()
    said = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in ("agree", "differ", "undecided"))
    parts = [
        HEAD + (f"\n**Not run yet: {', '.join(missing)}.** What follows is without them.\n" if missing else ""),
        f"**Of {len(verdicts)} printed claims: {said}.** A number agrees if it lies in our 95 % bootstrap interval over"
        " networks (conditional on this draw of rows), widened by 0.1 (by 0.5 if it was printed to whole per cent or"
        " points); an order, if the interval of the difference lies above 0; undecided are correlations that rest on"
        " too few effects that are not 0.",
        "## Every claim",
        _claims(verdicts),
        "## Is it the flow, or just the weight?",
        "r of four predictors with the effect of removing an edge, with 95 % intervals over networks. Edges of one"
        " network are not independent, so that p-values per edge would be too small.",
        "![r of every predictor](reproduction/predictors.png)",
        _predictors(tables["predictors"]),
        "Bias that pruning by magnitude leaves beyond what pruning by bias-to-accuracy flow leaves, at equal accuracy:",
        _beyond(tables["beyond"]),
        "## The paper's figures",
        *(f"![{name}: {own}](reproduction/{name}.png)" for name, (own, _) in FIGURES.items() if own not in missing),
        "## What it cost",
        _cost(runs[runs["networks"] > 0]),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _claims(verdicts: pd.DataFrame) -> str:
    """A row for every claim."""
    rows = [
        (row.run, row.claim, _number(row.paper, "larger than 0"), _number(row.ours), _interval(row), row.verdict)
        for row in verdicts.itertuples()
    ]
    return markdown(["run", "claim", "paper", "ours", "95 % interval", "verdict"], rows)


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


def _cost(runs: pd.DataFrame) -> str:
    """A row for every run; the paper's cost beside the runs by its estimator."""
    rows = [
        (row.run, row.networks, f"{float(str(row.seconds)):.0f} s", COST[str(row.experiment)] if row.papers else "–")
        for row in runs.itertuples()
    ]
    return markdown(["run", "networks", "training and analyses", "paper, analyses"], rows)


def _number(value: object, otherwise: str = "–") -> str:
    """Three decimals below 10, one above; a minus that is one."""
    number = float(str(value))
    if number != number:
        return otherwise
    return f"{number:+.2f}".replace("-", "−") if abs(number) < 10 else f"{number:.1f}"


def _interval(row: object) -> str:
    """``[low, high]``."""
    low, high = (_number(getattr(row, name)) for name in ("low", "high"))
    return "" if "–" in (low, high) else f"[{low}, {high}]"


def markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
