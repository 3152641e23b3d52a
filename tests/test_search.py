"""Laws of the searched flows: certified, never above the maximum, blind to order and batch, safe where degenerate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import conditional_bits
from searches import no_climbs

from jaxflow import InputError, as_message, honest_flows, node_flows, search_flows
from jaxflow.inference.honest import equal_halves, intervals
from jaxflow.inference.searched import honest_of_search
from jaxflow.information import gaussian

N, NODES = 1000, 8  # of most tests, so that they compile the search once
GREEDY = {"beam": 1, "restarts": 0}
SMALL = {"beam": 4, "restarts": 2}


@pytest.fixture
def message(rng):
    return rng.integers(0, 2, N)


@pytest.fixture
def layer(rng, message):
    """Correlated nodes that carry some of the message."""
    mixed = rng.normal(size=(N, NODES)) @ rng.normal(size=(NODES, NODES)) + np.outer(message, rng.normal(size=NODES))
    return mixed.astype(np.float32)


def dead_beside(*columns):
    """The columns and constants: a layer of NODES."""
    return np.column_stack([*columns, np.full((N, NODES - len(columns)), 0.25)]).astype(np.float32)


def exact(message, layer):
    return np.asarray(node_flows(gaussian(message, layer))[0])


def assert_certified(message, layer, flows, witnesses, atol=1e-5):
    """Every flow is the conditional information of its witness, which does not hold the node itself."""
    flows, witnesses = np.asarray(flows), np.asarray(witnesses)
    assert not np.diagonal(witnesses).any()
    for node, members in enumerate(witnesses):
        assert flows[node] == pytest.approx(conditional_bits(message, layer, node, members), abs=atol)


@pytest.mark.parametrize("options", [GREEDY, SMALL])
def test_certified_and_never_above_the_exact_maximum(message, layer, options):
    flows, witnesses = search_flows(message, layer, **options)
    assert_certified(message, layer, flows, witnesses)
    assert (np.asarray(flows) <= exact(message, layer) + 2e-6).all()


def test_all_of_a_small_layer_is_seen(rng, message):
    """Of three other nodes there are at most three subsets of a size: the beam of four leaves none out."""
    for _ in range(3):
        live = rng.normal(size=(N, 4)) @ rng.normal(size=(4, 4)) + 0.3 * message[:, None]
        layer = dead_beside(*live.T)
        flows, witnesses = search_flows(message, layer, **SMALL)
        best, masks = node_flows(gaussian(message, layer))
        np.testing.assert_allclose(flows, best, atol=2e-6)
        np.testing.assert_array_equal((np.asarray(witnesses) @ 2 ** np.arange(NODES))[:4], masks[:4])


def test_wider_search_finds_what_greedy_misses(rng):
    """Leaky ReLU layers: how much of their exact flows is not found, in all."""
    lost = np.zeros(2)
    for _ in range(6):
        x = rng.normal(size=(N, 3))
        message = (x @ [1, -0.5, 0.2] + 0.5 * rng.normal(size=N) > 0).astype(int)
        h = x @ rng.normal(size=(3, NODES)) + rng.normal(size=NODES)
        layer = np.where(h > 0, h, 0.01 * h).astype(np.float32)
        best = exact(message, layer)
        lost += [np.sum(best - np.asarray(search_flows(message, layer, **own)[0])) for own in (GREEDY, SMALL)]
    assert lost[0] > 0.01
    assert lost[1] < 0.1 * lost[0]


def test_noise_that_is_known_is_taken_off(message, rng):
    """X₁ = M + noise, X₂ = noise: X₂ alone tells nothing, with X₁ the rest of the message."""
    noise = 2 * rng.normal(size=N)
    layer = dead_beside(message + noise, noise + 0.3 * rng.normal(size=N))
    flows, witnesses = search_flows(message, layer, **GREEDY)
    np.testing.assert_array_equal(np.asarray(witnesses)[:2, :2], [[False, True], [True, False]])
    assert float(flows[1]) > 50 * float(gaussian(message, layer)[2])
    np.testing.assert_allclose(flows, exact(message, layer), atol=1e-6)


def test_a_pair_that_helps_only_together(message, rng):
    """X₁ = M + a; a is the difference of two large, nearly equal nodes, each of which alone hides it."""
    a, c = 3 * rng.normal(size=N), 100 * rng.normal(size=N)
    layer = dead_beside(message + a, c + a, c + 0.3 * rng.normal(size=N))
    flows, witnesses = search_flows(message, layer, **GREEDY)
    np.testing.assert_array_equal(np.flatnonzero(witnesses[0]), [1, 2])
    bits = gaussian(message, layer)
    assert float(flows[0]) > 10 * float(max(bits[1] - bits[0], bits[3] - bits[2], bits[5] - bits[4]))
    np.testing.assert_allclose(flows, exact(message, layer), atol=1e-4)


@pytest.mark.usefixtures("no_types_are_checked")
def test_keys_old_and_new_are_the_same(message, layer):
    """``test_first_checks`` has this of the other functions."""
    old, new = (search_flows(message, layer, key=make(1), **SMALL) for make in (jax.random.PRNGKey, jax.random.key))
    jax.tree.map(np.testing.assert_array_equal, old, new)
    with pytest.raises(InputError, match=r"key must be one random key such as jax\.random\.key\(0\), not 0"):
        search_flows(message, layer, key=0, **SMALL)


def test_independent_of_everything_is_noise(message, rng):
    flows, _ = search_flows(message, rng.normal(size=(N, NODES)).astype(np.float32), **SMALL)
    assert 0 < float(flows.max()) < 20 / (2 * N * np.log(2))


def test_one_node_is_its_own_information(message, layer):
    flows, witnesses = search_flows(message, layer[:, :1], **GREEDY)
    np.testing.assert_allclose(flows, gaussian(message, layer[:, :1])[1:], atol=1e-6)
    assert not witnesses.any()


def test_dead_nodes_change_nothing(message, layer):
    noise = np.arange(N) % 7.0
    flows, witnesses = search_flows(message, dead_beside(*layer[:, :4].T), **SMALL)
    np.testing.assert_array_equal(flows[4:], 0)
    assert not witnesses[4:].any()
    assert not witnesses[:, 4:].any()
    duplicates = np.column_stack([layer[:, :4], layer[:, :4]])  # all that a dead node can be replaced by
    np.testing.assert_allclose(search_flows(message, duplicates, **SMALL)[0][:4], flows[:4], atol=1e-5)
    np.testing.assert_array_equal(search_flows(noise > 3, dead_beside(), **SMALL)[0], 0)


@pytest.mark.parametrize("kind", ["duplicate", "negated and shifted", "collinear"])
def test_determined_columns_add_nothing(message, layer, kind):
    columns = {
        "duplicate": layer[:, 2],
        "negated and shifted": 5 - 2 * layer[:, 0],
        "collinear": layer[:, :5] @ [0.3, -2, 1, 0, 0],
    }
    wide = dead_beside(*layer[:, :5].T, columns[kind])
    flows, witnesses = search_flows(message, wide, **SMALL)
    assert_certified(message, wide, flows, witnesses)
    np.testing.assert_allclose(flows, exact(message, wide), atol=1e-5)
    with_all = np.asarray(witnesses)[5]
    assert not with_all[{"duplicate": [2], "negated and shifted": [0], "collinear": [0, 1, 2]}[kind]].all()


@pytest.mark.parametrize("value", [0, 1])
def test_constant_message_flows_nowhere(layer, value):
    np.testing.assert_array_equal(search_flows(np.full(N, value), layer, **SMALL)[0], 0)


def test_deterministic_copy_is_the_entropy(message, layer):
    p = message.mean()
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    flows, _ = search_flows(message, dead_beside(*layer[:, :3].T, 1 - 2.0 * message), **SMALL)
    assert flows[3] == pytest.approx(entropy, abs=1e-6)
    assert float(flows.max()) <= entropy + 1e-6


def test_node_order_changes_nothing(message, layer):
    order = np.random.default_rng(3).permutation(NODES)
    flows, witnesses = search_flows(message, layer, **SMALL)
    permuted, members = search_flows(message, layer[:, order], **SMALL)
    np.testing.assert_allclose(permuted, flows[order], atol=1e-5)
    np.testing.assert_array_equal(members, np.asarray(witnesses)[np.ix_(order, order)])


@pytest.mark.parametrize(("shift", "scale"), [(1e3, 1.0), (0.0, -1e12), (0.0, 1e-12)])
def test_shift_and_scale_change_nothing(message, layer, shift, scale):
    moved = (layer + np.float32(shift)) * np.float32(scale)
    np.testing.assert_allclose(search_flows(message, moved, **SMALL)[0], exact(message, moved), atol=1e-3)


def test_batches_broadcast_and_equal_single_calls(rng):
    """Three messages of its own about each of two layers."""
    messages = rng.integers(0, 2, (3, 2, N))
    layers = rng.normal(size=(2, N, NODES)).astype(np.float32)
    flows, witnesses = search_flows(messages, layers, **SMALL)
    assert flows.shape == (3, 2, NODES)
    assert witnesses.shape == (3, 2, NODES, NODES)
    for i, j in np.ndindex(3, 2):
        one, members = search_flows(messages[i, j], layers[j], **SMALL)
        np.testing.assert_allclose(flows[i, j], one, atol=1e-6)
        np.testing.assert_array_equal(witnesses[i, j], members)


def test_under_jit_and_vmap_the_same(rng):
    messages = jnp.asarray(rng.integers(0, 2, (2, N)), jnp.float32)
    layers = jnp.asarray(rng.normal(size=(2, N, NODES)), jnp.float32)
    flows, witnesses = jax.jit(jax.vmap(lambda m, x: search_flows(m, x, **GREEDY)))(messages, layers)
    for own, members, message, layer in zip(flows, witnesses, messages, layers, strict=True):
        expected = search_flows(message, layer, **GREEDY)
        np.testing.assert_allclose(own, expected[0], atol=1e-5)
        np.testing.assert_array_equal(members, expected[1])


def test_fewer_samples_than_nodes(rng):
    """Enough nodes fit any message: flows are certified, finite, large, and no larger than the entropy."""
    message = np.arange(20) % 2
    layer = rng.normal(size=(20, 40)).astype(np.float32)
    flows, witnesses = search_flows(message, layer, **GREEDY)
    assert_certified(message, layer, flows, witnesses, atol=1e-4)
    assert float(flows.max()) <= 1
    assert float(flows.mean()) > 0.5


def test_a_hundred_nodes_that_share_one_noise(message, rng):
    """Wide and strongly correlated, with copies and sums: certified, no deeper than asked, far above any node's own."""
    layer = 0.1 * rng.normal(size=(N, 60)) + rng.normal(size=(N, 1)) + np.outer(message, rng.normal(size=60)) / 30
    wide = np.concatenate([layer, layer[:, :20], 0.5 * layer[:, 10:30] - layer[:, :20]], axis=1).astype(np.float32)
    flows, witnesses = search_flows(message, wide, **GREEDY, depth=12)
    assert_certified(message, wide, flows, witnesses)
    assert int(witnesses.sum(axis=-1).max()) <= 12
    own = [conditional_bits(message, wide, node, np.zeros(100, bool)) for node in range(100)]
    assert float(flows.mean()) > 10 * np.mean(own)


