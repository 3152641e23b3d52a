"""How sure a flow is: noise floors, permutation p-values, honest flows with intervals."""

from jaxflow.inference.honest import honest_flows
from jaxflow.inference.noise import noise_floor
from jaxflow.inference.permutations import significance

__all__ = ["honest_flows", "noise_floor", "significance"]
