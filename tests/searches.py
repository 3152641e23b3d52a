"""Short hyperparameter searches, for laws that hold whatever the number of draws."""

from collections.abc import Iterator
from contextlib import contextmanager

import joblib
import pytest

from jaxflow.information import cross_validation

DRAWS = 3  # the first three of the program's 25
FITS = 5 * (4 * DRAWS + 1)  # behind one estimate


@contextmanager
def three_draws() -> Iterator[None]:
    """Both backends search three draws; scikit-learn does in this process, for others know only of 25."""
    with pytest.MonkeyPatch.context() as patched, joblib.parallel_config(backend="sequential"):
        patched.setattr(cross_validation, "DRAWS", DRAWS)
        yield
