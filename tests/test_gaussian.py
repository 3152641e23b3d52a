"""Laws of the Gaussian information: closed forms, invariances, exact degenerate cases, an oracle in NumPy."""

import jax
import numpy as np
import pandas as pd
import pytest
from oracles import gaussian_bits

from jaxflow import InputError
from jaxflow.information import gaussian
from jaxflow.information.gaussian import about_layers
from jaxflow.messages import as_message

N = 4000


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


@pytest.fixture
def layer(rng, message):
    """Four correlated nodes that carry some of the message."""
    mixing = rng.normal(size=(4, 4))
    return ((rng.normal(size=(N, 4)) @ mixing) + np.outer(message, [0.5, -0.2, 0.0, 0.1])).astype(np.float32)


def test_one_node_is_the_closed_form(message, rng):
    x = message + rng.normal(size=N)
    rho = np.corrcoef(message, x)[0, 1]
    assert gaussian(message, x[:, None])[1] == pytest.approx(-0.5 * np.log2(1 - rho**2), abs=1e-6)


def test_every_subset_equals_sliced_numpy(message, layer):
    np.testing.assert_allclose(gaussian(message, layer), gaussian_bits(message, layer), atol=1e-6)


def test_determinant_form_of_the_paper(message, layer):
    """Eq. 13: the divergence between the joint Gaussian and the product of its marginals."""
    joint = np.cov(np.column_stack([message, layer]).T)
    product = joint.copy()
    product[0, 1:] = product[1:, 0] = 0
    trace = np.trace(np.linalg.solve(product, joint)) - len(joint)
    divergence = (trace + np.linalg.slogdet(product)[1] - np.linalg.slogdet(joint)[1]) / (2 * np.log(2))
    assert gaussian(message, layer)[-1] == pytest.approx(divergence, abs=1e-6)


def test_a_gradient_is_the_slope_of_the_determinants(message, layer, rng):
    """Of all nodes' information along a direction, by differences in double precision."""
    about, direction = as_message(message), rng.normal(size=layer.shape).astype(np.float32)
    slope = np.vdot(jax.grad(lambda x: gaussian(about, x)[-1])(layer), direction)
    step, x, all_nodes = 1e-4, layer.astype(float), [2 ** layer.shape[1] - 1]
    up, down = (gaussian_bits(message, x + sign * step * direction, all_nodes)[0] for sign in (1, -1))
    assert slope == pytest.approx((up - down) / (2 * step), rel=1e-3)


def test_independent_is_nearly_zero(message, rng):
    bits = gaussian(message, rng.normal(size=(N, 3)))
    assert bits[0] == 0
    assert float(bits.max()) < 10 * 3 / (2 * N * np.log(2))  # expected: n/(2N ln 2)


def test_deterministic_copy_is_the_entropy_of_the_data(rng):
    message = (rng.random(N) < 0.2).astype(int)
    p = message.mean()
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    bits = gaussian(message, np.column_stack([3 - 2.0 * message, rng.normal(size=N)]))
    np.testing.assert_allclose(np.asarray(bits)[[1, 3]], entropy, atol=1e-6)


def test_xor_is_invisible(rng):
    """A Gaussian estimate sees linear dependence only: M = X1 xor X2 has 1 bit, it shows none."""
    x = rng.integers(0, 2, (N, 2))
    assert float(gaussian(x[:, 0] ^ x[:, 1], x.astype(np.float32)).max()) < 0.005


@pytest.mark.parametrize(("distance", "truth"), [(2.0, 0.4859), (3.0, 0.7600)])
def test_no_lower_bound(rng, distance, truth):
    """Two equally likely normal classes, some deviations apart: ½ log₂(1 + d²/4), which is more than there is.

    The truth is the capacity of binary input in Gaussian noise, ∫ over x of p(x|1) log₂(p(x|1) / p(x)).
    """
    x = np.linspace(-15, 15, 20001)
    ones, zeros = (np.exp(-((x - sign * distance / 2) ** 2) / 2) / np.sqrt(2 * np.pi) for sign in (1, -1))
    assert np.sum(ones * np.log2(2 * ones / (ones + zeros))) * (x[1] - x[0]) == pytest.approx(truth, abs=1e-4)
    message = np.arange(5000) % 2
    noise = rng.normal(size=(100, 5000))
    found = np.asarray(gaussian(message, (noise + distance * message)[..., None])[:, 1])
    assert found.mean() == pytest.approx(0.5 * np.log2(1 + distance**2 / 4), abs=0.002)
    assert found.mean() > truth


