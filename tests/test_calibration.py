"""The calibration study: its truths are those of regressions, and its page says what its tables say."""

from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxflow import as_message, honest_flows
from jaxflow.inference.honest import equal_halves

ROOT = Path(__file__).parents[1]
NODES, MASK = 6, 0b110110
PARTS = ("null", "coverage", "choice", "beyond", "power")


@pytest.fixture
def study(monkeypatch):
    """The modules of the study by their names."""
    for folder in ("experiments", "experiments/studies"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return import_module


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_the_truth_is_what_regressions_on_very_many_rows_find(rng, study, share):
    """Of a layer with independent nodes, shared noise and a node that repeats another one with noise."""
    rows, layers = 200_000, study("calibration_layers")
    population = layers.random_population(rng, 1, NODES, share)
    shift = np.array([0, 0, 1, -0.5, 0.5, 1])
    population = population._replace(shift=shift[None])
    message = layers.classes(rng, rows, share)
    x = layers.drawn(rng, population, message)[0].astype(float)
    witness = np.array([[MASK & ~(1 << node) for node in range(NODES)]])
    bits, spread = layers.conditional_information(population, witness)
    for node, mask in enumerate(witness[0]):
        residuals = []
        for nodes in (mask, mask | 1 << node):
            design = np.column_stack([np.ones(rows), x[:, [i for i in range(NODES) if nodes >> i & 1]]])
            residuals.append(message - design @ np.linalg.lstsq(design, message)[0])
        less, more = (own.var() for own in residuals)
        shares = (residuals[0] ** 2 / less - residuals[1] ** 2 / more) / (2 * np.log(2))
        assert abs(0.5 * np.log2(less / more) - bits[0, node]) < 4 * shares.std() / np.sqrt(rows) + 1e-5
        assert abs(shares.std() - spread[0, node]) < 0.03 * spread[0, node] + 0.02
    np.testing.assert_array_equal(bits[0, [0, 1, 5]], 0)  # node 5 is node 2 and noise, and 2 is in its subset
    assert bits[0, 2:5].max() > 0.01


def test_the_truth_of_every_scene_is_what_regressions_on_very_many_rows_find(rng, study):
    """I(M; X_V | X_T) of the last node given all others: half the logarithm of a ratio of residuals' determinants."""
    rows = 100_000
    for scene, (draw, _) in study("calibration_beyond").SCENES.items():
        own = draw(rng, rows)
        given = np.zeros(rows, int) if own.given is None else own.given
        bits = 0.0
        for members in (given == stratum for stratum in np.unique(given)):
            message = own.message[members]
            numbers = message.dtype.kind == "f"
            targets = message[:, None] if numbers else np.eye(message.max() + 1)[message][:, 1:]
            left = []
            for nodes in (own.layers.shape[2] - 1, own.layers.shape[2]):
                design = np.column_stack([np.ones(len(message)), own.layers[0, members, :nodes]])
                residual = targets - design @ np.linalg.lstsq(design, targets)[0]
                left.append(np.linalg.slogdet(residual.T @ residual)[1])
            bits += members.mean() * (left[0] - left[1]) / (2 * np.log(2))
        error = np.sqrt((1 - 2 ** (-2 * own.truth)) / rows) / np.log(2)
        assert abs(bits - own.truth) < 4 * error + 2e-4, scene


def test_the_value_of_the_subsets_that_the_halves_choose_is_the_honest_flow(rng, study):
    """The study values subsets of its own choice; of the halves' choice that is what ``honest_flows`` does."""
    coverage = study("calibration_coverage")
    key, message = jax.random.key(0), rng.integers(0, 2, 200)
    x = (rng.normal(size=(1, 200, 3)) + message[:, None] * [0.2, 0.5, 1.0]).astype(np.float32)
    about = as_message(message)
    halves = equal_halves(key, about)
    masks = np.stack(coverage.witnesses(message, x, halves)[::-1])
    members = masks[..., None] >> np.arange(3) & 1 == 1
    found = coverage.valued(jnp.asarray(x), about, jnp.asarray(halves), jnp.asarray(members))
    for own, expected in zip(found, honest_flows(key, message, x), strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-6)


def test_the_page_says_what_the_tables_say(study):
    page = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    tables = {part: pd.read_csv(ROOT / f"docs/calibration_{part}.csv") for part in PARTS}
    parts = study("calibration_page").page_parts(tables)
    assert study("measuring").filled(page, parts, study("calibration_page").MARK) == page
    assert all(part in page for part in parts.values())
