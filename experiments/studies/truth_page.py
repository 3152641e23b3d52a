"""The numbers of the page ``truth.md``, from the tables of ``truth.py``."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from measuring import markdown
from truth_agreement import NO_TIES
from truth_guide import guide_text
from truth_tables import above_truth, answered, in_order, whole_layers
from truths import NUMBERS

MARK = "<!-- from truth.py: {} -->"  # before a part of the page
THEIRS = {"frites": "as frites' users get it: with a correction of the bias"}


def by_estimator(cells: pd.DataFrame, say: Callable[[float, float, float], str]) -> dict[str, str]:
    """What is said of truth, bias and spread by estimator; that of one that gave no number is that it fails."""
    numbers = cells[["truth", "bias", "spread"]].to_numpy(float)
    return {
        str(name): "fails" if np.isnan(own[1]) else say(*own).replace("-", "−")
        for name, own in zip(cells["estimator"], numbers, strict=True)
    }


def bias_text(table: pd.DataFrame) -> str:
    """A table for every number of rows: scenes by estimators."""
    own, parts = whole_layers(answered(table)), []
    names = in_order(own["estimator"])
    for rows, some in own.groupby("rows"):
        lines = []
        for scene, cells in some.groupby("scene", sort=False):
            by_name = by_estimator(cells, lambda _, bias, spread: f"{bias:+.3f} ± {spread:.3f}")
            lines.append((scene, f"{cells['truth'].iloc[0]:.3f}", *(by_name.get(name, "") for name in names)))
        head = f"N = {rows:,}, {some['draws'].max()} draws:\n\n"
        parts.append(head + markdown(("scene", "truth", *names), lines))
    return "\n\n".join(parts)


def mean_of(layers: pd.DataFrame) -> str:
    """The mean distance, the largest, and of how many scenes."""
    far = layers["far"].dropna()
    return f"{far.mean():.3f} (at most {far.max():.3f}; {len(far)} scenes)" if len(far) else ""


def summary_text(table: pd.DataFrame) -> str:
    """For every estimator and number of rows: distances, how many means are above the truth, seconds, coverage."""
    own, lines = answered(table).copy(), []
    own["above"], own["far"] = above_truth(own), own["bias"].abs()
    of_all = {name: own[own["estimator"] == name].groupby("rows") for name in in_order(own["estimator"])}
    for name, rows, some in ((name, *cell) for name, cells in of_all.items() for cell in cells):
        layers = whole_layers(some)
        synthetic = some[some["scene"].str.startswith("synthetic")]
        intervals = layers.dropna(subset=["covered"]) if "covered" in layers else layers[:0]
        lines.append(
            (
                name,
                f"{rows:,}",
                *(mean_of(layers[layers["scene"].isin(NUMBERS) == numbers]) for numbers in (False, True)),
                f"{synthetic['far'].mean():.4f}" if len(synthetic) else "",
                f"{some['above'].sum()} of {len(some)}",
                f"{layers['seconds'].median():.2g}",
                f"{intervals['covered'].mean():.2f}" if len(intervals) else "",
                f"{intervals['too_high'].mean():.2f}" if len(intervals) else "",
            )
        )
    names = ("estimator", "N", "classes", "numbers", "synthetic subsets", "means above the truth")
    return markdown((*names, "seconds of a core", "intervals that hold the truth", "intervals above it"), lines)


def pitfalls_text(table: pd.DataFrame) -> str:
    """What each says: mean bits themselves, scenes by estimators."""
    own = whole_layers(answered(table))
    names, lines = in_order(own["estimator"]), []
    for scene, cells in own.groupby("scene", sort=False):
        by_name = by_estimator(cells, lambda truth, bias, _: f"{truth + bias:.3f}")
        lines.append((scene, f"{cells['truth'].iloc[0]:.3f}", *(by_name.get(name, "") for name in names)))
    rows = ", ".join(f"{count:,}" for count in sorted(set(own["rows"])))
    return f"N = {rows}, means of {own['draws'].max()} draws.\n\n" + markdown(("scene", "truth", *names), lines)


def difference(value: float) -> str:
    """A difference by its size: bits where it matters, else its power of ten."""
    return f"{value:.3f}" if value > 1e-3 else f"{value:.0e}".replace("e-0", "e-").replace("-", "−")


def agreement_text(table: pd.DataFrame) -> str:
    """Mean bits by ours and by theirs where columns have no ties, and the largest differences."""
    lines = []
    for row in table[table["data"] == NO_TIES].to_dict("records"):
        bits = (f"{row[name]:.4f}" for name in ("bits", "their_bits"))
        apart = (difference(row[name]) for name in ("double", "single"))
        lines.append((row["message"], f"`{row['ours']}`", THEIRS.get(row["theirs"], row["theirs"]), *bits, *apart))
    names = ("message", "ours", "theirs", "ours, bits", "theirs, bits", "most apart, float64", "float32")
    return markdown(names, lines)


def ties_text(table: pd.DataFrame) -> str:
    """Mean bits of a unit with ties that tells nothing, in two orders of rows."""
    lines = []
    for row in table[table["data"] != NO_TIES].to_dict("records"):
        bits = (f"{row[name]:.4f}" for name in ("bits", "their_bits"))
        lines.append((row["message"], row["data"], *bits, THEIRS.get(row["theirs"], row["theirs"])))
    return markdown(("message", "order", "`copula`, bits", "theirs, bits", "theirs"), lines)


TEXTS: dict[str, tuple[Callable[..., str], Sequence[str]]] = {  # a part of the page and its tables
    "guide": (guide_text, ("truth", "speed")),
    "summary": (summary_text, ("truth",)),
    "bias": (bias_text, ("truth",)),
    "pitfalls": (pitfalls_text, ("pitfalls",)),
    "agreement": (agreement_text, ("agreement",)),
    "ties": (ties_text, ("agreement",)),
}


def page_parts(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """What stands between the page's marks, by their names, of the tables that have rows."""
    return {
        name: text(*(tables[part] for part in parts)) for name, (text, parts) in TEXTS.items() if len(tables[parts[0]])
    }
