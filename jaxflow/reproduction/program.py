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
from jaxflow.flows import Flows
from jaxflow.information import ESTIMATORS, Advance, Estimates, EstimatorSpec
from jaxflow.information.estimates import ignore
from jaxflow.interventions import PAPER_METRICS
from jaxflow.measurements import measure_flows
from jaxflow.messages import Message, binary_entropy, unpermuted
from jaxflow.metrics import Shown, padded_scores
from jaxflow.networks import Network, Params
from jaxflow.outputs import PAPER, counted_measures, measure_names, outputs_of, stack_outputs
from jaxflow.paths import widest_paths
from jaxflow.rankings import strategy_ranks
from jaxflow.running.config import Config, measured_messages, strategy_grid
from jaxflow.study import Study
from jaxflow.sweeps import Outputs, Stack, measure_interventions

NodeFlows: TypeAlias = dict[str, dict[int, Any]]  # message → layer → flows [S, n]
GAPS = list(measure_names(PAPER)[2:])


def estimate_by_inversion(
    layers: Array,
    messages: Mapping[str, Message],
    members: np.ndarray,
    *,
    groups: None = None,
    draws: None = None,
    advance: Advance = ignore,
    precision: str = "float64",
) -> dict[str, Estimates]:
    """I = ½ (Tr(Σ̃⁻¹Σ) − d + ln(det Σ̃ / det Σ)) / ln 2 bits, Σ̃ inverted however near it is to singular.

    Venkatesh et al. 2021, eq. 13 as printed, from the covariance rounded to ``precision``. Clipped to [0, H(M)]; what
    is not finite, as where a covariance is singular to the last digit, counts as 0.
    """
    del draws, groups
    estimates = {}
    for name, about in messages.items():
        values = np.asarray(about.values, float)
        bits = np.zeros((len(values), len(layers), len(members)))
        for network, layer in enumerate(np.asarray(layers, float)):
            for p, message in enumerate(values):
                joint = np.cov(message, layer, rowvar=False).astype(precision)
                most = float(binary_entropy(jnp.asarray(message.mean())))
                for subset, nodes in enumerate(members):
                    kept = np.concatenate([[True], nodes])
                    bits[p, network, subset] = np.clip(_by_inversion(joint[np.ix_(kept, kept)]), 0, most)
        advance(bits[0].size)
        estimates[name] = Estimates(bits)
    return estimates


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


def measured_again(params: Params, config: Config, dataset: Dataset, spec: EstimatorSpec) -> Outputs:
    """Outputs of trained networks by measure ``[S, strategies, factors]``, estimated another way from flows to end.

    The random control is not drawn anew: ``config.strategies`` must have none.
    """
    study, x, messages = _analysed(config, dataset, spec)
    single = unpermuted(messages)
    measured = measure_flows(study, params, x, single)
    ranks = _ranks(study, params, config, measured.flows, (x, messages))
    stack = Stack(params, measured.start, ranks, x, messages)
    levels = [strategy.level for strategy in config.strategies]
    return measure_interventions(study, stack, levels, config.factors, measured.outputs)[0]


def _ranks(study: Study, params: Params, config: Config, flows: Flows, rows: tuple[Array, dict[str, Message]]) -> Array:
    """Ranks of the edges under strategies of which none is random."""
    keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(params)[0]))
    return strategy_ranks(keys, params, flows, *rows, study, config.strategies)


def _analysed(config: Config, dataset: Dataset, spec: EstimatorSpec) -> tuple[Study, Array, dict[str, Message]]:
    """How to measure by an estimator, and inputs and messages of the analysis half."""
    study = dataclasses.replace(config.study(config.network(dataset), dataset), spec=spec, options=spec.options())
    messages = jax.tree.map(jnp.asarray, measured_messages(study.roles, dataset))
    return study, jnp.asarray(dataset.test.x), messages


def inversion_table(params: Params, config: Config, dataset: Dataset, _: NodeFlows) -> pd.DataFrame:
    """The tradeoff of Fig. 13 by jaxflow's estimate and by eq. 13's inversion, in double and in single precision.

    Flows are estimated anew, as they too would come out otherwise.

    Returns:
        A row per network, strategy and factor: ``accuracy``, ``bias``, and both with ``_double`` and ``_single``.
    """
    config = dataclasses.replace(config, strategies=strategy_grid((2, 3), (3, 6), metrics=PAPER_METRICS[:2]))
    gaussian = ESTIMATORS["gaussian"]
    specs = {"": gaussian}
    for precision, name in (("float64", "_double"), ("float32", "_single")):
        estimate = partial(estimate_by_inversion, precision=precision)
        specs[name] = EstimatorSpec(gaussian.function, estimate, f"gaussian{name}")
    outputs = {name: measured_again(params, config, dataset, spec) for name, spec in specs.items()}
    aims = [(strategy, "z") for strategy in config.strategies]
    table = tables.tradeoff_table(np.arange(len(outputs[""]["bias"])), aims, config.factors, outputs[""], PAPER)
    for name, measures in outputs.items():
        table[f"accuracy{name}"], table[f"bias{name}"] = np.ravel(measures["accuracy"]), np.ravel(measures["bias"])
    return table.drop(columns=GAPS)


