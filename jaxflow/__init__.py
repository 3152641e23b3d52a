"""Information flows in trained networks, and interventions on them, for hundreds of seeds at once."""

from jaxflow import information, pipeline
from jaxflow.datasets import Dataset, Half, load_dataset
from jaxflow.errors import InputError
from jaxflow.flows import edge_flows, node_flows
from jaxflow.interventions import prune

__all__ = [
    "Dataset",
    "Half",
    "InputError",
    "edge_flows",
    "information",
    "load_dataset",
    "node_flows",
    "pipeline",
    "prune",
]
