"""Where in the image does it lie? What a pixel tells alone, and the flow: what it tells in company of other pixels.

python experiments/gallery/pixels.py --data-dir DIR
"""

import numpy as np
from matplotlib import colormaps
from sheet import options, sheet

import jaxflow as jf

given = options("flows of the pixels of MNIST as images")
test, random = jf.load_dataset("mnist", given.data_dir).test, np.random.default_rng(0)
x = test.x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)  # squares of four pixels
panels = {"5 or 8, not 4 or 9 (label)": test.messages["y"], "5 or 9, not 4 or 8 (odd)": test.messages["z"]}
colours = colormaps["viridis"].with_extremes(under="0.9")


def alone_and_flow(message):
    """Bits of every pixel by itself, and its flow: the most it tells in company of up to eight others ``[2, 196]``."""
    alone = [float(jf.gaussian(message, x[:, [pixel]])[1]) for pixel in range(196)]
    return np.stack([alone, jf.search_flows(message, x, beam=1, restarts=0, depth=8)[0]])


with sheet(7, 2.1, given.out / "gallery_pixels.png", columns=4) as (grid,):
    for axes, (title, message) in zip(grid.reshape(2, 2), panels.items(), strict=True):
        images, nothing = alone_and_flow(message), alone_and_flow(random.permutation(message))
        floors = np.percentile(nothing, 95, axis=1)
        for own, values, floor, name in zip(axes, images, floors, ("alone", "flow"), strict=True):
            own.imshow(np.where(values > floor, values, -1).reshape(14, 14), colours, vmin=0, vmax=images.max())
            own.set(xlabel=name, xticks=[], yticks=[])
            own.spines[:].set_visible(True)
        axes[0].set_title(title)
        axes[0].figure.colorbar(axes[1].images[0], ax=list(axes), label="bits", shrink=0.75, aspect=12)