@pytest.mark.parametrize(
    ("options", "says"), [({"beam": 0}, "beam"), ({"depth": 0}, "depth"), ({"restarts": -1}, "restarts")]
)
def test_bad_options_are_refused(message, layer, options, says):
    with pytest.raises(InputError, match=says):
        search_flows(message, layer, **options)


@pytest.mark.parametrize(
    ("message", "layer", "says"),
    [
        (np.array([0, -2, 1]), np.zeros((3, 1)), "classes 0, 1"),
        (np.array([0, 1]), np.zeros((3, 1)), "expected message"),
        (np.array([0, 1, 0]), np.array([[0.0], [np.nan], [1.0]]), "NaN or infinity"),
        (np.array([0, 1]), np.zeros((2, 0)), "no nodes"),
    ],
)
def test_bad_input_is_refused(message, layer, says):
    with pytest.raises(InputError, match=says):
        search_flows(message, layer)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"groups": (0, 1, 1, 2)}, marks=pytest.mark.slow),
        pytest.param({"given": np.arange(400) % 3}, marks=pytest.mark.slow),
        pytest.param({"given": np.sin(np.arange(400.0))}, marks=pytest.mark.slow),
    ],
    ids=["alone", "groups", "strata", "numbers"],
)
def test_of_a_narrow_layer_the_searched_honest_flows_are_the_listed_ones(rng, options):
    """A search misses no set there; a dead node has none."""
    message = rng.integers(0, 2, 400)
    layer = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) + message[:, None]
    layer[:, 3] = 0
    layer = layer.astype(np.float32)
    groups = options.get("groups")
    about = as_message(message, options.get("given"))
    halves = equal_halves(jax.random.key(0), about)
    with no_climbs():
        found = intervals(*honest_of_search(layer[None], about, halves, groups))
    for own, expected in zip(found, honest_flows(jax.random.key(0), message, layer, **options), strict=True):
        np.testing.assert_allclose(own[0], expected, atol=1e-5)
