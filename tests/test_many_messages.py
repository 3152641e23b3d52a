"""Many messages and permutations about one layer: what is shared among them changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import as_message, node_flows, significance
from jaxflow.inference import permutations
from jaxflow.information import gaussian, many
from jaxflow.information.columns import decomposed, of_two_classes
from jaxflow.information.exact import stack_flows
from jaxflow.information.gaussian import MANY
from jaxflow.orders import orders_within, permuted_within

N, NODES = 211, 6
COUNT = MANY + 6


@pytest.fixture
def layer(rng):
    """Node 2 is dead, node 4 a copy of node 0, and all lie off zero."""
    x = rng.normal(size=(N, NODES)) @ rng.normal(size=(NODES, NODES)) + 10
    x[:, 2], x[:, 4] = 1, x[:, 0]
    return x.astype(np.float32)


@pytest.fixture
def messages(rng, layer):
    """One that the layer tells, one that is constant, one with a single 1, one that the layer determines, and noise."""
    values = rng.integers(0, 2, (COUNT, N))
    values[0] = layer @ rng.normal(size=NODES) > 10
    values[1], values[2] = 0, np.arange(N) == 7
    values[3] = layer[:, 1] > np.median(layer[:, 1])
    return values


def one_by_one(messages, layer, **options):
    return np.stack([gaussian(own, layer, classes=2, **options) for own in messages[:8]])


def test_many_equal_one_at_a_time(messages, layer):
    bits = np.asarray(gaussian(messages, layer))
    np.testing.assert_allclose(bits[:8], one_by_one(messages, layer), atol=1e-6)
    assert not bits[1].any()
    assert not bits[:, 0].any()


@pytest.mark.parametrize("count", [1, COUNT])
def test_what_a_long_layer_explains_is_that_of_double_precision(rng, count):
    """A sum of so many products, one after the other, is off by up to 1e-5 where the message is well known."""
    message = rng.integers(0, 2, 20_000)
    x = rng.normal(size=(len(message), 2)) + message[:, None] * [3, 1]
    basis = decomposed(jnp.asarray(x, jnp.float32)).basis
    found, _ = jax.jit(of_two_classes)(jnp.asarray(np.stack([message] * count)), basis)
    centred = message - message.mean()
    known = np.asarray(basis, float) @ centred / np.linalg.norm(centred)
    np.testing.assert_allclose(np.asarray(found, float) ** 2, np.tile(known**2, (count, 1)), atol=5e-7)


def test_what_is_given_conditions_them_all(messages, layer, rng):
    given = rng.integers(0, 3, N)
    bits = gaussian(messages, layer, given=given)
    np.testing.assert_allclose(bits[:8], one_by_one(messages, layer, given=given), atol=2e-6)


def test_a_determined_message_has_its_whole_entropy(layer):
    """The layer holds the message itself: what float32 leaves of 1 is beyond the limit."""
    message = np.arange(N) % 2
    x = np.column_stack([layer, message]).astype(np.float32)
    bits = np.asarray(gaussian(np.stack([message] * COUNT), x))
    alone = np.tile(gaussian(message, x), (COUNT, 1))
    np.testing.assert_allclose(bits[:, 2**NODES :], alone[:, 2**NODES :], atol=1e-6)


def test_dead_nodes_and_copies_are_exact(messages, layer):
    bits = np.asarray(gaussian(messages, layer))
    T = np.arange(2**NODES)
    np.testing.assert_array_equal(bits[:, T | 4], bits)
    both = T | 1 | 16
    np.testing.assert_array_equal(bits[:, both], bits[:, both & ~16])
    assert not np.asarray(node_flows(bits)[0])[:, 2].any()


def test_how_many_are_asked_at_once_changes_nothing(messages, layer):
    more = np.concatenate([messages, messages[::-1]])
    few, many = gaussian(messages, layer), np.asarray(gaussian(more, layer))
    np.testing.assert_allclose(many[:COUNT], few, atol=1e-6)
    np.testing.assert_allclose(many[:COUNT], many[: COUNT - 1 : -1], atol=1e-6)


def test_layers_of_a_batch_have_many_messages_each(messages, layer):
    layers = np.stack([layer, layer[:, ::-1]])
    bits = gaussian(messages[:, None], layers)
    for number, own in enumerate(layers):
        np.testing.assert_allclose(bits[:, number], gaussian(messages, own), atol=1e-6)


@pytest.mark.parametrize("strata", [0, 3])
def test_flows_of_wide_layers_need_no_listed_bits(messages, layer, rng, monkeypatch, strata):
    """Block by block, and a few messages at a time: flows about all, and the first one's witnesses."""
    monkeypatch.setattr(many, "nodes_in_cache", lambda: 4)
    given = rng.integers(0, strata, N) if strata else None
    about = as_message(messages, given, classes=2)
    bits = np.asarray(gaussian(messages, layer, given=given))
    flow, _ = node_flows(bits)
    found = stack_flows(layer[None], jax.tree.map(jnp.asarray, about))
    np.testing.assert_allclose(found.flow[0], flow, atol=2e-6)
    np.testing.assert_allclose(found.whole[0], bits[:, -1], atol=2e-6)
    gain = bits[0, found.witness[0] | 1 << np.arange(NODES)] - bits[0, found.witness[0]]
    np.testing.assert_allclose(gain, found.flow[0, 0], atol=2e-6)
    assert not np.asarray(found.flow[0, :, 2]).any()  # a dead node


