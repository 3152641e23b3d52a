"""What accuracy and bias come to where an output tells nothing: the levels that theirs are to be compared with."""

from collections.abc import Mapping

import numpy as np

from jaxflow.messages import Message, joint_frequencies
from jaxflow.outputs import Roles, measure_names


def chance_levels(messages: Mapping[str, Message], roles: Roles) -> dict[str, float]:
    """What every measure that is an accuracy comes to where the logits tell nothing, per cent.

        100 Σ_g max_m P(G = g, M = m)

    That is the share of the largest class of M, and where the notion conditions an attribute on the label G, of the
    largest class within each of its strata. ``messages.read_out`` gives as much at 0 bits, and the best threshold
    attains as much without the logits; about a number both are R², which is 0. The gaps between groups are not listed:
    theirs is 0.

    Args:
        messages: label and attributes, and those conditioned as the notion says (``with_measured``), NumPy arrays
            ``values [N]``.
        roles: which is which.

    Returns:
        Per cent by the name of the measure, in the order of ``measure_names``.

    Example:
        >>> messages = {"y": Message(np.array([0, 0, 0, 1])), "z": Message(np.array([0, 1, 0, 1]))}
        >>> chance_levels(messages, Roles())["accuracy"], chance_levels(messages, Roles())["bias"]
        (75.0, 50.0)
    """
    label = _largest_classes(messages[roles.label])
    found = {"accuracy": label, "argmax_accuracy": label, "threshold_accuracy": label}
    for name in roles.attributes:
        suffix = roles.suffix(name)
        found[f"bias{suffix}"] = _largest_classes(messages[roles.measured(name)])
        if not messages[name].continuous:
            found[f"threshold_bias{suffix}"] = _largest_classes(messages[name])
    return {measure: found[measure] for measure in measure_names(roles) if measure in found}


def _largest_classes(message: Message) -> float:
    """Per cent of the rows in the largest class of their stratum; 0 of numbers, in double precision."""
    if message.continuous:
        return 0.0
    return round(100 * float(np.asarray(joint_frequencies(message)).max(axis=-1).sum()), 9)
