"""Skewed MNIST digits, a deep network (Venkatesh et al. 2021, §4.2, Fig. 6b), Gaussian as in the paper.

    python experiments/mnist.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Y tells 5, 8 from 4, 9; Z is odd. Five hidden layers of six nodes: do larger networks need more pruning?
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxflow as jf

parser = argparse.ArgumentParser(description="the paper's deep network on MNIST")
parser.add_argument("--seeds", type=int, default=100, help="number of networks")
parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
parser.add_argument("--figure", type=Path, default=Path("mnist.png"), help="where the figure goes")
options = parser.parse_args()

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("mnist", options.data_dir)
x, messages = jnp.asarray(data.test.x), data.test.messages

# 2. many networks (784, 6, 6, 6, 6, 6, 2) on the same images
network = jf.mlp(hidden=(6, 6, 6, 6, 6))
trained = jf.train_many(jax.random.key(0), options.seeds, network, data.train.x, data.train.messages["y"])

factors = jnp.linspace(1, 0, 11)
strategies = [
    ("bias/acc", "node", 6),
    ("bias/acc", "edge", 18),
    ("bias/acc", "path", 6),
]


def one_network(params):
    """Outputs of one network for every strategy and factor."""
    # 3. flows of both messages, without the 784 inputs: from the first hidden layer on
    layers = dict(enumerate(network.activations(params, x)))
    del layers[0]
    node = {name: {i: jf.node_flows(jf.gaussian(m, h))[0] for i, h in layers.items()} for name, m in messages.items()}
    flows = jf.Flows(node, samples=len(x))

    # 4. the top nodes, edges or paths of a ranking lose their weights, step by step
    def sweep(metric, method, level):
        ranks = jf.rank(network, params, flows, metric, method)
        chosen = jf.select(network, params, ranks, level)
        return jax.vmap(lambda f: jf.measure_outputs(network, jf.prune(params, chosen, f), x, messages))(factors)

    return [sweep(*strategy) for strategy in strategies]


swept = jf.map_networks(one_network, trained.params)

# 5. Fig. 6b: how far each strategy goes
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