@pytest.mark.parametrize(("nodes", "layers"), [(1, 9000), (3, 2100), (9, 40)])
def test_flows_of_many_layers_are_those_of_each(rng, nodes, layers):
    """Equal to the bit, and the smallest witness where many tie."""
    bits = np.round(rng.random((layers, 2**nodes)), 1).astype(np.float32)
    bits[1] = 0
    flow, witness = node_flows(bits)
    for number in (0, 1, layers - 1):
        alone = node_flows(bits[number])
        np.testing.assert_array_equal(flow[number], alone[0])
        np.testing.assert_array_equal(witness[number], alone[1])


def test_orders_are_those_of_jax(rng):
    """NumPy's sorts give the permutations that ``permuted_within`` gives."""
    keys = jax.random.split(jax.random.key(3), 5)
    for numbers in (np.zeros(N, int), rng.integers(0, 4, N)):
        expected = [permuted_within(key, jnp.asarray(numbers)) for key in keys]
        np.testing.assert_array_equal(orders_within(keys, numbers), expected)


def test_blocks_of_permutations_change_no_p_value(messages, layer, monkeypatch):
    layers = np.stack([layer, layer[:, ::-1]])
    together = significance(jax.random.key(1), messages[0], layers, permutations=2 * COUNT)
    monkeypatch.setattr(permutations, "BLOCK_BYTES", COUNT * 4 * (2 * 2**NODES + 8 * N))
    in_blocks = significance(jax.random.key(1), messages[0], layers, permutations=2 * COUNT)
    for one, other in zip(together, in_blocks, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_layer_whose_bits_are_not_kept_has_the_same_p_values(messages, layer, monkeypatch):
    """Its permutations are shared out among the cores."""
    layers = np.stack([layer, layer[:, ::-1]])
    listed = significance(jax.random.key(1), messages[0], layers, permutations=2 * COUNT)
    monkeypatch.setattr(permutations, "LISTED_NODES", NODES - 1)
    found = significance(jax.random.key(1), messages[0], layer, permutations=2 * COUNT)
    for name in ("flow", "p", "null95"):  # of witnesses the copies tie
        np.testing.assert_allclose(getattr(found, name), getattr(listed, name)[0], atol=2e-6)


def test_a_surrogate_that_is_the_message_ties_with_it(messages, layer):
    found = significance(jax.random.key(0), messages[0], layer, permutations=np.stack([messages[0]] * COUNT))
    np.testing.assert_array_equal(found.p, 1)
    np.testing.assert_array_equal(found.p_max, 1)
