"""A user's own estimator: a plain function of one message and one layer, called for one after the other."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxflow.errors import InputError, cause, shown
from jaxflow.information.estimates import Advance, Estimates, ignore
from jaxflow.messages import Message, unpermuted

OPTIONAL = ("given", "groups")


def keywords_of(function: Callable[..., Any]) -> frozenset[str]:
    """Which of ``given`` and ``groups`` a function takes.

    Example:
        >>> sorted(keywords_of(lambda message, activations, *, given=None: 0))
        ['given']
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled code may not tell
        return frozenset()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return frozenset(OPTIONAL)
    return frozenset(parameter.name for parameter in parameters) & frozenset(OPTIONAL)


def check_arguments(function: Callable[..., Any], name: str) -> None:
    """Refuse a function that cannot be called with a message and activations.

    Raises:
        InputError: it takes fewer arguments, or needs more.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code may not tell
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise InputError(
            f"the estimator {name} must take (message, activations) and return bits [2**n]: {cause(error)}"
        ) from None


def check_taken(message: Message, groups: Any, function: Callable[..., Any], name: str) -> None:
    """Refuse a function that is no estimator, and what it has no keyword for.

    Raises:
        InputError: see ``check_arguments``; the message is conditioned, or nodes have several columns, and the function
            does not take it.
    """
    check_arguments(function, name)
    takes = keywords_of(function)
    for keyword, value in zip(OPTIONAL, (message.given, groups), strict=True):
        if value is not None and keyword not in takes:
            raise InputError(f"the estimator {name} does not take {keyword}: add the keyword argument {keyword}=None")


def estimate_one_by_one(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    function: Callable[..., Any],
    name: str,
    groups: tuple[int, ...] | None = None,
    draws: Mapping[str, Any] | None = None,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of any function of one message and one layer, see ``jaxflow.information.Estimate``.

    Args:
        layers: activations.
        messages: with their permutations.
        members: nodes of every subset; the function gives all 2ⁿ, of which these are taken.
        function: ``(message [N], activations [N, c], given=..., groups=...) → bits [2**n]`` of NumPy arrays. ``given``
            and ``groups`` are handed over only if there are any.
        name: of the function, in messages.
        groups: the node of every column, if nodes have several.
        draws: there are none.
        advance: told how many (layer, message, subset) are done.

    Raises:
        InputError: the function does not take what is given, or does not return 2ⁿ finite numbers.

    Example:
        >>> def mine(message, activations):
        ...     return np.arange(2 ** activations.shape[1]) / 10
        >>> messages = {"y": Message(np.zeros((1, 5), int))}
        >>> members = np.array([[True, False], [True, True]])
        >>> estimate_one_by_one(np.zeros((1, 5, 2)), messages, members, function=mine, name="mine")["y"].bits
        array([[[0.1, 0.3]]])
    """
    del draws
    stack = np.asarray(layers)
    masks = members @ 2 ** np.arange(members.shape[1])
    found = {}
    for key, message in messages.items():
        check_taken(message, groups, function, name)
        kept = np.asarray(message.given) >= 0 if message.strata else slice(None)  # the others belong to no stratum
        extra: dict[str, Any] = {} if message.given is None else {"given": _plain(message.given, message.strata)[kept]}
        if groups is not None:
            extra["groups"] = groups
        permuted = _plain(message.values, message.classes)[:, kept]
        bits = np.empty((len(permuted), len(stack), 2 ** members.shape[1]))
        for p, own in enumerate(permuted):
            for s, layer in enumerate(stack):
                bits[p, s] = _checked(function(own, layer[kept], **extra), members.shape[1], name)
                if p == 0:
                    advance(len(members))
        found[key] = Estimates(bits[..., masks])
    return found


def _plain(values: Any, classes: int) -> np.ndarray:
    """The array as a user would give it: single numbers ``[..., N]``, not vectors of one ``[..., N, 1]``."""
    array = np.asarray(values)
    return array[..., 0] if not classes and array.shape[-1] == 1 else array


def one_per_subset(bits: Any, nodes: int, name: str) -> Any:
    """The bits, if they are one number for every subset.

    Args:
        bits: what a function returned, traced perhaps.
        nodes: n.
        name: of the function.

    Raises:
        InputError: another shape than ``(2**nodes,)``.
    """
    if np.shape(bits) != (2**nodes,):
        raise InputError(
            f"the estimator {name} must return bits of shape ({2**nodes},), one for every subset of {nodes} nodes in"
            f" the order of their bitmasks, not {np.shape(bits)}"
        )
    return bits


def try_out(function: Callable[..., Any], name: str, message: Message, x: Any) -> None:
    """Call a user's function once, on two columns, before anything is trained.

    Args:
        function: the estimator.
        name: of the function.
        message: one message, with what it is conditioned on.
        x: the analysis half's features, of which the first two columns serve.

    Raises:
        InputError: the function fails, or does not return 2ⁿ finite numbers.
    """
    columns = jnp.asarray(x)[None, :, :2]
    members = np.ones((1, columns.shape[-1]), bool)
    try:
        estimate_one_by_one(columns, unpermuted({"m": message}), members, function=function, name=name)
    except InputError:
        raise
    except Exception as error:  # whatever the user's function raises
        raise InputError(
            f"the estimator {name} fails on {columns.shape[-1]} nodes of {columns.shape[1]} samples"
            f" ({type(error).__name__}: {cause(error)})"
        ) from error


def _checked(bits: Any, nodes: int, name: str) -> np.ndarray:
    """What the function returned, if it is 2ⁿ finite numbers."""
    try:
        array = np.asarray(bits, float)
    except (TypeError, ValueError):
        raise InputError(f"the estimator {name} must return {2**nodes} numbers, not {shown(bits)}") from None
    one_per_subset(array, nodes, name)
    if not np.isfinite(array).all():
        raise InputError(f"the estimator {name} returned NaN or infinity for subset {int(np.isfinite(array).argmin())}")
    return array
