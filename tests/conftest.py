"""Strictness for all tests: no silent promotion of types or ranks; data and reference folders beside the project.

What one test compiles, none compiles again, in whichever of pytest's workers. Two thirds of the tests' time is
compilation, so that programs are optimised less than a user's; with XLA_FLAGS in the environment, even empty ones, they
are compiled as these say. ``.ci/more`` runs the tests of numbers so once more.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import brief

os.environ.setdefault("XLA_FLAGS", brief.FLAGS)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of LAPACK, which JAX calls too: its threads wait in loops

import jax
import jaxtyping
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxflow import figures

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Lines of source in every program that JAX lowers take time, and nobody reads them here, nor of commands in tests.
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"
jax.config.update("jax_traceback_in_locations_limit", 0)

# One folder for pytest's workers and for the commands that tests start. A limit makes JAX lock it while one of them
# writes. Whoever is to be killed must not leave half an entry behind: see ``reads_only``.
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAXFLOW_TESTS_CACHE", ""),
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(2**30),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
MADE = not CACHE["JAX_COMPILATION_CACHE_DIR"]
if MADE:
    folder = tempfile.mkdtemp(prefix="jaxflow-tests-")
    os.environ["JAXFLOW_TESTS_CACHE"] = CACHE["JAX_COMPILATION_CACHE_DIR"] = folder
os.environ |= CACHE
jax.config.update("jax_compilation_cache_dir", CACHE["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_compilation_cache_max_size", 2**30)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)  # writing looks through all entries


def pytest_collection_finish() -> None:
    """What has been imported stays: nobody looks for garbage in it again and again, which would take some time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # tracing makes many objects, and nearly all of them go without being looked for


def pytest_unconfigure() -> None:
    """The cache goes with the process that made it."""
    if MADE:
        shutil.rmtree(CACHE["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


# Files of few and long tests go first: xdist would begin with those of the most tests, which end soon, and leave one
# worker alone with a long file (pyproject.toml switches that off). The first two lines are of what is marked as slow.
LONGEST = (
    *("probe", "stories", "devices", "report_page", "edit_command", "users_programs", "scripts", "pipeline", "kills"),
    *("search_given", "docs", "removals", "reproduction", "cli"),
    *("inference", "any_message", "api", "lowering", "classes", "outputs", "kernel_svm", "own_runs", "edits", "rivals"),
    *("search", "training", "held_out", "recordings", "atoms", "own_networks", "exact", "refusals", "svm_runs"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


MAPPINGS = 30_000  # of memory by one process: Linux allows 65,530, and every compiled program takes some


@pytest.fixture(autouse=True, scope="module")
def few_mappings() -> Iterator[None]:
    """Programs of earlier files go before there are too many to map into memory; XLA would abort."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MAPPINGS:
        jax.clear_caches()
        gc.collect()  # of what holds itself


@pytest.fixture
def reads_only() -> dict[str, str]:
    """The environment of a command that is killed: it uses what others have compiled, and keeps nothing."""
    return os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9"}


@pytest.fixture
def no_types_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where jaxflow is used: the tests' type checks would refuse a value before jaxflow sees it, and take time."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def few_draws() -> Iterator[None]:
    """Short hyperparameter searches: see ``searches``."""
    from searches import three_draws

    with three_draws():
        yield


@pytest.fixture
def no_honest_flows() -> Iterator[None]:
    """Shorter programs of runs, for laws of something else: see ``brief``."""
    with brief.no_honest_flows():
        yield


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures under the names of the real ones, for laws of files: drawing takes longer than a small run."""
    names = ("training", "flows", "dependence", "tradeoff", "tradeoff_levels")
    monkeypatch.setattr(figures, "draw_all", lambda *_: ((name, Figure(figsize=(1, 1))) for name in names))


SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The original Adult and MNIST files."""
    folder = Path(os.environ.get("JAXFLOW_DATA") or SHARED / "data")
    if not folder.is_dir():
        pytest.skip(
            "needs the original files of Adult and MNIST: name the folder that the README describes in JAXFLOW_DATA,"
            " or put it at ../shared/data"
        )
    return folder


@pytest.fixture(scope="session")
def reference() -> dict[str, np.ndarray]:
    """What the authors' program computed for five networks."""
    file = SHARED / "reference" / "adult-small.npz"
    if not file.is_file():
        pytest.skip(
            "needs ../shared/reference/adult-small.npz: inputs, weights, bits, flows and outputs of five networks that"
            " the authors' program trained and measured"
        )
    return dict(np.load(file))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
