"""Where in the image the flows into mnist's networks begin: searched node flows of the 784 pixels, drawn as images.

    jaxflow run mnist --data-dir DIR
    python experiments/studies/mnist_pixels.py --data-dir DIR --results results/mnist-gaussian

The flow of a pixel about label (accuracy) and parity (bias) is the same for every network and searched once; weighted
by the networks' first layer it becomes Σ_j |w_ij|·F_i, averaged over them. Under permuted messages the same search
shows what it finds where there is nothing: its 95th percentile, pooled over permutations and pixels that are not
constant, is the noise floor null95, as of exact flows. The figure's second column shows what lies above it.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from jaxflow import edge_flows, load_dataset, search_flows
from jaxflow.running.results import Results

ROWS = ("accuracy", "bias")


def searched(messages: np.ndarray, x: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Flows ``[1 + permutations, 2, 784]`` about the messages and about permutations of their rows."""
    flows, begin = [], time.perf_counter()
    for number in range(options.permutations + 1):
        key = jax.random.fold_in(jax.random.key(options.seed), number)
        order = np.asarray(jax.random.permutation(key, len(x))) if number else np.arange(len(x))
        found, _ = search_flows(messages[:, order], x[None], beam=options.beam, restarts=0, depth=options.depth)
        flows.append(np.asarray(found))
        print(f"{number} of {options.permutations} permutations, {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return np.stack(flows)


def drawn(columns: dict[str, np.ndarray], floor: np.ndarray) -> Figure:
    """Images ``[2, 784]``, a row for every message; constant pixels are grey, those under the floor blue."""
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots(2, len(columns))
    colours = colormaps["magma"].with_extremes(bad="0.8", under="#56B4E9")
    for row, name in enumerate(ROWS):
        for own, (title, images) in zip(axes[row], columns.items(), strict=True):
            above = title.startswith("above")
            scale = LogNorm(floor[row], np.nanmax(images[row])) if above else Normalize(0, np.nanmax(images[row]))
            shown = own.imshow(images[row].reshape(28, 28), cmap=colours, norm=scale)
            own.set(xticks=[], yticks=[], title=title if row == 0 else "")
            own.title.set_size(9)
            bar = figure.colorbar(shown, ax=own, shrink=0.8, pad=0.03, extend="min" if above else "neither")
            bar.ax.set_title("bits", fontsize=7)
            bar.ax.tick_params(labelsize=7)
        axes[row, 0].set_ylabel(f"{name} flow", fontsize=9)
    return figure


def report(flows: np.ndarray, live: np.ndarray, floor: np.ndarray, edges: np.ndarray) -> None:
    """What the figure shows, in numbers."""
    for row, name in enumerate(ROWS):
        real, null = flows[0, row], flows[1:, row][:, live]
        alone = np.percentile(null, 95, axis=0)
        top = ", ".join(f"{real[i]:.3f} at {divmod(int(i), 28)}" for i in np.argsort(-real)[:3])
        print(f"{name}: null95 {floor[row]:.4f} bits, {alone.min():.4f} to {alone.max():.4f} pixel by pixel")
        print(
            f"  {np.sum(real > floor[row])} of {live.sum()} pixels above, {np.sum(real[live] > alone)} above their own"
        )
        print(f"  median {np.median(real[live]):.4f}, largest {top} (row, column)")
        print(f"  r of flow and weighted edge sum {np.corrcoef(real[live], edges[row][live])[0, 1]:.2f}")


def main() -> None:
    """Search, compare with the null, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument(
        "--results", type=Path, default=Path("results/mnist-gaussian"), help="folder of `jaxflow run mnist`"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/figures/mnist_pixels.png"))
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--depth", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0, help="of the permutations")
    options = parser.parse_args()
    half = load_dataset("mnist", options.data_dir).test
    kernel = jnp.asarray(Results(options.results).params()["layer_0"]["kernel"])
    flows = searched(np.stack([half.messages["y"], half.messages["z"]]), half.x, options)
    live = np.ptp(half.x, axis=0) > 0
    floor = np.percentile(flows[1:][..., live], 95, axis=(0, 2))
    per_network = jax.vmap(jax.vmap(edge_flows, (0, None)), (None, 0))(jnp.asarray(flows[0]), kernel)
    edges = np.asarray(per_network.sum(axis=-1).mean(axis=0))
    report(flows, live, floor, edges)
    titles = ("node flow", "above null95, log scale", "Σ |w|·flow of its edges")
    images = (np.where(live, image, np.nan) for image in (flows[0], flows[0], edges))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    drawn(dict(zip(titles, images, strict=True)), floor).savefig(options.out, dpi=200)


if __name__ == "__main__":
    main()
