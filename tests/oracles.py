"""Slow and obvious computations in NumPy that the fast ones are held against."""

import itertools
from collections.abc import Iterable

import numpy as np


def gaussian_bits(message: np.ndarray, activations: np.ndarray, masks: Iterable[int] | None = None) -> np.ndarray:
    """I(M; X_T) for every subset, from slices of the data in double precision: least squares, node by node.

    A node whose standardised residual variance given the subset's earlier ones is at most 1e-6, or 1e-8 of the
    float32 rounding variance that they pass on, is left out.
    """
    m = message.astype(float) - message.mean()
    x = activations.astype(float)
    x = x - x.mean(axis=0)
    scale = x.std(axis=0)
    x = x / np.where(scale > 1e-7 * np.abs(activations).max(axis=0), scale, np.inf)
    p = message.mean()
    entropy = 0.0 if p in (0, 1) else -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    bits = []
    for mask in range(2 ** x.shape[1]) if masks is None else masks:
        basis, residues, rounding = np.zeros((len(m), 0)), [], []
        for node in [i for i in range(x.shape[1]) if mask >> i & 1]:
            parts = basis.T @ x[:, node]
            residual = x[:, node] - basis @ parts
            residual = residual - basis @ (basis.T @ residual)
            shares = parts**2 / len(m) / np.array(residues) if residues else np.zeros(0)
            passed_on = 1 + shares @ np.array(rounding) if rounding else 1
            if residual.var() > max(1e-6, 1e-8 * passed_on):
                basis = np.column_stack([basis, residual / np.linalg.norm(residual)])
                residues.append(residual.var())
                rounding.append(passed_on)
        left = m - basis @ (basis.T @ m)
        ratio = (left @ left) / (m @ m) if m.any() else 1.0
        bits.append(np.clip(-0.5 * np.log2(ratio), 0, entropy) if ratio > 0 else entropy)
    return np.array(bits)


def entropy(classes: np.ndarray) -> float:
    """H(M) in bits."""
    p = np.bincount(classes) / len(classes)
    return float(-np.sum(p[p > 0] * np.log2(p[p > 0])))


def indicators(classes: np.ndarray) -> np.ndarray:
    """A column for every class but the first."""
    return np.eye(classes.max() + 1)[classes][:, 1:]


def centred(x: np.ndarray) -> np.ndarray:
    """Columns of unit variance, 0 where constant but for rounding."""
    x = x.astype(float)
    left = x - x.mean(axis=0)
    scale = left.std(axis=0)
    return left / np.where(scale > 1e-7 * np.abs(x).max(axis=0), scale, np.inf)


def determinant_bits(
    columns: np.ndarray,
    activations: np.ndarray,
    subsets: Iterable[list[int]],
    given: np.ndarray | None = None,
    most: float = np.inf,
) -> np.ndarray:
    """−½ log₂ of the ratio of determinants, in double precision; determined columns are left out one by one."""
    m, x = centred(columns.reshape(len(columns), -1)), centred(activations)
    base = np.zeros((len(x), 0)) if given is None else centred(given.reshape(len(given), -1))

    def left(known: np.ndarray) -> float:
        kept = known[:, :0]
        for column in known.T:
            rest = column - kept @ np.linalg.lstsq(kept, column)[0] if kept.shape[1] else column
            kept = np.column_stack([kept, column]) if rest.var() > 1e-6 else kept
        rest = m - kept @ np.linalg.lstsq(kept, m)[0] if kept.shape[1] else m
        return np.linalg.slogdet(rest.T @ rest)[1]

    before = left(base)
    bits = [(before - left(np.column_stack([base, x[:, subset]]))) / (2 * np.log(2)) for subset in subsets]
    return np.clip(bits, 0, most)


def class_bits(message: np.ndarray, activations: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """I(M; X_T) of classes for every subset; Σ_g P(g) I(M; X_T | G = g) of what is given."""
    strata = np.zeros(len(message), int) if given is None else given
    nodes = range(activations.shape[1])
    subsets = [[i for i in nodes if mask >> i & 1] for mask in range(2 ** len(nodes))]
    bits = np.zeros(len(subsets))
    for stratum in np.unique(strata):
        rows = strata == stratum
        m = message[rows]
        bits += rows.mean() * determinant_bits(indicators(m), activations[rows], subsets, most=entropy(m))
    return bits


def conditional_bits(message: np.ndarray, activations: np.ndarray, node: int, members: np.ndarray) -> float:
    """I(M; X_V | X_T) by least squares in double precision, each term clipped to H(M)."""
    p = message.mean()
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    m = message - p

    def bits(nodes: np.ndarray) -> float:
        x = activations[:, nodes].astype(float)
        x = x - x.mean(axis=0)
        x = x / np.maximum(x.std(axis=0), 1e-300)
        left = m - x @ np.linalg.lstsq(x, m, rcond=1e-6)[0]
        ratio = (left @ left) / (m @ m)
        return entropy if ratio <= 0 else min(-0.5 * np.log2(ratio), entropy)

    others = np.flatnonzero(members)
    return bits(np.append(others, node)) - bits(others)


def node_flow(bits: np.ndarray, node: int) -> float:
    """The maximum over subsets of the other nodes, one by one."""
    gains = [bits[mask | 1 << node] - bits[mask] for mask in range(len(bits)) if not mask >> node & 1]
    return max(0.0, *gains) if len(gains) > 1 else max(0.0, gains[0])


def accuracy_of(bits: float, probability: float) -> float:
    """1 − H_b⁻¹(H(M) − I) by bisection in double precision."""

    def entropy(p: float) -> float:
        return 0.0 if p in (0, 1) else -p * np.log2(p) - (1 - p) * np.log2(1 - p)

    target = entropy(probability) - bits
    low, high = 0.5, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(middle) > target else (low, middle)
    return max(low, probability, 1 - probability)


def forward(params: dict, x: np.ndarray, linear: Iterable[int] = (), dtype: type = float) -> list[np.ndarray]:
    """Activations of every layer of a network without embeddings, in double precision; 1 is the first hidden layer."""
    activations = [x.astype(dtype)]
    depth = len(params)
    for layer in range(depth):
        leaves = params[f"layer_{layer}"]
        h = activations[-1] @ np.asarray(leaves["kernel"], dtype) + np.asarray(leaves["bias"], dtype)
        activations.append(np.where(h > 0, h, dtype(0.01) * h) if layer < depth - 1 and layer + 1 not in linear else h)
    return activations


def widest_paths(weights: list[np.ndarray], count: int) -> list[tuple[int, ...]]:
    """Every path listed, sorted by its ascending edge scores, larger first, ties by nodes read from the output."""
    widths = [w.shape[0] for w in weights] + [weights[-1].shape[1]]
    listed = []
    for path in itertools.product(*map(range, widths)):
        scores = sorted(w[a, b] for w, a, b in zip(weights, path, path[1:], strict=False))
        listed.append((tuple(-score for score in scores), path[::-1], path))
    return [path for _, _, path in sorted(listed)[:count]]
