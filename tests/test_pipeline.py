"""The pipeline: your own data, chunks, resuming, extending, and what is refused."""

import contextlib
import dataclasses
import itertools
import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pandas as pd
import pytest
from searches import no_climbs
from splits import half as split_of

from jaxflow import (
    Dataset,
    InputError,
    Split,
    edge_flows,
    honest_flows,
    measurements,
    node_flows,
    pipeline,
    rankings,
    significance,
    sweeps,
    training,
)
from jaxflow.flows import null95_of_flows
from jaxflow.information import exact, gaussian
from jaxflow.networks import MLP
from jaxflow.pipeline import Config, preset, strategy_grid
from jaxflow.running import chunk
from jaxflow.running import results as results_module
from jaxflow.running.summary import summary
from jaxflow.training import Training

OF_CHUNKS = ("networks", "training", "information", "node_flows", "edge_flows", "tradeoff", "dependence")
TABLES = (*OF_CHUNKS, "correlations", "predictors")
COLUMNS = {
    "networks": ["network", "argmax_accuracy", "output_accuracy", "output_bias", "parity_gap", "odds_gap",
                 "threshold_accuracy", "threshold_bias"],
    "information": ["network", "layer", "subset", "message", "bits"],
    "node_flows": ["network", "layer", "node", "message", "flow", "witness", "null95", "p", "p_max", "honest",
                   "low", "high"],
    "edge_flows": ["network", "layer", "source", "target", "weight", "message", "flow"],
    "tradeoff": ["network", "metric", "method", "level", "factor", "accuracy", "bias", "argmax_accuracy", "parity_gap",
                 "odds_gap", "threshold_accuracy", "threshold_bias"],
    "dependence": ["network", "layer", "source", "target", "message", "flow", "effect"],
    "correlations": ["message", "layer", "r", "p", "points", "nonzero"],
    "predictors": ["message", "layer", "predictor", "r", "low", "high", "rho", "rho_low", "rho_high", "networks",
                   "points"],
}  # fmt: skip


def own_dataset(seed: int = 0, width: int = 3) -> Dataset:
    rng = np.random.default_rng(seed)

    def half() -> Split:
        y, z = rng.integers(0, 2, (2, 200))
        x = rng.normal(size=(200, width)) + np.column_stack([y, z] + (width - 2) * [y + z])
        return split_of(x, y, z)

    return Dataset("mine", half(), half())


CONFIG = Config(
    "mine",
    hidden=(3,),
    training=Training(learning_rate=0.03, epochs=4),
    strategies=strategy_grid(nodes=(1, 2), edges=(2,), paths=(1,)),
    factors=(1.0, 0.5, 0.0),
    seeds=5,
    chunk=2,
)


def changed(**changes) -> Config:
    return dataclasses.replace(CONFIG, **changes)


def tables(folder):
    return {name: (folder / f"{name}.csv").read_bytes() for name in TABLES}


TRACED = (training.train_numbers, measurements._shown, sweeps._pruned, rankings._by_flows)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """An uninterrupted run, and how many programs it made of each function."""
    before = [function._cache_size() for function in TRACED]
    results = pipeline.run(CONFIG, own_dataset(), out=tmp_path_factory.mktemp("run") / "finished")
    return results, [function._cache_size() - count for function, count in zip(TRACED, before, strict=True)]


@pytest.fixture(scope="module")
def finished(counted):
    """An uninterrupted run."""
    return counted[0]


def test_tables_have_their_columns_and_rows(finished):
    for name, columns in COLUMNS.items():
        assert finished.table(name).columns.tolist() == columns
    rows = {name: len(finished.table(name)) for name in TABLES}
    assert rows == {
        "networks": 5,
        "training": 5 * 4,
        "information": 5 * (8 + 8 + 4) * 2,
        "node_flows": 5 * 8 * 2,
        "edge_flows": 5 * 15 * 2,
        "tradeoff": 5 * 12 * 3,
        "dependence": 5 * 15 * 2,
        "correlations": 4,
        "predictors": 4 * 4,
    }
    assert not any(finished.table(name).isna().any(axis=None) for name in OF_CHUNKS)


