"""Recordings of any origin: the flows that ``significance`` and ``honest_flows`` give, however they come and go on."""

import json
import pickle
from types import SimpleNamespace

import jax
import jaxtyping
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jaxflow import InputError, as_message, edge_flows, gaussian, honest_flows, measure, node_flows, significance
from jaxflow.cli import main
from jaxflow.datasets.recordings import message_of, read_recording
from jaxflow.figures import draw_recording
from jaxflow.figures.style import ALPHA
from jaxflow.information import ESTIMATORS
from jaxflow.running import recording as running
from jaxflow.running.chunks import PERMUTED
from jaxflow.running.notes import few_permutations, idle_lines

N, T, U, B = 60, 5, 3, 19
FEW = "no p-value of 19 permutations is below 0.05; p < 0.05 needs at least 20"
RNG = np.random.default_rng(0)
STIMULUS = RNG.integers(0, 2, N)
CONTEXT = RNG.integers(0, 2, N)
ACTIVITY = RNG.normal(size=(N, T, U)).astype(np.float32)
ACTIVITY[:, 2:, 0] += 2 * STIMULUS[:, None]
ACTIVITY[:, :, 2] = 7  # a silent unit
KEY, HALVES = (jax.random.fold_in(jax.random.key(0), purpose) for purpose in (2, 3))
COLUMNS = [
    "network",
    "layer",
    "time",
    "node",
    "message",
    "flow",
    "witness",
    "null95",
    "p",
    "p_max",
    "honest",
    "low",
    "high",
]


@pytest.fixture(autouse=True)
def plain_drawings(monkeypatch, request):
    """Empty figures: drawing takes longer than measuring."""
    if "drawn" not in request.keywords:
        monkeypatch.setattr(running.figures, "draw_recording", lambda *_: [("flow_matrix", Figure(figsize=(1, 1)))])


def measured(folder, recording=ACTIVITY, messages=None, **options):
    messages = {"stimulus": STIMULUS} if messages is None else messages
    return measure(recording, messages, permutations=B, out=folder, **options)


