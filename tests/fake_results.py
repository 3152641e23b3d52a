"""Results folders of made-up numbers, as a run or a recording leaves them: what a report is made from, in milliseconds.

Weights and flows are float32, as tables hold them. With ``ties`` they take few values: many scores are then equal.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from jaxflow.outputs import Roles, measure_names
from jaxflow.running.results import Results
from jaxflow.statistics import correlations, predictors
from jaxflow.tables import tidy

SAMPLES = 500
FACTORS = (1.0, 0.75, 0.5, 0.25, 0.0)
VERSIONS = {"python": "3.11.0", "jaxflow": "0.1.0"}


def strategies_of(levels: dict[str, Sequence[int]], metrics: Sequence[str]) -> list[tuple[str, str, int]]:
    return [(metric, method, level) for metric in metrics for method, own in levels.items() for level in own]


LEVELS = {"node": (1, 2), "edge": (2, 4), "path": (1, 3)}
METRICS = ("bias/acc", "acc/bias", "magnitude", "random")


def fake_run(
    path: Path,
    widths: Sequence[int] = (3, 3, 2),
    networks: int = 4,
    *,
    label: str = "y",
    attributes: Sequence[str] = ("z",),
    features: Sequence[str] = (),
    strategies: Sequence[tuple[str, str, int]] = tuple(strategies_of(LEVELS, METRICS)),
    ties: bool = False,
    seed: int = 0,
) -> Results:
    """A finished run; what its manifest says is that of ``jaxflow run`` where a report reads it."""
    rng, roles = np.random.default_rng(seed), Roles(label, tuple(attributes))
    path.mkdir(parents=True)
    frames = _flow_tables(rng, widths, networks, roles, ties)
    frames |= _output_tables(rng, networks, roles, strategies)
    told = predictors(frames["dependence"], frames["edge_flows"], frames["node_flows"])
    frames |= {"correlations": correlations(frames["dependence"]), "predictors": told}
    for name, frame in frames.items():
        frame.to_csv(path / f"{name}.csv", index=False, float_format="%.9g", lineterminator="\n")
    identity = {"name": "mine", "hidden": list(widths[1:-1]), "estimator": "gaussian", "first_layer": 0, "seed": 0,
                "strategies": [list(own) for own in strategies], "factors": list(FACTORS)}  # fmt: skip
    dataset = {"name": "mine", "rows": {"train": SAMPLES, "test": SAMPLES}, "features": list(features),
               "classes": dict.fromkeys((label, *attributes), 2), "values": {}, "notes": []}  # fmt: skip
    chance = {name: 62.0 if "accuracy" in name else 55.0 for name in measure_names(roles) if "gap" not in name}
    _write_manifest(path, networks, {"identity": identity, "label": label, "attributes": list(attributes),
                                     "dataset": dataset, "chance": chance})  # fmt: skip
    return Results(path)


def _write_manifest(path: Path, seeds: int, own: dict) -> None:
    manifest = {"experiment": "mine", "seeds": seeds, "chunks": [[0, seeds]], "finished": True, "versions": VERSIONS,
                "seconds": {"flows": 1.0}, "device": "cpu", **own}  # fmt: skip
    (path / "manifest.json").write_text(json.dumps(manifest))


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(float)


def _flow_tables(rng, widths: Sequence[int], networks: int, roles: Roles, ties: bool) -> dict[str, pd.DataFrame]:
    """Flows of nodes and edges, and effects of removal, network by network."""
    messages = np.array(roles.measured_names, object)
    numbers = np.arange(networks)
    flows = [rng.choice([0.0, 0.25, 0.5], (networks, n, len(messages))) if ties
             else _float32(rng.exponential(0.1, (networks, n, len(messages)))) for n in widths]  # fmt: skip
    weights = [rng.choice([-1.0, 0.5, 1.0], (networks, n, m)) if ties else _float32(rng.normal(size=(networks, n, m)))
               for n, m in pairwise(widths)]  # fmt: skip
    nodes, edges, effects = [], [], []
    for layer, flow in enumerate(flows):
        p = (1 + rng.integers(0, 20, flow.shape)) / 201
        witness = np.array(["", "0", "0+1"], object)[rng.integers(0, 3, flow.shape)]
        nodes.append(tidy(network=numbers[:, None, None], layer=layer, node=np.arange(flow.shape[1])[None, :, None],
                          message=messages, flow=flow, witness=witness, null95=0.001, p=p, p_max=p,
                          honest=flow * 0.9, low=flow * 0.8, high=flow * 1.1))  # fmt: skip
    for layer, weight in enumerate(weights):
        flow = np.abs(weight)[..., None] * flows[layer][:, :, None, :]
        places = {"network": numbers[:, None, None, None], "layer": layer,
                  "source": np.arange(weight.shape[1])[None, :, None, None],
                  "target": np.arange(weight.shape[2])[None, None, :, None]}  # fmt: skip
        edges.append(tidy(**places, weight=weight[..., None], message=messages, flow=_float32(flow)))
        effect = -10 * flow + rng.normal(size=flow.shape) * (rng.random(flow.shape) < 0.5)
        effects.append(tidy(**places, message=messages, flow=_float32(flow), effect=effect))
    return {name: pd.concat(own).sort_values("network", kind="stable", ignore_index=True)
            for name, own in (("node_flows", nodes), ("edge_flows", edges), ("dependence", effects))}  # fmt: skip


def _output_tables(rng, networks: int, roles: Roles, strategies) -> dict[str, pd.DataFrame]:
    """Outputs of the networks as they are and under every intervention."""
    numbers, names = np.arange(networks), measure_names(roles)
    aims = [(*strategy, attribute) for attribute in roles.attributes for strategy in strategies]
    start = {name: 60 + 20 * rng.random(networks) for name in names}
    drop = rng.random((networks, len(aims), 1)) * (1 - np.array(FACTORS))
    swept = {name: start[name][:, None, None] - 8 * drop * (k + 1) / len(names) for k, name in enumerate(names)}
    metric, method, level, attribute = (np.array(own, object)[None, :, None] for own in zip(*aims, strict=True))
    aimed = {"attribute": attribute} if len(roles.attributes) > 1 else {}
    tradeoff = tidy(network=numbers[:, None, None], metric=metric, method=method, level=level, **aimed,
                    factor=np.array(FACTORS), **swept)  # fmt: skip
    renamed = {"accuracy": "output_accuracy", "bias": "output_bias"}
    outputs = {renamed.get(name, name): start[name] for name in names if name != "argmax_accuracy"}
    return {"networks": tidy(network=numbers, argmax_accuracy=start["argmax_accuracy"], **outputs),
            "tradeoff": tradeoff}  # fmt: skip


def fake_recording(
    path: Path, bins: int = 5, nodes: int = 3, messages: Sequence[str] = ("stimulus",), weights: bool = False
) -> Results:
    """A finished recording, with weights between its bins or without."""
    rng = np.random.default_rng(0)
    path.mkdir(parents=True)
    layer, about = np.arange(bins)[:, None, None], np.array(messages, object)
    flow = _float32(rng.exponential(0.1, (bins, nodes, len(messages))))
    p = (1 + rng.integers(0, 100, flow.shape)) / 1001
    tidy(network=0, layer=layer, time=layer * 0.1, node=np.arange(nodes)[None, :, None], message=about, flow=flow,
         witness="", null95=0.02, p=p, p_max=p, honest=flow, low=flow, high=flow,
         ).to_csv(path / "node_flows.csv", index=False, float_format="%.9g")  # fmt: skip
    if weights:
        weight, unit = _float32(rng.normal(size=(1, nodes, nodes, 1))), np.arange(nodes)
        tidy(network=0, layer=layer[:-1, ..., None], source=unit[:, None, None], target=unit[:, None], weight=weight,
             message=about, flow=np.abs(weight) * flow[:-1, :, None],
             ).to_csv(path / "edge_flows.csv", index=False, float_format="%.9g")  # fmt: skip
    identity = {"name": "mine", "messages": dict.fromkeys(messages, ""), "estimator": "gaussian", "permutations": 1000,
                "confidence": 0.95, "seed": 0}  # fmt: skip
    recording = {"trials": 100, "layers": bins, "nodes": [f"unit {k}" for k in range(nodes)], "notes": [],
                 "asked": {"window": 1}, "source": {"file": "mine.npz", "sha256": "0"}}  # fmt: skip
    _write_manifest(path, bins, {"identity": identity, "recording": recording})
    return Results(path)


def fake_edit(
    path: Path,
    widths: Sequence[int] = (3, 4, 2),
    networks: int = 4,
    *,
    label: str = "y",
    attributes: Sequence[str] = ("z",),
    features: Sequence[str] = (),
) -> Path:
    """A folder as ``jaxflow edit`` leaves it: of every network two edges scaled and one removed."""
    rng, roles = np.random.default_rng(0), Roles(label, tuple(attributes))
    path.mkdir(parents=True)
    kernels = {f"layer_{k}/kernel": _float32(rng.normal(size=(networks, n, m))).astype(np.float32)
               for k, (n, m) in enumerate(pairwise(widths))}  # fmt: skip
    np.savez(path / "params.npz", **kernels)
    both = np.arange(2)[None]
    texts = [[f"0/0/1*{0.1 * (1 + (network + half) % 5):g} 0/2/{network % widths[1]}*0 1/0/0*-0.5" for half in range(2)]
             for network in range(networks)]  # fmt: skip
    start = {name: 60 + 20 * rng.random((networks, 2)) for name in measure_names(roles)}
    measures = {f"{name}_{when}": start[name] - by * rng.random((networks, 2))
                for when, by in (("before", 0), ("pruned", 20), ("after", 15)) for name in start}  # fmt: skip
    tidy(network=np.arange(networks)[:, None], chosen_on=both, written=both == 0, reached=np.ones((networks, 2), bool),
         attribute=attributes[0], metric="bias/acc", method="edge", level=2, factor=0.5, edges=np.array(texts, object),
         recalibrated="bias", **measures).to_csv(path / "edits.csv", index=False, float_format="%.9g")  # fmt: skip
    asked = {"attributes": list(attributes), "measure": "parity_gap", "at_most": 10.0, "keep_accuracy": None,
             "metrics": ["bias/acc"], "refine": 0, "recalibrate": "bias", "seed": 0}  # fmt: skip
    identity = {"name": "mine", "hidden": list(widths[1:-1]), "estimator": "gaussian", "first_layer": 0,
                "strategies": [["bias/acc", "edge", 2]]}  # fmt: skip
    data = {"features": list(features), "classes": dict.fromkeys((label, *attributes), 2), "values": {}}
    manifest = {"edit": asked, "of": {"experiment": "mine", "identity": identity, "dataset": data,
                                      "chance": {"accuracy": 62.0, "argmax_accuracy": 62.0}}, "label": label,
                "attributes": list(attributes), "networks": networks, "reached": networks, "versions": VERSIONS,
                "device": "cpu", "seconds": {"edits": 1.0}}  # fmt: skip
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path
