"""What a thousand permutations cost: in a run, of a wide layer, and of a recording from the shell.

    python experiments/benchmarks/permutations.py --data-dir DIR [--repeats 3]

A run of adult-small, 100 networks: what 1,000 permutations of label and attribute take beside a run with none, both of
them the second in their process. ``significance`` of a layer of 20 nodes. ``jaxflow measure`` of 600 trials × 50 bins ×
12 units, two classes, as a command in a new process. Seconds of the first time, which compiles, and of the later ones
(of the command: with an empty folder of compiled programs, and with the folder that this has filled), medians; and the
processor's seconds, of all cores together, which other work on the machine changes less.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxflow import pipeline, significance

sys.path.append(str(Path(__file__).parents[1]))
from measuring import machine, markdown, normal_layer

PERMUTATIONS = 1_000
NODES, ROWS = 20, (2_000, 5_000)
TRIALS, BINS, UNITS = 600, 50, 12


class Spent(NamedTuple):
    """Seconds that something took.

    Attributes:
        wall: by the clock.
        cores: of all cores, of this process and of those that it has started and seen end.
    """

    wall: float
    cores: float


def spent(function: Callable[[], object]) -> Spent:
    """What one call takes."""
    begin, before = time.perf_counter(), os.times()
    function()
    after = os.times()
    return Spent(time.perf_counter() - begin, sum(after[:4]) - sum(before[:4]))


def first_and_later(function: Callable[[], object], repeats: int) -> tuple[Spent, Spent]:
    """Of the first call, and medians of the later ones."""
    first, *later = [spent(function) for _ in range(1 + repeats)]
    return first, Spent(*np.median(later, axis=0).tolist())


def of_a_run(data_dir: Path, permutations: int, repeats: int) -> Spent:
    """Of a run that has been compiled."""
    config = pipeline.preset("adult-small", permutations=permutations)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pipeline.run(config, data_dir=data_dir, out=f"{folder}/out")

    return first_and_later(run, repeats)[1]


def of_a_wide_layer(rows: int, repeats: int) -> tuple[Spent, Spent]:
    """Of ``significance``, the first call and later ones."""
    message, layer = normal_layer(rows, NODES)
    key = jax.random.key(0)
    return first_and_later(lambda: significance(key, message, layer, permutations=PERMUTATIONS), repeats)


def of_a_recording(repeats: int) -> tuple[Spent, Spent]:
    """Of the command, with an empty folder of compiled programs and with a full one."""
    rng = np.random.default_rng(0)
    stimulus = rng.integers(0, 2, TRIALS)
    told = np.sin(np.arange(BINS) / 8)[None, :, None] * rng.normal(size=UNITS)
    activity = rng.normal(size=(TRIALS, BINS, UNITS)) + stimulus[:, None, None] * 0.3 * told
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "recording.npz", activity=activity.astype(np.float32), stimulus=stimulus)
        options = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/programs", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        command = [sys.executable, "-m", "jaxflow", "measure", "recording.npz", "--message", "stimulus"]
        command += ["--permutations", str(PERMUTATIONS), "--out", "out", "--overwrite"]
        run = partial(subprocess.run, command, check=True, capture_output=True, cwd=folder, env=os.environ | options)
        return first_and_later(run, repeats)


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    without, with_all = (of_a_run(options.data_dir, count, options.repeats) for count in (0, PERMUTATIONS))
    added = Spent(with_all.wall - without.wall, with_all.cores - without.cores)
    rows: list[tuple[str, ...]] = [
        ("added to a run of adult-small, 100 networks", "", "", *(f"{seconds:.1f}" for seconds in added))
    ]
    recording = f"jaxflow measure, {TRIALS} trials × {BINS} bins × {UNITS} units"
    layers = {f"significance of {NODES} nodes, N = {rows:,}": partial(of_a_wide_layer, rows) for rows in ROWS}
    for name, function in (layers | {recording: of_a_recording}).items():
        first, later = function(options.repeats)
        rows.append((name, *(f"{seconds:.1f}" for seconds in (*first, *later))))
    print(machine())
    print(markdown((f"{PERMUTATIONS:,} permutations", "first, s", "cores' s", "later, s", "cores' s"), rows))


if __name__ == "__main__":
    main()
