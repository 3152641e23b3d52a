"""The modified Adult data, small network (Venkatesh et al. 2021, §4.2; Figs. 14 and 16), step by step.

    python experiments/adult_small.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Three numeric features of a person; Y is an income above 50K, Z is sex. Flows are compared with
random pruning. The estimate is Gaussian, as in Figs. 14 and 16; in Figs. 4 and 5 linear SVMs
(``jaxflow run adult-small --estimator linear-svm``).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxflow as jf

parser = argparse.ArgumentParser(description="the paper's small network on Adult")
parser.add_argument("--seeds", type=int, default=100, help="number of networks")
parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
parser.add_argument("--figure", type=Path, default=Path("adult_small.png"), help="where the figure goes")
options = parser.parse_args()

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("adult-small", options.data_dir)
x, messages = jnp.asarray(data.test.x), data.test.messages

# 2. many networks (3, 3, 2) on the same rows, each with its own initialisation and shuffles
network = jf.mlp(hidden=(3,))
trained = jf.train_many(jax.random.key(0), options.seeds, network, data.train.x, data.train.messages["y"])

factors = jnp.linspace(1, 0, 11)
strategies = [
    (metric, method, level)
    for method, level in [("node", 2), ("edge", 3)]
    for metric in ("bias/acc", "acc/bias", "random")
]


def one_network(params, key):
    """Outputs of one network for every strategy and factor."""
    # 3. flows of both messages through every node and edge
    flows = jf.network_flows(network, params, x, messages)

    # 4. the top nodes or edges of a ranking lose their weights, step by step
    def sweep(metric, method, level):
        ranks = jf.rank(network, params, flows, metric, method, key=key)
        chosen = jf.select(network, params, ranks, level)
        return jax.vmap(lambda f: jf.measure_outputs(network, jf.prune(params, chosen, f), x, messages))(factors)

    return [sweep(*strategy) for strategy in strategies]


swept = jf.map_networks(one_network, trained.params, jax.random.split(jax.random.key(1), options.seeds))

# 5. Figs. 14 and 16: how much bias goes for how much accuracy
figure, axes = plt.subplots(layout="constrained")
for (metric, method, level), outputs in zip(strategies, swept, strict=True):
    label = f"{level} {method}s by {metric}"
    bias, accuracy = outputs["bias"], outputs["accuracy"]  # [networks, factors]
    errors = accuracy.std(axis=0) / options.seeds**0.5, bias.std(axis=0) / options.seeds**0.5
    axes.errorbar(bias.mean(axis=0), accuracy.mean(axis=0), *errors, label=label)
    ends = [f"{values[:, 0].mean():.1f} → {values[:, -1].mean():.1f} %" for values in (bias, accuracy)]
    print(f"{label}: bias {ends[0]}, accuracy {ends[1]}")
axes.set(xlabel="information bias, %", ylabel="information accuracy, %")
axes.legend()
figure.savefig(options.figure)
