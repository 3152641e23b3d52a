"""The modified Adult data, larger network (Venkatesh et al. 2021, §4.2; Figs. 15 and 17), step by step.

    python experiments/adult_large.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Two embedded categories join the numeric features. Factors go on below zero: does turning weights round raise the bias
again? The estimate is Gaussian, as in Figs. 15 and 17; in Fig. 6a linear SVMs.
"""

import jax
from options import read_options

import jaxflow as jf
from jaxflow import figures, pipeline, tables

options = read_options("the paper's larger network on Adult", figure="adult_large.png")

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("adult-large", options.data_dir)

# 2. the paper's config: networks (5, 3, 3, 2), whose first two inputs are trained embeddings of categories
curves = (("node", 2), ("edge", 6), ("path", 2))
strategies = [("bias/acc", *curve) for curve in curves]
config = pipeline.preset("adult-large", strategies=strategies, seeds=options.seeds)
network = config.network(data)

# 3. many networks on the same rows
y = data.train.messages["y"]
trained = jf.train_many(jax.random.key(0), config.seeds, network, data.train.x, y, config.training)


# 4. flows, and the sweep: weights go on to factor −1
def one_network(params):
    """Outputs of one network after every strategy, from its weights to the same with the other sign."""
    flows = jf.network_flows(network, params, *data.test)
    return jf.measure_pruning(network, params, *data.test, flows, config.strategies, config.factors)


outputs = jf.map_networks(one_network, trained.params)  # [networks, strategies, factors] of every measure

# 5. Fig. 17: from factor 1 to −1; complete removal is the hollow point on the way
tradeoff, unpruned = tables.pruning_tables(config.strategies, config.factors, outputs)
with figures.paper_style():
    figure = figures.tradeoff_by_metric(tradeoff, unpruned, curves, ("bias/acc",), "adult-large, Gaussian estimate")
figure.savefig(options.figure, dpi=200)
print(tradeoff.query("factor in (1, 0)").groupby(["metric", "method", "factor"])[["bias", "accuracy"]].mean().round(1))
