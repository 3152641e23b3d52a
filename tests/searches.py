"""Short searches of hyperparameters and of sets, and a short training of the probe, for laws that hold all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import joblib
import pytest

from jaxflow import layers, search_flows
from jaxflow.inference import searched
from jaxflow.information import cross_validation, probe_fits, probe_training

DRAWS = 3  # the first three of the program's 25
FITS = 5 * (4 * DRAWS + 1)  # behind one estimate


@contextmanager
def three_draws() -> Iterator[None]:
    """Both backends search three draws; scikit-learn does in this process, for others know only of 25."""
    with pytest.MonkeyPatch.context() as patched, joblib.parallel_config(backend="sequential"):
        patched.setattr(cross_validation, "DRAWS", DRAWS)
        yield


@contextmanager
def few_steps() -> Iterator[None]:
    """Probes are trained with a fifth of the steps, of a quarter of the rows each.

    A program does not know of it: no other test of the same process may estimate from as many rows and columns.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(probe_training, "OPENING", (5, 15))
        patched.setattr(probe_training, "FIRST", 100)
        for module in (probe_training, probe_fits):
            patched.setattr(module, "BATCH", 64)
        yield


@contextmanager
def no_climbs() -> Iterator[None]:
    """Searches grow a beam and end there: random sets that climb are two thirds of a program."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (layers, searched):
            patched.setattr(module, "search_flows", partial(search_flows, restarts=0))
        yield
