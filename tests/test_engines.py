"""Who does scikit-learn's fits: other processes of this machine, or the workers of a Dask cluster."""

import numpy as np
import pytest
from distributed import LocalCluster

from jaxflow.information.sklearn_svms import Task, linear_pipeline, search_task, search_tasks
from jaxflow.running.engines import dask_engine


def tasks_of(rng):
    """With the draw of every fold given: five fits a task."""
    message = rng.integers(0, 2, 60)
    layers = rng.normal(size=(3, 60, 2)) + message[:, None]
    return [Task(linear_pipeline, ("linearsvc__C",), x, message, np.arange(5)) for x in layers]


def assert_found(tasks):
    """What this process finds, to the bit and in the tasks' order; and progress is told of each."""
    told = []
    found = search_tasks(tasks, told.append)
    alone = [search_task(task) for task in tasks]
    for field, own in zip(found, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(field, np.stack(own))
    assert told == [1, 1, 1]


def test_other_processes_give_what_this_one_gives(rng):
    assert_found(tasks_of(rng))


@pytest.mark.slow
def test_dask_workers_give_what_this_process_gives(rng):
    """Two worker processes of a real cluster, which search the draws of one task; runs hand all fits over so."""
    *given, last = tasks_of(rng)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, dask_engine(cluster.scheduler_address):
        assert_found([*given, last._replace(chosen=None)])
