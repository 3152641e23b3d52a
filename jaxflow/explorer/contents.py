"""What a report holds of a run's tables: plain JSON values, arrays packed as text.

Means go over all networks. Some networks, spread evenly over their biases, are held in full, as many as fit into a page
of a size that a browser opens at once.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from jaxflow.errors import InputError, printable, shown
from jaxflow.explorer.packing import packed, packed_floats, plain
from jaxflow.figures import message_titles, typical_network
from jaxflow.figures.style import ALPHA
from jaxflow.outputs import Roles, measure_names

Table: TypeAlias = Callable[[str], pd.DataFrame]
MOST_EDGES = 20_000  # of a network; beyond, the page has nodes only
DETAIL = 850_000  # characters that networks in full may take
CURVES = 200_000  # and their own tradeoff curves
PER_EDGE, PER_EFFECT, PER_NODE, PER_OUTPUT = 5.4, 1.7, 20, 1.4  # characters, roughly
POINTS, OWN_POINTS = 0.001, 0.02  # steps of percentage points: of means, of one network's curves
LONGEST = 48  # characters of a name in a drawing
EVIDENCE = ("null95", "p_max", "honest", "low", "high")


class About(NamedTuple):
    """What the tables do not say of themselves.

    Attributes:
        title: name of the experiment or recording.
        subtitle: a line about it.
        estimator: name of it.
        roles: label and attributes; None of a recording.
        names: of the nodes of the first layer, or of a recording's nodes.
        samples: N of the flows' estimate; None where it is not known.
        notes: on what cannot be known, whole sentences or lines.
        facts: what was run, name and value.
        command: that runs it again; empty where there is none.
        version: of jaxflow.
        confidence: of the intervals of honest flows.
        chance: what accuracy and bias come to where an output tells nothing, per cent by measure; empty where an
            earlier version ran and did not record it.
    """

    title: str
    subtitle: str
    estimator: str
    roles: Roles | None
    names: Sequence[str]
    samples: int | None
    notes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    command: str
    version: str
    confidence: float = 0.95
    chance: Mapping[str, float] = MappingProxyType({})


class Grid(NamedTuple):
    """Which networks, nodes and edges the tables speak of, in the order of their rows."""

    networks: np.ndarray
    messages: list[str]
    layer: np.ndarray
    node: np.ndarray
    edges: np.ndarray

    def of_nodes(self, values: pd.Series) -> np.ndarray:
        """A column of the node table as ``[networks, messages, nodes]``."""
        return self._cube(values, len(self.layer), "node_flows")

    def of_edges(self, values: pd.Series) -> np.ndarray:
        """A column of a table of edges as ``[networks, messages, edges]``."""
        return self._cube(values, len(self.edges), "edge_flows")

    def _cube(self, values: pd.Series, items: int, name: str) -> np.ndarray:
        shape = len(self.networks), items, len(self.messages)
        if len(values) != np.prod(shape):
            raise InputError(f"{name}.csv does not hold every network; the run's command makes it again")
        return values.to_numpy().reshape(shape).transpose(0, 2, 1)


def grid_of(node_flows: pd.DataFrame, edges: pd.DataFrame | None) -> Grid:
    """Networks, messages, nodes and edges, as the first network's rows name them.

    Raises:
        InputError: the edges are not all those between neighbouring layers.
    """
    networks = node_flows["network"].unique()
    first = node_flows[node_flows["network"] == networks[0]]
    messages = list(dict.fromkeys(first["message"]))
    nodes = first[first["message"] == messages[0]]
    ends = np.zeros((0, 3), int)
    if edges is not None and len(edges):
        own = edges[(edges["network"] == networks[0]) & (edges["message"] == messages[0])]
        ends = own[["layer", "source", "target"]].to_numpy(int)
    widths = nodes.groupby("layer").size().to_numpy()
    if len(ends) not in (0, int((widths[:-1] * widths[1:]).sum())):
        raise InputError("edge_flows.csv does not hold every edge; the run's command makes it again")
    return Grid(networks, messages, nodes["layer"].to_numpy(int), nodes["node"].to_numpy(int), ends)


def titles_of(roles: Roles) -> dict[str, str]:
    """What figures call the flow about each message, without the marks that matplotlib needs."""
    return {name: title.replace("\\$", "$") for name, title in message_titles(roles).items()}


def run_contents(table: Table, about: About) -> dict[str, Any]:
    """Everything of a run of networks."""
    roles = about.roles
    assert roles is not None
    nodes, edges, tradeoff, outputs = map(table, ("node_flows", "edge_flows", "tradeoff", "networks"))
    grid = grid_of(nodes, edges)
    full = _in_full(grid, outputs, roles)
    drawn = len(grid.edges) <= MOST_EDGES
    return {
        **_common(grid, titles_of(roles), about),
        "kind": "run",
        "label": roles.label,
        "notion": roles.notion,
        "attributes": [
            {"name": name, "title": titled(name), "message": roles.measured(name), "suffix": roles.suffix(name)}
            for name in roles.attributes
        ],
        "shown": grid.networks[full].tolist(),
        "typical": typical_of(outputs, roles),
        "chance": dict(about.chance),
        "nodes": node_arrays(grid, nodes, full),
        "edges": edge_arrays(grid, edges, table("dependence"), full) if drawn else None,
        "outputs": outputs.shape[1] - 1,
        "tradeoff": tradeoff_arrays(tradeoff, outputs, roles, full) if len(tradeoff) else None,
    }


def recording_contents(table: Table, edges: pd.DataFrame | None, about: About) -> dict[str, Any]:
    """Everything of a recording: every time bin is a layer."""
    nodes = table("node_flows")
    grid = grid_of(nodes, edges)
    times = nodes.drop_duplicates("layer")["time"].to_numpy(float)
    only = np.array([0])
    held = edges is not None and 0 < len(grid.edges) <= MOST_EDGES
    return {
        **_common(grid, {message: message for message in grid.messages}, about),
        "kind": "recording",
        "times": times.tolist(),
        "shown": [0],
        "typical": 0,
        "nodes": node_arrays(grid, nodes, only),
        "edges": edge_arrays(grid, edges, None, only) if held and edges is not None else None,
        "outputs": 0,
        "tradeoff": None,
    }


def _common(grid: Grid, titles: dict[str, str], about: About) -> dict[str, Any]:
    """What both kinds have: messages, and how wide the layers are."""
    layers = np.unique(grid.layer)
    return {
        "title": printable(about.title),
        "estimator": about.estimator,
        "alpha": ALPHA,
        "samples": about.samples,
        "confidence": about.confidence,
        "networks": grid.networks.tolist(),
        "messages": [{"name": name, "title": titled(titles[name])} for name in grid.messages],
        "layers": layers.tolist(),
        "widths": [int((grid.layer == layer).sum()) for layer in layers],
        "names": [printable(name) for name in about.names],
    }


def titled(name: str) -> str:
    """A user's name as drawings show it: on one line, without marks that turn the text around them, not too long."""
    return shown(name, LONGEST, form=str)


