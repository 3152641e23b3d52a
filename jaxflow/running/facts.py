"""What was run, as names and values that a report shows."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from jaxflow.errors import shown

MOST_SHOWN = 400  # characters of a value of the config


def estimator_of(identity: Mapping[str, Any]) -> str:
    """Its name; of a function of the user's what is recorded of it."""
    name = identity.get("estimator", "")
    return name if isinstance(name, str) else shown(name, form=str)


def config_facts(identity: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The config, strategies by metric and method with their levels."""
    kept = {name: value for name, value in identity.items() if name not in ("strategies", "training", "data", "name")}
    rows = [
        *plain_facts(kept),
        *plain_facts({f"training: {name}": own for name, own in identity.get("training", {}).items()}),
    ]
    strategies = identity.get("strategies", [])
    for (metric, method), own in groupby(strategies, key=lambda strategy: (shown(strategy[0], form=str), strategy[1])):
        rows.append((f"pruned by {metric}", f"{method}s {', '.join(str(strategy[2]) for strategy in own)}"))
    return rows


def data_facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows, classes, and where the data come from."""
    rows = data.get("rows", {})
    held = {f"rows to {what}": rows[half] for what, half in (("train", "train"), ("analyse", "test")) if half in rows}
    classes = {f"classes of {name}": ", ".join(map(str, values)) for name, values in data.get("values", {}).items()}
    return [*plain_facts(held), *plain_facts(classes), *plain_facts(data.get("source", {}))]


def machine_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Device, seconds and versions."""
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in manifest["seconds"].items())
    versions = ", ".join(f"{name} {value}" for name, value in manifest["versions"].items())
    rows = [("device", str(manifest.get("device", ""))), ("seconds", seconds), ("versions", versions)]
    return [row for row in rows if row[1]]


def plain_facts(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Names and values as text; what is not there is left out."""
    for name, value in values.items():
        if value is None or value == [] or value == "":
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield name.replace("_", " "), shown(text, MOST_SHOWN, form=str)
