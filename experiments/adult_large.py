"""The modified Adult data, larger network (Venkatesh et al. 2021, §4.2; Fig. 17), step by step.

    python experiments/adult_large.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Two embedded categories join the numeric features. Factors go on below zero: does turning weights round raise the bias
again? The estimate is Gaussian, as in Figs. 15 and 17; in Fig. 6a linear SVMs.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxflow as jf

parser = argparse.ArgumentParser(description="the paper's larger network on Adult")
parser.add_argument("--seeds", type=int, default=100, help="number of networks")
parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
parser.add_argument("--figure", type=Path, default=Path("adult_large.png"), help="where the figure goes")
options = parser.parse_args()

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("adult-large", options.data_dir)
x, messages = jnp.asarray(data.test.x), data.test.messages

# 2. many networks (5, 3, 3, 2), whose first two inputs are trained embeddings of categories
network = jf.mlp(hidden=(3, 3), categories=data.categories)
trained = jf.train_many(jax.random.key(0), options.seeds, network, data.train.x, data.train.messages["y"])

factors = jnp.linspace(1, -1, 21)
strategies = [
    ("bias/acc", "node", 2),
    ("bias/acc", "edge", 6),
    ("bias/acc", "path", 2),
]


def one_network(params):
    """Outputs of one network for every strategy and factor."""
    # 3. flows of both messages through every node and edge
    flows = jf.network_flows(network, params, x, messages)

    # 4. the top nodes, edges or paths of a ranking lose their weights, step by step
    def sweep(metric, method, level):
        ranks = jf.rank(network, params, flows, metric, method)
        chosen = jf.select(network, params, ranks, level)
        return jax.vmap(lambda f: jf.measure_outputs(network, jf.prune(params, chosen, f), x, messages))(factors)

    return [sweep(*strategy) for strategy in strategies]


swept = jf.map_networks(one_network, trained.params)

# 5. Fig. 17: bias and accuracy from factor 1 to −1; complete removal is the point in the middle
figure, axes = plt.subplots(layout="constrained")
for (metric, method, level), outputs in zip(strategies, swept, strict=True):
    label = f"{level} {method}s by {metric}"
    bias, accuracy = outputs["bias"], outputs["accuracy"]  # [networks, factors]
    errors = accuracy.std(axis=0) / options.seeds**0.5, bias.std(axis=0) / options.seeds**0.5
    axes.errorbar(bias.mean(axis=0), accuracy.mean(axis=0), *errors, label=label)
    ends = [f"{values[:, 0].mean():.1f} → {values[:, 10].mean():.1f} %" for values in (bias, accuracy)]
    print(f"{label}: bias {ends[0]}, accuracy {ends[1]}")
axes.set(xlabel="information bias, %", ylabel="information accuracy, %")
axes.legend()
figure.savefig(options.figure)
