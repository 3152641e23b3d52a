"""Networks of one's own: the contract means the same in every framework, and the same as the MLP's own way."""

from functools import cache, partial
from itertools import pairwise
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.neural_network import MLPClassifier

from jaxflow import Flows, InputError, Network, flax_network, map_networks, mlp, network, prune, rank, select
from jaxflow.networks import check_fit, layer_sizes

RNG = np.random.default_rng(3)
X = jnp.asarray(RNG.normal(size=(40, 3)), jnp.float32)
BUILT_IN = mlp(hidden=(4, 5), linear=(2,))
EDGES = jnp.array([[0, 2, 1], [1, 0, 4], [2, 3, 0], [2, 4, 1]])


def generic(built_in: Network) -> Network:
    """The MLP by the generic way: two functions, and nothing that it overrides."""
    biases = lambda params: [params[f"layer_{layer}"]["bias"] for layer in range(3)]  # noqa: E731
    return network(built_in.activations, built_in.weights, built_in.init, biases=biases)


def flows_of(net: Network, params: Any) -> Flows:
    """Flows that need no estimate: one number per node."""
    rng = np.random.default_rng(1)
    sizes = layer_sizes(net.weights(params))
    node = {name: {k: jnp.asarray(rng.random(n), jnp.float32) for k, n in enumerate(sizes)} for name in ("y", "z")}
    return Flows(node, samples=len(X))


def numbers_of(net: Network, params: Any) -> list[Any]:
    """Another number for every edge."""
    return [1 + np.float32(100 * layer) + np.arange(w.size, dtype=np.float32).reshape(w.shape)
            for layer, w in enumerate(net.weights(params))]  # fmt: skip


def masks_of(net: Network, params: Any) -> list[Any]:
    """Some edges of every layer."""
    return [jax.device_put(np.random.default_rng(layer).random(w.shape) < 0.4)
            for layer, w in enumerate(net.weights(params))]  # fmt: skip


@pytest.fixture(scope="module")
def params() -> Any:
    return jax.jit(BUILT_IN.init)(jax.random.key(0), X)


def equal(ours: Any, theirs: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)


def test_the_generic_way_is_the_mlps_way(params):
    """Bit for bit: activations, spread values, ranks, selections, pruned logits; removals but for rounding."""
    plain = generic(BUILT_IN)
    equal(plain.activations(params, X), BUILT_IN.activations(params, X))
    for values in (numbers_of(plain, params), masks_of(plain, params)):
        equal(plain.spread(params, values), BUILT_IN.spread(params, values))
    flows = flows_of(plain, params)
    for method in ("node", "edge", "path"):
        ours, theirs = (rank(net, params, flows, method=method) for net in (plain, BUILT_IN))
        equal(ours, theirs)
        chosen = select(plain, params, ours, 3)
        equal(chosen, select(BUILT_IN, params, theirs, 3))
        pruned = prune(params, chosen, 0.3)
        for layer in (0, 1):
            ours, theirs = (net.resume(pruned, X, net.start(params, X, layer), layer) for net in (plain, BUILT_IN))
            if layer == 0 or not any(bool(m.any()) for m in BUILT_IN.weights(chosen)[:layer]):
                equal(ours, theirs)
    for layer in (0, 1):
        edges = EDGES[EDGES[:, 0] >= layer]
        ours, theirs = (
            net.logits_without(params, X, net.start(params, X, layer), layer, edges) for net in (plain, BUILT_IN)
        )
        assert ours.shape == theirs.shape == (len(edges), len(X), 2)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert np.ptp(np.asarray(ours), axis=0).max() > 1e-3


def test_removals_prune_one_edge(params):
    for net in (BUILT_IN, generic(BUILT_IN)):
        removed = net.logits_without(params, X, net.start(params, X, 0), 0, EDGES)
        for (layer, *edge), logits in zip(np.asarray(EDGES), removed, strict=True):
            masks = [jnp.zeros(w.shape, bool) for w in net.weights(params)]
            masks[layer] = masks[layer].at[tuple(edge)].set(True)
            pruned = prune(params, net.spread(params, masks), 0)
            np.testing.assert_allclose(logits, net.activations(pruned, X)[-1], atol=1e-6)


