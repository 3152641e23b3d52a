"""Soft pruning of a pytree: masks that fit, one factor, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import InputError, prune

PARAMS = {"layer_0": {"kernel": jnp.array([[1.0, -2.0], [3.0, 4.0]]), "bias": jnp.array([0.5, -0.5])}}
KERNEL = np.array([[True, False], [False, True]])


def selected(kernel=KERNEL):
    return {"layer_0": {"kernel": kernel, "bias": np.zeros(2, bool)}}


@pytest.mark.parametrize("factor", [0, 0.5, -1.0, np.float64(0.5), np.int64(-2), jnp.float32(0.25)])
def test_selected_weights_are_multiplied(factor):
    pruned = prune(PARAMS, selected(), factor)["layer_0"]
    np.testing.assert_allclose(pruned["kernel"], [[float(factor), -2], [3, 4 * float(factor)]])
    np.testing.assert_array_equal(pruned["bias"], PARAMS["layer_0"]["bias"])
    assert pruned["kernel"].dtype == jnp.float32


def test_maps_over_factors_and_selections():
    factors = jnp.array([1.0, 0.0])
    each = jax.jit(jax.vmap(prune, (None, None, 0)))(PARAMS, selected(), factors)
    assert each["layer_0"]["kernel"].shape == (2, 2, 2)
    np.testing.assert_array_equal(each["layer_0"]["kernel"][1], prune(PARAMS, selected(), 0)["layer_0"]["kernel"])
    stacked = jax.tree.map(lambda a: jnp.stack([a, ~a]), selected())
    both = jax.vmap(prune, (None, 0, None))(PARAMS, stacked, 0.0)["layer_0"]["kernel"]
    np.testing.assert_array_equal(both, [[[0, -2], [3, 0]], [[1, 0], [0, 4]]])


@pytest.mark.parametrize(
    ("selection", "factor", "says"),
    [
        (selected(KERNEL[:1]), 0, r"bool \(2, 2\) .* not bool \(1, 2\)"),
        (selected(KERNEL[0]), 0, "not bool"),
        (selected(0.3 * KERNEL), 0, "not float"),
        (selected(KERNEL.astype(int)), 0, "not int"),
        ({"layer_0": {"kernel": KERNEL}}, 0, "same structure"),
        (selected(), np.nan, "finite"),
        (selected(), np.array([0.0, 1.0]), "one number"),
        (selected(), 1j, "real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(selection, factor, says):
    with pytest.raises(InputError, match=says):
        prune(PARAMS, selection, factor)


def test_swapped_arguments_and_several_networks_are_named():
    with pytest.raises(InputError, match=r"parameters come before the selection: prune\(params, selection, factor\)"):
        prune(selected(), PARAMS, 0.0)
    with pytest.raises(InputError, match=r"of several networks: .* map_networks"):
        prune(jax.tree.map(lambda w: jnp.stack([w, w, w]), PARAMS), selected(), 0.0)
