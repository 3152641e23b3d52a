"""Runs on the contracts: several attributes, notions, networks trained elsewhere, and functions of the user's."""

import dataclasses
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from brief import no_honest_flows
from oracles import class_bits

import jaxflow
from jaxflow import Dataset, InputError, Split, pipeline
from jaxflow.analysis import measure_outputs, network_flows
from jaxflow.messages import as_message, read_out
from jaxflow.metrics import Scores, bias_to_accuracy
from jaxflow.pipeline import Config, strategy_grid
from jaxflow.running import experiment
from jaxflow.running.config import measured_messages
from jaxflow.running.identity import function_identity
from jaxflow.running.summary import summary
from jaxflow.tables import metric_name
from jaxflow.training import Training

ROWS = 240
TABLES = ("networks", "information", "node_flows", "edge_flows", "tradeoff", "dependence", "correlations", "predictors")
pytestmark = pytest.mark.usefixtures("plain_figures", "no_honest_flows")


def people(label_classes: int = 2, groups: int = 3) -> Dataset:
    """'hired' with the attributes 'age' (whose name sorts before the label's) and 'sex'."""
    rng = np.random.default_rng(0)

    def half() -> Split:
        hired, age, sex = (rng.integers(0, count, ROWS) for count in (label_classes, groups, 2))
        x = rng.normal(size=(ROWS, 3)) + np.column_stack([hired, age, hired + sex])
        return Split(x, {"hired": hired, "age": age, "sex": sex})

    return Dataset("people", half(), half(), label="hired", attributes=("age", "sex"))


CONFIG = Config(
    "people",
    hidden=(3,),
    training=Training(learning_rate=0.03, epochs=4),
    strategies=strategy_grid(edges=(2,)),
    factors=(1.0, 0.0),
    seeds=2,
)


def run(out, dataset=None, **changes):
    return pipeline.run(dataclasses.replace(CONFIG, **changes), dataset or people(), out=out)


