"""The modified Adult dataset (Venkatesh et al. 2021, App. B.2): Y = income above 50K, Z = sex is Female."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxflow.datasets import sources
from jaxflow.datasets.base import Dataset, Split
from jaxflow.datasets.draws import skewed_halves
from jaxflow.datasets.sources import fetch_openml

FILES = {  # UCI's files, SHA-256
    "adult/adult.data": "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    "adult/adult.test": "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
}
CANONICAL_SHA256 = "cbcbc424bef700117a8b526f862d3b5a2e63d5ef40cbf099e093f7e4d78d430e"
TEST_ROWS = 16_281
COLUMNS = (
    *(
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education-num",
        "marital-status",
        "occupation",
        "relationship",
    ),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "class"),
)
NUMERIC = ("age", "education-num", "hours-per-week")
CATEGORICAL = ("occupation", "workclass")


def canonical(table: pd.DataFrame) -> np.ndarray:
    """Integer array [rows, 7]: age, education-num, hours-per-week, occupation code, workclass code, y, z.

    Codes number the sorted values; a missing value is the value ``?``.
    """
    codes = [
        np.unique(table[name].astype(object).fillna("?").to_numpy(str), return_inverse=True)[1] for name in CATEGORICAL
    ]
    y = table["class"].astype(str).str.startswith(">50K")
    z = table["sex"].astype(str) == "Female"
    columns = [*(table[name] for name in NUMERIC), *codes, y, z]
    return np.stack([np.asarray(column).astype(np.int16) for column in columns], axis=1)


def parse(contents: Sequence[bytes]) -> np.ndarray:
    """The canonical array from the bytes of adult.data and adult.test."""
    return canonical(
        pd.concat(
            pd.read_csv(io.BytesIO(content), names=COLUMNS, skipinitialspace=True, skiprows=skipped)
            for content, skipped in zip(contents, (0, 1), strict=True)
        )
    )


def download(data_home: Path) -> np.ndarray:
    """The canonical array from OpenML's ``adult`` version 2, which stores the test rows first."""
    bunch: Any = fetch_openml("adult", version=2, data_home=data_home, as_frame=True, parser="pandas")
    array = canonical(bunch.frame)
    rolled = np.roll(array, -TEST_ROWS, axis=0)
    return rolled if sources.array_sha256(rolled) == CANONICAL_SHA256 else array


def load_adult(size: str, data_dir: str | Path | None = None, seed: int | None = None) -> Dataset:
    """10,600 rows, numeric columns standardised: (Male,<) : (Male,≥) : (Female,<) : (Female,≥) = 1 : 2 : 2 : 1.

    Args:
        size: ``small``, three numeric features; ``large``, the codes of occupation and workclass before them.
        data_dir: folder with ``adult/adult.data`` and ``adult/adult.test``.
        seed: of the draw of rows; None draws the authors' rows.
    """
    rows = sources.canonical_array("adult", data_dir, FILES, parse, download, CANONICAL_SHA256)
    numeric, codes, y, z = rows[:, :3].astype(float), rows[:, 3:5], rows[:, 5], rows[:, 6]
    cells = [np.flatnonzero((z == sex) & (y == income)) for sex in (0, 1) for income in (0, 1)]
    train, test = skewed_halves(cells, seed)
    numeric = (numeric - numeric[train].mean(axis=0)) / numeric[train].std(axis=0)
    if size == "small":
        x, categories, features = numeric, (), NUMERIC
    else:
        x, features = np.concatenate([codes, numeric], axis=1), CATEGORICAL + NUMERIC
        categories = tuple(int(n) for n in codes.max(axis=0) + 1)
    first, second = (Split(x[half], {"y": y[half], "z": z[half]}) for half in (train, test))
    return Dataset(f"adult-{size}", first, second, categories=categories, features=features)
