"""A class too small for the folds is refused before anything is trained; one too small for the columns is told."""

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from splits import half as split_of

from jaxflow import Dataset, InputError, ThinCellsWarning, load_dataset, network, network_flows
from jaxflow.information import ESTIMATORS, copula, gaussian
from jaxflow.information.cross_validation import check_folds
from jaxflow.messages import Message, as_message
from jaxflow.pipeline import Config, preset, strategy_grid
from jaxflow.running.hosts import Hosts
from jaxflow.running.plan import Plan, announce, thin_messages
from jaxflow.running.progress import silent

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
    assert "class 1 of the message has 1 sample" in str(caught.value)
    assert "gaussian" in str(caught.value)


# Cells (class × stratum) with fewer rows than columns + 2


@pytest.fixture
def thin():
    """Three columns; a message whose class 2 has four rows, and two strata, of which each class has enough."""
    x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    return x, np.r_[np.arange(96) % 2, 2, 2, 2, 2], np.arange(100) % 2


@pytest.mark.parametrize("estimator", [gaussian, copula])
def test_thin_cells_are_named_and_enough_rows_are_not(thin, estimator):
    x, message, strata = thin
    with pytest.warns(ThinCellsWarning, match=r"3 columns: the message has 4 in class 2; at least 5 are needed: merge"):
        estimator(message, x)
    with pytest.warns(ThinCellsWarning, match="has 2 in class 2 of stratum 0, 2 in class 2 of stratum 1; at least"):
        estimator(message, x, given=strata)
    with pytest.warns(ThinCellsWarning, match="has 4 in stratum 2; at least"):
        estimator(x[:, 0], x, given=message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator(message, x[:, :2])
        estimator(strata, x, given=Message(np.where(message == 2, -1, message), None, 2))  # four rows are left out
        estimator(x[:4, 0], x[:4])  # numbers have no cells
        jax.jit(estimator)(as_message(message), x)  # traced values cannot be counted


def test_rows_that_are_few_invent_information_where_they_are_told(thin):
    """As many columns as rows tell every class of a stratum apart: H(M | G) bits about pure chance."""
    x, _, strata = thin
    given = np.where(np.arange(100) < 4, 2, strata)
    with pytest.warns(ThinCellsWarning, match="2 in class 0 of stratum 2, 2 in class 1 of stratum 2"):
        bits = gaussian(np.arange(100) // 2 % 2, x, given=given)
    assert float(bits[-1]) > 0.04  # P(G = 2) times the bit that the stratum's two classes have


def test_flows_of_a_network_name_the_message_once(thin):
    """By the widest layer that is not searched; of any estimator."""
    x, message, strata = thin
    two = network(lambda params, x: (x, x @ params), lambda params: (params,))
    about = {"y": message, "z": strata}
    with pytest.warns(ThinCellsWarning) as caught:
        network_flows(two, jnp.ones((3, 2)), x, about)
    assert [str(own.message).partition(" in")[0] for own in caught] == ["few rows for 3 columns: y has 4"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network_flows(two, jnp.ones((3, 2)), x, about, first_layer=1)


def plan_of(config, data, report=silent):
    """What a run is going to do."""
    shape = config.network(data)
    widths = (data.train.x.shape[1], *shape.widths)
    return Plan(config, data, shape, widths, None, Path(), False, None, Hosts(), report)


@pytest.mark.parametrize(
    ("notion", "says"),
    [
        ("parity", "z has 3 in class x"),
        ("odds", "z|y has 1 in class x of stratum no, 2 in class x of stratum yes"),
    ],
)
def test_a_run_says_which_rows_are_few_by_the_names_of_the_classes(notion, says):
    x, y = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 2
    half = split_of(x, y, np.r_[np.arange(97) // 2 % 2, 2, 2, 2])
    data = Dataset("mine", half, half, values={"z": ("f", "m", "x"), "y": ("no", "yes")})
    heard = []
    plan = plan_of(Config("mine", strategies=STRATEGIES, notion=notion), data, lambda line, *_: heard.append(line))
    announce(plan)
    assert heard == thin_messages(plan) == [f"few rows for 3 columns: {says}; at least 5 are needed"]


def test_the_papers_runs_have_no_thin_cells():
    assert thin_messages(plan_of(preset("synthetic"), load_dataset("synthetic"))) == []
