"""All debiasers on the same networks: what each was shown, and what its outputs amount to on rows of their own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxflow.batching import map_networks
from jaxflow.debiasing.descent import bias_descent
from jaxflow.debiasing.erasure import erase
from jaxflow.debiasing.gaps import Sample, classes_of
from jaxflow.debiasing.losses import bias_penalty, reweighing
from jaxflow.debiasing.thresholds import group_thresholds
from jaxflow.errors import InputError
from jaxflow.information import gaussian, spec_of
from jaxflow.messages import unpermuted
from jaxflow.networks import Network, Params
from jaxflow.outputs import NOTIONS, PAPER, counted_measures, measure_names, stack_outputs
from jaxflow.study import Study
from jaxflow.training import Training, train_many
from jaxflow.values import choice


class Task(NamedTuple):
    """Networks to be debiased, and the rows that each part of it may see.

    Rows that are sorted, as Adult's are by sex, are to be shuffled before they are cut in two.

    Attributes:
        network: the architecture.
        params: of S networks, stacked.
        key: what ``train_many`` trained them from.
        training: how.
        trained: rows that they were trained on; debiasing in training, and gradients, see no others.
        choosing: rows that thresholds, erasers and steps are chosen on.
        reported: rows that are measured.
        notion: of fairness: ``parity``, ``odds`` or ``opportunity``. The attributes of the rows are to be conditioned
            on what it says (``as_message(z, given=y)`` for ``odds``); thresholds go by the name.

    Example:
        >>> rows = Sample(jnp.ones((4, 3)), jnp.array([0, 1, 0, 1]), jnp.array([0, 0, 1, 1]))
        >>> Task(mlp(hidden=(3,)), None, jax.random.key(0), Training(), rows, rows, rows).notion
        'parity'
    """

    network: Network
    params: Params
    key: Array
    training: Training
    trained: Sample
    choosing: Sample
    reported: Sample
    notion: str = "parity"


Debiaser: TypeAlias = Callable[[Task], Any]  # → logits of all networks on the reported rows [S, N, c]


def unchanged(task: Task) -> Float[Array, "S N c"]:
    """The networks as they are."""
    return _logits(task, task.params, task.reported)


def by_thresholds(task: Task) -> Float[np.ndarray, "S N 2"]:
    """``group_thresholds``, whose decisions are the larger logit; random ones are drawn from the network's number."""
    pairs = zip(*(np.asarray(_logits(task, task.params, rows)) for rows in (task.choosing, task.reported)), strict=True)
    decided = [
        group_thresholds(chosen, task.choosing.label, task.choosing.attribute, task.notion).decide(
            reported, task.reported.attribute, seed
        )
        for seed, (chosen, reported) in enumerate(pairs)
    ]
    return np.eye(2, dtype=np.float32)[np.stack(decided)]


def by_reweighing(task: Task) -> Float[Array, "S N c"]:
    """Networks trained anew with the weights of ``reweighing``."""
    attribute = replace(classes_of("attribute", task.trained.attribute), given=None, strata=0)
    return _logits(task, _retrained(task, weights=reweighing(task.trained.label, attribute)), task.reported)


def by_erasure(task: Task, layer: int = -1) -> Float[Array, "S N c"]:
    """``erase`` at a layer, the last hidden one if not given."""
    return _logits(
        task, map_networks(lambda own: erase(task.network, own, task.choosing, layer), task.params), task.reported
    )


def by_descent(task: Task, **how: Any) -> Float[Array, "S N c"]:
    """``bias_descent``."""

    def after(params: Params) -> Params:
        return bias_descent(task.network, params, task.trained, task.choosing, **how).params

    return _logits(task, map_networks(after, task.params), task.reported)


def by_penalty(task: Task, strength: float = 10.0) -> Float[Array, "S N c"]:
    """Networks trained anew with ``bias_penalty``."""
    return _logits(task, _retrained(task, penalty=bias_penalty(task.trained.attribute, strength)), task.reported)


DEBIASERS: dict[str, Debiaser] = {
    "unchanged": unchanged,
    "thresholds": by_thresholds,
    "reweighing": by_reweighing,
    "leace": by_erasure,
    "descent": by_descent,
    "penalty": by_penalty,
}
"""The debiasers by name, and the networks as they are; ``functools.partial`` makes others, of another strength."""


def debiased_outputs(
    task: Task, debiasers: Mapping[str, Debiaser] = DEBIASERS, estimator: Any = gaussian
) -> dict[str, dict[str, Float[Array, " S"]]]:
    """What the outputs of many networks show on the reported rows after every debiaser.

    Args:
        task: the networks, and rows to train, to choose and to report on.
        debiasers: by name, functions of the task to the logits of all networks on the reported rows ``[S, N, c]``.
        estimator: of information, a name or a function, see ``network_flows``.

    Returns:
        By debiaser, the measures of ``measure_outputs`` in per cent, ``[S]`` each: ``accuracy``, ``bias``,
        ``argmax_accuracy``, ``parity_gap``, ``odds_gap`` and so on. Of thresholds there are no logits but the decisions
        themselves.

    Raises:
        InputError: attributes that are conditioned otherwise than the notion says; what the debiasers refuse.

    Example:
        >>> x = jax.random.normal(jax.random.key(1), (200, 2))
        >>> rows = Sample(x, (x[:, 1] > 0).astype(int), (x[:, 0] > 0).astype(int))
        >>> network, key, training = mlp(hidden=(3,)), jax.random.key(0), Training(epochs=2)
        >>> params = train_many(key, 2, network, x, rows.label, training).params
        >>> task = Task(network, params, key, training, rows, rows, rows)
        >>> outputs = debiased_outputs(task, {"unchanged": DEBIASERS["unchanged"]})
        >>> outputs["unchanged"]["parity_gap"].shape
        (2,)
    """
    messages = {"y": classes_of("label", task.reported.label), "z": classes_of("attribute", task.reported.attribute)}
    if (messages["z"].given is None) != (choice("notion", task.notion, NOTIONS) == "parity"):
        raise InputError(f"notion {task.notion!r}: condition the attributes on the label for all notions but parity")
    study = Study(task.network, PAPER, spec_of(estimator))

    def counted(logits: Array) -> dict[str, Array]:
        return counted_measures(logits, messages, PAPER)

    def measured(logits: Array) -> dict[str, Array]:
        estimates = study.estimate_output(logits, unpermuted(messages))
        bits = {name: jnp.asarray(own.bits)[0, :, 0] for name, own in estimates.items()}
        found = stack_outputs(bits, map_networks(counted, logits), messages, PAPER)
        return {name: found[name] for name in measure_names(PAPER)}

    return {name: measured(jnp.asarray(debiaser(task))) for name, debiaser in debiasers.items()}


def _logits(task: Task, params: Params, rows: Sample) -> Float[Array, "S N c"]:
    """The output of every network."""
    return map_networks(lambda own: task.network.activations(own, rows.x)[-1], params)


def _retrained(task: Task, **how: Any) -> Params:
    """The parameters of the same networks, from the same initialisations and shuffles, trained otherwise."""
    count = jax.tree.leaves(task.params)[0].shape[0]
    return train_many(task.key, count, task.network, task.trained.x, task.trained.label, task.training, **how).params
