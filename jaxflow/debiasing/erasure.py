"""LEACE: the least change of a layer after which no linear function of it tells an attribute (Belrose et al. 2023)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxflow.debiasing.gaps import Sample, classes_of
from jaxflow.errors import InputError
from jaxflow.information.columns import coordinates, orthonormalised, standardised
from jaxflow.information.matrices import one_by_one
from jaxflow.information.recursion import DETERMINED, nonzero
from jaxflow.messages import Message
from jaxflow.networks import Network, Params, activations_of
from jaxflow.networks.leaves import is_floating
from jaxflow.values import whole

HIGHEST = jax.lax.Precision.HIGHEST


class Eraser(NamedTuple):
    """The affine map h ↦ μ + (h − μ) M of a layer's activations, rows of ``[N, n]``.

    Attributes:
        mean: μ ``[n]``, of the rows that it was fitted on.
        matrix: M ``[n, n]``, a projection: M M = M.

    Example:
        >>> eraser = Eraser(mean=jnp.array([1.0, 2.0]), matrix=jnp.array([[1.0, 0.0], [0.0, 0.0]]))
        >>> eraser(jnp.array([[5.0, 7.0]])).tolist()
        [[5.0, 2.0]]
    """

    mean: Float[Array, " n"]
    matrix: Float[Array, "n n"]

    def __call__(self, activations: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """The activations without what tells the attribute linearly."""
        return self.mean[None] + jnp.matmul(activations - self.mean[None], self.matrix, precision=HIGHEST)


def leace(activations: Any, attribute: Any) -> Eraser:
    """The least change of a layer after which its means are the same in all groups of an attribute.

    h ↦ h − W⁺ P W (h − μ), with W a whitening of the activations (the pseudo-inverse of their covariance's root) and P
    the orthogonal projection onto the columns of W Cov(h, z), z the indicators of the attribute's classes (Belrose et
    al. 2023). Of all affine maps after which Cov(h, z) = 0 it changes h least, in the mean square of every norm.
    Gaussian information about the attribute, which sees no more than the groups' means, is then 0 in every subset of
    the nodes; what the groups' covariances tell stays. Of a conditioned attribute the means are the same in every
    stratum.

    Nothing singular is inverted. What the columns tell of each other but for a thousandth of their deviation, as
    ``gaussian`` has it, is replaced by its mean, which changes next to nothing on these rows. Constant columns, such as
    of dead units, stay as they are.

    Args:
        activations: of one layer ``[N, n]``.
        attribute: classes ``[N]``, an array or a ``Message``, conditioned on classes perhaps.

    Returns:
        The eraser, a function of activations ``[N, n]``.

    Raises:
        InputError: an attribute of numbers, or of another length.

    Example:
        >>> z = jnp.arange(100) % 2
        >>> x = jax.random.normal(jax.random.key(0), (100, 3)) + z[:, None].astype(float)
        >>> erased = leace(x, z)(x)
        >>> bool(jnp.allclose(erased[::2].mean(axis=0), erased[1::2].mean(axis=0), atol=1e-5))
        True
    """
    x, z = jnp.asarray(activations), classes_of("attribute", attribute)
    if jnp.shape(z.values) != x.shape[:1]:
        raise InputError(f"the attribute must hold the class of each of the {len(x)} rows")
    unit = standardised(x.T)
    basis, factor = orthonormalised(unit)
    left, sizes, right = _singular(factor)
    kept = sizes > DETERMINED**0.5
    white = jnp.matmul(left.T, coordinates(_indicators(z, x.dtype), basis)[0], precision=HIGHEST)
    stays = _complement(jnp.where(kept[:, None], white, 0).T, jnp.diag(kept.astype(x.dtype)))
    # I − P as a product of what stays, not as a difference, of which rounding would be left where nothing stays
    whitening, colouring = (
        jnp.matmul(stays, own[:, None] * right, precision=HIGHEST)
        for own in (jnp.where(kept, 1 / nonzero(sizes), 0), sizes)
    )
    dead = jnp.diag(jnp.all(unit == 0, axis=1).astype(x.dtype))
    mean = jnp.mean(x, axis=0)
    mean = mean + jnp.mean(x - mean[None], axis=0)  # the first one's rounding, where x lies far off 0
    norms = nonzero(jnp.sum((x - mean[None]).T * unit, axis=1))
    units = norms[None] / norms[:, None]  # from the standardised columns to those of x
    return Eraser(mean, units * jnp.matmul(whitening.T, colouring, precision=HIGHEST) + dead)


def _complement(taken: Float[Array, "d n"], rows: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """Orthonormal rows that span what the rows do and the taken ones do not; the others are 0."""
    return orthonormalised(jnp.concatenate([taken, rows]))[0][len(taken) :]


def _indicators(attribute: Message, dtype: Any) -> Float[Array, "d N"]:
    """Indicators of an attribute's classes, centred within every stratum and 0 outside of it, as rows of norm 1.

    What is uncorrelated with all of them has the same mean in all groups of a stratum.
    """
    z = jax.nn.one_hot(attribute.values, attribute.classes, dtype=dtype, axis=0)
    if not attribute.strata:
        return standardised(z)
    strata = jnp.arange(attribute.strata)[:, None] == jnp.asarray(attribute.given)[None]
    return jax.vmap(lambda rows: standardised(z, rows))(strata).reshape(-1, z.shape[1])


@one_by_one
def _singular(factor: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Float[Array, " n"], Float[Array, "n n"]]:
    """U, s and Vᵀ of a square matrix."""
    left, sizes, right = jnp.linalg.svd(factor)
    return left, sizes, right


def erase(network: Network, params: Params, rows: Sample, layer: int) -> Params:
    """Parameters under which a layer transmits its erased activations: LEACE folded into the next kernel and bias.

    With the eraser h ↦ μ + (h − μ) M of ``leace``, the next layer's input h K + b becomes h (M K) + (b + (μ − μ M) K):
    an ordinary network with other parameters. Its ``activations`` show the layer as it was; it is what the layer's
    edges transmit of it that changes.

    Args:
        network: of dense kernels, one parameter for every edge, that says where its biases lie (``Network.shift``).
        params: of one network; ``map_networks`` or ``jax.vmap`` take many.
        rows: that the eraser is fitted on; their label is not looked at.
        layer: whose activations are erased: 0 is the input, −1 the last hidden layer.

    Returns:
        Parameters like ``params``.

    Raises:
        InputError: nodes of several columns, no such layer, a network that does not say where its biases lie; an
            attribute of numbers, or of another length.

    Example:
        >>> network, x = mlp(hidden=(3,)), jax.random.normal(jax.random.key(1), (200, 2))
        >>> params, z = network.init(jax.random.key(0), x), (x[:, 0] > 0).astype(int)
        >>> logits = network.activations(erase(network, params, Sample(x, None, z), layer=1), x)[-1]
        >>> bool(jnp.allclose(logits[z == 0].mean(axis=0), logits[z == 1].mean(axis=0), atol=1e-5))
        True
    """
    activations, weights = activations_of(network, params, rows.x), network.weights(params)
    layer = whole("layer", layer, -len(weights), len(weights) - 1) % len(weights)
    if network.groups is not None:
        raise InputError("LEACE erases from columns, each of which must be a node: this network has nodes of several")
    mean, matrix = leace(activations[layer], rows.attribute)
    kernel = jnp.asarray(weights[layer])
    kernels = [jnp.zeros_like(w) for w in weights]
    kernels[layer] = jnp.matmul(matrix, kernel, precision=HIGHEST) - kernel
    biases = [jnp.zeros(w.shape[1], w.dtype) for w in weights]
    biases[layer] = jnp.matmul(mean - jnp.matmul(mean, matrix, precision=HIGHEST), kernel, precision=HIGHEST)
    changed = jax.tree.map(_added, params, network.spread(params, kernels))
    return network.shift(changed, biases)


def _added(leaf: Any, change: Any) -> Any:
    """The sum of floating leaves; others are left alone."""
    return leaf + change if is_floating(leaf) else leaf
