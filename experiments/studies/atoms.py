"""What the quadratic estimate says of columns with atoms, nearly dead ReLU units above all, under several remedies.

    python experiments/studies/atoms.py [--runs | --chance]

A Gaussian in each class misjudges a column that holds one value in most rows: a class in which the unit is alive a
little more often is wider by orders of magnitude, and its density at the atom smaller by as much. Printed are bits by
either bound of the whole layer, 5,000 rows, for every remedy by itself, for the choice among a subset's own fits and
for the estimate, which chooses among those of smaller subsets, too; and the most that adding one node to any subset
loses. ``--chance`` prints what is found about permuted messages, and ``--runs`` compares the estimate with class
covariances alone, and with the choice among own fits, in the inputs and trained layers of two experiments.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from jaxflow import load_dataset, node_flows
from jaxflow.information import quadratic as estimate
from jaxflow.information.quadratic import BOUNDS
from jaxflow.pipeline import preset

sys.path.append(str(Path(__file__).parents[1]))
from measuring import both_messages, trained_layers

ROWS, FLIPPED = 5000, 0.11  # H_b(0.11) = 0.5: half a bit is left of a label that the layer determines
MODULE = "jaxflow.information.quadratic"


def take(number: int) -> dict[str, Any]:
    """The patch that always takes one of the fits: class covariances, unit variance, pooled with indicators."""

    def taken(sums: Any, _: Any, concerned: Any, *__: Any) -> Any:
        return jnp.where(concerned[:, None, None], sums[:, number], sums[:, 0])

    return {f"{MODULE}.chosen_losses": taken}


NO_INDICATORS = {f"{MODULE}.indicators": lambda atoms, dtype: jnp.zeros(atoms.shape, dtype)}
REMEDIES: dict[str, dict[str, Any]] = {
    "class covariances": take(0),
    "ridge 0.03": take(0) | {"jaxflow.information.discriminant.RIDGE": 0.03},
    "ridge 0.3": take(0) | {"jaxflow.information.discriminant.RIDGE": 0.3},
    "unit variance": take(1),
    "pooled": take(2) | NO_INDICATORS,
    "pooled, indicators": take(2),
    "own fits": {"jaxflow.information.choosing.best_subset": lambda own, _: own},
    "chosen": {},
}
LISTED = ("class covariances", "own fits", "chosen")  # of these, what adding a node loses


@contextmanager
def remedy(name: str) -> Iterator[None]:
    """The estimate with one remedy instead of its choice while the block lasts."""
    jax.clear_caches()
    patches = [patch(target, new) for target, new in REMEDIES[name].items()]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
        jax.clear_caches()


def nearly_dead(*alive: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A node 2M + N(0, 1), and units that are alive in so many rows, of class 1 and 0 by turns."""
    message = rng.integers(0, 2, ROWS)
    units = np.zeros((ROWS, len(alive)))
    for unit, rows in enumerate(alive):
        chosen = rng.choice(np.flatnonzero(message == 1 - unit % 2), rows, replace=False)
        units[chosen, unit] = np.abs(rng.normal(size=rows))
    return message, np.column_stack([2 * message + rng.normal(size=ROWS), units])