def network_of(results, number):
    """Parameters of one network."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[number]), results.params())


def same(ours, theirs, names=TABLES):
    for name in names:
        pd.testing.assert_frame_equal(ours.table(name), theirs.table(name), rtol=1e-4, atol=2e-4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched, no_honest_flows():
        patched.setattr(jaxflow.figures, "draw_all", lambda *_: ())
        return run(tmp_path_factory.mktemp("run") / "out")


# Several attributes


def test_tables_of_two_attributes_have_their_columns(finished):
    each = [f"{m}_{a}" for m in ("bias", "parity_gap", "odds_gap") for a in ("age", "sex")]
    last = ["threshold_accuracy", "threshold_bias_age", "threshold_bias_sex"]
    head = ["network", "metric", "method", "level", "attribute", "factor", "accuracy"]
    tradeoff = finished.table("tradeoff")
    assert tradeoff.columns.tolist() == [*head, *each[:2], "argmax_accuracy", *each[2:], *last]
    assert finished.table("networks").columns.tolist() == [
        *("network", "argmax_accuracy", "output_accuracy"), *(f"output_{n}" if n == "bias" else n for n in each), *last
    ]  # fmt: skip
    assert len(tradeoff) == 2 * 3 * 2 * 2
    for name in ("information", "node_flows", "edge_flows", "dependence"):
        assert finished.table(name)["message"].unique().tolist() == ["hired", "age", "sex"]
    assert finished.manifest["label"] == "hired"
    assert finished.manifest["attributes"] == ["age", "sex"]
    text = summary(finished)
    assert text.index("bias age") < text.index("bias sex")
    assert "few rows" not in text


def test_a_summary_says_where_rows_or_permutations_were_few(finished, monkeypatch):
    lines = [
        "few rows for 3 columns: sex has 3 in class x; at least 5 are needed",
        "no p-value of 9 permutations is below 0.1; p < 0.05 needs at least 20",
    ]
    assert not set(lines) & set(summary(finished).splitlines())
    manifest, identity = finished.manifest, finished.manifest["identity"]
    changed = manifest | {"thin": lines[:1], "identity": identity | {"permutations": 9}}
    monkeypatch.setattr(type(finished), "manifest", changed)
    assert set(lines) <= set(summary(finished).splitlines())


def test_tables_equal_the_analysis_of_each_network(finished):
    """Flows, outputs and the sweep of every network by the functions for one; no message is taken for another."""
    network, half = CONFIG.network(people()), people().test

    @jax.jit
    def analysis(own):
        flows = network_flows(network, own, half.x, half.messages)
        after = {}
        for attribute in ("age", "sex"):
            ranks = jaxflow.rank(network, own, flows, method="edge", keep="hired", remove=attribute)
            pruned = jaxflow.prune(own, jaxflow.select(network, own, ranks, 2), 0.0)
            after[attribute] = measured(pruned)
        return flows, measured(own), after

    @jax.jit  # inside of the other, too, it is compiled once
    def measured(own):
        return measure_outputs(network, own, half.x, half.messages, label="hired")

    for number in (0, 1):
        flows, outputs, pruned = analysis(network_of(finished, number))
        table = finished.table("node_flows").set_index(["network", "layer", "message"])["flow"]
        for message in half.messages:
            for layer in range(3):
                np.testing.assert_allclose(table.loc[number, layer, message], flows.node[message][layer], atol=1e-5)
        row = finished.table("networks").set_index("network").loc[number]
        for measure, value in outputs.items():
            assert row[{"accuracy": "output_accuracy"}.get(measure, measure)] == pytest.approx(float(value), abs=2e-3)
        for attribute, after in pruned.items():
            rows = finished.table("tradeoff").query("network == @number and metric == 'bias/acc' and factor == 0")
            for measure, value in after.items():
                found = rows.set_index("attribute").loc[attribute, measure]
                assert found == pytest.approx(float(value), abs=5e-3)


def test_one_attribute_among_two_is_measured_as_alone(finished, tmp_path):
    """The other attribute changes nothing but that its name is in the columns."""
    data = people()
    alone = run(tmp_path / "out", Dataset("people", data.train, data.test, label="hired", attributes=("sex",)))
    names = {f"{measure}_sex": measure for measure in ("bias", "parity_gap", "odds_gap", "threshold_bias")}
    both = finished.table("tradeoff").query("attribute == 'sex'").rename(columns=names).reset_index(drop=True)
    own = alone.table("tradeoff")
    chosen = own["metric"] != "random"  # each attribute has its random control
    pd.testing.assert_frame_equal(both[own.columns][chosen], own[chosen], rtol=1e-4, atol=2e-3)
    for name in ("information", "node_flows", "edge_flows", "dependence"):
        ours, theirs = (results.table(name).query("message == 'sex'").reset_index(drop=True)
                        for results in (finished, alone))  # fmt: skip
        columns = theirs.columns.difference(["null95", "p", "p_max"], sort=False)  # of other permutations
        pd.testing.assert_frame_equal(ours[columns], theirs[columns], rtol=1e-4, atol=2e-3)


# Notions


@pytest.mark.slow
def test_odds_is_information_given_the_label_also_of_three_classes(tmp_path):
    """A label of three classes has as many outputs and strata, and every table holds numbers."""
    results = run(tmp_path / "out", people(3), notion="odds")
    network, half, own = CONFIG.network(people(3)), people(3).test, network_of(results, 0)
    table = results.table("information").set_index(["network", "layer", "message"])["bits"].loc[0]
    layers = [np.asarray(activations) for activations in network.activations(own, jnp.asarray(half.x))]
    hired = half.messages["hired"]
    for layer, activations in enumerate(layers):
        np.testing.assert_allclose(table[layer, "hired"], class_bits(hired, activations), atol=1e-5)
        for attribute in ("age", "sex"):
            expected = class_bits(half.messages[attribute], activations, given=hired)
            np.testing.assert_allclose(table[layer, f"{attribute}|hired"], expected, atol=1e-5)
    row = results.table("networks").iloc[0]
    bits = class_bits(half.messages["sex"], layers[-1], given=hired)[-1]
    expected = 100 * read_out(
        jnp.asarray(bits, jnp.float32), jax.tree.map(jnp.asarray, as_message(half.messages["sex"], hired))
    )
    assert row["bias_sex"] == pytest.approx(float(expected), abs=2e-3)
    assert results.manifest["identity"]["notion"] == "odds"
    assert results.params()["layer_1"]["kernel"].shape == (2, 3, 3)
    assert not results.table("networks").isna().any(axis=None)
    assert results.table("information")["bits"].max() <= np.log2(3)


@pytest.mark.slow
def test_opportunity_is_information_within_the_rows_of_label_1(tmp_path):
    results = run(tmp_path / "out", notion="opportunity")
    assert "bias is measured in the rows of hired = 1, its class 1 (opportunity)" in summary(results)
    network, half, own = CONFIG.network(people()), people().test, network_of(results, 0)
    positive = half.messages["hired"] == 1
    table = results.table("information").set_index(["network", "layer", "message"])["bits"].loc[0]
    for layer, activations in enumerate(network.activations(own, jnp.asarray(half.x))):
        for attribute in ("age", "sex"):
            expected = class_bits(half.messages[attribute][positive], np.asarray(activations)[positive])
            np.testing.assert_allclose(table[layer, f"{attribute}|hired=1"], expected, atol=1e-5)


def test_the_favourable_class_of_equal_opportunity_is_chosen_by_name_or_number(tmp_path):
    data = dataclasses.replace(people(), values={"hired": ("approved", "denied")})
    messages = {}
    for favourable in ("approved", 0, None, "denied"):
        config = dataclasses.replace(CONFIG, notion="opportunity", favourable=favourable)
        roles = config.roles(data)
        messages[favourable] = measured_messages(roles, data)[roles.measured("sex")]
        assert roles.measured("sex") == f"sex|hired={0 if favourable in ('approved', 0) else 1}"
    for favourable, number in (("approved", 0), (0, 0), (None, 1), ("denied", 1)):
        np.testing.assert_array_equal(messages[favourable].given == 0, data.test.messages["hired"] == number)
    for wrong in ("rejected", 2):
        with pytest.raises(InputError, match=r"hired has no class .* approved, denied"):
            run(tmp_path / "out", data, notion="opportunity", favourable=wrong)
    with pytest.raises(InputError, match="belongs to the notion 'opportunity', not to 'parity'"):
        dataclasses.replace(CONFIG, favourable=0)
    assert "favourable" not in CONFIG.as_json()  # so that folders of earlier versions go on


def test_a_notion_is_part_of_a_run(finished):
    with pytest.raises(InputError, match="differs in notion"):
        run(finished.path, notion="odds")


# Networks that were trained elsewhere


def test_analysing_trained_networks_gives_the_tables_of_their_run(finished, tmp_path):
    network = CONFIG.network(people())
    analysed = pipeline.analyse(network, finished.params(), people(), CONFIG, out=tmp_path / "out")
    same(analysed, finished)
    assert len(analysed.table("training")) == 0
    again = pipeline.analyse(network, finished.params(), people(), CONFIG, out=tmp_path / "out")
    assert again.manifest["run"] == analysed.manifest["run"]
    other = jax.tree.map(lambda leaf: leaf + 1, finished.params())
    with pytest.raises(InputError, match="differs in params"):
        pipeline.analyse(network, other, people(), CONFIG, out=tmp_path / "out")


def test_a_network_of_ones_own_gives_the_built_in_ones_tables(finished, tmp_path):
    """The same function written by hand, with kernels target → source."""

    def activations(params, x):
        hidden = x @ params["in"].T + params["a"][None]
        hidden = jnp.where(hidden > 0, hidden, 0.01 * hidden)
        return x, hidden, hidden @ params["out"].T + params["b"][None]

    network = jaxflow.network(activations, lambda params: [params["in"], params["out"]], transposed=True)
    first, last = (finished.params()[f"layer_{layer}"] for layer in (0, 1))
    params = {"in": first["kernel"].swapaxes(1, 2), "out": last["kernel"].swapaxes(1, 2)}
    params |= {"a": first["bias"], "b": last["bias"]}
    same(pipeline.analyse(network, params, people(), CONFIG, out=tmp_path / "out"), finished)


@pytest.mark.parametrize("params", [{}, {"a": np.zeros(())}, {"a": np.zeros((2, 3)), "b": np.zeros((3, 3))}])
def test_parameters_must_be_stacked(params, tmp_path):
    with pytest.raises(InputError, match="stacked on axis 0"):
        pipeline.analyse(CONFIG.network(people()), params, people(), CONFIG, out=tmp_path / "out")


def test_two_classes_may_have_one_logit(tmp_path, monkeypatch):
    """``MLPClassifier`` has no other; ``test_first_checks`` says what is measured on it."""
    network = jaxflow.network(lambda params, x: (x, x @ params), lambda params: [params])

    def begun(plan):
        raise KeyboardInterrupt(plan.widths)

    monkeypatch.setattr(experiment, "_run", begun)
    with pytest.raises(KeyboardInterrupt, match=r"\(3, 1\)"):
        pipeline.analyse(network, np.ones((2, 3, 1), np.float32), people(), CONFIG, out=tmp_path)
    with pytest.raises(InputError, match="the network has 1 output, hired 3 classes"):
        pipeline.analyse(network, np.ones((2, 3, 1), np.float32), people(3), CONFIG, out=tmp_path)


def test_a_network_must_have_an_output_for_every_class(finished, tmp_path):
    with pytest.raises(InputError, match="the network has 2 outputs, hired 4 classes"):
        pipeline.analyse(CONFIG.network(people()), finished.params(), people(4), CONFIG, out=tmp_path / "out")


# Functions of the user's


def by_counts(message, activations, *, given=None, groups=None):
    """Bits about the message in whether each node is above its median, by counting: ten lines of NumPy."""
    del given, groups
    above = np.asarray(activations) > np.median(activations, axis=0)
    bits = []
    for subset in range(2 ** above.shape[1]):
        members = [i for i in range(above.shape[1]) if subset >> i & 1]
        cells = np.unique(above[:, members] @ 2 ** np.arange(len(members)), return_inverse=True)[1].ravel()
        joint = np.zeros((cells.max() + 1, int(np.max(message)) + 1))
        np.add.at(joint, (cells, np.asarray(message)), 1 / len(cells))
        independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        bits.append(np.sum(joint[joint > 0] * np.log2(joint[joint > 0] / independent[joint > 0])))
    return np.array(bits)


def removed_flow(shown):
    """A metric of one line."""
    return Scores(edge=[jnp.abs(w) * f[:, None] for w, f in zip(shown.weights, shown.remove, strict=True)])


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A run by the user's estimator."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jaxflow.figures, "draw_all", lambda *_: ())
        return run(tmp_path_factory.mktemp("counted") / "out", estimator=by_counts, seeds=1)


def test_an_estimator_of_the_users_makes_every_table(counted):
    results = counted
    network, half, own = CONFIG.network(people()), people().test, network_of(results, 0)
    table = results.table("information").set_index(["layer", "message"])["bits"]
    for layer, activations in enumerate(network.activations(own, jnp.asarray(half.x))):
        for name, message in half.messages.items():
            np.testing.assert_allclose(table[layer, name], by_counts(message, np.asarray(activations)), atol=1e-5)
    assert not results.table("tradeoff").isna().any(axis=None)
    recorded = results.manifest["identity"]["estimator"]
    assert recorded["function"].endswith("by_counts")
    assert len(recorded["sha256"]) == 64


def test_a_metric_of_the_users_is_one_among_the_strategies(finished, tmp_path):
    """A copy of the paper's gives the paper's rows; another gives its own."""

    def copied(shown):
        return bias_to_accuracy(shown)

    strategies = strategy_grid(edges=(2,), metrics=("bias/acc", copied, removed_flow))
    results = run(tmp_path / "out", strategies=strategies)
    table = results.table("tradeoff").set_index("metric")
    assert table.index.unique().tolist() == ["bias/acc", "copied", "removed_flow"]
    pd.testing.assert_frame_equal(
        table.loc["copied"].reset_index(drop=True), table.loc["bias/acc"].reset_index(drop=True)
    )
    expected = finished.table("tradeoff").set_index("metric").loc["bias/acc"]
    pd.testing.assert_frame_equal(table.loc["bias/acc"], expected, rtol=1e-4, atol=2e-4)
    assert not np.allclose(table.loc["removed_flow", "accuracy"], table.loc["bias/acc", "accuracy"])


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (lambda shown: Scores(node=shown.remove), r"scores no edges: return Scores\(edge="),
        (lambda shown: shown.remove, r"must return jaxflow\.Scores"),
        (lambda shown: Scores(edge=shown.remove), r"must score every edge: a list of arrays \[\(3, 3\), \(3, 2\)\]"),
        (lambda _: Scores(edge=0.5), r"must score every edge: .*, not 0\.5"),
        (lambda shown: Scores(edge=[np.asarray(w) for w in shown.weights]), r"fails on .*jax\.numpy in place of numpy"),
        (lambda: Scores(), r"fails on layers of 3, 3, 2 nodes \(TypeError"),
    ],
)  # fmt: skip
def test_a_metric_that_scores_nothing_is_refused_before_anything_is_made(tmp_path, metric, says):
    with pytest.raises(InputError, match=says):
        run(tmp_path / "out", strategies=strategy_grid(edges=(1,), metrics=(metric,)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (lambda _: np.zeros(4), r"must take \(message, activations\) and return bits"),
        (lambda _message, _activations: 0.5, r"must return bits of shape \(4,\), .* not \(\)"),
        (lambda _message, activations: np.zeros(activations.shape[1]), r"must return bits of shape \(4,\), .* \(2,\)"),
        (lambda _message, _activations: "none", "must return 4 numbers, not 'none'"),
        (lambda message, activations: activations.T @ message.T[:-1], r"fails on 2 nodes of 240 samples \(ValueError"),
    ],
)  # fmt: skip
def test_an_estimator_that_estimates_nothing_is_refused_before_anything_is_made(tmp_path, estimator, says):
    with pytest.raises(InputError, match=says):
        run(tmp_path / "out", estimator=estimator)
    assert not (tmp_path / "out").exists()
    if "fails" not in says and "none" not in says:
        messages = {"y": np.arange(9) % 2, "z": np.arange(9) % 3}
        linear = jaxflow.network(lambda params, x: (x, x @ params), lambda params: [params])
        with pytest.raises(InputError, match=says):
            network_flows(linear, jnp.eye(2), np.ones((9, 2), np.float32), messages, estimator)


def test_another_function_of_the_same_name_is_refused(tmp_path):
    def make(slope):
        if slope:

            def mine(shown):
                return Scores(edge=[slope * w for w in shown.weights])

        else:

            def mine(shown):
                return Scores(edge=[abs(w) for w in shown.weights])

        return mine

    def strategies(slope):  # as many as ``finished`` has, and so by its programs
        return strategy_grid(edges=(2,), metrics=(make(slope), "bias/acc", "random"))

    run(tmp_path / "metric", strategies=strategies(1))
    run(tmp_path / "metric", strategies=strategies(1))
    with pytest.raises(InputError, match="differs in strategies"):
        run(tmp_path / "metric", strategies=strategies(0))


def test_another_estimator_of_the_same_name_is_refused(counted):
    first = by_counts
    again = run(counted.path, estimator=first, seeds=1)
    assert again.manifest["run"] == counted.manifest["run"]

    def by_counts_too(message, activations, *, given=None, groups=None):
        return first(message, activations, given=given, groups=groups)

    by_counts_too.__qualname__ = first.__qualname__
    by_counts_too.__name__ = first.__name__
    with pytest.raises(InputError, match="differs in estimator"):
        run(counted.path, estimator=by_counts_too, seeds=1)


def test_a_preset_takes_a_function():
    assert pipeline.preset("synthetic", estimator=by_counts).spec.name == "by_counts"
    with pytest.raises(InputError, match="estimator"):
        pipeline.preset("synthetic", estimator="by_counts")


class Scaled:
    """A metric that is an object."""

    def __init__(self, slope):
        self.slope = slope

    def __call__(self, shown):
        return Scores(edge=[self.slope * w for w in shown.weights])


def test_functions_are_known_by_source_and_arguments():
    """The same in every process: no addresses. Other arguments make another function."""

    def same_as(one, other):
        return function_identity(one) == function_identity(other)

    assert same_as(partial(by_counts, given=3), partial(by_counts, given=3))
    assert not same_as(partial(by_counts, given=3), partial(by_counts, given=4))
    assert not same_as(partial(by_counts, given=3), by_counts)
    assert same_as(Scaled(2.0), Scaled(2.0))
    assert not same_as(Scaled(2.0), Scaled(3.0))
    assert not same_as(by_counts, removed_flow)
    assert [metric_name(m) for m in ("random", removed_flow, partial(removed_flow), Scaled(1.0))] == [
        *("random", "removed_flow", "removed_flow", "Scaled")
    ]
    one, two = (eval(f"lambda shown: {number} * shown") for number in (1, 2))  # without source
    magnitude, text = (eval(f"lambda shown: {name}(shown)") for name in ("abs", "hex"))
    assert not same_as(one, two)
    assert not same_as(magnitude, text)

    def make(slope, shift=0):
        def mine(shown, *, extra=shift):
            return slope * shown + extra

        return mine

    assert same_as(make(1), make(1))
    assert not same_as(make(1), make(2))
    assert not same_as(make(1), make(1, shift=1))
    with pytest.raises(InputError, match="a config cannot hold 3"):
        function_identity(3)


def test_functions_that_are_made_of_others_are_known_by_them():
    """Compiled, mapped, held in a closure or by an object: the inner one and its variables count."""

    def make(slope):
        return lambda shown: slope * shown

    def holding(function):
        return lambda shown: function(shown)

    ways = {
        "jit": lambda slope: jax.jit(make(slope)),
        "vmap": lambda slope: jax.vmap(make(slope)),
        "closure": lambda slope: holding(make(slope)),
        "closure of jit": lambda slope: holding(jax.jit(make(slope))),
        "partial": lambda slope: partial(holding, make(slope)),
        "method": lambda slope: Scaled(slope).__call__,
    }
    for name, way in ways.items():
        assert function_identity(way(1)) == function_identity(way(1)), name
        assert function_identity(way(1)) != function_identity(way(2)), name
    assert function_identity(jax.jit(removed_flow)) == function_identity(removed_flow)

    def calls_itself(shown):
        return calls_itself(shown)

    assert len(function_identity(calls_itself)["sha256"]) == 64


def test_a_decorators_source_counts():
    def doubled(function):
        @wraps(function)
        def own(shown):
            return 2 * function(shown)

        return own

    def squared(function):
        @wraps(function)
        def own(shown):
            return function(shown) ** 2

        return own

    assert function_identity(doubled(removed_flow)) != function_identity(squared(removed_flow))
