"""The truths that estimators are held against: every formula against densities, by a large sample of each scene."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from jaxflow.information import knn

ROOT = Path(__file__).parents[1]
ROWS = 100_000


@pytest.fixture
def truths(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments/studies")
    return import_module("truths")


def log_normal(x):
    """log of the density of independent standard normal columns, up to a constant."""
    return -np.sum(x**2, axis=-1) / 2


def of_posterior(message, log_densities):
    """log₂ P(m | x) / P(m) of every row, from log p(x | m) up to a constant ``[N, K]`` of equally likely classes."""
    top = log_densities - log_densities.max(axis=1, keepdims=True)
    posterior = np.exp(top) / np.exp(top).sum(axis=1, keepdims=True)
    return np.log2(posterior[np.arange(len(message)), message] * posterior.shape[1])


def uniforms(m, x):
    inside = (x >= np.arange(m.max() + 1)) & (x <= np.arange(m.max() + 1) + 2)
    return of_posterior(m, np.where(inside, 0, -np.inf))


def corners(m, x, spread=0.2):
    """The likelihood of both parities, corner by corner."""
    signs = np.stack(np.meshgrid(*[[-1, 1]] * x.shape[1], indexing="ij"), axis=-1).reshape(-1, x.shape[1])
    of_corner = log_normal((x[:, None] - signs) / spread)
    odd = (signs > 0).sum(axis=1) % 2 == 1
    return of_posterior(m, np.stack([np.logaddexp.reduce(of_corner[:, odd == one], axis=1) for one in (0, 1)], axis=1))


def equal_covariances(m, x):
    white = np.linalg.solve((np.eye(3) + 0.5).T, x.T).T
    return of_posterior(m, np.stack([log_normal(white), log_normal(white - 2 / np.sqrt(3))], axis=1))


def scales(m, x):
    return of_posterior(m, np.stack([log_normal(x), log_normal(x / 3) - 2 * np.log(3)], axis=1))


def cauchy(m, x):
    return of_posterior(m, -np.log1p((x - np.array([0.0, 3.0])) ** 2))


def additive(e):
    """p(m | x) = 1/2ε, and p(m) the share of (0, 1) that is nearer than ε."""

    def ratio(m, _):
        reached = np.minimum(m + e, 1) - np.maximum(m - e, 0)
        return -np.log2(reached)

    return ratio


def jointly(joint, of_x, of_m):
    """log₂ p(x, m) / p(x) p(m) from three log densities."""
    return lambda m, x: (joint(np.column_stack([x, m])) - of_x(x) - of_m(m.reshape(len(m), -1))) / np.log(2)


def normals(covariance, own):
    """``jointly`` of normal numbers, of which the first ``own`` are the layer's."""
    parts = covariance, covariance[:own, :own], covariance[own:, own:]
    return jointly(*(multivariate_normal(cov=part).logpdf for part in parts))


def equal_correlations(n, r):
    return np.full((n, n), r) + (1 - r) * np.eye(n)


def pairs():
    across = np.diag([0.8, 0.8, 0])
    return np.block([[np.eye(3), across], [across, np.eye(3)]])


RATIOS = {
    **{f"overlapping uniforms, m = {m}": uniforms for m in (2, 3, 4, 5)},
    "XOR": corners,
    "three-way parity": corners,
    "rotated XOR": lambda m, x: corners(m, x @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)),
    "equal covariances": equal_covariances,
    "scale × 3": scales,
    "Cauchy": cauchy,
    "normal pair, as it is": normals(equal_correlations(2, 0.75), 1),
    "additive uniform, ε = 0.1": additive(0.1),
    "additive uniform, ε = 0.75": additive(0.75),
    "Student, ν = 1": jointly(*(multivariate_t(shape=np.eye(n), df=1).logpdf for n in (2, 1, 1))),
    **{f"dense normal, d = {d}": normals(equal_correlations(2 * d, 0.5), d) for d in (2, 3, 5, 25)},
    "two pairs, ρ = 0.8": normals(pairs(), 3),
}


