"""Training: loss, step, epoch and one network's ``train``; many networks are its map over their numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxflow.arrays import as_finite_array, as_key, as_real_array
from jaxflow.batching import batched_map, is_traced, on_all_cores
from jaxflow.errors import CLASS_NUMBERS, InputError, counted
from jaxflow.messages import MOST_CLASSES, Message, as_message
from jaxflow.networks.contract import Network, Params
from jaxflow.networks.leaves import floating_leaves
from jaxflow.values import FLOAT32, MOST_NETWORKS, real, whole

MOST = 10**6  # epochs, and rows of a batch
SMALLEST_RATE, LARGEST_MOMENTUM = 1.2e-38, 1 - 1e-7


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum (Venkatesh et al. 2021, App. C.1).

    The learning rate falls tenfold when the epoch's mean loss has not improved for ``patience`` epochs, as PyTorch's
    ReduceLROnPlateau does, with its defaults for 11. NumPy's numbers become plain ones.

    Attributes:
        learning_rate: of the first epoch, above 0.
        epochs: passes over the training half.
        batch_size: rows of a step.
        momentum: from 0 to below 1.
        patience: epochs without improvement before the rate falls.

    Raises:
        InputError: a value of another type, not finite, or that trains nothing.

    Example:
        >>> Training(epochs=10).learning_rate
        0.003
    """

    learning_rate: float = 3e-3
    epochs: int = 50
    batch_size: int = 10
    momentum: float = 0.9
    patience: int = 11

    def __post_init__(self) -> None:
        """Plain numbers; refuse values that train nothing."""
        for name in ("epochs", "batch_size", "patience"):
            object.__setattr__(self, name, whole(f"cannot train: {name}", getattr(self, name), 1, MOST))
        # what float32, in which networks are trained, would round to 0 or to 1 is refused as well
        for name, low, high in (("learning_rate", SMALLEST_RATE, FLOAT32), ("momentum", 0.0, LARGEST_MOMENTUM)):
            object.__setattr__(self, name, real(f"cannot train: {name}", getattr(self, name), low, high))


class Trained(NamedTuple):
    """A trained network: parameters, and mean loss and learning rate of every epoch ``[epochs]``."""

    params: Params
    loss: Array
    learning_rate: Array


@partial(jax.tree_util.register_dataclass, data_fields=["about", "strength"], meta_fields=["of"])
@dataclass(frozen=True)
class Penalty:
    """What ``train_many`` adds to the loss of every batch: ``strength * of(logits, about)``.

    A pytree: other rows or another strength of the same function are no other program.

    Attributes:
        of: (logits ``[B, c]``, what ``about`` holds of the batch's rows) → one number; pure and differentiable.
        about: what the function needs to know of the rows: a pytree of arrays ``[N, ...]``, such as a ``Message``.
        strength: one number from 0 on.

    Example:
        >>> of = lambda logits, about: jnp.mean(about * jnp.sum(logits**2, axis=1))
        >>> Penalty(of, jnp.ones(4), 0.1).strength
        0.1
    """

    of: Callable[[Array, Any], Array]
    about: Any
    strength: Any = 1.0


class State(NamedTuple):
    """What a step carries on: the floating leaves of the packed parameters, and their momentum."""

    params: list[Array]
    momentum: optax.OptState


def cross_entropy(logits: Float[Array, "N c"], y: Int[Array, " N"]) -> Float[Array, ""]:
    """Mean softmax cross-entropy against the label, in nats."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))


def batch_loss(
    logits: Float[Array, "B c"], y: Int[Array, " B"], weights: Float[Array, " B"] | None, penalty: Penalty | None
) -> Float[Array, ""]:
    """Loss of a batch: the mean cross-entropy, every row's times its weight if there are weights, and a penalty."""
    if weights is None:
        loss = cross_entropy(logits, y)
    else:
        loss = jnp.mean(weights * optax.softmax_cross_entropy_with_integer_labels(logits, y))
    return loss if penalty is None else loss + penalty.strength * penalty.of(logits, penalty.about)


def shuffled(key: Array, size: int) -> Int[Array, " size"]:
    """A random permutation of 0 … size − 1.

    Random bits above, the index below, in one 32-bit integer: sorting plain integers is ten times faster on a CPU than
    sorting pairs. Equal bits leave their indices in order, which happens to one pair in 2^(32 − bits of the size);
    beyond 2¹⁶ rows pairs are sorted after all.
    """
    index_bits = max(1, (size - 1).bit_length())
    if index_bits > 16:
        return jax.random.permutation(key, size)
    index = jnp.arange(size, dtype=jnp.uint32)
    packed = (jax.random.bits(key, (size,), jnp.uint32) >> index_bits << index_bits) | index
    return (jnp.sort(packed) & jnp.uint32(2**index_bits - 1)).astype(jnp.int32)


