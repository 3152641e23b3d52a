"""What an edit is chosen from, and on which rows: checked before anything is computed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxflow.batching import is_traced
from jaxflow.editing.candidates import Sample, Setting
from jaxflow.editing.choosing import Aim
from jaxflow.editing.edits import Data, halves_of
from jaxflow.editing.recalibration import REFITS
from jaxflow.errors import InputError, counted, shown
from jaxflow.interventions import MOST_LEVEL, Strategy, check_strategies, checked_strategy
from jaxflow.messages import Message
from jaxflow.metrics import METHODS, NODE_METRICS, Rows, check_metrics
from jaxflow.networks import Params
from jaxflow.outputs import NOTIONS, Roles, with_measured
from jaxflow.study import Study
from jaxflow.values import choice, real, several, whole

LEVELS = {"node": (1, 2, 3), "edge": (1, 2, 3, 6, 9), "path": (1, 2, 3)}
MOST_REFINED = 100
MOST_CANDIDATES = 10_000


def roles_of(forms: Mapping[str, Message], label: str, notion: str, favourable: int) -> Roles:
    """Label and attributes: all messages but the label.

    Raises:
        InputError: no such label of classes, no attribute, or another notion.
    """
    choice("notion", notion, NOTIONS)
    if not isinstance(label, str) or label not in forms or forms[label].continuous:
        raise InputError(f"the label must be one of the messages of classes, {', '.join(forms)}, not {shown(label)}")
    attributes = tuple(name for name in forms if name != label)
    if not attributes:
        raise InputError("give at least one attribute beside the label, such as {'y': ..., 'z': ...}")
    return Roles(label, attributes, notion, whole("favourable", favourable, 0, forms[label].classes - 1))


def default_strategies(metrics: Sequence[Any], widths: Sequence[int]) -> list[Strategy]:
    """Every metric with every method, at a few levels that a network of these widths has."""
    available = {
        "node": sum(widths[:-1]),
        "edge": sum(n * m for n, m in pairwise(widths)),
        "path": min(math.prod(widths), MOST_LEVEL),
    }
    return [
        Strategy(metric, method, level)
        for metric in metrics
        for method in METHODS
        for level in LEVELS[method]
        if level <= available[method] and (method == "node" or metric not in NODE_METRICS)
    ]


def setting_of(
    study: Study, aim: Aim, strategies: Sequence[Any], factors: Any, recalibrate: str, refine: int
) -> Setting:
    """The setting of plain values, checked.

    Raises:
        InputError: an unknown strategy, factors that are no numbers, no candidate, another way to recalibrate.
    """
    chosen = tuple(dict.fromkeys(checked_strategy(own, functions=True) for own in strategies))
    steps = [real("every factor", factor, -100, 100) + 0.0 for factor in several("factors", factors, MOST_CANDIDATES)]
    kept = tuple(dict.fromkeys(step for step in steps if step != 1))
    if not chosen or not kept:
        raise InputError("an edit needs candidates: at least one strategy, and one factor beside 1")
    choice("way to recalibrate", recalibrate, REFITS)
    return Setting(study, aim, chosen, kept, recalibrate, whole("refine", refine, 0, MOST_REFINED))


def data_of(key: Array, sample: Sample, train: Sample | None, study: Study, limit: float) -> Data:
    """Both halves of the analysis rows, what to recalibrate on, and the limit of the aim.

    Raises:
        InputError: a half without rows of a cell, or with too few for the estimator; a training label that the network
            cannot tell.
    """
    roles = study.roles
    messages = with_measured({name: sample.messages[name] for name in (roles.label, *roles.attributes)}, roles)
    rows = rows_of_halves(key, messages, roles)
    for half in () if is_traced(rows) else np.asarray(rows):
        own = {name: _taken(messages[name], half) for name in roles.measured_names}
        for name, message in own.items():
            study.spec.accepts(message, f"{name} in a half of the rows")
    halves, bound = halves_of(messages, rows, sample.x), jnp.asarray(limit, jnp.float32)
    if train is None:
        return Data(halves, None, bound)
    own = train.messages.get(roles.label)
    if own is None or own.continuous or own.classes > messages[roles.label].classes:
        raise InputError(f"the training rows need the label {roles.label}, of the classes of the analysis rows")
    label = replace(own, values=jnp.asarray(own.values), classes=messages[roles.label].classes)
    return Data(halves, Sample(jnp.asarray(train.x), {roles.label: label}), bound)


def rows_of_halves(key: Array, messages: Mapping[str, Message], roles: Roles) -> Int[Array, "2 H"]:
    """Row numbers of two halves of equal size, drawn within every cell (label, attributes) of classes.

    Of an odd number of rows one is left out. Where the key is being traced, nobody can see whether a cell is empty.

    Raises:
        InputError: some cell (label, attribute) has rows, but none in one of the halves.
    """
    classes = [messages[name] for name in (roles.label, *roles.attributes) if not messages[name].continuous]
    cell = np.zeros(len(np.asarray(messages[roles.label].values)), int)
    for own in classes:
        cell = np.unique(cell * own.classes + np.asarray(own.values), return_inverse=True)[1]
    if is_traced(key):
        return _drawn(key, cell)
    with jax.ensure_compile_time_eval():  # which rows are in a half is known before anything is compiled
        rows = _drawn(key, cell)
    for name in roles.attributes:
        if not messages[name].continuous:
            _check_cells(np.asarray(rows), messages, roles.label, name)
    return rows


def _drawn(key: Array, cell: Int[np.ndarray, " N"]) -> Int[Array, "2 H"]:
    """Of every two rows that follow one another, in a random order within cells, one in each half."""
    order = jax.random.permutation(key, len(cell))
    order = order[jnp.argsort(jnp.asarray(cell, jnp.int32)[order], stable=True)][: len(cell) // 2 * 2]
    return jnp.sort(order.reshape(-1, 2).T, axis=1)


def _check_cells(rows: Int[np.ndarray, "2 H"], messages: Mapping[str, Message], label: str, attribute: str) -> None:
    """Refuse halves of which one lacks a cell (label, attribute): its gap could not be seen there."""
    classes = messages[attribute].classes
    codes = np.asarray(messages[label].values) * classes + np.asarray(messages[attribute].values)
    for code in np.unique(codes):
        if all(np.any(codes[half] == code) for half in rows):
            continue
        of_label, of_attribute = divmod(int(code), classes)
        count = counted(int(np.sum(codes == code)), "row")
        raise InputError(
            f"a half of the rows has none of {label} = {of_label}, {attribute} = {of_attribute}, which has {count}:"
            " merge classes, or leave it out"
        )


def check_setting(setting: Setting, widths: Sequence[int], params: Params, data: Data) -> None:
    """Refuse strategies that the network does not have, and metrics that fail, before anything is computed.

    Raises:
        InputError: see above.
    """
    study, roles = setting.study, setting.study.roles
    check_strategies(setting.strategies, widths[study.first_layer :])
    half = jax.eval_shape(lambda sample: jax.tree.map(lambda a: a[0], sample), data.halves)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), params)
    for name in setting.aim.attributes:
        label, attribute = half.messages[roles.label], half.messages[roles.measured(name)]
        rows = Rows(study.network, one, half.x, label, attribute, study.first_layer)
        check_metrics(setting.strategies, widths[study.first_layer :], rows)
    if data.train is not None and setting.recalibrate != "none":
        weights = jax.eval_shape(study.network.weights, params)
        shifts = [jax.ShapeDtypeStruct(w.shape[1:], w.dtype) for w in weights]
        jax.eval_shape(study.network.shift, params, shifts)  # refuses where nobody knows where biases lie


def _taken(message: Message, rows: Int[np.ndarray, " H"]) -> Message:
    """A message of some rows."""
    given = None if message.given is None else np.asarray(message.given)[rows]
    return replace(message, values=np.asarray(message.values)[rows], given=given)
