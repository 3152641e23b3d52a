"""Information by nearest neighbours: about classes by Ross (2014), about numbers by Kraskov et al. (2004).

A cross-check of the other estimators by another idea: no fit, no folds, no model of a density. It is no bound, and not
recommended for flows: in many columns neighbours are far away, and the value falls below the truth.

Ties are what such estimators mostly get wrong. Here every row has a radius, the distance to its k-th neighbour, and
every count is that of an open ball of this radius, the row itself included; where k others are equal to the row the
radius is 0, and the ball is the rows that are equal. Without ties both formulas are the published ones. Where all
values are repeated ones they are those of counting, with ψ(n) ≈ log n − 1/2n in the place of the logarithm, which takes
away the bias (K − 1)(L − 1)/2N of K classes and L values (compare Gao et al. 2017).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike
from scipy.special import digamma, ndtri

from jaxflow.batching import is_traced
from jaxflow.errors import InputError
from jaxflow.information.checks import checked, must_see_arrays
from jaxflow.information.estimates import Advance, Estimates, Options, columns_of, ignore, subset_members
from jaxflow.information.pairing import paired, with_values
from jaxflow.messages import Message, message_entropy
from jaxflow.values import whole

NEIGHBOURS = 3  # as scikit-learn has it: fewer are noisier, more reach further
MOST_NEIGHBOURS = 1_000


@dataclass(frozen=True)
class KnnOptions(Options):
    """Options of ``knn``: the number of neighbours."""

    neighbours: int = NEIGHBOURS

    def __post_init__(self) -> None:
        object.__setattr__(self, "neighbours", whole("neighbours", self.neighbours, 1, MOST_NEIGHBOURS))


def knn(
    message: ArrayLike | Message,
    activations: ArrayLike,
    *,
    given: ArrayLike | Message | None = None,
    groups: Any = None,
    subsets: Sequence[int] | None = None,
    neighbours: int = NEIGHBOURS,
) -> Float[Array, "*batch T"]:
    """I(M; X_T) by nearest neighbours, in bits, for all 2ⁿ subsets T: a cross-check of the other estimators.

        classes    I = ψ(N) − ⟨ψ(N_m)⟩ + ⟨ψ(n_own) − ψ(n_all)⟩        Ross 2014
        numbers    I = ψ(N) + ⟨ψ(n_joint) − ψ(n_x) − ψ(n_m)⟩          Kraskov, Stögbauer and Grassberger 2004, eq. 8

    ψ is the digamma function, ⟨ ⟩ the mean over rows, and n counts the rows in an open ball about a row, itself among
    them, in the largest of the columns' distances. Its radius reaches to the k-th neighbour, among the rows of the own
    class, or in activations and message together; n_own and n_joint are then k, unless values are repeated. Every
    column is replaced by normal scores of its mid-ranks first, so that no monotone map of a column changes anything,
    and constant columns and copies of columns change nothing. A class of a single row, which has no neighbour, is
    left out as scikit-learn does. Nothing is drawn at random.

    **It is no bound, and not recommended for flows.** It is there to be compared with. Values lie above the truth by
    chance as often as below it where columns are few, and far below it where they are many: docs/truth.md says how far.

    Args:
        message: classes ``[..., N]``; or numbers ``[..., N]`` or ``[..., N, d]``.
        activations: ``[..., N, n]``: samples on axis −2; leading axes broadcast against the message's.
        given: classes ``[N]`` to condition on: the mean of the strata's bits, Σ_g P(g) I(M; X_T | G = g).
        groups: the number of the node that every column belongs to; every column is a node if not given.
        subsets: bitmasks to estimate; all 2ⁿ if not given.
        neighbours: k; in a class of fewer rows as many as it has.

    Returns:
        Bits ``[..., 2**n]``, or one for each of ``subsets``, at least 0; about classes at most H(M), or H(M | G).

    Raises:
        InputError: shapes that do not fit, a continuous condition, NaN or infinity, no number of neighbours.

    Example:
        >>> message = np.arange(300) % 3
        >>> activations = (message * message)[:, None] + 0.1 * np.sin(np.arange(300.0))[:, None]
        >>> bits = knn(message, activations)  # log2(3) = 1.585 is all there is to know
        >>> float(bits[0]), bool(1.5 < bits[1] < 1.586)
        (0.0, True)
    """
    options = KnnOptions(neighbours).as_json()
    inputs = checked(message, activations, given=given, groups=groups)
    check_condition(inputs.message)
    if is_traced((inputs.message, inputs.activations)):
        raise InputError(must_see_arrays("an estimator by nearest neighbours"))
    pairs = paired(inputs.message, inputs.activations)
    members = subset_members(max(inputs.groups) + 1 if inputs.groups else pairs.layers.shape[-1], subsets)

    def one(layer: Array, values: Array) -> np.ndarray:
        about = {"m": with_values(pairs.messages, values)}
        return np.asarray(estimate(layer[None], about, members, groups=inputs.groups, **options)["m"].bits)[:, 0]

    each = [one(layer, values) for layer, values in zip(pairs.layers, pairs.messages.values, strict=True)]
    return pairs.placed(jnp.asarray(np.stack(each), pairs.layers.dtype))


def check_condition(message: Message, name: str = "the message") -> None:
    """Refuse to condition on numbers.

    Args:
        message: of any kind.
        name: what the refusal calls it.

    Raises:
        InputError: what is given is continuous; the refusal names the estimators that take it.
    """
    if message.given is not None and not message.strata:
        raise InputError(
            f"what is given beside {name} is continuous, and knn conditions on classes only: use the gaussian or copula"
            " estimator, which take numbers, or bin them into classes"
        )


def estimate(
    layers: Float[Array, "S N c"],
    messages: Mapping[str, Message],
    members: Bool[np.ndarray, "T n"],
    *,
    groups: tuple[int, ...] | None = None,
    neighbours: int = NEIGHBOURS,
    draws: Mapping[str, Any] | None = None,
    advance: Advance = ignore,
) -> dict[str, Estimates]:
    """The stack protocol of ``knn``, see ``jaxflow.information.Estimate``. There is nothing to search."""
    del draws
    stack, columns = np.asarray(layers), columns_of(members, groups)
    found = {}
    for name, message in messages.items():
        check_condition(message, name)
        bits = np.zeros((len(message.values), len(stack), len(members)))
        for place, layer in enumerate(stack):
            bits[:, place] = _averaged(message, layer, columns, neighbours)
            advance(len(members))
        found[name] = Estimates(bits)
    return found


def _averaged(
    message: Message, layer: np.ndarray, columns: Bool[np.ndarray, "T c"], neighbours: int
) -> Float[np.ndarray, "P T"]:
    """Σ_g P(g) I(M; X_T | G = g) about a message and its permutations; rows of no stratum do not count."""
    values = np.asarray(message.values)
    strata = np.asarray(message.given) if message.strata else np.zeros(len(layer), int)
    total = np.zeros((len(values), len(columns)))
    for stratum in range(max(1, message.strata)):
        rows = strata == stratum
        if rows.any():
            total += np.sum(rows) * _of_rows(values[:, rows], layer[rows], columns, neighbours, message.continuous)
    return total / max(1, np.sum(strata >= 0))


def _of_rows(
    values: np.ndarray, layer: np.ndarray, columns: Bool[np.ndarray, "T c"], neighbours: int, continuous: bool
) -> Float[np.ndarray, "P T"]:
    """Bits about messages from all rows. Columns that are constant belong to no subset."""
    scores = normal_scores(layer)
    subsets, place = np.unique(columns & (np.ptp(scores, axis=0) > 0), axis=0, return_inverse=True)
    about, bits = about_numbers if continuous else about_classes, np.zeros((len(values), len(subsets)))
    for subset, chosen in enumerate(subsets):
        if chosen.any():
            bits[:, subset] = [about(own, scores[:, chosen], neighbours) for own in values]
    return bits[:, place.ravel()]


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Φ⁻¹((mid-rank − ½) / N) of every column ``[N, c]`` in double precision; 0 where it is constant."""

    def scored(column: np.ndarray) -> np.ndarray:
        _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        return ndtri((np.cumsum(counts) - counts / 2) / len(column))[place]

    return np.stack([scored(column) for column in x.T], axis=1)


