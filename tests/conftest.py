"""Strictness for all tests: no silent promotion of types or ranks; data and reference folders beside the project.

What one test compiles, none compiles again, in whichever of pytest's workers.
"""

import os
import shutil
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A limit makes JAX lock the folder, which pytest's workers share. The commands that tests start do without: some are
# killed, and must not leave half an entry behind.
FOLDER = "JAXFLOW_TESTS_CACHE"
MADE = FOLDER not in os.environ
if MADE:
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="jaxflow-tests-")
jax.config.update("jax_compilation_cache_dir", os.environ[FOLDER])
jax.config.update("jax_compilation_cache_max_size", 2**30)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_unconfigure() -> None:
    """The cache goes with the process that made it."""
    if MADE:
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


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
