"""Ranks of the edges of a stack of networks under every strategy and about every attribute, as one program."""

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxflow import interventions
from jaxflow.batching import batched_map, on_all_cores
from jaxflow.flows import Flows
from jaxflow.interventions import Strategy
from jaxflow.metrics import FLOW_METRICS, Rows
from jaxflow.metrics.cuts import TOGETHER
from jaxflow.networks import Params
from jaxflow.programs import BRIEF, REPEATED, compiled
from jaxflow.study import Messages, Study, pass_bytes

Items: TypeAlias = tuple[Array, Params, Flows]  # keys, parameters and flows of networks


def strategy_ranks(
    keys: Array,
    params: Params,
    flows: Flows,
    x: Any,
    messages: Messages,
    study: Study,
    strategies: tuple[Strategy, ...],
    donors: Any = None,
) -> Int[Any, "S K L W W"]:
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
    items = keys, params, Flows(flows.node, samples=flows.samples)  # of all that flows hold
    rows = x, dict(messages), donors
    if all(strategy.metric in FLOW_METRICS for strategy in strategies):
        return _by_flows(items, *rows, study=study, strategies=strategies)
    return on_all_cores(lambda own: _by_rows(own, *rows, study=study, strategies=strategies), items)


@compiled("study", "strategies", on_cpu=BRIEF)
def _by_flows(
    items: Items, x: Any, messages: Messages, donors: Any, study: Study, strategies: tuple[Strategy, ...]
) -> Int[Array, "S K L W W"]:
    """``strategy_ranks`` by metrics of flows and weights alone, which run in no time."""
    return jax.vmap(partial(_ranks, study, strategies, x=x, messages=messages, donors=donors))(items)


@compiled("study", "strategies", alone=True, on_cpu=REPEATED)
def _by_rows(
    items: Items, x: Any, messages: Messages, donors: Any, study: Study, strategies: tuple[Strategy, ...]
) -> Int[Array, "S K L W W"]:
    """``strategy_ranks`` where metrics run the network on the rows, many times."""
    ranks = partial(_ranks, study, strategies)
    return batched_map(ranks, items, TOGETHER * pass_bytes(items[1], x, study), x, dict(messages), donors)


def _ranks(
    study: Study, strategies: tuple[Strategy, ...], item: Items, x: Any, messages: Messages, donors: Any
) -> Int[Array, "K L W W"]:
    """Of one network, about every attribute."""
    (key, params, flows), roles = item, study.roles
    weights = study.network.weights(params)[study.first_layer :]
    rank = partial(interventions.strategy_ranks, weights, flows, strategies, keep=roles.measured(roles.label), key=key)

    def about(name: str) -> Array:
        label, attribute = messages[roles.label], messages[roles.measured(name)]
        rows = Rows(study.network, params, x, label, attribute, study.first_layer, study.ablation, donors)
        return rank(remove=roles.measured(name), rows=rows)

    return jnp.concatenate([about(name) for name in roles.attributes])
