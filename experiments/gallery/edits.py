"""Every network before and after its edit: the parity gap is to fall to 10 % at the least loss of accuracy.

python experiments/gallery/edits.py --data-dir DIR
"""

import jax
import numpy as np
from sheet import COLOURS, options, sheet

import jaxflow as jf

given = options("parity gap and accuracy of decisions before and after an edit", seeds=40)
data, network, target = jf.load_dataset("adult-small", given.data_dir), jf.mlp(hidden=(3,)), 10.0
trained = jf.train_many(jax.random.key(0), given.seeds, network, data.train.x, data.train.messages["y"])


def edited(params):
    """What a network shows before and after where its edit was not chosen, and again with the halves exchanged."""
    how = {"measure": "parity_gap", "at_most": target, "train": data.train}
    edit = jf.edit(jax.random.key(1), network, params, data.test, **how)
    return edit.before, edit.exchanged.before, edit.after, edit.exchanged.after


shown = jf.map_networks(edited, trained.params)
points = [np.stack([np.abs(own["parity_gap"]), own["argmax_accuracy"]], axis=1) for own in shown]
before, after = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2  # mean of both ways, [networks, 2]
with sheet(4.8, 3.2, given.out / "gallery_edits.png") as ((axes,),):
    for start, end in zip(before, after, strict=True):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "0.75", "linewidth": 0.7}, zorder=1)
    for own, colour, label in ((before, COLOURS[1], "before"), (after, COLOURS[0], "after")):
        axes.plot(*own.T, "o", color=colour, markeredgewidth=0, alpha=0.6, zorder=2)
        middle, error = own.mean(axis=0), 1.96 * own.std(axis=0, ddof=1) / len(own) ** 0.5
        look = {"fmt": "D", "color": "black", "markerfacecolor": colour, "markersize": 6, "zorder": 3}
        axes.errorbar(*middle[:, None], error[1], error[0], label=f"{label}: mean and its 95 % interval", **look)
    axes.axvline(target, color="0.4", linestyle=":", label="asked for where it was chosen")
    axes.set(xlabel="parity gap of the decisions (%)", ylabel="accuracy of the decisions (%)", xlim=(0, None))
    axes.legend(loc="upper left")
