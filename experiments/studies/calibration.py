"""Do p-values and intervals keep what they promise? Null layers, known truths and planted effects by the thousand.

    python experiments/studies/calibration.py [--quick] [--docs docs] [--only null coverage power]

Three tables go into the folder ``--docs``: how often the smallest p_max of a layer without information is at most α
(``calibration_null.csv``), how often the interval of an honest flow holds the true information of the subsets that it
chose (``calibration_coverage.csv``), and how often a planted effect is found (``calibration_power.csv``) by p_max, by
the pooled noise floor and, where it is installed (``pip install frites``), by frites' maximum statistic.
Every cell is written as soon as it is there, and what is there is not computed again (delete the rows that you want
afresh). Figures and the numbers of ``calibration.md``, where the folder has that page, follow from the tables alone.
``--quick`` takes few layers, of three nodes and at most 1,000 rows, and a folder of its own, ``results/calibration``.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from rich.progress import track

from jaxflow import as_message, honest_flows, node_flows
from jaxflow.figures import paper_style
from jaxflow.inference.honest import equal_halves
from jaxflow.inference.permutations import family_wise, permuted_flows
from jaxflow.information import gaussian

sys.path.append(str(Path(__file__).parents[1]))
from calibration_layers import (
    NULL_KINDS,
    classes,
    conditional_information,
    drawn,
    null_layers,
    planted,
    random_population,
)
from calibration_page import ALPHAS, CLASSES, coverage_figure, filled, null_figure, power_figure
from maximum_statistic import frites_p, has_frites
from measuring import write_table

NODES, ROWS = (3, 6, 12), (250, 1000, 5000)
COVERAGE_ROWS = (200, 1000, 5000)
PERMUTATIONS = 199
ALPHA = 0.05
TOGETHER = 20  # layers about one message and its permutations
SCENES = ("alone", "shared noise")
EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
POWER_NODES, POWER_ROWS = 6, 500
SHARES = (0.5, 0.25)  # of class 1
SAMPLES = {"null": (2000, 100), "coverage": (2000, 100), "power": (500, 40)}  # layers, and those of --quick
QUICK = {"nodes": 1, "rows": 2}  # how many of each come with --quick


def generator(*names: object) -> np.random.Generator:
    """Random numbers of one block, whatever else is computed."""
    return np.random.default_rng(list("/".join(map(str, names)).encode()))


def smallest(layers: np.ndarray, message: np.ndarray, seed: int) -> np.ndarray:
    """The smallest p_max of every layer, each a family of its own ``[S]``."""
    flow, _, others = permuted_flows(jax.random.key(seed), message, layers, permutations=PERMUTATIONS)
    return np.array([family_wise(flow[k], others[:, k]).min() for k in range(len(layers))])


def null_cell(nodes: int, rows: int, kind: str, layers: int) -> pd.DataFrame:
    """Share of the null layers whose smallest p_max is at most α, for several α."""
    p = []
    for block in range(layers // TOGETHER):
        rng = generator(kind, nodes, rows, block)
        message = classes(rng, rows)
        p.append(smallest(null_layers(rng, kind, TOGETHER, rows, nodes), message, block))
    reached = np.concatenate(p)[:, None] <= np.array(ALPHAS) + 1e-9
    return pd.DataFrame({"alpha": ALPHAS, "layers": len(reached), "share": reached.mean(axis=0)})


def coverage_block(nodes: int, rows: int, block: int) -> pd.DataFrame:
    """Of every flow of some layers: the truth over its standard error, and on which side of the interval it lies."""
    rng, key = generator("coverage", nodes, rows, block), jax.random.key(block)
    share = SHARES[block % len(SHARES)]
    population, message = random_population(rng, TOGETHER, nodes, share), classes(rng, rows, share)
    x = drawn(rng, population, message)
    _, low, high = map(np.asarray, honest_flows(key, message, x))
    halves = equal_halves(key, as_message(message))
    chosen = [np.asarray(node_flows(gaussian(message[half], x[:, half]))[1]) for half in halves]
    truths, spreads = zip(*(conditional_information(population, witness) for witness in chosen), strict=True)
    truth, error = np.mean(truths, axis=0), np.hypot(*spreads) / 2 / np.sqrt(len(halves[0]))
    ratio = np.where(truth > 0, truth / np.maximum(error, 1e-30), 0)
    columns = {"ratio": ratio, "below": truth < low, "above": truth > high, "width": high - np.maximum(low, 0)}
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    return table.assign(layer=np.repeat(np.arange(TOGETHER) + TOGETHER * block, nodes))


def coverage_cell(nodes: int, rows: int, layers: int) -> pd.DataFrame:
    """Coverage by how large the truth is, over its standard error; errors count the layers, not their nodes."""
    flows = pd.concat([coverage_block(nodes, rows, block) for block in range(layers // TOGETHER)])
    found = []
    for name, (least, most) in CLASSES.items():
        own = flows[(flows["ratio"] > least) & (flows["ratio"] <= most)]
        missed = (own["below"] | own["above"]).astype(float)
        excess = (missed - missed.mean()).groupby(own["layer"]).sum()
        found.append(
            {
                "truth": name,
                "layers": layers,
                "flows": len(own),
                "coverage": 1 - missed.mean(),
                "error": np.sqrt(np.sum(excess**2)) / len(own) if len(own) else np.nan,
                "truth_below": own["below"].mean(),
                "truth_above": own["above"].mean(),
                "median_width": own["width"].median(),
            }
        )
    return pd.DataFrame(found)


def verdicts(layers: np.ndarray, message: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Which nodes every method finds in every layer ``[S, n]``."""
    flow, _, others = permuted_flows(jax.random.key(seed), message, layers, permutations=PERMUTATIONS)
    p_max = np.stack([family_wise(flow[k], others[:, k]) for k in range(len(layers))])
    floor = np.percentile(others, 95, axis=(0, 2))
    found = {"p_max": p_max <= ALPHA + 1e-9, "null95": flow > floor[:, None]}
    if has_frites():
        found["frites maxstat"] = frites_p(layers, message, PERMUTATIONS, seed) <= ALPHA + 1e-9
    return found


