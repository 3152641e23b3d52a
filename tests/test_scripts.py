"""The paper's four scripts in ``experiments/``: each runs from the shell, prints its table and draws the figure."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
SHORT = """
import dataclasses, runpy, sys
from jaxflow import pipeline

def preset(*names, made=pipeline.preset, **changes):
    config = made(*names, **changes)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, epochs=5))

pipeline.preset = preset
sys.argv = sys.argv[1:]
sys.path[0] = "experiments"
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CURVES = {"synthetic": 4, "adult_small": 6, "adult_large": 3, "mnist": 3}


def run_script(name: str, figure: Path, *more: str) -> str:
    """As from the shell; but on MNIST's images training would take as long as all the rest."""
    program = ["-c", SHORT] if name == "mnist" else []
    command = [sys.executable, *program, f"experiments/{name}.py", "--seeds", "2", "--figure", str(figure), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=EXPERIMENTS.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_a_script_prints_what_pruning_does_and_draws_it(name, tmp_path, request):
    """Factor 1 is no pruning, the same for all strategies, and removal shows; the figure is no empty page."""
    data = () if name == "synthetic" else ("--data-dir", str(request.getfixturevalue("data_dir")))
    lines = run_script(name, tmp_path / "figure.png", *data).splitlines()[2:]
    ends = [[float(cell) for cell in line.split()[-3:]] for line in lines]  # factor, bias, accuracy
    whole = [own[1:] for own in ends if own[0] == 1]
    removed = [own[1:] for own in ends if own[0] == 0]
    assert len(whole) == len(removed) == CURVES[name]
    assert all(own == whole[0] for own in whole)
    assert any(own != whole[0] for own in removed)  # one of the strategies may take what two networks do not miss
    picture = imread(tmp_path / "figure.png")
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 50


@pytest.mark.parametrize("name", CURVES)
def test_the_scripts_are_short_steps_in_the_public_api(name):
    text = (EXPERIMENTS / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 50
    steps = ("load_dataset", "preset(", "train_many", "network_flows", "measure_pruning", "figures.")
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