def _in_full(grid: Grid, outputs: pd.DataFrame, roles: Roles) -> np.ndarray:
    """Places of the networks that are held in full: all, or the typical one and some spread evenly over the biases."""
    count, messages = len(grid.networks), len(grid.messages)
    edges = len(grid.edges) if len(grid.edges) <= MOST_EDGES else 0
    each = edges * (PER_EDGE + messages * PER_EFFECT) + len(grid.layer) * messages * PER_NODE
    most = max(1, int(DETAIL / each))
    if count <= most:
        return np.arange(count)
    column = bias_column(roles)
    order = np.argsort(outputs[column].to_numpy(), kind="stable")
    spread = order[np.round(np.linspace(0, count - 1, most - 1)).astype(int)] if most > 1 else []
    typical = np.flatnonzero(outputs["network"] == typical_of(outputs, roles))
    return np.unique([*typical, *spread]).astype(int)


def bias_column(roles: Roles) -> str:
    """The bias about the first attribute in the table of networks."""
    suffix = roles.suffix(roles.attributes[0])
    return f"bias{suffix}" if suffix else "output_bias"


def typical_of(outputs: pd.DataFrame, roles: Roles) -> int:
    """The network that a page opens with, whose bias about the first attribute is the median.

    It is no mean: hidden nodes of different networks do not correspond.
    """
    return int(typical_network(outputs, bias_column(roles)))


