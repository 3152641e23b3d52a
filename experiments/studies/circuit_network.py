"""The network of ``circuit.py``: a recurrent circuit in three stages that learns a context-dependent decision.

The task is that of Mante, Sussillo, Shenoy and Newsome 2013 (*Nature* 503): dots move to one side and have one of two
colours, and a context says which of the two decides. Units in two streams see motion or colour alone and know nothing
of the context; units of an integrating stage hear both streams, the context and one another; a read-out is the output.
What is connected is given, every weight is trained. A function handles one network; the caller maps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

STREAM, INTEGRATING = 2, 8  # units of each stream and of the integrating stage
UNITS = 2 * STREAM + INTEGRATING
STEPS, STEP_SECONDS = 15, 0.05  # 750 ms of dots, as in the experiment
STEPS_OF_BIN = 3
LEAK = 0.5  # of a step: a time constant of 100 ms
INPUT_NOISE, UNIT_NOISE = 1.0, 0.1  # standard deviations of a step
STRENGTHS = (0.15, 0.4, 1.0)  # mean of a step's evidence
RATE_COST = 1e-3  # of the mean squared rate
BATCH, LEARNING_RATE = 128, 1e-2

AREA = np.repeat([0, 1, 2], [STREAM, STREAM, INTEGRATING])  # motion stream, colour stream, integrating
CONNECTED = (AREA[:, None] == AREA[None]) | (AREA[None] == 2)  # [source, target]
HEARD = np.stack([AREA == 0, AREA == 1, AREA == 2, AREA == 2])  # by motion, colour and either context [input, unit]


class Trials(NamedTuple):
    """Trials ``[N]``: directions and context are 0 or 1 (context 0 asks for motion), strengths above 0."""

    motion: Any
    colour: Any
    context: Any
    motion_strength: Any
    colour_strength: Any

    @property
    def correct(self) -> Any:
        """The direction that the context asks for."""
        return jnp.where(self.context == 0, self.motion, self.colour)


class Lesion(NamedTuple):
    """Units ``[n]`` whose rates are held at given values ``[time, n]``: at 0 they are silent."""

    units: Bool[Array, " n"]
    rates: Float[Array, "T n"]


class Activity(NamedTuple):
    """Rates ``[time, trial, unit]`` and the output ``[time, trial]``, whose sign at the end is the choice."""

    rates: Any
    output: Any

    @property
    def choice(self) -> Any:
        """Direction chosen in every trial."""
        return (self.output[-1] > 0).astype(jnp.int32)


def random_trials(key: Array, count: int) -> Trials:
    """Trials whose directions, context and strengths are drawn independently of one another."""
    coins, *keys = jax.random.split(key, 3)
    strengths = (jax.random.choice(own, jnp.array(STRENGTHS), (count,)) for own in keys)
    return Trials(*jax.random.bernoulli(coins, 0.5, (3, count)).astype(jnp.int32), *strengths)


def recorded_trials(key: Array, count: int) -> Trials:
    """Trials for a recording: as in ``random_trials``, but the context, which flows are given, alternates.

    Directions and strengths must not be balanced. If all their combinations were equally frequent, colour would be
    uncorrelated with motion more exactly than chance allows. A permutation would undo that, so that p-values of an
    output that does not depend on colour would be too large, and its flow, less the bias of chance, below 0.
    """
    return random_trials(key, count)._replace(context=jnp.arange(count, dtype=jnp.int32) % 2)


def initial(key: Array) -> dict[str, Array]:
    """Parameters of one network."""
    recurrent, inputs, output = jax.random.split(key, 3)
    return {
        "recurrent": jax.random.normal(recurrent, (UNITS, UNITS)) / np.sqrt(UNITS),
        "inputs": jax.random.normal(inputs, HEARD.shape),
        "bias": jnp.full(UNITS, 0.5),
        "output": jax.random.normal(output, (INTEGRATING,)) / np.sqrt(INTEGRATING),
        "offset": jnp.zeros(()),
    }


def simulate(params: dict[str, Array], key: Array, trials: Trials, lesion: Lesion | None = None) -> Activity:
    """Run the network through trials: leaky units of rate max(x, 0), noise in the evidence and in every unit.

    x(t+1) = (1 − a) x(t) + a (r(t) W + u(t) B + b) + noise, with r = max(x, 0); the output is r · w + c. The same key
    means the same noise, with a lesion and without.
    """
    count, (seen, private) = len(trials.motion), jax.random.split(key)
    motion, colour = (
        jnp.where(direction == 1, strength, -strength)
        for direction, strength in ((trials.motion, trials.motion_strength), (trials.colour, trials.colour_strength))
    )
    evidence = jnp.stack([motion, colour], axis=-1)[None] + INPUT_NOISE * jax.random.normal(seen, (STEPS, count, 2))
    context = jnp.broadcast_to(jax.nn.one_hot(trials.context, 2), (STEPS, count, 2))
    noise = UNIT_NOISE * jax.random.normal(private, (STEPS, count, UNITS))
    drive = jnp.concatenate([evidence, context], axis=-1) @ (params["inputs"] * HEARD) + params["bias"]
    recurrent = params["recurrent"] * CONNECTED

    def step(state: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], Array]:
        x, rates = state
        seen, private, held = inputs
        x = (1 - LEAK) * x + LEAK * (rates @ recurrent + seen) + private
        rates = jax.nn.relu(x)
        rates = rates if lesion is None else jnp.where(lesion.units, held, rates)
        return (x, rates), rates

    held = jnp.zeros((STEPS, UNITS)) if lesion is None else lesion.rates
    start = jnp.zeros((count, UNITS))
    rates = jax.lax.scan(step, (start, start), (drive, noise, held))[1]
    return Activity(rates, rates[..., AREA == 2] @ params["output"] + params["offset"])


def loss(params: dict[str, Array], key: Array) -> Array:
    """Cross-entropy of the output in the last third of fresh trials, in nats, and the cost of rates."""
    drawn, noise = jax.random.split(key)
    trials = random_trials(drawn, BATCH)
    activity = simulate(params, noise, trials)
    wrong = optax.sigmoid_binary_cross_entropy(activity.output[-STEPS // 3 :], trials.correct[None].astype(jnp.float32))
    return jnp.mean(wrong) + RATE_COST * jnp.mean(activity.rates**2)


def train(key: Array, steps: int) -> dict[str, Array]:
    """One network, by Adam on fresh trials at every step; the learning rate falls to 0 along a cosine."""
    begin, batches = jax.random.split(key)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    )

    def step(state: Any, own: Array) -> tuple[Any, None]:
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, own), moments)
        return (optax.apply_updates(params, updates), moments), None

    params = initial(begin)
    return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(batches, steps))[0][0]


def binned(activity: Activity) -> Activity:
    """Means over the steps of every bin."""
    rates, output = (a.reshape(-1, STEPS_OF_BIN, *a.shape[1:]).mean(axis=1) for a in activity)
    return Activity(rates, output)


def spikes(key: Array, rates: Float[Array, "T N n"], hertz: float = 20.0) -> Float[Array, "T N n"]:
    """Poisson counts of the spikes in bins of these mean rates, scaled so that a unit fires ``hertz`` on average."""
    seconds = STEPS_OF_BIN * STEP_SECONDS
    return jax.random.poisson(key, rates / jnp.mean(rates) * hertz * seconds).astype(jnp.float32)
