"""Laws of the searched flows within strata and of nodes of several columns: certified by ``gaussian`` of the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import node_flows, search_flows
from jaxflow.information import gaussian
from jaxflow.messages import Message, as_message

N, NODES = 400, 4
SMALL = {"beam": 4, "restarts": 0}  # of three other nodes there are at most three subsets of a size: all are seen
GROUPS = (2, 0, 1, 3, 2, 3, 0, 3)  # nodes of 2, 1, 2 and 3 columns


@pytest.fixture
def strata(rng):
    return rng.integers(0, 2, N)


@pytest.fixture
def message(rng):
    return rng.integers(0, 3, N)


def mixed(rng, message, strata, columns):
    """Correlated columns that carry some of the message, one stratum other than the next."""
    noise = rng.normal(size=(2, columns, columns))[strata]
    x = np.einsum("ni,nij->nj", rng.normal(size=(N, columns)), noise)
    return (x + np.outer(message + strata, rng.normal(size=columns))).astype(np.float32)


def kind_of(kind, strata):
    """Columns and options of a layer with strata, with nodes of several columns, or with both."""
    options = {"given": strata} if kind != "groups" else {}
    return (8, options | {"groups": GROUPS}) if kind != "strata" else (NODES, options)


def assert_certified(message, x, flows, witnesses, options, gap=2e-6):
    """Every flow is the information of its witness, found by listing all, and none is larger or smaller."""
    bits = np.asarray(gaussian(message, x, **options))
    masks = np.asarray(witnesses) @ 2 ** np.arange(len(flows))
    own = 2 ** np.arange(len(flows))
    assert not (masks & own).any()
    np.testing.assert_allclose(flows, bits[masks | own] - bits[masks], atol=2e-6)
    best = np.asarray(node_flows(bits)[0])
    assert (np.asarray(flows) <= best + 2e-6).all()
    np.testing.assert_allclose(flows, best, atol=gap)


KINDS = ["strata", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("both", "groups"))]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_small_layer_is_seen(rng, message, strata, kind):
    columns, options = kind_of(kind, strata)
    for _ in range(3):
        x = mixed(rng, message, strata, columns)
        assert_certified(message, x, *search_flows(message, x, **SMALL, **options), options)


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_that_a_stratum_or_their_own_columns_determine(rng, message, strata, kind):
    """Dead in one stratum, a copy of a neighbour in the other, a column twice in its node: exact all the same."""
    columns, options = kind_of(kind, strata)
    x = mixed(rng, message, strata, columns)
    x[:, 0] = np.where(strata == 1, x[:, 0], 0.5)
    x[:, 3] = np.where(strata == 0, x[:, 3], 2 * x[:, 2] - 1)
    if kind != "strata":
        x[:, 4], x[:, 5], x[:, 6] = 3 * x[:, 0], 0.25, x[:, 1]  # of node 2, of node 3, of node 0
    assert_certified(message, x, *search_flows(message, x, **SMALL, **options), options)


@pytest.mark.parametrize("kind", ["strata", "both"])
def test_node_order_changes_nothing(rng, message, strata, kind):
    """Other ``groups`` would be another program: the columns of the two nodes of two columns change places."""
    columns, options = kind_of(kind, strata)
    x = mixed(rng, message, strata, columns)
    order, places = np.array([2, 0, 3, 1]), [2, 0, 3, 1]
    if kind == "both":
        order, places = np.array([2, 1, 0, 3]), [1, 0, 2, 3, 6, 5, 4, 7]
    flows, witnesses = search_flows(message, x, **SMALL, **options)
    moved = search_flows(message, x[:, places], **SMALL, **options)
    np.testing.assert_allclose(moved[0], np.asarray(flows)[order], atol=2e-6)
    np.testing.assert_array_equal(moved[1], np.asarray(witnesses)[np.ix_(order, order)])


def test_strata_of_one_class_are_none(rng, message, strata):
    """The second of the two strata has no rows; left-out rows do not count either."""
    x = mixed(rng, message, strata, NODES)
    of_all = search_flows(message, x, **SMALL, given=np.zeros(N, int))
    assert_certified(message, x, *of_all, {})
    rows = strata == 1
    kept = search_flows(Message(message, strata - 1, 3, 2), x, **SMALL)
    assert_certified(message[rows], x[rows], *kept, {})


def test_groups_of_one_column_are_none(rng, message, strata):
    x, order = mixed(rng, message, strata, NODES), np.array([2, 0, 3, 1])
    flows, witnesses = search_flows(message, x, **SMALL, given=strata)
    same, members = search_flows(message, x[:, order], **SMALL, given=strata, groups=order)
    np.testing.assert_array_equal(same, flows)
    np.testing.assert_array_equal(members, witnesses)


def test_the_maximum_is_taken_after_averaging(rng, strata):
    """Each stratum has another node that hides its noise: one set for both is worth less than the best of each."""
    message = rng.integers(0, 2, N)
    noise = 5 * rng.normal(size=(N, 2))
    hidden = message + np.where(strata, noise[:, 0], noise[:, 1])
    # the one node is noise where the other one helps, so that both together are what the average wants
    x = np.column_stack([hidden, noise, rng.normal(size=N)]).astype(np.float32)
    flows, witnesses = search_flows(Message(message, strata, 3, 2), x, **SMALL)  # the program of three classes
    each = [node_flows(gaussian(message[strata == g], x[strata == g]))[0][0] for g in (0, 1)]
    assert float(flows[0]) <= sum(float(flow) * np.mean(strata == g) for g, flow in enumerate(each)) + 1e-6
    assert witnesses[0, 1]
    assert witnesses[0, 2]


@pytest.mark.slow
@pytest.mark.parametrize(("content", "kind"), [("numbers given numbers", "groups"), ("vectors", "both")])
def test_any_message(rng, message, strata, content, kind):
    """Each content once, classes elsewhere: a message decides its columns, the kind how nodes and rows are taken."""
    columns, options = kind_of(kind, strata)
    x = mixed(rng, message, strata, columns)
    numbers = x[:, :2] + 3 * rng.normal(size=(N, 2))
    own = numbers if content == "vectors" else numbers[:, 0]
    if kind == "groups":
        options = options | {"given": rng.normal(size=N) + x[:, 0]}
    assert_certified(own, x, *search_flows(own, x, **SMALL, **options), options, gap=1e-5)


@pytest.mark.slow
def test_batches_and_transformations_change_nothing(rng, strata):
    """Within strata and of groups together; ``test_search`` has neither."""
    columns, options = kind_of("both", strata)
    messages = rng.integers(0, 3, (3, 2, N))
    layers = np.stack([mixed(rng, messages[0, j], strata, columns) for j in range(2)])
    flows, witnesses = search_flows(messages, layers, **SMALL, **options)
    for i, j in np.ndindex(3, 2):
        one, members = search_flows(messages[i, j], layers[j], **SMALL, **options)
        np.testing.assert_allclose(flows[i, j], one, atol=2e-6)
        np.testing.assert_array_equal(witnesses[i, j], members)
    inside = jax.jit(jax.vmap(lambda m, x: search_flows(m, x, **SMALL, **options)))
    traced, members = inside(as_message(messages[0]), jnp.asarray(layers))
    np.testing.assert_allclose(traced, flows[0], atol=2e-6)
    np.testing.assert_array_equal(members, witnesses[0])


@pytest.mark.slow
def test_wide_layers_of_groups_within_strata(rng, strata):
    """Too wide to list: certified against the subset alone, no deeper than asked, far above a node's own."""
    message = rng.integers(0, 2, N)
    x = rng.normal(size=(N, 90)) * 0.3 + rng.normal(size=(N, 1)) + np.outer(message, rng.normal(size=90)) / 20
    groups = np.arange(90) % 35
    options = {"beam": 1, "restarts": 1, "depth": 4, "given": strata, "groups": groups}
    flows, witnesses = search_flows(message, x, **options)
    assert int(witnesses.sum(axis=-1).max()) <= 4
    alone, some = [], (0, 34)  # every subset's groups compile anew
    for node in some:
        flow, chosen = flows[node], np.append(np.flatnonzero(witnesses[node]), node)
        columns = np.isin(groups, chosen)
        numbers = np.argsort(chosen)  # of the nodes in the subset
        own = numbers[np.searchsorted(np.sort(chosen), groups[columns])]
        bits = gaussian(message, x[:, columns], given=strata, groups=own)
        assert float(flow) == pytest.approx(float(bits[-1] - bits[2 ** (len(chosen) - 1) - 1]), abs=1e-5)
        alone.append(float(bits[2 ** (len(chosen) - 1)]))
    assert float(flows[np.array(some)].mean()) > 2 * np.mean(alone)