def rows_of(table, network, layer, message):
    return table[(table.network == network) & (table.layer == layer) & (table.message == message)]


def test_tables_agree_with_one_another_and_with_the_networks(finished):
    """From the saved parameters, one network at a time: bits, flows, weights; factor 1 is the unpruned network."""
    data, params = own_dataset().test, finished.params()
    network = MLP((3, 2))
    information, node_table = finished.table("information"), finished.table("node_flows")
    edges = finished.table("edge_flows")
    for number in (0, 4):
        own = jax.tree.map(lambda leaf, k=number: jnp.asarray(leaf[k]), params)
        for layer, activations in enumerate(network.activations(own, jnp.asarray(data.x))):
            for message, values in (("y", data.messages["y"]), ("z", data.messages["z"])):
                bits = gaussian(values, activations)
                rows = rows_of(information, number, layer, message)
                np.testing.assert_allclose(rows["bits"], bits, atol=1e-6)
                flow, witness = node_flows(bits)
                rows = rows_of(node_table, number, layer, message)
                np.testing.assert_allclose(rows["flow"], flow, atol=1e-6)
                masks = [sum(1 << int(i) for i in str(w).split("+") if i) for w in rows["witness"]]
                np.testing.assert_array_equal(masks, witness)
                if layer < 2:
                    kernel = own[f"layer_{layer}"]["kernel"]
                    rows = rows_of(edges, number, layer, message)
                    np.testing.assert_allclose(rows["weight"], kernel.ravel(), atol=1e-6)
                    np.testing.assert_allclose(rows["flow"], edge_flows(flow, kernel).ravel(), atol=1e-6)
    unpruned = finished.table("networks").set_index("network")
    whole = finished.table("tradeoff").query("factor == 1").set_index("network")
    np.testing.assert_allclose(whole["accuracy"], unpruned.loc[whole.index, "output_accuracy"], atol=1e-4)
    np.testing.assert_allclose(whole["bias"], unpruned.loc[whole.index, "output_bias"], atol=1e-4)


def pruned_by_hand(params, edges, factor):
    """One network's parameters in double precision, some of its edges multiplied by a factor."""
    changed = {
        name: {leaf: np.array(values, float) for leaf, values in leaves.items()} for name, leaves in params.items()
    }
    for layer, source, target in edges:
        changed[f"layer_{layer}"]["kernel"][source, target] *= factor
    return changed


def outputs_by_hand(params, data):
    """Accuracy and bias from NumPy alone."""
    logits = oracles.forward(params, data.x)[-1]
    bits = [oracles.gaussian_bits(m, logits)[-1] for m in (data.messages["y"], data.messages["z"])]
    return [
        100 * oracles.accuracy_of(b, m.mean())
        for b, m in zip(bits, (data.messages["y"], data.messages["z"]), strict=True)
    ]


def test_dependence_is_the_effect_of_each_edge_alone(finished):
    data, stacked = own_dataset().test, finished.params()
    table = finished.table("dependence")
    for number, edge in ((0, (0, 2, 1)), (3, (1, 0, 1)), (4, (0, 0, 0))):
        own = {k: {leaf: v[number] for leaf, v in leaves.items()} for k, leaves in stacked.items()}
        before, after = (outputs_by_hand(pruned_by_hand(own, [edge], f), data) for f in (1.0, 0.0))
        layer, source, target = edge
        rows = table[(table.network == number) & (table.layer == layer) & (table.source == source)]
        rows = rows[rows.target == target].set_index("message")
        assert rows.loc["y", "effect"] == pytest.approx(after[0] - before[0], abs=0.02)
        assert rows.loc["z", "effect"] == pytest.approx(after[1] - before[1], abs=0.02)