def test_constant_message_carries_nothing(layer):
    np.testing.assert_array_equal(gaussian(np.ones(N, int), layer), 0)


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e5, 1e6])
@pytest.mark.parametrize("scale", [1.0, -3.0, 1e-12, 1e12])
def test_shift_and_scale_change_nothing(message, layer, shift, scale):
    """In float32: what the shift rounds away is gone from the data, so the oracle sees the rounded data too."""
    moved = ((layer + np.float32(shift)) * np.float32(scale)).astype(np.float32)
    np.testing.assert_allclose(gaussian(message, moved), gaussian_bits(message, moved), atol=2e-6)
    if abs(shift) <= 1e3:
        np.testing.assert_allclose(gaussian(message, moved), gaussian(message, layer), atol=5e-5)


def test_node_order_changes_nothing(message, layer):
    order = [2, 0, 3, 1]
    bits, permuted = gaussian(message, layer), gaussian(message, layer[:, order])
    for mask in range(16):
        original = sum(1 << order[i] for i in range(4) if mask >> i & 1)
        assert permuted[mask] == pytest.approx(float(bits[original]), abs=1e-6)


DEGENERATE = {
    "constant": lambda _: np.full(N, 0.1),
    "zero": lambda _: np.zeros(N),
    "constant far off centre": lambda _: np.full(N, 1e7 + 0.3),
    "duplicate": lambda x: x[:, 2],
    "negated and shifted duplicate": lambda x: 5 - 2 * x[:, 0],
    "collinear": lambda x: 0.3 * x[:, 0] - 2 * x[:, 1] + x[:, 2] + 1,
    "collinear with all": lambda x: x.sum(axis=1),
}


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("position", [0, 2, 4])
def test_degenerate_column_changes_nothing(message, layer, kind, position):
    """A determined column adds nothing to any subset that determines it, wherever it stands, in float32."""
    column = DEGENERATE[kind](layer).astype(np.float32)
    widened = np.insert(layer, position, column, axis=1)
    bits, wide = (np.asarray(gaussian(message, x)) for x in (layer, widened))
    np.testing.assert_allclose(wide, gaussian_bits(message, widened), atol=2e-6)
    without = np.array([m for m in range(32) if not m >> position & 1])
    np.testing.assert_allclose(wide[without], bits, atol=1e-6)
    full = 31
    assert wide[full] == pytest.approx(float(bits[15]), abs=1e-6)
    if "constant" in kind or kind == "zero":
        np.testing.assert_array_equal(wide[without | 1 << position], wide[without])


def test_collinear_behind_a_nearly_collinear_pair(message, rng):
    """x₂ = x₁ + 0.0015·d leaves 2e-6 of x₂'s variance; the d that it hides is worth nothing once both are known.

    Schur complements of a float32 covariance would see noise here.
    """
    x, d = rng.normal(size=(2, N)).astype(np.float32) + 0.3 * message.astype(np.float32)
    layer = np.column_stack([x, x + np.float32(0.0015) * d, d]).astype(np.float32)
    np.testing.assert_allclose(gaussian(message, layer), gaussian_bits(message, layer), atol=1e-4)


def test_dead_units_leave_the_others_alone(message, layer):
    padded = np.insert(layer, [0, 2, 4], 0.25, axis=1)
    kept = [1, 2, 4, 5]
    masks = [sum(1 << kept[i] for i in range(4) if mask >> i & 1) for mask in range(16)]
    np.testing.assert_allclose(np.asarray(gaussian(message, padded))[masks], gaussian(message, layer), atol=1e-6)


def test_copies_of_copies_spoil_nothing(rng):
    """Binary columns, many of them copies, complements and sums of others: what is left of a copy is pure rounding."""
    a, b, c = rng.integers(0, 2, (3, N))
    message = (rng.random(N) < 0.3 + 0.3 * a * b + 0.1 * c).astype(int)
    for columns in ([a, a, a, 1 - a, b, b, a], [a, a, a, b], [a, b, a + b, a - b, c, a + b + c, 1 - c, 2 * c]):
        layer = np.column_stack(columns).astype(np.float32)
        np.testing.assert_allclose(gaussian(message, layer), gaussian_bits(message, layer), atol=2e-6)


