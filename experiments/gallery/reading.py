"""When does a network know? A recurrent one reads images row by row: flow in its units after every row.

python experiments/gallery/reading.py --data-dir DIR
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sheet import COLOURS, options, sheet

import jaxflow as jf

given, units, adam = options("flow over time in a network that reads images"), 6, optax.adam(3e-3)
data = jf.load_dataset("mnist", given.data_dir)
images, later = (jnp.asarray(half.x).reshape(-1, 28, 28).swapaxes(0, 1) for half in (data.train, data.test))  # by row
y, (one, two, three, four) = jnp.asarray(data.train.messages["y"]), jax.random.split(jax.random.key(0), 4)
params = {"in": jax.random.normal(one, (28, units)) / 5, "again": jax.random.normal(two, (units, units)) / 2}
params["out"] = jax.random.normal(three, (units, 2)) / 2


def rates(params, images):
    """Rates of the units after every row, ``[row, image, unit]``."""

    def step(h, row):
        return (h := jnp.tanh(row @ params["in"] + h @ params["again"])), h

    return jax.lax.scan(step, jnp.zeros((images.shape[1], units)), images)[1]


def learn(carry, rows):
    """One step on a batch of images."""

    def loss(params):
        logits = rates(params, images[:, rows])[-1] @ params["out"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]).mean()

    change, state = adam.update(jax.grad(loss)(carry[0]), carry[1])
    return (optax.apply_updates(carry[0], change), state), None


batches = jax.random.randint(four, (3000, 50), 0, len(y))
(params, _), _ = jax.lax.scan(learn, (params, adam.init(params)), batches)
layers, messages = rates(params, later), data.test.messages  # every row that was read makes a layer
with sheet(7, 3.2, given.out / "gallery_reading.png", columns=4, sharey=True, width_ratios=(3, 3, 5, 5)) as (grid,):
    for axes, kind in zip(grid[:2], (0, 1), strict=True):
        axes.imshow(later[:, messages["y"] == kind].mean(axis=1), cmap="Greys", aspect="auto")
        axes.set(title=("mean 4 or 9", "mean 5 or 8")[kind], xticks=[], ylabel=("rows read", "")[kind])
    for axes, name, title in zip(grid[2:], "yz", ("5 or 8 (the label)", "odd (not the label)"), strict=True):
        flow, low, high = np.asarray(jf.honest_flows(jax.random.key(0), messages[name], layers))  # [row, unit]
        for unit, colour in zip(range(units), COLOURS, strict=False):
            axes.fill_betweenx(range(28), low[:, unit], high[:, unit], color=colour, alpha=0.3, linewidth=0)
            axes.plot(flow[:, unit], range(28), color=colour, linewidth=1)
        axes.set(title=title, xlabel="honest flow (bits)", xlim=(0, None))