@pytest.mark.parametrize("factor", [0.5, 0.0])
@pytest.mark.parametrize("metric", ["bias/acc", "acc/bias"])
def test_tradeoff_prunes_what_the_flows_in_the_tables_say(finished, metric, factor):
    """Two edges, chosen again from the tables of flows and weights."""
    data, stacked = own_dataset().test, finished.params()
    nodes, edges, table = (finished.table(name) for name in ("node_flows", "edge_flows", "tradeoff"))
    epsilon = 1 / (2 * 200 * np.log(2))
    for number in (1, 4):
        flow = nodes[nodes.network == number].set_index(["message", "layer", "node"])["flow"]
        above, below = ("z", "y") if metric == "bias/acc" else ("y", "z")
        own_edges = edges[(edges.network == number) & (edges.message == "y")]
        scores = {
            (e.layer, e.source, e.target): abs(e.weight) * flow[above, e.layer, e.source]
            / max(flow[below, e.layer, e.source], epsilon)
            for e in own_edges.itertuples()
        }  # fmt: skip
        chosen = sorted(scores, key=lambda edge, scores=scores: -scores[edge])[:2]
        own = {k: {leaf: v[number] for leaf, v in leaves.items()} for k, leaves in stacked.items()}
        accuracy, bias = outputs_by_hand(pruned_by_hand(own, chosen, factor), data)
        row = table[(table.network == number) & (table.metric == metric) & (table.method == "edge")]
        row = row[(row.level == 2) & (row.factor == factor)]
        assert row["accuracy"].item() == pytest.approx(accuracy, abs=0.02)
        assert row["bias"].item() == pytest.approx(bias, abs=0.02)


def test_noise_floor_in_the_table_is_that_of_permuted_messages(finished):
    """Positive, one for a layer and message, and about what fresh permutations give."""
    table, data = finished.table("node_flows"), own_dataset().test
    own = jax.tree.map(lambda leaf: jnp.asarray(leaf[2]), finished.params())
    rng = np.random.default_rng(1)
    permuted = np.stack([rng.permutation(data.messages["y"]) for _ in range(200)])
    for layer, activations in enumerate(MLP((3, 2)).activations(own, jnp.asarray(data.x))):
        floor = rows_of(table, 2, layer, "y")["null95"]
        assert np.ptp(floor) == 0
        assert floor.iloc[0] == pytest.approx(
            float(null95_of_flows(node_flows(gaussian(permuted, activations))[0])), rel=0.5
        )


def test_evidence_in_the_table_is_that_of_the_functions(finished):
    """Honest flows with the key of the run, and p-values that other permutations would give nearly, never 0."""
    table, data, key = (
        finished.table("node_flows"),
        own_dataset().test,
        jax.random.key(finished.manifest["identity"]["seed"]),
    )
    own = jax.tree.map(lambda leaf: jnp.asarray(leaf[2]), finished.params())
    layer = MLP((3, 2)).activations(own, jnp.asarray(data.x))[1]
    for message in ("y", "z"):
        rows, values = rows_of(table, 2, 1, message), data.messages[message]
        honest = honest_flows(jax.random.fold_in(key, 3), values, layer)
        np.testing.assert_allclose(rows[["honest", "low", "high"]].T, honest, atol=1e-5)
        others = significance(key, values, layer, permutations=200)
        for name in ("p", "p_max"):
            error = 5 * np.sqrt(2 * others.p_max * (1 - others.p_max) / 200 + 1e-4)
            np.testing.assert_array_less(np.abs(rows[name] - getattr(others, name)), error)
            assert (rows[name] >= 1 / 201 - 1e-6).all()


def test_the_summary_counts_what_is_significant(finished):
    """The same counts from the table, by hand."""
    table = finished.table("node_flows")
    strong = table[table["p_max"] < 0.05]
    for message, title in (("y", "accuracy"), ("z", "bias")):
        rows, own = table[table["message"] == message], strong[strong["message"] == message]
        told = f"{title} in {len(own)} of {len(rows)} nodes, {own['network'].nunique()} of 5 networks"
        told += f" ({(own['low'] > 0).sum()} with an honest interval above 0)"
        assert 0 < (own["low"] > 0).sum() < len(rows)
        assert told in summary(finished)


def test_permutations_are_many_where_a_layer_is_decomposed_once():
    """And may be chosen; a config says how many it stands for."""
    assert Config("mine").permutations == 200
    assert Config("mine", estimator="quadratic").permutations == 20
    assert Config("mine", estimator="quadratic", permutations=7).as_json()["permutations"] == 7
    assert pipeline.preset("synthetic").permutations == 20
    assert pipeline.preset("synthetic", estimator="gaussian").permutations == 200
    assert pipeline.preset("adult-small", estimator="quadratic").permutations == 20
    assert pipeline.preset("adult-small", estimator="quadratic", permutations=3).permutations == 3


