"""The page of the reproduction, made from its tables alone: what it says can be checked against them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxflow.reproduction.drawings import DIAGRAMS, FIGURES
from jaxflow.reproduction.paper import COST
from jaxflow.reproduction.runs import CLOSED, LINEAR, PAPERS, PROGRAM, RATE, ROWS
from jaxflow.reproduction.verdicts import AFFORDED

BEYOND_ROUNDING = 0.05  # printed correlations whose sign is compared
COMMAND = "jaxflow reproduce --data-dir DIR"

HEAD = f"""# The paper again

Made by `{COMMAND}` from the tables in [reproduction/](reproduction); one figure's run again by
`{COMMAND} --only fig3`. `--quick` takes ten networks, and leaves out the kernel SVM and what explains differences.

*Can Information Flows Suggest Targets for Interventions in Neural Circuits?* asks whether pruning where the unwanted
flow is large takes bias off a network at little cost in accuracy, and whether the flow on an edge tells what its
removal does.
"""

HOW = (
    "A number agrees if it lies in our 95 % bootstrap interval (whole networks resampled, percentile; conditional on"
    " this draw of rows), widened by 0.1, or by 0.5 if it was printed to whole per cent or points; an order, if the"
    " interval of the difference lies above 0; undecided are correlations that rest on too few effects that are not 0."
    " The kernel SVM is tuned once for every network and message and keeps its penalties under pruning"
    " (what that changes on adult-small is in [method.md](method.md): about a point)."
)
WHAT_DIFFERS = (
    "The printed numbers again with one thing changed at a time: the estimator, the draw of rows (`--data-seed 1`), a"
    " learning rate that is never cut, and for mnist the authors' program, whose first hidden layer is linear and"
    " which divides pixels by another number than the text says. Rows, rate and program are changed in the runs by the"
    " closed-form estimator. In bold what does not agree."
)
EDGES = (
    "r of four predictors with the effect of removing an edge, with 95 % intervals over networks. Edges of one network"
    " are not independent, so that p-values per edge would be too small; none are given."
)
DECISIONS = (
    "Accuracy and bias above are what an estimator finds in both logits. The network's own decision is their argmax:"
    " its accuracy and its parity gap, P(Ŷ=1|Z=1) − P(Ŷ=1|Z=0), before pruning, and their change where pruning by"
    " bias-to-accuracy flow takes off most bias for at most two points of the estimate's accuracy."
)
FIG1, FIG7 = "Fig. 1, the model behind the question", "Fig. 7, the synthetic data"


def page(tables: Mapping[str, pd.DataFrame]) -> str:
    """Markdown from the tables of ``docs/reproduction``."""
    verdicts, runs = tables["verdicts"], tables["runs"]
    missing = runs.loc[runs["networks"] == 0, "run"].tolist()
    parts = [
        HEAD + (f"\n**Not run yet: {', '.join(missing)}.** What follows is without them.\n" if missing else ""),
        f"**{_counted(verdicts)}** {HOW}",
        _signs(tables["numbers"]),
        "## Table 2, and what explains the rest",
        WHAT_DIFFERS,
        _explained(tables["verdicts"], tables["numbers"]),
        _numbers(tables["numbers"]),
        "## Every claim",
        _claims(verdicts),
        "## Is it the flow, or just the weight?",
        _answer(tables["predictors"], tables["beyond"]),
        EDGES,
        "![r of every predictor](reproduction/predictors.png)",
        _predictors(tables["predictors"]),
        "Bias that pruning by magnitude leaves beyond what pruning by bias-to-accuracy flow leaves, at equal accuracy:",
        _beyond(tables["beyond"]),
        "## Does the decision become fairer, or only what a probe finds?",
        DECISIONS,
        _decisions(tables["decisions"]),
        "## Where the program parts from the text",
        *_departures(tables),
        "## Table 1: what it cost",
        _cost(runs[(runs["networks"] > 0) & runs["kind"].isin([PAPERS, CLOSED, LINEAR])]),
        "## The paper's figures",
        *(
            f"![{caption}](reproduction/{name}.png)\n\n*{caption}.*"
            for name, caption in zip(DIAGRAMS, (FIG1, FIG7), strict=True)
        ),
        *(f"![{name}: {own}](reproduction/{name}.png)" for name, (own, _) in FIGURES.items() if own not in missing),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def short(tables: Mapping[str, pd.DataFrame]) -> str:
    """What the README says of it: the count of claims, Table 2 side by side, hours then and minutes now."""
    runs = tables["runs"]
    parts = [_counted(tables["verdicts"]), _table_2(tables["numbers"])]
    return "\n\n".join([*parts, _cost(runs[(runs["networks"] > 0) & (runs["kind"] == PAPERS)])])


def _table_2(numbers: pd.DataFrame) -> str:
    """The paper's correlations and ours, a row per experiment and flow."""
    own = numbers[(numbers["kind"] == PAPERS) & numbers["claim"].str.startswith("r of")]
    rows: dict[tuple[str, str], list[str]] = {}
    for row in own.itertuples():
        cell = f"{_number(row.paper)} / {_number(row.ours)}"
        rows.setdefault((str(row.experiment), str(row.claim).split()[2]), []).append(cell)
    layers = max(map(len, rows.values()), default=0)
    names = ["experiment", "flow", *(f"layer {layer + 1}" for layer in range(layers))]
    return markdown(names, [(*key, *cells, *[""] * (layers - len(cells))) for key, cells in rows.items()])


