"""Information flows in trained networks, and interventions on them, for hundreds of seeds at once.

The examples in the documentation of its names begin with

    import jax, jax.numpy as jnp, numpy as np
    from jaxflow import *

Names are imported when they are first used, so that ``jaxflow --help`` needs no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxflow import information, pipeline
    from jaxflow.analysis import measure_outputs, measure_pruning, network_flows
    from jaxflow.batching import map_networks
    from jaxflow.datasets import Dataset, Split, load_dataset, read_table
    from jaxflow.editing import Edit, edit, recalibrated
    from jaxflow.errors import InputError, ThinCellsWarning
    from jaxflow.flows import Flows, edge_flows, node_flows
    from jaxflow.inference import honest_flows, noise_floor, significance
    from jaxflow.information import copula, gaussian, kernel_svm, knn, linear_svm, probe, quadratic
    from jaxflow.information.search import search_flows
    from jaxflow.interventions import prune, rank, select
    from jaxflow.messages import Message, as_message
    from jaxflow.metrics import METRICS, Scores, Shown
    from jaxflow.networks import Network, flax_network, mlp, network
    from jaxflow.running.recording import measure
    from jaxflow.running.reporting import report
    from jaxflow.training import Training, train_many

__version__ = "0.2.0"  # here alone: the build, the command, manifests and reports read it

__all__ = [
    "METRICS",
    "Dataset",
    "Edit",
    "Flows",
    "InputError",
    "Message",
    "Network",
    "Scores",
    "Shown",
    "Split",
    "ThinCellsWarning",
    "Training",
    "as_message",
    "copula",
    "edge_flows",
    "edit",
    "flax_network",
    "gaussian",
    "honest_flows",
    "information",
    "kernel_svm",
    "knn",
    "linear_svm",
    "load_dataset",
    "map_networks",
    "measure",
    "measure_outputs",
    "measure_pruning",
    "mlp",
    "network",
    "network_flows",
    "node_flows",
    "noise_floor",
    "pipeline",
    "probe",
    "prune",
    "quadratic",
    "rank",
    "read_table",
    "recalibrated",
    "report",
    "search_flows",
    "select",
    "significance",
    "train_many",
]

_HOMES = {
    "Dataset": "datasets",
    "Split": "datasets",
    "load_dataset": "datasets",
    "read_table": "datasets",
    "Edit": "editing",
    "edit": "editing",
    "recalibrated": "editing",
    "InputError": "errors",
    "ThinCellsWarning": "errors",
    "copula": "information",
    "gaussian": "information",
    "probe": "information",
    "quadratic": "information",
    "knn": "information",
    "linear_svm": "information",
    "kernel_svm": "information",
    "map_networks": "batching",
    "measure": "running.recording",
    "report": "running.reporting",
    "measure_outputs": "analysis",
    "measure_pruning": "analysis",
    "network_flows": "analysis",
    "honest_flows": "inference",
    "significance": "inference",
    "Flows": "flows",
    "edge_flows": "flows",
    "node_flows": "flows",
    "noise_floor": "inference",
    "prune": "interventions",
    "rank": "interventions",
    "select": "interventions",
    "Message": "messages",
    "as_message": "messages",
    "METRICS": "metrics",
    "Scores": "metrics",
    "Shown": "metrics",
    "Network": "networks",
    "flax_network": "networks",
    "mlp": "networks",
    "network": "networks",
    "Training": "training",
    "train_many": "training",
    "search_flows": "information.search",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxflow.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"jaxflow.{name}")
    from jaxflow.errors import did_you_mean

    hint = did_you_mean(name, __all__)
    raise AttributeError(f"module 'jaxflow' has no attribute {name!r}{hint and f'; {hint}'}")


def __dir__() -> list[str]:
    """The public names too, for completion."""
    return sorted({*globals(), *__all__})
