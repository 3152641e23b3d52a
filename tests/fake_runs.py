"""Runs that compute nothing: the pipeline with tables and figures of a few bytes, so that a run takes milliseconds.

Every value depends on the run's seed and the network's number: a table in which chunks are missing, doubled or of
another run is not the expected one.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
from splits import half as split_of

from jaxflow import Dataset, pipeline
from jaxflow.pipeline import Config, strategy_grid
from jaxflow.running import experiment, files, plan
from jaxflow.running.chunks import write_chunk
from jaxflow.running.hosts import Hosts
from jaxflow.running.progress import silent

RNG = np.random.default_rng(0)
DATA = Dataset("mine", *(split_of(RNG.normal(size=(60, 2)), *RNG.integers(0, 2, (2, 60))) for _ in range(2)))
CONFIG = Config("mine", hidden=(2,), strategies=strategy_grid(nodes=(1,)), seeds=4, chunk=2)
TABLES = ("networks", "dependence", "node_flows", "edge_flows", "correlations", "predictors")


def tables_of(seed: int, start: int, stop: int) -> dict[str, pd.DataFrame]:
    networks = np.arange(start, stop)
    return {name: pd.DataFrame({"network": networks, name: networks + 100.0 * seed}) for name in TABLES[:4]}


def plan_of(config: Config, out: Path, overwrite: bool = False) -> experiment.Plan:
    """What ``pipeline.run`` makes of a config and a folder."""
    network = config.network(DATA)
    widths = (DATA.train.x.shape[1], *network.widths)
    return experiment.Plan(config, DATA, network, widths, None, out, overwrite, None, Hosts(), silent)


class FakeFigure:
    def __init__(self, text: str) -> None:
        self.text = text

    def savefig(self, file, **_) -> None:
        file.write(self.text.encode())


class OneAfterTheOther:
    """Syncs without threads, which takes less time where syncing takes none."""

    def __init__(self, _) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    map = staticmethod(map)


class Fake:
    """A pipeline that counts the chunks that it computes and keeps the lines that it reports."""

    def __init__(self, monkeypatch) -> None:
        self.computed: list[tuple[int, int]] = []
        self.lines: list[str] = []
        monkeypatch.setattr(experiment, "_run_chunks", self._run_chunks)
        monkeypatch.setattr(plan, "PACKAGES", ())
        monkeypatch.setattr(files, "ThreadPoolExecutor", OneAfterTheOther)
        monkeypatch.setattr(os, "fsync", lambda _: None)
        monkeypatch.setattr(experiment, "correlations", lambda table: table.head(1))
        monkeypatch.setattr(experiment, "predictors", lambda *tables: tables[0].tail(1))
        monkeypatch.setattr(experiment.figures, "draw_all", self._draw_all)

    def run(self, out: Path, overwrite: bool = False, hosts: Hosts | None = None, **changes):
        """As ``pipeline.run``."""
        self.computed.clear()
        self.lines.clear()
        config, report = dataclasses.replace(CONFIG, **changes), lambda line, *_: self.lines.append(line)
        return pipeline.run(config, DATA, out=out, overwrite=overwrite, hosts=hosts, report=report)

    def _run_chunks(self, inputs, plan, results, manifest, _) -> None:
        seed, hosts = inputs.config.seed, plan.hosts
        for start, stop in manifest["pending"][hosts.process :: hosts.processes]:
            self.computed.append((start, stop))
            params = {"layer_0": {"kernel": np.arange(start, stop) + 100.0 * seed}}
            write_chunk(results.path, (start, stop), manifest["run"], tables_of(seed, start, stop), params)
            if hosts.process == 0:
                results.write_manifest(manifest)

    @staticmethod
    def _draw_all(table, title, *_):
        rows = table("networks")
        yield "training", FakeFigure(f"{title} {rows['networks'].sum()} {len(rows)}")

    @property
    def said(self) -> list[str]:
        """The lines about chunks that are computed again."""
        return [line for line in self.lines if line.startswith("chunk ")]


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a folder but the manifest, whose seconds differ, and locks."""
    files = (file for file in out.rglob("*") if file.is_file() and file.name != "manifest.json")
    return {str(file.relative_to(out)): file.read_bytes() for file in files if not file.name.startswith("lock")}
