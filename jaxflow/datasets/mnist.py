"""The skewed MNIST digits 4, 9, 5, 8 (Venkatesh et al. 2021, App. B.3): Y tells 5, 8 from 4, 9; Z is odd."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxflow.datasets import sources
from jaxflow.datasets.base import Dataset, Split
from jaxflow.datasets.draws import skewed_halves
from jaxflow.datasets.sources import fetch_openml

FILES = {  # SHA-256 of the unpacked bytes
    "mnist/train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "mnist/train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "mnist/t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "mnist/t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
CANONICAL_SHA256 = "5ce027aa0b326f2a3392d3cec93da4c6323a885043064e7d094281dc7d435b2b"
PIXELS = 28 * 28
DIGITS = (4, 9, 8, 5)  # in the order of the ratio 1 : 2 : 2 : 1


def parse(contents: Sequence[bytes]) -> np.ndarray:
    """Array [70000, 785] of uint8, pixels then digit, from the unpacked IDX files (headers of 16 and 8 bytes)."""
    images, labels = contents[0::2], contents[1::2]
    pixels = np.concatenate([np.frombuffer(image, np.uint8, offset=16).reshape(-1, PIXELS) for image in images])
    digits = np.concatenate([np.frombuffer(label, np.uint8, offset=8) for label in labels])
    return np.column_stack([pixels, digits])


def download(data_home: Path) -> np.ndarray:
    """The same array from OpenML's ``mnist_784`` version 1, whose rows are in the original order.

    Bytes throughout: less memory, and scikit-learn up to 1.9.1 cannot read numeric categories with pandas 3.1
    (scikit-learn issue 34892).
    """
    options = {"as_frame": False, "parser": "pandas", "read_csv_kwargs": {"dtype": np.uint8}}
    pixels, digits = fetch_openml("mnist_784", version=1, data_home=data_home, return_X_y=True, **options)
    return np.column_stack([pixels, digits]).astype(np.uint8)


def load_mnist(data_dir: str | Path | None = None, seed: int | None = None) -> Dataset:
    """20,460 images in the ratio 4 : 9 : 8 : 5 = 1 : 2 : 2 : 1, pixels standardised by one global mean and deviation.

    Args:
        data_dir: folder with the four original files under ``mnist/``.
        seed: of the draw of rows; None draws with the authors' seed.
    """
    rows = sources.canonical_array("mnist", data_dir, FILES, parse, download, CANONICAL_SHA256)
    digit = rows[:, -1]
    train, test = skewed_halves([np.flatnonzero(digit == d) for d in DIGITS], seed)
    pixels = rows[train, :-1].astype(np.float32)
    mean, deviation = pixels.mean(dtype=float), pixels.std(dtype=float)

    def half(chosen: np.ndarray) -> Split:
        x = (rows[chosen, :-1].astype(np.float32) - np.float32(mean)) / np.float32(deviation)
        return Split(x, {"y": np.isin(digit[chosen], (5, 8)), "z": digit[chosen] % 2})

    features = tuple(f"pixel {i // 28},{i % 28}" for i in range(PIXELS))
    return Dataset("mnist", half(train), half(test), features=features)
