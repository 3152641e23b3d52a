"""How often an honest flow's interval holds the truth of the subsets that were chosen, for ``calibration.py``."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from calibration_layers import (
    TOGETHER,
    classes,
    conditional_information,
    drawn,
    generator,
    random_population,
)
from calibration_page import CLASSES

from jaxflow import as_message, honest_flows, node_flows
from jaxflow.inference.honest import Honest, equal_halves, intervals, of_both, strata_of, valued_in
from jaxflow.information import gaussian
from jaxflow.messages import Message

SHARES = (0.5, 0.25)  # of class 1
CHOICE_NODES, CHOICE_ROWS = 12, 1000
HALF, OTHERS = "the other half", "other rows"


def witnesses(message: np.ndarray, x: np.ndarray, halves: np.ndarray) -> list[np.ndarray]:
    """The subsets that each half chooses, as bitmasks ``[S, n]``."""
    return [np.asarray(node_flows(gaussian(message[half], x[:, half]))[1]) for half in halves]


@jax.jit
def valued(x: jax.Array, message: Message, halves: jax.Array, members: jax.Array) -> Honest:
    """Flows and intervals as ``honest_flows`` has them, of subsets that are given.

    Args:
        x: layers ``[S, N, n]``.
        message: of the rows.
        halves: row numbers ``[2, H]``.
        members: nodes of every subset, ``[2, S, n, n]``.
    """

    def of_half(layer: jax.Array, rows: jax.Array, own: jax.Array) -> tuple[jax.Array, ...]:
        about = jax.tree.map(lambda values: values[rows], message)
        return valued_in(strata_of(about, layer[rows]), own, 0, None)

    def of_layer(layer: jax.Array, own: jax.Array) -> tuple[jax.Array, ...]:
        return of_both(*jax.vmap(of_half, in_axes=(None, 0, 0))(layer, halves, own))

    return intervals(*jax.vmap(of_layer, in_axes=(0, 1))(x, members))


def coverage_block(nodes: int, rows: int, block: int, chosen_on: str = HALF) -> pd.DataFrame:
    """Of every flow of some layers: the truth over its standard error, and on which side of the interval it lies.

    Args:
        nodes: of a layer.
        rows: N.
        block: number of these layers.
        chosen_on: the rows that choose the subsets which a half values: those of the other half, or as many of a
            second draw from the same population, which no value has seen.
    """
    rng, key = generator("coverage", nodes, rows, block), jax.random.key(block)
    share = SHARES[block % len(SHARES)]
    population, message = random_population(rng, TOGETHER, nodes, share), classes(rng, rows, share)
    x, about = drawn(rng, population, message), as_message(message)
    halves = equal_halves(key, about)
    if chosen_on == HALF:
        chosen = witnesses(message, x, halves)
        found = honest_flows(key, message, x)
    else:
        second = classes(rng, rows, share)
        chosen = witnesses(second, drawn(rng, population, second), halves)
        members = np.stack(chosen)[..., None] >> np.arange(nodes) & 1 == 1
        found = valued(jnp.asarray(x), about, jnp.asarray(halves), jnp.asarray(members))
    truths, spreads = zip(*(conditional_information(population, witness) for witness in chosen), strict=True)
    truth, error = np.mean(truths, axis=0), np.hypot(*spreads) / 2 / np.sqrt(len(halves[0]))
    ratio = np.where(truth > 0, truth / np.maximum(error, 1e-30), 0)
    _, low, high = map(np.asarray, found)
    columns = {"ratio": ratio, "below": truth < low, "above": truth > high, "width": high - np.maximum(low, 0)}
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    return table.assign(layer=np.repeat(np.arange(TOGETHER) + TOGETHER * block, nodes))


def coverage_cell(nodes: int, rows: int, layers: int, chosen_on: str = HALF) -> pd.DataFrame:
    """Coverage by how large the truth is, over its standard error; errors count the layers, not their nodes."""
    flows = pd.concat([coverage_block(nodes, rows, block, chosen_on) for block in range(layers // TOGETHER)])
    found = []
    for name, (least, most) in CLASSES.items():
        own = flows[(flows["ratio"] > least) & (flows["ratio"] <= most)]
        missed = (own["below"] | own["above"]).astype(float)
        excess = (missed - missed.mean()).groupby(own["layer"]).sum()
        found.append(
            {
                "truth": name,
                "layers": layers,
                "flows": len(own),
                "coverage": 1 - missed.mean(),
                "error": np.sqrt(np.sum(excess**2)) / len(own) if len(own) else np.nan,
                "truth_below": own["below"].mean(),
                "truth_above": own["above"].mean(),
                "median_width": own["width"].median(),
            }
        )
    return pd.DataFrame(found)


def choice_cell(chosen_on: str, layers: int) -> pd.DataFrame:
    """Coverage where the subsets come from the other half of the rows, and where from rows that no value has seen."""
    return coverage_cell(CHOICE_NODES, CHOICE_ROWS, layers, chosen_on)
