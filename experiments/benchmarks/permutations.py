"""What a thousand permutations cost: in a run, of a wide layer, and of a recording from the shell.

    python experiments/benchmarks/permutations.py --data-dir DIR [--repeats 3]

Seconds. A run of adult-small, 100 networks: what 1,000 permutations of label and attribute take beside a run with none,
both of them the second in their process, medians. ``significance`` of a layer of 20 nodes: the first call, which
compiles, and the fastest of the later ones. ``jaxflow measure`` of 600 trials × 50 bins × 12 units, two classes, as a
command in a new process: with an empty folder of compiled programs, and with the folder that this has filled.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from jaxflow import pipeline, significance

sys.path.append(str(Path(__file__).parents[1]))
from measuring import machine, markdown, normal_layer, runs_of, side_by_side

PERMUTATIONS = 1_000
NODES, ROWS = 20, (2_000, 5_000)
TRIALS, BINS, UNITS = 600, 50, 12


def of_a_run(data_dir: Path, repeats: int) -> float:
    """Seconds that permutations add to a run that has been compiled."""

    def run(permutations: int) -> None:
        config = pipeline.preset("adult-small", permutations=permutations)
        with tempfile.TemporaryDirectory() as folder:
            pipeline.run(config, data_dir=data_dir, out=f"{folder}/out")

    found = side_by_side({"with": lambda: run(PERMUTATIONS), "without": lambda: run(0)}, repeats)
    return float(np.median(found["with"].later) - np.median(found["without"].later))


def of_a_wide_layer(rows: int, repeats: int) -> tuple[float, float]:
    """Seconds of the first call, and of the fastest later one."""
    message, layer = normal_layer(rows, NODES)
    key = jax.random.key(0)
    found = runs_of(lambda: significance(key, message, layer, permutations=PERMUTATIONS).p_max, repeats)
    return found.first, found.fastest


def of_a_recording() -> tuple[float, float]:
    """Seconds of the command with an empty folder of compiled programs, and with the folder that it has filled."""
    rng = np.random.default_rng(0)
    stimulus = rng.integers(0, 2, TRIALS)
    told = np.sin(np.arange(BINS) / 8)[None, :, None] * rng.normal(size=UNITS)
    activity = rng.normal(size=(TRIALS, BINS, UNITS)) + stimulus[:, None, None] * 0.3 * told
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "recording.npz", activity=activity.astype(np.float32), stimulus=stimulus)
        options = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/programs", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        command = [sys.executable, "-m", "jaxflow", "measure", "recording.npz", "--message", "stimulus"]
        for number in range(2):
            out = ["--permutations", str(PERMUTATIONS), "--out", f"out{number}"]
            begin = time.perf_counter()
            subprocess.run(command + out, check=True, capture_output=True, cwd=folder, env=os.environ | options)
            seconds.append(time.perf_counter() - begin)
    return seconds[0], seconds[1]


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    added = of_a_run(options.data_dir, options.repeats)
    rows = [("added to a run of adult-small, 100 networks", "", f"{added:.1f}")]
    for count in ROWS:
        name = f"significance of {NODES} nodes, N = {count:,}"
        first, later = of_a_wide_layer(count, options.repeats)
        rows.append((name, f"{first:.1f}", f"{later:.1f}"))
    name = f"jaxflow measure, {TRIALS} trials × {BINS} bins × {UNITS} units"
    first, later = of_a_recording()
    rows.append((name, f"{first:.1f}", f"{later:.1f}"))
    print(machine())
    print(markdown((f"{PERMUTATIONS:,} permutations", "first, s", "later, s"), rows))


if __name__ == "__main__":
    main()
