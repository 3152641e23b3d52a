"""Who does scikit-learn's fits: other processes of this machine, or the workers of a Dask cluster."""

import numpy as np
import pytest
from distributed import LocalCluster
from splits import half as split_of

from jaxflow import Dataset, pipeline
from jaxflow.information.sklearn_svms import Task, linear_pipeline, search_task, search_tasks
from jaxflow.pipeline import Config, strategy_grid
from jaxflow.running.engines import dask_engine
from jaxflow.running.results import TABLES
from jaxflow.training import Training


def test_other_processes_give_what_this_one_gives(rng):
    """With the draw of every fold given: five fits a task."""
    message = rng.integers(0, 2, 60)
    layers = rng.normal(size=(3, 60, 2)) + message[:, None]
    tasks = [Task(linear_pipeline, ("linearsvc__C",), x, message, np.arange(5)) for x in layers]
    told = []
    found = search_tasks(tasks, told.append)
    alone = [search_task(task) for task in tasks]
    for field, own in zip(found, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(field, np.stack(own))
    assert told == [1, 1, 1]


@pytest.mark.slow
def test_dask_workers_give_the_local_tables(tmp_path):
    """Two worker processes of a real cluster, byte for byte."""
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, (2, 120))
    half = split_of(rng.normal(size=(120, 2)) + np.column_stack([y, z]), y, z)
    data = Dataset("mine", half, half)
    config = Config(
        "mine", hidden=(1,), training=Training(epochs=3), seeds=1, chunk=1, first_layer=1, estimator="linear-svm",
        backend="sklearn", tune="once", factors=(1.0, 0.0), strategies=strategy_grid(edges=(1,))[:1],
    )  # fmt: skip
    local = pipeline.run(config, data, out=tmp_path / "local")
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, dask_engine(cluster.scheduler_address):
        spread = pipeline.run(config, data, out=tmp_path / "spread")
    for name in TABLES:
        assert (spread.path / f"{name}.csv").read_bytes() == (local.path / f"{name}.csv").read_bytes()
