"""The synthetic experiment (Venkatesh et al. 2021, §4.1; Figs. 3, 8 and 13), step by step.

    python experiments/synthetic.py [--seeds 100] [--figure FILE]

X1 and X2 tell Y only where Z = 1, X3 tells it always. Does pruning by bias-to-accuracy flow take the bias off? The
estimate is Gaussian here, as in Fig. 13; in Fig. 3 a kernel SVM (``jaxflow run synthetic --estimator kernel-svm``).
"""

import jax
from options import read_options

import jaxflow as jf
from jaxflow import figures, pipeline, tables

options = read_options("the paper's synthetic experiment", figure="synthetic.png")

# 1. data: one half trains the networks, the other is analysed
data = jf.load_dataset("synthetic", options.data_dir)

# 2. the paper's config: networks (3, 3, 2); the top nodes or edges by either ratio of the flows lose their weights
metrics, curves = ("bias/acc", "acc/bias"), (("node", 2), ("edge", 3))
strategies = [(metric, *curve) for metric in metrics for curve in curves]
config = pipeline.preset("synthetic", estimator="gaussian", strategies=strategies, seeds=options.seeds)
network = config.network(data)

# 3. many networks on the same rows, each with its own initialisation and shuffles
y = data.train.messages["y"]
trained = jf.train_many(jax.random.key(0), config.seeds, network, data.train.x, y, config.training)


# 4. flows, and the sweep: weights go from factor 1 to 0
def one_network(params):
    """Outputs of one network after every strategy and factor."""
    flows = jf.network_flows(network, params, *data.test)
    return jf.measure_pruning(network, params, *data.test, flows, config.strategies, config.factors)


outputs = jf.map_networks(one_network, trained.params)  # [networks, strategies, factors] of every measure

# 5. Fig. 13: how much bias goes for how much accuracy
tradeoff, unpruned = tables.pruning_tables(config.strategies, config.factors, outputs)
with figures.paper_style():
    figure = figures.tradeoff_by_metric(tradeoff, unpruned, curves, metrics, "synthetic, Gaussian estimate")
figure.savefig(options.figure, dpi=200)
print(tradeoff.query("factor in (1, 0)").groupby(["metric", "method", "factor"])[["bias", "accuracy"]].mean().round(1))
