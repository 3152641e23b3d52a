"""The paper's datasets, tables of your own, and the form that your own arrays take. The only reader of data files."""

from functools import partial
from pathlib import Path

from jaxflow.datasets import adult, mnist
from jaxflow.datasets.adult import load_adult
from jaxflow.datasets.base import Dataset, Split
from jaxflow.datasets.description import description, record
from jaxflow.datasets.mnist import load_mnist
from jaxflow.datasets.synthetic import load_synthetic
from jaxflow.datasets.tables import read_table
from jaxflow.values import LARGEST_SEED, choice, folder, whole

__all__ = ["DATASETS", "SOURCES", "Dataset", "Split", "description", "load_dataset", "read_table", "record"]

DATASETS = {
    "synthetic": lambda _data_dir, seed: load_synthetic(seed),
    "adult-small": partial(load_adult, "small"),
    "adult-large": partial(load_adult, "large"),
    "mnist": load_mnist,
}
SOURCES = {  # those that are read from files: the files' and the whole table's hashes
    "adult": (adult.FILES, adult.CANONICAL_SHA256),
    "mnist": (mnist.FILES, mnist.CANONICAL_SHA256),
}


def load_dataset(name: str, data_dir: str | Path | None = None, seed: int | None = None) -> Dataset:
    """One of the paper's datasets (Venkatesh et al. 2021, App. B).

    Args:
        name: ``synthetic``, ``adult-small``, ``adult-large`` or ``mnist``.
        data_dir: folder with the original files; default ``$JAXFLOW_DATA``, else the user's cache, which a first
            use fills by download.
        seed: of the draw of rows, on which nothing else has an influence; None draws the authors' rows.

    Returns:
        Two halves of rows, one to train and one to analyse, with the label ``y`` and the protected attribute ``z``.

    Raises:
        InputError: unknown name; a folder that is none; files missing, altered or unreadable and not to be downloaded;
            a seed that is no integer from 0 to 2³² − 1.

    Example:
        >>> data = load_dataset("synthetic")
        >>> data.train.x.shape, data.test.messages["z"].shape
        ((5000, 3), (5000,))
    """
    choice("dataset", name, DATASETS)
    where = None if data_dir is None else folder("data_dir", data_dir)
    return DATASETS[name](where, None if seed is None else whole("the data's seed", seed, 0, LARGEST_SEED))
