"""The synthetic experiment (Venkatesh et al. 2021, §4.1; Figs. 3 and 8), step by step.

    python experiments/synthetic.py [--seeds 100] [--data-dir DIR] [--figure FILE]

X1 and X2 tell Y only where Z = 1, X3 tells it always. Does pruning by bias-to-accuracy flow take the bias off? The
estimate is Gaussian here; the paper's is a kernel SVM (``jaxflow run synthetic --estimator kernel-svm``).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import jaxflow as jf

parser = argparse.ArgumentParser(description="the paper's synthetic experiment")
parser.add_argument("--seeds", type=int, default=100, help="number of networks")
parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
parser.add_argument("--figure", type=Path, default=Path("synthetic.png"), help="where the figure goes")
options = parser.parse_args()

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("synthetic")
x, messages = jnp.asarray(data.test.x), data.test.messages

# 2. many networks (3, 3, 2) on the same rows, each with its own initialisation and shuffles
network, training = jf.mlp(hidden=(3,)), jf.Training(learning_rate=3e-2)
trained = jf.train_many(jax.random.key(0), options.seeds, network, data.train.x, data.train.messages["y"], training)

factors = jnp.linspace(1, 0, 11)
strategies = [
    (metric, method, level) for method, level in [("node", 2), ("edge", 3)] for metric in ("bias/acc", "acc/bias")
]


def one_network(params):
    """Outputs of one network for every strategy and factor."""
    # 3. flows of both messages through every node and edge
    flows = jf.network_flows(network, params, x, messages)

    # 4. the top nodes or edges of a ranking lose their weights, step by step
    def sweep(metric, method, level):
        ranks = jf.rank(network, params, flows, metric, method)
        chosen = jf.select(network, params, ranks, level)
        return jax.vmap(lambda f: jf.measure_outputs(network, jf.prune(params, chosen, f), x, messages))(factors)

    return [sweep(*strategy) for strategy in strategies]


swept = jf.map_networks(one_network, trained.params)

# 5. Fig. 3: how much bias goes for how much accuracy
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