def test_the_random_control_differs_between_networks(finished):
    """Which two edges went is told by how far accuracy and bias moved."""
    table = finished.table("tradeoff").query("metric == 'random' and method == 'edge' and factor == 0")
    kernels = finished.params()
    data, found = own_dataset().test, []
    every = [(layer, s, t) for layer, shape in enumerate([(3, 3), (3, 2)]) for s, t in np.ndindex(*shape)]
    for row in table.itertuples():
        own = {k: {leaf: v[row.network] for leaf, v in leaves.items()} for k, leaves in kernels.items()}
        pairs = list(itertools.combinations(every, 2))
        distance = [
            np.hypot(*np.subtract(outputs_by_hand(pruned_by_hand(own, pair, 0.0), data), (row.accuracy, row.bias)))
            for pair in pairs
        ]
        assert min(distance) < 0.02
        found.append(pairs[int(np.argmin(distance))])
    assert len(set(found)) > 1


def test_uneven_chunks_share_one_trace(counted):
    """Five networks in chunks of 2, 2 and 1 (padded): one compilation of every measurement, which strategies and single
    edges share.
    """
    assert counted[1] == [1] * len(TRACED)


def test_manifest_says_how_and_nothing_about_where(finished):
    manifest = finished.manifest
    assert manifest["finished"]
    assert manifest["seeds"] == 5
    assert set(manifest["seconds"]) == {"training", "flows", "tradeoff", "dependence", "tables and figures"}
    assert {"jax", "jaxlib", "numpy", "jaxflow"} <= set(manifest["versions"])
    assert str(finished.path) not in json.dumps(manifest)
    names = {file.name for file in (finished.path / "figures").iterdir()}
    assert names == {f"{n}.{s}" for n in ("training", "flows", "dependence", "tradeoff", "tradeoff_levels")
                     for s in ("png", "svg")}  # fmt: skip
    assert [file.name for file in (finished.path / ".jaxflow").iterdir()] == ["lock"]


@pytest.mark.usefixtures("plain_figures")
def test_chunks_change_nothing(finished, tmp_path):
    other = pipeline.run(changed(chunk=1), own_dataset(), out=tmp_path / "out")
    for name in TABLES:
        ours, theirs = other.table(name), finished.table(name)
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-4, atol=2e-4)


class Killed(BaseException):
    """Ends a run as a signal would."""


@pytest.mark.usefixtures("plain_figures")
@pytest.mark.parametrize("moment", [5, 12])
def test_a_killed_run_resumes_to_the_same_bytes(finished, tmp_path, moment):
    """Killed when the report comes for the ``moment``-th time: in a chunk, at the tables; see ``test_kills``."""
    calls = 0

    def die(*_args):
        nonlocal calls
        if calls == moment:
            raise Killed
        calls += 1

    with pytest.raises(Killed):
        pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out", report=die)
    resumed = pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out")
    assert tables(resumed.path) == tables(finished.path)


@pytest.mark.usefixtures("plain_figures")
@pytest.mark.parametrize("write", [4, 20])
def test_a_failing_disk_leaves_whole_files_and_a_run_to_resume(finished, tmp_path, monkeypatch, write):
    """The disk is full when the ``write``-th file or chunk is to be moved into place; see ``test_kills``."""
    replace, count = os.replace, 0

    def full(source, target):
        nonlocal count
        count += 1
        if count == write:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(results_module.os, "replace", full)
    with pytest.raises(InputError, match=r"cannot write to .*No space left on device"):
        pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out")
    for file in (tmp_path / "out").glob("*.csv"):
        if file.stem in TABLES:
            assert file.read_bytes() == tables(finished.path)[file.stem]
    monkeypatch.setattr(results_module.os, "replace", replace)
    resumed = pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out")
    assert tables(resumed.path) == tables(finished.path)


@pytest.mark.usefixtures("plain_figures")
def test_finished_chunks_are_not_computed_again(finished, monkeypatch):
    monkeypatch.setattr(chunk, "train_many", None)
    again = pipeline.run(CONFIG, own_dataset(), out=finished.path)
    assert tables(again.path) == tables(finished.path)


