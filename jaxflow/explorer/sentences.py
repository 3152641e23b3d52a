"""Sentences at the head of a page: what the networks show, and what chance would show."""

from collections.abc import Mapping

import pandas as pd

from jaxflow.errors import counted
from jaxflow.explorer.writing import element, escaped, percent
from jaxflow.figures import middle_level
from jaxflow.outputs import Roles


def headline(outputs: pd.DataFrame, tradeoff: pd.DataFrame, bias: str, title: str) -> str:
    """What the networks show at their outputs, and with the first strategy's choice at the smallest factor from 0 on.

    The page opens in that state, and its script goes on writing the sentence as the controls say (``headlineOf``).
    """
    column = bias if bias in outputs else "output_bias"
    many = f"Mean of {len(outputs)} networks: " if len(outputs) > 1 else ""
    text = f"{many}{_both(outputs['output_accuracy'].mean(), outputs[column].mean(), title)} at the output"
    if len(tradeoff):
        factors = tradeoff["factor"].unique()
        factor = min((own for own in factors if own >= 0), default=factors[0])
        metric, method = tradeoff[["metric", "method"]].iloc[0]
        rows = tradeoff[(tradeoff["metric"] == metric) & (tradeoff["method"] == method)]
        level = middle_level(rows["level"])
        rows = rows[(rows["factor"] == factor) & (rows["level"] == level)]
        aim = rows[rows["attribute"] == rows["attribute"].iloc[0]] if "attribute" in rows else rows
        what = f"the top {method if level == 1 else counted(level, str(method))} by {metric} {_fate(factor)}"
        text += f"; with {what}, {_both(aim['accuracy'].mean(), aim[bias].mean(), title)}"
    return element("p", escaped(f"{text}."), class_="headline")


def _both(accuracy: float, bias: float, title: str) -> str:
    """The two measures, rounded as the page holds them."""
    return f"{percent(round(accuracy, 3))} accuracy and {percent(round(bias, 3))} {title}"


def _fate(factor: float) -> str:
    """What becomes of the weights that are pruned."""
    return "removed" if factor == 0 else "untouched" if factor == 1 else f"× {factor:g}".replace("-", "−")


def chance_line(chance: Mapping[str, float], roles: Roles, titles: Mapping[str, str]) -> str:
    """What accuracy and bias are where an output tells nothing; nothing where a run has not recorded it.

    Args:
        chance: per cent by measure, see ``chance.chance_levels``.
        roles: label and attributes.
        titles: what the flow about each message is called.
    """
    names = {name: f"bias{roles.suffix(name)}" for name in roles.attributes}
    if not {"accuracy", *names.values()} <= set(chance):
        return ""
    within = {"parity": "", "odds": f" within each class of {roles.label}",
              "opportunity": f" within the favourable class of {roles.label}"}[roles.notion]  # fmt: skip
    parts = [f"{percent(chance['accuracy'])} accuracy (always the largest class of {roles.label})"]
    for name, measure in names.items():
        why = f"always the largest class of {name}{within}" if chance[measure] else f"none of the variance of {name}"
        parts.append(f"{percent(chance[measure])} {titles[roles.measured(name)]} ({why}: nothing is told of {name})")
    text = f"Chance, an output that tells nothing: {', '.join(parts[:-1])} and {parts[-1]}."
    return element("p", escaped(text), class_="note chance-line")
