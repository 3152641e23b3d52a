"""The paper's experiments as configs (Venkatesh et al. 2021, App. C.1; figures 2–17)."""

import dataclasses
from typing import Any

from jaxflow.errors import InputError, alternatives
from jaxflow.information import spec_of
from jaxflow.running.config import Config, factor_grid, strategy_grid
from jaxflow.training import Training
from jaxflow.values import choice

PRESETS = {
    "synthetic": Config("synthetic", training=Training(learning_rate=3e-2), estimator="quadratic"),
    "adult-small": Config("adult-small"),
    "adult-large": Config("adult-large", hidden=(3, 3), factors=factor_grid(-1.0)),
    "mnist": Config(
        "mnist",
        hidden=(6, 6, 6, 6, 6),
        first_layer=1,
        strategies=strategy_grid(nodes=(1, 2, 3, 6, 12), edges=(2, 3, 6, 9, 18, 36), paths=(1, 2, 3, 6)),
    ),
}

PAPER_ESTIMATORS = {
    "synthetic": "kernel-svm",
    "adult-small": "linear-svm",
    "adult-large": "linear-svm",
    "mnist": "gaussian",
}
# of the paper's main figures; what estimators whose fits take minutes can afford
PAPER_STRATEGIES = strategy_grid((2, 3), (3, 6), (1, 2), metrics=("bias/acc", "acc/bias"))


def preset(name: str, **changes: Any) -> Config:
    """The config of one of the paper's experiments (Venkatesh et al. 2021, App. C.1), with changes.

    An estimator whose fits take minutes sweeps the twelve strategies of the main figures only.

    Args:
        name: ``synthetic``, ``adult-small``, ``adult-large`` or ``mnist``.
        changes: fields of ``Config`` that shall have other values, by name.

    Returns:
        The config.

    Raises:
        InputError: unknown experiment, field or value.

    Example:
        >>> pipeline.preset("adult-small", seeds=10, hidden=(5, 5)).hidden
        (5, 5)
    """
    choice("experiment", name, PRESETS)
    fields = [field.name for field in dataclasses.fields(Config)]
    if unknown := [field for field in changes if field not in fields]:
        raise InputError(f"an experiment has no {unknown[0]}; {alternatives(unknown[0], fields)}")
    if spec_of(changes.get("estimator", PRESETS[name].estimator)).chunk is not None:
        changes = {"strategies": PAPER_STRATEGIES, **changes}
    # As many permutations as suit the estimator, which need not be the preset's
    return dataclasses.replace(PRESETS[name], **{"permutations": None, **changes})


def paper_preset(name: str, **changes: Any) -> Config:
    """As ``preset``, with the estimator of the paper: synthetic kernel SVM, adult linear SVM, mnist Gaussian."""
    return preset(name, **{"estimator": PAPER_ESTIMATORS[choice("experiment", name, PRESETS)], **changes})


def table_hidden(classes: int) -> tuple[int, ...]:
    """Width of the hidden layer for a table of the user's, where none is given: the paper's 3 for two classes.

    A layer of 3 nodes leaves hardly a choice of what to prune where three classes or more must pass through it: 2K
    nodes for K classes, and at most 8, whose subsets every estimator lists.

    Args:
        classes: K, of the label.

    Example:
        >>> table_hidden(2), table_hidden(3), table_hidden(10)
        ((3,), (6,), (8,))
    """
    return (3,) if classes == 2 else (min(2 * classes, 8),)
