"""Every estimator on the synthetic inputs, against information that is integrated numerically."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from jaxflow import load_dataset
from jaxflow.datasets.synthetic import signed_distance
from jaxflow.information import gaussian, kernel_svm, linear_svm, quadratic

SAMPLING = 0.02  # bits; three standard errors of an accuracy from 5,000 rows are 0.02 point, worth as much


@pytest.fixture(scope="module")
def truth():
    path = Path(__file__).parents[1] / "experiments/studies/estimators.py"
    spec = importlib.util.spec_from_file_location("estimators", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.truth()


@pytest.fixture(scope="module")
def inputs():
    half = load_dataset("synthetic").test
    return np.stack([half.messages["y"], half.messages["z"]]), half.x


def test_the_integral_agrees_with_a_monte_carlo_one(truth, rng):
    """Z and (X1, X2), rows weighted as the cells are balanced; densities of s from a kernel-free sum over u."""
    u_y, u_g = rng.normal(size=(2, 200_000))
    likely = 1 / (1 + np.exp(-3 * signed_distance(u_y, u_g)))
    weight = 0.5 * likely / likely.mean() + 0.5 * (1 - likely) / (1 - likely).mean()
    slope, noise = np.hypot(0.7, 0.5), 0.2
    grid = np.linspace(-5, 5, 1001)
    edges = np.linspace(-6, 6, 1201)
    mass = np.histogram(u_y, edges, weights=weight, density=True)[0] * np.diff(edges)
    centres = (edges[1:] + edges[:-1]) / 2
    given_1 = np.exp(-(((grid[:, None] - slope * centres) / noise) ** 2) / 2) @ mass / (noise * np.sqrt(2 * np.pi))
    given_0 = np.exp(-((grid / noise) ** 2) / 2) / (noise * np.sqrt(2 * np.pi))
    mixture = (given_0 + given_1) / 2

    divergences = [p * np.log2(np.maximum(p, 1e-300) / mixture) for p in (given_0, given_1)]
    assert truth[1, 3] == pytest.approx(np.trapezoid(np.mean(divergences, axis=0), grid), abs=2e-3)


def test_what_the_model_says(truth):
    """X3 alone tells nothing of Z, more inputs never tell less, and the paper's reading of X1, X2 and X3 holds."""
    assert truth[1, 4] == pytest.approx(0, abs=1e-9)
    for mask in range(8):
        for bit in (1, 2, 4):
            assert (truth[:, mask | bit] >= truth[:, mask] - 1e-9).all()
    assert 0.390 < truth[1, 3] < 0.396


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize(
    ("estimate", "tight"),
    [
        (gaussian, None),
        (linear_svm, None),
        (quadratic, 0.55),
        (lambda m, x: quadratic(m, x, bound="cross-entropy"), 0.8),
    ],
    ids=["gaussian", "linear-svm", "quadratic", "cross-entropy"],
)
def test_no_estimate_exceeds_the_truth_and_those_that_see_more_than_lines_come_near(truth, inputs, estimate, tight):
    messages, x = inputs
    bits = np.asarray(estimate(messages, x[None]))
    assert (bits <= truth + SAMPLING).all()
    if tight is None:
        assert (bits[1] < 0.03).all()  # linear dependence of Z on X1, X2: none
    else:
        assert (bits[1, [1, 2, 3]] > tight * truth[1, [1, 2, 3]]).all()


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
def test_the_kernel_svm_is_tighter_than_the_quadratic_by_fano(truth, inputs):
    messages, x = inputs
    bits = float(kernel_svm(messages[1], x, subsets=[3])[0])
    assert 0.65 * truth[1, 3] < bits <= truth[1, 3] + SAMPLING
    assert bits > float(quadratic(messages[1], x, subsets=[3])[0])
