"""Skewed MNIST digits, a deep network (Venkatesh et al. 2021, §4.2, Fig. 6b), Gaussian as in the paper.

    python experiments/mnist.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Y tells 5, 8 from 4, 9; Z is odd. Five hidden layers of six nodes: do larger networks need more pruning?
"""

import jax
from options import read_options

import jaxflow as jf
from jaxflow import figures, pipeline, tables

options = read_options("the paper's deep network on MNIST", figure="mnist.png")

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("mnist", options.data_dir)

# 2. the paper's config: networks (784, 6, 6, 6, 6, 6, 2), analysed from the first hidden layer on
curves = (("node", 6), ("edge", 18), ("path", 6))
strategies = [("bias/acc", *curve) for curve in curves]
config = pipeline.preset("mnist", strategies=strategies, seeds=options.seeds)
network = config.network(data)

# 3. many networks on the same images
y = data.train.messages["y"]
trained = jf.train_many(jax.random.key(0), config.seeds, network, data.train.x, y, config.training)


# 4. flows, without the 784 inputs, and the sweep
def one_network(params):
    """Outputs of one network after every strategy, of hidden nodes, edges between them and paths, and factor."""
    flows = jf.network_flows(network, params, *data.test, first_layer=1)
    return jf.measure_pruning(network, params, *data.test, flows, config.strategies, config.factors)


outputs = jf.map_networks(one_network, trained.params)  # [networks, strategies, factors] of every measure

# 5. Fig. 6b: how far each strategy goes
tradeoff, unpruned = tables.pruning_tables(config.strategies, config.factors, outputs)
with figures.paper_style():
    figure = figures.tradeoff_by_metric(tradeoff, unpruned, curves, ("bias/acc",), "mnist, Gaussian estimate")
figure.savefig(options.figure, dpi=200)
print(tradeoff.query("factor in (1, 0)").groupby(["metric", "method", "factor"])[["bias", "accuracy"]].mean().round(1))
