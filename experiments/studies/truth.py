"""How near to the truth is every estimator? Bias, spread, seconds and coverage, on layers whose information is known.

    python experiments/studies/truth.py [--quick] [--docs docs] [--estimators NAME ...] [--rows N ...]
        [--parts truth pitfalls agreement] [--no-honest] [--peers PYTHON]

Every estimator in ``jaxflow.information.ESTIMATORS`` that takes the message is asked about every scene of ``truths.py``
(``truth.csv``), ten draws of 250, 1,000 and 5,000 rows, and about layers that trip estimators up, of 1,000 rows
(``truth_pitfalls.csv``); beside them scikit-learn's nearest neighbours and gradient boosting, and with ``--peers``
other packages, by a Python that has them (see ``truth_peers.py``). If that has frites, its formulas and ours are asked
about the same tables (``truth_agreement.csv``). A new estimator is asked as soon as it has a name.
Every cell (scene, rows, estimator) is written as soon as it is there, and what is there is not computed again: delete
the rows that you want afresh. The numbers of ``truth.md``, where the folder has that page, and its picture follow from
the tables alone. ``--quick`` takes three draws of 250 rows, no searches of hyperparameters, and a folder of its own,
``results/truth``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from rich.progress import track

from jaxflow import InputError, as_message, honest_flows, node_flows
from jaxflow.figures import paper_style
from jaxflow.information import ESTIMATORS, subset_members

sys.path.append(str(Path(__file__).parents[1]))
from calibration_layers import generator
from measuring import fill_page, write_table
from truth_agreement import agreement
from truth_figure import pitfalls_figure
from truth_outside import asked_outside, available_outside
from truth_page import MARK, page_parts
from truth_peers import PEERS, asked, available
from truths import PITFALLS, TRUTHS, Drawn

ROWS, DRAWS = (250, 1000, 5000), 10
QUICK_ROWS, QUICK_DRAWS = (250,), 3
PITFALL_ROWS = (1000,)
SCENES = {"truth": TRUTHS, "pitfalls": PITFALLS}
FILES = {  # tables, without .csv; the last is that of benchmarks/peers_speed.py
    **{"truth": "truth", "pitfalls": "truth_pitfalls", "agreement": "truth_agreement"},
    "speed": "peers_speed",
}
KEYS = ["scene", "rows", "estimator"]
Found = list[tuple[np.ndarray, float]]  # of every draw bits [2**n] and seconds of processor time


class Asked(NamedTuple):
    """An estimator of ours or of others.

    Attributes:
        takes: whether it can be asked about a layer.
        bits: of all subsets of every draw, and the seconds.
        honest: ``(key, drawn) → flow, low, high`` of every node, if it has intervals.
        searches: whether it searches hyperparameters, which takes long.
    """

    takes: Callable[[Drawn], bool]
    bits: Callable[[Sequence[Drawn]], Found]
    honest: Callable[[Any, Drawn], Any] | None = None
    searches: bool = False


def ours(name: str, options: dict[str, Any]) -> Asked:
    """One of ``ESTIMATORS`` under some options."""
    spec = ESTIMATORS[name]

    def takes(drawn: Drawn) -> bool:
        try:
            spec.accepts(as_message(drawn.message, samples=len(drawn.message)), name)
        except InputError:
            return False
        return True

    def one(drawn: Drawn) -> tuple[np.ndarray, float]:
        begin = time.process_time()
        bits = np.asarray(spec.function(drawn.message, drawn.activations, groups=drawn.groups, **options), float)
        return bits, time.process_time() - begin

    def honest(key: Any, drawn: Drawn) -> Any:
        return honest_flows(key, drawn.message, drawn.activations, estimator=name, groups=drawn.groups, **options)

    return Asked(takes, lambda draws: [one(own) for own in draws], honest if spec.honest else None, spec.searches)


def of_peer(name: str, python: str | None = None) -> Asked:
    """Another package, by this Python or by another one."""
    peer = PEERS[name]

    def takes(drawn: Drawn) -> bool:
        classes = drawn.message.dtype.kind in "iub"
        fits = drawn.activations.shape[1] <= peer.columns and len(drawn.bits) <= 8
        return fits and (peer.classes if classes else peer.numbers)

    def bits(draws: Sequence[Drawn]) -> Found:
        pairs = [(own.message, own.activations[:, chosen]) for own in draws for chosen in columns_of_subsets(own)]
        answers = asked_outside(python, name, pairs) if python else [asked(name, *pair) for pair in pairs]
        each = np.array(answers).reshape(len(draws), -1, 2)
        return [(np.append(0, own[:, 0]), own[:, 1].sum()) for own in each]

    return Asked(takes, bits)


def columns_of_subsets(drawn: Drawn) -> np.ndarray:
    """The columns of every subset of nodes but the empty one."""
    members = subset_members(int(np.log2(len(drawn.bits))))[1:]
    return members if drawn.groups is None else members[:, list(drawn.groups)]


def everybody(python: str | None) -> dict[str, Asked]:
    """All estimators by name: ours, other bounds of ours, and the peers that there are."""
    found = {name: ours(name, {}) for name in ESTIMATORS}
    found["quadratic, cross-entropy"] = ours("quadratic", {"bound": "cross-entropy"})
    outside = available_outside(python) if python else []
    here = {name: of_peer(name) for name in available()}
    return found | {name: of_peer(name, python) for name in outside if name not in here} | here


def cell(scene: str, rows: int, asked_one: Asked, part: str, draws: int, honest: bool) -> pd.DataFrame:
    """A row for every subset of nodes; coverage is that of the intervals of all nodes, beside the whole layer."""
    names = (scene if part == "truth" else part, rows)  # pitfalls are changes of the same draws
    drawn = [SCENES[part][scene](generator(*names, number), rows) for number in range(draws)]
    if not asked_one.takes(drawn[0]):
        return pd.DataFrame({"subset": [-1], "draws": [0]})
    found = asked_one.bits(drawn)
    bits, seconds = np.array([own for own, _ in found]), [spent for _, spent in found]
    truth = drawn[0].bits
    table = pd.DataFrame({"subset": np.arange(1, len(truth)), "draws": draws, "truth": truth[1:]})
    table["bias"] = (bits - truth).mean(axis=0)[1:]
    table["spread"] = bits.std(axis=0, ddof=1)[1:]
    table["seconds"] = np.median(seconds)
    if honest and asked_one.honest is not None:
        limits = [asked_one.honest(jax.random.key(number), own) for number, own in enumerate(drawn)]
        low, high = (np.array([np.asarray(own[end]) for own in limits]) for end in (1, 2))
        flow = np.asarray(node_flows(jax.numpy.asarray(truth))[0], float)
        last = table.index[-1]
        table.loc[last, "covered"] = np.mean((low <= flow + 1e-6) & (flow <= high + 1e-6))
        table.loc[last, "too_high"] = np.mean(low > flow + 1e-6)
    return table


def complete(path: Path, part: str, wanted: Sequence[tuple[str, int, str]], make: Callable[..., pd.DataFrame]) -> Any:
    """A table with the cells that were missing, each written when it is done."""
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEYS)
    there = set(table[KEYS].itertuples(index=False, name=None))
    for own in track([one for one in wanted if one not in there], part):
        keys = pd.DataFrame(dict(zip(KEYS, own, strict=True)), index=[0])
        found = keys.merge(make(*own), "cross")
        table = pd.concat([table, found], ignore_index=True) if len(table) else found
        write_table(table, path)
    return pd.read_csv(path) if path.exists() else table  # with the digits that the file has


def parsed() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--estimators", nargs="+", metavar="NAME", help="those to ask; all if not given")
    parser.add_argument("--rows", nargs="+", type=int, metavar="N")
    parser.add_argument("--parts", nargs="+", choices=(*SCENES, "agreement"), default=(*SCENES, "agreement"))
    parser.add_argument("--docs", type=Path, help="folder of tables and page (docs)")
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with other packages")
    parser.add_argument("--no-honest", action="store_true", help="no intervals")
    parser.add_argument("--quick", action="store_true", help="few draws of few rows, for a look")
    return parser.parse_args()


def main() -> None:
    """Compute what is missing, and fill the page."""
    options = parsed()
    docs = options.docs or Path("results/truth" if options.quick else "docs")
    docs.mkdir(parents=True, exist_ok=True)
    estimators = everybody(options.peers)
    names = options.estimators or [name for name, own in estimators.items() if not (options.quick and own.searches)]
    if unknown := sorted(set(names) - set(estimators)):
        sys.exit(f"unknown estimator {unknown[0]!r}: there are {', '.join(estimators)}")
    rows = {"truth": ROWS, "pitfalls": PITFALL_ROWS}
    tables = {}
    for part, scenes in SCENES.items():
        counts = options.rows or (QUICK_ROWS if options.quick else rows[part])
        wanted = [(scene, count, name) for name in names for count in counts for scene in scenes]
        wanted = wanted if part in options.parts else []
        how = {"part": part, "draws": QUICK_DRAWS if options.quick else DRAWS, "honest": not options.no_honest}
        make = partial(_named, estimators, how)
        tables[part] = complete(docs / f"{FILES[part]}.csv", part, wanted, make)
    path = docs / f"{FILES['agreement']}.csv"
    if options.peers and "agreement" in options.parts and not path.exists():
        write_table(agreement(options.peers), path)
    for part in ("agreement", "speed"):
        path = docs / f"{FILES[part]}.csv"
        tables[part] = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["nodes", "package"])
    drawn(tables["pitfalls"], docs / "figures/truth_pitfalls.png")
    fill_page(docs / "truth.md", page_parts(tables), MARK)


def drawn(table: pd.DataFrame, path: Path) -> None:
    """Draw what trips estimators up, if anyone has been asked."""
    if len(table):
        path.parent.mkdir(parents=True, exist_ok=True)
        with paper_style():
            pitfalls_figure(table).savefig(path, dpi=170)


def _named(estimators: dict[str, Asked], how: dict[str, Any], scene: str, rows: int, name: str) -> pd.DataFrame:
    """The cell of an estimator by its name."""
    return cell(scene, rows, estimators[name], **how)


if __name__ == "__main__":
    main()