def train(
    key: Array,
    x: Float[Array, "N ..."],
    y: Int[Array, " N"],
    network: Network,
    config: Training,
    weights: Float[Array, " N"] | None = None,
    penalty: Penalty | None = None,
) -> Trained:
    """Train one network on x and y: ``config.epochs`` epochs, each over its own shuffle.

    Rows beyond a multiple of the batch size sit out an epoch, other ones in every epoch. Parameters that are no
    floating arrays stay as ``network.init`` makes them.

    Args:
        key: of this network; the initialisation and every epoch's shuffle are folded out of it.
        x: features.
        y: labels 0 … K − 1, for a network of K outputs.
        network: its architecture.
        config: how to train it.
        weights: of the rows in the loss, all equal if not given.
        penalty: added to the loss of every batch.

    Raises:
        InputError: fewer rows than one batch, a network without ``init``.
    """
    if len(x) < config.batch_size:
        raise InputError(f"{counted(len(x), 'row')} cannot fill one batch of {config.batch_size}")
    init_key, shuffle_key = jax.random.split(key)
    params, rebuild = floating_leaves(network.packed(network.init(init_key, x)))
    momentum = optax.trace(config.momentum)
    plateau = optax.contrib.reduce_on_plateau(factor=0.1, patience=config.patience, rtol=1e-4)

    def loss(leaves: list[Array], rows: Array) -> Array:
        logits = network.packed_activations(rebuild(leaves), x[rows])[-1]
        of_rows = jax.tree.map(lambda a: a[rows], (weights, penalty and penalty.about))
        return batch_loss(logits, y[rows], of_rows[0], penalty and replace(penalty, about=of_rows[1]))

    run_epoch = partial(_epoch, loss=loss, momentum=momentum, config=config, size=len(x))

    def next_epoch(carry: tuple[State, optax.OptState], key: Array):
        state, schedule = carry
        rate = config.learning_rate * schedule.scale  # pyright: ignore[reportAttributeAccessIssue]
        state, mean_loss = run_epoch(state, key, rate)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
            schedule = plateau.update(params, schedule, value=mean_loss)[1]  # only its scale is used
        return (state, schedule), (mean_loss, rate)

    start = (State(params, momentum.init(params)), plateau.init(params))
    keys = jax.random.split(shuffle_key, config.epochs)
    (state, _), (losses, rates) = jax.lax.scan(next_epoch, start, keys)
    return Trained(network.unpacked(rebuild(state.params)), losses, rates)


def _epoch(
    state: State,
    key: Array,
    rate: Array,
    loss: Callable,
    momentum: optax.GradientTransformation,
    config: Training,
    size: int,
) -> tuple[State, Array]:
    """One pass over a fresh shuffle of all rows: the new state and the mean loss of its batches."""
    steps = size // config.batch_size
    batches = shuffled(key, size)[: steps * config.batch_size].reshape(steps, config.batch_size)

    def step(state: State, rows: Array) -> tuple[State, Array]:
        value, gradient = jax.value_and_grad(loss)(state.params, rows)
        updates, buffer = momentum.update(gradient, state.momentum)
        params = jax.tree.map(lambda w, u: w - rate * u, state.params, updates)
        return State(params, buffer), value

    state, losses = jax.lax.scan(step, state, batches)
    return state, jnp.mean(losses)


def train_many(
    key: Array,
    count: int | np.integer | Int[Array | np.ndarray, " S"],
    network: Network,
    x: ArrayLike,
    y: ArrayLike | Message,
    training: Training = Training(),  # frozen
    *,
    weights: ArrayLike | None = None,
    penalty: Penalty | None = None,
) -> Trained:
    """Train many networks on the same rows, side by side in one compiled program.

    Network k is trained from ``fold_in(key, k)``: it is the same network alone, among 10 or among 1,000. Stochastic
    gradient descent on the softmax cross-entropy (Venkatesh et al. 2021, App. C.1).

    Args:
        key: of all networks, as ``jax.random.key(0)``.
        count: how many networks; or an array of their numbers, for some of them.
        network: their architecture.
        x: features ``[N, ...]``.
        y: labels 0 … K − 1 ``[N]``, for a network of K outputs.
        training: learning rate, epochs and the like.
        weights: of the rows in the loss ``[N]``, from 0 on; with a mean of 1 the learning rate means what it means
            without. ``debiasing.reweighing`` makes some.
        penalty: added to the loss of every batch; ``debiasing.bias_penalty`` makes one.

    Returns:
        ``Trained`` with a leading axis of the networks: parameters, and loss and learning rate of every epoch.

    Raises:
        InputError: a network without ``init``, fewer rows than one batch; x and y that differ in length, NaN or
            infinity in x, labels that are no classes or more than the network has outputs; weights or what a penalty
            is about that do not fit the rows, negative weights or strength.

    Example:
        >>> from jaxflow import mlp
        >>> x, y = jnp.eye(4), jnp.array([0, 1, 1, 0])
        >>> trained = train_many(jax.random.key(0), 3, mlp(hidden=(5,)), x, y, Training(epochs=2, batch_size=2))
        >>> trained.loss.shape
        (3, 2)
    """
    key = as_key(key)
    x, y = _checked_rows(key, network, x, y)
    of_rows = _checked_weights(weights, len(x)), _checked_penalty(penalty, len(x))
    run = partial(train_numbers, key, x=x, y=y, network=network, training=training, of_rows=of_rows)
    if jnp.ndim(count):
        return run(jnp.asarray(count))
    numbers = jnp.arange(whole("the number of networks", count, 1, MOST_NETWORKS))
    if is_traced((key, x, y, of_rows)):
        return run(numbers)
    return jax.device_put(on_all_cores(run, numbers))