def test_a_shift_is_added_to_the_inputs_of_nodes(params):
    """In a linear layer its outputs move by the shift itself, and what it adds there passes through the kernel."""
    values = [np.zeros(4, np.float32), np.arange(5, dtype=np.float32), np.array([0.5, -2], np.float32)]
    moved = BUILT_IN.shift(params, values)
    equal(generic(BUILT_IN).shift(params, values), moved)
    before, after = (BUILT_IN.activations(own, X) for own in (params, moved))
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_allclose(after[2] - before[2], np.tile(values[1], (len(X), 1)), atol=1e-6)
    through = values[1] @ BUILT_IN.weights(params)[2] + values[2]
    np.testing.assert_allclose(after[3] - before[3], np.tile(through, (len(X), 1)), atol=1e-5)


def test_a_flax_module_shifts_the_biases_beside_its_kernels():
    class Net(nn.Module):
        biased: bool = True

        @nn.compact
        def __call__(self, x: Any) -> Any:
            h = nn.tanh(nn.Dense(4)(x))
            self.sow("intermediates", "h", h)
            return nn.Dense(2, use_bias=self.biased)(h)

    values = [np.zeros(4, np.float32), np.array([1, -3], np.float32)]
    own, without = flax_network(Net()), flax_network(Net(biased=False))
    fresh = own.init(jax.random.key(0), X)
    moved = own.activations(own.shift(fresh, values), X)[-1] - own.activations(fresh, X)[-1]
    np.testing.assert_allclose(moved, np.tile(values[1], (len(X), 1)), atol=1e-6)
    with pytest.raises(InputError, match="no bias"):
        without.shift(without.init(jax.random.key(0), X), values)
    with pytest.raises(InputError, match="where its biases lie"):
        network(own.activations, own.weights).shift(fresh, values)


def test_equal_networks_share_one_trace(params):
    """Networks of the same functions are equal, and so are equal Flax modules."""
    traces = []

    @partial(jax.jit, static_argnums=0)
    def logits(net: Network, params: Any) -> Any:
        traces.append(net)
        return net.activations(params, X)[-1]

    activations, kernels = lambda p, x: (x, x @ p), lambda p: [p]
    logits(network(activations, kernels), jnp.ones((3, 2)))
    logits(network(activations, kernels), jnp.zeros((3, 2)))
    assert len(traces) == 1
    for _ in range(2):
        net = flax_network(Linen())
        logits(net, net.init(jax.random.key(0), X))
        logits(mlp((4, 5), linear=(2,)), params)
    assert len(traces) == 3


class Linen(nn.Module):
    """Sown in another order than that of their names."""

    @nn.compact
    def __call__(self, x):
        h = nn.tanh(nn.Dense(4, name="z_first")(x))
        self.sow("intermediates", "z", h)
        h = nn.relu(nn.Dense(5, name="b_second")(h))
        self.sow("intermediates", "a", h)
        return nn.Dense(2, name="a_out")(h)


NAMES = ("z_first", "b_second", "a_out")


@cache
def linen() -> tuple[Network, Any]:
    net = flax_network(Linen(), kernels=NAMES)
    return net, jax.jit(net.init)(jax.random.key(1), X)


def linen_by_functions() -> tuple[Network, Any]:
    net, params = linen()
    return network(net.activations, lambda p: [p[name]["kernel"] for name in NAMES]), params


class Nnx(nnx.Module):
    """With a dropout, whose random state is no weight."""

    def __init__(self, rngs):
        self.first, self.second, self.out = (
            nnx.Linear(n, m, rngs=rngs) for n, m in ((3, 4), (4, 5), (5, 2))
        )  # fmt: skip
        self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

    def __call__(self, x):
        first = nnx.relu(self.first(x))
        second = self.dropout(nnx.tanh(self.second(first)))
        return x, first, second, self.out(second)


def of_nnx() -> tuple[Network, Any]:
    graph, state = nnx.split(Nnx(nnx.Rngs(0)))
    return network(
        activations=lambda state, x: nnx.merge(graph, state)(x),
        kernels=lambda state: [state[name]["kernel"][...] for name in ("first", "second", "out")],
    ), state


