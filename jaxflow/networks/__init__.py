"""Networks: the contract, the built-in multilayer perceptron, and networks of one's own."""

from jaxflow.networks.contract import SEVERAL, Network, Params, activations_of, check_fit, layer_sizes
from jaxflow.networks.functions import network
from jaxflow.networks.linen import flax_network
from jaxflow.networks.perceptron import MLP, mlp

__all__ = [
    "MLP",
    "SEVERAL",
    "Network",
    "Params",
    "activations_of",
    "check_fit",
    "flax_network",
    "layer_sizes",
    "mlp",
    "network",
]
