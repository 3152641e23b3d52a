"""One chunk of networks through everything: training, flows, interventions, removals, and their tables."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxflow import tables
from jaxflow.ablations import donors
from jaxflow.batching import on_all_cores
from jaxflow.datasets import Dataset
from jaxflow.errors import InputError
from jaxflow.inference.honest import equal_halves
from jaxflow.layers import SEARCH_STEPS, Fits, widest
from jaxflow.measurements import Measured, measure_flows
from jaxflow.messages import Message, unpermuted
from jaxflow.networks import Network, Params
from jaxflow.rankings import strategy_ranks
from jaxflow.running.config import Config, measured_messages
from jaxflow.running.progress import Stages
from jaxflow.study import Study, with_permutations
from jaxflow.sweeps import (
    Outputs,
    Stack,
    group_width,
    measure_interventions,
    measure_removals,
    measure_together,
)
from jaxflow.training import Trained, train_many

DONORS = 4  # purpose of a key, after training, random control, permutations and halves


class Inputs(NamedTuple):
    """What all chunks of a run share, on the device.

    Attributes:
        config: the experiment.
        study: how its networks are measured.
        train_x: features of the training half.
        train_y: its label.
        x: features of the analysis half.
        messages: of the analysis half, see ``measured_messages``.
        key: of the run.
        params: stacked parameters of networks that were trained elsewhere; None to train them.
    """

    config: Config
    study: Study
    train_x: Array
    train_y: Array
    x: Array
    messages: dict[str, Message]
    key: Array
    params: Params = None


class Chunk(NamedTuple):
    """Everything measured on a chunk."""

    trained: Trained
    measured: Measured
    tradeoff: Outputs
    removed: Outputs
    fits: dict[str, Fits]


def inputs_of(config: Config, network: Network, dataset: Dataset, params: Params = None) -> Inputs:
    """Everything on the device."""
    train, test = dataset.train, dataset.test
    study = config.study(network, dataset)
    train_x, train_y, x = map(jnp.asarray, (train.x, train.messages[dataset.label], test.x))
    messages = jax.device_put(measured_messages(study.roles, dataset))
    return Inputs(config, study, train_x, train_y, x, messages, jax.random.key(config.seed), params)


def measured_chunk(inputs: Inputs, start: int, width: int, stages: Stages) -> Chunk:
    """Train and analyse networks start … start + width − 1."""
    config, study, messages = inputs.config, inputs.study, inputs.messages
    numbers = jnp.arange(start, start + width)
    train_key, control_key, null_key, half_key = (jax.random.fold_in(inputs.key, purpose) for purpose in range(DONORS))
    trained = _trained(inputs, train_key, numbers, stages)
    single = unpermuted(messages)
    permuted = with_permutations(null_key, study.estimated(messages), _exchangeable(inputs), config.permutations or 0)
    halves = {name: jnp.asarray(equal_halves(half_key, own)) for name, own in study.estimated(messages).items()}
    with stages("flows") as advance:
        measured = measure_flows(study, trained.params, inputs.x, single | permuted, halves, advance)
    keys = jax.vmap(partial(jax.random.fold_in, control_key))(numbers)
    tradeoff, removed, fits = _intervened(inputs, trained.params, keys, measured, stages)
    kept = measured._replace(start=None, draws=None)
    return Chunk(trained, kept, tradeoff, removed, {"flows": measured.fits, **fits})


def _intervened(
    inputs: Inputs, params: Params, keys: Array, measured: Measured, stages: Stages
) -> tuple[Outputs, Outputs, dict[str, Fits]]:
    """Outputs after every intervention, and without every edge, and the fits behind them by stage.

    An estimator that takes interventions as variants of one layer gets the edges with the others.
    """
    config, study = inputs.config, inputs.study
    edges, attributes = tables.edge_list(_weights(study, params)), len(study.roles.attributes)
    levels = [strategy.level for strategy in config.strategies] * attributes
    swept, together = _swept(config, attributes), study.spec.variants is not None
    width = group_width(study, *([swept + len(edges)] if together else [swept, len(edges)]))
    draws = measured.draws if config.tune == "once" else None
    with stages("tradeoff") as advance:
        rows, given_by = (
            (inputs.x, inputs.messages),
            donors(jax.random.fold_in(inputs.key, DONORS), study.ablation, len(inputs.x)),
        )
        ranks = strategy_ranks(keys, params, measured.flows, *rows, study, config.strategies, given_by)
        stack = Stack(params, measured.start, ranks, *rows, given_by)
        sweep = study, stack, levels, config.factors, measured.outputs
        if together:
            tradeoff, removed, fits = measure_together(*sweep, edges, width=width, advance=advance)
            return tradeoff, removed, {"tradeoff": fits}
        tradeoff, fits = measure_interventions(*sweep, draws=draws, width=width, advance=advance)
    with stages("dependence") as advance:
        removed, removed_fits = measure_removals(study, stack, edges, draws=draws, width=width, advance=advance)
    return tradeoff, removed, {"tradeoff": fits, "dependence": removed_fits}


def _swept(config: Config, attributes: int) -> int:
    """Interventions by factors of one network."""
    return len(config.strategies) * attributes * sum(factor != 1 for factor in config.factors)


def _exchangeable(inputs: Inputs) -> dict[str, np.ndarray] | None:
    """Which rows of every message the noise floor's permutations may exchange."""
    exchangeable = inputs.study.spec.exchangeable
    if exchangeable is None:
        return None
    return {name: exchangeable(own) for name, own in inputs.study.estimated(inputs.messages).items()}


