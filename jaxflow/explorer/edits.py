"""What a report holds of edited networks: what was scaled by what, and every measure before and after."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxflow.errors import InputError, counted, printable
from jaxflow.explorer.contents import DETAIL, MOST_EDGES, PER_EDGE, POINTS, About, titled
from jaxflow.explorer.packing import packed_floats, plain
from jaxflow.explorer.writing import element, escaped, percent, points, table
from jaxflow.figures.edits import typical_edit, worst
from jaxflow.outputs import Roles
from jaxflow.statistics import edit_changes

EDGE = re.compile(r"(\d+)/(\d+)/(\d+)\*(\S+)")
MOST_NETWORKS = 500  # rows of the table
WHEN = ("before", "after")


class Asked(NamedTuple):
    """What an edit was to reach.

    Attributes:
        measure: ``bias``, ``parity_gap`` or ``odds_gap``.
        attributes: of which the worst counts.
        at_most: per cent; None where accuracy was to be kept.
        recalibrate: what of the output was refitted.
    """

    measure: str
    attributes: Sequence[str]
    at_most: float | None
    recalibrate: str


class Shape(NamedTuple):
    """The networks' shape.

    Attributes:
        first: number of the first layer shown.
        weights: as they were written, ``[networks, n_l, n_{l+1}]`` of every layer shown.
    """

    first: int
    weights: Sequence[np.ndarray]

    @property
    def widths(self) -> list[int]:
        """Nodes of every layer."""
        return [*(own.shape[1] for own in self.weights), self.weights[-1].shape[2]]

    def edge(self, layer: int, source: int, target: int) -> int:
        """The number of an edge, in the order of the layers."""
        widths, layer = self.widths, layer - self.first
        sizes = [a * b for a, b in pairwise(widths)]
        if not (0 <= layer < len(widths) - 1 and source < widths[layer] and target < widths[layer + 1]):
            raise InputError("edits.csv names an edge that the networks do not have; the edit's command makes it again")
        return sum(sizes[:layer]) + source * widths[layer + 1] + target


def edits_of(text: str, shape: Shape) -> list[tuple[int, float]]:
    """Number and factor of every edge that a network's row names.

    Raises:
        InputError: it names something else.
    """
    found = [EDGE.fullmatch(part) for part in text.split()]
    if None in found:
        raise InputError("edits.csv does not say what was scaled by what; the edit's command makes it again")
    places = [own.groups() for own in found if own is not None]
    return [(shape.edge(int(a), int(b), int(c)), float(by)) for a, b, c, by in places]


def options_of(edits: pd.DataFrame, roles: Roles, asked: Asked) -> dict[str, list[str]]:
    """Titles of the measures that may be looked at, with their columns: what was asked for first."""
    columns = [f"{asked.measure}{roles.suffix(name)}" for name in asked.attributes]
    title = f"{asked.measure.replace('_', ' ')} of {' or '.join(map(titled, asked.attributes))}"
    found = {f"{title}, the larger" if len(columns) > 1 else title: columns}
    for measure in ("argmax_accuracy", "bias", "parity_gap", "odds_gap", "accuracy"):
        suffixes = [""] if "accuracy" in measure else [roles.suffix(name) for name in roles.attributes]
        for name in (f"{measure}{suffix}" for suffix in suffixes):
            text = {"argmax_accuracy": "decision accuracy", "accuracy": "information accuracy"}.get(name)
            if [name] not in found.values() and edits[f"{name}_before"].notna().all():
                title = text or titled(name.replace("_", " "))
                while title in found:  # long names that begin alike
                    title += "′"
                found[title] = [name]
    return found


def edit_contents(edits: pd.DataFrame, shape: Shape, about: About, asked: Asked) -> dict[str, Any]:
    """Everything that the script of the page reads."""
    assert about.roles is not None
    own = edits[edits["written"]]
    options = options_of(own, about.roles, asked)
    sizes = [weights.shape[1] * weights.shape[2] for weights in shape.weights]
    most = max(1, int(DETAIL / (sum(sizes) * PER_EDGE))) if sum(sizes) <= MOST_EDGES else 0
    place = own["network"].tolist().index(typical_edit(edits, next(iter(options.values()))))
    spread = np.unique([place, *np.linspace(0, len(own) - 1, max(most - 1, 0)).astype(int)]) if most else []
    flat = np.concatenate([weights.reshape(len(own), -1) for weights in shape.weights], axis=1)
    return {
        "kind": "edit",
        "title": printable(about.title),
        "widths": shape.widths,
        "layers": list(range(shape.first, shape.first + len(shape.widths))),
        "names": [printable(name) for name in about.names],
        "networks": own["network"].tolist(),
        "typical": int(own["network"].iloc[place]),
        "shown": own["network"].iloc[spread].tolist(),
        "weight": packed_floats(flat[spread]) if most else "",
        "edits": [edits_of(text, shape) for text in own["edges"]],
        "measures": list(options),
        "accuracy": list(options.values()).index(["argmax_accuracy"]),
        "chance": [about.chance.get(columns[0]) if len(columns) == 1 else None for columns in options.values()],
        "limits": [asked.at_most, *[None] * (len(options) - 1)],
        "changes": [{when: plain(worst(own, columns, when).to_numpy(), POINTS) for when in WHEN}
                    for columns in options.values()],
        "columns": 4 + 2 * len(options),
    }  # fmt: skip


def headline_of(edits: pd.DataFrame, options: Mapping[str, Sequence[str]], asked: Asked) -> str:
    """A sentence: what was asked for and what all networks give on average, on rows that did not choose."""
    own = edits[edits["written"]]
    (title, columns), *_ = options.items()
    means = [worst(own, columns, when).mean() for when in WHEN]
    right = [own[f"argmax_accuracy_{when}"].mean() for when in WHEN]
    text = f"On rows that did not choose the edits {title} goes from {points(means[0])} to {percent(means[1])} and the"
    text += f" decision accuracy from {points(right[0])} to {percent(right[1])}"
    if asked.at_most is not None:
        reached = own[own["reached"]]
        holds = int((worst(reached, columns, "after") <= asked.at_most).sum())
        text += f"; at most {asked.at_most:g} % is reached by {len(reached)} of {counted(len(own), 'network')} on the"
        text += f" rows that chose, by {holds} of these on the others as well"
    return element("p", escaped(f"{text}."), class_="headline")


def changes_tables(edits: pd.DataFrame, options: Mapping[str, Sequence[str]], asked: Asked) -> str:
    """Means before and after with the change and its interval: of the edits written, and of both ways together."""
    names = {column: title for title, columns in options.items() for column in columns if len(columns) == 1}
    names = {column: names.get(column, column.replace("_", " ")) for columns in options.values() for column in columns}
    numbers = edits.loc[edits["written"] & edits["reached"], "network"]
    reached = edits[edits["network"].isin(numbers)]
    refitted = asked.recalibrate != "none"
    header = ["measure", "before", "edited", *(["recalibrated"] if refitted else []), "change", "95 % interval"]
    written = "The edits that are written, on the half of the rows that did not choose them"
    parts, both = [], "And with the roles of the halves exchanged, both together"
    for rows, what in ((reached[reached["written"]], written), (reached, both)):
        cells = []
        for measure, before, pruned, after, change, low, high in edit_changes(rows, names).to_numpy(object).tolist():
            interval = "–" if np.isnan(low) else f"{points(low, '+')} to {points(high, '+')}"
            means = [before, pruned, *([after] if refitted else [])]
            cells.append([names[measure], *map(points, means), points(change, "+"), interval])
        caption = f"{what}: means over {counted(rows['network'].nunique(), 'network')}, per cent"
        parts.append(table(header, cells, escaped(caption)))
    return "".join(parts)


def edits_table(edits: pd.DataFrame, options: Mapping[str, Sequence[str]]) -> str:
    """A row for every network: which edit, of how many edges, and every measure before and after."""
    own = edits[edits["written"]]
    rows = []
    for row in own.head(MOST_NETWORKS).to_dict("records"):
        factors = [part.rpartition("*")[2] for part in row["edges"].split()]
        plan = f"{counted(int(row['level']), str(row['method']))} × {row['factor']:g} by {row['metric']}"
        values = [abs(own_value) for columns in options.values() for own_value in _pair(row, columns)]
        rows.append([row["network"], "yes" if row["reached"] else "no", plan if row["method"] else "–" ,
                     len(factors), sum(float(by) == 0 for by in factors),
                     *map(points, values)])  # fmt: skip
    pairs = [f"{title} {when}" for title in options for when in WHEN]
    some = "" if len(own) <= MOST_NETWORKS else f" (the first {MOST_NETWORKS} of {len(own):,})"
    caption = escaped(f"Edits, and measures on rows that did not choose them, per cent{some}")
    header = ["network", "target reached", "edit", "edges edited", "removed", *pairs]
    return table(header, rows, caption, texts=3, id="networks")


def _pair(row: Mapping[Any, Any], columns: Sequence[str]) -> list[float]:
    """The worst of the columns, before and after."""
    return [max(abs(row[f"{column}_{when}"]) for column in columns) for when in WHEN]