def _counted(verdicts: pd.DataFrame) -> str:
    """How many claims agree."""
    counts = verdicts["verdict"].value_counts()
    said = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in ("agree", "differ", "undecided"))
    return f"Of {len(verdicts)} printed claims: {said}."


def _signs(numbers: pd.DataFrame) -> str:
    """Whether Table 2's signs come out, mnist's clipped accuracy aside."""
    own = numbers[(numbers["kind"] == PAPERS) & numbers["claim"].str.startswith("r of")]
    agree = int((own["verdict"] == "agree").sum())
    clipped = (own["experiment"] == "mnist") & own["claim"].str.contains("accuracy")
    told = own[~clipped & (own["paper"].abs() > BEYOND_ROUNDING)]
    same = np.sign(told["paper"]) == np.sign(told["ours"])
    others = "; ".join(_elsewhere(row, numbers) for row in told[~same].itertuples())
    exceptions = f" (not: {others})" if others else ""
    return (
        f"Of the {len(own)} numbers of Table 2 {agree} agree. Of the {len(told)} beyond ±{BEYOND_ROUNDING} (mnist's"
        f" accuracy aside, which is clipped at 1 bit) {same.sum()} have our sign{exceptions}."
    )


def _elsewhere(row: Any, numbers: pd.DataFrame) -> str:
    """A number whose sign differs, and the runs in which it does not."""
    others = numbers[(numbers["experiment"] == row.experiment) & (numbers["claim"] == row.claim)]
    same = others.loc[np.sign(others["ours"]) == np.sign(row.paper), ["kind", "ours"]].to_numpy()
    found = ", ".join(f"{_number(ours)} with {kind}" for kind, ours in same)
    return (
        f"{row.experiment}, {row.claim}: {_number(row.paper)} printed, {_number(row.ours)} here, {found or 'nowhere'}"
    )


