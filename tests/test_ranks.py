"""Normal scores for the other estimators: compiled, and the same under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm, rankdata

from jaxflow.information import gaussian, rank_normalised
from jaxflow.information.ranks import _all_columns


def columns(rng, rows=200):
    return np.column_stack([rng.normal(size=rows), np.maximum(rng.normal(size=rows), 0), np.ones(rows)])


@pytest.mark.parametrize("offset", [0.5, 0.0, 3 / 8])
def test_scores_are_quantiles_of_mid_ranks(rng, offset):
    x = np.stack([columns(rng), columns(rng)]).astype(np.float32)
    expected = norm.ppf((rankdata(x, axis=1) - offset) / (x.shape[1] + 1 - 2 * offset))
    np.testing.assert_allclose(rank_normalised(x, offset), expected, atol=1e-5)


@pytest.mark.parametrize("transformed", [jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(f))])
def test_transformations_change_nothing(rng, transformed):
    x = jnp.asarray(np.stack([columns(rng), columns(rng, 200) ** 3]), jnp.float32)
    np.testing.assert_array_equal(transformed(rank_normalised)(x), rank_normalised(x))


def test_a_ranking_made_under_jit_serves_outside_of_it(rng):
    """The quantiles of a number of rows are kept: they must not be a trace's."""
    x = jnp.asarray(columns(rng, 123), jnp.float32)
    under = jax.jit(lambda x: gaussian(np.arange(123) % 2, x, rank=True))(x)
    np.testing.assert_allclose(gaussian(np.arange(123) % 2, x, rank=True), under, atol=1e-6)


def test_a_shape_is_compiled_once(rng):
    rank_normalised(columns(rng, 150))
    before = _all_columns._cache_size()
    for _ in range(3):
        rank_normalised(columns(rng, 150))
    assert _all_columns._cache_size() == before
