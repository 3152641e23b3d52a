"""The paper's datasets, and the form that your own arrays take. The only reader of data files."""

from functools import partial
from pathlib import Path

from jaxflow.datasets.adult import load_adult
from jaxflow.datasets.base import Dataset, Half
from jaxflow.datasets.mnist import load_mnist
from jaxflow.datasets.synthetic import load_synthetic
from jaxflow.errors import InputError

__all__ = ["DATASETS", "Dataset", "Half", "load_dataset"]

DATASETS = {
    "synthetic": lambda _data_dir, seed: load_synthetic(seed),
    "adult-small": partial(load_adult, "small"),
    "adult-large": partial(load_adult, "large"),
    "mnist": load_mnist,
}


def load_dataset(name: str, data_dir: str | Path | None = None, seed: int | None = None) -> Dataset:
    """One of the paper's datasets (Venkatesh et al. 2021, App. B).

    Args:
        name: ``synthetic``, ``adult-small``, ``adult-large`` or ``mnist``.
        data_dir: folder with the original files; default ``$JAXFLOW_DATA``, else the user's cache, which a first
            use fills by download.
        seed: of the draw of rows, on which nothing else has an influence; None draws the authors' rows.

    Raises:
        InputError: unknown name; files missing, altered or unreadable and not to be downloaded.
    """
    if name not in DATASETS:
        raise InputError(f"unknown dataset {name!r}; choose from {', '.join(DATASETS)}")
    return DATASETS[name](data_dir, seed)
