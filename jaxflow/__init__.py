"""Information flows in trained networks, and interventions on them, for hundreds of seeds at once.

Names are imported when they are first used, so that ``jaxflow --help`` needs no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxflow import information, pipeline
    from jaxflow.datasets import Dataset, Split, load_dataset
    from jaxflow.errors import InputError
    from jaxflow.flows import edge_flows, node_flows
    from jaxflow.inference import noise_floor
    from jaxflow.information.search import search_flows
    from jaxflow.interventions import prune

__all__ = [
    "Dataset",
    "InputError",
    "Split",
    "edge_flows",
    "information",
    "load_dataset",
    "node_flows",
    "noise_floor",
    "pipeline",
    "prune",
    "search_flows",
]

_HOMES = {
    "Dataset": "datasets",
    "Split": "datasets",
    "load_dataset": "datasets",
    "InputError": "errors",
    "edge_flows": "flows",
    "node_flows": "flows",
    "noise_floor": "inference",
    "prune": "interventions",
    "search_flows": "information.search",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxflow.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"jaxflow.{name}")
    raise AttributeError(f"module 'jaxflow' has no attribute {name!r}")
