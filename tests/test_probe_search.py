"""Flows of wide layers by a probe: what no linear map shows is found, and valued by a probe of the set alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxflow import InputError, as_message, probe, search_flows
from jaxflow.information import probe_fits, probe_search, probe_training
from jaxflow.information.probe import question_of, task_of
from jaxflow.information.probe_climbing import _Climb, _judges
from jaxflow.information.probe_fits import learned
from jaxflow.information.probe_search import _nodes

N = 300


@pytest.fixture
def signs(rng):
    return rng.integers(0, 2, (N, 2))


@pytest.fixture
def layer(rng, signs):
    """Two noisy signs, noise, a constant, and a copy of the first column's ranks."""
    pair = 2 * signs - 1 + 0.3 * rng.normal(size=(N, 2))
    return np.column_stack([pair, rng.normal(size=(N, 3)), np.full(N, 7), np.exp(pair[:, 0])]).astype(np.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::jaxflow.information.svms.ConvergenceWarning")
def test_nodes_that_tell_in_company_alone_are_found_and_valued_by_a_probe_of_them(signs, layer, monkeypatch):
    """A copy of ranks has the same flow as what it repeats, and one of the two is the company of the other sign."""
    monkeypatch.setattr(probe_search, "CYCLES", 1)
    monkeypatch.setattr(probe_training, "FIRST", 150)  # in shapes of no other test
    message = signs[:, 0] ^ signs[:, 1]
    flows, witnesses = map(np.asarray, search_flows(message, layer, estimator=probe))
    assert flows[0] == flows[6] > 0.9
    assert (flows[2:6] < 0.05).all()
    assert not witnesses[flows == 0].any()
    company = [np.flatnonzero(own).tolist() for own in witnesses]
    assert company[0] == company[6] == [1]
    assert company[1] in ([0], [6])
    seed = int(jax.random.bits(jax.random.key(0)))
    alone = probe(message, layer[:, [*company[1], 1]], subsets=[3, 2, 1], cycles=1, seed=seed)
    np.testing.assert_allclose(flows[:2], alone[0] - alone[1:], atol=1e-6)


def test_a_step_from_set_to_set_is_what_the_sets_themselves_lose(rng, monkeypatch):
    """Of nodes that share columns, and of columns of which their nearest leaves little; no network is trained."""
    monkeypatch.setattr(probe_fits, "trained", lambda begin, *_: (begin, jnp.zeros(())))
    x = rng.normal(size=(60, 7)).astype(np.float32)
    x[:, 3], x[:, 4], x[:, 6] = x[:, 2] + 0.2 * x[:, 3], x[:, 2] + 0.5 * x[:, 4], x[:, 0]
    message = (x[:, 0] + x[:, 3] > 0).astype(int)
    question = question_of(as_message(message), message)
    task = task_of(question, np.zeros((1, 5), bool), (0, 1, 2, 3, 1, 4, 4), x.dtype)
    run = jax.jit(lambda x, task: learned(x, task, jax.random.key(0), jnp.asarray(0), head=question.head))
    own = run(x, task)
    nodes = jax.tree.map(jnp.asarray, _nodes(own, [b""] * 5)[0])
    judges = _judges(own, jnp.asarray(task.prior), jnp.arange(12))

    @jax.jit
    def both(members, target):
        climb = _Climb(judges, nodes, nodes.shows[target].astype(jnp.int32), question.head)
        toggled = members[None] ^ jnp.eye(5, dtype=bool)
        anew = jax.lax.map(lambda own: jnp.sum(climb.differences(own)), toggled)
        return climb.flows_changed(members, jnp.ones(5, bool)), anew

    found = []
    for members, target in (([], 0), ([2], 4), ([1, 2], 0), ([1, 2, 4], 0), ([0, 1, 4], 3)):
        step, anew = both(jnp.zeros(5, bool).at[jnp.array(members, int)].set(True), target)
        np.testing.assert_allclose(step, anew, atol=1e-4)
        found.append(anew)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("estimator", ["copula", len, 3])
def test_other_estimators_are_refused(signs, layer, estimator):
    with pytest.raises(InputError, match="by the estimators gaussian and probe, not by"):
        search_flows(signs[:, 0], layer, estimator=estimator)


def test_a_probe_must_see_arrays(signs, layer):
    with pytest.raises(InputError, match="the search by a probe must see arrays"):
        jax.jit(lambda x: search_flows(signs[:, 0], x, estimator="probe"))(layer)


def test_few_rows_and_constants(layer):
    with pytest.raises(InputError, match="class 1 of the message has 3 samples"):
        search_flows([0] * 20 + [1] * 3, np.arange(23.0)[:, None], estimator="probe")
    assert not np.asarray(search_flows(np.zeros(N, int), layer, estimator="probe")[0]).any()
