"""Runs by SVM: backends and tuning, progress, resuming, unconverged fits, and who does the fits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pandas as pd
import pytest
from searches import FITS, three_draws
from splits import half as split_of

from jaxflow import Dataset, InputError, figures, honest_flows, pipeline
from jaxflow.cli import main
from jaxflow.information import linear_svm, svms
from jaxflow.messages import as_message, unpermuted
from jaxflow.pipeline import Config, paper_preset, preset, strategy_grid
from jaxflow.running.engines import dask_engine
from jaxflow.running.results import TABLES
from jaxflow.training import Training

CONFIG = Config(
    "mine", hidden=(1,), training=Training(epochs=3), seeds=2, chunk=1, first_layer=1, estimator="linear-svm",
    factors=(1.0, 0.0), strategies=strategy_grid(edges=(1,))[:1],
)  # fmt: skip


def changed(**changes):
    return dataclasses.replace(CONFIG, **changes)


SKLEARN = changed(backend="sklearn", tune="once", seeds=1)


@pytest.fixture(scope="module", autouse=True)
def few_draws_and_no_figures_in_all_runs():
    """Drawing takes longer than these runs; ``test_figures`` has tables without a noise floor."""
    with three_draws(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "draw_all", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, (2, 120))
    half = split_of(rng.normal(size=(120, 2)) + np.column_stack([y, z]), y, z)
    return Dataset("mine", half, half)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    return pipeline.run(CONFIG, data, out=tmp_path_factory.mktemp("run") / "out")


@pytest.fixture(scope="module")
def by_sklearn(data, tmp_path_factory):
    return pipeline.run(SKLEARN, data, out=tmp_path_factory.mktemp("sklearn") / "out")


def tables(results):
    return {name: (results.path / f"{name}.csv").read_bytes() for name in TABLES}


def test_tables_hold_what_the_estimate_gives(data, finished):
    """No noise floor; bits, honest flows and outputs of the logits as of the functions; factor 1 changes nothing."""
    assert finished.table("node_flows")["null95"].isna().all()
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[1]), finished.params())
    logits = CONFIG.network(data).activations(params, jnp.asarray(data.test.x))[-1]
    messages = np.stack([data.test.messages["y"], data.test.messages["z"]])
    bits = linear_svm(messages, logits[None])
    table = finished.table("information").query("network == 1 and layer == 2")
    np.testing.assert_allclose(table[table.message == "y"]["bits"], bits[0], atol=1e-6)
    rows = finished.table("node_flows").query("network == 1 and layer == 2 and message == 'y'")
    honest = honest_flows(jax.random.fold_in(jax.random.key(0), 3), messages[0], logits, estimator="linear-svm")
    np.testing.assert_allclose(rows[["honest", "low", "high"]].T, honest, atol=1e-6)
    row = finished.table("networks").iloc[1]
    expected = [100 * oracles.accuracy_of(float(b[-1]), m.mean()) for b, m in zip(bits, messages, strict=True)]
    np.testing.assert_allclose(row[["output_accuracy", "output_bias"]].to_numpy(float), expected, atol=0.02)
    whole = finished.table("tradeoff").query("factor == 1 and network == 1")
    np.testing.assert_allclose(whole["accuracy"], expected[0], atol=0.02)


def test_backends_agree_through_the_pipeline(finished, by_sklearn):
    ours, theirs = (r.table("networks").query("network == 0") for r in (finished, by_sklearn))
    np.testing.assert_allclose(ours, theirs, atol=100 * 2.1 / 120)


def test_tuned_once_keeps_the_unpruned_outputs_draws(data, finished, tmp_path):
    """Flows and unpruned outputs as when tuned each time; a pruned output takes five fits, with the whole's draws."""
    once = pipeline.run(changed(tune="once"), data, out=tmp_path / "out")
    for name in ("networks", "node_flows", "edge_flows"):
        pd.testing.assert_frame_equal(once.table(name), finished.table(name))
    fits = once.table("fits").set_index(["network", "stage", "message"])["fits"]
    assert set(fits.xs("tradeoff", level="stage")) == {5}
    assert set(fits.xs("dependence", level="stage")) == {2 * 5}
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[1]), once.params())
    start, logits = CONFIG.network(data).activations(params, jnp.asarray(data.test.x))[-2:]
    kernel, bias = (np.array(params["layer_1"][leaf]) for leaf in ("kernel", "bias"))
    kernel[0, 0] = 0
    messages = unpermuted({name: as_message(own) for name, own in data.test.messages.items()})
    members = np.ones((1, 2), bool)
    whole = svms.estimate(logits[None], messages, members, svm=svms.LINEAR)
    pruned = jnp.asarray(np.asarray(start) @ kernel + bias)
    draws = {name: own.draws[:, 0] for name, own in whole.items()}
    expected = svms.estimate(pruned[None], messages, members, svm=svms.LINEAR, draws=draws)
    effect = once.table("dependence").query("network == 1 and source == 0 and target == 0")["effect"].to_numpy()
    before = once.table("networks").query("network == 1")[["output_accuracy", "output_bias"]].to_numpy()[0]
    for name, accuracy in zip("yz", before + effect, strict=True):
        p = accuracy / 100
        entropy = [-q * np.log2(q) - (1 - q) * np.log2(1 - q) for q in (data.test.messages[name].mean(), p)]
        assert expected[name].bits[0, 0, 0] == pytest.approx(entropy[0] - entropy[1], abs=2e-3)


