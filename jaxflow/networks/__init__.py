"""The networks: the built-in multilayer perceptron, and what it is made of."""

from jaxflow.networks.mlp import (
    MLP,
    REPEATED,
    Params,
    depth,
    folded,
    folded_forward,
    forward,
    initial_folded,
    initial_params,
    is_run,
    kernels,
    tail_network,
    tail_params,
    unfolded,
)

__all__ = [
    "MLP",
    "REPEATED",
    "Params",
    "depth",
    "folded",
    "folded_forward",
    "forward",
    "initial_folded",
    "initial_params",
    "is_run",
    "kernels",
    "tail_network",
    "tail_params",
    "unfolded",
]
