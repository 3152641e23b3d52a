"""The numbers of the page ``truth.md``, from the tables of ``truth.py``."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from measuring import markdown
from truths import NUMBERS

MARK = "<!-- from truth.py: {} -->"  # before a part of the page
SURE = 3.0  # standard errors by which a mean must be above the truth to count as above it


def answered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of estimators that take the scene."""
    return table[table["draws"] > 0]


def whole_layers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of whole layers: the last subset of every cell."""
    return table.loc[table.groupby(["scene", "rows", "estimator"], sort=False)["subset"].idxmax()]


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
    names = list(dict.fromkeys(own["estimator"]))
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
    own["error"] = own["spread"] / np.sqrt(own["draws"])
    own["above"] = own["bias"] > SURE * own["error"] + 1e-6
    own["far"] = own["bias"].abs()
    for (name, rows), some in own.groupby(["estimator", "rows"], sort=False):
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
    names, lines = list(dict.fromkeys(own["estimator"])), []
    for scene, cells in own.groupby("scene", sort=False):
        by_name = by_estimator(cells, lambda truth, bias, _: f"{truth + bias:.3f}")
        lines.append((scene, f"{cells['truth'].iloc[0]:.3f}", *(by_name.get(name, "") for name in names)))
    rows = ", ".join(f"{count:,}" for count in sorted(set(own["rows"])))
    return f"N = {rows}, means of {own['draws'].max()} draws.\n\n" + markdown(("scene", "truth", *names), lines)


TEXTS = {
    "summary": ("truth", summary_text),
    "bias": ("truth", bias_text),
    "pitfalls": ("pitfalls", pitfalls_text),
}


def page_parts(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """What stands between the page's marks, by their names, of the tables that have rows."""
    return {name: text(tables[part]) for name, (part, text) in TEXTS.items() if len(tables[part])}