def of_equinox() -> tuple[Network, Any]:
    """Kernels are target × source; the module is filtered to its arrays."""
    model = eqx.nn.MLP(3, 2, 4, 2, key=jax.random.key(2))
    arrays, rest = eqx.partition(model, eqx.is_array)

    def activations(arrays: Any, x: Any) -> Any:
        layers = eqx.combine(arrays, rest).layers
        first = jax.nn.relu(jax.vmap(layers[0])(x))
        second = jax.nn.relu(jax.vmap(layers[1])(first))
        return x, first, second, jax.vmap(layers[2])(second)

    return network(activations, lambda arrays: [layer.weight for layer in arrays.layers], transposed=True), arrays


def of_sklearn() -> tuple[Network, Any]:
    """Lists of NumPy arrays in double precision, made by scikit-learn."""
    y = (np.asarray(X)[:, 0] > 0).astype(int) + (np.asarray(X)[:, 1] > 0)
    fitted = MLPClassifier((4, 5), max_iter=3, random_state=0)
    with pytest.warns(match="converge"):
        fitted.fit(np.asarray(X), y)
    params = {"coefs": fitted.coefs_, "intercepts": fitted.intercepts_}

    def activations(params: Any, x: Any) -> Any:
        layers = [x]
        for w, b in zip(params["coefs"], params["intercepts"], strict=True):
            z = layers[-1] @ jnp.asarray(w, jnp.float32) + jnp.asarray(b, jnp.float32)[None]
            layers.append(jax.nn.relu(z) if len(layers) < len(params["coefs"]) else z)
        return layers

    net = network(activations, lambda params: params["coefs"])
    shown = np.exp(np.asarray(net.activations(params, X)[-1], float))
    np.testing.assert_allclose(shown / shown.sum(axis=1, keepdims=True), fitted.predict_proba(np.asarray(X)), atol=1e-5)
    return net, params


def of_torch() -> tuple[Network, Any]:
    """A ``state_dict`` as arrays, with a counter among them; kernels are target × source."""
    sizes = (3, 4, 5, 2)
    params: dict[str, Any] = {"steps": np.array(7)}
    for layer, (n, m) in enumerate(pairwise(sizes)):
        params |= {
            f"{2 * layer}.weight": RNG.normal(size=(m, n)).astype(np.float32),
            f"{2 * layer}.bias": np.ones(m, np.float32),
        }

    def activations(params: Any, x: Any) -> Any:
        def linear(k: int, h: Any) -> Any:
            return h @ params[f"{k}.weight"].T + params[f"{k}.bias"][None]

        first = jax.nn.relu(linear(0, x))
        second = jax.nn.relu(linear(2, first))
        return x, first, second, linear(4, second)

    return network(activations, lambda p: [p[f"{k}.weight"] for k in (0, 2, 4)], transposed=True), params


FRAMEWORKS = {
    "linen": linen, "functions": linen_by_functions, "nnx": of_nnx, "equinox": of_equinox, "sklearn": of_sklearn,
    "torch": of_torch,
}  # fmt: skip


@pytest.fixture(scope="module", params=FRAMEWORKS)
def foreign(request) -> tuple[Network, Any]:
    net, params = FRAMEWORKS[request.param]()
    check_fit(net, params, X)
    return net, params


