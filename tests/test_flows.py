"""Node flows, witnesses, edge flows and the noise floor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import node_flow

from jaxflow import InputError, edge_flows, node_flows
from jaxflow.flows import _largest_gains, null95_of_flows
from jaxflow.information import gaussian


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_flows_and_witnesses_equal_brute_force(rng, n):
    bits = rng.random((4, 2**n)).astype(np.float32)
    flow, witness = node_flows(jnp.asarray(bits))
    for b in range(4):
        for node in range(n):
            assert flow[b, node] == pytest.approx(node_flow(bits[b], node), abs=1e-7)
            chosen = int(witness[b, node])
            assert not chosen >> node & 1
            if flow[b, node] > 0:
                gain = bits[b, chosen | 1 << node] - bits[b, chosen]
                assert gain == pytest.approx(float(flow[b, node]), abs=1e-7)


@pytest.mark.parametrize("width", [1, 4, 64, 512])
def test_whatever_is_looked_at_together(rng, width):
    """Rounded to tenths, so that ties are everywhere: the smallest mask wins across blocks too."""
    bits = jnp.asarray(rng.integers(0, 10, (2, 512)) / 10, jnp.float32)
    flow, witness = _largest_gains(bits, width)
    lattice = np.arange(512)
    for b, node in np.ndindex(2, 9):
        without = lattice[lattice >> node & 1 == 0]
        gain = np.asarray(bits[b])[without | 1 << node] - np.asarray(bits[b])[without]
        assert flow[b, node] == gain.max()
        assert witness[b, node] == without[np.argmax(gain)]


def test_xor_is_synergistic():
    """M = X1 xor X2 (footnote 4): no node alone, 1 bit together, so each flows given the other."""
    flow, witness = node_flows(jnp.array([0.0, 0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(flow, [1, 1])
    np.testing.assert_array_equal(witness, [0b10, 0b01])


def test_redundant_copies_both_flow_directly():
    flow, witness = node_flows(jnp.array([0.0, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(flow, [1, 1])
    np.testing.assert_array_equal(witness, [0, 0])


def test_falling_estimates_are_truncated():
    flow, witness = node_flows(jnp.array([0.0, -0.1, 0.3, 0.2]))
    np.testing.assert_allclose(flow, [0, 0.3], atol=1e-7)
    np.testing.assert_array_equal(witness, [0, 0])


def test_witness_is_the_smallest_of_equals(rng):
    """A constant node joins no witness."""
    message = rng.integers(0, 2, 500)
    layer = (rng.normal(size=(500, 2)) + message[:, None]).astype(np.float32)
    _, witness = node_flows(gaussian(message, np.insert(layer, [0, 1, 2], 1.0, axis=1)))
    assert not any(int(w) & 0b10101 for w in witness)


def test_flow_of_a_node_follows_the_node(rng):
    message = rng.integers(0, 2, 800)
    layer = (rng.normal(size=(800, 4)) @ rng.normal(size=(4, 4)) + message[:, None]).astype(np.float32)
    order = [3, 1, 0, 2]
    flow, _ = node_flows(gaussian(message, layer))
    permuted, _ = node_flows(gaussian(message, layer[:, order]))
    np.testing.assert_allclose(permuted, np.asarray(flow)[order], atol=1e-6)


def test_edge_flow_is_the_weight_times_the_flow():
    kernel = jnp.array([[1.0, -2.0], [0.0, 3.0]])
    np.testing.assert_array_equal(edge_flows(jnp.array([0.5, 0.1]), kernel), [[0.5, 1.0], [0.0, jnp.float32(0.3)]])


def test_noise_floor_pools_nodes_and_permutations(rng):
    flow = rng.random((20, 2, 3)).astype(np.float32)
    expected = np.percentile(flow.swapaxes(0, 1).reshape(2, -1), 95, axis=1)
    np.testing.assert_allclose(null95_of_flows(jnp.asarray(flow)), expected, rtol=1e-6)


def test_noise_floor_holds_for_independent_messages(rng):
    """About 95 % of the flows of independent messages lie below the floor (0.0006 bit for N = 5,300, n = 3)."""
    layer = rng.normal(size=(5300, 3)).astype(np.float32)
    messages = rng.integers(0, 2, (400, 5300))
    floor = float(null95_of_flows(node_flows(gaussian(messages[:200], layer))[0]))
    assert floor == pytest.approx(0.0006, abs=0.00025)
    fresh = np.asarray(node_flows(gaussian(messages[200:], layer))[0])
    assert 0.92 < np.mean(fresh < floor) < 0.98


def test_wrong_number_of_subsets_is_refused():
    with pytest.raises(InputError, match="got 6"):
        node_flows(jnp.zeros(6))


def test_integers_are_numbers_of_bits():
    """In uint8 1 − 2 would be 255."""
    bits = np.array([0, 2, 1, 3])
    expected, masks = node_flows(bits.astype(np.float32))
    for dtype in (np.uint8, np.int64, bool, ">f8", np.longdouble):
        flow, witness = node_flows(bits.astype(dtype))
        if dtype is not bool:
            np.testing.assert_array_equal(flow, expected)
            np.testing.assert_array_equal(witness, masks)
    assert node_flows(np.array([0, 2, 1, 1], np.uint8))[0].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("bits", [np.zeros(6), np.zeros(0), np.float32(1), [0.0, np.nan], [0.0, np.inf], [0, 1j]])
def test_what_is_no_information_of_subsets_is_refused(bits):
    with pytest.raises(InputError, match=r"bits must"):
        node_flows(bits)


@pytest.mark.parametrize(
    ("flow", "kernel"),
    [
        (np.ones(1), np.ones((3, 2))),
        (np.ones(3), np.ones((1, 2))),
        (np.ones(3), np.ones((2, 3))),
        (np.ones(3), np.ones(3)),
        (np.float32(1), np.ones((1, 1))),
        (np.ones((2, 3)), np.ones((4, 3, 2))),
        (np.array([1, np.nan]), np.ones((2, 2))),
        (np.ones(2), np.full((2, 2), np.inf)),
        (np.ones(2), np.ones((2, 2), complex)),
    ],
)
def test_edge_flows_of_what_does_not_fit_are_refused(flow, kernel):
    with pytest.raises(InputError):
        edge_flows(flow, kernel)


def test_edge_flows_of_batches(rng):
    """Two messages about one kernel; integers do not wrap; traced values pass."""
    flow, kernel = rng.random((2, 3)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    edges = edge_flows(flow, kernel)
    for own, expected in zip(edges, flow, strict=True):
        np.testing.assert_allclose(own, np.abs(kernel) * expected[:, None], rtol=1e-6)
    assert edge_flows(np.array([200], np.uint8), np.array([[-2]], np.int8)).tolist() == [[400.0]]
    assert jax.jit(edge_flows)(jnp.full(2, jnp.nan), jnp.ones((2, 2))).shape == (2, 2)