def _checked_rows(key: Array, network: Network, x: Any, y: Any) -> tuple[Array, Array]:
    """Features, and labels as class numbers, if a network can be trained on them.

    A wrong label would otherwise be clamped by the loss, or make it NaN, without a word.
    """
    x = jnp.asarray(as_real_array("features", x))
    label = y if isinstance(y, Message) else as_message(y, classes=_announced(y))
    if label.continuous or jnp.shape(label.values) != x.shape[:1]:
        shapes = f"[{len(x)}], not {list(jnp.shape(label.values))}"
        must_be = f"classes 0, 1, …, not numbers; {CLASS_NUMBERS}" if label.continuous else shapes
        raise InputError(f"y must hold the label of each of the {len(x)} rows of x: {must_be}")
    if not is_traced(x) and not np.isfinite(np.asarray(x)).all():
        raise InputError("x holds NaN or infinity: leave those rows out or fill them")
    outputs = jax.eval_shape(lambda: network.activations(network.init(key, x), x)[-1]).shape[-1]
    largest = None if is_traced(label.values) else int(np.max(np.asarray(label.values), initial=0))
    if largest is not None and largest >= outputs:
        raise InputError(f"y has labels up to {largest}, which need {largest + 1} outputs; the network has {outputs}")
    return x, jnp.asarray(label.values)


def _checked_weights(weights: Any, rows: int) -> Array | None:
    """Weights of the rows, or None."""
    if weights is None:
        return None
    weights = as_finite_array("weights", weights)
    if weights.shape != (rows,) or (not is_traced(weights) and np.min(np.asarray(weights)) < 0):
        raise InputError(f"weights must hold a number from 0 on for each of the {rows} rows of x")
    return weights


def _checked_penalty(penalty: Penalty | None, rows: int) -> Penalty | None:
    """The penalty with its numbers as arrays, or None. JAX would take the last row for one that is not there."""
    if penalty is None:
        return None
    if any(jnp.shape(leaf)[:1] != (rows,) for leaf in jax.tree.leaves(penalty.about)):
        raise InputError(f"what the penalty is about must hold a value for each of the {rows} rows of x")
    strength = as_finite_array("strength of the penalty", penalty.strength)
    if strength.ndim or (not is_traced(strength) and strength < 0):
        raise InputError("the strength of the penalty must be one number from 0 on")
    return replace(penalty, about=jax.tree.map(jnp.asarray, penalty.about), strength=strength)


def _announced(y: Any) -> int | None:
    """A number of classes for labels that are being traced, which training does not need to know."""
    return MOST_CLASSES if is_traced(y) and not jnp.issubdtype(y.dtype, jnp.floating) else None


@partial(jax.jit, static_argnames=("network", "training"))  # less optimised it rounds otherwise: other networks
def train_numbers(
    key: Array,
    numbers: Int[Array, " S"],
    x: Float[Array, "N ..."],
    y: Int[Array, " N"],
    network: Network,
    training: Training,
    of_rows: tuple[Float[Array, " N"] | None, Penalty | None] = (None, None),
) -> Trained:
    """``train_many`` of the networks with these numbers; ``of_rows`` are the rows' weights and the penalty."""

    def one(number: Array, key: Array, x: Array, y: Array, of_rows: Any) -> Trained:
        return train(jax.random.fold_in(key, number), x, y, network, training, *of_rows)

    size = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(one, numbers[0], key, x, y, of_rows).params))
    # a sixth of what a network holds: many lanes outweigh cache misses
    return batched_map(one, numbers, 2 * size, key, x, y, of_rows)
