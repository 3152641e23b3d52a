"""Figs. 1 and 7 of the paper: the graphical models, drawn; no data but the boundary of the synthetic label."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from jaxflow.datasets.synthetic import signed_distance
from jaxflow.figures import COLOURS, new_figure

NODE = 16  # points, radius of a node
OBSERVED = "0.92"
REACH = 2.6  # of the latent variables shown, in standard deviations


def graph(
    axes: Axes,
    at: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    dashed: Sequence[tuple[str, str]] = (),
    latent: Sequence[str] = (),
) -> None:
    """A graphical model: observed variables grey, latent ones white.

    Args:
        axes: to draw on.
        at: where every variable stands.
        edges: cause and effect.
        dashed: those that may or may not be there.
        latent: variables that are not observed.
    """
    for cause, effect in (*edges, *dashed):
        style = "--" if (cause, effect) in dashed else "-"
        arrow = FancyArrowPatch(
            at[cause], at[effect], arrowstyle="-|>", mutation_scale=9, linestyle=style,
            shrinkA=NODE - 2, shrinkB=NODE - 2, color="black", linewidth=0.9,
        )  # fmt: skip
        axes.add_patch(arrow)
    for name, (x, y) in at.items():
        if name != DOTS:
            colour = "white" if name in latent else OBSERVED
            axes.scatter(x, y, s=(2 * NODE) ** 2 * 0.6, color=colour, edgecolors="black", linewidths=0.8, zorder=2)
        axes.annotate(name, (x, y), ha="center", va="center", fontsize=10, zorder=3)
    axes.set_axis_off()
    axes.margins(0.18)


DOTS = "$\\cdots$"


def graphical_model() -> Figure:
    """Fig. 1: Z and the latent U act on the features and the label, and the network's output on both."""
    figure, grid = new_figure(3.4, 3.0)
    at = {"$Z$": (0.0, 2.0), "$U$": (2.0, 2.0), "$X_1$": (0.0, 1.0), DOTS: (0.65, 1.0), "$X_n$": (1.3, 1.0)}
    at |= {"$Y$": (2.6, 1.0), "$\\hat{Y}$": (1.3, 0.0)}
    features = "$X_1$", "$X_n$"
    edges = [(cause, x) for cause in ("$Z$", "$U$") for x in features]
    edges += [("$U$", "$Y$"), *((x, "$\\hat{Y}$") for x in (*features, "$Y$"))]
    graph(grid[0, 0], at, edges, dashed=[("$Z$", "$Y$")], latent=["$U$"])
    return figure


def synthetic_model() -> Figure:
    """Fig. 7: who acts on whom in the synthetic data, and P(Y = 1) over the latent variables."""
    figure, grid = new_figure(6.4, 2.9, 1, 2)
    at = {"$U_y$": (0.5, 2.0), "$Z$": (1.5, 2.0), "$U_g$": (2.5, 2.0)}
    at |= {"$X_1$": (0.0, 0.6), "$X_2$": (1.0, 0.6), "$X_3$": (2.0, 0.6), "$Y$": (3.0, 0.6)}
    edges = [(cause, x) for cause in ("$U_y$", "$Z$") for x in ("$X_1$", "$X_2$")]
    edges += [("$U_g$", "$X_3$"), ("$U_g$", "$Y$"), ("$U_y$", "$Y$")]
    graph(grid[0, 0], at, edges, latent=["$U_y$", "$U_g$"])
    axes = grid[0, 1]
    values = np.linspace(-REACH, REACH, 161)
    distance = signed_distance(*np.meshgrid(values, values))
    chance = 1 / (1 + np.exp(-3 * distance))
    image = axes.imshow(chance, origin="lower", extent=(-REACH, REACH, -REACH, REACH), cmap="PuOr_r", vmin=0, vmax=1)
    axes.contour(values, values, distance, levels=[0], colors=COLOURS[6], linewidths=1)
    axes.set_xlabel("$U_y$")
    axes.set_ylabel("$U_g$")
    figure.colorbar(image, ax=axes, label="$P(Y = 1)$")
    return figure
