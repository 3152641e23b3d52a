"""Honest flows by estimators that predict held-out rows: plain sums over their losses, and what the intervals cover."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from jaxflow import InputError, honest_flows, network
from jaxflow import layers as layers_module
from jaxflow.inference.held_out import honest_of_losses, witnesses
from jaxflow.inference.honest import equal_halves
from jaxflow.information import ESTIMATORS, Estimates, EstimatorSpec, subset_members
from jaxflow.information.cross_validation import outer_folds
from jaxflow.information.estimates import by_strata, ignore
from jaxflow.information.quadratic import BOUNDS
from jaxflow.layers import layer_flows
from jaxflow.messages import (
    Message,
    accuracy_to_information,
    as_message,
    fano_unknown,
    message_entropy,
)
from jaxflow.outputs import PAPER
from jaxflow.study import Study, with_permutations

N, NODES = 300, 3
KEY = jax.random.key(0)
LEAST = 2 * ndtr(1e-3) - 1  # confidence of a thousandth of a standard error about: the difference is linear in it


@pytest.fixture
def message(rng):
    return rng.choice(3, N, p=[0.5, 0.3, 0.2])


@pytest.fixture
def layer(rng, message):
    """Two nodes that tell the message, of which one is a ReLU unit, and one that is dead."""
    x = np.column_stack([message + rng.normal(size=N), 2 * (message == 1) + rng.normal(size=N), np.zeros(N)])
    x[:, 1] = np.maximum(x[:, 1], 0)
    return x.astype(np.float32)


def losses_of(estimator, message, layer, **options):
    """Of every row by all subsets, and the bits; beside a permutation but by scikit-learn, which fits one by one."""
    spec = ESTIMATORS[estimator]
    estimate = spec.with_options(spec.options_from(options), by_row=True)
    values = np.stack([message, message[::-1]])[: 1 if options.get("backend") == "sklearn" else 2]
    about = Message(values, classes=int(message.max()) + 1)
    found = estimate(jnp.asarray(layer)[None], {"m": about}, subset_members(layer.shape[1]))["m"]
    return found.losses, found.bits[0]


# --- from losses to honest flows -----------------------------------------------------------------------------------


def known(loss, message, mistakes):
    """What an estimator makes of a mean loss."""
    if mistakes:
        return float(accuracy_to_information(np.asarray(1 - loss), message))
    return max(0.0, message_entropy(message) - loss)


def plain_honest(losses, message, halves, given):
    """Honest flows ``[n]`` of one layer and their standard errors by the delta method, one mean after the other."""
    subsets, mistakes = len(losses), losses.dtype == bool
    losses, nodes = losses.astype(float), subsets.bit_length() - 1
    groups = [[half[given[half] == g] for g in np.unique(given[given >= 0])] for half in halves]
    sizes = [sum(map(len, rows)) for rows in groups]
    bits = [
        [sum(len(r) / size * known(own[r].mean(), message[r], mistakes) * (t > 0) for r in rows)
         for t, own in enumerate(losses)]
        for rows, size in zip(groups, sizes, strict=True)
    ]  # fmt: skip
    value, variance = np.zeros((2, nodes))
    for node in range(nodes):
        for rows, size, other in zip(groups, sizes, bits[::-1], strict=True):
            gains = {t: other[t | 1 << node] - other[t] for t in range(subsets) if not t >> node & 1}
            best = max(gains, key=lambda t, gains=gains: gains[t])
            best = best if gains[best] > 0 else 0
            of_strata = []
            for r in rows:
                own, share, m = losses[:, r], len(r) / size / 2, message[r]
                after, before = own[best | 1 << node], own[best]
                slopes = [slope(known, mean, m, mistakes) for mean in (after.mean(), before.mean())]
                told = known(before.mean(), m, mistakes) * (best > 0)
                gain = known(after.mean(), m, mistakes) - told
                value[node] += share * gain
                of_strata.append(np.full(len(r), gain))
                if best == 0:  # what is not known is then the message itself
                    before, slopes[1] = -np.log2(np.bincount(m) / len(m))[m], -1
                pairs = [(0.0, 1.0), (1.0, 0.0) if best else (1.0, before.mean())] if mistakes else []
                if best == 0 and mistakes:
                    pairs[0] = (0.0, before.mean())
                shares = slopes[0] * np.append(after, [a for a, _ in pairs])
                shares -= slopes[1] * np.append(before, [b for _, b in pairs])
                variance[node] += share**2 * shares.var(ddof=1) / len(shares)
            variance[node] += np.concatenate(of_strata).var() / size / 4  # every row has that of its stratum
    return value, np.sqrt(variance)


def slope(function, at, *rest):
    return (function(at + 1e-6, *rest) - function(at - 1e-6, *rest)) / 2e-6


def drawn_losses(rng, message, mistakes):
    """Of two nodes that help as much together as each alone, nearly, and have losses in common, ``[5, 4, N]``."""
    common, own = rng.random((2, 5, 4, len(message)))
    latent = np.where(rng.random(own.shape) < 0.6, common[:, :1], own)
    if mistakes:
        return latent < np.array([[0, 0.25, 0.25, 0.2], [1, 0.6, 0.6, 0.4], [1, 0.5, 0.5, 0.3]])[message].T[None]
    surprise = -np.log2(np.bincount(message) / len(message))[message]
    return (surprise * np.array([[1], [0.8], [0.8], [0.6]]) * (0.5 + latent)).astype(np.float32)


@pytest.mark.parametrize("mistakes", [True, False])
@pytest.mark.parametrize("strata", [0, 2])
def test_a_flow_and_its_error_are_plain_sums_over_rows(rng, message, mistakes, strata):
    """Rows of no stratum do not count; the halves do not always choose the same T."""
    given = rng.integers(-1, 2, N).astype(np.int32) if strata else None
    losses = drawn_losses(rng, message, mistakes)
    about = Message(message, given, 3, strata)
    halves = equal_halves(KEY, about)
    flow, low, high = honest_of_losses(losses, about, halves, LEAST)
    for layer, own in enumerate(losses):
        value, error = plain_honest(own, message, halves, np.zeros(N, int) if given is None else given)
        np.testing.assert_allclose(flow[layer], value, atol=1e-12)
        np.testing.assert_allclose(1000 * (flow - low)[layer], error, rtol=0.01)
        np.testing.assert_allclose(1000 * (high - flow)[layer], error, rtol=0.01)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.75, 0.25], [0.5, 0.3, 0.2]], ids=str)
@pytest.mark.parametrize("mistakes", [True, False])
def test_intervals_cover_what_is_drawn(rng, shares, mistakes):
    """Node 0 tells something, and node 1 nothing: with it as much is lost as without, but by other rows.

    1,000 layers of 1,000 rows; of a share of 95 % the standard error is 0.7 %.
    """
    found, entropy, first = [], -np.sum(np.multiply(shares, np.log2(shares))), shares[0]
    for _ in range(50):
        message = rng.choice(len(shares), 1000, p=shares)
        common, own = rng.random((2, 20, 4, 1000))
        latent = np.where(rng.random((20, 4, 1000)) < 0.9, common[:, :1], own)
        if mistakes:  # alone node 1 decides for class 0 nearly always, and no node always
            other = np.where(message > 0, 0.96, 0.04 * (1 - first) / first)
            losses = latent < np.array([message > 0, 0.1 + 0.3 * (message > 0), other, 0.1 + 0.3 * (message > 0)])[None]
        else:
            share, spread = np.array([[1, 0.8, 1, 0.8], [0, 1, 0.05, 1]])[:, None, :, None]
            losses = -np.log2(shares)[message][None, None] * (share + spread * (latent - 0.5))
        about = Message(message, None, len(shares))
        found.append(honest_of_losses(losses, about, equal_halves(KEY, about), 0.95))
    _, low, high = (np.concatenate(field) for field in zip(*found, strict=True))
    told = entropy - fano_unknown(np.asarray(0.4 - 0.3 * first), len(shares)) if mistakes else 0.2 * entropy
    assert 0.925 < np.mean((low[:, 0] <= told) & (told <= high[:, 0])) < 0.975
    assert np.mean((low[:, 1] <= 0) & (high[:, 1] >= 0)) > 0.94
    assert np.mean(high[:, 1] - low[:, 1]) < np.mean(high[:, 0] - low[:, 0])


# --- by estimators ---------------------------------------------------------------------------------------------------


def in_folds(losses, message):
    """The mean loss in every outer fold ``[..., 5]``."""
    return np.stack([losses[..., rows].mean(axis=-1) for rows in outer_folds(message)], axis=-1)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        *(("quadratic", {"bound": bound}) for bound in BOUNDS),
        *(("linear-svm", {"backend": backend}) for backend in ("jax", "sklearn")),
        *(pytest.param("kernel-svm", {"backend": b}, marks=pytest.mark.slow) for b in ("jax", "sklearn")),
    ],
)
def test_bits_are_what_the_rows_losses_say(message, layer, estimator, options):
    """Of all subsets, also where a fold takes the fit of a smaller subset for ReLU units' sake."""
    units = np.maximum(layer[:, [0, 0, 1]] * [1, -1, 1] - [1, 0, 1], 0)
    losses, bits = losses_of(estimator, message, units.astype(np.float32), **options)
    assert losses.shape == (1, 2**NODES, N)
    if options.get("bound") == "cross-entropy":
        expected = np.maximum(message_entropy(message) - losses[0].mean(axis=1, dtype=float), 0)
    else:
        assert losses.dtype == bool
        expected = accuracy_to_information(1 - in_folds(losses[0], message).mean(axis=1), message)
    np.testing.assert_allclose(bits[0, 1:], expected[1:], atol=1e-5)


