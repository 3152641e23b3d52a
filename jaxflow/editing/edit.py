"""``edit``: a network with less bias, at the least loss of accuracy, for one network of any architecture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxflow.analysis import normal_forms
from jaxflow.arrays import as_key
from jaxflow.batching import is_traced
from jaxflow.editing.candidates import Sample, Setting
from jaxflow.editing.choosing import Aim, asked_for
from jaxflow.editing.edits import Choice, edited_alone
from jaxflow.editing.preparing import (
    MOST_CANDIDATES,
    check_setting,
    data_of,
    default_strategies,
    roles_of,
    setting_of,
)
from jaxflow.errors import InputError, shown
from jaxflow.information import gaussian, spec_of
from jaxflow.networks import Network, Params, check_fit, layer_sizes
from jaxflow.study import Study
from jaxflow.values import several, whole

FACTORS = tuple(tenth / 10 for tenth in range(9, -1, -1))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        *("params", "selection", "factor", "before", "after", "pruned", "multipliers", "ranking", "reached"),
        "exchanged",
    ],
    meta_fields=["aimed"],
)
@dataclass(frozen=True)
class Edit:
    """An edited network: what was done to it, and what it shows on rows that did not choose.

    Attributes:
        params: of the edited network, recalibrated if there were rows to do so on.
        selection: a pytree of masks like ``params``, true for the weights of the edges that were edited.
        factor: what the edges chosen by rank were multiplied by; 1 where there are none.
        before: what the network showed before, by measure as ``measure_outputs`` has them, in per cent, on the half of
            the rows that did not choose.
        after: what ``params`` show there.
        pruned: what the edited network shows there without recalibration.
        multipliers: what every edge's weight was multiplied by, ``[n_l, n_{l+1}]`` for every layer but the output.
        ranking: by which attribute and strategy the edges were chosen, a number in ``aimed``; −1 where by none.
        reached: whether the aim was reached on the rows that choose; if not, the parameters are as they were.
        exchanged: the same of the edit that the other half chooses, reported on the first: ``params``,
            ``multipliers``, ``ranking``, ``factor``, ``reached``, ``before``, ``pruned`` and ``after``.
        aimed: (attribute, (metric, method, level)) of every ranking.

    Example:
        >>> edit = Edit({}, {}, 0.5, {"bias": 60.0}, {"bias": 55.0}, {}, (), 0, True, None, (("z", "node"),))
        >>> edit.before["bias"] - edit.after["bias"]
        5.0
    """

    params: Params
    selection: Params
    factor: Any
    before: dict[str, Any]
    after: dict[str, Any]
    pruned: dict[str, Any]
    multipliers: tuple[Any, ...]
    ranking: Any
    reached: Any
    exchanged: Any
    aimed: tuple[Any, ...]


def edit(
    key: Array,
    network: Network,
    params: Params,
    split: Any,
    *,
    attribute: str | Sequence[str] = "z",
    measure: str = "bias",
    at_most: float | None = None,
    keep_accuracy: float | None = None,
    label: str = "y",
    notion: str = "parity",
    favourable: int = 1,
    estimator: str | Callable[..., Any] = gaussian,
    metrics: Sequence[Any] = ("bias/acc",),
    strategies: Sequence[Any] | None = None,
    factors: Sequence[float] | ArrayLike = FACTORS,
    refine: int = 0,
    train: Any = None,
    recalibrate: str = "bias",
    first_layer: int = 0,
) -> Edit:
    """Edit a network: bring a bias down to a target at the least loss of accuracy, or as far as accuracy allows.

    A candidate multiplies the weights of the first nodes, edges or paths under a metric by a factor (``rank``,
    ``select``, ``prune``). The best of all, the network as it is among them, is chosen on one half of the rows, flows
    and ranks included, and reported on the other. What is handed out is the edit that the first half chooses, with its
    report on the second: it is that very network whose numbers are told, on rows that neither trained nor chose it. An
    edit chosen on all rows could be a little better, and nobody could say how good it is. The roles are then exchanged
    (``Edit.exchanged``): the mean of both reports is the estimate of what editing such networks in this way gives.
    Halves have equally many rows of every cell (label, attributes).

    Pruning shifts the logits. With the rows that trained the network at hand the output's bias is refitted on them
    (``jaxflow.editing.recalibrated``), of every candidate before it is judged, since decisions depend on it.

    Args:
        key: of the halves, and of metrics that draw.
        network: any network, see ``jaxflow.network`` and ``jaxflow.mlp``.
        params: its parameters; ``map_networks`` takes many, by estimators that run under ``jit``, and tells by
            ``Edit.reached`` which of them reach the target.
        split: ``Split(x, messages)``: rows that the network was not trained on, with the label and the attributes.
        attribute: what is to be told less of; of several the worst counts.
        measure: ``bias`` by the estimator, or ``parity_gap`` or ``odds_gap`` of the decisions, without its sign.
        at_most: the measure shall be at most this, per cent, at the least loss of accuracy of the decisions.
        keep_accuracy: or it shall be the least that costs at most so many points of that accuracy.
        label: the message that the network was trained to tell.
        notion: what information about an attribute is conditioned on: ``parity`` nothing, ``odds`` the label,
            ``opportunity`` the label's favourable class.
        favourable: that class.
        estimator: of information, see ``network_flows``.
        metrics: by which candidates are ranked: names in ``jaxflow.METRICS``, or functions of ``Shown``.
        strategies: (metric, method, level) of the candidates in place of ``metrics``, which have one to three nodes or
            paths and one to nine edges.
        factors: what the chosen weights may be multiplied by; 1 is the network as it is, a candidate anyway.
        refine: single edges that may be removed beside, each the best next one, as long as that helps.
        train: ``Split`` of the rows that trained the network, with the label, to recalibrate on; None not to.
        recalibrate: ``bias`` of the output, its ``scale`` and bias, or ``none``.
        first_layer: where edits begin; 1 leaves the edges of the input alone.

    Returns:
        The edit, and what it gives.

    Raises:
        InputError: neither or both of ``at_most`` and ``keep_accuracy``; no candidate reaches the target, with the
            least measure that is possible; a message that is not there; a cell (label, attribute) of which a half has
            no row; what ``network_flows`` refuses; a network to recalibrate that does not say where its biases lie.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params = network.init(jax.random.key(0), x)
        >>> split = Split(x, {"y": (x[:, 0] > 0).astype(int), "z": (x[:, 1] > 0).astype(int)})
        >>> own = edit(jax.random.key(2), network, params, split, keep_accuracy=5, strategies=[("bias/acc", "node", 1)])
        >>> own.multipliers[0].shape, bool(own.reached), sorted(own.after)[:2]
        ((2, 3), True, ['accuracy', 'argmax_accuracy'])
    """
    names = (attribute,) if isinstance(attribute, str) else tuple(several("attributes", attribute, MOST_CANDIDATES))
    (aim, limit), sample = asked_for(measure, names, at_most, keep_accuracy), _rows("split", split)
    roles = roles_of(sample.messages, label, notion, favourable)
    aim.check(roles, {name: form.classes for name, form in sample.messages.items()})
    check_fit(network, params, sample.x)
    widths = layer_sizes(jax.eval_shape(network.weights, params))
    first = whole("first_layer", first_layer, 0, len(widths) - 2)
    study = Study(network, roles, spec_of(estimator), first_layer=first)
    if strategies is None:
        strategies = default_strategies(several("metrics", metrics, MOST_CANDIDATES), widths[first:])
    setting = setting_of(study, aim, strategies, factors, recalibrate, refine)
    trained = None if train is None or recalibrate == "none" else _rows("train", train)
    data = data_of(key, sample, trained, study, limit)
    check_setting(setting, widths, params, data)
    choices = edited_alone(jax.random.fold_in(as_key(key), 1), params, data, setting)
    if not is_traced(choices.reached) and not bool(choices.reached[0]):
        raise InputError(unreachable(aim, limit, [float(choices.least[0])]))
    return _edit_of(setting, params, choices)


def unreachable(aim: Aim, limit: float, least: Sequence[float]) -> str:
    """What to say where no network reaches the target.

    Args:
        aim: what was asked for.
        limit: to which.
        least: the least measure of every network, on the rows that choose.
    """
    name = " or ".join(aim.attributes)
    best = (
        f"{min(least):.2f}" if len(least) == 1 else f"{min(least):.2f} in one network, {np.median(least):.2f} in half"
    )
    return (
        f"no edit brings the {aim.measure.replace('_', ' ')} of {name} to {limit:g}: the least that is possible"
        f" is {best}; allow more, or add candidates (other metrics, refine)"
    )


def _rows(name: str, split: Any) -> Sample:
    """Features and messages of a ``Split``, in normal form."""
    try:
        x, messages = split
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a Split(x, messages), not {shown(split)}") from None
    x = jnp.asarray(x)
    return Sample(x, normal_forms(messages, None, len(x)))


def _edit_of(setting: Setting, params: Params, choices: Choice) -> Edit:
    """The edit that the first half chooses, and that of the other half."""
    own, exchanged = (jax.tree.map(lambda a, way=way: a[way], choices) for way in range(2))
    changed: list[Bool[Array, "_ _"]] = [multiplier != 1 for multiplier in own.multipliers]
    selection = setting.study.network.spread(params, changed)
    factor: Float[Array, ""] = own.factor
    return Edit(
        own.params, selection, factor, own.before, own.after, own.pruned, own.multipliers, own.ranking, own.reached,
        exchanged, setting.aimed,
    )  # fmt: skip
