"""What studies and benchmarks share: one timer, one maker of layers, one writer of tables, one filler of pages.

A script below ``experiments/`` finds this file by ``sys.path.append(str(Path(__file__).parents[1]))``.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxflow.batching import map_networks
from jaxflow.datasets import Dataset
from jaxflow.networks import Network
from jaxflow.training import Training, train_many


class Seconds(NamedTuple):
    """How long the runs of a function took.

    Attributes:
        first: the run that compiles.
        later: those after it.
    """

    first: float
    later: tuple[float, ...]

    @property
    def fastest(self) -> float:
        """The fastest of the later runs."""
        return min(self.later)

    @property
    def slowest(self) -> float:
        """The slowest of the later runs."""
        return max(self.later)

    @property
    def compilation(self) -> float:
        """What the first run took beyond the fastest."""
        return max(0.0, self.first - self.fastest)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one run until its arrays are there, and what it returned."""
    begin = time.perf_counter()
    returned = jax.block_until_ready(function())
    return time.perf_counter() - begin, returned


def side_by_side(functions: Mapping[str, Callable[[], Any]], repeats: int = 3) -> dict[str, Seconds]:
    """Seconds of several functions that take turns, so that all of them meet the same machine.

    Args:
        functions: by name.
        repeats: runs of each after the one that compiles.
    """
    rounds = [{name: timed(function)[0] for name, function in functions.items()} for _ in range(1 + repeats)]
    return {name: Seconds(rounds[0][name], tuple(own[name] for own in rounds[1:])) for name in functions}


def runs_of(function: Callable[[], Any], repeats: int = 3) -> Seconds:
    """Seconds of one function: the run that compiles, and so many after it."""
    return side_by_side({"": function}, repeats)[""]


def trained_layers(
    network: Network, training: Training, data: Dataset, networks: int, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Activations of freshly trained networks on the analysis half, ``[S, N, n]`` of every layer after the input."""
    y = data.train.messages[data.label]
    params = train_many(jax.random.key(seed), networks, network, data.train.x, y, training).params
    seen = jnp.asarray(data.test.x)
    layers = map_networks(lambda own: network.activations(own, seen)[1:], params)
    return tuple(map(np.asarray, layers))


def both_messages(data: Dataset) -> np.ndarray:
    """Label and attribute of the analysis half, ``[2, N]``."""
    return np.stack([data.test.messages[name] for name in data.messages])


def normal_layer(samples: int, nodes: int) -> tuple[jax.Array, jax.Array]:
    """A message of two classes ``[N]``, and correlated normal activations ``[N, n]`` that tell of it."""
    rng = np.random.default_rng(0)
    message = rng.integers(0, 2, samples)
    layer = rng.normal(size=(samples, nodes)) @ rng.normal(size=(nodes, nodes)) + 0.3 * message[:, None]
    return jnp.asarray(message, jnp.int32), jnp.asarray(layer, jnp.float32)


def write_table(table: pd.DataFrame, file: Path) -> None:
    """A table as CSV, four significant digits, Unix line ends; its folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False, float_format="%.4g", lineterminator="\n")


def markdown(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for a page."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def filled(page: str, parts: Mapping[str, str], begin: str, end: str = "<!-- end -->") -> str:
    """A page with what stands between the marks of every part made anew; marks that it lacks are no matter.

    Args:
        page: its text.
        parts: by name, what belongs between the marks.
        begin: the line before a part, with ``{}`` where its name stands.
        end: the line after it, likewise.
    """
    for name, text in parts.items():
        above, below = (re.escape(mark.format(name)) for mark in (begin, end))
        page = re.sub(
            f"({above}\n).*?({below})", lambda own, text=text: f"{own[1]}{text}\n{own[2]}", page, flags=re.DOTALL
        )
    return page


def fill_page(page: Path, parts: Mapping[str, str], begin: str, end: str = "<!-- end -->") -> None:
    """Make the parts of a page anew, if there is such a file, and print them: see ``filled``."""
    for name, text in parts.items():
        print(f"\n{name}\n\n{text}")
    if page.exists():
        page.write_text(filled(page.read_text(encoding="utf-8"), parts, begin, end), encoding="utf-8")


def machine() -> str:
    """On what was measured."""
    device = f"{jax.device_count()} × {jax.devices()[0].device_kind}"
    return f"{device}, {os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