def predicted_by_hand(message, x, cols):
    """Mistakes and surprise of every row by quadratic discriminants of the other folds, by SciPy's densities."""
    mistakes, surprise = np.zeros(len(message), bool), np.zeros(len(message))
    for held_out in outer_folds(message):
        rows = np.setdiff1d(np.arange(len(message)), held_out)
        order = np.sort(x[rows][:, cols], axis=0).T
        both = [
            np.searchsorted(a, c) + np.searchsorted(a, c, "right") for a, c in zip(order, x[:, cols].T, strict=True)
        ]
        scores = ndtri(np.clip(np.array(both).T, 1, 2 * len(rows) - 1) / (2 * len(rows)))
        joint = []
        for k in range(message.max() + 1):
            own = scores[rows][message[rows] == k]
            covariance = 0.999 * np.atleast_2d(np.cov(own.T, bias=True)) + 1e-3 * np.eye(len(cols))
            density = multivariate_normal(own.mean(axis=0), covariance).logpdf(scores[held_out])
            joint.append(np.log2(len(own) / len(rows)) + density / np.log(2))
        joint = np.array(joint)
        mistakes[held_out] = joint.argmax(axis=0) != message[held_out]
        surprise[held_out] = np.logaddexp2.reduce(joint) - joint[message[held_out], np.arange(len(held_out))]
    return mistakes, surprise


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_quadratic_honest_flow_follows_from_scipys_densities(rng, message, layer, bound):
    """A third node that helps the first, in place of the dead one and of the ReLU unit's atom."""
    x = np.column_stack([layer[:, 0] - layer[:, 1], layer[:, 1] + rng.normal(size=N), rng.normal(size=N)])
    x = x.astype(np.float32)
    losses = np.zeros((2**NODES, N), bool if bound == "fano" else float)
    for mask in range(1, 2**NODES):
        cols = [i for i in range(NODES) if mask >> i & 1]
        losses[mask] = predicted_by_hand(message, x, cols)[bound != "fano"]
    losses[0] = message != 0 if bound == "fano" else np.nan
    halves = equal_halves(KEY, as_message(message))
    value, error = plain_honest(np.nan_to_num(losses), message, halves, np.zeros(N, int))
    flow, low, _ = honest_flows(KEY, message, x, estimator="quadratic", bound=bound, confidence=LEAST)
    np.testing.assert_allclose(flow, value, atol=1e-5)
    np.testing.assert_allclose(1000 * (flow - low), error, rtol=0.05, atol=1e-3)


