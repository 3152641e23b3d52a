"""Runs that prune by rivals of flow, under ablations: their tables, their identity, and what they refuse."""

import dataclasses

import numpy as np
import pytest
from splits import half

from jaxflow import Dataset, InputError, Training, pipeline
from jaxflow.cli import main
from jaxflow.interventions import Strategy

RNG = np.random.default_rng(6)
HALVES = [
    half(RNG.normal(size=(160, 3)) + (k := RNG.integers(0, 2, 160))[:, None], k, RNG.integers(0, 2, 160))
    for _ in range(2)
]
DATA = Dataset("mine", *HALVES)
STRATEGIES = (Strategy("removal", "edge", 2), Strategy("saliency", "node", 1), Strategy("mediation", "path", 1))
CONFIG = pipeline.Config(
    "mine",
    training=Training(epochs=2),
    strategies=STRATEGIES,
    factors=(1.0, 0.0),
    seeds=3,
    permutations=0,
    ablation="mean",
)


@pytest.mark.slow
@pytest.mark.usefixtures("no_honest_flows", "plain_figures")
def test_a_run_ranks_by_rivals_and_ablates(tmp_path):
    """Whatever its chunks; zero ablation gives other outputs, and the folder of one is refused to the other."""
    whole = pipeline.run(CONFIG, DATA, out=tmp_path / "whole").table("tradeoff")
    parts = pipeline.run(dataclasses.replace(CONFIG, chunk=1), DATA, out=tmp_path / "parts").table("tradeoff")
    assert set(whole["metric"]) == {own.metric for own in STRATEGIES}
    numbers = ["accuracy", "bias", "argmax_accuracy"]
    np.testing.assert_allclose(whole[numbers], parts[numbers], atol=0.05)
    zero = dataclasses.replace(CONFIG, ablation="zero")
    with pytest.raises(InputError, match="a run that differs in ablation"):
        pipeline.run(zero, DATA, out=tmp_path / "whole")
    other = pipeline.run(zero, DATA, out=tmp_path / "zero").table("tradeoff")
    with pytest.raises(InputError, match="a run that differs in ablation"):  # the default is not written down
        pipeline.run(CONFIG, DATA, out=tmp_path / "zero")
    pruned = whole["factor"] == 0
    assert np.abs(other[numbers] - whole[numbers])[pruned].to_numpy().max() > 0.5
    np.testing.assert_array_equal(other[numbers][~pruned], whole[numbers][~pruned])


def test_what_rivals_cannot_rank_is_refused_before_anything_is_trained(tmp_path):
    def asked(*strategies, **changes):
        pipeline.run(dataclasses.replace(CONFIG, strategies=strategies, **changes), DATA, out=tmp_path / "never")

    with pytest.raises(InputError, match="the metric saliency scores nodes alone"):
        asked(Strategy("saliency", "edge", 1))
    with pytest.raises(InputError, match=r"unknown ablation 'median'.*choose from zero, mean, resample"):
        asked(*STRATEGIES, ablation="median")
    assert not (tmp_path / "never").exists()


def test_the_command_prunes_by_the_metrics_that_are_asked_for(tmp_path, monkeypatch):
    """As many nodes, edges and paths as the experiment has; saliency scores nodes alone."""
    seen = []

    def stop(config, *_, **__):
        seen.append(config)
        raise InputError("seen")

    monkeypatch.setattr(pipeline, "run", stop)
    asked = ["--metric", "removal", "--metric", "saliency"]
    assert main(["run", "adult-small", "--quiet", "--out", str(tmp_path), *asked]) == 2
    levels = dict.fromkeys((own.method, own.level) for own in pipeline.preset("adult-small").strategies)
    removal = [Strategy("removal", *own) for own in levels]
    saliency = [Strategy("saliency", "node", level) for level in (1, 2, 3)]
    assert list(seen[0].strategies) == removal + saliency
