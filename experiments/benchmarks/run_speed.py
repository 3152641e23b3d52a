"""How long a whole run takes: the first on a machine, a later one, and a second one in the same process.

    python experiments/benchmarks/run_speed.py adult-small --data-dir DIR [--seeds 100] [--repeats 5] [--against DIR]

Every repeat starts two processes: with an empty folder of compiled programs, with the folder that this
filled, and a second run in the latter process. Prints medians in seconds, of the clock and of all cores together
(CPU), which other work on the machine disturbs less, and the number of compiled programs; with ``--against``, an
earlier checkout of this repository, the same of it, in turns, and the ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

RUN = """
import json, sys, tempfile, time
begin = time.perf_counter(), 0.0
import jax
from jaxflow import pipeline
try:
    from jaxflow.running.summary import summary
except ImportError:  # an earlier version
    from jaxflow.summary import summary

name, seeds, data_dir = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None
programs, listen = [], jax.monitoring.register_event_duration_secs_listener
listen(lambda event, *_, **__: programs.append(event) if event.endswith("backend_compile_duration") else None)
seconds = []
for number in range(2):
    with tempfile.TemporaryDirectory() as folder:
        results = pipeline.run(pipeline.preset(name, seeds=seeds), data_dir=data_dir, out=folder + "/out")
        summary(results)
    now = time.perf_counter(), time.process_time()
    seconds.append([now[0] - begin[0], now[1] - begin[1]])
    begin = now
    if number == 0:
        first = len(programs)
print(json.dumps({"start": seconds[0], "again": seconds[1], "programs": first}))
"""


def timed(checkout: Path, options: argparse.Namespace, cache: str) -> dict[str, Any]:
    """Seconds and CPU seconds of a run in a new process, start-up included, and of a second; programs of the first."""
    environment = os.environ | {
        "PYTHONPATH": str(checkout),
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", RUN, options.experiment, str(options.seeds), str(options.data_dir or "")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=checkout)
    return json.loads(done.stdout.splitlines()[-1])


def repeat(checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    """One repeat: the first run, the one that finds its programs, the second one in its process."""
    with tempfile.TemporaryDirectory() as cache:
        first, later = timed(checkout, options, cache), timed(checkout, options, cache)
    runs = {"first": first["start"], "later": later["start"], "in one process": later["again"]}
    clocks = {name: seconds for name, (seconds, _) in runs.items()}
    return clocks | {f"{name}, CPU": cpu for name, (_, cpu) in runs.items()} | {"programs": first["programs"]}


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=("synthetic", "adult-small", "adult-large", "mnist"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout, timed in turns with this one")
    options = parser.parse_args()
    checkouts = {"this": Path(__file__).parents[2]} | ({"other": options.against} if options.against else {})
    rows = []
    for number in range(options.repeats):
        for name, checkout in checkouts.items():
            rows.append({"checkout": name, **repeat(checkout.resolve(), options)})
        print(f"{number + 1} of {options.repeats}", file=sys.stderr)
    medians = pd.DataFrame(rows).groupby("checkout", sort=False).median()
    if options.against:
        medians.loc["ratio"] = medians.loc["this"] / medians.loc["other"]
    print(medians.round(2).to_string())


if __name__ == "__main__":
    main()
