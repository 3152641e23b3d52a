"""A network on rows, for metrics that look at more than flows: what it shows with edges scaled and inputs shifted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.ablations import replacements, shifts_of
from jaxflow.errors import InputError, shown
from jaxflow.messages import Message, as_message, conditioned
from jaxflow.networks.contract import Network, Params
from jaxflow.networks.leaves import is_floating


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "x", "label", "attribute", "donors"],
    meta_fields=["network", "first_layer", "ablation"],
)
@dataclass(frozen=True)
class Rows:
    """A network, and the rows that a metric looks at it on.

    Every analysed edge has a multiplier of its weight: lists ``[n_l, n_{l+1}]`` by layer, from ``first_layer`` on. Ones
    leave the network as it is, and the derivative by a multiplier is that by the weight, times the weight.

    Attributes:
        network: the architecture.
        params: its parameters.
        x: features ``[N, d]``.
        label: what the network tells.
        attribute: the protected one, conditioned as the notion of fairness has it.
        first_layer: where the analysis begins.
        ablation: what a cut edge transmits, see ``jaxflow.ablations``.
        donors: the row whose values every row gets under ``resample``.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
        >>> classes = Message(jnp.array([0, 1]))
        >>> rows = Rows(mlp(hidden=(), outputs=1), params, jnp.eye(2), classes, classes)
        >>> rows.layers([jnp.array([[0.5], [1.0]])])[-1].tolist()
        [[0.5], [1.0]]
    """

    network: Network
    params: Params
    x: Any
    label: Message
    attribute: Message
    first_layer: int = 0
    ablation: str = "zero"
    donors: Any = None

    @property
    def weights(self) -> list[Array]:
        """Of the analysed layers."""
        return [jnp.asarray(w) for w in self.network.weights(self.params)[self.first_layer :]]

    @property
    def begun(self) -> Any:
        """What interventions begin with, see ``Network.start``."""
        return self.network.start(self.params, self.x, self.first_layer)

    def scaled(self, multipliers: Sequence[Array]) -> Params:
        """Parameters with every analysed edge's weight times its multiplier."""
        before = self.network.weights(self.params)[: self.first_layer]
        changes = [*(jnp.zeros(w.shape, multipliers[0].dtype) for w in before), *(m - 1 for m in multipliers)]
        laid = self.network.spread(self.params, changes)
        return jax.tree.map(lambda w, change: w * (1 + change) if is_floating(w) else w, self.params, laid)

    def layers(self, multipliers: Sequence[Array]) -> tuple[Float[Array, "N _"], ...]:
        """Activations from the first analysed layer on."""
        return self.network.resume(self.scaled(multipliers), self.x, self.begun, self.first_layer)

    def logits(self, multipliers: Sequence[Array]) -> Float[Array, "N c"]:
        """The output, where edges transmit by their multipliers, and for the rest what the ablation puts there."""
        layers = self.layers([jnp.ones_like(own) for own in multipliers])[:-1] if self.ablation != "zero" else ()
        replaced = replacements(layers, self.ablation, self.donors)
        if replaced is None:
            return self.layers(multipliers)[-1]
        shifts = shifts_of(self.weights, [1 - own for own in multipliers], replaced)
        return self.shifted_logits(self.scaled(multipliers), shifts)

    def shifted_logits(self, params: Params, shifts: Sequence[Float[Array, "_ _"]]) -> Float[Array, "N c"]:
        """The output where inputs of nodes are larger by a value, see ``Network.logits_shifted``."""
        return self.network.logits_shifted(params, self.x, self.begun, self.first_layer, shifts)

    def input_gradients(
        self, params: Params, outcome: Callable[[Float[Array, "N c"]], Float[Array, ""]]
    ) -> list[Float[Array, "N _"]]:
        """Derivative of an outcome of the logits by the input of every node behind an analysed edge, in every row."""
        nothing = [jnp.zeros((len(self.x), w.shape[1]), w.dtype) for w in self.weights]
        return jax.grad(lambda shifts: outcome(self.shifted_logits(params, shifts)))(nothing)


def ones_like(weights: Sequence[Array]) -> list[Array]:
    """The multipliers of a network as it is."""
    return [jnp.ones(w.shape, w.dtype) for w in weights]


def looked_at(
    network: Network, params: Params, x: Any, messages: Any, about: tuple[str, str, Any], layers: int
) -> Rows:
    """The network on rows, from plain arrays.

    Args:
        network: the architecture.
        params: of one network.
        x: features ``[N, d]``.
        messages: plain or in normal form, by name.
        about: names of the label and of the attribute, and what the attribute is conditioned on or None.
        layers: how many weight layers are analysed, the last ones.

    Raises:
        InputError: a message that is not there or does not fit.
    """
    keep, remove, given = about
    if not isinstance(messages, Mapping) or not {keep, remove} <= set(messages):
        raise InputError(f"x comes with messages by name, {keep} and {remove} among them, not {shown(messages)}")
    x = jnp.asarray(x)
    forms = [
        own if isinstance(own, Message) else as_message(own, samples=len(x))
        for own in (messages[keep], messages[remove])
    ]
    for name, own in zip((keep, remove), forms, strict=True):
        if own.values.shape[:1] != x.shape[:1]:
            raise InputError(f"message {name} must hold one value for each of the {len(x)} rows of x")
    attribute = forms[1] if given is None else conditioned(forms[1], given)
    return Rows(network, params, x, forms[0], attribute, len(network.weights(params)) - layers)
