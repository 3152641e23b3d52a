"""A class too small for the folds is refused before anything is trained, in one line that says what to do."""

import numpy as np
import pytest
from splits import half as split_of

from jaxflow import Dataset, InputError
from jaxflow.information import ESTIMATORS
from jaxflow.information.cross_validation import check_folds
from jaxflow.messages import Message
from jaxflow.pipeline import Config, strategy_grid

STRATEGIES = strategy_grid(nodes=(1,))


def halves(ones):
    """A dataset whose analysis half has so many ones in z."""
    y = np.arange(100) % 2
    z = (np.arange(100) < ones).astype(int)
    x = np.random.default_rng(0).normal(size=(100, 2))
    return Dataset("mine", split_of(x, y, y), split_of(x, y, z))


@pytest.mark.parametrize("estimator", [name for name, spec in ESTIMATORS.items() if spec.check is check_folds])
@pytest.mark.parametrize(("ones", "small", "size"), [(4, 1, 4), (97, 0, 3)])
def test_a_class_with_fewer_samples_than_folds_is_named(estimator, ones, small, size):
    config = Config("mine", strategies=STRATEGIES, estimator=estimator)
    with pytest.raises(InputError, match=f"class {small} of z in the analysis half has {size} samples.*record more"):
        config.network(halves(ones))
    assert config.network(halves(5)).widths[-1] == 2


def test_the_gaussian_estimate_needs_no_folds():
    ESTIMATORS["gaussian"].accepts(Message(np.eye(1, 50, dtype=int)[0]), "z")
    Config("mine", strategies=STRATEGIES).network(halves(1))


def test_the_refusal_is_one_line_with_a_remedy():
    with pytest.raises(InputError) as caught:
        check_folds(Message(np.eye(1, 50, dtype=int)[0]))
    assert str(caught.value).count("\n") == 0
    assert "class 1 of the message has 1 samples" in str(caught.value)
    assert "gaussian" in str(caught.value)
