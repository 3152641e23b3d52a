"""All subsets of a layer by jaxflow, by hoi and by a loop over frites: seconds of one core, and whether they agree.

    python experiments/benchmarks/peers_speed.py [--peers PYTHON] [--nodes 8 10 … 20] [--docs docs]

The information of every subset of a layer's nodes about a number, from Gaussians, without a correction of the bias:
``jaxflow.gaussian``; hoi's ``InfoTot``, "the mutual information between set S and a variable y" of all multiplets, with
``method="gauss"``; frites' ``mi_nd_gg`` subset by subset. 1,000 rows, centred and standardised, as hoi's ``gauss``
needs them. Each runs in a process of its own that keeps to one core and one thread; seconds are the processor's, of the
first call, which compiles, and of a second one; imports are apart. Who takes longer than a minute is asked once, and
not about more nodes. PYTHON is that of an environment with hoi and frites. Writes ``peers_speed.csv`` and the table of
``performance.md``, which without ``--peers`` is made of what is there.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1]))

NODES, ROWS = (8, 10, 12, 14, 16, 18, 20), 1000
OURS = "jaxflow"
LIMIT = 60.0  # seconds
MARK = "<!-- from peers_speed.py: {} -->"
ONE_THREAD = {
    **{"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"},
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def table(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """A number ``[N]`` and columns with shared noise that tell of it ``[N, n]``, all centred and standardised."""
    rng = np.random.default_rng(nodes)
    x = rng.normal(size=(ROWS, nodes)) + rng.normal(size=(ROWS, 1))
    message = x @ rng.normal(size=nodes) / nodes + rng.normal(size=ROWS)
    both = np.column_stack([message, x])
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    return both[:, 0], both[:, 1:]


def subsets(nodes: int) -> list[tuple[int, ...]]:
    """All subsets but the empty one, the small ones first."""
    return [own for size in range(1, nodes + 1) for own in combinations(range(nodes), size)]


def by_jaxflow(message: np.ndarray, x: np.ndarray) -> np.ndarray:
    """All bits, in the order of the bitmask, without the empty subset."""
    from jaxflow import gaussian

    return np.asarray(gaussian(message, x))[1:]


def by_hoi(message: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The total information of all multiplets, in the order of ``subsets``."""
    from hoi.metrics import InfoTot  # pyright: ignore[reportMissingImports]

    return InfoTot(x, message, verbose=False).fit(minsize=1, method="gauss")[:, 0]


def by_frites(message: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A loop over ``subsets``."""
    from frites.core import mi_nd_gg  # pyright: ignore[reportMissingImports]

    columns, number = np.ascontiguousarray(x.T), message[None].copy()
    how = {"mvaxis": -2, "traxis": -1, "biascorrect": False, "demeaned": True, "shape_checking": False}
    return np.array([mi_nd_gg(columns[list(own)], number, **how) for own in subsets(x.shape[1])])


PACKAGES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "jaxflow": by_jaxflow,
    "hoi": by_hoi,
    "frites": by_frites,
}
IMPORTED = {"jaxflow": "jaxflow", "hoi": "hoi.metrics", "frites": "frites.core"}


def measured(package: str, nodes: int, answers: Path) -> None:
    """Ask a package twice, and write down its bits and the seconds of processor time of either call."""
    if hasattr(os, "sched_setaffinity"):  # before JAX starts its threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    importlib.import_module(IMPORTED[package])
    message, x = table(nodes)
    seconds, bits = [], np.zeros(0)
    for _ in range(2):
        begin = time.process_time()
        bits = np.asarray(PACKAGES[package](message, x))
        seconds.append(time.process_time() - begin)
        if seconds[0] > LIMIT:
            break
    np.save(answers, bits)
    print(json.dumps(seconds))


def asked(python: str, package: str, nodes: int) -> tuple[list[float], np.ndarray]:
    """Seconds of the first and the later call, and bits in the order of ``subsets``, by a process on one core."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "bits.npy")
        command = [python, __file__, "--measure", package, str(nodes), str(answers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | ONE_THREAD)
        bits = np.load(answers)
    if package == OURS:
        bits = bits[[sum(1 << node for node in own) - 1 for own in subsets(nodes)]]
    return json.loads(done.stdout.strip().splitlines()[-1]), bits


def compared(python: str, counts: Sequence[int]) -> pd.DataFrame:
    """A row for every number of nodes and package that was not too slow before."""
    rows, slow = [], set()
    for nodes in counts:
        ours = np.zeros(0)
        for package in (own for own in PACKAGES if own not in slow):
            seconds, bits = asked(sys.executable if package == OURS else python, package, nodes)
            ours = bits if package == OURS else ours
            rows.append((nodes, package, seconds[0], seconds[-1], np.abs(bits - ours).max()))
            print(*rows[-1], file=sys.stderr)
            if seconds[-1] > LIMIT:
                slow.add(package)
    return pd.DataFrame(rows, columns=["nodes", "package", "first", "later", "apart"])


def text(rows: pd.DataFrame) -> str:
    """The table of the page: a line for every number of nodes."""
    from measuring import markdown

    lines = []
    for nodes, own in rows.groupby("nodes"):
        by_name = own.set_index("package")[["first", "later"]].reindex(list(PACKAGES))
        seconds = ["" if np.isnan(value) else f"{float(f'{value:.2g}'):g}" for value in by_name.to_numpy(float).ravel()]
        ratios = by_name["later"].drop(OURS).to_numpy(float) / by_name["later"][OURS]
        times = ["" if np.isnan(ratio) else f"{float(f'{ratio:.2g}'):,.0f}" for ratio in ratios]
        lines.append((nodes, f"{2 ** int(str(nodes)) - 1:,}", *seconds, *times))
    heads = [f"{package}, {which}, s" for package in PACKAGES for which in ("first", "later")]
    others = [f"{package} / {OURS}" for package in PACKAGES if package != OURS]
    apart = f"Bits of the same subset are at most {rows['apart'].max():.0e} apart.".replace("e-0", "e−")
    return markdown(("nodes", "subsets", *heads, *others), lines) + "\n\n" + apart


def main() -> None:
    """Ask all, write the table, fill the page; or, in a process of its own, ask one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with hoi and frites")
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--measure", nargs=3, metavar=("PACKAGE", "NODES", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        package, nodes, answers = options.measure
        measured(package, int(nodes), Path(answers))
        return
    from measuring import fill_page, write_table

    path = options.docs / "peers_speed.csv"
    if options.peers:
        write_table(compared(options.peers, options.nodes), path)
    fill_page(options.docs / "performance.md", {"peers": text(pd.read_csv(path))}, MARK)


if __name__ == "__main__":
    main()
