"""Training against a plain NumPy loop, and the independence of networks from one another."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest

from jaxflow import InputError, training
from jaxflow.networks import MLP, mlp, network, perceptron
from jaxflow.networks.layouts import WIDE
from jaxflow.networks.leaves import floating_leaves
from jaxflow.training import Penalty, Training, shuffled, train_many

NETWORK = MLP((3, 2))
SHORT = Training(learning_rate=0.1, epochs=6)  # of most tests, so that they compile their two networks once
train = jax.jit(training.train, static_argnums=(3, 4))  # operation by operation a network compiles a hundred programs
initial_params = jax.jit(lambda key, network, x: network.init(key, x), static_argnums=1)


@pytest.fixture
def data(rng):
    x = rng.normal(size=(57, 3)).astype(np.float32)
    return jnp.asarray(x), jnp.asarray((x[:, 0] + 0.5 * x[:, 1] > 0).astype(np.int32))


def numpy_training(key, x, y, config, network=NETWORK):
    """Backpropagation written out, on the same initialisation and shuffles, in double precision."""
    init_key, shuffle_key = jax.random.split(key)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), initial_params(init_key, network, x))
    buffer = jax.tree.map(np.zeros_like, params)
    x, y = np.asarray(x, float), np.asarray(y)
    losses, rates, rate, best, bad = [], [], config.learning_rate, np.inf, 0
    for epoch_key in jax.random.split(shuffle_key, config.epochs):
        order, values = np.asarray(shuffled(epoch_key, len(x))), []
        for start in range(0, len(x) - config.batch_size + 1, config.batch_size):
            rows = order[start : start + config.batch_size]
            *layers, logits = oracles.forward(params, x[rows])
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            values.append(-np.log(p[np.arange(len(rows)), y[rows]]).mean())
            delta, gradient = (p - np.eye(2)[y[rows]]) / len(rows), {}
            for layer in reversed(range(len(layers))):
                h = layers[layer]
                gradient[f"layer_{layer}"] = {"kernel": h.T @ delta, "bias": delta.sum(0)}
                delta = delta @ params[f"layer_{layer}"]["kernel"].T * np.where(h > 0, 1, 0.01)
            buffer = jax.tree.map(lambda b, g: config.momentum * b + g, buffer, gradient)
            params = jax.tree.map(lambda w, b, rate=rate: w - rate * b, params, buffer)
        losses.append(np.mean(values))
        rates.append(rate)
        if losses[-1] < best * (1 - 1e-4):  # PyTorch's ReduceLROnPlateau, patience 10
            best, bad = losses[-1], 0
        else:
            bad += 1
        if bad > 10:
            rate, bad = rate / 10, 0
    return params, losses, rates


def test_training_equals_a_numpy_loop(data):
    """57 rows in batches of 10: the last 7 of every shuffle sit out."""
    trained = train(jax.random.key(5), *data, NETWORK, SHORT)
    params, losses, rates = numpy_training(jax.random.key(5), *data, SHORT)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=2e-4), trained.params, params)
    np.testing.assert_allclose(trained.loss, losses, atol=1e-4)
    np.testing.assert_allclose(trained.learning_rate, rates, rtol=1e-6)


def test_a_wide_layer_trains_as_a_narrow_one(rng):
    """Square, so that one transposition too many or too few keeps its shape."""
    x = jnp.asarray(rng.normal(size=(57, 40)), jnp.float32)
    y = (x[:, 0] > 0).astype(jnp.int32)
    network, config = MLP((40, 2)), Training(learning_rate=0.05, epochs=3)
    assert WIDE <= 40 * 40
    trained = train(jax.random.key(5), x, y, network, config)
    params, losses, _ = numpy_training(jax.random.key(5), x, y, config, network)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=2e-4), trained.params, params)
    np.testing.assert_allclose(trained.loss, losses, atol=1e-4)


@pytest.mark.parametrize("width", [16, pytest.param(40, marks=pytest.mark.slow)])
def test_a_deep_network_trains_layer_by_layer(monkeypatch, rng, width):
    """Eight equal layers, carried as one run, narrow and wide; every layer moves a hundred times the tolerance.

    Through sixteen no gradient passes.
    """
    monkeypatch.setattr(perceptron, "REPEATED", 8)
    x = jnp.asarray(rng.normal(size=(57, 3)), jnp.float32)
    y = (x[:, 0] > 0).astype(jnp.int32)
    network, config = MLP((width,) * 9 + (2,)), Training(learning_rate=0.2, epochs=6)
    assert len(network.runs(3)) < len(network.widths)
    key = jax.random.key(5)
    keys = jnp.stack([jax.random.key(6), key])
    many = jax.jit(jax.vmap(lambda key: training.train(key, x, y, network, config)))(keys)
    trained = jax.tree.map(lambda leaf: leaf[1], many)
    params, losses, _ = numpy_training(key, x, y, config, network)
    start = initial_params(jax.random.split(key)[0], network, x)
    moved = jax.tree.map(lambda ours, before: float(jnp.abs(ours - before).max()), trained.params, start)
    assert min(jax.tree.leaves(moved)) > 1e-4
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-6), trained.params, params)
    np.testing.assert_allclose(trained.loss, losses, atol=1e-6)


def test_equal_layers_share_one_trace(data):
    """What is compiled multiplies as many matrices for 40 equal layers as for 20."""

    def products(depth: int) -> int:
        network = MLP((16,) * depth + (2,))
        lowered = training.train_numbers.lower(jax.random.key(0), jnp.arange(2), *data, network, Training())
        return lowered.as_text().count("dot_gen")

    assert products(40) == products(20) > 0


def test_learning_rate_falls_after_eleven_bad_epochs(rng):
    """Labels that no feature tells: the loss soon stops falling, and the schedule is PyTorch's, epoch by epoch."""
    x = jnp.zeros((40, 3), jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, 40), jnp.int32)
    config = Training(learning_rate=0.1, epochs=45)
    trained = train(jax.random.key(0), x, y, NETWORK, config)
    _, _, rates = numpy_training(jax.random.key(0), x, y, config)
    assert len(set(np.round(np.log10(rates)))) >= 2
    np.testing.assert_allclose(trained.learning_rate, rates, rtol=1e-5)


