"""What the paper printed, as data (Venkatesh et al. 2021)."""

CORRELATIONS: dict[str, dict[str, tuple[float, ...]]] = {
    "synthetic": {"y": (-0.35, -0.20), "z": (-0.47, -0.03)},
    "adult-small": {"y": (-0.77, -0.11), "z": (-0.52, -0.18)},
    "adult-large": {"y": (-0.57, -0.51, -0.04), "z": (-0.62, -0.48, -0.10)},
    "mnist": {"y": (-0.12, -0.19, -0.11, -0.02, 0.03), "z": (-0.04, -0.09, -0.04, 0.03, 0.12)},
}
"""Table 2: Pearson r of edge flow and effect of removal, experiment → message → layers from the first analysed."""

COST = {
    "synthetic": "11 h 34 m, 8 cores",
    "adult-small": "1 h 25 m, 8 cores",
    "adult-large": "2 h 49 m, 8–10 cores",
    "mnist": "under 2 minutes",
}
"""Table 1: time of the analyses; training is not counted."""