def test_no_order_of_nodes_changes_honest_flows(message, layer):
    """Two ReLU units, so that smaller subsets' fits are taken, and ties are broken."""
    x = np.column_stack([layer[:, 1], np.maximum(layer[:, 0] - 1, 0), layer[:, 0]])
    found = honest_flows(KEY, message, x, estimator="quadratic")
    turned = honest_flows(KEY, message, x[:, ::-1], estimator="quadratic")
    np.testing.assert_allclose(np.array(turned)[:, ::-1], found, atol=1e-5)


@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("options", [{"estimator": "quadratic"}, {"estimator": "linear-svm"},
                                     {"estimator": "quadratic", "bound": "cross-entropy"}])  # fmt: skip
def test_a_dead_node_and_a_constant_message_have_none(message, layer, options):
    found = np.array(honest_flows(KEY, message, layer, **options))
    assert found[1, 0] > 0
    np.testing.assert_array_equal(found[:, 2], 0)
    np.testing.assert_array_equal(honest_flows(KEY, 0 * message, layer, **options), 0)
    np.testing.assert_array_equal(honest_flows(KEY, message, layer, given=message, **options), 0)


# --- by one's own ----------------------------------------------------------------------------------------------------


def class_means(x, message, held_out):
    """Of every class in the other folds, ``[K, c]``."""
    rows = np.setdiff1d(np.arange(len(message)), held_out)
    return np.stack([x[rows[message[rows] == k]].mean(axis=0) for k in range(message.max() + 1)])


