"""Where the authors' program parts from the paper's text or from sound arithmetic: their way on our networks.

Two of these need no training: eq. 13 with the inverse of a near-singular covariance, and paths whose shared edges are
scaled once for every path. The others are runs of their own, see ``runs.variants``.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from jaxflow import tables
from jaxflow.datasets import Dataset
from jaxflow.information import ESTIMATORS, Advance, Estimate, Estimates, gaussian
from jaxflow.information.estimates import ignore
from jaxflow.interventions import PAPER_METRICS, flow_scores, widest_paths
from jaxflow.measurements import measure_flows
from jaxflow.messages import binary_entropy
from jaxflow.networks import MLP, Params, forward, kernels, tail_network, tail_params
from jaxflow.outputs import Outputs, measure_outputs, outputs_of
from jaxflow.running.config import Config, strategy_grid
from jaxflow.sweeps import measure_interventions, strategy_ranks

NodeFlows: TypeAlias = Mapping[int, Any]  # layer → flows about y and z [S, 2, n]
GAPS = list(Outputs._fields[2:])


def estimate_by_inversion(
    layers: Array,
    messages: Array,
    members: np.ndarray,
    *,
    draws: None = None,
    advance: Advance = ignore,
    precision: str = "float64",
) -> Estimates:
    """I = ½ (Tr(Σ̃⁻¹Σ) − d + ln(det Σ̃ / det Σ)) / ln 2 bits, Σ̃ inverted however near it is to singular.

    Venkatesh et al. 2021, eq. 13 as printed, from the covariance rounded to ``precision``. Clipped to [0, H(M)]; what
    is not finite, as where a covariance is singular to the last digit, counts as 0.
    """
    del draws
    bits = np.zeros((len(messages), len(layers), messages.shape[1], len(members)))
    for network, layer in enumerate(np.asarray(layers, float)):
        for (p, k), message in ((at, np.asarray(messages[at], float)) for at in np.ndindex(*messages.shape[:2])):
            joint = np.cov(message, layer, rowvar=False).astype(precision)
            most = float(binary_entropy(jnp.asarray(message.mean())))
            for subset, nodes in enumerate(members):
                kept = np.concatenate([[True], nodes])
                bits[p, network, k, subset] = np.clip(_by_inversion(joint[np.ix_(kept, kept)]), 0, most)
    advance(bits[0].size)
    return Estimates(bits)


def _by_inversion(joint: np.ndarray) -> float:
    """Eq. 13 from the covariance of (M, X_T)."""
    apart = joint.copy()
    apart[0, 1:] = apart[1:, 0] = 0
    with np.errstate(all="ignore"):
        try:
            trace = np.trace(np.linalg.inv(apart) @ joint)
        except np.linalg.LinAlgError:
            return 0.0
        nats = trace - len(joint) + np.log(np.linalg.det(apart) / np.linalg.det(joint))
    return float(np.nan_to_num(nats / (2 * np.log(2)), posinf=0, neginf=0))


def measured_again(params: Params, config: Config, dataset: Dataset, estimate: Estimate) -> Outputs:
    """Outputs of trained networks ``[S, strategies, factors]`` by another estimate, from the flows to the end.

    The random control is not drawn anew: ``config.strategies`` must have none.
    """
    network, x, messages = _analysed(config, dataset)
    flows = measure_flows(params, x, messages[None], network, config.first_layer, estimate)
    ranks = _ranks(params, config, {layer: own.node for layer, own in flows.layers.items()}, len(x))
    tail = jax.vmap(partial(tail_params, start=config.first_layer))(params)
    levels = [strategy.level for strategy in config.strategies]
    outputs, _ = measure_interventions(
        tail, flows.start, ranks, levels, config.factors, flows.outputs, messages,
        tail_network(network, config.first_layer), estimate,
    )  # fmt: skip
    return outputs


def _ranks(params: Params, config: Config, node: NodeFlows, samples: int) -> Array:
    """Ranks of the edges under strategies of which none is random."""
    keys = jax.random.split(jax.random.key(0), len(node[config.first_layer]))
    return strategy_ranks(keys, params, node, config.strategies, samples, config.first_layer)


def _analysed(config: Config, dataset: Dataset) -> tuple[MLP, Array, Array]:
    """The architecture, and inputs and messages of the analysis half."""
    x, messages = dataset.test
    both = np.stack([messages[name] for name in dataset.messages])
    return config.network(dataset), jnp.asarray(x), jnp.asarray(both)


def inversion_table(params: Params, config: Config, dataset: Dataset, _: NodeFlows) -> pd.DataFrame:
    """The tradeoff of Fig. 13 by jaxflow's estimate and by eq. 13's inversion, in double and in single precision.

    Flows are estimated anew, as they too would come out otherwise.

    Returns:
        A row per network, strategy and factor: ``accuracy``, ``bias``, and both with ``_double`` and ``_single``.
    """
    config = dataclasses.replace(config, strategies=strategy_grid((2, 3), (3, 6), metrics=PAPER_METRICS[:2]))
    estimates: dict[str, Estimate] = {
        "": ESTIMATORS["gaussian"].estimate,
        "_double": partial(estimate_by_inversion, precision="float64"),
        "_single": partial(estimate_by_inversion, precision="float32"),
    }
    outputs = {name: measured_again(params, config, dataset, own) for name, own in estimates.items()}
    table = tables.tradeoff_table(np.arange(len(outputs[""].bias)), config.strategies, config.factors, outputs[""])
    for name, own in outputs.items():
        table[f"accuracy{name}"], table[f"bias{name}"] = np.ravel(own.accuracy), np.ravel(own.bias)
    return table.drop(columns=GAPS)


def shared_edges_table(params: Params, config: Config, dataset: Dataset, node: NodeFlows) -> pd.DataFrame:
    """Pruning the two widest bias-to-accuracy paths (Fig. 6), shared edges scaled once or once for every path.

    Returns:
        A row per network and factor: ``accuracy`` and ``bias`` in per cent with shared edges scaled once,
        ``accuracy_repeated`` and ``bias_repeated`` with them scaled for every path through them.
    """
    network, x, messages = _analysed(config, dataset)
    start = jax.lax.map(lambda own: forward(network, own, x)[config.first_layer], params)
    tail = jax.vmap(partial(tail_params, start=config.first_layer))(params)
    sources = [node[layer] for layer in sorted(node)[:-1]]
    count = jax.vmap(partial(_paths_through, level=2, samples=len(x)))(tail, sources)
    factors = jnp.asarray(config.factors, x.dtype)
    logits_of = partial(_logits, tail_network(network, config.first_layer))

    def outputs(times: Array) -> Outputs:
        one = jax.vmap(logits_of, (None, None, 0, None))  # every factor
        logits = jax.lax.map(lambda own: one(own[0], own[1], factors, own[2]), (tail, times, start))
        return measure_outputs(logits, messages[0], messages[1], gaussian)

    once, repeated = outputs(jnp.minimum(count, 1)), outputs(count)
    return tables.tidy(
        network=np.arange(len(count))[:, None], factor=np.array(config.factors),
        accuracy=once.accuracy, bias=once.bias, accuracy_repeated=repeated.accuracy, bias_repeated=repeated.bias,
    )  # fmt: skip


def _paths_through(params: Params, node: list[Array], level: int, samples: int) -> Int[Array, "L W W"]:
    """Through how many of the widest paths every edge goes."""
    weights = kernels(params)
    scores = flow_scores("path", [own[1] for own in node], [own[0] for own in node], weights, samples)
    paths = widest_paths(scores.score, weights[0].shape[0], level)
    visited = jax.nn.one_hot(paths, scores.score.shape[1], dtype=jnp.int32)  # path, layer, node
    return jnp.einsum("kli,klj->lij", visited[:, :-1], visited[:, 1:])


def _logits(
    network: MLP, params: Params, times: Int[Array, "L W W"], factor: Array, start: Float[Array, "N n"]
) -> Float[Array, "N 2"]:
    """Logits with every weight multiplied by the factor as many times as told."""
    pruned = dict(params)
    for layer, kernel in enumerate(kernels(params)):
        n, m = kernel.shape
        pruned[f"layer_{layer}"] = {
            **params[f"layer_{layer}"],
            "kernel": factor ** times[layer, :n, :m].astype(kernel.dtype) * kernel,
        }
    return forward(network, pruned, start)[-1]


def alpha_table(params: Params, config: Config, dataset: Dataset, node: NodeFlows) -> pd.DataFrame:
    """Fig. 3's pruning by bias-to-accuracy flow, with the kernel SVM's penalty as the text and as the program draws it.

    By scikit-learn's fits both times, tuned once at the unpruned output; what is pruned is the same.

    Args:
        params: of the networks.
        config: of their run.
        dataset: what they were trained on.
        node: their flows, which choose what is pruned.

    Returns:
        A row per network, strategy and factor: ``accuracy``, ``bias``, and both with ``_program``, in per cent.
    """
    network, x, messages = _analysed(config, dataset)
    config = dataclasses.replace(config, strategies=strategy_grid((2, 3), (3, 6), metrics=PAPER_METRICS[:1]))
    activations = jax.vmap(lambda own: forward(network, own, x))(params)
    ranks = _ranks(params, config, node, len(x))
    frames = []
    for published in (False, True):
        estimate = partial(ESTIMATORS["kernel-svm"].estimate, backend="sklearn", published_alpha=published)
        found = estimate(activations[-1], messages[None].astype(x.dtype), np.ones((1, 2), bool))
        decisions = jnp.zeros((len(activations[-1]), len(GAPS)), x.dtype)
        unpruned = outputs_of(jnp.asarray(found.bits[0, :, :, 0], x.dtype), decisions, messages)
        outputs, _ = measure_interventions(
            params, activations[0], ranks, [own.level for own in config.strategies], config.factors,
            unpruned, messages, tail_network(network, 0), estimate, draws=found.draws[:, :, 0],
        )  # fmt: skip
        networks = np.arange(len(activations[-1]))
        frames.append(tables.tradeoff_table(networks, config.strategies, config.factors, outputs).drop(columns=GAPS))
    text, program = frames
    return text.assign(accuracy_program=program["accuracy"], bias_program=program["bias"])
