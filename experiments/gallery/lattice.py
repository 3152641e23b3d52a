"""A flow is the longest step up the lattice of all subsets: what X1, X2 and X3 tell of Y and of Z, alone and together.

python experiments/gallery/lattice.py
"""

import numpy as np
from sheet import COLOURS, options, sheet

import jaxflow as jf

given = options("the lattice of all subsets of the synthetic inputs")
draws = [jf.load_dataset("synthetic", seed=seed).test for seed in range(10)]
PLACES = {1: (-5, 5), 2: (5, -11), 4: (6, -10), 3: (6, -11), 5: (-6, 8), 6: (14, -3), 7: (-8, 8)}  # of labels, points

with sheet(7, 3.2, given.out / "gallery_lattice.png", columns=2) as (grid,):
    for axes, (name, title) in zip(grid, {"y": "the label Y", "z": "the attribute Z"}.items(), strict=True):
        each = np.stack([jf.knn(test.messages[name], test.x) for test in draws])  # bits [draws, subsets]
        bits, spread = each.mean(axis=0), each.std(axis=0, ddof=1)
        flow, witness = jf.node_flows(bits)
        sizes = np.array([mask.bit_count() for mask in range(8)])
        for node, mask in ((node, mask) for node in range(3) for mask in range(8) if not mask >> node & 1):
            step = [mask, mask | 1 << node]
            if mask == witness[node]:
                look = {"linewidth": 3.5, "label": f"$F(X_{node + 1})$ = {flow[node]:.2f}"}
            else:
                look = {"linewidth": 0.8, "alpha": 0.5}
            axes.plot(sizes[step], bits[step], color=COLOURS[node], zorder=1, **look)
        axes.errorbar(sizes, bits, spread, fmt="o", color="black", markersize=4, elinewidth=1, zorder=2)
        for mask, place in (PLACES | ({3: (-6, 6), 5: (6, -11), 4: (6, 5)} if name == "z" else {})).items():
            text = ", ".join(f"$X_{node + 1}$" for node in range(3) if mask >> node & 1)
            side = "left" if place[0] > 0 else "right" if place[0] < 0 else "center"
            axes.annotate(text, (sizes[mask], bits[mask]), place, textcoords="offset points", ha=side)
        axes.set(title=f"about {title}", xlabel="number of inputs in the subset T", xticks=range(4), xlim=(-0.1, 3.15))
        axes.set(ylabel="information $I(M; X_T)$ (bits)")
        axes.legend(title="longest step, bits", loc="lower right")
