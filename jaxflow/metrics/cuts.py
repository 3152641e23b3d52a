"""Rivals of information flow that intervene: mediation, and exact removal of nodes or edges, each alone or greedily."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.errors import InputError
from jaxflow.gaps import cell_indicators, group_means
from jaxflow.information import ESTIMATORS
from jaxflow.messages import read_out, unpermuted
from jaxflow.metrics.contract import Scores, Shown, rows_of
from jaxflow.metrics.rows import Rows, ones_like
from jaxflow.metrics.steps import by_layer, multipliers, one_after_the_other

TOGETHER = 16  # nodes or edges that are cut side by side
GREEDY_STEPS = 16


def mediation(shown: Shown) -> Scores:
    """Natural indirect effect of the attribute through one node or edge (Pearl 2001; Vig et al. 2020).

    Of the two groups that the largest ``logit_gap`` lies between, every row gets from a random row of the other group
    what the node transmits there, and all else stays: ½ ((E[m | high] − E[m′ | high]) + (E[m′ | low] − E[m | low])), m
    the margin and m′ the one with the other's value. What carries the whole gap has all of it, what is cut has 0.

    Args:
        shown: the network on rows, and a key for the random rows.

    Returns:
        Scores of nodes and edges in units of the logits.

    Raises:
        InputError: no rows or no key, an attribute of numbers, a network that does not say where its biases lie, or
            nodes of several columns.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> z = Message(jnp.array([0, 1]))
        >>> rows = Rows(mlp(()), params, jnp.eye(2), z, z)
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], jax.random.key(0), rows=rows)
        >>> mediation(shown).node[0].tolist()
        [2.0, 0.0]
    """
    rows = rows_of(shown, "mediation", groups=True)
    if shown.key is None:
        raise InputError("the metric mediation needs a key: rank(..., key=jax.random.key(0))")
    layers, weights = rows.layers(ones_like(rows.weights)), rows.weights
    high, low, logit, donors = _exchange(rows, layers[-1], jax.random.fold_in(shown.key, 3))

    def gap(logits: Array) -> Array:
        means = group_means(logits, rows.attribute)[0].reshape(-1, logits.shape[1] if logits.shape[1] > 1 else 2)
        return means[high, logit] - means[low, logit]

    intact = gap(layers[-1])

    def exchanged(chosen: list[Array]) -> Array:
        shifts = [(h[donors] - h) @ (w * own) for h, w, own in zip(layers, weights, chosen, strict=False)]
        return 0.5 * (intact - gap(rows.shifted_logits(rows.params, shifts)))

    return Scores(*(_of_each(weights, method, exchanged) for method in ("node", "edge")))


def removal(shown: Shown) -> Scores:
    """Exact removal of every node or edge alone: what it takes off bias less what it takes off accuracy.

    Both in per cent, by Gaussian information in all logits (``messages.read_out``): the effects of
    ``pipeline``'s ``dependence`` on the attribute and on the label. No ranking can choose a better first step by this
    measure, on the rows that it is shown.

    Args:
        shown: the network on rows.

    Returns:
        Scores of nodes and edges, in points of per cent.

    Raises:
        InputError: no rows.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> y, z = Message(jnp.array([0, 1, 0, 1])), Message(jnp.array([0, 0, 1, 1]))
        >>> x = jnp.stack([z.values, y.values], 1) + 0.0
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, x, y, z))
        >>> removal(shown).node[0].tolist()  # the first input tells of z alone, the second is not heard
        [50.0, 0.0]
    """
    rows = rows_of(shown, "removal")
    ones = ones_like(rows.weights)
    intact = _merit(rows, ones)

    def without(chosen: list[Array]) -> Array:
        return _merit(rows, [one - own for one, own in zip(ones, chosen, strict=True)]) - intact

    return Scores(*(_of_each(rows.weights, method, without) for method in ("node", "edge")))


def greedy(shown: Shown) -> Scores:
    """Greedy exact removal: ``removal``, measured again after each node or edge has gone.

    The first to go has the highest score. After 16 the others follow by their last effects.

    Args:
        shown: the network on rows, and the method: edges are ranked for paths too.

    Returns:
        Scores of what is to be ranked: 0 of the first, −1 of the second, and so on.

    Raises:
        InputError: no rows.

    Example:
        >>> from jaxflow import mlp
        >>> params = {"layer_0": {"kernel": jnp.array([[-1.0, 1.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
        >>> y, z = Message(jnp.array([0, 1, 0, 1])), Message(jnp.array([0, 0, 1, 1]))
        >>> x = jnp.stack([z.values, y.values], 1) + 0.0
        >>> shown = Shown([], [], [params["layer_0"]["kernel"]], rows=Rows(mlp(()), params, x, y, z))
        >>> greedy(shown).node[0].tolist()
        [0.0, -1.0]
    """
    rows, method = rows_of(shown, "greedy"), "node" if shown.method == "node" else "edge"

    def scores_of(alive: list[Array]) -> list[Array]:
        def without(chosen: list[Array]) -> Array:
            return _merit(rows, [own * (1 - gone) for own, gone in zip(alive, chosen, strict=True)])

        return _of_each(rows.weights, method, without)

    scores, tie = one_after_the_other(rows.weights, method, scores_of, GREEDY_STEPS)
    return Scores(node=scores, node_tie=tie) if method == "node" else Scores(edge=scores, edge_tie=tie)


def _merit(rows: Rows, alive: Sequence[Array]) -> Float[Array, ""]:
    """Accuracy less bias in per cent, by Gaussian information in all logits, with edges scaled."""
    logits = rows.logits(alive)
    spec = ESTIMATORS["gaussian"]
    about = {"accuracy": rows.label, "bias": rows.attribute}
    bits = spec.layer_bits(unpermuted(about), logits, spec.output_groups(logits.shape[1], None))  # pyright: ignore[reportOptionalCall]
    told = {name: 100 * read_out(bits[name][0, -1], message) for name, message in about.items()}
    return told["accuracy"] - told["bias"]


def _of_each(weights: Sequence[Array], method: str, outcome: Callable[[list[Array]], Float[Array, ""]]) -> list[Array]:
    """An outcome for every node or edge, from multipliers that are 1 at its edges and 0 elsewhere."""
    total = sum(len(w) if method == "node" else w.size for w in weights)

    def of_one(index: Int[Array, ""]) -> Float[Array, ""]:
        return outcome(multipliers(weights, method, jax.nn.one_hot(index, total, dtype=weights[0].dtype)))

    found = jax.lax.map(of_one, jnp.arange(total), batch_size=min(TOGETHER, total))
    return by_layer(weights, method, found)


def _exchange(
    rows: Rows, logits: Float[Array, "N c"], key: Array
) -> tuple[Int[Array, ""], Int[Array, ""], Int[Array, ""], Int[Array, " N"]]:
    """The two cells and the logit between which the largest gap lies, and every row's partner in the other cell.

    Rows of other cells are their own partners.
    """
    means, real = group_means(logits, rows.attribute)
    strata, groups, logit_count = means.shape
    highest = jnp.argmax(jnp.where(real[:, :, None], means, -jnp.inf), axis=1)
    lowest = jnp.argmin(jnp.where(real[:, :, None], means, jnp.inf), axis=1)
    gaps = jnp.take_along_axis(means, highest[:, None], 1) - jnp.take_along_axis(means, lowest[:, None], 1)
    stratum, logit = jnp.divmod(jnp.argmax(gaps.reshape(strata, logit_count)), logit_count)
    high, low = (stratum * groups + own[stratum, logit] for own in (highest, lowest))
    cells = cell_indicators(rows.attribute, logits.dtype)
    of_high, of_low = partners(key, cells[:, low]), partners(key, cells[:, high])
    own = jnp.arange(len(logits))
    donors = jnp.where(cells[:, high] > 0, of_high, jnp.where(cells[:, low] > 0, of_low, own))
    return high, low, logit, donors


def partners(key: Array, among: Float[Array, " N"]) -> Int[Array, " N"]:
    """A random row for every row, of those that are marked; of the first of all where none is."""
    last = jnp.cumsum(among)
    drawn = jnp.floor(jax.random.uniform(key, among.shape) * last[-1]) + 1
    return jnp.clip(jnp.searchsorted(last, drawn), 0, len(among) - 1)
