"""Figures from tables. Every function takes or makes Axes or a Figure and returns it; none saves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from jaxflow.errors import counted
from jaxflow.figures.curves import mark_unpruned, tradeoff, tradeoff_by_metric, tradeoff_curve, tradeoff_levels
from jaxflow.figures.effects import dependence, dependence_panel
from jaxflow.figures.networks import flow_panel, flows, training, typical_network
from jaxflow.figures.recordings import all_figures, flow_matrix, flow_network, flow_over_time
from jaxflow.figures.style import (
    COLOURS,
    LONGEST_TITLE,
    MARKERS,
    PAPER_TITLES,
    laid_out,
    message_titles,
    middle_level,
    new_figure,
    paper_style,
    plain_text,
)
from jaxflow.outputs import Roles

__all__ = [
    "COLOURS",
    "MARKERS",
    "PAPER_TITLES",
    "counted",
    "dependence",
    "dependence_panel",
    "draw_all",
    "draw_recording",
    "flow_matrix",
    "flow_network",
    "flow_over_time",
    "flow_panel",
    "flows",
    "laid_out",
    "mark_unpruned",
    "message_titles",
    "middle_level",
    "new_figure",
    "paper_style",
    "plain_text",
    "run_title",
    "tradeoff",
    "tradeoff_by_metric",
    "tradeoff_curve",
    "tradeoff_levels",
    "training",
    "typical_network",
]


def draw_all(
    table: Callable[[str], pd.DataFrame],
    title: str,
    roles: Roles,
    names: Sequence[str] = (),
    chance: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[tuple[str, Figure]]:
    """Every figure of a run with its name.

    Args:
        table: the run's tables by name, such as ``Results.table``.
        title: of the figures.
        roles: label and attributes.
        names: of the nodes of the first layer shown.
        chance: what accuracy and bias come to where an output tells nothing, per cent by measure.
    """
    with paper_style():
        for name, figure in _all_figures(table, title, roles, names, chance):
            yield name, laid_out(figure)


def draw_recording(
    flows: pd.DataFrame, edges: pd.DataFrame, title: str, names: Sequence[str] = ()
) -> Iterator[tuple[str, Figure]]:
    """Every figure of a recording with its name.

    Args:
        flows: the node-flow table.
        edges: the edge-flow table; empty without weights.
        title: of the figures, as it is given.
        names: of the nodes.
    """
    with paper_style():
        for name, figure in all_figures(flows, edges, plain_text(title, LONGEST_TITLE), names):
            yield name, laid_out(figure)


def _all_figures(
    table: Callable[[str], pd.DataFrame], title: str, roles: Roles, names: Sequence[str], chance: Mapping[str, float]
) -> Iterator[tuple[str, Figure]]:
    """``draw_all`` before the layout."""
    networks, curves = table("networks"), table("training")
    if len(curves):
        yield "training", training(curves, title)
    suffix = roles.suffix(roles.attributes[0])
    typical = typical_network(networks, f"bias{suffix}" if suffix else "output_bias")
    yield "flows", flows(table("node_flows"), table("edge_flows"), typical, title, names, roles)
    yield "dependence", dependence(table("dependence"), title, roles)
    tradeoffs = table("tradeoff")
    if len(tradeoffs):
        yield "tradeoff", tradeoff(tradeoffs, networks, title, roles, chance)
        yield "tradeoff_levels", tradeoff_levels(tradeoffs, networks, title, roles, chance)


def run_title(name: str, estimator: str, networks: int) -> str:
    """The title of a run's figures."""
    return f"{plain_text(name, LONGEST_TITLE)}, {estimator} estimate, {counted(networks, 'network')}"