def mistaken(means, x, message, members):
    """Whether the nearest mean is of another class than a row, ``[T, N]``."""
    distance = np.einsum("krc,tc->tkr", (x[None] - means[:, None]) ** 2, members)
    return distance.argmin(axis=1) != message


def nearest(layers, messages, members, by_row=True, **_):
    """A classifier of few lines: rows go to the class of the nearest mean in the other folds."""
    found, layers = {}, np.asarray(layers)
    for name, permuted in messages.items():
        message, count = permuted[0], len(permuted)
        mistakes = np.zeros((len(layers), len(members), len(message)), bool)
        for held_out in outer_folds(message):
            for layer, x in enumerate(layers):
                means = class_means(x, message, held_out)
                mistakes[layer, :, held_out] = mistaken(means, x[held_out], message[held_out], members).T
        bits = accuracy_to_information(1 - in_folds(mistakes, message).mean(axis=-1), message)
        found[name] = Estimates(np.broadcast_to(bits, (count, *bits.shape)), losses=mistakes if by_row else None)
    return found


def own_spec():
    def function(message, activations, *, given=None, groups=None):
        raise NotImplementedError

    stacked, held_out = (partial(by_strata, partial(nearest, by_row=by_row)) for by_row in (False, True))
    return EstimatorSpec(function, stacked, "nearest", held_out=held_out)


