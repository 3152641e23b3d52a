"""What a report shows where no script runs: the figures that stand still, and the tables."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxflow.errors import counted
from jaxflow.explorer.contents import Grid, grid_of
from jaxflow.explorer.writing import bits, element, escaped, folded, number, percent, points, table
from jaxflow.figures import middle_level
from jaxflow.figures.style import METRIC_LOOK

WIDTH, HEIGHT, MARGIN = 720, 380, 46
MOST_LINES = 400  # of a figure that stands still: those of the largest flow
MOST_CIRCLES = 1_200
MOST_ROWS = 500  # of a table
PLACES = ("layer", "time", "node", "points", "nonzero")  # columns that count or say where
DASHES = {"acc/bias": "6 3", "random": "2 3", "magnitude": "6 2 2 2"}


def network_figure(
    nodes: pd.DataFrame, edges: pd.DataFrame | None, title: str, colour: int, names: Sequence[str] = ()
) -> str:
    """Flow about a message of one network: width of edges, shade of nodes, names of the first layer's nodes."""
    grid = grid_of(nodes, edges)
    if len(grid.layer) > MOST_CIRCLES:
        return element("p", f"{len(grid.layer):,} nodes, too many for a drawing that stands still.", class_="note")
    message = grid.messages[colour]
    flow = grid.of_nodes(nodes["flow"])[0, colour]
    places = places_of(grid, max([len(name[:24]) for name in names], default=0))
    lines = []
    if edges is not None and len(edges):
        width = grid.of_edges(edges["flow"])[0, colour]
        for edge in sorted(np.argsort(-width, kind="stable")[:MOST_LINES].tolist()):
            layer, source, target = grid.edges[edge].tolist()
            (x1, y1), (x2, y2) = places[layer, source], places[layer + 1, target]
            thick = 0.4 + 7 * width[edge] / max(width.max(), 1e-12)
            ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
            lines.append(element("line", **ends, stroke_width=f"{thick:.2f}", class_=f"edge s{colour}"))
    radius = radius_of(grid)
    for own, value in zip(zip(grid.layer.tolist(), grid.node.tolist(), strict=True), flow, strict=True):
        x, y = (f"{part:.1f}" for part in places[own])
        lines.append(element("circle", cx=x, cy=y, r=radius, class_="paper"))
        shade = f"{0.85 * value / max(flow.max(), 1e-12):.3f}"
        lines.append(element("circle", cx=x, cy=y, r=radius, class_=f"node f{colour}", fill_opacity=shade))
    first = int(grid.layer.min())
    for node, name in enumerate(names[: int((grid.layer == first).sum())]):
        (x, y), short = places[first, node], name if len(name) < 24 else f"{name[:22]}…"
        lines.append(element("text", escaped(short), x=f"{x - 18:.1f}", y=f"{y + 4:.1f}", text_anchor="end"))
    text = f"{title} flow of every node and edge; the widest edge and the darkest node have the largest flow."
    return drawing("".join(lines), text, f"about {message}")


def places_of(grid: Grid, letters: int) -> dict[tuple[int, int], tuple[float, float]]:
    """Where the nodes lie in a drawing that leaves room for so many letters on its left."""
    left = MARGIN + 6.5 * letters
    layers = np.unique(grid.layer)
    across = {int(layer): k for k, layer in enumerate(layers)}
    widths = {int(layer): int((grid.layer == layer).sum()) for layer in layers}
    gap = (HEIGHT - 2 * MARGIN) / max(*widths.values(), 2)
    return {
        (layer, node): (
            left + (WIDTH - left - MARGIN) * across[layer] / max(len(layers) - 1, 1),
            HEIGHT / 2 + (node - (widths[layer] - 1) / 2) * gap,
        )
        for layer, node in zip(grid.layer.tolist(), grid.node.tolist(), strict=True)
    }


def radius_of(grid: Grid) -> str:
    """Of nodes, smaller in wide layers."""
    layers = np.unique(grid.layer)
    widest = max(int((grid.layer == layer).sum()) for layer in layers)
    apart = (WIDTH - 3 * MARGIN) / max(len(layers) - 1, 1)
    return f"{min(13, 0.4 * (HEIGHT - 2 * MARGIN) / max(widest, 2), 0.42 * apart):.1f}"