def test_spread_lays_values_on_the_edges_they_belong_to(foreign):
    """What is laid on is read off again; booleans are the selection of the same edges, and nothing else is chosen."""
    net, params = foreign
    numbers, masks = numbers_of(net, params), masks_of(net, params)
    laid, chosen = net.spread(params, numbers), net.spread(params, masks)
    equal(net.weights(laid), numbers)
    assert jax.tree.structure(chosen) == jax.tree.structure(params)
    assert all(leaf.dtype == bool for leaf in jax.tree.leaves(chosen))
    assert [leaf.shape for leaf in jax.tree.leaves(chosen)] == [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    assert sum(int(np.sum(leaf)) for leaf in jax.device_get(jax.tree.leaves(chosen))) == sum(
        int(m.sum()) for m in masks
    )
    for w, mask, pruned in zip(net.weights(params), masks, net.weights(prune(params, chosen, 0.25)), strict=True):
        np.testing.assert_allclose(pruned, np.where(mask, 0.25 * np.asarray(w), w), rtol=1e-6)


def test_ranks_are_those_of_the_weights(foreign):
    """The network is nothing but its weights and flows: an MLP of the same weights has the same ranks."""
    net, params = foreign
    weights = net.weights(params)
    same = {f"layer_{k}": {"kernel": jnp.asarray(w), "bias": jnp.zeros(w.shape[1])} for k, w in enumerate(weights)}
    built_in = mlp([w.shape[1] for w in weights[:-1]], outputs=weights[-1].shape[1])
    flows = flows_of(net, params)
    for method, level in (("node", 2), ("edge", 7), ("path", 3)):
        ours, theirs = rank(net, params, flows, method=method), rank(built_in, same, flows, method=method)
        equal(ours, theirs)
        masks = built_in.weights(select(built_in, same, theirs, level))
        equal(select(net, params, ours, level), net.spread(params, masks))


def test_pruning_all_edges_out_of_a_node_cuts_it_off(foreign):
    """Layer 1 onwards the logits no longer depend on the node, as if it were 0; removals do it edge by edge."""
    net, params = foreign
    masks = [jnp.zeros(w.shape, bool) for w in net.weights(params)]
    masks[0] = masks[0].at[1].set(True)
    pruned = prune(params, net.spread(params, masks), 0)
    moved = net.activations(pruned, X.at[:, 1].add(3.0))
    for ours, theirs in zip(moved[1:], net.activations(pruned, X)[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    (without,) = net.logits_without(params, X, net.start(params, X, 1), 1, jnp.array([[1, 2, 3]]))
    masks = [jnp.zeros(w.shape, bool) for w in net.weights(params)]
    masks[1] = masks[1].at[2, 3].set(True)
    pruned = prune(params, net.spread(params, masks), 0.0)
    np.testing.assert_allclose(without, net.activations(pruned, X)[-1], atol=1e-6)


def test_everything_maps_over_networks(foreign):
    """Stacked parameters through ranks, selections and pruned logits: network k of many is network k alone."""
    net, params = foreign
    flows = flows_of(net, params)

    def one(params: Any) -> tuple[Any, Any]:
        chosen = select(net, params, rank(net, params, flows, method="edge"), 5)
        return chosen, net.activations(prune(params, chosen, 0.0), X)[-1]

    def scaled(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.extended):  # NumPy knows no keys
            return jnp.stack([leaf] * 3)
        host = np.asarray(leaf)
        factors = (1.0, -2.0, 0.5) if host.dtype.kind == "f" else (1, 1, 1)
        return np.stack([host * host.dtype.type(factor) for factor in factors])

    stacked = jax.tree.map(scaled, params)
    chosen, logits = jax.device_get(map_networks(one, stacked))
    assert logits.shape == (3, 40, net.weights(params)[-1].shape[1])
    for k in range(3):
        alone = jax.jit(one)(jax.tree.map(lambda leaf, k=k: leaf[k], stacked))
        jax.tree.map(lambda ours, theirs, k=k: np.testing.assert_array_equal(ours[k], theirs), chosen, alone[0])
        np.testing.assert_allclose(logits[k], alone[1], atol=1e-5)


class Convolutions(nn.Module):
    """Two convolutions and a dense layer on 6 × 6 images; channels are nodes."""

    @nn.compact
    def __call__(self, x):
        h1 = nn.relu(nn.Conv(3, (3, 3))(x))
        h2 = nn.relu(nn.Conv(4, (3, 3), strides=2)(h1))
        return x, h1, h2, nn.Dense(2)(h2.reshape(len(h2), -1))


def channels(*shape: int) -> list[int]:
    """The node of every column of a flattened ``[height, width, channel]``."""
    return np.indices(shape)[-1].ravel().tolist()


IMAGES = jnp.asarray(RNG.normal(size=(10, 6, 6, 2)), jnp.float32)


@cache
def convolutional() -> tuple[Network, Any]:
    module = Convolutions()
    net = network(
        activations=lambda params, x: module.apply({"params": params}, x),
        kernels=lambda params: (
            params["Conv_0"]["kernel"], params["Conv_1"]["kernel"], params["Dense_0"]["kernel"].reshape(9, 4, 2)),
        groups=(channels(6, 6, 2), channels(6, 6, 3), channels(3, 3, 4), None),
    )  # fmt: skip
    return net, jax.jit(module.init)(jax.random.key(0), IMAGES)["params"]


def test_a_channel_is_a_node_and_a_window_an_edge():
    net, params = convolutional()
    check_fit(net, params, IMAGES)
    assert layer_sizes(net.weights(params)) == (2, 3, 4, 2)
    windows = np.asarray(params["Conv_1"]["kernel"], float)
    np.testing.assert_allclose(net.weights(params)[1], np.linalg.norm(windows.reshape(9, 3, 4), axis=0), rtol=1e-5)
    assert [a.shape for a in net.activations(params, IMAGES)] == [(10, 72), (10, 108), (10, 36), (10, 2)]


def test_pruning_an_edge_zeroes_its_window():
    """By hand, in a convolution and in the dense layer, where the window is the channel's 9 positions."""
    net, params = convolutional()
    for edge, name, place in (
        ((0, 1, 2), "Conv_0", np.s_[:, :, 1, 2]),
        ((1, 2, 0), "Conv_1", np.s_[:, :, 2, 0]),
        ((2, 3, 1), "Dense_0", np.s_[3::4, 1]),
    ):
        masks = [jnp.zeros(w.shape, bool) for w in net.weights(params)]
        masks[edge[0]] = masks[edge[0]].at[edge[1:]].set(True)
        by_hand = jax.tree.map(np.array, params)
        assert by_hand[name]["kernel"][place].size == 9
        by_hand[name]["kernel"][place] = 0
        equal(prune(params, net.spread(params, masks), 0.0), by_hand)
        (without,) = net.logits_without(params, IMAGES, None, 0, jnp.array([edge]))
        np.testing.assert_allclose(without, net.activations(by_hand, IMAGES)[-1], atol=1e-6)


def test_transposed_windows_lie_behind():
    """PyTorch's ``[out, in, h, w]`` has the weights and the selection of Flax's ``[h, w, in, out]``."""
    kernel = RNG.normal(size=(3, 5, 2, 4)).astype(np.float32)
    turned = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    ours, theirs = (network(lambda _, x: (x, x), lambda p: [p], transposed=t) for t in (True, False))
    np.testing.assert_allclose(ours.weights(turned)[0], theirs.weights(kernel)[0], rtol=1e-6)
    mask = [jnp.asarray(RNG.random((2, 4)) < 0.5)]
    np.testing.assert_array_equal(np.transpose(ours.spread(turned, mask), (2, 3, 1, 0)), theirs.spread(kernel, mask))


def test_tied_weights_are_pruned_with_either_edge():
    net = network(lambda p, x: (x, x @ p["w"], x @ p["w"] @ p["w"]), lambda p: (p["w"], p["w"]))
    masks = [jnp.array([[True, False], [False, False]]), jnp.array([[True, False], [False, True]])]
    chosen = net.spread({"w": jnp.ones((2, 2))}, masks)["w"]
    np.testing.assert_array_equal(chosen, [[True, False], [False, True]])


def test_flax_layers_can_be_named():
    """What submodules return, too; a module that is called in a loop sows one layer after the other."""

    class Loop(nn.Module):
        @nn.compact
        def __call__(self, x):
            dense = nn.Dense(3, name="inner")
            for _ in range(2):
                x = nn.tanh(dense(x))
                self.sow("intermediates", "h", x)
            return nn.Dense(2, name="out")(x)

    whole = flax_network(Loop(), kernels=lambda p: (p["inner"]["kernel"], p["inner"]["kernel"], p["out"]["kernel"]))
    params = whole.init(jax.random.key(0), X)
    check_fit(whole, params, X)
    x, first, second, logits = whole.activations(params, X)
    np.testing.assert_allclose(second, jnp.tanh(first @ params["inner"]["kernel"]), atol=1e-6)
    named = flax_network(Loop(), layers=("inner", "h")).activations(params, X)
    assert len(named) == 6
    np.testing.assert_allclose(jnp.tanh(named[1]), first, atol=1e-6)
    equal((named[3], named[-1]), (first, logits))
    with pytest.raises(InputError, match=r"no intermediate 'g'; choose from .*h"):
        flax_network(Loop(), layers=("g",)).activations(params, X)
    assert x is X


def test_flax_kernels_come_in_natural_order():
    class Deep(nn.Module):
        @nn.compact
        def __call__(self, x):
            for layer in range(12):
                x = nn.Dense(layer + 2)(x)
                self.sow("intermediates", f"h{layer}", x)
            return nn.Dense(2)(x)

    net = flax_network(Deep())
    params = jax.jit(net.init)(jax.random.key(0), X)
    check_fit(net, jax.tree.map(lambda leaf: leaf, params), X)  # whose keys are sorted
    assert layer_sizes(net.weights(params)) == (3, *range(2, 14), 2)


def test_flax_modules_with_further_collections():
    class Normal(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Dense(4)(x)))
            self.sow("intermediates", "h", h)
            return nn.Dense(2)(h)

    net = flax_network(Normal())
    params = net.init(jax.random.key(0), X)
    assert set(params) == {"params", "batch_stats"}
    check_fit(net, params, X)
    chosen = net.spread(params, masks_of(net, params))
    assert not any(leaf.any() for leaf in jax.tree.leaves(chosen["batch_stats"]))


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (network(lambda p, x: (x, x @ p.T), lambda p: [p]), r"from layer 0 must be \[3, 2\], .*not \[2, 3\]"),
        (network(lambda p, x: (x, x, x @ p.T), lambda p: [p], transposed=True), "3 layers need 2 kernels"),
        (network(lambda p, x: (x[0], x @ p.T), lambda p: [p], transposed=True), r"layer 0 must be \[N, _\]"),
        (network(lambda p, x: (x, x @ p.T), lambda p: [p], transposed=True, groups=(None,)), "2 layers"),
        (network(lambda p, x: (x, x @ p.T), lambda p: [p], transposed=True, groups=((0, 1), None)), r"\[N, 2\]"),
        (network(lambda p, x: (x, x @ p.T), lambda p: [p], transposed=True, groups=((0, 1, 1), None)), r"\[2, 2\]"),
    ],
)
def test_what_does_not_go_together_is_refused(net, says):
    with pytest.raises(InputError, match=says):
        check_fit(net, jnp.ones((2, 3)), X)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: network(lambda p, x: (x, x @ p), lambda p: [p], groups=((0, 2), None)), "none left out"),
        (lambda: network(lambda p, x: (x, x @ p), lambda p: [p], groups=((0.5,), None)), "node's number"),
        (lambda: flax_network(Convolutions()).activations(convolutional()[1], IMAGES), "logits alone"),
        (lambda: flax_network(Linen(), kernels=("first",)).weights(linen()[1]), "no kernel under 'first'"),
    ],
)
def test_no_networks_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_a_module_that_is_not_filtered_to_its_arrays_is_refused():
    net, arrays = of_equinox()
    model = eqx.tree_at(lambda m: m.layers[0].bias, arrays, jax.nn.relu)
    with pytest.raises(InputError, match="which is no array; keep a module's arrays alone"):
        check_fit(net, model, X)


def test_mapping_needs_stacked_networks():
    for stacked in ((), (jnp.ones(3), jnp.ones(4)), (jnp.float32(1),)):
        with pytest.raises(InputError, match="stacked"):
            map_networks(lambda *items: items, *stacked)


def test_mapping_is_vmap():
    """Many networks, which do not fill their batches, with keys among the arguments and the results; under jit too."""
    keys, values = jax.random.split(jax.random.key(0), 57), jnp.arange(57.0)

    def one(key: Any, value: Any) -> dict[str, Any]:
        return {"draw": value + jax.random.normal(key, (3,)), "key": jax.random.fold_in(key, 1)}

    expected = jax.vmap(one)(keys, values)
    for mapped in (map_networks(one, keys, values), jax.jit(partial(map_networks, one))(keys, values)):
        np.testing.assert_allclose(mapped["draw"], expected["draw"], rtol=1e-6)
        np.testing.assert_array_equal(jax.random.key_data(mapped["key"]), jax.random.key_data(expected["key"]))


def test_mapping_traces_a_function_once():
    traces = []

    def one(value: Any) -> Any:
        traces.append(value)
        return 2 * value

    for _ in range(3):
        map_networks(one, jnp.arange(10.0))
    assert len(traces) == 2  # once to size the batches
