"""How far the searched node flows of wide layers fall short of the exact maximum, where that can be listed.

    python experiments/studies/search_gap.py --data-dir DIR

Trains networks with hidden layers of 6 to 16 nodes, as the experiments' presets do, and compares on the analysis half
the flows of every hidden node about label and attribute with their maxima over all 2ⁿ⁻¹ subsets. Relative gaps are of
flows above the layer's noise floor (null95); those below are told in bits. Seconds are of a second call, compiled.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxflow import load_dataset, node_flows, noise_floor, search_flows
from jaxflow.information import gaussian
from jaxflow.networks import MLP
from jaxflow.running.presets import preset

sys.path.append(str(Path(__file__).parents[1]))
from measuring import both_messages, timed, trained_layers

CASES = [  # experiment, hidden layers, networks
    ("synthetic", (12,), 8),
    ("synthetic", (16,), 6),
    ("adult-small", (12,), 8),
    ("adult-small", (16,), 6),
    ("adult-large", (12, 12), 6),
    ("mnist", (6, 6, 6, 6, 6), 6),
    ("mnist", (16,), 4),
]
METHODS = {  # beam, restarts
    "greedy": (1, 0),
    "beam 4": (4, 0),
    "beam 8": (8, 0),
    "beam 8, 8 restarts": (8, 8),
}
PERMUTATIONS = 20


class Layers(NamedTuple):
    """One hidden layer of trained networks: its case, messages ``[2, N]`` and activations ``[S, N, n]``."""

    case: str
    messages: np.ndarray
    activations: np.ndarray


def hidden_layers(name: str, hidden: tuple[int, ...], count: int, options: argparse.Namespace) -> list[Layers]:
    """Hidden layers of freshly trained networks."""
    data = load_dataset(name, options.data_dir)
    network = MLP((*hidden, 2), data.categories)
    layers = trained_layers(network, preset(name).training, data, count, options.seed)
    return [Layers(f"{name} {'x'.join(map(str, hidden))}", both_messages(data), own) for own in layers[:-1]]


def exact(layers: Layers, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact flows ``[2, S, n]`` and noise floors ``[2, S]``, network by network."""
    key, flows, floors = jax.random.key(seed), [], []
    for own in layers.activations:
        flows.append(node_flows(gaussian(layers.messages, own))[0])
        floors.append(noise_floor(layers.messages, own, key=key, permutations=PERMUTATIONS))
    return np.stack(flows, axis=1), np.stack(floors, axis=1)


def searched(layers: Layers, method: str) -> np.ndarray:
    """Searched flows ``[2, S, n]``."""
    beam, restarts = METHODS[method]
    return np.asarray(search_flows(layers.messages[:, None], layers.activations, beam=beam, restarts=restarts)[0])


def compared(layers: Layers, seed: int) -> pd.DataFrame:
    """A row for every method, message, network and node: exact and searched flow, and whether it is above the floor."""
    best, floor = exact(layers, seed)
    tables = []
    for method in METHODS:
        searched(layers, method)  # compiles
        seconds, found = timed(partial(searched, layers, method))
        columns = {"exact": best.ravel(), "searched": found.ravel(), "above": (best > floor[..., None]).ravel()}
        table = pd.DataFrame(columns).assign(method=method, case=layers.case)
        tables.append(table.assign(seconds=seconds / len(table)))
    print(f"{layers.case}: {best.shape[1]} networks", file=sys.stderr)
    return pd.concat(tables)


def summary(rows: pd.DataFrame) -> pd.Series:
    """Gaps in per cent of the flows above the noise floor; below it the largest in bits; ms per flow."""
    above, below = rows[rows["above"]], rows[~rows["above"]]
    gap = 100 * (1 - above["searched"] / above["exact"])
    return pd.Series(
        {
            "flows": len(above),
            "exact to 0.1 %": f"{100 * np.mean(gap < 0.1):.1f} %",
            "median %": f"{gap.clip(lower=0).median():.3f}",
            "95th %": f"{gap.clip(lower=0).quantile(0.95):.2f}",
            "mean %": f"{gap.clip(lower=0).mean():.3f}",
            "largest bits": f"{(above['exact'] - above['searched']).max():.4f}",
            "below floor": len(below),
            "bits there": f"{(below['exact'] - below['searched']).max():.5f}" if len(below) else "",
            "ms/flow": f"{1e3 * rows['seconds'].mean():.2f}",
        }
    )


def main() -> None:
    """Print a table for every method over all networks, and the 95th percentile for every architecture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="of training and permutations")
    options = parser.parse_args()
    layers = (layer for name, hidden, count in CASES for layer in hidden_layers(name, hidden, count, options))
    rows = pd.concat([compared(layer, options.seed) for layer in layers], ignore_index=True)
    whole = {method: summary(own) for method, own in rows.groupby("method", sort=False)}
    print(pd.DataFrame(whole).T.to_string())
    parts = rows.groupby(["case", "method"], sort=False)[["exact", "searched", "above"]]
    relative = parts.apply(lambda own: 100 * (1 - own["searched"] / own["exact"])[own["above"]].quantile(0.95))
    table = relative.rename("gap").reset_index().pivot_table("gap", "case", "method", sort=False).clip(lower=0).round(2)
    print("\n95th percentile of the gap, per cent\n" + table.to_string())


if __name__ == "__main__":
    main()
