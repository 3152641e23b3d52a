"""The modified Adult data, small network (Venkatesh et al. 2021, §4.2; Figs. 14 and 16), step by step.

    python experiments/adult_small.py [--seeds 100] [--data-dir DIR] [--figure FILE]

Three numeric features of a person; Y is an income above 50K, Z is sex. Flows are compared with random pruning. The
estimate is Gaussian, as in Figs. 14 and 16; in Figs. 4 and 5 linear SVMs (``--estimator linear-svm`` of the command).
"""

import jax
from options import read_options

import jaxflow as jf
from jaxflow import figures, pipeline, tables

options = read_options("the paper's small network on Adult", figure="adult_small.png")

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("adult-small", options.data_dir)

# 2. the paper's config: networks (3, 3, 2), pruned by either ratio of the flows or at random
strategies = pipeline.strategy_grid(nodes=(2,), edges=(3,), metrics=("bias/acc", "acc/bias", "random"))
config = pipeline.preset("adult-small", strategies=strategies, seeds=options.seeds)
network = config.network(data)

# 3. many networks on the same rows, and a key for the random pruning of each
y = data.train.messages["y"]
trained = jf.train_many(jax.random.key(0), config.seeds, network, data.train.x, y, config.training)
keys = jax.random.split(jax.random.key(1), config.seeds)


# 4. flows, and the sweep: weights go from factor 1 to 0
def one_network(params, key):
    """Outputs of one network after every strategy, the random ones too, and factor."""
    flows = jf.network_flows(network, params, *data.test)
    return jf.measure_pruning(network, params, *data.test, flows, config.strategies, config.factors, key=key)


outputs = jf.map_networks(one_network, trained.params, keys)  # [networks, strategies, factors] of every measure

# 5. Figs. 14 and 16: how much bias goes for how much accuracy
tradeoff, unpruned = tables.pruning_tables(config.strategies, config.factors, outputs)
with figures.paper_style():
    figure = figures.tradeoff(tradeoff, unpruned, "adult-small, Gaussian estimate")
figure.savefig(options.figure, dpi=200)
print(tradeoff.query("factor in (1, 0)").groupby(["metric", "method", "factor"])[["bias", "accuracy"]].mean().round(1))
