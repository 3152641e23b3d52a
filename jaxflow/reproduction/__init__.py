"""The paper again: what it printed, what comes out here, and whether they agree (Venkatesh et al. 2021)."""
