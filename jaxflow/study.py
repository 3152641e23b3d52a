"""How a stack of networks is measured: architecture, roles of the messages, estimator; and permuted messages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow.information import Advance, Estimates, EstimatorSpec, Options
from jaxflow.information.estimates import ignore
from jaxflow.messages import Message, unpermuted
from jaxflow.networks import Network, Params
from jaxflow.orders import orders_within
from jaxflow.outputs import Roles

NO_OPTIONS = Options()
ORDERS = 2**26  # numbers of rows, of many permutations, that are drawn together
Messages: TypeAlias = Mapping[str, Message]


@dataclass(frozen=True)
class Study:
    """How a stack of networks is measured: hashable, so that what is compiled for it is traced once.

    Attributes:
        network: the architecture that all share.
        roles: which message is the label, which are attributes.
        spec: the estimator of information.
        options: of the estimator.
        first_layer: where the analysis begins.
        ablation: what a pruned edge transmits in the place of its signal, see ``jaxflow.ablations``.
    """

    network: Network
    roles: Roles
    spec: EstimatorSpec
    options: Options = NO_OPTIONS
    first_layer: int = 0
    ablation: str = "zero"

    def estimated(self, messages: Messages) -> dict[str, Message]:
        """The messages that information is measured about, label first: those of ``Roles.measured``."""
        return {name: messages[name] for name in self.roles.measured_names}

    def groups(self, layer: int) -> tuple[int, ...] | None:
        """The node of every column of a layer, if nodes have several."""
        return None if self.network.groups is None else self.network.groups[layer]

    def output_groups(self, columns: int) -> tuple[int, ...] | None:
        """Groups under which the last subset of the output is the whole, see ``EstimatorSpec.output_groups``."""
        return self.spec.output_groups(columns, self.groups(-1))

    def estimate_output(self, logits: Array, messages: Messages, **how: Any) -> dict[str, Estimates]:
        """The information in all logits ``[S, N, c]`` of a stack of networks; subsets of them are not estimated."""
        groups = self.output_groups(logits.shape[-1])
        nodes = logits.shape[-1] if groups is None else max(groups) + 1
        return self.estimate(logits, messages, np.ones((1, nodes), bool), groups=groups, **how)

    def estimate_variants(
        self, logits: Any, messages: Messages, *, draws: Any = None, advance: Advance = ignore
    ) -> dict[str, Estimates]:
        """The information in all logits ``[S, V, N, c]`` of networks under V interventions, bits ``[P, S V, 1]``.

        Args:
            logits: of every network and intervention.
            messages: to estimate about.
            draws: hyperparameters to keep, see ``Estimate``.
            advance: told how many (network, intervention, message) are done.
        """
        variants = self.spec.variants
        if variants is None:
            flat = jnp.asarray(logits.reshape(-1, *logits.shape[2:]))
            return self.estimate_output(flat, messages, draws=draws, advance=advance)
        found = variants(logits, messages, advance=advance, **self.options.as_json())
        return {
            name: own._replace(bits=own.bits.reshape(len(own.bits), -1, 1), unconverged=own.unconverged.reshape(-1, 1))
            for name, own in found.items()
        }

    def estimate(
        self, layers: Array, messages: Messages, members: np.ndarray, *, by_row: bool = False, **how: Any
    ) -> dict[str, Estimates]:
        """The estimator on a stack of layers, see ``Estimate`` and ``EstimatorSpec.with_options``."""
        return self.spec.with_options(self.options, by_row)(layers, messages, members, **how)


def pass_bytes(params: Params, x: Any, study: Study) -> int:
    """What one pass through one of the networks holds, roughly: every layer's activations twice."""
    one = jax.tree.map(lambda leaf: leaf[0], params)
    shapes = jax.eval_shape(study.network.activations, one, x)
    return 8 * sum(a.size for a in shapes[study.first_layer + 1 :])


def with_permutations(
    key: Array, messages: Messages, exchangeable: Mapping[str, np.ndarray] | None, count: int
) -> dict[str, Message]:
    """Messages ``[N]`` with permutations of each for noise floors and p-values, ``[P, N]``, the same for all networks.

    Args:
        key: of the permutations.
        messages: without.
        exchangeable: numbers ``[N]`` for each; rows change places only with those of the same number (within a fold, so
            that folds and ranks serve all permutations). None for no permutations, P = 1.
        count: of the permutations, P − 1.
    """
    if exchangeable is None or count == 0:
        return unpermuted(messages)
    keys = jax.random.split(key, (count, len(messages)))
    permuted = {}
    for k, (name, message) in enumerate(messages.items()):
        values, numbers = np.asarray(message.values), np.asarray(exchangeable[name])
        width = max(1, ORDERS // len(numbers))  # orders take several times the memory of the values
        blocks = (values[orders_within(keys[begin : begin + width, k], numbers)] for begin in range(0, count, width))
        permuted[name] = replace(message, values=jnp.asarray(np.concatenate([values[None], *blocks])))
    return permuted
