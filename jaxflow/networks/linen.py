"""Networks from Flax linen modules: layers are what the module sows, kernels are found by name."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
from jaxtyping import Array

from jaxflow.errors import InputError, alternatives, shown
from jaxflow.networks.contract import Network, Params
from jaxflow.networks.functions import network

OUTPUT = "__call__"  # under which Flax captures what a submodule returns


def flax_network(
    module: nn.Module,
    layers: Sequence[str] | None = None,
    kernels: Sequence[str] | Callable[[Params], Sequence[Any]] | None = None,
    *,
    groups: Sequence[Any] | None = None,
) -> Network:
    """A network from a Flax linen module that returns its logits and sows what its hidden layers transmit.

    The module's hidden layers are its intermediates: what it sows by ``self.sow("intermediates", name, h)``, or what a
    submodule returns. Sow *after* the non-linearity: a flow belongs to the values that the outgoing weights multiply.

    Args:
        module: called with x alone; it returns logits ``[N, c]``. Modules with dropout or batch normalisation are made
            for inference (``deterministic=True``, ``use_running_average=True``).
        layers: paths of the hidden layers among the intermediates, such as ``"block/h"``; the name of a submodule
            stands for what it returns. By default everything sown, in the order in which it is sown.
        kernels: names of the submodules whose ``kernel`` lies between neighbouring layers, in their order; or a
            function of the parameters, as in ``network``. By default every leaf named ``kernel``, in the natural order
            of their paths (``Dense_2`` before ``Dense_10``).
        groups: nodes of the columns of every layer, as in ``network``.

    Returns:
        A network whose parameters are what ``module.init`` returns under ``params``, or, for modules with further
        collections such as ``batch_stats``, all of what it returns.

    Raises:
        InputError: no linen module, a layer that it does not have, or more than one array returned.

    Example:
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         h = nn.tanh(nn.Dense(4)(x))
        ...         self.sow("intermediates", "hidden", h)
        ...         return nn.Dense(2)(h)
        >>> own, x = flax_network(Net()), jnp.ones((5, 3))
        >>> params = own.init(jax.random.key(0), x)
        >>> [layer.shape for layer in own.activations(params, x)]
        [(5, 3), (5, 4), (5, 2)]
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"flax_network takes a flax.linen module, not {shown(module)}; jaxflow.network takes others")
    sown = _Sown(module, None if layers is None else tuple(layers))
    if callable(kernels):
        return network(sown, kernels, _Fresh(module), groups=groups)
    names = None if kernels is None else tuple(kernels)
    return network(sown, _Kernels(names), _Fresh(module), groups=groups, biases=_Biases(names))


@dataclass(frozen=True)
class _Sown:
    """(params, x) → input, intermediates and output; equal for equal modules, so that equal networks share a trace."""

    module: nn.Module
    layers: tuple[str, ...] | None

    def __call__(self, params: Params, x: Array) -> tuple[Any, ...]:
        variables = params if _has_collections(params) else {"params": params}
        output, state = self.module.apply(
            variables, x, mutable=["intermediates"], capture_intermediates=self.layers is not None
        )
        found: dict[str, tuple[Any, ...]] = dict(_paths(dict(state).get("intermediates") or {}))
        if not hasattr(output, "shape"):
            raise InputError(
                f"the module must return its logits alone, not a {type(output).__name__}; sow its hidden layers"
            )
        hidden: list[Any] = []
        for name in found if self.layers is None else self.layers:
            values = found.get(name, found.get(f"{name}/{OUTPUT}"))
            if values is None:
                hint = alternatives(name, found) if found else "it has none"
                raise InputError(f"the module has no intermediate {shown(name)}; {hint}")
            hidden += values
        return x, *hidden, output


@dataclass(frozen=True)
class _Kernels:
    """Params → kernels of the named submodules, or of all."""

    names: tuple[str, ...] | None

    def __call__(self, params: Params) -> list[Any]:
        return list(self.by_name(params).values())

    def by_name(self, params: Params) -> dict[str, Any]:
        """The kernels with the names of their submodules."""
        leaves = dict(_paths(params["params"] if _has_collections(params) else params))
        kernels = {path.removesuffix("/kernel"): leaf for path, leaf in leaves.items() if path.endswith("kernel")}
        names = sorted(kernels, key=_natural) if self.names is None else self.names
        if missing := [name for name in names if name not in kernels]:
            raise InputError(f"no kernel under {shown(missing[0])}; there are {', '.join(kernels) or 'none'}")
        return {name: kernels[name] for name in names}


@dataclass(frozen=True)
class _Biases:
    """Params → the biases beside the kernels of the named submodules, or of all."""

    names: tuple[str, ...] | None

    def __call__(self, params: Params) -> list[Any]:
        leaves = dict(_paths(params["params"] if _has_collections(params) else params))
        found = [leaves.get(f"{name}/bias") for name in _Kernels(self.names).by_name(params)]
        if any(bias is None for bias in found):
            raise InputError("a layer of the module has no bias: ablations other than zero need one in every layer")
        return found


@dataclass(frozen=True)
class _Fresh:
    """(key, x) → fresh parameters."""

    module: nn.Module

    def __call__(self, key: Array, x: Array) -> Params:
        variables = dict(self.module.init(key, x[:1]))
        return variables["params"] if set(variables) == {"params"} else variables


def _has_collections(params: Params) -> bool:
    """Whether these are all collections of a module, not its parameters alone."""
    return isinstance(params, Mapping) and "params" in params


def _paths(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested dictionaries with their paths, in the order of insertion, which is that of sowing."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


def _natural(path: str) -> list[Any]:
    """Sorts numbers in names by their value: ``Dense_2`` before ``Dense_10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]
