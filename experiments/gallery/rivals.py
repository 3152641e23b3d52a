"""Do they choose the same edges? Rank correlations of information flow and its rivals, mean of 50 networks.

python experiments/gallery/rivals.py --data-dir DIR
"""

import jax
import jax.numpy as jnp
import numpy as np
from sheet import options, sheet

import jaxflow as jf

given = options("rank correlations of the metrics that choose edges", seeds=50)
data, network = jf.load_dataset("adult-small", given.data_dir), jf.mlp(hidden=(3,))
trained = jf.train_many(jax.random.key(0), given.seeds, network, data.train.x, data.train.messages["y"])
GRADIENTS = ("gradient", "integrated-32", "conductance", "mediation")
METRICS = ("bias/acc", "removal", "greedy", *GRADIENTS, "fisher", "magnitude", "random")


def ranks(params, key):
    """Ranks of all 15 edges ``[metrics, edges]``: the edge of rank 0 is removed first."""
    flows = jf.network_flows(network, params, *data.test)
    how = {"method": "edge", "key": key, "x": data.test.x, "messages": data.test.messages}
    each = [jf.rank(network, params, flows, metric, **how) for metric in METRICS]
    return jnp.stack([jnp.concatenate([own[0].ravel(), own[1][:, :2].ravel()]) for own in each])


found = jf.map_networks(ranks, trained.params, jax.random.split(jax.random.key(1), given.seeds))
each = np.stack([np.corrcoef(own) for own in np.asarray(found)])  # of ranks: Spearman's, [networks, metrics, metrics]
mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / len(each) ** 0.5
print(f"Largest standard error of a mean: {error.max():.2f}")
with sheet(4.8, 3.9, given.out / "gallery_rivals.png") as ((axes,),):
    shown = axes.imshow(mean, cmap="PuOr", vmin=-1, vmax=1)
    for row, column in np.ndindex(mean.shape):
        if row > column:
            text = f"{mean[row, column]:+.2f}".replace("-", "−")
            colour = "white" if abs(mean[row, column]) > 0.7 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    axes.set_xticks(range(len(METRICS)), METRICS, rotation=40, ha="right")
    axes.set_yticks(range(len(METRICS)), METRICS)
    axes.figure.colorbar(shown, ax=axes, label="Spearman's rank correlation", shrink=0.8)