def about_classes(message: np.ndarray, x: np.ndarray, neighbours: int) -> float:
    """Bits about classes ``[N]`` in columns ``[N, c]``, by Ross (2014), between 0 and H(M)."""
    _, place, sizes = np.unique(message, return_inverse=True, return_counts=True)
    kept = sizes[place] > 1
    if len(sizes) == 1 or not kept.any():
        return 0.0
    if not kept.all():
        return about_classes(message[kept], x[kept], neighbours)
    radius, within = np.zeros(len(x)), np.zeros(len(x))
    for number, size in enumerate(sizes):
        rows = place == number
        members = tree_of(x[rows])
        radius[rows] = distances(members, x[rows], min(neighbours, int(size) - 1))
        within[rows] = counts(members, x[rows], radius[rows])
    among = digamma(within) - digamma(counts(tree_of(x), x, radius)) - digamma(sizes[place])
    return float(np.clip((digamma(len(x)) + among.mean()) / math.log(2), 0, message_entropy(place)))


def about_numbers(message: np.ndarray, x: np.ndarray, neighbours: int) -> float:
    """Bits about numbers ``[N, d]`` in columns ``[N, c]``, by Kraskov et al. (2004), at least 0."""
    m = normal_scores(message)
    if len(m) == 1 or not np.ptp(m, axis=0).any():
        return 0.0
    joint = np.column_stack([x, m])
    together = tree_of(joint)
    radius = distances(together, joint, min(neighbours, len(m) - 1))
    among = digamma(counts(together, joint, radius))
    among -= digamma(counts(tree_of(x), x, radius)) + digamma(counts(tree_of(m), m, radius))
    return max(0.0, float(digamma(len(m)) + among.mean()) / math.log(2))


def tree_of(x: np.ndarray) -> Any:
    """SciPy's tree of the rows, imported when it is used: the import takes longer than one estimate."""
    from scipy.spatial import cKDTree

    return cKDTree(x)


def distances(tree: Any, x: np.ndarray, neighbour: int) -> np.ndarray:
    """How far the k-th other row of a tree is from each of its rows; 0 where so many are equal to it."""
    return tree.query(x, [neighbour + 1], p=np.inf)[0][:, 0]


def counts(tree: Any, x: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Rows of a tree that are nearer than the radius to each row, itself included; equal ones where it is 0."""
    return tree.query_ball_point(x, np.nextafter(radius, 0), p=np.inf, return_length=True)