@pytest.mark.usefixtures("plain_figures")
def test_more_seeds_extend_the_folder(finished, tmp_path):
    first = pipeline.run(changed(seeds=3), own_dataset(), out=tmp_path / "out")
    before = first.table("networks")
    extended = pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out")
    pd.testing.assert_frame_equal(extended.table("networks").head(3), before)
    for name in TABLES:
        pd.testing.assert_frame_equal(extended.table(name), finished.table(name), rtol=1e-4, atol=2e-4)
    stacked = extended.params()["layer_0"]["kernel"]
    np.testing.assert_allclose(stacked, finished.params()["layer_0"]["kernel"], atol=1e-5)


def test_fewer_seeds_are_refused(finished):
    with pytest.raises(InputError, match="holds 5 networks, not the 4 asked for"):
        pipeline.run(changed(seeds=4), own_dataset(), out=finished.path)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed"), ({"factors": (1.0, 0.0)}, "factors"), ({"hidden": (4,)}, "hidden"),
     ({"training": Training(epochs=5)}, "training")],
)  # fmt: skip
def test_another_config_is_refused(finished, change, named):
    with pytest.raises(InputError, match=f"differs in {named}; choose another --out, or --overwrite"):
        pipeline.run(changed(**change), own_dataset(), out=finished.path)


def test_other_data_are_refused(finished):
    with pytest.raises(InputError, match="differs in data"):
        pipeline.run(CONFIG, own_dataset(seed=1), out=finished.path)


@pytest.mark.usefixtures("plain_figures")
def test_overwriting_starts_afresh_and_keeps_what_is_not_ours(tmp_path):
    out = tmp_path / "out"
    pipeline.run(changed(seeds=1, seed=9), own_dataset(), out=out)
    (out / "notes.txt").write_text("mine")
    (out / "figures/mine.png").write_text("mine")
    (out / "mine.csv").write_text("mine")
    fresh = pipeline.run(changed(seeds=1), own_dataset(), out=out, overwrite=True)
    assert fresh.manifest["identity"]["seed"] == 0
    assert {file.read_text() for file in (out / "notes.txt", out / "figures/mine.png", out / "mine.csv")} == {"mine"}


@pytest.mark.usefixtures("plain_figures")
@pytest.mark.parametrize("moment", range(4, 40, 16))
def test_an_interrupted_overwrite_is_made_good(finished, tmp_path, monkeypatch, moment):
    """Killed before one of its deletions and moves, the same command starts afresh and ends with the same bytes.

    ``test_kills`` tries them closer together, all of them when slow.
    """
    out = tmp_path / "out"
    shutil.copytree(finished.path, out)
    count = 0

    def counted(function):
        def call(*args, **options):
            nonlocal count
            if count == moment:
                raise Killed
            count += 1
            return function(*args, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("replace", "unlink", "rmdir", "mkdir"):
            patched.setattr(results_module.os, name, counted(getattr(os, name)))
        with contextlib.suppress(Killed):
            pipeline.run(CONFIG, own_dataset(), out=out, overwrite=True)
    pipeline.run(CONFIG, own_dataset(), out=out, overwrite=True)
    assert tables(out) == tables(finished.path)


@pytest.mark.parametrize("manifest", ["{}", "[]", '{"name": "web app"}'])
def test_a_manifest_that_is_not_ours_protects_its_folder(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "data.csv").write_text("1")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds no jaxflow run"):
            pipeline.run(CONFIG, own_dataset(), out=tmp_path, overwrite=overwrite)
    assert {file.name for file in tmp_path.iterdir()} == {"manifest.json", "data.csv"}


def test_two_runs_do_not_share_a_folder(finished):
    with results_module.locked(finished.path), pytest.raises(InputError, match="another run is writing"):
        pipeline.run(CONFIG, own_dataset(), out=finished.path)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds no jaxflow run"):
            pipeline.run(CONFIG, own_dataset(), out=tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "x"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="cannot write to"):
        pipeline.run(CONFIG, own_dataset(), out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "x"


def test_a_broken_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="no readable manifest"):
        pipeline.run(CONFIG, own_dataset(), out=tmp_path)


def test_diverged_training_is_an_error_not_nan(tmp_path):
    config = changed(training=Training(learning_rate=1e30, epochs=2))
    with pytest.raises(InputError, match="training diverged in network"):
        pipeline.run(config, own_dataset(), out=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.csv"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seeds": 0}, "between 1 and 1000000, not 0"),
        ({"seeds": -3}, "between 1 and 1000000, not -3"),
        ({"chunk": 0}, "chunk"),
        ({"seed": -1}, "seed must be between"),
        ({"estimator": "magic"}, "unknown estimator 'magic'; choose from gaussian"),
        ({"hidden": (3, 0)}, "nodes of a layer.* between 1 and"),
        ({"strategies": ()}, "at least one strategy"),
        ({"factors": ()}, "at least one strategy and one factor"),
        ({"first_layer": 2}, "first_layer must be between 0 and 1"),
    ],
)
def test_senseless_configs_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        changed(**change)