def test_fits_are_counted_and_unconverged_ones_reported(data, finished, monkeypatch):
    fits = finished.table("fits")
    flows = fits.query("stage == 'flows'")["fits"]
    assert set(flows) == {FITS * (1 + 3)}  # one hidden node, two logits
    assert (fits["unconverged"] == 0).all()

    def stuck(*args, **options):
        found = svms.linear.search_layers(*args, **options)
        return found._replace(unconverged=found.unconverged + 3)

    monkeypatch.setattr(svms, "LINEAR", dataclasses.replace(svms.LINEAR, search=stuck))
    x, message = data.test.x, data.test.messages["y"]
    with pytest.warns(svms.ConvergenceWarning, match=f"9 of {3 * FITS} linear SVM fits did not converge"):
        linear_svm(message, x)


def test_a_killed_run_resumes_to_the_same_bytes(data, finished, tmp_path):
    """Killed in the second network's tradeoff: the first is not computed again, and the tables come out the same."""
    stages = []

    class Killed(BaseException):
        pass

    def die(stage, done, _total):
        stages.append(stage)
        if done > 1 and stage == "tradeoff":
            raise Killed

    with pytest.raises(Killed):
        pipeline.run(CONFIG, data, out=tmp_path / "out", report=die)
    resumed = pipeline.run(CONFIG, data, out=tmp_path / "out", report=lambda *args: stages.append(args))
    assert min(args[1] for args in stages if isinstance(args, tuple) and args[0] == "flows") >= 1
    assert tables(resumed) == tables(finished)


def test_progress_moves_within_a_network(data, tmp_path):
    """Every report is at least as far as the one before it, most of them fractions, and the last is the whole."""
    heard = []
    pipeline.run(changed(seeds=1), data, out=tmp_path / "out", report=lambda *args: heard.append(args[1]))
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert len({done for done in heard if 0 < done < 1}) > 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--estimator", "gaussian", "--backend", "sklearn"], "gaussian searches no hyperparameters"),
        (["--tune", "once"], "quadratic searches no hyperparameters and has no tune 'once'"),
        (["--estimator", "kernel-svm", "--published-alpha"], "exists with backend sklearn only"),
        (["--published-alpha"], "quadratic has no alpha"),
        (["--estimator", "linear-svm", "--dask", "tcp://127.0.0.1:9"], "--dask spreads the fits of --backend sklearn"),
    ],
)
def test_choices_that_do_not_go_together_are_one_line(arguments, says, capsys, tmp_path):
    assert main(["run", "synthetic", "--quiet", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    import distributed

    def refused(address, **_):
        raise OSError(f"timed out after {address}")

    monkeypatch.setattr(distributed, "Client", refused)
    with (
        pytest.raises(InputError, match="no Dask scheduler answers at tcp://nowhere:1"),
        dask_engine("tcp://nowhere:1"),
    ):
        pass


def test_presets_of_the_reproduction_use_the_papers_estimators():
    names = ("synthetic", "adult-small", "adult-large", "mnist")
    assert [paper_preset(n).estimator for n in names] == ["kernel-svm", "linear-svm", "linear-svm", "gaussian"]
    assert [preset(n).estimator for n in names] == ["quadratic", "gaussian", "gaussian", "gaussian"]
    assert len(paper_preset("synthetic").strategies) == 12
    assert paper_preset("adult-small", seeds=3, backend="sklearn").backend == "sklearn"
    with pytest.raises(InputError, match="choose from synthetic"):
        paper_preset("adult")
