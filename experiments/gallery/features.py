"""Which input carries what? The flow that leaves every feature, about label and attribute, in 100 networks.

python experiments/gallery/features.py --data-dir DIR
"""

import jax
import numpy as np
from sheet import COLOURS, options, sheet

import jaxflow as jf

given = options("the flow that leaves every feature of Adult, in many networks", seeds=100)
data, config = jf.load_dataset("adult-large", given.data_dir), jf.pipeline.preset("adult-large")
network, y = config.network(data), data.train.messages["y"]
trained = jf.train_many(jax.random.key(0), given.seeds, network, data.train.x, y, config.training)


def leaving(params):
    """Flow Σ |w| F over the edges that leave every feature, about each message."""
    edges = jf.network_flows(network, params, *data.test).edge
    return {name: edges[name][0].sum(axis=1) for name in ("y", "z")}


flows = jf.map_networks(leaving, trained.params)  # [networks, features]
order = np.argsort(np.median(flows["y"], axis=0))
with sheet(7, 3, given.out / "gallery_features.png") as ((axes,),):
    for number, (name, title) in enumerate({"y": "income, the label", "z": "sex, the attribute"}.items()):
        own, rows = np.asarray(flows[name])[:, order], np.arange(len(order)) + 0.18 - 0.36 * number
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, own.shape)
        axes.plot(own, rows + jitter, "o", color=COLOURS[number], alpha=0.25, markeredgewidth=0, zorder=1)
        low, middle, high = np.percentile(own, (25, 50, 75), axis=0)
        look = {"fmt": "D", "color": "black", "markersize": 5, "markerfacecolor": COLOURS[number], "elinewidth": 1.5}
        axes.errorbar(middle, rows, xerr=(middle - low, high - middle), label=title, zorder=2, **look)
    axes.set_yticks(range(len(order)), [data.features[feature] for feature in order])
    axes.set(xlabel="flow that leaves the feature, Σ |w| · F (bits × weight)", xlim=(0, None))
    axes.legend(title=f"{given.seeds} networks, median and quartiles", loc="lower right")
