"""Gaussian copula information: the Gaussian estimate of normal scores, which no monotone map of a column changes.

Every column of the activations, and of a continuous message or ``given``, is replaced by the normal quantiles of its
mid-ranks: equal values share a rank. To rank them by their rows instead would invent information wherever rows are in
an order, 0.14 bit for a ReLU unit whose rows are sorted by label. Classes stay classes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.batching import batched_map
from jaxflow.information.cells import warn_of_thin_cells
from jaxflow.information.checks import checked
from jaxflow.information.exact import ExactFlows
from jaxflow.information.exact import stack_flows as gaussian_stack_flows
from jaxflow.information.gaussian import Groups, about_layers, estimate_listed
from jaxflow.information.gaussian import layer_bits as gaussian_layer_bits
from jaxflow.information.ranks import COLUMN_BYTES, Ranking, normal_scores, rank_normalised, ranking
from jaxflow.messages import Message

OFFSET = 0.0  # of the places of ranks: rank / (N + 1), as in Ince et al. 2017


def copula(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    classes: int | None = None,
) -> Float[Array, "*batch subsets"]:
    """Gaussian copula information about a message in every subset of a layer's nodes.

    ``gaussian`` of normal scores Φ⁻¹(rank / (N + 1)), mid-ranks, of all columns of numbers (Ince et al. 2017). For a
    continuous message it is a lower bound of the information where the copula of message and activations is not
    Gaussian and exact where it is, up to sampling; for classes it is what ``gaussian`` is, an approximation.

    Args:
        message: classes ``[..., N]``; or numbers ``[..., N]`` or ``[..., N, d]``, each column of which is ranked.
        activations: ``[..., N, n]``: samples on axis −2, columns on the last, see ``gaussian``.
        given: what the information is conditioned on. Classes ``[N]``: ranks are those within each stratum. Numbers
            ``[N]`` or ``[N, g]``: their scores are regressed out of the others'.
        groups: for every column of the activations the number of its node; each its own if not given.
        classes: K, if it is not to be counted. Integers that are being traced (under ``jit`` or ``vmap``) need it,
            or come as ``jaxflow.as_message`` made outside; traced floats are numbers unless K is given.

    Returns:
        Bits ``[..., 2**n]``, T indexed by bitmask.

    Raises:
        InputError: what ``gaussian`` refuses.

    Example:
        >>> x = np.sin(np.arange(100.0))[:, None]
        >>> bool(jnp.allclose(copula(x[:, 0] + np.cos(np.arange(100.0)), np.exp(x)), copula(
        ...     x[:, 0] + np.cos(np.arange(100.0)), x), atol=1e-6))
        True
    """
    checks = checked(message, activations, given=given, groups=groups, classes=classes)
    warn_of_thin_cells({"the message": checks.message}, checks.activations.shape[-1])
    about, x = scored(checks.message, checks.activations)
    return about_layers(about, x, groups=checks.groups)


def layer_bits(
    messages: Mapping[str, Message], layer: Float[Array, "N c"], groups: Groups = None
) -> dict[str, Float[Array, "P subsets"]]:
    """``copula`` of one layer about many messages, under ``jit``; those of which the same is given share the ranks."""
    alike: dict[int, dict[str, Message]] = {}
    for name, message in messages.items():
        alike.setdefault(id(message.given) if message.strata else 0, {})[name] = message
    found = {}
    for some in alike.values():
        x = _scores(layer, next(iter(some.values())))
        found |= gaussian_layer_bits({name: _scored(message) for name, message in some.items()}, x, groups)
    return {name: found[name] for name in messages}


estimate = partial(estimate_listed, layer_bits=layer_bits)


def stack_flows(layers: Float[Array, "S N c"], message: Message, groups: Groups = None) -> ExactFlows:
    """Exact flows of wide layers about one message and its permutations: see ``exact.stack_flows``."""
    return gaussian_stack_flows(_scores(layers, message), _scored(message), groups)


def scored(message: Message, x: Float[Array, "*batch N c"]) -> tuple[Message, Float[Array, "*batch N c"]]:
    """Message and activations with normal scores for numbers, within the strata of the message where it has any."""
    return _scored(message), _scores(x, message)


def _scored(message: Message) -> Message:
    """With scores instead of numbers, of the message and of what is given."""
    values = _scores(message.values, message) if message.continuous else message.values
    given = message.given if message.given is None or message.strata else rank_normalised(message.given, OFFSET)
    return Message(values, given, message.classes, message.strata)


def _scores(x: Float[Array, "*batch N c"], message: Message) -> Float[Array, "*batch N c"]:
    """Normal scores of every column, among all rows or those of a row's stratum."""
    return _within_strata(x, message.given, message.strata) if message.strata else rank_normalised(x, OFFSET)


@partial(jax.jit, static_argnames="strata")
def _within_strata(x: Float[Array, "*batch N c"], given: Int[Array, " N"], strata: int) -> Float[Array, "*batch N c"]:
    """Normal scores among the rows of a row's own stratum."""
    columns = x.mT.reshape(-1, x.shape[-2])
    among = ranking(given[None] == jnp.arange(strata, dtype=given.dtype)[:, None], x.dtype, OFFSET)

    def own(column: Float[Array, " N"], given: Int[Array, " N"], among: Ranking) -> Float[Array, " N"]:
        return jnp.take_along_axis(normal_scores(column, among), given[None], axis=0)[0]

    scores = batched_map(own, columns, COLUMN_BYTES * strata * x.shape[-2], given, among)
    return scores.reshape(x.mT.shape).mT
