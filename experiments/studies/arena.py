"""Does information flow beat its rivals? Rankings of nodes, edges and paths side by side, over a hundred seeds.

    python experiments/studies/arena.py --data-dir DIR [--seeds 100] [--quick] [--results results/arena] [--docs docs]

Trains the networks of every scene, ranks by every metric on one half of the analysis rows under every ablation, and
measures all interventions on both halves (``arena_measures.py``); chooses on the half that ranked and reports on the
other, with the roles exchanged (``arena_page.py``). What is measured is kept below ``--results``, and the same command
goes on where it was interrupted. Writes ``arena_*.csv``, the figures and the tables of ``arena.md`` below ``--docs``.
``--quick`` takes 10 networks of three scenes, by the zero ablation.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

import jaxflow as jf
from jaxflow.ablations import ABLATIONS
from jaxflow.debiasing import DEBIASERS, Sample, Task, debiased_outputs
from jaxflow.metrics import METRICS
from jaxflow.networks.contract import layer_sizes
from jaxflow.pipeline import Config, preset
from jaxflow.running.config import measured_messages
from jaxflow.running.presets import table_hidden

sys.path.append(str(Path(__file__).parents[1]))
from arena_measures import Candidate, candidates, halves_of, measured
from arena_page import DEBIASED, Scene, write_page

TABLES = {  # label and attribute
    "compas": ("two_year_recid", "race"),
    "german": ("credit_label", "sex"),
    "law": ("pass_bar", "race"),
    "arrests": ("released", "colour"),
}
SCENES = ("synthetic", "adult-small", "adult-large", *TABLES)
QUICK = ("synthetic", "adult-small", "german")
CHUNK = 25  # networks that are measured and saved together


class Networks(NamedTuple):
    """A scene before it is measured.

    Attributes:
        config: how its networks are trained and where the analysis begins.
        data: rows and messages.
        wanted: the interventions on every network.
    """

    config: Config
    data: jf.Dataset
    wanted: list[Candidate]


def scene(name: str, data_dir: Path | None) -> Networks:
    """The data of a scene, and the interventions on its networks."""
    if name in TABLES:
        label, attribute = TABLES[name]
        folder = Path(data_dir or os.environ.get("JAXFLOW_DATA", "."))
        data = jf.read_table(folder / "tables" / f"{name}.csv", label, [attribute])
        config = Config(data.name, hidden=table_hidden(2), estimator="gaussian")
    else:
        data, config = jf.load_dataset(name, data_dir), preset(name, estimator="gaussian")
    network = config.network(data)
    weights = jax.eval_shape(
        lambda key: network.weights(network.init(key, jnp.asarray(data.train.x))), jax.random.key(0)
    )
    widths = layer_sizes(weights)[config.first_layer :]
    sizes = {
        "node": sum(widths[:-1]),
        "edge": sum(a * b for a, b in pairwise(widths)),
        "path": prod(widths),
    }
    return Networks(config, data, candidates(tuple(METRICS), sizes))


def measured_chunk(networks: Networks, ablation: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Train the networks of these numbers and measure them under an ablation."""
    config, data = networks.config, networks.data
    network, key = config.network(data), jax.random.key(config.seed)
    study = dataclasses.replace(config.study(network, data), ablation=ablation)
    train = data.train.x, data.train.messages[data.label]
    params = jf.train_many(jax.random.fold_in(key, 0), jnp.asarray(numbers), network, *train, config.training).params
    messages = measured_messages(study.roles, data)
    control = partial(jax.random.fold_in, jax.random.fold_in(key, 1))
    keys = jax.random.fold_in(key, 5), jax.vmap(control)(jnp.asarray(numbers))
    return measured(study, params, (data.test.x, messages), tuple(METRICS), networks.wanted, keys)._asdict()