def drawing(inside: str, text: str, about: str) -> str:
    """A drawing with what it shows, for who does not see it."""
    return element("svg", inside, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{text} ({about})")


def tradeoff_figure(tradeoff: pd.DataFrame, bias: str, title: str, chance: Mapping[str, float]) -> str:
    """Mean accuracy against mean bias of every metric, the first method at its middle level."""
    method = tradeoff["method"].iloc[0]
    rows = tradeoff[tradeoff["method"] == method]
    rows = rows[rows["level"] == middle_level(rows["level"])]
    if "attribute" in rows:
        rows = rows[rows["attribute"] == rows["attribute"].iloc[0]]
    means = rows.groupby(["metric", "factor"], sort=False)[[bias, "accuracy"]].mean()
    low, high = means.min(), means.max()
    room = (high - low).replace(0, 1)
    parts = []
    for place, (metric, curve) in enumerate(means.groupby("metric", sort=False)):
        scaled = (curve - low) / room
        places = [
            f"{MARGIN + (WIDTH - 2 * MARGIN) * x:.1f},{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * y:.1f}"
            for x, y in scaled.to_numpy()
        ]
        look = METRIC_LOOK.get(str(metric), 3 + place % 3)
        line = element("polyline", points=" ".join(places), class_=f"curve s{look}",
                       stroke_dasharray=DASHES.get(str(metric)))  # fmt: skip
        end = places[-1].split(",")
        parts += [line, element("text", escaped(metric), x=end[0], y=end[1], dx=6, dy=-6)]
    middle = {"x": WIDTH / 2, "text_anchor": "middle"}
    for name, column, y in ((title, bias, HEIGHT - 12), ("accuracy", "accuracy", 18)):
        known = f"; chance: {percent(chance[column])}" if column in chance else ""
        span = f"{name}, {points(low[column])} to {points(high[column])} %{known}"
        parts.append(element("text", escaped(span), y=y, **middle))
    level = counted(int(rows["level"].iloc[0]), str(method))
    return drawing("".join(parts), f"Mean accuracy against mean {title} while {level} are faded out", "all metrics")


def course_figure(nodes: pd.DataFrame, message: str) -> str:
    """Flow of every node over time about a message, above the noise floor."""
    rows = nodes[nodes["message"] == message]
    largest = max(float(rows["flow"].max()), float(rows["null95"].max()) if "null95" in rows else 0.0, 1e-12)
    low, span = rows["time"].min(), max(rows["time"].max() - rows["time"].min(), 1e-12)

    def points(frame: pd.DataFrame, column: str) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (frame["time"] - low) / span
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * frame[column] / largest
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if not np.isnan(b))

    floor = points(rows.drop_duplicates("layer"), "null95") if "null95" in rows else ""
    ends = f"{MARGIN},{HEIGHT - MARGIN} {floor} {WIDTH - MARGIN},{HEIGHT - MARGIN}"
    parts = [element("polygon", points=ends, class_="floor")] if floor else []
    for node, own in list(rows.groupby("node", sort=True))[:MOST_LINES]:
        parts.append(element("polyline", points=points(own, "flow"), class_=f"course s{int(str(node)) % 7}"))
    shown = f"time {number(low, '.4g')} to {number(low + span, '.4g')}, flow up to {bits(largest)} bits"
    parts.append(element("text", escaped(shown), x=WIDTH / 2, y=HEIGHT - 12, text_anchor="middle"))
    return drawing("".join(parts), "Flow of every node over time", f"about {message}")


def course_caption(nodes: pd.DataFrame, confidence: float) -> str:
    """What is drawn beside the lines."""
    text = "A line for every node. Point at one, or choose it above: "
    if "honest" in nodes and nodes["honest"].notna().any():
        return escaped(f"{text}dashed its honest flow, with the {100 * confidence:g} % interval.")
    return escaped(f"{text}it stands out in both drawings.")


def key_item(mark: str, text: str) -> str:
    """An item of a list that says what a mark means."""
    return element("li", element("svg", mark, viewBox="0 0 26 14") + escaped(text))