def _explained(verdicts: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """For every number that differs, the changes under which it does not, or that it hardly moves."""
    lines = []
    for row in verdicts[(verdicts["verdict"] == "differ") & verdicts["paper"].notna()].itertuples():
        own = numbers[numbers["claim"] == row.claim]
        own = own[own["experiment"] == own.loc[own["run"] == row.run, "experiment"].iloc[0]]
        others = own[(own["run"] != row.run) & own["ours"].notna() & (own["kind"] != LINEAR)]
        agreeing = [f"{_number(o.ours)} {_interval(o)} ({o.kind})" for o in others.itertuples() if o.verdict == "agree"]
        low, high = _number(others["ours"].min()), _number(others["ours"].max())
        span = low if low == high else f"between {low} and {high}"
        said = f"agrees with another choice: {', '.join(agreeing)}" if agreeing else f"is {span} in all other runs too"
        lines.append(f"- {row.run}, {row.claim}: {_number(row.paper)} printed, {_number(row.ours)} here; it {said}.")
    return "What differs:\n\n" + "\n".join(lines) if lines else ""


def _numbers(numbers: pd.DataFrame) -> str:
    """A row for every printed number, a column for every kind of run."""
    rows = []
    for (experiment, claim), group in numbers.groupby(["experiment", "claim"], sort=False):
        cells = {row.kind: _judged(row) for row in group.itertuples()}
        nonzero = group.loc[group["kind"] == PAPERS, "nonzero"].dropna().tolist()
        paper = _number(group["paper"].iloc[0])
        rows.append((experiment, claim, paper, *(cells.get(kind, "") for kind in KINDS), *(nonzero or [""])))
    return markdown(["experiment", "claim", "paper", *KINDS, "effects that are not 0"], rows)


KINDS = (PAPERS, CLOSED, ROWS, RATE, PROGRAM)


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


def _answer(predictors: pd.DataFrame, beyond: pd.DataFrame) -> str:
    """How often the edge flow says clearly more than the weight, counted."""
    wide = predictors.pivot_table(index=["run", "message", "layer"], columns="predictor", values=["r", "low", "high"])
    edge, weight = (wide.xs(name, axis=1, level="predictor") for name in ("edge flow", "weight"))
    said = []
    for message, name in (("y", "accuracy"), ("z", "bias")):
        own, alone = (table.xs(message, level="message") for table in (edge, weight))
        clear = int((own["high"] < alone["low"]).sum())
        reverse = int((alone["high"] < own["low"]).sum())
        said.append(
            f"on {name} the edge flow is the clearly stronger (more negative, intervals apart) in {clear} of {len(own)}"
            f" layers, the weight in {reverse}"
        )
    better = int((beyond["low"] > 0).sum())
    return (
        f"Of removal's effect {'; '.join(said)}. Pruning by flow leaves less bias than pruning by magnitude at equal"
        f" accuracy in {better} of {len(beyond)} runs."
    )


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
    said = (
        f"The gap becomes smaller in {fairer} of {len(gap)} runs; accuracy falls by more than two points in {costly}."
    )
    return f"{said}\n\n{markdown(names, rows)}"


def _signed(value: object) -> str:
    """One decimal, always with its sign."""
    return f"{float(str(value)):+.1f}".replace("-", "−")


def _range(row: Any) -> str:
    """``[low, high]``, with signs; nothing without an interval."""
    return "" if row.low != row.low else f"[{_signed(row.low)}, {_signed(row.high)}]"


def _departures(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What changes if the program is followed and not the text; mnist's layer and pixels are in the table above."""
    parts = []
    if "inversion" in tables:
        parts += [_inversion(tables["inversion"]), "![Fig. 13 by eq. 13](reproduction/inversion.png)"]
    for name, run in (("shared_edges_large", "adult-large"), ("shared_edges_mnist", "mnist")):
        if name in tables:
            own = tables[name]
            accuracy, bias = ((own[f"{field}_repeated"] - own[field]).abs().max() for field in ("accuracy", "bias"))
            parts.append(
                f"*Edges that two pruned paths share* are scaled once here, once for every path by the program. On"
                f" {run}, two widest paths, that moves the mean curve by at most {accuracy:.2f} points of accuracy and"
                f" {bias:.2f} of bias, and at factors 1 and 0 not at all ([table](reproduction/{name}.csv))."
            )
    if "alpha" in tables:
        parts.append(_alpha(tables["alpha"]))
    return parts


def _inversion(compared: pd.DataFrame) -> str:
    """How erratic the inversion is."""
    said = [
        f"in {way} precision {compared[f'far_{way}'].mean():.1f} % of networks and factors are more than a point of"
        f" bias off, the mean curves by up to {(compared[f'bias_{way}'] - compared['bias']).abs().max():.1f} points"
        for way in ("double", "single")
    ]
    return (
        f"*Fig. 13's erratic curves* come from inverting covariances that are nearly singular, as the paper says. With"
        f" eq. 13 as printed, {'; '.join(said)} ([table](reproduction/inversion.csv)). The same networks:"
    )


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
    return (
        "*The kernel SVM's penalty*: the text draws C, the program hands the same range to SGD's alpha. Fig. 3's nodes"
        " and edges, the same pruned both times, by scikit-learn's fits, mean of"
        f" {compared['networks'].iloc[0]} synthetic networks ([table](reproduction/alpha.csv)):\n\n"
        + markdown(names, rows)
    )


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