@pytest.mark.parametrize("name", RATIOS)
def test_the_truth_is_the_mean_log_ratio_of_densities(rng, truths, name):
    message, x, bits, _ = truths.TRUTHS[name](rng, ROWS if "25" not in name else ROWS // 5)
    ratio = RATIOS[name](message, x)
    rare = 1e-5  # of rows that are no longer told, of which a sample may have none
    assert bits[-1] == pytest.approx(ratio.mean(), abs=4 * ratio.std() / np.sqrt(len(ratio)) + rare)
    assert ratio.std() / np.sqrt(len(ratio)) < 0.01


@pytest.mark.parametrize("nodes", [2, 3])
def test_the_parity_of_signs_that_noise_turns_over(rng, truths, nodes):
    message, x, bits, _ = truths.parity(rng, ROWS, nodes, spread=0.7)
    ratio = corners(message, x, spread=0.7)
    assert bits[-1] == pytest.approx(ratio.mean(), abs=4 * ratio.std() / np.sqrt(ROWS))
    assert 0.1 < bits[-1] < 0.6


@pytest.mark.parametrize("name", ["ring", "checkerboard, 4 × 4", "ReLU units, 0 % flipped"])
def test_what_the_layer_determines_is_half_of_the_rows(rng, truths, name):
    """One bit, then: no row of the other class lies beside one, but where the classes meet."""
    message, x, bits, _ = truths.TRUTHS[name](rng, ROWS)
    assert bits[-1] == 1
    assert message.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(ROWS))
    assert float(knn(message[:5000], x[:5000], groups=[0] * x.shape[1])[1]) > 0.8


def test_labels_of_relu_units_are_wrong_in_the_share_that_is_said(truths):
    label, units, *_ = truths.TRUTHS["ReLU units, 0 % flipped"](np.random.default_rng(0), ROWS)
    for share, bits in ((0.11, 0.5), (0.3, 0.1187)):
        message, same, truth, _ = truths.flipped(np.random.default_rng(0), ROWS, share)
        np.testing.assert_array_equal(same, units)
        assert np.mean(message != label) == pytest.approx(share, abs=4 * np.sqrt(share / ROWS))
        assert truth[-1] == pytest.approx(bits, abs=1e-3)
    alive = np.mean(units > 0, axis=0)
    np.testing.assert_allclose(alive, truths.ALIVE, atol=0.01)
    assert 0 < alive[6] < 0.004
    assert alive[7] == 0


@pytest.mark.parametrize("name", ["XOR", "checkerboard, 4 × 4", "three-way parity"])
def test_parts_of_an_interaction_tell_nothing(rng, truths, name):
    """Every cell of the signs, or squares, of all nodes but one has either class in equal shares."""
    message, x, bits, groups = truths.TRUTHS[name](rng, ROWS)
    assert groups is None
    assert not bits[:-1].any()
    cells = np.floor(x) if "checker" in name else x > 0
    for left in range(x.shape[1]):
        others = np.delete(cells, left, axis=1)
        for cell in np.unique(others, axis=0):
            rows = (others == cell).all(axis=1)
            assert message[rows].mean() == pytest.approx(0.5, abs=4.5 * 0.5 / np.sqrt(rows.sum()))


@pytest.mark.parametrize("image", ["normal CDF", "wiggly", "half-cube"])
def test_images_are_rising_maps_of_the_pair(truths, image):
    plain = truths.normal_pair(np.random.default_rng(0), 1000, "as it is")
    mapped = truths.normal_pair(np.random.default_rng(0), 1000, image)
    np.testing.assert_array_equal(np.argsort(mapped.message), np.argsort(plain.message))
    np.testing.assert_array_equal(np.argsort(mapped.activations[:, 0]), np.argsort(plain.activations[:, 0]))
    assert mapped.bits[-1] == plain.bits[-1] == pytest.approx(0.5963, abs=5e-5)


def test_published_values_in_bits(truths):
    """Those of Czyż et al. 2023 and Gao et al. 2017, and what the integrals come to."""
    rng = np.random.default_rng(0)
    for name, bits in {
        **{f"overlapping uniforms, m = {m}": own for m, own in {2: 0.5, 3: 0.9183, 4: 1.25, 5: 1.5219}.items()},
        **{"additive uniform, ε = 0.1": 2.4662, "additive uniform, ε = 0.75": 0.4809, "Student, ν = 1": 0.3234},
        **{f"dense normal, d = {d}": own for d, own in {2: 0.424, 3: 0.5963, 5: 0.8552, 25: 1.8642}.items()},
        **{
            "two pairs, ρ = 0.8": 1.4739,
            "equal covariances": 0.486,
            "XOR": 1,
            "scale × 3": 0.4705,
            "Cauchy": 0.3634,
            "three-way parity": 1,
        },
    }.items():
        assert truths.TRUTHS[name](rng, 10).bits[-1] == pytest.approx(bits, abs=5e-4), name


def test_synthetic_rows_are_balanced_as_the_data_set_is(truths):
    y, z = (truths.synthetic(np.random.default_rng(0), 1000, name) for name in "yz")
    np.testing.assert_array_equal(y.activations, z.activations)
    np.testing.assert_array_equal(np.bincount(2 * y.message + z.message), 250)
    np.testing.assert_allclose((y.bits[7], z.bits[3], z.bits[1]), (0.125, 0.393, 0.330), atol=5e-4)
