"""How much faster the batched SVMs are than scikit-learn's, and whether they say the same: seconds of one core.

    python experiments/benchmarks/svm_speed.py [synthetic] [--networks 8] [--seeds 3] [--data-dir DIR]
    python experiments/benchmarks/svm_speed.py --searches   seconds of a search by scikit-learn's machinery and by ours

Full nested searches (505 fits of scaler, solver and held-out scoring) about the attribute, in the first hidden layer of
trained networks: the batched solver on all networks, warm; scikit-learn on the first three. For the kernel SVM
scikit-learn is run with several seeds of its stochastic gradients, to show its own spread beside our distance from it.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import loguniform
from sklearn.model_selection import RandomizedSearchCV
from threadpoolctl import threadpool_limits

from jaxflow import load_dataset
from jaxflow.information.cross_validation import (
    DRAW_SEED,
    DRAWS,
    INNER,
    LARGEST,
    OUTER,
    SMALLEST,
    Search,
    hyperparameter_draws,
    inner_splitter,
    nested_folds,
    outer_splitter,
)
from jaxflow.information.sklearn_svms import Task, kernel_pipeline, search_task
from jaxflow.information.svms import KERNEL, LINEAR, SVM
from jaxflow.pipeline import PRESETS, preset

sys.path.append(str(Path(__file__).parents[1]))
from measuring import both_messages, trained_layers

BESIDE = 3  # networks that scikit-learn searches too


def cpu_seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that this process computes until the arrays are there, and what is returned: others do not count."""
    begin = time.process_time()
    returned = jax.block_until_ready(function())
    return time.process_time() - begin, returned


def hidden_layers(experiment: str, networks: int, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """First hidden layer of trained networks ``[S, N, n]``, and the attribute ``[N]``."""
    config, data = preset(experiment), load_dataset(experiment, data_dir)
    return trained_layers(config.network(data), config.training, data, networks)[0], both_messages(data)[1]


def batched(svm: SVM, layers: np.ndarray, message: np.ndarray) -> tuple[Search, float]:
    """Accuracies of every network, and seconds of the second call."""
    solver: Any = svm.search
    draws = jnp.asarray(hyperparameter_draws(*svm.hyperparameters), jnp.float32)
    x, signs = jnp.asarray(np.swapaxes(layers, 1, 2)), jnp.asarray(2.0 * message[None] - 1, jnp.float32)
    arrays = x, signs, jax.tree.map(jnp.asarray, nested_folds(message)), draws
    cpu_seconds(lambda: solver(*arrays))  # compiles
    seconds, found = cpu_seconds(lambda: solver(*arrays))
    return jax.tree.map(np.asarray, found), seconds


def one_by_one(svm: SVM, pipeline: Any, layers: np.ndarray, message: np.ndarray) -> tuple[Search, float]:
    """The same by scikit-learn."""
    tasks = [Task(pipeline, svm.hyperparameters, np.asarray(x, float), message) for x in layers]
    seconds, found = cpu_seconds(lambda: [search_task(task) for task in tasks])
    return Search(*map(np.stack, zip(*found, strict=True))), seconds


def by_randomized_search(svm: SVM, x: np.ndarray, message: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies and draws of the outer folds ``[5]`` by ``RandomizedSearchCV``, the authors' way."""
    ranges, accuracy, chosen = dict.fromkeys(svm.hyperparameters, loguniform(SMALLEST, LARGEST)), [], []
    with threadpool_limits(1):
        for rows, held_out in outer_splitter().split(x, message):
            search = RandomizedSearchCV(
                svm.pipeline(), ranges, n_iter=DRAWS, cv=inner_splitter(), random_state=DRAW_SEED
            ).fit(x[rows], message[rows])
            accuracy.append(search.score(x[held_out], message[held_out]))
            chosen.append(search.best_index_)
    return np.array(accuracy), np.array(chosen)


def searches(layers: np.ndarray, message: np.ndarray) -> pd.DataFrame:
    """Seconds of one nested search by scikit-learn's machinery and by the plain loop, and whether they are equal."""
    rows, x = {}, np.asarray(layers[0], float)
    for svm in (LINEAR, KERNEL):
        task = Task(svm.pipeline, svm.hyperparameters, x, message)
        machinery, theirs = cpu_seconds(partial(by_randomized_search, svm, x, message))
        loop, ours = cpu_seconds(partial(search_task, task))
        equal = all(np.array_equal(a, b) for a, b in zip(theirs, ours, strict=False))
        rows[svm.name] = {"RandomizedSearchCV": machinery, "plain loop": loop, "equal": equal}
    return pd.DataFrame(rows).T


def compared(
    svm: SVM, pipelines: list[Any], layers: np.ndarray, message: np.ndarray
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Speed and agreement, and mean accuracies of every network by the batched solver and by every pipeline."""
    ours, seconds = batched(svm, layers, message)
    theirs, spent = zip(*(one_by_one(svm, own, layers[:BESIDE], message) for own in pipelines), strict=True)
    fits = OUTER * (1 + INNER * len(hyperparameter_draws(*svm.hyperparameters)))
    batched_ms = 1e3 * seconds / (fits * len(layers))
    sklearn_ms = 1e3 * float(np.mean(spent)) / (fits * BESIDE)
    accuracy = np.stack([found.accuracy for found in theirs])  # [seeds, networks, folds]
    apart = ours.accuracy[None, :BESIDE] - accuracy
    row = {
        "jax ms/fit": batched_ms,
        "sklearn ms/fit": sklearn_ms,
        "ratio": sklearn_ms / batched_ms,
        "folds with the same draw": f"{np.mean(ours.chosen[:BESIDE] == theirs[0].chosen):.0%}",
        "largest difference of a fold": float(np.abs(apart).max()),
        "range of a fold over seeds": float(np.ptp(accuracy, axis=0).max()),
        "unconverged": f"{int(ours.unconverged.sum())} of {fits * len(layers)}",
    }
    columns = {"jax": ours.accuracy[:BESIDE].mean(axis=-1)}
    columns |= {f"sklearn {seed}": own.mean(axis=-1) for seed, own in enumerate(accuracy)}
    return row, pd.DataFrame(columns)


def main() -> None:
    """Print a column for either SVM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("experiment", nargs="?", default="synthetic", choices=PRESETS)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3, help="of scikit-learn's SGD")
    parser.add_argument("--searches", action="store_true", help="scikit-learn's machinery beside the plain loop")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):  # before JAX starts its threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    layers, message = hidden_layers(options.experiment, options.networks, options.data_dir)
    if options.searches:
        print(searches(layers, message).to_string())
        return
    seeds = [partial(kernel_pipeline, seed) for seed in range(options.seeds)]
    rows, accuracies = {}, {}
    for svm, pipelines in ((LINEAR, [LINEAR.pipeline]), (KERNEL, seeds)):
        rows[svm.name], accuracies[svm.name] = compared(svm, pipelines, layers, message)
    print(f"{options.experiment}, {options.networks} networks, {layers.shape[1:]} on {jax.devices()[0].device_kind}")
    print(pd.DataFrame(rows).to_string(float_format="{:.4f}".format))
    print("\nMean accuracy over folds, by network; for the kernel SVM by seed of scikit-learn's SGD")
    print(pd.concat(accuracies).to_string(float_format="{:.4f}".format, na_rep=""))


if __name__ == "__main__":
    main()
