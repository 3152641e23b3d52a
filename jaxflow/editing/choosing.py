"""Which of many interventions is the best: pure functions of what each would show on the rows that choose."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError, alternatives, shown
from jaxflow.outputs import Roles
from jaxflow.values import choice, real

MEASURES = ("bias", "parity_gap", "odds_gap")
MISSED = 1e3  # what missing the aim costs: more than any per cent can make good, and float32 still tells 1e-4 apart
MOST = 1e6


@dataclass(frozen=True)
class Aim:
    """What an edit is to reach; hashable, and without the limit, so that another one needs no other program.

    Attributes:
        measure: ``bias`` by the estimator, or ``parity_gap`` or ``odds_gap`` of the decisions, without its sign.
        attributes: of which the worst counts.
        keeps_accuracy: whether the measure shall be least while accuracy falls by at most the limit, in points; else
            the measure shall be at most the limit, per cent, at the least loss of accuracy.
    """

    measure: str
    attributes: tuple[str, ...]
    keeps_accuracy: bool = False

    def check(self, roles: Roles, classes: dict[str, int]) -> None:
        """Refuse attributes that are not there, and gaps of numbers.

        Args:
            roles: which attributes there are.
            classes: of every message; 0 of numbers.

        Raises:
            InputError: see above.
        """
        for name in self.attributes:
            if name not in roles.attributes:
                raise InputError(f"there is no attribute {shown(name)}; {alternatives(name, roles.attributes)}")
            if self.measure != "bias" and not classes[name]:
                raise InputError(
                    f"{name} is numbers, which have no groups and so no {self.measure}; choose the measure bias"
                )

    def worst(self, measures: Any, roles: Roles) -> Array:
        """The measure that is aimed at, of the worst attribute, from measures by name."""
        own = [jnp.abs(measures[f"{self.measure}{roles.suffix(name)}"]) for name in self.attributes]
        return jnp.max(jnp.stack(own), axis=0)

    def reached(
        self, value: Float[Array, "*batch"], accuracy: Float[Array, "*batch"], bounds: tuple[Array, Array]
    ) -> Array:
        """Whether the aim is reached, with the limit and the accuracy of the network as it is for ``bounds``."""
        limit, unedited = bounds
        return accuracy >= unedited - limit if self.keeps_accuracy else value <= limit

    def cost(
        self, value: Float[Array, " V"], accuracy: Float[Array, " V"], bounds: tuple[Array, Array]
    ) -> tuple[Float[Array, " V"], Float[Array, " V"]]:
        """What the best has least of, and what decides between equals.

        Of those that reach a measure the loss of accuracy, of those that keep accuracy the measure; of the others how
        far they are from it. NaN is never the best.
        """
        reached = self.reached(value, accuracy, bounds)
        first, second = (value, -accuracy) if self.keeps_accuracy else (-accuracy, value)
        missed, other = second, first
        cost = jnp.where(reached, first, MISSED + missed), jnp.where(reached, second, other)
        known = ~jnp.isnan(value) & ~jnp.isnan(accuracy)
        return jnp.where(known, cost[0], MOST), jnp.where(known, cost[1], MOST)


def best(aim: Aim, value: Float[Array, " V"], accuracy: Float[Array, " V"], limit: Float[Array, ""]) -> Int[Array, ""]:
    """The number of the best candidate; number 0 is the network as it is.

    No edit is made where the target is met already; equally good candidates go by their order.

    Args:
        aim: what is wanted.
        value: the measure of every candidate, per cent.
        accuracy: of its decisions, per cent.
        limit: see ``Aim``.
    """
    bounds = limit, accuracy[0]
    chosen = first_least(*aim.cost(value, accuracy, bounds))
    if aim.keeps_accuracy:
        return chosen
    return jnp.where(aim.reached(value[0], accuracy[0], bounds), 0, chosen)


def first_least(cost: Float[Array, " V"], tie: Float[Array, " V"]) -> Int[Array, ""]:
    """The first of those of the least cost that has the least tie value."""
    return jnp.argmin(jnp.where(cost == jnp.min(cost), tie, jnp.inf))


def asked_for(
    measure: str, attributes: tuple[str, ...], at_most: float | None, keep_accuracy: float | None
) -> tuple[Aim, float]:
    """The aim, and its limit, from what was asked for.

    Raises:
        InputError: neither or both of the two numbers, one that is not from 0 to 100, another measure, no attribute.
    """
    choice("measure", measure, MEASURES)
    if (at_most is None) == (keep_accuracy is None):
        given = "neither" if at_most is None else "both"
        raise InputError(f"say what an edit shall reach by one of at_most and keep_accuracy, not {given}")
    if not attributes:
        raise InputError("an edit needs at least one attribute to aim at")
    name, limit = ("at_most", at_most) if keep_accuracy is None else ("keep_accuracy", keep_accuracy)
    return Aim(measure, attributes, keep_accuracy is not None), real(name, limit, 0, 100)