def debiased(networks: Networks, seeds: int) -> dict[str, np.ndarray]:
    """What debiasers make of the same networks: measures of each ``[S, 2, M]``, chosen and reported as rankings are."""
    config, data = networks.config, networks.data
    network, key = config.network(data), jax.random.fold_in(jax.random.key(config.seed), 0)
    study = config.study(network, data)
    messages = measured_messages(study.roles, data)
    train = Sample(data.train.x, data.train.messages[data.label], data.train.messages[data.attributes[0]])
    params = jf.train_many(key, seeds, network, train.x, train.label, config.training).params
    halves = halves_of(study, messages, jax.random.fold_in(jax.random.key(config.seed), 5))
    found: dict[str, list[np.ndarray]] = {name: [] for name in DEBIASERS}
    y, z = (data.test.messages[name] for name in data.messages[:2])
    for choosing, reporting in (halves, halves[::-1]):
        parts = [Sample(data.test.x[rows], y[rows], z[rows]) for rows in (choosing, reporting)]
        outputs = debiased_outputs(Task(network, params, key, config.training, train, parts[0], parts[1]))
        for name, measures in outputs.items():
            found[name].append(np.stack([np.asarray(measures[own]) for own in DEBIASED], axis=1))
    return {name: np.stack(own, axis=1) for name, own in found.items()}


def kept(file: Path, arrays: dict[str, np.ndarray]) -> None:
    """Save arrays; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    with new.open("wb") as opened:
        np.savez_compressed(
            opened, allow_pickle=False, **{name: own.astype(np.float32) for name, own in arrays.items()}
        )
    new.replace(file)


def found_in(file: Path, measure: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What a file holds; measured first where there is none."""
    if not file.exists():
        kept(file, measure())
    with np.load(file) as saved:
        return dict(saved)


def chunks(seeds: int) -> list[np.ndarray]:
    """Numbers of the networks that are measured together."""
    return [np.arange(start, min(start + CHUNK, seeds)) for start in range(0, seeds, CHUNK)]


def main(argv: list[str] | None = None) -> None:
    """Measure what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder with adult/ and tables/")
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="networks of every scene (default: 100)")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, metavar="NAME", help=f"of {', '.join(SCENES)}")
    parser.add_argument("--ablations", nargs="+", choices=ABLATIONS, metavar="NAME", help=f"of {', '.join(ABLATIONS)}")
    parser.add_argument("--quick", action="store_true", help="10 networks of three scenes, by the zero ablation")
    parser.add_argument("--results", type=Path, default=Path("results/arena"), metavar="DIR")
    parser.add_argument("--docs", type=Path, default=Path("docs"), metavar="DIR")
    options = parser.parse_args(argv)
    seeds = min(options.seeds, 10) if options.quick else options.seeds
    scenes = options.scenes or (QUICK if options.quick else SCENES)
    ablations = options.ablations or (ABLATIONS[:1] if options.quick else ABLATIONS)
    found: list[Scene] = []
    others: dict[str, dict[str, np.ndarray]] = {}
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("arena", total=len(scenes) * (1 + len(ablations) * len(chunks(seeds))))
        for name in scenes:
            networks = scene(name, options.data_dir)
            for ablation in ablations:
                progress.update(task, description=f"{name}, {ablation}")
                parts = []
                for numbers in chunks(seeds):
                    file = options.results / f"{name}-{ablation}-{numbers[0]:04d}-{numbers[-1]:04d}.npz"
                    parts.append(found_in(file, partial(measured_chunk, networks, ablation, numbers)))
                    progress.advance(task)
                jax.clear_caches()  # no scene needs another's programs, and a process can hold only so many
                joined = {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}
                found.append(Scene(name, ablation, networks.wanted, **joined))
            progress.update(task, description=f"{name}, debiasers")
            file = options.results / f"{name}-debiasers-{seeds:04d}.npz"
            others[name] = found_in(file, partial(debiased, networks, seeds))
            progress.advance(task)
    write_page(options.docs, found, others)


if __name__ == "__main__":
    main()