def shared_edges_table(params: Params, config: Config, dataset: Dataset, node: NodeFlows) -> pd.DataFrame:
    """Pruning the two widest bias-to-accuracy paths (Fig. 6), shared edges scaled once or once for every path.

    Returns:
        A row per network and factor: ``accuracy`` and ``bias`` in per cent with shared edges scaled once,
        ``accuracy_repeated`` and ``bias_repeated`` with them scaled for every path through them.
    """
    study, x, messages = _analysed(config, dataset, ESTIMATORS["gaussian"])
    network, factors = study.network, jnp.asarray(config.factors, x.dtype)
    sources = {name: {layer: flows[layer] for layer in sorted(flows)[:-1]} for name, flows in node.items()}
    through = partial(_paths_through, network, first_layer=study.first_layer, level=2, samples=len(x))
    count = jax.vmap(through)(params, sources)

    def shown(params: Params, times: Array, factor: Array) -> Outputs:
        logits = network.activations(_scaled(network, params, times, factor), x)[-1]
        single = unpermuted(messages)
        bits: Any = study.spec.layer_bits
        whole = {name: subsets[0, -1] for name, subsets in bits(single, logits).items()}
        return outputs_of(whole, counted_measures(logits, messages, PAPER), messages, PAPER)

    def outputs(times: Array) -> Outputs:
        one = jax.vmap(shown, (None, None, 0))  # every factor
        return jax.lax.map(lambda pair: one(pair[0], pair[1], factors), (params, times))

    once, repeated = outputs(jnp.minimum(count, 1)), outputs(count)
    return tables.tidy(
        network=np.arange(len(count))[:, None],
        factor=np.array(config.factors),
        accuracy=once["accuracy"],
        bias=once["bias"],
        accuracy_repeated=repeated["accuracy"],
        bias_repeated=repeated["bias"],
    )


def _paths_through(
    network: Network, params: Params, node: NodeFlows, first_layer: int, level: int, samples: int
) -> Int[Array, "L W W"]:
    """Through how many of the widest paths every edge goes."""
    weights = network.weights(params)[first_layer:]
    keep, remove = (list(node[name].values()) for name in ("y", "z"))
    scores = padded_scores("bias/acc", Shown(keep, remove, weights, samples=samples, method="path"))
    paths = widest_paths(scores.score, weights[0].shape[0], level)
    visited = jax.nn.one_hot(paths, scores.score.shape[1], dtype=jnp.int32)  # path, layer, node
    return jnp.einsum("kli,klj->lij", visited[:, :-1], visited[:, 1:])


def _scaled(network: Network, params: Params, times: Int[Array, "L W W"], factor: Float[Array, ""]) -> Params:
    """Parameters with every weight of the last L layers multiplied by the factor as many times as told."""
    weights = network.weights(params)
    before = [jnp.ones_like(w) for w in weights[: len(weights) - len(times)]]
    after = [
        factor ** power[: w.shape[0], : w.shape[1]].astype(w.dtype)
        for power, w in zip(times, weights[len(before) :], strict=True)
    ]
    scales = network.spread(params, [scale - 1 for scale in (*before, *after)])
    return jax.tree.map(lambda w, scale: w * (1 + scale), params, scales)


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
    spec = ESTIMATORS["kernel-svm"]
    config = dataclasses.replace(config, strategies=strategy_grid((2, 3), (3, 6), metrics=PAPER_METRICS[:1]))
    study, x, messages = _analysed(config, dataset, spec)
    activations = jax.vmap(lambda network_params: study.network.activations(network_params, x))(params)
    ranks = _ranks(study, params, config, Flows(node, samples=len(x)), (x, messages))
    stack = Stack(params, activations[0], ranks, x, messages)
    single = unpermuted(messages)
    levels, frames = [strategy.level for strategy in config.strategies], []
    for published in (False, True):
        options = spec.options_from({"backend": "sklearn", "published_alpha": published})
        drawn = dataclasses.replace(study, options=options)
        estimates = drawn.estimate(activations[-1], single, np.ones((1, 2), bool))
        bits = {name: jnp.asarray(of.bits[0, :, 0], x.dtype) for name, of in estimates.items()}
        counted = jax.vmap(lambda logits: counted_measures(logits, messages, PAPER))(activations[-1])
        unpruned = stack_outputs(bits, counted, messages, PAPER)
        draws = {name: of.draws[:, 0] for name, of in estimates.items()}
        outputs, _ = measure_interventions(drawn, stack, levels, config.factors, unpruned, draws=draws)
        aims = [(strategy, "z") for strategy in config.strategies]
        table = tables.tradeoff_table(np.arange(len(activations[-1])), aims, config.factors, outputs, PAPER)
        frames.append(table.drop(columns=GAPS))
    text, program = frames
    return text.assign(accuracy_program=program["accuracy"], bias_program=program["bias"])