def test_loss_falls_and_is_kept_for_every_epoch(data):
    trained = train(jax.random.key(0), *data, NETWORK, Training(learning_rate=0.1, epochs=30))
    assert trained.loss.shape == (30,)
    assert float(trained.loss[-1]) < 0.5 * float(trained.loss[0])


@pytest.mark.parametrize("count", [2, 37])  # in one batch, and in more
def test_network_k_is_the_same_alone_and_among_many(data, count):
    key = jax.random.key(11)
    many = train_many(key, jnp.arange(count), NETWORK, *data, SHORT)
    for k in (0, count - 1):
        alone = train(jax.random.fold_in(key, k), *data, NETWORK, SHORT)
        jax.tree.map(lambda m, a, k=k: np.testing.assert_allclose(m[k], a, atol=1e-5), many, alone)


def test_network_numbers_not_positions_decide(data):
    key = jax.random.key(4)
    first = train_many(key, jnp.array([7, 3]), NETWORK, *data, SHORT)
    second = train_many(key, jnp.array([3, 9]), NETWORK, *data, SHORT)
    np.testing.assert_allclose(first.loss[1], second.loss[0], rtol=1e-6)
    assert not np.allclose(first.loss[0], first.loss[1])


def test_one_trace_for_many_calls(data):
    config = Training(epochs=3)
    before = training.train_numbers._cache_size()
    for start in (0, 4, 8):
        train_many(jax.random.key(1), jnp.arange(start, start + 4), NETWORK, *data, config)
    assert training.train_numbers._cache_size() == before + 1


def test_a_count_stands_for_the_numbers_from_0_on(data):
    key = jax.random.key(11)
    counted = train_many(key, 2, NETWORK, *map(np.asarray, data), SHORT)
    numbered = train_many(key, jnp.arange(2), NETWORK, *data, SHORT)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-6), counted, numbered)
    inside = jax.jit(lambda key, x, y: train_many(key, 2, NETWORK, x, y, SHORT))(key, *data)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-6), inside, numbered)


def test_three_classes_are_learned(rng):
    y = jnp.asarray(rng.integers(0, 3, 90))
    x = jax.nn.one_hot(y, 3) + 0.1 * jnp.asarray(rng.normal(size=(90, 3)), jnp.float32)
    own = mlp(hidden=(6,), outputs=3)
    trained = train_many(jax.random.key(1), 2, own, x, y, Training(learning_rate=0.1, epochs=20))
    for k in range(2):
        logits = own.activations(jax.tree.map(lambda w, k=k: w[k], trained.params), x)[-1]
        assert logits.shape == (90, 3)
        assert float(jnp.mean(jnp.argmax(logits, axis=1) == y)) > 0.95


def test_a_network_of_ones_own_trains_as_the_built_in(data):
    """The same start, so the same parameters after training, but for rounding; a counter among them stays as it is."""
    own = network(
        activations=lambda params, x: NETWORK.activations(params["mlp"], x),
        kernels=lambda params: NETWORK.weights(params["mlp"]),
        init=lambda key, x: {"mlp": NETWORK.init(key, x), "steps": jnp.arange(3)},
    )
    ours, theirs = (train_many(jax.random.key(2), jnp.arange(2), net, *data, SHORT) for net in (own, NETWORK))
    np.testing.assert_array_equal(ours.params["steps"], [[0, 1, 2]] * 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours.params["mlp"], theirs.params)
    np.testing.assert_allclose(ours.loss, theirs.loss, atol=1e-5)


