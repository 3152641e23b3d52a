"""Some layers of a recording through everything: flows, permutations, honest flows, and their tables."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxflow import tables
from jaxflow.datasets.recordings import Layer, Recording
from jaxflow.errors import ThinCellsWarning
from jaxflow.flows import edge_flows
from jaxflow.inference import honest_flows
from jaxflow.inference.permutations import family_wise, node_wise, permuted_flows, pooled95
from jaxflow.information import EstimatorSpec
from jaxflow.messages import Message
from jaxflow.running.progress import Stages

STAGES: tuple[str, ...] = ("flows", "honest flows")


class Question(NamedTuple):
    """What is asked of a recording.

    Attributes:
        messages: by name, with what is given.
        within: numbers ``[N]`` of rows that permutations may exchange; or None.
        spec: the estimator.
        permutations: B.
        confidence: of the intervals of honest flows.
        seed: of permutations and halves.
    """

    messages: dict[str, Message]
    within: Any
    spec: EstimatorSpec
    permutations: int
    confidence: float
    seed: int

    @property
    def honest(self) -> bool:
        """Whether there are honest flows by this estimator."""
        return self.spec.honest

    def key(self, purpose: int) -> Any:
        """The key of the permutations (2, as in a run), or of the halves of honest flows (3)."""
        return jax.random.fold_in(jax.random.key(self.seed), purpose)


class Stack(NamedTuple):
    """Layers that go through the same program: of equal columns and groups.

    Attributes:
        numbers: of the layers.
        activations: ``[S, N, c]``.
        groups: the node of every column, or None.
    """

    numbers: tuple[int, ...]
    activations: np.ndarray
    groups: tuple[int, ...] | None


def stacks(layers: Sequence[Layer], start: int, stop: int) -> list[Stack]:
    """Layers ``start … stop − 1`` in stacks of equal ones."""
    numbers: dict[Any, list[int]] = {}
    for number in range(start, stop):
        numbers.setdefault((layers[number].activity.shape[1], layers[number].groups), []).append(number)
    return [
        Stack(tuple(own), np.stack([layers[number].activity for number in own]), groups)
        for (_, groups), own in numbers.items()
    ]


def measure_bins(
    recording: Recording, question: Question, bounds: Sequence[int], stages: Stages
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Tables of layers ``start … stop − 1``, without p_max, and the flows about permutations that it is made from.

    Args:
        recording: the layers.
        question: what is asked.
        bounds: ``start, stop``.
        stages: for progress.

    Returns:
        Tables by name, and for the i-th message ``flow_i [n]`` and ``drawn_i [B, n]``, of all nodes of these layers.
    """
    start, stop = bounds
    together = stacks(recording.layers, start, stop)
    found: dict[str, dict[str, dict[int, Any]]] = {name: {} for name in question.messages}
    drawn: dict[str, dict[int, np.ndarray]] = {name: {} for name in question.messages}
    with stages("flows") as advance:
        for name, message in question.messages.items():
            for stack in together:
                _permuted(question, message, stack, found[name], drawn[name])
            advance(1)
    with stages("honest flows") as advance:
        for name, message in question.messages.items():
            for stack in together:
                _honest(question, message, stack, found[name])
            advance(1)
    times = {number: recording.layers[number].time for number in range(start, stop)}
    arrays = {}
    for place, name in enumerate(found):
        arrays[f"flow_{place}"] = np.concatenate([found[name]["flow"][number] for number in times])
        arrays[f"drawn_{place}"] = np.concatenate([drawn[name][number] for number in times], axis=1)
    frames = {"node_flows": tables.recorded_flows_table(times, found)}
    return frames | _edges(recording, found, times), arrays


def _permuted(question: Question, message: Message, stack: Stack, found: Any, drawn: Any) -> None:
    """Flows, witnesses, noise floors and p of a stack's layers."""
    flow, witness, own = permuted_flows(
        question.key(2), message, stack.activations, estimator=question.spec, within=question.within,
        groups=stack.groups, permutations=question.permutations,
    )  # fmt: skip
    p = node_wise(flow, own)
    for place, number in enumerate(stack.numbers):
        drawn[number] = own[:, place]
        null95 = pooled95(own[:, place])
        columns = {"flow": flow[place], "witness": witness[place], "null95": null95, "p": p[place]}
        for column, values in columns.items():
            found.setdefault(column, {})[number] = values


def _honest(question: Question, message: Message, stack: Stack, found: Any) -> None:
    """Honest flows and their intervals; NaN by an estimator that has none."""
    own = partial(honest_flows, question.key(3), message, groups=stack.groups, confidence=question.confidence)
    for number, layer in zip(stack.numbers, stack.activations, strict=True):
        # one layer at a time: the numbers of a batch would depend, in their last digits, on the chunk
        with warnings.catch_warnings(action="ignore", category=ThinCellsWarning):  # the run has a note of its own
            values = own(layer, estimator=question.spec.function) if question.honest else [np.full(1, np.nan)] * 3
        for column, field in zip(("honest", "low", "high"), values, strict=True):
            found.setdefault(column, {})[number] = np.asarray(field)


def _edges(recording: Recording, found: Any, numbers: Mapping[int, float]) -> dict[str, pd.DataFrame]:
    """The table of edge flows, where there are weights out of these layers."""
    if not recording.weights:
        return {}
    weights = {number: recording.weights[number][None] for number in numbers if number < len(recording.weights)}
    flows = {
        name: {number: np.asarray(edge_flows(own["flow"][number], weight)) for number, weight in weights.items()}
        for name, own in found.items()
    }
    if not weights:  # the last layer alone
        columns = ("network", "layer", "source", "target", "weight", "message", "flow")
        return {"edge_flows": pd.DataFrame(columns=list(columns))}
    return {"edge_flows": tables.edge_flows_table(np.array([0]), flows, weights)}


def p_max_column(node_flows: pd.DataFrame, arrays: Sequence[Mapping[str, np.ndarray]], names: Sequence[str]) -> Any:
    """p_max of every row of a whole recording's table: each message's nodes and layers are one family.

    Args:
        node_flows: of all layers.
        arrays: what ``measure_bins`` returned for every chunk, in order.
        names: of the messages.
    """
    column = np.empty(len(node_flows))
    for place, name in enumerate(names):
        flow = np.concatenate([own[f"flow_{place}"] for own in arrays])
        drawn = np.concatenate([own[f"drawn_{place}"] for own in arrays], axis=1)  # from files: one message's
        column[(node_flows["message"] == name).to_numpy()] = family_wise(flow, drawn)
    return column
