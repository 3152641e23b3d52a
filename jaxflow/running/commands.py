"""The command that runs a finished folder's run again, from its manifest; none where it was run from Python."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from jaxflow.errors import InputError
from jaxflow.running.config import Config, under_metrics
from jaxflow.running.presets import PRESETS, preset, table_hidden
from jaxflow.training import Training

FLAGS = ("estimator", "notion", "favourable", "ablation", "backend", "tune", "permutations", "seed", "data_seed")
FIELDS = (*FLAGS, "hidden", "published_alpha")


def command_of(manifest: Mapping[str, Any]) -> str:
    """A command line that gives a run of the same identity; empty where no command does."""
    if "recording" in manifest:
        return _measure_command(manifest)
    identity, data = manifest["identity"], manifest.get("dataset", {})
    source = data.get("source", {})
    given = {name: identity[name] for name in FIELDS if name in identity}
    try:
        given["hidden"] = tuple(given["hidden"])
        if "params" in identity or not isinstance(identity.get("estimator"), str):
            return ""
        if manifest["experiment"] in PRESETS:
            usual, again = preset(manifest["experiment"]), preset(manifest["experiment"], **given)
            words = [manifest["experiment"]]
        elif "label" in source and ("table" in source or "openml" in source):
            classes = data["classes"][source["label"]]
            usual = Config(manifest["experiment"], hidden=table_hidden(classes))
            training = Training(**identity["training"])
            again = Config(manifest["experiment"], training=training, **given)
            words = [*_table_words(source), *_training_words(training)]
        else:
            return ""
        if identity["strategies"] != again.as_json()["strategies"]:
            metrics = list(dict.fromkeys(metric for metric, *_ in identity["strategies"]))
            again = replace(again, strategies=under_metrics(again.strategies, metrics))
            words += [word for name in metrics for word in ("--metric", name)]
    except (InputError, KeyError, TypeError, ValueError):  # of another version of jaxflow, or edited
        return ""
    if any(again.as_json().get(name) != value for name, value in identity.items() if name not in ("data", "chunk")):
        return ""  # what has no option was changed from Python
    # Where no --permutations is given an estimator has as many as suit it.
    plain = usual if usual.estimator == again.estimator else Config("x", estimator=again.estimator)
    usual_values = usual.as_json() | {"permutations": plain.permutations}
    return shlex.join(["jaxflow", "run", *words, *_options(identity, usual_values), "--seeds", str(manifest["seeds"])])


def edit_command(manifest: Mapping[str, Any]) -> str:
    """The commands of an edit: of its run, where one gives that, and of the edit."""
    asked, of = manifest["edit"], manifest["of"]
    run = command_of({"experiment": of["experiment"], "identity": of["identity"], "seeds": manifest["networks"],
                      "dataset": of.get("dataset", {})})  # fmt: skip
    words = []
    if asked["attributes"] != manifest["attributes"]:
        words += [word for name in asked["attributes"] for word in ("--attribute", str(name))]
    usual = {"measure": "bias", "at_most": None, "keep_accuracy": None}
    given = {name: asked[name] for name, value in usual.items() if asked[name] != value}
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    if asked["metrics"] != ["bias/acc"]:
        words += [word for name in asked["metrics"] for word in ("--metric", str(name))]
    for name, value in {"refine": 0, "recalibrate": "bias", "seed": 0}.items():
        words += [] if asked[name] == value else [f"--{name}", str(asked[name])]
    edit = shlex.join(["jaxflow", "edit", "RESULTS", *words])
    return f"{run} --out RESULTS && {edit}" if run else edit


def _options(identity: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Options of what differs from what the command does by itself."""
    words = []
    for name in FLAGS:
        value = identity.get(name)
        if value is not None and value != usual.get(name) and not (name == "notion" and value == "parity"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    if identity.get("published_alpha"):
        words.append("--published-alpha")
    if identity["hidden"] != usual["hidden"]:
        words += ["--hidden", widths_text(identity["hidden"])]
    return words


def widths_text(hidden: Sequence[int]) -> str:
    """Widths of layers as the option takes them: ``16,8`` or ``16x20``."""
    runs = [(width, len(list(own))) for width, own in groupby(hidden)]
    return ",".join(str(width) if count == 1 else f"{width}x{count}" for width, count in runs)


def _table_words(source: Mapping[str, Any]) -> list[str]:
    """The table and the roles of its columns."""
    words = [str(source.get("table") or source["openml"]), "--label", str(source["label"])]
    for option in ("attribute", "drop", "category"):
        for column in source.get("attributes" if option == "attribute" else option, []):
            words += [f"--{option}", str(column)]
    return [*words, *(["--keep-attributes"] if source.get("keep_attributes") else [])]


def _training_words(training: Training) -> list[str]:
    """What a table's training has otherwise than by itself."""
    usual = Training()
    rate = [] if training.learning_rate == usual.learning_rate else ["--learning-rate", f"{training.learning_rate:g}"]
    return rate + ([] if training.epochs == usual.epochs else ["--epochs", str(training.epochs)])


def _measure_command(manifest: Mapping[str, Any]) -> str:
    """Of a recording that was read from a file."""
    identity, recording = manifest["identity"], manifest["recording"]
    asked, file = recording.get("asked", {}), recording.get("source", {}).get("file")
    if not file or not isinstance(identity.get("estimator"), str) or identity.get("confidence") != 0.95:
        return ""
    given = asked.get("given")
    words = [file]
    for message in identity.get("messages", {}):
        words += ["--message", message.removesuffix(f"|{given}") if given else message]
    for name in ("given", "within", "activity", "groups", "window"):
        if asked.get(name) is not None and (name, asked[name]) != ("window", 1):
            words += [f"--{name}", str(asked[name])]
    usual = {"estimator": "gaussian", "permutations": 1000, "seed": 0}
    for name, value in usual.items():
        if identity.get(name) != value:
            words += [f"--{name}", str(identity.get(name))]
    return shlex.join(["jaxflow", "measure", *words])