def test_a_network_without_init_cannot_be_trained(data):
    own = network(lambda params, x: (x, x @ params), lambda params: [params])
    with pytest.raises(InputError, match="init"):
        train_many(jax.random.key(0), 2, own, *data)


def test_without_weights_and_penalty_not_an_operation_is_added(monkeypatch, data):
    """The program is that of the mean cross-entropy alone, operation by operation: no bit of a network changes."""

    def program():
        return str(jax.make_jaxpr(lambda key: training.train(key, *data, NETWORK, SHORT))(jax.random.key(0)))

    whole, epoch, (x, y) = program(), training._epoch, data
    rebuild = floating_leaves(jax.eval_shape(lambda: NETWORK.packed(NETWORK.init(jax.random.key(0), x))))[1]

    def plain(leaves, rows):
        logits = NETWORK.packed_activations(rebuild(leaves), x[rows])[-1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y[rows]))

    monkeypatch.setattr(training, "_epoch", lambda *carried, **how: epoch(*carried, **how | {"loss": plain}))
    assert program() == whole


def test_a_weight_stands_for_as_many_rows(rng):
    """The loss of weighted rows is that of rows that come as often, where their mean is 1."""
    logits, y, often = np.float32(rng.normal(size=(6, 3))), np.int32([0, 1, 2, 2, 1, 0]), np.array([1, 0, 2, 1, 1, 1])
    repeated = [jnp.asarray(np.repeat(own, often, axis=0)) for own in (logits, y)]
    weighted = training.batch_loss(jnp.asarray(logits), jnp.asarray(y), jnp.asarray(often, jnp.float32), None)
    np.testing.assert_allclose(weighted, training.batch_loss(*repeated, None, None), rtol=1e-6)


def test_weights_and_a_penalty_follow_their_rows(data):
    """Rows of weight 0 might as well have other labels; a penalty is shown the batch's rows, whatever its strength."""
    x, y = data
    weights, flipped = (x[:, 2] > 0).astype(jnp.float32), jnp.where(x[:, 2] > 0, y, 1 - y)
    run = partial(train_many, jax.random.key(3), 2, NETWORK, x, training=SHORT)
    ours, theirs = (run(y=labels, weights=weights) for labels in (y, flipped))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    before = training.train_numbers._cache_size()
    by_penalty = run(y=y, weights=jnp.zeros_like(weights), penalty=Penalty(_weighted_loss, (y, weights), 1.0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), by_penalty, ours)
    stronger = run(y=y, weights=jnp.zeros_like(weights), penalty=Penalty(_weighted_loss, (y, weights), 2.0))
    assert training.train_numbers._cache_size() == before + 1
    assert not np.allclose(stronger.loss, ours.loss)


def _weighted_loss(logits, about):
    labels, weights = about
    return training.batch_loss(logits, labels, weights, None)


@pytest.mark.parametrize("size", [1, 2, 10, 5300, 10230, 2**16 + 5])
def test_shuffles_are_permutations(size):
    order = shuffled(jax.random.key(size), size)
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_shuffles_are_uniform():
    """Every index lands in every place equally often, and neighbours keep no order: chi-squared and pair counts."""
    orders = np.asarray(jax.vmap(lambda key: shuffled(key, 6))(jax.random.split(jax.random.key(0), 60_000)))
    counts = np.stack([np.bincount(orders[:, place], minlength=6) for place in range(6)])
    chi_squared = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_squared < 52.6  # 99.9 % point for 25 degrees of freedom
    position = np.argsort(orders, axis=1)
    assert np.mean(position[:, 0] < position[:, 1]) == pytest.approx(0.5, abs=0.01)


def test_shuffles_of_networks_and_epochs_are_independent():
    keys = jax.random.split(jax.random.key(0), 50)
    orders = np.asarray(jax.vmap(lambda key: shuffled(key, 1000))(keys))
    correlations = np.corrcoef(orders)[np.triu_indices(50, 1)]
    assert abs(correlations).max() < 0.16


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"momentum": 1.0}])
def test_senseless_training_is_refused(bad):
    with pytest.raises(InputError, match="cannot train"):
        Training(**bad)


def test_too_few_rows_are_refused(data):
    with pytest.raises(InputError, match="57 rows cannot fill"):
        train(jax.random.key(0), *data, NETWORK, Training(batch_size=58))