@pytest.mark.parametrize(("samples", "nodes"), [(3, 5), (6, 8)])
def test_fewer_samples_than_nodes(rng, samples, nodes):
    for _ in range(5):
        message = rng.integers(0, 2, samples)
        layer = rng.normal(size=(samples, nodes)).astype(np.float32)
        np.testing.assert_allclose(gaussian(message, layer), gaussian_bits(message, layer), atol=1e-5)


@pytest.mark.parametrize("offset", [1e8, 1.7e9, -1e12])
def test_double_precision_is_centred_before_it_is_cut(message, layer, offset):
    """Time stamps, say: float32 could not even hold them apart."""
    exact = layer.astype(float)
    np.testing.assert_allclose(gaussian(message, exact + offset), gaussian(message, exact), atol=2e-4)


def test_huge_values_do_not_overflow(message, layer):
    huge = layer * np.float32(1e33) + np.float32(1e35)
    np.testing.assert_allclose(gaussian(message, huge), gaussian(message, layer), atol=1e-4)


def test_lists_and_frames_will_do(message, layer):
    bits = gaussian(message, layer)
    np.testing.assert_allclose(gaussian(message.tolist(), layer.tolist()), bits, atol=1e-6)
    np.testing.assert_allclose(gaussian(pd.Series(message == 1), pd.DataFrame(layer)), bits, atol=1e-6)


def test_more_nodes_never_lower_it(message, rng):
    bits = np.asarray(gaussian(message[:60], (rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)))
    for mask in range(64):
        for node in range(6):
            assert bits[mask | 1 << node] >= bits[mask] - 1e-6


def test_batches_broadcast_and_equal_single_calls(rng):
    messages = rng.integers(0, 2, (3, 1, 500))
    layers = rng.normal(size=(2, 500, 3)).astype(np.float32)
    bits = gaussian(messages, layers)
    assert bits.shape == (3, 2, 8)
    for i, j in np.ndindex(3, 2):
        np.testing.assert_allclose(bits[i, j], gaussian(messages[i, 0], layers[j]), atol=1e-7)


def test_under_jit_and_vmap_the_same(message, layer):
    layers = np.stack([layer, layer[:, ::-1]])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(gaussian, (None, 0)))(as_message(message), layers), gaussian(message, layers), atol=1e-7
    )


def test_one_trace_per_shape(message, layer):
    before = about_layers._cache_size()
    for shift in range(3):
        gaussian(message, layer + np.float32(shift))
    assert about_layers._cache_size() <= before + 1
    gaussian(message[:-1], layer[:-1])
    assert about_layers._cache_size() <= before + 2


def test_sixteen_nodes(message, rng):
    layer = (rng.normal(size=(N, 16)) + 0.1 * message[:, None]).astype(np.float32)
    bits = gaussian(message, layer)
    for mask in rng.integers(0, 2**16, 20):
        nodes = [i for i in range(16) if mask >> i & 1]
        design = np.column_stack([np.ones(N), layer[:, nodes].astype(float)])
        residual = message - design @ np.linalg.lstsq(design, message.astype(float))[0]
        expected = -0.5 * np.log2(residual.var() / message.var())
        assert bits[mask] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("message", "activations", "says"),
    [
        (np.array([0, 1, -2]), np.zeros((3, 1)), "classes 0, 1"),
        (np.array([0, 1, 0]), np.array([[0.0], [np.nan], [1.0]]), "NaN or infinity"),
        (np.array([0, 1, 0]), np.array([[0.0], [np.inf], [1.0]]), "NaN or infinity"),
        (np.array([0, 1]), np.zeros((3, 1)), "expected message"),
        (np.zeros(0), np.zeros((0, 1)), "no samples"),
        (np.array([0, 1]), np.zeros((0, 2, 1)), "an axis before the samples is empty"),
        (np.array(["a", "b"]), np.zeros((2, 1)), "real numbers"),
        (np.array([0, 1]), np.array([["1"], ["2"]]), "real numbers"),
        (np.array([0, 1]), np.array([[1j], [2]]), "real numbers"),
        (np.array([0, 1]), np.zeros((2, 40)), r"2\*\*40 subsets"),
    ],
)
def test_bad_input_is_refused(message, activations, says):
    with pytest.raises(InputError, match=says):
        gaussian(message, activations)