def test_more_nodes_than_there_are_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="cannot prune 7 nodes: the network has 6"):
        pipeline.run(changed(strategies=strategy_grid(nodes=(7,))), own_dataset(), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("plain_figures")
def test_a_layer_too_wide_to_list_is_searched(monkeypatch, tmp_path):
    """Report, manifest and summary say so; its flows are bounds from below and its witnesses lists of nodes.

    Memory has room for eleven nodes. With the notion of equalised odds the attribute's are searched within the strata
    of the label.
    """
    monkeypatch.setattr(exact, "free_bytes", lambda: exact.memory_needed(11))
    told = []
    config, data = changed(seeds=1, notion="odds"), own_dataset(width=12)
    half = data.test
    with no_climbs():
        results = pipeline.run(config, data, out=tmp_path / "out", report=lambda line, *_: told.append(line))
    assert "flows of layers above 11 nodes are searched" in told
    assert results.manifest["searched"] == [0]
    assert "Flows of layer 0 are lower bounds, found by Gaussian search" in summary(results)
    assert set(results.table("information")["layer"]) == {1, 2}
    for name, message, given in (("y", "y", None), ("z|y", "z", half.messages["y"])):
        wide = rows_of(results.table("node_flows"), 0, 0, name)
        assert len(wide) == 12
        assert wide["flow"].max() > 0.1
        assert wide["null95"].notna().all()
        assert (wide["low"] <= wide["honest"]).all()
        assert (wide["honest"] <= wide["high"]).all()
        assert wide["honest"].mean() < wide["flow"].mean()  # no choice flatters it
        bits = np.asarray(gaussian(half.messages[message], half.x, given=given))
        lists = [[int(node) for node in text.split("+") if node] for text in wide["witness"].fillna("").astype(str)]
        others, own = np.array([sum(2**node for node in nodes) for nodes in lists]), 2 ** np.arange(12)
        assert not (others & own).any()
        np.testing.assert_allclose(wide["flow"], np.maximum(bits[others | own] - bits[others], 0), atol=1e-5)
        assert (wide["flow"] <= node_flows(bits)[0] + 1e-5).all()


@pytest.mark.slow
@pytest.mark.usefixtures("plain_figures", "no_honest_flows")
def test_wide_inputs_run_from_the_first_hidden_layer(tmp_path):
    """As mnist: the input layer is outside the analysis."""
    config = changed(seeds=1, first_layer=1, hidden=(3, 2))
    results = pipeline.run(config, own_dataset(width=31), out=tmp_path / "out")
    assert set(results.table("node_flows")["layer"]) == {1, 2, 3}
    assert set(results.table("dependence")["layer"]) == {1, 2}


def test_presets_are_the_papers():
    mnist = preset("mnist")
    assert (mnist.hidden, mnist.first_layer, mnist.training.learning_rate) == ((6,) * 5, 1, 3e-3)
    assert preset("synthetic").training.learning_rate == 3e-2
    assert preset("adult-large").hidden == (3, 3)
    assert preset("adult-large").factors[-1] == -1.0
    assert preset("adult-small").factors == (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
    with pytest.raises(InputError, match="choose from synthetic"):
        preset("adult")
