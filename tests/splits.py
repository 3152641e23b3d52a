"""Halves of a dataset with the paper's two messages."""

from typing import Any

from jaxflow import Split


def half(x: Any, y: Any, z: Any) -> Split:
    """Features, a label and one attribute."""
    return Split(x, {"y": y, "z": z})