def _trained(inputs: Inputs, key: Array, numbers: Array, stages: Stages) -> Trained:
    """The networks of these numbers, trained now or taken from those that were handed in."""
    if inputs.params is not None:
        count = len(jax.tree.leaves(inputs.params)[0])
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf)[jnp.minimum(numbers, count - 1)], inputs.params)
        nothing = jnp.zeros((len(numbers), 0))
        return Trained(params, nothing, nothing)
    train = partial(
        train_many,
        key,
        network=inputs.study.network,
        x=inputs.train_x,
        y=inputs.train_y,
        training=inputs.config.training,
    )
    with stages("training"):
        trained = jax.block_until_ready(on_all_cores(train, numbers))
    _check_finite(trained, int(np.asarray(numbers)[0]))
    return trained


def _weights(study: Study, params: Params) -> dict[int, Any]:
    """Weights of every network by layer, from the first analysed one on."""
    weights = jax.vmap(study.network.weights)(params)
    return {layer: own for layer, own in enumerate(weights) if layer >= study.first_layer}


def _check_finite(trained: Trained, start: int) -> None:
    """Refuse networks whose training diverged: their information would be NaN."""
    leaves = [trained.loss, *jax.tree.leaves(trained.params)]
    finite = np.all([np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in map(np.asarray, leaves)], axis=0)
    if not finite.all():
        raise InputError(
            f"training diverged in network {start + int(np.argmin(finite))} ({int((~finite).sum())} of {len(finite)}); "
            "lower the learning rate"
        )


def chunk_tables(inputs: Inputs, networks: np.ndarray, chunk: Chunk) -> dict[str, pd.DataFrame]:
    """All tables of a chunk."""
    trained, measured, tradeoff, removed, fits = chunk
    config, study, flows = inputs.config, inputs.study, measured.flows
    roles, weights = study.roles, _weights(study, trained.params)
    # dictionaries leave tree maps in alphabetical order
    bits, node, witness, edge = (
        {name: own[name] for name in roles.measured_names}
        for own in (flows.bits, flows.node, flows.witness, flows.edge)
    )
    evidence = {name: measured.evidence[name] for name in roles.measured_names}
    fits = {stage: {name: own[name] for name in roles.measured_names} for stage, own in fits.items()}
    aims = [(strategy, attribute) for attribute in roles.attributes for strategy in config.strategies]
    frames = {
        "networks": tables.networks_table(networks, measured.outputs, roles),
        "training": tables.training_table(networks, trained.loss, trained.learning_rate),
        "information": tables.information_table(networks, bits),
        "node_flows": tables.node_flows_table(networks, node, witness, evidence),
        "edge_flows": tables.edge_flows_table(networks, edge, weights),
        "tradeoff": tables.tradeoff_table(networks, aims, config.factors, tradeoff, roles),
        "dependence": tables.dependence_table(
            networks, tables.edge_list(weights), edge, measured.outputs, removed, roles
        ),
    }
    return frames | ({"fits": tables.fits_table(networks, fits)} if study.spec.chunk is not None else {})


def stage_steps(inputs: Inputs, widths: Sequence[int], width: int) -> dict[str, int]:
    """Estimates (network, factor, message, subset) in every stage of a chunk of ``width`` networks.

    Args:
        inputs: of the run.
        widths: nodes of every layer, input and output included.
        width: networks of a chunk.
    """
    config, study = inputs.config, inputs.study
    own = widths[study.first_layer :]
    most = widest(study.spec)
    subsets = sum((2**n if n <= most else SEARCH_STEPS) * width for n in own)
    edges = sum(n * m for n, m in pairwise(own))
    swept = _swept(config, len(study.roles.attributes))
    swept, edges = (swept, edges) if study.spec.variants is None else (swept + edges, 0)
    messages = 1 + len(study.roles.attributes)
    return {
        "training": 0,
        "flows": messages * subsets,
        "tradeoff": messages * width * swept,
        "dependence": messages * width * edges,
    }


def stage_shares(config: Config, steps: dict[str, int]) -> dict[str, float]:
    """What part of the first chunk's time every stage takes, roughly; of later ones it is known from the one before.

    By fits where there are many; else as the presets' first chunks do, which compile most of the time.
    """
    if not config.spec.searches:
        typical = (1.0, 1.0, 1.0, 0.1) if config.spec.layer_bits is not None else (1.0, 3.0, 6.0, 1.0)
        return dict(zip(steps, typical, strict=True))
    kept = 0.01 if config.tune == "once" else 1.0
    return {stage: count * (1.0 if stage == "flows" else kept) for stage, count in steps.items()}
