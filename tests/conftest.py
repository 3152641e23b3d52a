"""Strictness for all tests: no silent promotion of types or ranks; data and reference folders beside the project."""

from pathlib import Path

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The original Adult and MNIST files."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the folder with the original data files (../shared/data) is absent")
    return folder


@pytest.fixture(scope="session")
def reference() -> dict[str, np.ndarray]:
    """What the authors' program computed for five networks."""
    file = SHARED / "reference" / "adult-small.npz"
    if not file.is_file():
        pytest.skip("the authors' reference values (../shared/reference) are absent")
    return dict(np.load(file))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
