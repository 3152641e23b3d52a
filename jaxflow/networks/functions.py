"""Networks of one's own, given by two functions: activations from parameters, and where the kernels lie in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxflow.arrays import as_key
from jaxflow.errors import InputError, shown
from jaxflow.networks.contract import Groups, Network, Params
from jaxflow.networks.leaves import empty_leaf, floating_leaves


def network(
    activations: Callable[[Params, Any], Sequence[Any]],
    kernels: Callable[[Params], Sequence[Any]],
    init: Callable[[Array, Any], Params] | None = None,
    transposed: bool = False,
    groups: Sequence[Any] | None = None,
    biases: Callable[[Params], Sequence[Any]] | None = None,
) -> Network:
    """A network of any framework, from what it computes and where its weights lie.

    Parameters are any pytree: dictionaries of Flax or PyTorch's ``state_dict`` as arrays, the state of an NNX module,
    an Equinox module filtered to its arrays, a list of NumPy arrays. Flows, rankings, selections and pruning then work
    on it as on ``mlp``, many networks at a time where their parameters are stacked.

    A kernel is ``[n_l, n_{l+1}]``, source → target, or ``[n_{l+1}, n_l]`` if ``transposed``. With further axes it holds
    a block of parameters for every edge: ``[height, width, n_l, n_{l+1}]``, or ``[n_{l+1}, n_l, height, width]`` if
    ``transposed``. The edge's weight is then the block's Frobenius norm, and pruning the edge prunes the block.

    Args:
        activations: (params, x) → what every layer transmits, ``[N, n_l]``, the input first and the output last; layers
            with further axes are flattened to columns, which ``groups`` then names.
        kernels: params → the kernels between neighbouring layers. It may pick leaves, transpose, reshape and join them,
            and do nothing else: ``spread`` lays values onto the leaves by its transpose.
        init: (key, x) → fresh parameters; only training needs it.
        transposed: whether the kernels are target × source, as PyTorch and Equinox keep them.
        groups: for every layer the node of every column, or None where every column is its own node.
        biases: params → what is added to the input of every node ``[n_l]``, for every layer but the first; it picks
            leaves as ``kernels`` does. Only ablations that put something in a signal's place need it.

    Returns:
        A ``Network``, equal to another one of the same functions.

    Raises:
        InputError: no functions, or groups that are no node numbers 0, 1, ….

    Example:
        >>> own = network(
        ...     activations=lambda params, x: (x, h := jnp.tanh(x @ params["w"].T), h @ params["v"].T),
        ...     kernels=lambda params: (params["w"], params["v"]),
        ...     transposed=True,
        ... )
        >>> params = {"w": np.ones((4, 3), np.float32), "v": np.ones((2, 4), np.float32)}
        >>> [w.shape for w in own.weights(params)]
        [(3, 4), (4, 2)]
    """
    functions = {"activations": activations, "kernels": kernels, "init": init, "biases": biases}
    for name, function in functions.items():
        if not callable(function) and not (function is None and name in ("init", "biases")):
            raise InputError(f"{name} must be a function of the parameters, not {shown(function)}")
    nodes = None if groups is None else _nodes(groups)
    return FunctionNetwork(activations, kernels, init, bool(transposed), nodes, biases)


@dataclass(frozen=True)
class FunctionNetwork(Network):
    """What ``network`` returns: the generic way to do everything that the contract asks for.

    Attributes:
        of_params: the function ``activations``.
        kernels: the function of the same name.
        fresh: the function ``init``, or None.
        transposed: whether the kernels are target × source.
        groups: nodes of the columns.
        biases: the function of the same name, or None.
    """

    of_params: Callable[[Params, Any], Sequence[Any]]
    kernels: Callable[[Params], Sequence[Any]]
    fresh: Callable[[Array, Any], Params] | None = None
    transposed: bool = False
    groups: Groups | None = None
    biases: Callable[[Params], Sequence[Any]] | None = None

    def activations(self, params: Params, x: Any) -> tuple[Array, ...]:
        """See ``Network``; layers of more than two axes are flattened."""
        layers = (jnp.asarray(layer) for layer in self.of_params(params, x))
        return tuple(layer.reshape(len(layer), -1) if layer.ndim > 2 else layer for layer in layers)

    def weights(self, params: Params) -> list[Any]:
        """See ``Network``."""
        return [_norm(block) for block in self._blocks(params)]

    def spread(self, params: Params, values: Sequence[Any]) -> Params:
        """See ``Network``: the transpose of the linear map from the parameters to the kernels."""
        leaves, rebuild = floating_leaves(params)
        dtype = jnp.result_type(values[0])
        blocks, transpose = jax.vjp(lambda own: self._blocks(rebuild(own)), leaves)
        wide = [jnp.broadcast_to(v, b.shape).astype(b.dtype) for v, b in zip(values, blocks, strict=True)]
        (laid,) = transpose(wide)
        # a parameter that realises two edges, as tied weights do, is selected with either of them
        typed = [own != 0 if jnp.issubdtype(dtype, jnp.bool_) else own.astype(dtype) for own in laid]
        return rebuild(typed, lambda leaf: empty_leaf(leaf, dtype))

    def shift(self, params: Params, values: Sequence[Any]) -> Params:
        """See ``Network``: values laid onto the leaves of the biases, by the transpose of the map to them."""
        if self.biases is None:
            return super().shift(params, values)
        of_params, (leaves, rebuild) = self.biases, floating_leaves(params)
        found, transpose = jax.vjp(lambda own: [jnp.asarray(bias) for bias in of_params(rebuild(own))], leaves)
        if [bias.shape for bias in found] != [jnp.shape(value) for value in values]:
            shapes = [list(bias.shape) for bias in found]
            raise InputError(f"biases must give one vector for every layer but the input, [n_l] each, not {shapes}")
        (laid,) = transpose([jnp.asarray(v, b.dtype) for v, b in zip(values, found, strict=True)])
        return rebuild([leaf + own for leaf, own in zip(leaves, laid, strict=True)])

    def init(self, key: Array, x: Any) -> Params:
        """See ``Network``."""
        return super().init(key, x) if self.fresh is None else self.fresh(as_key(key), x)

    def _blocks(self, params: Params) -> list[Array]:
        """The kernels as ``[..., n_l, n_{l+1}]``."""
        kernels = [jnp.asarray(kernel) for kernel in self.kernels(params)]
        return [jnp.moveaxis(kernel, (1, 0), (-2, -1)) if self.transposed else kernel for kernel in kernels]


def _norm(block: Any) -> Any:
    """The weight of every edge: its one parameter, sign and all, or the Frobenius norm of several."""
    return block if block.ndim == 2 else jnp.sqrt(jnp.sum(block**2, axis=tuple(range(block.ndim - 2))))


def _nodes(groups: Sequence[Any]) -> Groups:
    """Node numbers as plain tuples."""
    layers = [None if layer is None else np.asarray(layer) for layer in groups]
    for layer in layers:
        if layer is None:
            continue
        whole = layer.ndim == 1 and layer.size > 0 and np.issubdtype(layer.dtype, np.integer)
        if not whole or set(layer.tolist()) != set(range(int(layer.max()) + 1)):
            raise InputError("groups must give every column of a layer its node's number, 0, 1, …, none left out")
    return tuple(None if layer is None else tuple(map(int, layer)) for layer in layers)