def files(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.csv")}


# --- the numbers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The recording in one chunk, with edges."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running.figures, "draw_recording", lambda *_: [])
        weights = RNG.normal(size=(U, U))
        return measured(tmp_path_factory.mktemp("whole"), {"activity": ACTIVITY, "weights": weights}, chunk=T), weights


def test_every_column_is_what_the_functions_say_of_the_whole_stack(whole):
    layers = ACTIVITY.swapaxes(0, 1)
    found = significance(KEY, STIMULUS, layers, permutations=B)
    honest = honest_flows(HALVES, STIMULUS, layers)
    table = whole[0].table("node_flows")
    assert list(table) == COLUMNS
    assert len(table) == T * U
    for name in ("p", "p_max"):
        np.testing.assert_allclose(table[name], getattr(found, name).ravel(), rtol=1e-8)
    np.testing.assert_allclose(table["flow"], found.flow.ravel(), rtol=1e-6)
    np.testing.assert_allclose(table["null95"], np.repeat(found.null95, U), rtol=1e-6)
    for name, values in zip(("honest", "low", "high"), honest, strict=True):
        np.testing.assert_allclose(table[name], values.ravel(), atol=2e-6)  # of a batch, to rounding
    masks = [sum(1 << int(node) for node in filter(None, own.split("+"))) for own in table["witness"]]
    np.testing.assert_array_equal(masks, found.witness.ravel())


def test_the_arrays_behind_p_max_are_those_of_significance_to_the_bit(whole):
    with np.load(whole[0].path / "chunks/000000-000004" / PERMUTED) as archive:
        arrays = dict(archive)
    found = significance(KEY, STIMULUS, ACTIVITY.swapaxes(0, 1), permutations=B)
    np.testing.assert_array_equal(arrays["flow_0"], found.flow.ravel())
    column = running.p_max_column(whole[0].table("node_flows"), [arrays], ["stimulus"])
    np.testing.assert_array_equal(column, found.p_max.ravel())


def test_a_silent_unit_has_no_flow_and_p_of_one(whole):
    silent = whole[0].table("node_flows").query("node == 2")
    assert (silent["flow"] == 0).all()
    assert (silent[["p", "p_max"]] == 1).all(axis=None)


def test_edges_carry_the_flow_of_their_source(whole):
    results, weights = whole
    nodes, edges = results.table("node_flows"), results.table("edge_flows")
    assert len(edges) == (T - 1) * U * U
    flow = nodes["flow"].to_numpy().reshape(T, U)[:-1]
    np.testing.assert_allclose(edges["flow"], np.ravel(edge_flows(flow, weights)), rtol=1e-5)
    assert list(edges) == ["network", "layer", "source", "target", "weight", "message", "flow"]


@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_chunks_change_no_byte(whole, tmp_path, chunk):
    other = measured(tmp_path / "out", {"activity": ACTIVITY, "weights": whole[1]}, chunk=chunk)
    assert len(list((other.path / "chunks").iterdir())) > 1
    assert files(other.path) == files(whole[0].path)


def test_interrupted_after_any_chunk_the_same_call_ends_with_the_same_bytes(whole, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def until(count, plain=running.write_chunk):
        done = iter(range(count))

        def write(*arguments):
            if next(done, None) is None:
                raise Killed
            plain(*arguments)

        return write

    contents = {"activity": ACTIVITY, "weights": whole[1]}
    for count in (0, 2):
        out = tmp_path / str(count)
        with monkeypatch.context() as patched:
            patched.setattr(running, "write_chunk", until(count))
            with pytest.raises(Killed):
                measured(out, contents, chunk=1)
        assert not (out / "node_flows.csv").exists()
        stages = []
        measured(out, contents, chunk=1, report=lambda *what, said=stages: said.append(what))
        assert ("flows", float(count), T) in stages
        assert ("flows", 0.0, T) not in stages or count == 0
        assert files(out) == files(whole[0].path)


def test_a_damaged_chunk_is_computed_again(whole, tmp_path):
    contents = {"activity": ACTIVITY, "weights": whole[1]}
    measured(tmp_path, contents, chunk=3)
    file = next((tmp_path / "chunks").iterdir()) / "permuted.npz"
    file.write_bytes(file.read_bytes()[:-9])
    lines = []
    measured(tmp_path, contents, chunk=3, report=lambda stage, *_: lines.append(stage))
    assert any("is damaged (permuted.npz) and is computed again" in line for line in lines)
    assert files(tmp_path) == files(whole[0].path)


def test_another_question_is_refused_until_overwritten(tmp_path):
    measured(tmp_path, ACTIVITY[:, :2])
    with pytest.raises(InputError, match="has a run that differs in messages; choose another --out"):
        measured(tmp_path, ACTIVITY[:, :2], {"context": CONTEXT})
    results = measured(tmp_path, ACTIVITY[:, :2], {"context": CONTEXT}, overwrite=True)
    assert set(results.table("node_flows")["message"]) == {"context"}
    assert results.manifest["recording"]["classes"] == {"context": ["0", "1"]}


# --- windows, groups, what is given ----------------------------------------------------------------------------------


def test_a_window_of_one_is_none_and_of_two_makes_groups(whole, tmp_path):
    one = measured(tmp_path / "one", {"activity": ACTIVITY, "weights": whole[1]}, window=1)
    assert files(one.path) == files(whole[0].path)
    two = measured(tmp_path / "two", {"activity": ACTIVITY, "time": np.arange(T) / 10}, window=2).table("node_flows")
    assert two.drop_duplicates("layer")["time"].tolist() == [0.05, 0.25, 0.4]
    assert read_recording(ACTIVITY, window=2).notes == ("5 bins in windows of 2: the last layer holds 1 bin",)
    assert read_recording(ACTIVITY[:, :4], window=2).notes == ()
    for layer in range(2):
        columns = np.concatenate([ACTIVITY[:, 2 * layer], ACTIVITY[:, 2 * layer + 1]], axis=1)
        expected = node_flows(gaussian(STIMULUS, columns, groups=[0, 1, 2] * 2))[0]
        np.testing.assert_allclose(two.query("layer == @layer")["flow"], expected, atol=1e-5)


def test_groups_are_nodes_and_blocks_of_weights_count_by_their_norm(tmp_path):
    weights, region = np.arange(9.0).reshape(U, U), np.array(["V1", "PFC", "V1"])
    contents = {"activity": ACTIVITY[:, :2], "weights_0": weights, "region": region}
    results = measured(tmp_path, contents, groups="region")
    table, edges = results.table("node_flows"), results.table("edge_flows")
    assert results.manifest["recording"]["nodes"] == ["V1", "PFC"]
    expected = node_flows(gaussian(STIMULUS, ACTIVITY[:, :2].swapaxes(0, 1), groups=[0, 1, 0]))[0]
    np.testing.assert_allclose(table["flow"], np.ravel(expected), atol=1e-5)
    block = weights[np.ix_([0, 2], [0, 2])]
    assert edges["weight"][0] == pytest.approx(np.linalg.norm(block))
    noted = measured(tmp_path / "units", contents).manifest["recording"]["notes"]
    assert noted == ["every unit is a node of its own; --groups region takes the units of one region as one", FEW]


def test_given_is_in_the_name_and_bounds_the_permutations(tmp_path):
    contents = {"activity": ACTIVITY[:, :2], "stimulus": STIMULUS, "context": CONTEXT}
    table = measured(tmp_path, contents, "stimulus", given="context").table("node_flows")
    found = significance(KEY, STIMULUS, ACTIVITY[:, :2].swapaxes(0, 1), given=CONTEXT, permutations=B)
    assert set(table["message"]) == {"stimulus|context"}
    np.testing.assert_allclose(table["p_max"], found.p_max.ravel(), rtol=1e-8)
    other = measured(tmp_path / "session", contents, ["stimulus"], within=STIMULUS)
    assert (other.table("node_flows")["p"] == 1).all()  # nothing can be exchanged
    about = other.manifest["recording"]
    assert about["notes"] == ["within leaves nothing to exchange of stimulus: all its p-values are 1", FEW]
    assert about["asked"] == {"activity": None, "given": None, "within": "within", "groups": None, "window": 1}


def test_classes_of_few_trials_are_noted(tmp_path):
    rare = np.where(np.arange(N) < 3, "rare", "usual")
    notes = measured(tmp_path, ACTIVITY[:, 0], {"kind": rare}).manifest["recording"]["notes"]
    assert notes == [FEW, "few rows for 3 columns: kind has 3 in class rare; at least 5 are needed"]


NUMBER = ACTIVITY[:, 0, 0]
IDLE = {
    "a class": ({"m": 0 * STIMULUS}, None, "m is the same in all trials: there is nothing to know of it"),
    "a number": ({"m": 0 * NUMBER + 0.5}, None, "m is the same in all trials: there is nothing to know of it"),
    "classes given": ({"m": STIMULUS}, STIMULUS, "m is known from what is given: there is nothing more to know of it"),
    "other names": ({"m": STIMULUS}, STIMULUS + 2 * CONTEXT, "m is known from what is given: there is"),
    "numbers given": ({"m": NUMBER}, 3 - 2 * NUMBER, "m is known from what is given: there is"),
    "its part": ({"m": (NUMBER > 0).astype(int)}, np.stack([NUMBER > 0, NUMBER], 1) + 0.0, "m is known from what is"),
    "one of two": ({"m": ACTIVITY[:, 0, :2]}, NUMBER, None),
    "its size": ({"m": NUMBER}, (NUMBER > 0).astype(int), None),
    "others": ({"m": STIMULUS}, CONTEXT, None),
    "nothing": ({"m": STIMULUS}, None, None),
}


@pytest.mark.parametrize("case", IDLE)
def test_it_is_said_of_what_there_is_nothing_to_know(case):
    messages, given, says = IDLE[case]
    about = {name: as_message(values, given, samples=N) for name, values in messages.items()}
    lines = idle_lines([NUMBER[:, None]], about, None, ESTIMATORS["gaussian"])
    assert len(lines) == (says is not None)
    assert all(says in line for line in lines)


@pytest.mark.parametrize("estimator", ["gaussian", "quadratic"])
def test_it_is_said_where_nothing_can_be_exchanged_or_nothing_varies(estimator):
    own, layer = {"m": as_message(STIMULUS)}, ACTIVITY[:, 0]
    for within, says in ((STIMULUS, 1), (np.arange(N), 1), (CONTEXT, 0), (np.arange(N) // 20, 0), (None, 0)):
        lines = idle_lines([layer], own, within, ESTIMATORS[estimator])
        assert lines == ["within leaves nothing to exchange of m: all its p-values are 1"] * says
    dead = [np.ones((N, 2)), np.zeros((N, 2), bool)]
    says = "no unit's activity differs between trials: there is nothing to know from it"
    assert idle_lines(dead, own, None, ESTIMATORS[estimator]) == [says]
    assert idle_lines([*dead, layer], own, None, ESTIMATORS[estimator]) == []


def test_too_few_permutations_are_those_that_reach_no_p_below_alpha():
    for count in range(1, 30):
        assert bool(few_permutations(count)) == (1 / (count + 1) >= ALPHA), count
    assert few_permutations(0) == []


def test_an_estimator_without_honest_flows_leaves_them_empty(tmp_path):
    def halved(message, activations):
        return np.asarray(gaussian(message, activations)) / 2

    table = measured(tmp_path, ACTIVITY[:, 2], estimator=halved).table("node_flows")
    np.testing.assert_allclose(
        table["flow"], np.asarray(node_flows(gaussian(STIMULUS, ACTIVITY[:, 2]))[0]) / 2, atol=1e-6
    )
    assert table[["honest", "low", "high"]].isna().all(axis=None)


def test_several_messages_are_families_of_their_own(whole, tmp_path):
    """Columns of a frame are messages too."""
    table = measured(tmp_path, messages=pd.DataFrame({"stimulus": STIMULUS, "context": CONTEXT})).table("node_flows")
    own = table[table["message"] == "stimulus"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, whole[0].table("node_flows"))
    assert table["message"].tolist()[:2] == ["stimulus", "context"]


# --- messages of any kind --------------------------------------------------------------------------------------------


def test_integers_booleans_and_texts_are_classes_and_floats_numbers():
    recording = read_recording(ACTIVITY)
    codes = STIMULUS + CONTEXT
    for values, names in (
        (codes * 45, ("0", "45", "90")),
        (np.array(["a", "b", "c"])[codes], ("a", "b", "c")),
        (np.array(["a", "b", "c"])[codes].astype(object), ("a", "b", "c")),
        (pd.Series(codes).astype("category"), ("0", "1", "2")),
    ):
        message, classes = message_of(recording, "message", "own", values)
        np.testing.assert_array_equal(message.values, codes)
        assert (message.classes, classes) == (3, names)
    assert message_of(recording, "message", "own", STIMULUS > 0)[0].classes == 2
    for numbers in (ACTIVITY[:, 0, 0], ACTIVITY[:, 0, :2]):
        message, classes = message_of(recording, "message", "own", numbers)
        assert message.continuous
        assert classes == ()


# --- where recordings come from --------------------------------------------------------------------------------------


def same(recording, activity=ACTIVITY):
    read = read_recording(recording)
    for bin_, layer in enumerate(read.layers):
        np.testing.assert_array_equal(layer.activity, activity[:, bin_])
    assert len(read.layers) == activity.shape[1]
    return read


def test_an_npz_file_is_its_arrays(tmp_path):
    path = tmp_path / "cells.npz"
    np.savez(path, big=ACTIVITY, small=ACTIVITY[:, :1], s=STIMULUS, time=np.linspace(0, 1, T), unit=["a", "b", "c"])
    read = same(path)
    assert (read.name, read.nodes) == ("cells", ("a", "b", "c"))
    assert [layer.time for layer in read.layers] == np.linspace(0, 1, T).tolist()
    assert read.contents.source["file"] == "cells.npz"
    one = read_recording({"small": ACTIVITY[:, :1], "big": ACTIVITY}, activity="small")
    assert len(one.layers) == 1


def test_layers_of_a_network_have_widths_of_their_own(tmp_path):
    layers = [ACTIVITY[:, 0], ACTIVITY[:, 1, :2]]
    weights = np.ones((3, 2))
    for recording in ({"layer_0": layers[0], "layer_1": layers[1], "weights_0": weights}, layers):
        assert read_recording(recording).widths == (3, 2)
    results = measured(tmp_path, {"layer_0": layers[0], "layer_1": layers[1], "weights_0": weights})
    table = results.table("node_flows")
    assert table.groupby("layer")["node"].count().tolist() == [3, 2]
    assert len(results.table("edge_flows")) == 6
    expected = [np.asarray(node_flows(gaussian(STIMULUS, layer))[0]) for layer in layers]
    np.testing.assert_allclose(table["flow"], np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize("order", [("trial", "time", "unit"), ("unit", "trial", "time"), ("time", "unit", "trial")])
def test_dimensions_of_xarray_stand_in_any_order(tmp_path, order):
    xarray = pytest.importorskip("xarray", reason="needs xarray: pip install '.[recordings]'")
    array = xarray.DataArray(
        ACTIVITY, dims=("trial", "time", "unit"), coords={"time": np.arange(T) / 4, "unit": ["a", "b", "c"]}
    )
    dataset = xarray.Dataset({"rates": array.transpose(*order), "stimulus": ("trial", STIMULUS)})
    for recording in (array.transpose(*order), dataset):
        read = same(recording)
        assert read.nodes == ("a", "b", "c")
        assert [layer.time for layer in read.layers] == [0, 0.25, 0.5, 0.75, 1]
    np.testing.assert_array_equal(message_of(same(dataset), "message", "stimulus")[0].values, STIMULUS)
    pytest.importorskip("h5py", reason="needs h5py: pip install '.[recordings]'")
    dataset.to_netcdf(tmp_path / "cells.nc", engine="h5netcdf")
    np.testing.assert_array_equal(message_of(same(tmp_path / "cells.nc"), "message", "stimulus")[0].values, STIMULUS)


def test_epochs_are_channels_over_time():
    epochs = SimpleNamespace(
        get_data=lambda: ACTIVITY.transpose(0, 2, 1), times=np.arange(T) / 10, ch_names=["Fz", "Cz", "Pz"],
        metadata=pd.DataFrame({"stimulus": STIMULUS}), event_id={"left": 3, "right": 5},
        events=np.stack([np.arange(N), np.zeros(N, int), np.where(STIMULUS, 5, 3)], axis=1),
    )  # fmt: skip
    read = same(epochs)
    assert read.nodes == ("Fz", "Cz", "Pz")
    for name in ("stimulus", "event"):
        np.testing.assert_array_equal(message_of(read, "message", name)[0].values, STIMULUS)


# --- what is refused -------------------------------------------------------------------------------------------------

BROKEN = np.where(np.arange(N)[:, None, None] == 7, np.nan, ACTIVITY)
NAMED = {"activity": ACTIVITY, "stimulus": STIMULUS}
REFUSED = {
    "NaN": ({"recording": BROKEN}, "NaN or infinity in 1 of 60 trials, the first is trial 7; leave these trials out"),
    "one trial": ({"recording": ACTIVITY[:1]}, "has 1 trial; flows are estimated over trials"),
    "unequal": ({"recording": [ACTIVITY[0], ACTIVITY[1, :3]]}, r"trials have different shapes, such as \(5, 3\) and"),
    "four axes": ({"recording": ACTIVITY[None]}, r"must be \[trial, time, unit\] or \[trial, unit\], not \[1, 60, 5"),
    "nothing": ({"recording": {"stimulus": STIMULUS}}, r"recording holds no activity: .*; it has stimulus \[60\]"),
    "texts": ({"recording": np.full((4, 3), "x")}, "activity must hold real numbers, not <U1$"),
    "named": ({"recording": {"activity": ACTIVITY[None], "small": ACTIVITY}}, r"\[trial, unit\], not \[1, 60, 5, 3\]"),
    "complex": ({"recording": {"activity": ACTIVITY + 1j, "small": ACTIVITY}}, "must hold real numbers, not complex"),
    "objects": ({"recording": {"activity": ACTIVITY.astype(object)}}, "not object; trials of different lengths must"),
    "one axis": ({"recording": {"activity": STIMULUS}}, r"\[trial, time, unit\] or \[trial, unit\], not \[60\]"),
    "an array": ({"messages": STIMULUS}, "messages must have names: give an array as a dictionary, such as"),
    "a list": ({"messages": STIMULUS.tolist()}, "messages are names, or a dictionary of arrays by name, not "),
    "length": ({"messages": {"s": STIMULUS[1:]}}, r"must hold one value for each of the 60 trials, not \[59\]"),
    "axes": ({"recording": ACTIVITY.swapaxes(0, 1)}, "axis 0 of the activity .* must be the trials"),
    "name": ({"recording": NAMED, "messages": "stimulos"}, "no array 'stimulos', named as message; did you mean"),
    "no names": ({"messages": "stimulus"}, "no array 'stimulus', named as message; it holds nothing but"),
    "no messages": ({"messages": []}, "at least one message"),
    "number": ({"messages": 3}, "messages must be a list"),
    "missing": ({"messages": {"s": np.where(STIMULUS, np.nan, 0.5)}}, "message s holds NaN or infinity in"),
    "none": ({"messages": {"s": pd.Series([None, "b"] * 30)}}, "must hold numbers or texts, .*30 are missing"),
    "scalar": ({"messages": {"s": 3}}, r"one value for each of the 60 trials, not \[\]"),
    "made": ({"messages": {"s": as_message(STIMULUS[1:])}}, "one value for each of the 60 trials: 59"),
    "activity": ({"activity": 3}, "activity is the name of an array"),
    "ragged": ({"messages": {"s": [[1, 2], [3]] * 30}}, "message s must hold numbers or texts"),
    "bins": ({"messages": {"s": ACTIVITY[:, :, 0]}}, "has a value for every bin"),
    "integers": ({"messages": {"s": np.arange(N)}}, "60 different integers, which are classes: make them floating"),
    "given": ({"given": "context"}, "no array 'context', named as given"),
    "within": ({"within": ACTIVITY[:, 0, 0]}, "within within must be integers or texts"),
    "groups": ({"groups": [0, 1]}, r"groups must name the node of each of the 3 units, not \[2\]"),
    "window": ({"window": 6}, "window must be between 1 and 5"),
    "permutations": ({"permutations": 0}, "permutations must be between 1"),
    "estimator": ({"estimator": "linear-svm"}, "linear-svm has no null distribution"),
    "numbers": ({"estimator": "quadratic", "messages": {"s": ACTIVITY[:, 0, 0]}}, "classes"),
    "weights": ({"recording": NAMED | {"weights_0": np.eye(3)}}, "between which weights_0 to weights_3 would stand"),
    "matrix": ({"recording": NAMED | {"weights": np.eye(2)}}, r"weights must hold finite numbers \[3, 3\]"),
    "edges": ({"recording": NAMED | {"weights": np.full((3, 3), np.nan)}}, "weights holds NaN or infinity in 9 of 9"),
    "time": ({"recording": NAMED | {"time": np.arange(4)}}, r"time must hold one value for each of the 5 bins"),
    "order": ({"recording": NAMED | {"time": [0, 1, 3, 2, 4]}}, "time must rise .* bin 3 is at 2 after 3;"),
    "same time": ({"recording": NAMED | {"time": np.zeros(5)}}, "must rise from bin to bin, but bin 1 is at 0 after"),
    "names": ({"recording": NAMED | {"unit": ["a", "b"]}}, r"one name for each of the 3 units, not \[2\]"),
    "twice": ({"recording": NAMED | {"unit": list("aba")}}, "two units are named 'a'; rename one, or take"),
    "gap": ({"recording": {"layer_0": BROKEN, "layer_2": BROKEN}}, "no layer_1, but layer_0, layer_2: number the"),
    "wide": ({"recording": np.zeros((9, 2, 40)), "messages": {"s": STIMULUS[:9]}}, "40 nodes have 2[*][*]40 subsets"),
    "memory": ({"permutations": 10**6, "recording": np.zeros((9, 9000, 2)), "messages": {"s": STIMULUS[:9]}}, "GB of"),
    "file": ({"recording": "/nowhere/cells.npz"}, "the recording /nowhere/cells.npz cannot be read"),
    "folder": ({"recording": "/tmp"}, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_before_anything_is_written(case, tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    options, says = REFUSED[case]
    options = {"recording": ACTIVITY, "messages": {"stimulus": STIMULUS}, "permutations": B} | options
    with pytest.raises(InputError, match=says) as caught:
        measure(**options, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_files_that_are_no_recordings_are_refused_in_one_line(tmp_path):
    np.savez(tmp_path / "objects.npz", activity=ACTIVITY, stimulus=np.array([{}] * N))
    np.save(tmp_path / "alone.npy", ACTIVITY)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(ACTIVITY))
    (tmp_path / "text.npz").write_text("trial,unit\n1,2\n")
    (tmp_path / "half.npz").write_bytes((tmp_path / "objects.npz").read_bytes()[:900])
    (tmp_path / "text.nc").write_text("no netCDF")
    np.savez(tmp_path / "unequal.npz", activity=np.array([{}] * N), stimulus=STIMULUS, position=ACTIVITY[:, 0])
    starts = {"empty.npz": b"", "text.txt": b"trial", "cells.mat": b"MATLAB", "hdf.npz": b"\x89HDF"}
    for name, content in starts.items():
        (tmp_path / name).write_bytes(content)
    for name, says in {
        "objects.npz": "stimulus in objects holds pickled Python objects, which are not loaded",
        "alone.npy": "holds one array without messages; save them together with numpy.savez",
        "pickle.npz": "is no readable .npz file .it holds pickled Python objects.; write it with numpy.savez",
        "text.npz": "is no readable .npz file .it is no archive of arrays.; write it",
        "text.txt": "it is no archive of arrays",
        "empty.npz": "it is empty",
        "cells.mat": "scipy.io.loadmat reads MATLAB's.; write it with numpy.savez",
        "hdf.npz": "netCDF files end in .nc",
        "unequal.npz": "activity in unequal holds pickled .*: save it as numbers, with trials cut to the same times",
        "half.npz": "is no readable .npz file .File is not a zip file",
        "text.nc": "is no readable netCDF file .it is neither netCDF nor HDF5.|netCDF needs xarray",
    }.items():
        with pytest.raises(InputError, match=says) as caught:
            measure(tmp_path / name, "stimulus", out=tmp_path / "out")
        assert "\n" not in str(caught.value)


# --- figures and the command -----------------------------------------------------------------------------------------


@pytest.mark.drawn
def test_figures_have_a_panel_for_every_message(tmp_path):
    contents = {"activity": ACTIVITY, "weights": np.eye(3), "stimulus": STIMULUS, "context_$": CONTEXT}
    results = measured(tmp_path, contents, ["stimulus", "context_$"])
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in ("flow_over_time", "flow_matrix", "flows") for kind in ("png", "svg")}
    tables = results.table("node_flows"), results.table("edge_flows")
    for _, figure in draw_recording(*tables, "mine", ("a", "b", "c")):
        titled = [axes.get_title() for axes in figure.axes if axes.get_title()]
        assert len(titled) == 2
        assert "stimulus" in titled[0]


def test_the_command_prints_what_is_significant_and_nothing_else(tmp_path, capsys):
    np.savez(tmp_path / "cells.npz", activity=ACTIVITY, stimulus=STIMULUS)
    command = ["measure", str(tmp_path / "cells.npz"), "--permutations", str(B), "--out", str(tmp_path / "out")]
    assert main([*command, "--message", "stimulus", "--no-cache"]) == 0
    printed, errors = capsys.readouterr()
    assert printed.splitlines()[0] == "cells: 60 trials, 5 layers (time bins), 3 nodes"
    assert printed.splitlines()[1] == f"Note: {FEW}"
    assert "stimulus: 0 of 15 flows are significant (p_max < 0.05)" in printed
    assert printed.splitlines()[-1] == f"Results: {tmp_path / 'out'}"
    assert "cells: starting, 19 permutations, seed 0\n" in errors
    assert "\ncells: tables and figures, " in errors
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["finished"]
    assert str(tmp_path) not in json.dumps(manifest)
    assert main([*command, "--message", "stimulos", "--quiet", "--no-cache"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
