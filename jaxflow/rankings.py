"""Ranks of the edges of a stack of networks under every strategy and about every attribute, as one program."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxflow import interventions
from jaxflow.batching import batched_map
from jaxflow.flows import Flows
from jaxflow.interventions import Strategy
from jaxflow.metrics import FLOW_METRICS, Rows
from jaxflow.metrics.cuts import TOGETHER
from jaxflow.networks import Params
from jaxflow.programs import BRIEF, compiled
from jaxflow.study import Messages, Study, pass_bytes


@compiled("study", "strategies", on_cpu=BRIEF)
def strategy_ranks(
    keys: Array,
    params: Params,
    flows: Flows,
    x: Any,
    messages: Messages,
    study: Study,
    strategies: tuple[Strategy, ...],
    donors: Any = None,
) -> Int[Array, "S K L W W"]:
    """Rank of every edge under every strategy, for networks with the keys ``[S]``: below the level it is chosen.

    The rankings of one attribute after the other's, each with all strategies.

    Args:
        keys: of the random control.
        params: stacked parameters.
        flows: of the same networks.
        x: inputs, the same for all, for metrics that look at more than flows.
        messages: of those, by name, without permutations ``[N]``.
        study: which messages to keep and to remove, and where interventions begin.
        strategies: what to rank by; strategies of one metric and method share one ranking.
        donors: the row whose values every row gets under the ablation ``resample``.
    """
    roles = study.roles

    def one(item: tuple[Array, Params, Flows], x: Any, messages: Messages, donors: Any) -> Array:
        key, params, flows = item
        weights = study.network.weights(params)[study.first_layer :]
        rank = partial(interventions.strategy_ranks, weights, flows, strategies, keep=roles.measured(roles.label))

        def about(name: str) -> Array:
            label, attribute = messages[roles.label], messages[roles.measured(name)]
            rows = Rows(study.network, params, x, label, attribute, study.first_layer, study.ablation, donors)
            return rank(remove=roles.measured(name), key=key, rows=rows)

        return jnp.concatenate([about(name) for name in roles.attributes])

    items = keys, params, Flows(flows.node, samples=flows.samples)  # of all that flows hold
    if all(strategy.metric in FLOW_METRICS for strategy in strategies):
        return jax.vmap(partial(one, x=x, messages=messages, donors=donors))(items)
    return batched_map(one, items, TOGETHER * pass_bytes(params, x, study), x, dict(messages), donors)