@pytest.mark.slow
def test_intervals_cover_what_the_fitted_models_would_do_on_further_rows():
    """Folds share training rows, T is chosen; 200 layers, of a share of 95 % the standard error is below 1 %."""
    rng, members, covered, small = np.random.default_rng(0), subset_members(NODES), [], []
    for number in range(200):
        apart, mixing = rng.choice([0, 0.3, 1.0], NODES), np.eye(NODES) + 0.5 * rng.normal(size=(NODES, NODES))
        message, further = rng.integers(0, 2, N), rng.integers(0, 2, 5000)
        x, more = (rng.normal(size=(len(m), NODES)) @ mixing + np.outer(m, apart) for m in (message, further))
        losses = nearest(x[None], {"m": message[None]}, members)["m"].losses
        halves = equal_halves(jax.random.key(number), as_message(message))
        _, low, high = (ends[0] for ends in honest_of_losses(losses, as_message(message), halves, 0.95))
        models = [class_means(x, message, held_out) for held_out in outer_folds(message)]
        error = np.mean([mistaken(means, more, further, members).mean(axis=1) for means in models], axis=0)
        told = np.where(np.arange(len(members)) > 0, 1 - fano_unknown(error, 2), 0)
        truth = np.zeros(NODES)
        for half in halves:
            own = [known(losses[0, t, half].mean(), message[half], True) * (t > 0) for t in range(len(members))]
            masks = witnesses(np.array([own]))[0]
            truth += (told[masks | 1 << np.arange(NODES)] - told[masks]) / 2
        inside, large = (low <= truth) & (truth <= high), truth > (high - low) / 4
        covered, small = [*covered, *inside[large]], [*small, *inside[~large]]
    assert min(len(covered), len(small)) > 100
    assert 0.92 < np.mean(covered) < 0.98
    assert np.mean(small) > 0.92


def test_given_classes_are_averaged_before_t_is_chosen(rng, message, layer):
    """Both strata's losses come from fits within them; where a stratum has one class, nothing is to be known."""
    given = np.where(message == 2, 0, rng.choice([0, 1], N))
    given = np.where((message == 0) & (rng.random(N) < 0.2), 2, given)
    about, losses = as_message(message, given), np.zeros((1, 2**NODES, N), bool)
    for g in range(2):
        rows = given == g
        own = nearest(layer[None, rows], {"m": message[None, rows]}, subset_members(NODES))
        losses[:, :, rows] = own["m"].losses
    expected = honest_of_losses(losses, about, equal_halves(KEY, about), 0.95)
    found = honest_flows(KEY, message, layer, estimator=own_spec(), given=given)
    np.testing.assert_allclose(found, np.array(expected)[:, 0], atol=1e-6)


def test_a_run_has_the_honest_flows_of_the_function(monkeypatch, rng, message, layer):
    """Beside permutations, of networks in blocks, of nodes of several columns; none where there are no halves."""
    both = {"y": message, "z": (rng.random(N) < 0.3 + 0.4 * (message == 1)).astype(int)}
    messages = jax.tree.map(jnp.asarray, {name: as_message(values) for name, values in both.items()})
    messages = with_permutations(jax.random.key(0), messages, dict.fromkeys(both, np.zeros(N, int)), 2)
    stack = np.stack([layer, layer[:, ::-1], layer[:, [1, 0, 2]]])
    halves = {name: jnp.asarray(equal_halves(KEY, as_message(values))) for name, values in both.items()}
    layered = network(lambda params, x: (x, x @ params), lambda params: (params,), groups=(None, (0, 1, 1)))
    study = Study(layered, PAPER, own_spec())
    monkeypatch.setattr(layers_module, "BLOCK_BYTES", 20_000)
    found = layer_flows(study, 1, stack, messages, halves, ignore)[0]
    for name, values in both.items():
        expected = honest_flows(KEY, values, stack, estimator=own_spec(), groups=(0, 1, 1))
        for field, own in zip(("honest", "low", "high"), expected, strict=True):
            np.testing.assert_allclose(getattr(found[name].evidence, field), own, atol=1e-6)
        assert (found[name].evidence.honest != 0).any()
    without = layer_flows(study, 1, stack, messages, {}, ignore)[0]
    assert all(np.isnan(own.evidence.honest).all() for own in without.values())
    monkeypatch.setattr(layers_module, "keeps_rows", lambda *_: False)
    wide = layer_flows(study, 1, stack, messages, halves, ignore)[0]
    assert all(np.isnan(own.evidence.honest).all() for own in wide.values())


def test_more_losses_than_memory_holds_are_refused(message):
    with pytest.raises(InputError, match=r"18 nodes of 300 rows are too many: group nodes") as caught:
        honest_flows(KEY, message, np.zeros((N, 18)), estimator="quadratic")
    assert "\n" not in str(caught.value)
