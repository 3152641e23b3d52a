"""Flows of wide layers searched by a learned probe beside the Gaussian search: what each finds, and its CPU seconds.

    python experiments/studies/probe_search.py

The first table has messages that no single node tells anything of: the parity of the signs of two or three nodes among
independent normal ones, 1 bit each given the others. The second has a number that is linear in 5 of 20 correlated
nodes; its true flows are those that the Gaussian search finds in 200,000 rows. Seconds hold compilation.
"""

import argparse
import resource
from typing import NamedTuple

import numpy as np

import jaxflow as jf

ROWS, MANY_ROWS = 1000, 200_000
PARITIES = ((2, 100), (2, 30), (3, 20))  # nodes that tell, and all
LINEAR = 20
ESTIMATORS = ("gaussian", "probe")


class Found(NamedTuple):
    """What a search finds of one layer: flows ``[n]``, witnesses ``[n, n]`` and CPU seconds."""

    flows: np.ndarray
    witnesses: np.ndarray
    seconds: float


def searched(message: np.ndarray, layer: np.ndarray, estimator: str) -> Found:
    """The search by one estimator."""
    begin = resource.getrusage(resource.RUSAGE_SELF)
    flows, witnesses = (np.asarray(own) for own in jf.search_flows(message, layer, estimator=estimator))
    end = resource.getrusage(resource.RUSAGE_SELF)
    return Found(flows, witnesses, end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime)


def parity(telling: int, nodes: int, estimator: str, seed: int) -> str:
    """A row about the parity of the first nodes' signs."""
    layer = np.random.default_rng(seed).normal(size=(ROWS, nodes)).astype(np.float32)
    found = searched(np.sum(layer[:, :telling] > 0, axis=1) % 2, layer, estimator)
    others = ~np.eye(nodes, dtype=bool)[:telling]
    others[:, telling:] = False
    right = np.sum(np.all(found.witnesses[:telling] == others, axis=1))
    own = ", ".join(f"{flow:.3f}" for flow in found.flows[:telling])
    largest = found.flows[telling:].max()
    return f"| {telling} of {nodes} | {estimator} | {own} | {right} | {largest:.3f} | {found.seconds:.0f} |"


def linear_layer(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A number that is linear in 5 of the nodes but for noise, and the nodes, which share six causes."""
    shape, rng = np.random.default_rng(0), np.random.default_rng(seed)
    causes, weights = 0.6 * shape.normal(size=(6, LINEAR)), np.zeros(LINEAR)
    weights[:5] = [1, -1, 0.7, 0.5, -0.5]
    layer = rng.normal(size=(rows, 6)) @ causes + rng.normal(size=(rows, LINEAR))
    scale = np.sqrt(weights @ (causes.T @ causes + np.eye(LINEAR)) @ weights)
    return layer @ weights / scale + 0.7 * rng.normal(size=rows), layer.astype(np.float32)


def linear(estimator: str, truth: np.ndarray, seed: int) -> str:
    """A row about a number."""
    found = searched(*linear_layer(ROWS, seed), estimator)
    far, r = np.abs(found.flows - truth).mean(), np.corrcoef(found.flows, truth)[0, 1]
    above, size = (found.flows - truth).max(), found.witnesses.sum(axis=1).mean()
    cells = (f"{found.flows.mean():.3f}", f"{far:.3f}", f"{above:+.3f}", f"{r:.3f}", f"{size:.1f}")
    return f"| {estimator} | {' | '.join(cells)} | {found.seconds:.0f} |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the layers")
    seed = parser.parse_args().seed
    print("| telling nodes | search | their flows, bits | right sets | largest other flow | CPU s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for telling, nodes in PARITIES:
        for estimator in ESTIMATORS:
            print(parity(telling, nodes, estimator, seed), flush=True)
    truth = searched(*linear_layer(MANY_ROWS, seed + 1), "gaussian").flows
    print(f"\nThe mean of the {LINEAR} true flows is {truth.mean():.3f} bits.\n")
    print("| search | mean flow | mean distance from the truth | most above it | r | mean nodes of T | CPU s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for estimator in ESTIMATORS:
        print(linear(estimator, truth, seed), flush=True)


if __name__ == "__main__":
    main()