def node_arrays(grid: Grid, table: pd.DataFrame, shown: np.ndarray) -> dict[str, Any]:
    """Flows exactly, with what stands beside them, of the networks in full; means over all networks."""
    flow = grid.of_nodes(table["flow"])
    witness = grid.of_nodes(table["witness"].astype(str))[shown].ravel()
    lists, places = np.unique(witness, return_inverse=True)
    held = {name: grid.of_nodes(table[name]).astype(float) for name in EVIDENCE if name in table}
    p_max = held.get("p_max", np.full(flow.shape, np.nan))
    return {
        "flow": packed_floats(flow[shown]),
        "witnesses": lists.tolist(),
        "witness": plain(places.astype(float), 1.0),
        "evidence": {name: plain(values[shown]) for name, values in held.items()},
        "mean": plain(flow.mean(axis=0)),
        "deviation": plain(flow.std(axis=0)),
        "strong": plain(np.where(np.isnan(p_max), np.nan, p_max < ALPHA).mean(axis=0), POINTS),
    }


def edge_arrays(grid: Grid, edges: pd.DataFrame, dependence: pd.DataFrame | None, shown: np.ndarray) -> dict[str, Any]:
    """Weights exactly, and effects of removal, of the networks in full; means over all networks."""
    weight, flow = grid.of_edges(edges["weight"])[:, 0], grid.of_edges(edges["flow"])
    effect = None if dependence is None else grid.of_edges(dependence["effect"])
    return {
        "weight": packed_floats(weight[shown]),
        "size": plain(np.abs(weight).mean(axis=0)),
        "mean": plain(flow.mean(axis=0)),
        "effect": None if effect is None else plain(effect[shown]),
        "mean_effect": None if effect is None else plain(effect.mean(axis=0)),
    }


def tradeoff_arrays(table: pd.DataFrame, outputs: pd.DataFrame, roles: Roles, shown: np.ndarray) -> dict[str, Any]:
    """Means and standard errors of every measure, and accuracy and bias of networks in full.

    Of one network's curve its change is kept, in percentage points from what the network shows at the largest factor.
    """
    names, networks = measure_names(roles), len(outputs)
    start = outputs.rename(columns={"output_accuracy": "accuracy", "output_bias": "bias"})
    first = table[table["network"] == table["network"].iloc[0]]
    factors = list(dict.fromkeys(first["factor"]))
    aims = first[first["factor"] == factors[0]]
    cubes = {name: table[name].to_numpy(float).reshape(networks, len(aims), len(factors)) for name in names}
    attribute = aims["attribute"] if "attribute" in aims else pd.Series([roles.attributes[0]] * len(aims))
    bias = np.stack([cubes[f"bias{roles.suffix(name)}"][:, k] for k, name in enumerate(attribute)], axis=1)
    curves = max(1, int(CURVES / (2 * len(aims) * len(factors) * PER_OUTPUT)))
    own = shown if len(shown) <= curves else shown[np.unique(np.linspace(0, len(shown) - 1, curves).astype(int))]
    return {
        "factors": factors,
        "strategies": [
            [str(row.metric), str(row.method), int(row.level), roles.attributes.index(name)]
            for row, name in zip(aims.itertuples(), attribute, strict=True)
        ],
        "measures": list(names),
        "start": [None if np.isnan(own) else round(float(own), 3) for own in start[list(names)].mean()],
        "mean": packed(np.stack([cube.mean(axis=0) for cube in cubes.values()]), POINTS),
        "error": packed(np.stack([_standard_error(cube) for cube in cubes.values()]), POINTS),
        "own": own.tolist(),
        "own_accuracy": packed(cubes["accuracy"][own], OWN_POINTS),
        "own_bias": packed(bias[own], OWN_POINTS),
    }


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over networks, axis 0; 0 of a single network."""
    count = len(values)
    return values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(values.shape[1:])
