"""Figures of edits that stand still, for who reads the page without a script: a network, and all before and after."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxflow.explorer.contents import Grid
from jaxflow.explorer.edits import WHEN, Shape
from jaxflow.explorer.still import (
    HEIGHT,
    MARGIN,
    MOST_CIRCLES,
    MOST_LINES,
    WIDTH,
    drawing,
    key_item,
    places_of,
    radius_of,
)
from jaxflow.explorer.writing import element, escaped
from jaxflow.explorer.writing import points as in_points
from jaxflow.figures.edits import worst

WIDEST = 7.0  # of the largest weight that leaves a layer


def edited_figure(shape: Shape, place: int, edits: Mapping[int, float], names: Sequence[str]) -> str:
    """A network: edges as wide as the weights that were written, those that were edited in colour.

    Args:
        shape: the networks.
        place: which of them.
        edits: factor by the number of the edge.
        names: of the nodes of the first layer.
    """
    grid = _grid(shape)
    if len(grid.layer) > MOST_CIRCLES:
        return element("p", f"{len(grid.layer):,} nodes, too many for a drawing that stands still.", class_="note")
    at = places_of(grid, max([len(name[:24]) for name in names], default=0))
    sizes = [np.abs(weights[place]) for weights in shape.weights]
    wide = np.concatenate([0.4 + WIDEST * (own / max(own.max(), 1e-12)).ravel() for own in sizes])
    kept = [edge for edge in np.argsort(-wide, kind="stable").tolist() if edge not in edits][:MOST_LINES]
    lines = []
    for edge in [*sorted(kept), *sorted(edits)]:
        layer, source, target = grid.edges[edge].tolist()
        (x1, y1), (x2, y2) = at[layer, source], at[layer + 1, target]
        look = "kept" if edge not in edits else "removed" if edits[edge] == 0 else "scaled"
        thick = 1.6 if look == "removed" else wide[edge]
        ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
        lines.append(element("line", **ends, stroke_width=f"{thick:.2f}", class_=look))
    for x, y in at.values():
        place_of = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": radius_of(grid)}
        lines += [element("circle", **place_of, class_="paper"), element("circle", **place_of, class_="rim")]
    for node, name in enumerate(names[: shape.widths[0]]):
        (x, y), short = at[shape.first, node], name if len(name) < 24 else f"{name[:22]}…"
        lines.append(element("text", escaped(short), x=f"{x - 18:.1f}", y=f"{y + 4:.1f}", text_anchor="end"))
    return drawing("".join(lines), "A typical network with its edits", f"{len(edits)} edges edited")


def _grid(shape: Shape) -> Grid:
    """Nodes and edges by layer."""
    widths = shape.widths
    nodes = np.array([(layer, node) for layer, width in enumerate(widths) for node in range(width)])
    edges = [(layer, a, b) for layer in range(len(widths) - 1) for a in range(widths[layer])
             for b in range(widths[layer + 1])]  # fmt: skip
    first = np.array([shape.first, 0, 0])
    return Grid(np.zeros(1, int), [], nodes[:, 0] + shape.first, nodes[:, 1], np.array(edges) + first)


def change_figure(edits: pd.DataFrame, title: str, columns: Sequence[str]) -> str:
    """The measure that was aimed at against decision accuracy, before and after, of every network."""
    own = edits[edits["written"]]
    points = {when: np.column_stack([own[f"argmax_accuracy_{when}"], worst(own, columns, when)]) for when in WHEN}
    both = np.concatenate(list(points.values()))
    low, high = np.nanmin(both, axis=0), np.nanmax(both, axis=0)
    room = np.where(high > low, high - low, 1)
    corner, size = np.array([MARGIN, HEIGHT - MARGIN]), np.array([WIDTH - 2 * MARGIN, 2 * MARGIN - HEIGHT])
    ends = [corner + size * (points[when] - low) / room for when in WHEN]
    parts = []
    for (x1, y1), (x2, y2) in zip(*(np.round(own, 1).tolist() for own in ends), strict=True):
        parts.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="pair"))
        parts.append(element("circle", cx=x1, cy=y1, r=3, class_="before"))
        parts.append(element("rect", x=x2 - 3, y=y2 - 3, width=6, height=6, class_="after"))
    middle = {"x": WIDTH / 2, "text_anchor": "middle"}
    shown = list(map(in_points, (*low, *high)))
    across = f"decision accuracy, {shown[0]} to {shown[2]} %"
    parts.append(element("text", escaped(across), y=HEIGHT - 12, **middle))
    parts.append(element("text", escaped(f"{title}, {shown[1]} to {shown[3]} %"), y=18, **middle))
    return drawing("".join(parts), f"Decision accuracy and {title} of every network", "before and after")


def edit_key() -> str:
    """What the colours of edges mean, as items of a list."""
    looks = (("kept", "as it was"), ("scaled", "scaled"), ("removed", "removed"))
    return "".join(
        key_item(element("line", x1=1, x2=25, y1=7, y2=7, stroke_width=3, class_=look), text) for look, text in looks
    )
