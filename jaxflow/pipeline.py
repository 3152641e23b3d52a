"""Whole experiments from Python: a config, one of the paper's or your own, run into a results folder."""

from jaxflow.running.config import Config, strategy_grid
from jaxflow.running.experiment import analyse, run
from jaxflow.running.presets import PRESETS, paper_preset, preset

__all__ = ["PRESETS", "Config", "analyse", "paper_preset", "preset", "run", "strategy_grid"]