def power_cell(scene: str, effect: float, layers: int) -> pd.DataFrame:
    """How often each method finds the planted node, and any node at all."""
    found: dict[str, list[np.ndarray]] = {}
    for block in range(layers // TOGETHER):
        rng = generator(scene, "power", block)
        message = classes(rng, POWER_ROWS)
        x = planted(rng, scene, TOGETHER, message, POWER_NODES, effect)
        for method, nodes in verdicts(x, message, block).items():
            found.setdefault(method, []).append(nodes)
    whole = {method: np.concatenate(parts) for method, parts in found.items()}
    rows = [(method, len(own), own[:, 0].mean(), own.any(axis=1).mean()) for method, own in whole.items()]
    return pd.DataFrame(rows, columns=["method", "layers", "planted_node", "any_node"])


PARTS: dict[str, tuple[Callable[..., pd.DataFrame], dict[str, Sequence[Any]]]] = {  # a row of the table by its names
    "null": (null_cell, {"nodes": NODES, "rows": ROWS, "kind": NULL_KINDS}),
    "coverage": (coverage_cell, {"nodes": NODES, "rows": COVERAGE_ROWS}),
    "power": (power_cell, {"scene": SCENES, "effect": EFFECTS}),
}


def complete(part: str, path: Path, compute: bool, quick: bool) -> pd.DataFrame:
    """A table with the cells that were missing, each written when it is done."""
    function, names = PARTS[part]
    layers = SAMPLES[part][quick]
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(names))
    there = set(table[list(names)].itertuples(index=False, name=None))
    wanted = [own[: QUICK.get(name)] if quick else own for name, own in names.items()]
    missing = [cell for cell in product(*wanted) if compute and cell not in there]
    for cell in track(missing, part):
        found = pd.DataFrame(dict(zip(names, cell, strict=True)), index=[0]).merge(function(*cell, layers), "cross")
        table = pd.concat([table, found], ignore_index=True) if len(table) else found
        write_table(table, path)
    return pd.read_csv(path) if path.exists() else table  # with the digits that the file has


def main() -> None:
    """Compute what is missing, draw, and fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument("--docs", type=Path, help="folder of tables, figures and page (docs)")
    parser.add_argument("--quick", action="store_true", help="few layers, for a look")
    options = parser.parse_args()
    docs = options.docs or Path("results/calibration" if options.quick else "docs")
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    tables = {
        part: complete(part, docs / f"calibration_{part}.csv", part in options.only, options.quick) for part in PARTS
    }
    figures = {"null": null_figure, "coverage": coverage_figure, "power": power_figure}
    with paper_style():
        for part, table in tables.items():
            if len(table):
                figures[part](table).savefig(docs / f"figures/calibration_{part}.png", dpi=120)
    page = docs / "calibration.md"
    text, parts = filled(page.read_text(encoding="utf-8") if page.exists() else "", tables)
    if page.exists():
        page.write_text(text, encoding="utf-8")
    print("\n\n".join(parts.values()))


if __name__ == "__main__":
    main()
