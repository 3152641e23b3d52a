"""The largest of many estimates flatters: flows of a hidden layer by the number of rows, naive and honest.

python experiments/gallery/honest.py --data-dir DIR
"""

import jax
import jax.numpy as jnp
import numpy as np
from sheet import COLOURS, options, sheet

import jaxflow as jf

given = options("naive and honest flows by the number of rows")
data, network = jf.load_dataset("adult-small", given.data_dir), jf.mlp(hidden=(5,))
trained = jf.train_many(jax.random.key(0), 1, network, data.train.x, data.train.messages["y"], jf.Training(epochs=10))
params = jax.tree.map(lambda own: own[0], trained.params)
layer = np.asarray(network.activations(params, jnp.asarray(data.test.x))[1])
sex, random, counts, draws = data.test.messages["z"], np.random.default_rng(0), (60, 125, 250, 500, 1000, 2000), 40
panels = {"sex": sex, "sex, permuted: nothing to know": random.permutation(sex)}


def naive_and_honest(message, count):
    """Largest flow of the layer, and honest flow and interval of the same node ``[draws, 4]``, each draw by itself."""
    for number, rows in enumerate(random.choice(len(sex), count, replace=False) for _ in range(draws)):
        naive = np.asarray(jf.node_flows(jf.gaussian(message[rows], layer[rows]))[0])
        honest = jf.honest_flows(jax.random.key(number), message[rows], layer[rows])
        yield naive.max(), *(float(part[naive.argmax()]) for part in honest)


with sheet(7, 2.9, given.out / "gallery_honest.png", columns=2, sharey=True) as (grid,):
    for axes, (title, message) in zip(grid, panels.items(), strict=True):
        found = np.median([list(naive_and_honest(message, count)) for count in counts], axis=1)
        naive, flow, low, high = found.T
        look = {"color": COLOURS[0], "marker": "s", "capsize": 2}
        axes.plot(counts, naive, color=COLOURS[1], marker="o", label="naive: the largest of five nodes")
        axes.errorbar(counts, flow, (flow - low, high - flow), label="honest: the same node, 95 % interval", **look)
        truth = np.max(jf.node_flows(jf.gaussian(message, layer))[0]) if message is sex else 0
        axes.axhline(
            truth, color="black", linestyle=":", linewidth=0.8, label="all 5,300 rows" if message is sex else "truth"
        )
        axes.set(title=f"about {title}", xscale="log", xlabel="rows", ylabel="flow (bits), median of 40 draws")
        axes.legend(loc="upper right")
