"""The contract of a network: what an analysis must know of one, and nothing more.

Every method handles one network; whoever has many maps over their stacked parameters.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxflow.batching import batched_map
from jaxflow.errors import InputError, counted, shown
from jaxflow.networks.leaves import is_floating

Params: TypeAlias = Any  # any pytree whose weights are floating arrays
Groups: TypeAlias = tuple[tuple[int, ...] | None, ...]
NO_BIASES = "this network does not say where its biases lie: give jaxflow.network a function, biases="


class Network(ABC):
    """A network as analyses see it: layers of nodes, and a weight for every edge between neighbouring layers.

    A network is hashable and holds no parameters, so that functions compiled for it are traced once for all seeds.
    Whoever writes one defines ``activations``, ``weights`` and ``spread``; the other methods have defaults, which a
    network overrides where it can do better, and ``shift`` is for ablations other than zero alone.
    ``jaxflow.network`` makes one from two functions.

    Attributes:
        groups: for every layer the node of every column, or None where every column is its own node; None for all
            layers alike. A channel of a convolutional layer is a node of several columns.

    Example:
        >>> class Linear(Network):
        ...     def activations(self, params, x):
        ...         return x, x @ params
        ...
        ...     def weights(self, params):
        ...         return [params]
        ...
        ...     def spread(self, params, values):
        ...         return values[0]
        >>> [a.shape for a in Linear().activations(jnp.ones((3, 2)), jnp.ones((5, 3)))]
        [(5, 3), (5, 2)]
    """

    groups: Groups | None = None

    @abstractmethod
    def activations(self, params: Params, x: Any) -> tuple[Array, ...]:
        """What every layer transmits: the input, the hidden layers after their non-linearity, and the output last.

        Args:
            params: of one network.
            x: features ``[N, ...]``.
        """

    @abstractmethod
    def weights(self, params: Params) -> list[Any]:
        """The weight of every edge, ``[n_l, n_{l+1}]`` source → target for every layer but the output.

        The weight of an edge that is a block of parameters is the block's Frobenius norm.
        """

    @abstractmethod
    def spread(self, params: Params, values: Sequence[Any]) -> Params:
        """Lay one value per edge onto the parameters that realise the edge, and zeros onto all others.

        Args:
            params: of one network.
            values: for every layer one value per edge ``[n_l, n_{l+1}]``: booleans make a selection.

        Returns:
            A pytree like ``params`` with the values' type.
        """

    def shift(self, params: Params, values: Sequence[Any]) -> Params:
        """Parameters under which the input of every node, before its non-linearity, is larger by a value.

        What an ablated edge transmits in the place of its signal is added to its target in this way.

        Args:
            params: of one network.
            values: ``[n_l]`` for every layer but the input.

        Raises:
            InputError: the network does not say where its biases lie.
        """
        del params, values
        raise InputError(NO_BIASES)

    def init(self, key: Array, x: Any) -> Params:
        """Fresh parameters for inputs like ``x``; only training needs them.

        Raises:
            InputError: the network was made without.
        """
        del key, x
        raise InputError("this network has no init(key, x), so that jaxflow cannot train it; hand in trained params")

    def start(self, params: Params, x: Any, layer: int) -> Any:
        """What interventions from ``layer`` on need of an unpruned network, to be computed once.

        By default None: ``resume`` begins at x.
        """
        del params, x, layer

    def resume(self, params: Params, x: Any, start: Any, layer: int) -> tuple[Array, ...]:
        """``activations(params, x)[layer:]``, where ``params`` differ from those of ``start`` only from ``layer`` on.

        Args:
            params: of one network, pruned perhaps.
            x: features.
            start: what ``start(params, x, layer)`` gave.
            layer: the first layer to return.
        """
        del start
        return self.activations(params, x)[layer:]

    def logits_without(
        self, params: Params, x: Any, start: Any, layer: int, edges: Int[Array, "G 3"]
    ) -> Float[Array, "G N c"]:
        """The output without each of the edges alone: what pruning it by the factor 0 gives, but for rounding.

        Args:
            params: of one network.
            x: features.
            start: what ``start(params, x, layer)`` gave.
            layer: no edge lies before it.
            edges: (layer, source, target), layers counted from the input.
        """
        widths = [w.shape for w in self.weights(params)]
        shapes = jax.eval_shape(self.activations, params, x)

        def without(edge: Array, params: Params, x: Any, start: Any) -> Array:
            chosen = [_one_edge(edge, own, *shape) for own, shape in enumerate(widths)]
            removed = jax.tree.map(_zero_where, params, self.spread(params, chosen))
            return self.resume(removed, x, start, layer)[-1]

        return batched_map(without, edges, 8 * sum(a.size for a in shapes), params, x, start)

    def logits_shifted(
        self, params: Params, x: Any, start: Any, layer: int, shifts: Sequence[Float[Array, "_ _"]]
    ) -> Float[Array, "N c"]:
        """The output where the inputs of nodes are larger by a value in every row, see ``shift``.

        Args:
            params: of one network, pruned from ``layer`` on perhaps.
            x: features.
            start: what ``start(params, x, layer)`` gave.
            layer: its nodes are the last that stay as they are.
            shifts: ``[1, m]`` or ``[N, m]`` for every layer after it.

        Raises:
            InputError: nodes of several columns, or a network that does not say where its biases lie.
        """
        del start
        if any(groups is not None for groups in self.groups or ()):
            raise InputError("what a node transmits is one number in every row, which it is not of several columns")
        before = [jnp.zeros(w.shape[1:], shifts[0].dtype) for w in self.weights(params)[:layer]]

        def of_rows(x: Array, shifts: Sequence[Array]) -> Array:
            return self.activations(self.shift(params, [*before, *shifts]), x)[-1]

        x = jnp.asarray(x)
        if max(len(own) for own in shifts) == 1:
            return of_rows(x, [own[0] for own in shifts])
        return jax.vmap(lambda row, own: of_rows(row[None], own)[0])(x, list(shifts))

    def packed(self, params: Params) -> Params:
        """The parameters as training carries them; by default as they are."""
        return params

    def unpacked(self, packed: Params) -> Params:
        """The inverse of ``packed``."""
        return packed

    def packed_activations(self, packed: Params, x: Any) -> tuple[Array, ...]:
        """``activations`` from packed parameters."""
        return self.activations(packed, x)


def _one_edge(edge: Int[Array, "3"], layer: int, sources: int, targets: int) -> Array:
    """True at one edge, if it lies in this layer."""
    source, target = jnp.arange(sources)[:, None] == edge[1], jnp.arange(targets)[None] == edge[2]
    return (edge[0] == layer) & source & target


def _zero_where(w: Any, chosen: Any) -> Any:
    """The floating leaf with zeros where chosen."""
    return jnp.where(chosen, jnp.zeros_like(w), w) if is_floating(w) else w


def layer_sizes(weights: Sequence[Any]) -> tuple[int, ...]:
    """Nodes of every layer, input and output included, from the weights between them."""
    return (*(w.shape[-2] for w in weights), weights[-1].shape[-1])


SEVERAL = "these are parameters of several networks: hand the function to map_networks, which takes one at a time"


def activations_of(network: Network, params: Params, x: Any) -> tuple[Array, ...]:
    """``network.activations`` of one network's parameters.

    Raises:
        InputError: the parameters are those of several networks.
    """
    try:
        layers = network.activations(params, x)
    except Exception:  # what a foreign network raises
        refuse_several(network, params, x)
        raise
    if any(jnp.ndim(layer) != 2 or len(layer) != len(x) for layer in layers):
        refuse_several(network, params, x)
    return layers


def refuse_several(network: Network, params: Params, x: Any) -> None:
    """Where a network does not fit its parameters: say so if it would fit those of the first of several networks.

    Raises:
        InputError: all leaves have a leading axis of one length, and without it the network works.
    """
    leaves = jax.tree.leaves(params)
    lengths = {tuple(leaf.shape[:1]) for leaf in leaves if hasattr(leaf, "shape")}
    if len(lengths) != 1 or lengths <= {(), (0,)}:
        return
    one = jax.tree.map(lambda leaf: leaf[0] if hasattr(leaf, "shape") else leaf, params)
    try:
        _check_layers(network, one, x)
    except Exception:  # then something else is wrong
        return
    raise InputError(SEVERAL) from None


def check_fit(network: Network, params: Params, x: Any) -> None:
    """Refuse a network whose activations and weights do not go together, before anything is computed.

    Args:
        network: to be checked.
        params: of one network.
        x: features.

    Raises:
        InputError: layers and weights differ in number or size, activations are no ``[N, n]``, parameters are no arrays
            or those of several networks.
    """
    try:
        _check_layers(network, params, x)
    except Exception:  # what a foreign network raises, too
        refuse_several(network, params, x)
        raise


def _check_layers(network: Network, params: Params, x: Any) -> None:
    """``check_fit`` of what is taken for one network's parameters."""
    for leaf in jax.tree.leaves(params):
        if not hasattr(leaf, "dtype") and not isinstance(leaf, (bool, int, float)):
            raise InputError(f"the parameters hold {shown(leaf)}, which is no array; keep a module's arrays alone")
    activations = jax.eval_shape(network.activations, params, x)
    weights = jax.eval_shape(network.weights, params)
    if len(weights) != len(activations) - 1 or not weights:
        raise InputError(
            f"{len(activations)} layers need {counted(len(activations) - 1, 'kernel')} between them, not {len(weights)}"
        )
    groups = network.groups or (None,) * len(activations)
    if len(groups) != len(activations):
        raise InputError(f"groups must name the nodes of {len(activations)} layers or be None, not of {len(groups)}")
    nodes = []
    for layer, (own, columns) in enumerate(zip(activations, groups, strict=True)):
        if len(own.shape) != 2 or (columns is not None and len(columns) != own.shape[1]):
            expected = "_" if columns is None else len(columns)
            raise InputError(f"activations of layer {layer} must be [N, {expected}], not {list(own.shape)}")
        nodes.append(own.shape[1] if columns is None else max(columns) + 1)
    for layer, own in enumerate(weights):
        if own.shape != (nodes[layer], nodes[layer + 1]):
            raise InputError(
                f"the weights from layer {layer} must be [{nodes[layer]}, {nodes[layer + 1]}], source → target, not"
                f" {list(own.shape)}; transposed=True takes kernels [target, source], groups= names columns' nodes"
            )
