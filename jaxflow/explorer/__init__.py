"""A page to explore a run, a recording or edits with: one HTML file from its tables, which needs nothing outside."""

import pandas as pd

from jaxflow.explorer.citing import citation
from jaxflow.explorer.contents import About, Table, recording_contents, run_contents, titles_of
from jaxflow.explorer.edit_figures import change_figure, edit_key, edited_figure
from jaxflow.explorer.edits import Asked, Shape, changes_tables, edit_contents, edits_table, headline_of, options_of
from jaxflow.explorer.page import filled
from jaxflow.explorer.sentences import chance_line, headline
from jaxflow.explorer.still import (
    course_caption,
    course_figure,
    key,
    network_figure,
    networks_table,
    nodes_table,
    statistics_tables,
    tradeoff_figure,
    tradeoff_table,
)
from jaxflow.explorer.writing import element, escaped
from jaxflow.outputs import measure_names

__all__ = ["About", "Asked", "Shape", "edit_page", "recording_page", "run_page"]


def run_page(table: Table, about: About) -> str:
    """The page of a run of networks.

    Args:
        table: the run's tables by name, such as ``Results.table``.
        about: what they do not say.

    Raises:
        InputError: a table is missing or incomplete.
    """
    roles = about.roles
    assert roles is not None
    kept = {name: table(name) for name in ("node_flows", "edge_flows", "networks", "tradeoff", "dependence")}
    contents = run_contents(kept.__getitem__, about)
    titles = titles_of(roles)
    bias = f"bias{roles.suffix(roles.attributes[0])}"
    title = titles[roles.measured(roles.attributes[0])]
    sweep = kept["tradeoff"]
    first = list(titles).index(roles.measured(roles.attributes[0]))
    number, many = contents["typical"], len(contents["networks"]) > 1
    nodes, edges = (own[own["network"] == number] for own in (kept["node_flows"], kept["edge_flows"]))
    one = f"Network {number}, whose bias is the median" if many else ""
    parts = {
        "headline": headline(kept["networks"], sweep, bias, title) + chance_line(about.chance, roles, titles),
        "network_figure": network_figure(
            nodes, edges if contents["edges"] is not None else None, title, first, about.names
        ),
        "network_caption": f"{one}{': t' if one else 'T'}he widest edge and the darkest node have the largest flow.",
        "tradeoff_figure": tradeoff_figure(sweep, bias, title, about.chance) if len(sweep) else "",
        "statistics": statistics_tables(table("correlations"), table("predictors"), titles),
        "networks": networks_table(kept["networks"], contents["shown"]),
        "tables": (tradeoff_table(sweep, measure_names(roles)) if len(sweep) else "")
        + nodes_table(nodes, titles, "Flow of every node, bits" + (f": {one.lower()}" if one else "")),
    }
    there = {"networks", "effects", *(["tradeoff"] if len(sweep) else [])}
    return filled("run", contents, {**_common(about, list(titles.values())), **parts}, there)


def recording_page(table: Table, edges: pd.DataFrame | None, about: About) -> str:
    """The page of a recording, whose layers are time bins.

    Args:
        table: its tables by name.
        edges: the edge-flow table; None where the weights were not known.
        about: what they do not say.

    Raises:
        InputError: a table is missing or incomplete.
    """
    nodes = table("node_flows")
    contents = recording_contents(lambda _: nodes, edges, about)
    messages = [own["name"] for own in contents["messages"]]
    drawn = edges if contents["edges"] is not None else None
    parts = {
        "statistics": "",
        "network_figure": network_figure(nodes, drawn, messages[0], 0, about.names),
        "course_figure": course_figure(nodes, messages[0]),
        "course_caption": course_caption(nodes, about.confidence),
        "tables": nodes_table(nodes, {}),
    }
    there = {"course"} if len(contents["times"]) > 1 else set()
    return filled("run", contents, {**_common(about, messages), **parts}, there)


def edit_page(edits: pd.DataFrame, shape: Shape, about: About, asked: Asked) -> str:
    """The page of edited networks.

    Args:
        edits: the table of edits, two rows a network.
        shape: the networks that were written.
        about: what the table does not say.
        asked: what the edits were to reach.

    Raises:
        InputError: the table names an edge that there is not.
    """
    assert about.roles is not None
    contents = edit_contents(edits, shape, about, asked)
    options = options_of(edits, about.roles, asked)
    (title, columns), *_ = options.items()
    place = contents["networks"].index(contents["typical"])
    parts = {
        "headline": headline_of(edits, options, asked) + chance_line(about.chance, about.roles, titles_of(about.roles)),
        "network_figure": edited_figure(shape, place, dict(contents["edits"][place]), about.names),
        "key": edit_key(),
        "change_figure": change_figure(edits, title, columns),
        "changes": changes_tables(edits, options, asked),
        "networks": edits_table(edits, options),
    }
    return filled("edit", contents, {**_common(about, []), **parts})


def _common(about: About, titles: list[str]) -> dict[str, str]:
    """What every page has: its head, what was run, how to cite."""
    facts = "".join(element("dt", escaped(name)) + element("dd", escaped(value)) for name, value in about.facts)
    command = element("h3", "Command") + element("pre", escaped(about.command), tabindex=0) if about.command else ""
    return {
        "heading": escaped(about.title),
        "subtitle": escaped(about.subtitle),
        "headline": "",
        "version": escaped(about.version),
        "notes": "".join(element("p", escaped(line), class_="note") for line in about.notes),
        "network_caption": "The widest edge and the darkest node have the largest flow.",
        "network_title": "Network" if about.roles is not None else "Flow of every node in every bin",
        "key": key(titles, about.roles is not None) if titles else "",
        "facts": element("dl", facts),
        "command": command,
        "citation": "\n".join(map(escaped, citation(about.version).splitlines())),
    }
