"""The guide of ``truth.md``: ``truth_guide.md``, a tree of questions, with the numbers of the study's tables."""

import re
from pathlib import Path

import pandas as pd
from truth_tables import above_truth, answered, signed, whole_layers
from truths import CLASSES, NUMBERS

ROWS, FEW = 1000, 250  # of the tables' rows that the guide quotes
SCENES = {"classes": tuple(CLASSES), "numbers": tuple(NUMBERS)}
MISSING = "?"
GUIDE = Path(__file__).with_suffix(".md")  # what a quote in braces is: see quoted


def quoted(tables: dict[str, pd.DataFrame], what: str, *of: str) -> str:
    """A number of the guide, ``MISSING`` where the tables have none.

    Args:
        tables: ``truth`` of whole layers and of subsets, ``speed`` of all subsets of wide layers.
        what: ``bias`` and ``few`` of an estimator and a scene, ``far`` of an estimator and a kind of messages,
            ``above`` and ``seconds`` of an estimator, ``all`` of a number of nodes.
        of: of what.
    """
    if what == "all":
        speed = tables["speed"]
        own = speed[(speed["nodes"] == int(of[0])) & (speed["package"] == "jaxflow")]
        return f"{own['later'].iloc[0]:.2g}" if len(own) else MISSING
    truth = tables["truth"]
    own = truth[(truth["estimator"] == of[0]) & (truth["rows"] == (FEW if what == "few" else ROWS))]
    if what in ("bias", "few"):
        own = own[own["scene"] == of[1]]
    if what == "far":
        own = own[own["scene"].isin(SCENES[of[1]])]
    if what == "above":
        return f"{above_truth(own).sum()} of {len(own)}" if len(own) else MISSING
    layers = whole_layers(own).dropna(subset=["bias"]) if len(own) else own
    if not len(layers):
        return MISSING
    if what == "seconds":
        return f"{layers['seconds'].median():.2g}"
    return f"{layers['bias'].abs().mean():.3f}" if what == "far" else signed(layers["bias"].iloc[0])


def guide_text(truth: pd.DataFrame, speed: pd.DataFrame) -> str:
    """The guide with its numbers."""
    tables, guide = {"truth": answered(truth), "speed": speed}, GUIDE.read_text(encoding="utf-8").strip()
    quotes = set(re.findall(r"\{([^}]+)\}", guide))
    numbers = {quote: quoted(tables, *quote.split("|")) for quote in quotes}
    text = re.sub(r"\{([^}]+)\}", lambda own: numbers[own[1]], guide)
    note = f"\n\nA {MISSING} stands for what the tables do not have yet."
    return text + note if MISSING in numbers.values() else text
