"""What estimators take: any type, byte order and scale of real numbers, samples on axis −2; all else in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import InputError, search_flows
from jaxflow.arrays import as_finite_array, as_real_array
from jaxflow.information import gaussian, gaussian_flows, linear_svm
from jaxflow.messages import as_message

N = 300


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


@pytest.fixture
def layer(rng, message):
    return rng.normal(size=(N, 3)) + np.outer(message, [0.8, 0.2, 0.0])


def same(message, moved, layer, atol=1e-6):
    np.testing.assert_allclose(gaussian(message, moved), gaussian(message, layer), atol=atol)


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-41, 1e41, 1e100, 1e300])
def test_scale_is_taken_off_before_float32_rounds_it_away(message, layer, scale):
    same(message, layer * scale, layer)
    same(message, (layer + 1e3) * scale, layer)
    same(message, layer * [1, scale, 1], layer)


@pytest.mark.parametrize("exponent", [-146, -130, -110, 110, 125])
def test_float32_that_is_nearly_denormal_or_infinite(message, layer, exponent):
    """XLA takes denormals for 0. What float32's last bits of them hold is compared, not what was lost before."""
    grid = np.round(layer * 100).astype(np.float32)
    moved = np.ldexp(grid, exponent - 9 if exponent > 0 else exponent)
    same(message, moved, grid, atol=1e-6)
    same(message, jnp.asarray(moved), grid, atol=1e-6)


def test_any_type_of_number(message, layer):
    for dtype in (">f4", ">f8", np.longdouble):
        same(message.astype(dtype), layer.astype(dtype), layer)
    same(message.astype(">i2"), layer, layer)
    same(message, layer.astype(np.longdouble) * np.longdouble("1e400"), layer)
    same(message, layer.astype(jnp.bfloat16), layer, atol=1e-2)
    counts = np.round(layer * 1e4).astype(int)
    for offset, dtype in ((0, np.int32), (2_000_000_000, np.int32), (1_700_000_000_000_000_000, np.int64)):
        same(message, (counts + offset).astype(dtype), counts)
    same(message, (counts + 2**62).astype(">u8"), counts)


def test_short_floating_numbers_become_float32_before_jax_sees_them(message, layer):
    """XLA cannot compile float16 for processors without F16C, as under ``--xla_cpu_max_isa=SSE4_2``."""
    half = layer.astype(np.float16)
    for short in (half, half.astype(jnp.bfloat16), jnp.asarray(half), jnp.asarray(half, jnp.bfloat16), half[0, 0]):
        values = as_real_array("activations", short)
        assert isinstance(values, np.ndarray)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.asarray(short).astype(np.float32))
        assert as_finite_array("factor", short).dtype == jnp.float32
    same(message, half, half.astype(np.float32), atol=0)


def test_a_constant_but_for_the_rounding_of_its_own_type_is_constant(message, layer):
    noisy = 1 + np.finfo(float).eps * message
    bits = gaussian(message, np.column_stack([layer, noisy]))
    np.testing.assert_array_equal(bits[8:], bits[:8])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m, x: (m, x + 0j), "real numbers, not complex128"),
        (lambda m, x: (m + 0j, x), "message must hold real numbers"),
        (lambda m, x: (m, x.astype("m8[s]")), "real numbers, not timedelta64"),
        (lambda m, x: (m, np.ma.masked_greater(x, 1)), "activations must not hold masked values"),
        (lambda m, x: (np.ma.masked_equal(m, 1), x), "message must not hold masked values"),
        (lambda m, x: (m, np.where(x > 1, np.longdouble("inf"), x)), "NaN or infinity"),
        (lambda m, _: (m, [[1.0], [2.0, 3.0]]), "rows of a list"),
        (lambda m, x: (m, x.astype(object)), "real numbers, not object"),
        (lambda m, x: (m, x[:, :0]), "no nodes"),
        (lambda m, x: (m, x.T), r"got \(300,\) and \(3, 300\); .*activations\.T"),
        (lambda m, x: (m, x[:, None].repeat(20, 1)), r"axis -2 .* activations\.swapaxes\(0, 1\)"),
        (lambda m, _: (m, np.zeros((2, N, 20, 3))), r"np\.moveaxis\(activations, 1, -2\)"),
        (lambda m, _: (m, np.zeros((N, N, 1))), rf"give it as \[1, {N}\] .* activations\.swapaxes\(0, 1\)"),
        (lambda m, _: (np.stack([m, m]), np.zeros((3, N, 1))), "must broadcast"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(message, layer, change, says):
    for estimator in (gaussian, gaussian_flows, search_flows, linear_svm):
        with pytest.raises(InputError, match=says) as error:
            estimator(*change(message, layer))
        assert "\n" not in str(error.value)


def test_masked_arrays_without_a_mask_will_do(message, layer):
    same(np.ma.array(message), np.ma.array(layer), layer)


def test_as_many_trials_as_times_is_said_by_the_message(rng):
    """[time, trial, unit] with a message for every trial: said by its leading axis; equal to the single times."""
    trials = 40
    message = rng.integers(0, 2, trials)
    recording = rng.normal(size=(trials, trials, 2))
    bits = gaussian(message[None], recording)
    np.testing.assert_allclose(bits[7], gaussian(message, recording[7]), atol=1e-6)
    with pytest.raises(InputError, match="fits two axes"):
        jax.jit(gaussian)(as_message(message), jnp.asarray(recording))