def random_units(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Eight random ReLU units of two inputs, and a half-space of them."""
    units = np.maximum(rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=8) - 0.5, 0)
    score = units @ rng.normal(size=8)
    return flipped(score > np.median(score), rng), units


def trained_units(target: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> tuple[Any, Any]:
    """Eight ReLU units of a trained network, and its decision."""
    x = rng.normal(size=(ROWS, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = MLPClassifier((8,), max_iter=60, random_state=0).fit(x, target(x))
    return flipped(np.asarray(network.predict(x)), rng), np.maximum(x @ network.coefs_[0] + network.intercepts_[0], 0)


def flipped(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The label, wrong in 11 % of the rows."""
    return (label ^ (rng.random(len(label)) < FLIPPED)).astype(int)


def discrete(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Columns of few values."""
    message = rng.integers(0, 2, ROWS)
    binary = rng.integers(0, 2, (ROWS, 2))
    shifted = rng.normal(size=(ROWS, 3)) + message[:, None] * np.array([[1.0, 0.5, 0.0]])
    return {
        "two bits, flipped XOR": (flipped(binary[:, 0] ^ binary[:, 1], rng), binary),
        "equal covariances": (message, shifted),
        "equal covariances, rounded": (message, np.round(shifted)),
        "counts": (message, rng.poisson(np.exp(0.6 * message - 0.5))[:, None]),
    }


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Message and layer by name."""
    listed = {f"alive in {k}": nearly_dead(k, rng=np.random.default_rng(0)) for k in (0, 1, 2, 5, 20, 100, 1000)}
    listed["alive in 2, 10, 50, 200"] = nearly_dead(2, 10, 50, 200, rng=np.random.default_rng(0))
    listed |= {f"random units {seed}": random_units(np.random.default_rng(seed)) for seed in range(3)}
    targets = {
        "half-plane": lambda x: x[:, 0] + 0.7 * x[:, 1] > 0,
        "XOR": lambda x: x[:, 0] * x[:, 1] > 0,
        "ring": lambda x: np.sum(x**2, axis=1) > 2 * np.log(2),
    }
    listed |= {f"trained units, {name}": trained_units(f, np.random.default_rng(0)) for name, f in targets.items()}
    return listed | discrete(np.random.default_rng(0))


def loss_of_a_node(bits: np.ndarray) -> float:
    """The most that a node added to a subset takes from its bits ``[2**n]``."""
    masks = np.arange(len(bits))
    added = [(masks, masks | 1 << node) for node in range(len(bits).bit_length() - 1)]
    return max(float(np.max(bits[before] - bits[after])) for before, after in added)


def table(bound: str) -> pd.DataFrame:
    """Bits of every case (rows) under every remedy (columns), and the losses by a node before and after."""
    listed, columns = cases(), {}
    for name in REMEDIES:
        every = name in LISTED
        with remedy(name):
            bits = {
                case: np.asarray(estimate(message, x, bound=bound, subsets=None if every else [2 ** x.shape[1] - 1]))
                for case, (message, x) in listed.items()
            }
        columns[name] = {case: own[-1] for case, own in bits.items()}
        if every:
            columns[f"lost, {name}"] = {case: loss_of_a_node(own) for case, own in bits.items()}
    return pd.DataFrame(columns)


def layers_of(experiment: str, networks: int = 10) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Messages ``[2, N]`` and activations of trained networks ``[S, N, n]`` by layer; of the input's, one."""
    config, data = preset(experiment), load_dataset(experiment)
    layers = trained_layers(config.network(data), config.training, data, networks)
    return both_messages(data), dict(enumerate((data.test.x[None], *layers)))


def changes(bound: str) -> pd.DataFrame:
    """Smallest, mean and largest change of the bits of any subset by the choice, by experiment and layer."""
    rows = {}
    for experiment in ("synthetic", "adult-small"):
        messages, layers = layers_of(experiment)
        for layer, activations in layers.items():
            both = {}
            for name in LISTED:
                with remedy(name):
                    both[name] = np.asarray(estimate(messages[:, None], activations[None], bound=bound))
            for name in LISTED[:2]:
                change = both["chosen"] - both[name]
                spread = {"smallest": change.min(), "mean": change.mean(), "largest": change.max()}
                rows[experiment, layer, name] = spread
    return pd.DataFrame(rows).T


def chance(bound: str, permutations: int = 40) -> pd.DataFrame:
    """Bits and flows about permuted labels of six real units, which tell nothing: means by rows and remedy."""
    rows = {}
    for count in (1000, ROWS):
        for name in LISTED:
            found = []
            for seed in range(3):
                rng = np.random.default_rng(seed)
                message, units = random_units(rng)
                messages = np.array([rng.permutation(message[:count]) for _ in range(permutations)])
                with remedy(name):
                    found.append(np.asarray(estimate(messages, units[None, :count, :6], bound=bound)))
            bits = np.concatenate(found)
            flows = node_flows(jnp.asarray(bits))[0]
            rows[count, name] = {"bits": bits[:, 1:].mean(), "whole layer": bits[:, -1].mean(), "flow": flows.mean()}
    return pd.DataFrame(rows).T


def main() -> None:
    """Print a table for either bound."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", action="store_true", help="trained networks instead of constructed layers")
    parser.add_argument("--chance", action="store_true", help="permuted messages")
    options = parser.parse_args()
    tables = changes if options.runs else chance if options.chance else table
    for bound in BOUNDS:
        print(f"\n{bound}")
        print(tables(bound).to_string(float_format=("{:.5f}" if options.chance else "{:.3f}").format))


if __name__ == "__main__":
    main()