def key(titles: Sequence[str], pruned: bool) -> str:
    """What the colours of the drawing mean, as items of a list."""
    sectors = [f"sector {k + 1}, anticlockwise from above" for k in range(len(titles))]
    halves = ["left half", "right half"] if len(titles) == 2 else sectors
    where = [
        f"{title} flow{f' ({half})' if len(titles) > 1 else ''}" for title, half in zip(titles, halves, strict=True)
    ]
    items = [key_item(element("circle", cx=13, cy=7, r=6, class_=f"f{k % 7}"), text) for k, text in enumerate(where)]
    lit = element("line", x1=2, x2=24, y1=7, y2=7, class_="halo", stroke_width=9)
    return "".join(items) + (key_item(lit, "pruned") if pruned else "")


def networks_table(outputs: pd.DataFrame, shown: Sequence[int]) -> str:
    """Every network as it is, per cent."""
    rows = outputs if len(outputs) <= MOST_ROWS else outputs[outputs["network"].isin(shown)].head(MOST_ROWS)
    names = [name for name in outputs if name != "network"]
    some = "" if len(rows) == len(outputs) else f" ({len(rows)} of {len(outputs):,}, spread over the biases)"
    cells = ([int(row[0]), *map(points, row[1:])] for row in rows.itertuples(index=False))
    header = ["network", *(str(name).replace("_", " ") for name in names)]
    return table(header, cells, escaped(f"Unpruned networks, per cent{some}"), id="networks")


def tradeoff_table(tradeoff: pd.DataFrame, measures: Sequence[str]) -> str:
    """Means over networks with the chosen weights removed, at the smallest factor that is not negative."""
    factor = tradeoff.loc[tradeoff["factor"] >= 0, "factor"].min()
    keys = [name for name in ("attribute", "metric", "method", "level") if name in tradeoff]
    rows = tradeoff[tradeoff["factor"] == factor].groupby(keys, sort=False)[list(measures)].mean()
    numbers = [list(map(points, row)) for row in rows.to_numpy()]
    cells = [(*own, *row) for own, row in zip(rows.index, numbers, strict=True)]
    caption = f"Means over networks, per cent, the chosen weights times {factor:g}"
    header = [*keys, *(name.replace("_", " ") for name in measures)]
    return folded(table(header, cells, escaped(caption), texts=len(keys)))


def statistics_tables(correlations: pd.DataFrame, predictors: pd.DataFrame, titles: dict[str, str]) -> str:
    """Pearson's r of flow and effect, and of the other predictors, per message and layer."""
    columns = ["message", "layer", "predictor", "r", "low", "high", "rho"]
    first = "Pearson’s r of edge flow and effect of removal"
    second = "What foretells the effect of removing an edge: r with its 95 % interval, and Spearman’s ρ"
    return (
        folded(table(list(map(str, correlations)), _cells(correlations, titles), escaped(first), texts=2))
        + folded(table(columns, _cells(predictors[columns], titles), escaped(second), texts=3))
    )  # fmt: skip


def nodes_table(nodes: pd.DataFrame, titles: dict[str, str], what: str = "Flow of every node, bits") -> str:
    """The flow of every node of one network; of very many those of the largest."""
    keys = ["layer", *(["time"] if "time" in nodes else []), "node", "message"]
    columns = [name for name in ("flow", "null95", "p_max", "honest", "low", "high") if name in nodes]
    rows, some = nodes[[*keys, *columns]], ""
    if len(rows) > MOST_ROWS:
        some = f" ({MOST_ROWS} of {len(rows):,}, those of the largest flow)"
        rows = rows.sort_values("flow", ascending=False, kind="stable").head(MOST_ROWS)
    return folded(table([*keys, *columns], _cells(rows, titles), escaped(what + some), texts=len(keys)))


def _cells(frame: pd.DataFrame, titles: dict[str, str]) -> Iterator[list[str]]:
    """The rows of a table as text: messages by their titles, places as they are, bits and p to four decimals.

    Correlations have two, as they have in all figures, with their intervals.
    """
    correlated = "rho" in frame or "r" in frame
    for row in frame.itertuples(index=False):
        cells = []
        for name, value in zip(frame, row, strict=True):
            if name == "message":
                cells.append(titles.get(str(value), str(value)))
            else:
                ours = correlated and name != "p"
                cells.append(number(value, "g" if name in PLACES else ".2f" if ours else ".4f"))
        yield cells
