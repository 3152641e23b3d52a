"""Which fit every outer fold takes, judged by the held-out rows of the other four folds."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxflow.information.cross_validation import OUTER


def chosen_losses(
    sums: Float[Array, "T C P F"],
    apart: Float[Array, "T C P F"],
    concerned: Bool[Array, " T"],
    bound: str,
    every_subset: bool,
    by_row: Shaped[Array, "T C F B"] | None = None,
) -> tuple[Float[Array, "T P F"], Shaped[Array, "T F B"] | None]:
    """The loss of every fold under the fit that it takes, and if asked for that of each of its held-out rows.

    Subsets that are not concerned take their first fit. The others take the best of their own fits, and where all
    subsets are listed that of any subset of them, if this does better.

    Args:
        sums: the losses of every fit in every fold; the five folds of a message are neighbours.
        apart: rows that a fit decides differently from the first.
        concerned: the subsets that choose.
        bound: see ``best_elsewhere``.
        every_subset: whether the subsets are the bitmasks 0 … 2ⁿ − 1 in this order.
        by_row: the losses of single rows under every fit, for the first of the messages [P].
    """
    number, concerned, first = jnp.arange(len(sums))[:, None, None], concerned[:, None, None], sums[:, 0]
    best, judged, fit = best_elsewhere(sums, apart, bound)
    own, elsewhere = jnp.where(concerned, best, first), jnp.where(concerned, judged, in_other_folds(first))
    late = None
    if by_row is not None:
        taken = jnp.where(concerned, fit, 0)[:, None, 0, :, None]
        by_row = jnp.take_along_axis(by_row, taken, axis=1)[:, 0]
        weights = jnp.arange(by_row.shape[-1], dtype=sums.dtype)
        late = jnp.sum(by_row.astype(sums.dtype) * weights[None, None], axis=-1)[:, None]
    if not every_subset:
        return own, by_row
    of_best, source = best_subset(own, elsewhere, late)
    if by_row is not None:
        by_row = by_row[jnp.where(concerned, source, number)[:, 0], jnp.arange(sums.shape[-1])[None]]
    return jnp.where(concerned, of_best, own), by_row


def in_other_folds(sums: Float[Array, "*batch F"]) -> Float[Array, "*batch F"]:
    """The sum over the other four folds of a message; the five folds of a message are neighbours."""
    by_message = sums.reshape(*sums.shape[:-1], -1, OUTER)
    return (jnp.sum(by_message, axis=-1, keepdims=True) - by_message).reshape(sums.shape)


def best_elsewhere(
    sums: Float[Array, "T C P F"], apart: Float[Array, "T C P F"], bound: str
) -> tuple[Float[Array, "T P F"], Float[Array, "T P F"], Int[Array, "T P F"]]:
    """Of C fits the loss of every fold under the one that does best in the other four folds, the first among equals.

    Mistakes come in whole rows, so that one of two equally good fits always makes fewer. A fit must make fewer than the
    first by one standard error of the difference: √k of k rows that the two decide differently.

    What a fold loses has no part in its choice, except that its rows are a quarter of those that the other folds' fits
    were trained on.

    Args:
        sums: the losses of every fit and fold; the five folds of a message are neighbours.
        apart: rows that a fit decides differently from the first.
        bound: ``fano``, or ``cross-entropy``, which asks for no margin.

    Returns:
        The loss of every fold, that of the same fit in the other four folds, and the number of the fit.
    """
    elsewhere = in_other_folds(sums)
    judged = elsewhere + jnp.sqrt(in_other_folds(apart)) if bound == "fano" else elsewhere
    choice = jnp.argmin(judged, axis=1)
    loss, judgement = (jnp.take_along_axis(a, choice[:, None], axis=1)[:, 0] for a in (sums, elsewhere))
    return loss, judgement, choice


def best_subset(
    loss: Float[Array, "T P F"], elsewhere: Float[Array, "T P F"], late: Float[Array, "T _ F"] | None = None
) -> tuple[Float[Array, "T P F"], Int[Array, "T P F"]]:
    """The loss of every fold under the best of all subsets of T, T itself included, judged by the other four folds.

    T keeps its own fit unless another does better. Of several equally good others the one that loses most in the fold
    itself is taken: that depends on no order of nodes, and flatters nobody.

    The best subset of T is the better of T itself and the best subsets of T without one node. It is enough to go
    through the nodes once, and let every subset with the node compare itself with the one without it.

    Args:
        loss: of every subset and fold; T are the bitmasks 0 … 2ⁿ − 1.
        elsewhere: the loss of the same fit in the other four folds.
        late: what decides among subsets that lose equally much in the fold too, so that no order of nodes does; needed
            only by who looks at single rows.

    Returns:
        The losses, and the subset whose fit is taken.
    """
    nodes = len(loss).bit_length() - 1
    number = jnp.broadcast_to(jnp.arange(len(loss))[:, None, None], loss.shape)
    later = jnp.zeros_like(loss) if late is None else jnp.broadcast_to(late, loss.shape)

    def compare(_: Array, best: tuple[Array, ...]) -> tuple[Array, ...]:
        """Take the last node from all subsets, then make it the first of their bits: the others move up by one."""
        without, inside = zip(*(a.reshape(2, -1, *a.shape[1:]) for a in best), strict=True)
        better = without[2] > inside[2]
        better = (without[1] > inside[1]) | ((without[1] == inside[1]) & better)
        better = (without[0] < inside[0]) | ((without[0] == inside[0]) & better)
        judged = (jnp.where(better, a, b) for a, b in zip(without, inside, strict=True))
        return tuple(jnp.stack(pair, axis=1).reshape(loss.shape) for pair in zip(without, judged, strict=True))

    fewest, best_loss, _, source = jax.lax.fori_loop(0, nodes, compare, (elsewhere, loss, later, number))
    other = fewest < elsewhere
    return jnp.where(other, best_loss, loss), jnp.where(other, source, number)
