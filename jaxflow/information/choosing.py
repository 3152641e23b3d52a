"""Which fit every outer fold takes, judged by the held-out rows of the other four folds."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxflow.information.cross_validation import OUTER


def chosen_losses(
    sums: Float[Array, "T C P F"],
    apart: Float[Array, "T C P F"],
    concerned: Bool[Array, " T"],
    bound: str,
    every_subset: bool,
) -> Float[Array, "T P F"]:
    """The loss of every fold under the fit that it takes.

    Subsets that are not concerned take their first fit. The others take the best of their own fits, and where all
    subsets are listed that of any subset of them, if this does better.

    Args:
        sums: the losses of every fit in every fold; the five folds of a message are neighbours.
        apart: rows that a fit decides differently from the first.
        concerned: the subsets that choose.
        bound: see ``best_elsewhere``.
        every_subset: whether the subsets are the bitmasks 0 … 2ⁿ − 1 in this order.
    """
    concerned, first = concerned[:, None, None], sums[:, 0]
    best, judged = best_elsewhere(sums, apart, bound)
    own, elsewhere = jnp.where(concerned, best, first), jnp.where(concerned, judged, in_other_folds(first))
    return jnp.where(concerned, best_subset(own, elsewhere), own) if every_subset else own


def in_other_folds(sums: Float[Array, "*batch F"]) -> Float[Array, "*batch F"]:
    """The sum over the other four folds of a message; the five folds of a message are neighbours."""
    by_message = sums.reshape(*sums.shape[:-1], -1, OUTER)
    return (jnp.sum(by_message, axis=-1, keepdims=True) - by_message).reshape(sums.shape)


def best_elsewhere(
    sums: Float[Array, "T C P F"], apart: Float[Array, "T C P F"], bound: str
) -> tuple[Float[Array, "T P F"], Float[Array, "T P F"]]:
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
        The loss of every fold, and that of the same fit in the other four folds.
    """
    elsewhere = in_other_folds(sums)
    judged = elsewhere + jnp.sqrt(in_other_folds(apart)) if bound == "fano" else elsewhere
    choice = jnp.argmin(judged, axis=1)[:, None]
    loss, judgement = (jnp.take_along_axis(a, choice, axis=1)[:, 0] for a in (sums, elsewhere))
    return loss, judgement


def best_subset(loss: Float[Array, "T P F"], elsewhere: Float[Array, "T P F"]) -> Float[Array, "T P F"]:
    """The loss of every fold under the best of all subsets of T, T itself included, judged by the other four folds.

    T keeps its own fit unless another does better. Of several equally good others the one that loses most in the fold
    itself is taken: that depends on no order of nodes, and flatters nobody.

    The best subset of T is the better of T itself and the best subsets of T without one node. It is enough to go
    through the nodes once, and let every subset with the node compare itself with the one without it.

    Args:
        loss: of every subset and fold; T are the bitmasks 0 … 2ⁿ − 1.
        elsewhere: the loss of the same fit in the other four folds.
    """
    nodes = len(loss).bit_length() - 1

    def compare(_: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        """Take the last node from all subsets, then make it the first of their bits: the others move up by one."""
        (without, inside), (loss_without, loss_inside) = (a.reshape(2, -1, *a.shape[1:]) for a in best)
        better = (without < inside) | ((without == inside) & (loss_without > loss_inside))
        judged = jnp.where(better, without, inside), jnp.where(better, loss_without, loss_inside)
        pairs = zip((without, loss_without), judged, strict=True)
        joined = [jnp.stack(pair, axis=1).reshape(loss.shape) for pair in pairs]
        return joined[0], joined[1]

    fewest, best_loss = jax.lax.fori_loop(0, nodes, compare, (elsewhere, loss))
    return jnp.where(fewest < elsewhere, best_loss, loss)
