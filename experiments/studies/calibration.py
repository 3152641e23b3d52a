"""Do p-values and intervals keep what they promise? Null layers, known truths and planted effects by the thousand.

    python experiments/studies/calibration.py [--quick] [--docs docs] [--only null coverage choice beyond power]

Five tables go into the folder ``--docs``: how often the smallest p_max of a layer without information is at most α
(``calibration_null.csv``), how often the interval of an honest flow holds the true information of the subsets that it
chose (``calibration_coverage.csv``), also if they are chosen on other rows (``calibration_choice.csv``) and for other
messages, strata, estimators and layers (``calibration_beyond.csv``), and how often a planted effect is found
(``calibration_power.csv``) by p_max, by the pooled noise floor and, where it is installed (``pip install frites``), by
frites' maximum statistic.
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

from jaxflow.figures import paper_style
from jaxflow.inference.permutations import family_wise, permuted_flows

sys.path.append(str(Path(__file__).parents[1]))
from calibration_beyond import SCENES, beyond_cell
from calibration_coverage import HALF, OTHERS, choice_cell, coverage_cell
from calibration_layers import NULL_KINDS, TOGETHER, classes, generator, null_layers, planted
from calibration_page import ALPHAS, MARK, coverage_figure, null_figure, page_parts, power_figure
from maximum_statistic import frites_p, has_frites
from measuring import fill_page, write_table

NODES, ROWS = (3, 6, 12), (250, 1000, 5000)
COVERAGE_ROWS = (200, 1000, 5000)
PERMUTATIONS = 199
ALPHA = 0.05
LAYERS = ("alone", "shared noise")
EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
POWER_NODES, POWER_ROWS = 6, 500
SAMPLES = {  # layers, and those of --quick
    **{"null": (2000, 100), "coverage": (2000, 100), "choice": (4000, 100)},
    **{"beyond": (2000, 20), "power": (500, 40)},
}
QUICK = {"nodes": 1, "rows": 2}  # how many of each come with --quick


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
    "choice": (choice_cell, {"chosen_on": (HALF, OTHERS)}),
    "beyond": (beyond_cell, {"scene": tuple(SCENES), "rows": COVERAGE_ROWS}),
    "power": (power_cell, {"scene": LAYERS, "effect": EFFECTS}),
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
        for part, draw in figures.items():
            if len(table := tables[part]):
                draw(table).savefig(docs / f"figures/calibration_{part}.png", dpi=120)
    fill_page(docs / "calibration.md", page_parts(tables), MARK)


if __name__ == "__main__":
    main()
