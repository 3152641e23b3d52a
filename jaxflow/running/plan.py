"""What a run is going to do: its parts, its identity, the size of its chunks, and the manifest to begin with."""

import hashlib
import importlib.metadata
import platform
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxflow import __version__
from jaxflow.batching import side_by_side
from jaxflow.chance import chance_levels
from jaxflow.datasets import Dataset, record
from jaxflow.flows import LISTED_NODES
from jaxflow.information import memory_needed
from jaxflow.information.cells import thin_lines, widest_listed
from jaxflow.information.exact import layers_together
from jaxflow.layers import widest
from jaxflow.networks import Network, Params
from jaxflow.running.chunks import unfinished
from jaxflow.running.config import Config, measured_messages
from jaxflow.running.hosts import Hosts
from jaxflow.running.manifest import assembled, planned_chunks
from jaxflow.running.progress import Report
from jaxflow.running.results import Results, run_name

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "matplotlib",
)


class Plan(NamedTuple):
    """What is run, where, and by whom.

    Attributes:
        config: the experiment.
        dataset: its data.
        network: the architecture.
        widths: nodes of every layer, input and output included.
        params: stacked parameters of networks that were trained elsewhere; None to train them.
        path: the results folder.
        overwrite: delete a former run in the folder.
        devices: of this process; None for all.
        hosts: the processes that share the chunks.
        report: called with stage, networks done and total.
    """

    config: Config
    dataset: Dataset
    network: Network
    widths: tuple[int, ...]
    params: Params
    path: Path
    overwrite: bool
    devices: int | None
    hosts: Hosts
    report: Report


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    ours = {"python": platform.python_version(), "jaxflow": __version__}
    return ours | {name: importlib.metadata.version(name) for name in PACKAGES}


def identity_of(plan: Plan) -> dict[str, Any]:
    """What must not have changed for a run to be continued."""
    identity = {**plan.config.as_json(), "data": plan.dataset.fingerprint()}
    del identity["seeds"], identity["chunk"]
    if plan.params is None:
        return identity
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(plan.params):
        digest.update(jax.tree_util.keystr(path).encode() + np.ascontiguousarray(leaf).tobytes())
    return {**identity, "params": digest.hexdigest()}


def chunk_size(plan: Plan) -> int:
    """Networks that are processed and saved together when the config leaves it open.

    An accelerator gets as many as it can hold; a CPU at most 100, which are as fast as more, and about a minute's work,
    which is what an interruption may lose. Few for estimators whose fits take minutes. With several
    hosts JAX does not run yet when process 0 plans: 25, or less so that every process has a share.
    """
    config = plan.config
    if config.spec.chunk is not None:
        return config.spec.chunk
    if plan.hosts.processes > 1:
        return min(25, -(-config.seeds // plan.hosts.processes))
    rows, widths = len(plan.dataset.test.x), plan.widths[config.first_layer :]
    edges = sum(n * m for n, m in pairwise(widths))
    swept = len(config.strategies) * len(config.factors) * len(plan.dataset.attributes)
    return side_by_side(item_bytes=8 * rows * sum(widths), item_work=rows * edges * (swept + edges))


def announce(plan: Plan) -> None:
    """Say before it begins what layers too wide to list will take or that they are searched, and where rows are few."""
    spec = plan.config.spec
    nodes = max(plan.widths[plan.config.first_layer :])
    if nodes > (most := widest(spec)):
        plan.report(f"flows of layers above {most} nodes are searched", 0, plan.config.seeds)
    elif spec.flows is not None and nodes > LISTED_NODES:
        gigabytes = layers_together(nodes) * memory_needed(nodes) / 2**30
        plan.report(f"exact flows of {nodes} nodes will take {gigabytes:.2f} GB", 0, plan.config.seeds)
    for line in thin_messages(plan):
        plan.report(line, 0, plan.config.seeds)


def thin_messages(plan: Plan) -> list[str]:
    """A line for every message with classes, or classes within strata, of too few rows of the analysis half."""
    first, groups, roles = plan.config.first_layer, plan.network.groups, plan.config.roles(plan.dataset)
    columns = widest_listed(plan.widths[first:], groups and groups[first:], plan.config.spec.most)
    messages = measured_messages(roles, plan.dataset)
    return thin_lines({name: messages[name] for name in roles.measured_names}, columns, plan.dataset.values)


def manifest_of(
    config: Config, identity: dict[str, Any], manifest: dict[str, Any] | None, results: Results, plan: Plan
) -> dict[str, Any]:
    """The manifest to begin or go on with: its chunks, and which of them have yet to be computed."""
    old = manifest or {}
    run = old.get("run", run_name(identity))
    chunks = planned_chunks(old.get("chunks", ()), config.seeds, config.chunk or config.seeds)
    most = widest(config.spec) if plan.hosts.processes == 1 else config.spec.most
    roles = config.roles(plan.dataset)
    pending = unfinished(results.path, chunks, manifest, run, lambda line: plan.report(line, 0, config.seeds))
    return {
        "experiment": config.name,
        "seeds": config.seeds,
        "assembled": assembled(old) if old else 0,
        "identity": {key: old.get("identity", {}).get(key, value) for key, value in identity.items()},
        "run": run,
        "label": plan.dataset.label,
        "attributes": list(plan.dataset.attributes),
        "dataset": record(plan.dataset),
        "chance": chance_levels(measured_messages(roles, plan.dataset), roles),
        "searched": [layer for layer, nodes in enumerate(plan.widths) if layer >= config.first_layer and nodes > most],
        "thin": thin_messages(plan),
        "chunks": chunks,
        "finished": False,
        "versions": versions(),
        "seconds": old.get("seconds", {}),
        "pending": pending,
    }
