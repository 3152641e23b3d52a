"""Values that nobody should hand in, and what becomes of them: the tables behind ``test_refusals.py``.

Run as a program, because the tests' type checks would refuse most of these before jaxflow sees them; a user has none.
Prints one JSON object: by section the outcome of every case, either ``accepted: …``, ``refused: …`` or a failure.
"""

import contextlib
import dataclasses
import datetime
import decimal
import fractions
import functools
import io
import itertools
import json
import os
import pathlib
import signal
import tempfile
import traceback
import warnings
from types import SimpleNamespace
from unittest import mock

from splits import half as split_of

HANGS = 60  # seconds
LONGEST = 2_000  # characters of a message, some of which name a path


class Raises:
    """An object that answers nothing."""

    def __raise(self, *_, **__):
        raise RuntimeError("hostile\nobject")

    __index__ = __float__ = __int__ = __iter__ = __len__ = __array__ = __str__ = __repr__ = __bool__ = __raise
    __eq__ = __fspath__ = __raise
    __hash__ = None  # pyright: ignore[reportAssignmentType]


def values():
    """Name → a function that makes the value anew: generators are spent by their first use."""
    import jax.numpy as jnp
    import numpy as np
    import pandas as pd

    same = {
        "None": None,
        "True": True,
        "False": False,
        "np.True_": np.True_,
        "np.bool 0-d": np.array(True),
        "''": "",
        "'3'": "3",
        "'node'": "node",
        "'a/b'": "a/b",
        "'..'": "..",
        "'.'": ".",
        "'../x'": "../x",
        "newline": "a\nb",
        "NUL": "a\0b",
        "surrogate": "\ud800",
        "mathtext": r"$\frac{$",
        "long": "x" * 100_000,
        "'mine'": "mine",
        "'Ünïcode 名'": "Ünïcode 名",
        "np.str_": np.str_("mine"),
        "np.str_ 0-d": np.array("mine"),
        "bytes": b"3",
        "bytearray": bytearray(b"3"),
        "memoryview": memoryview(b"3"),
        "nan": float("nan"),
        "inf": float("inf"),
        "-inf": float("-inf"),
        "-0.0": -0.0,
        "1e300": 1e300,
        "1e-300": 1e-300,
        "0": 0,
        "1": 1,
        "2": 2,
        "5": 5,
        "-1": -1,
        "10**9": 10**9,
        "10**30": 10**30,
        "10**400": 10**400,
        "0.5": 0.5,
        "2.5": 2.5,
        "5.0": 5.0,
        "1+2j": 1 + 2j,
        "Fraction": fractions.Fraction(1, 2),
        "Decimal": decimal.Decimal("2.5"),
        "np.int64 5": np.int64(5),
        "np.uint8 5": np.uint8(5),
        "np.int8 -1": np.int8(-1),
        "np.float32 0.5": np.float32(0.5),
        "np.float16 0.5": np.float16(0.5),
        "np.float64 nan": np.float64("nan"),
        "longdouble 0.5": np.longdouble(0.5),
        "longdouble huge": np.longdouble("1e4000"),
        "np.complex": np.complex64(1),
        "int 0-d": np.array(5),
        "float 0-d": np.array(0.5),
        "jax int": jnp.int32(5),
        "jax float": jnp.float32(0.5),
        "int 1-d": np.array([1, 2]),
        "int 1 of 1": np.array([5]),
        "big-endian": np.array([1, 2], ">i4"),
        "float 1-d": np.array([0.5, 0.25]),
        "float whole": np.array([1.0, 2.0]),
        "2-d": np.ones((2, 2)),
        "empty": np.array([]),
        "empty int": np.array([], int),
        "bool 1-d": np.array([True, False]),
        "object 1-d": np.array([1, None], object),
        "object ints": np.array([1, 2], object),
        "jax 1-d": jnp.array([1, 2]),
        "nan 1-d": np.array([1, np.nan]),
        "structured": np.zeros(2, [("a", int)]),
        "masked": np.ma.masked_array([1, 2], [True, False]),
        "text 1-d": np.array(["a", "b"]),
        "dates": np.array(["2020-01-01"], "M8[D]"),
        "date": datetime.date(2020, 1, 1),
        "[]": [],
        "[1, 2]": [1, 2],
        "[2.0, 1.0]": [2.0, 1.0],
        "[[1]]": [[1]],
        "[1, [2]]": [1, [2]],
        "['a', 'b']": ["a", "b"],
        "[1, 1]": [1, 1],
        "[None]": [None],
        "(0,)": (0,),
        "(-1,)": (-1,),
        "(True,)": (True,),
        "(1, nan)": (1, float("nan")),
        "long list": [1] * 100_001,
        "dict": {"a": 1},
        "set": {1, 2},
        "range": range(1, 3),
        "Series": pd.Series([1, 2]),
        "Index": pd.Index(["a", "b"]),
        "frame": pd.DataFrame({"a": [1], "b": [2]}),
        "pd.NA": pd.NA,
        "NaT": pd.NaT,
        "object()": object(),
        "type": int,
        "function": len,
        "Raises": Raises(),
        "[Raises]": [Raises()],
        "Path": pathlib.Path("x"),
        "strategy": ("bias/acc", "node", 1),
        "strategies": [("bias/acc", "node", 1)],
        "ellipsis": ...,
    }
    made = {
        "generator": lambda: (i for i in (1, 2)),
        "endless": lambda: itertools.count(1),
        "raising generator": lambda: (1 // i for i in (1, 0)),
    }
    return {name: (lambda value=value: value) for name, value in same.items()} | made


def outcome(act):
    """What comes of calling: one line for what was refused, anything else that was raised is a failure."""
    from jaxflow import InputError

    signal.alarm(HANGS)
    try:
        return f"accepted: {act()}"
    except InputError as error:
        message = str(error)
        good = "\n" not in message and message.isprintable() and 10 < len(message) < LONGEST
        return f"refused: {message}" if good else f"FAILED: message {message!r}"
    except BaseException as error:
        return f"FAILED: {type(error).__name__} {traceback.format_exc(limit=-3)}"
    finally:
        signal.alarm(0)


def hanging(*_):
    """What ends a case that goes on and on."""
    raise TimeoutError(f"more than {HANGS} s")


# --- configs -----------------------------------------------------------------------------------------------------


def is_plain(value):
    """Whether only plain Python values occur."""
    if type(value) in (tuple, list):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def accepted_config(config):
    """The config as JSON, after a check that it is plain and that a config made from the JSON is the same one."""
    from jaxflow.pipeline import Config
    from jaxflow.training import Training

    plain = config.as_json()
    again = Config(**{**plain, "training": Training(**plain["training"])})
    assert again == config, "round trip"
    assert hash(again) == hash(config), "hash"
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain, "JSON"
    for part in (config, config.training):
        fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        fields.pop("training", None)
        strategies = fields.pop("strategies", ())
        assert is_plain(fields), "plain values"
        assert is_plain([list(strategy) for strategy in strategies]), "plain strategies"
    return json.dumps(plain)


def configs():  # noqa: C901 - tables, one after the other
    """Every field of ``Config``, ``Training`` and ``Strategy``, and their elements."""
    from jaxflow.interventions import Strategy
    from jaxflow.pipeline import Config, preset, strategy_grid
    from jaxflow.running.config import factor_grid
    from jaxflow.training import Training

    def config(**changes):
        return accepted_config(Config(**{"name": "mine", "hidden": (3, 3), **changes}))

    for field in (field.name for field in dataclasses.fields(Config)):
        for name, value in values().items():
            yield f"Config.{field} = {name}", lambda field=field, value=value: config(**{field: value()})
    for field in ("hidden", "linear", "factors", "strategies"):
        for name, value in values().items():
            yield f"Config.{field} item = {name}", lambda field=field, value=value: config(**{field: [value()]})
    for field in (field.name for field in dataclasses.fields(Training)):
        for name, value in values().items():
            yield (
                f"Training.{field} = {name}",
                lambda field=field, value=value: config(training=Training(**{field: value()})),
            )
    for place, field in enumerate(Strategy._fields):
        for name, value in values().items():
            parts = ("bias/acc", "node", 1)
            yield (
                f"Strategy.{field} = {name}",
                lambda place=place, value=value, parts=parts: config(
                    strategies=[Strategy(*parts[:place], value(), *parts[place + 1 :])]
                ),
            )
    for option in ("nodes", "edges", "paths", "metrics"):
        for name, value in values().items():
            yield (
                f"strategy_grid {option} = {name}",
                lambda option=option, value=value: config(strategies=strategy_grid(**{"nodes": (1,), option: value()})),
            )
    for name, value in values().items():
        yield f"factor_grid = {name}", lambda value=value: config(factors=factor_grid(value()))
        yield f"preset = {name}", lambda value=value: preset(value()).as_json()
        yield f"preset estimator = {name}", lambda value=value: preset("synthetic", estimator=value()).as_json()
    yield "preset seedz", lambda: preset("synthetic", seedz=3)


# --- data and hosts ----------------------------------------------------------------------------------------------


def arrays():
    """Name → features ``[40, 2]`` or what pretends to be."""
    import jax.numpy as jnp
    import numpy as np
    import pandas as pd

    x = np.random.default_rng(0).normal(size=(40, 2))
    lossy = x.copy()
    lossy[3, 1] = np.nan
    return {
        "float64": x,
        "float32": x.astype("f4"),
        "float16": x.astype("f2"),
        "big-endian": x.astype(">f8"),
        "longdouble": x.astype(np.longdouble),
        "int": (10 * x).astype(int),
        "uint8": (10 * abs(x)).astype("u1"),
        "bool": x > 0,
        "list": x.tolist(),
        "frame": pd.DataFrame(x, columns=["a", "b"]),
        "jax": jnp.asarray(x),
        "mixed frame": pd.DataFrame({"a": x[:, 0], "b": x[:, 1] > 0}),
        "Fortran": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=0)[::2],
        "read-only": np.broadcast_to(x[:1], (40, 2)).copy(),
        "object": x.astype(object),
        "unmasked": np.ma.masked_array(x),
        "matrix rows": [tuple(row) for row in x],
        "tiny": x * 1e-30,
        "large": x * 1e30,
        "1e300": x * 1e300,
        "1e-300": x * 1e-300,
        "beyond": np.full((40, 2), 1e308) * np.sign(x),
        "longdouble huge": x.astype(np.longdouble) * np.longdouble("1e4000"),
        "complex": x + 0j,
        "nan": lossy,
        "inf": np.where(np.isnan(lossy), np.inf, lossy),
        "text": x.astype(str),
        "text objects": x.astype(str).astype(object),
        "bytes": x.astype("S8"),
        "dates": np.zeros((40, 2), "M8[D]"),
        "durations": np.zeros((40, 2), "m8[s]"),
        "structured": np.zeros((40, 2), [("a", float)]),
        "masked": np.ma.masked_array(x, x > 1),
        "None objects": np.full((40, 2), None),
        "pd.NA": pd.DataFrame({"a": pd.array([1, None] * 20, "Int64"), "b": 1}),
        "ragged": [[1.0]] * 39 + [[1.0, 2.0]],
        "1-d": x[:, 0],
        "0-d": np.float64(3),
        "3-d": x[None],
        "no columns": x[:, :0],
        "no rows": x[:0],
        "39 rows": x[1:],
        "None": None,
        "''": "",
        "dict": {"a": x},
        "set": {1.0},
        "generator": (row for row in x),
        "object()": object(),
        "Raises": Raises(),
        "[Raises]": [Raises()] * 40,
        "huge ints": [[10**400, 1]] * 40,
        "large ints": [[10**30, 1], [0, 2]] * 20,
    }


def messages():
    """Name → labels ``[40]`` or what pretends to be."""
    import jax.numpy as jnp
    import numpy as np
    import pandas as pd

    m = np.tile([0, 1], 20)
    return {
        "int": m,
        "bool": m > 0,
        "float": m.astype(float),
        "uint8": m.astype("u1"),
        "big-endian": m.astype(">i2"),
        "longdouble": m.astype(np.longdouble),
        "list": m.tolist(),
        "Series": pd.Series(m),
        "jax": jnp.asarray(m),
        "objects": m.astype(object),
        "bool objects": (m > 0).astype(object),
        "Boolean": pd.array(m > 0),
        "ones": m * 0 + 1,
        "zeros": m * 0,
        "0 and 2": 2 * m,
        "±1": 2 * m - 1,
        "half": m / 2,
        "nan": np.where(m, np.nan, 0),
        "inf": np.where(m, np.inf, 0),
        "complex": m + 0j,
        "text": m.astype(str),
        "text objects": m.astype(str).astype(object),
        "bytes": m.astype("S1"),
        "None objects": np.array([0, None] * 20),
        "dates": m.astype("M8[D]"),
        "masked": np.ma.masked_array(m, m > 0),
        "missing": pd.Series([0, None] * 20, dtype="Int64"),
        "39": m[1:],
        "none": m[:0],
        "column": m[:, None],
        "0-d": np.array(1),
        "None": None,
        "''": "",
        "dict": {0: 1},
        "generator": iter(m),
        "object()": object(),
        "Raises": Raises(),
        "huge": [0, 10**400] * 20,
    }


def datasets():  # noqa: C901 - tables, one after the other
    """Every array and field of ``Dataset`` and ``Split``, ``load_dataset`` and ``Hosts``."""
    import numpy as np

    from jaxflow import Dataset, load_dataset
    from jaxflow.running.hosts import Hosts, parse_hosts

    x, y, z = arrays()["float64"], np.tile([0, 1], 20), np.tile([0, 0, 1, 1], 10)
    good = split_of(x, y, z)

    def dataset(**changes):
        made = Dataset(**{"name": "mine", "train": good, "test": good, **changes})
        for half in (made.train, made.test):
            assert half.x.dtype == np.float32, "types"
            assert all(a.dtype in (np.float32, np.int32) for a in half.messages.values()), "types"
            assert np.isfinite(half.x).all(), "finite"
            assert half.x.shape == x.shape, "shape"
        assert is_plain((made.categories, made.features)), "plain"
        assert len(made.features) == 2, "names"
        return f"{made.categories} {made.features!r} {made.train.x.std(dtype=float):.6g} {made.fingerprint()[:8]}"

    for name, value in arrays().items():
        yield f"Split.x = {name}", lambda value=value: dataset(train=split_of(value, y, z))
    for name, value in messages().items():
        yield f"Split.y = {name}", lambda value=value: dataset(train=split_of(x, value, z))
        yield f"Split.z = {name}", lambda value=value: dataset(test=(x, {"y": y, "z": value}))
    for field in (field.name for field in dataclasses.fields(Dataset)):
        for name, value in values().items():
            yield f"Dataset.{field} = {name}", lambda field=field, value=value: dataset(**{field: value()})
    for field in (field.name for field in dataclasses.fields(Hosts)):
        for name, value in values().items():
            yield (
                f"Hosts.{field} = {name}",
                lambda field=field, value=value: dataclasses.astuple(
                    Hosts(**{"processes": 6, "address": "127.0.0.1:1", field: value()})
                ),
            )
    for name, value in values().items():
        yield f"load_dataset = {name}", lambda value=value: load_dataset(value())
        yield f"load_dataset seed = {name}", lambda value=value: load_dataset("synthetic", seed=value()).name
    for text in STRINGS:
        for form in ("{}", "0/2@{}", "0/2@{}:80", "0/2@h:{}", "{}/2@h:80", "0/{}@h:80"):
            yield f"hosts {form} of {text[:30]!r}", lambda text=text, form=form: parse_hosts(form.format(text))


def runs():
    """Every argument of ``run``, up to the moment that it would touch the results folder."""
    from jaxflow import pipeline
    from jaxflow.running import experiment

    class TouchedError(Exception):
        """The folder would be touched now."""

    @contextlib.contextmanager
    def opened(path, *_, **__):
        raise TouchedError(repr(path))
        yield

    def run(**changes):
        config = pipeline.preset("synthetic", seeds=1, estimator="gaussian")
        with (
            mock.patch.object(experiment, "_opened", opened),
            mock.patch.object(experiment, "load_dataset", return_value=data),
        ):
            try:
                pipeline.run(**{"config": config, "out": "x", **changes})
            except TouchedError as reached:
                return str(reached)

    from jaxflow.datasets import Dataset

    x = arrays()["float64"]
    y = messages()["int"]
    half = split_of(x, y, y)
    data = Dataset("mine", half, half)
    for argument in ("config", "dataset", "out", "data_dir", "overwrite", "devices", "hosts", "report"):
        for name, value in values().items():
            if argument == "report" and name in ("type", "function"):
                continue  # callable, and of other arguments
            yield f"run {argument} = {name}", lambda argument=argument, value=value: run(**{argument: value()})


# --- arrays ------------------------------------------------------------------------------------------------------


def functions():  # noqa: C901 - tables, one after the other
    """The functions of arrays: features and messages that ``Dataset`` knows, and options."""
    import numpy as np

    import jaxflow
    from jaxflow.information import gaussian, gaussian_flows, kernel_svm, knn, linear_svm, probe, quadratic

    x, m = arrays()["float64"], messages()["int"]

    def bits(message, layer):
        found = np.asarray(gaussian(message, layer))
        assert found.shape[-1] == 2 ** np.shape(layer)[-1], "subsets"
        assert np.isfinite(found).all(), "finite"
        assert ((found >= 0) & (found <= 1)).all(), "bits"
        return found.round(6).tolist()

    for name, value in arrays().items():
        yield f"gaussian activations = {name}", lambda value=value: bits(m, value)
    for name, value in messages().items():
        yield f"gaussian message = {name}", lambda value=value: bits(value, x)
    others = {
        "quadratic": quadratic,
        "linear_svm": linear_svm,
        "kernel_svm": kernel_svm,
        "knn": knn,
        "probe": probe,
        "gaussian_flows": gaussian_flows,
        "search_flows": jaxflow.search_flows,
    }
    never = (
        "complex",
        "nan",
        "inf",
        "text",
        "bytes",
        "dates",
        "structured",
        "masked",
        "None objects",
        "ragged",
        "0-d",
        "39 rows",
        "no rows",
        "None",
        "''",
        "dict",
        "object()",
        "Raises",
        "[Raises]",
    )
    for function, name in itertools.product(others, never):
        yield f"{function} activations = {name}", lambda f=others[function], name=name: f(m, arrays()[name])
    refused = ("±1", "nan", "complex", "text", "39", "none", "None", "masked")  # others take seconds to compile
    for function, name in itertools.product(others, refused):
        yield f"{function} message = {name}", lambda f=others[function], name=name: f(messages()[name], x)
    for function in ("quadratic", "linear_svm", "kernel_svm"):
        yield f"{function} message = half", lambda f=others[function]: f(messages()["half"], x)
    for function in others:
        yield f"{function} batches", lambda f=others[function]: f(np.stack([m] * 3), np.stack([x] * 2))
    options = {
        "quadratic": ("bound", "subsets"),
        "linear_svm": ("backend", "subsets"),
        "kernel_svm": ("backend", "published_alpha", "subsets"),
        "knn": ("neighbours", "subsets"),
        "probe": ("cycles", "seed", "subsets"),
        "search_flows": ("beam", "restarts", "depth"),
    }
    computed = {"None", "False", "np.False_"} | {
        name for name, value in values().items() if _computes(value)
    }  # would be accepted, and take seconds to compile
    for function, names in options.items():
        for option, (name, value) in itertools.product(names, values().items()):
            if name not in computed and (option, name) != ("seed", "10**9"):  # which is a seed
                yield (
                    f"{function} {option} = {name}",
                    lambda f=others[function], option=option, value=value: f(m, x, **{option: value()}),
                )
    for name, value in (arrays() | values()).items():
        if "generator" in name or name == "endless":
            continue  # JAX warns of them as pytrees, by itself
        make = value if callable(value) and name not in ("type", "function") else (lambda value=value: value)
        yield f"node_flows = {name}", lambda make=make: [a.shape for a in jaxflow.node_flows(make())]
        yield f"edge_flows flow = {name}", lambda make=make: _finite(jaxflow.edge_flows(make(), np.ones((2, 3))))
        yield f"edge_flows kernel = {name}", lambda make=make: _finite(jaxflow.edge_flows(np.ones(2), make()))
        yield (
            f"prune factor = {name}",
            lambda make=make: _finite(
                jaxflow.prune({"kernel": np.ones((2, 3))}, {"kernel": np.ones((2, 3), bool)}, make())["kernel"]
            ),
        )
        yield f"prune params = {name}", lambda make=make: jaxflow.prune(make(), {"kernel": np.ones((2, 3), bool)}, 0.5)
        yield f"prune selection = {name}", lambda make=make: jaxflow.prune({"kernel": np.ones((2, 3))}, make(), 0.5)
        yield (
            f"prune mask = {name}",
            lambda make=make: jaxflow.prune({"kernel": np.ones((2, 3))}, {"kernel": make()}, 0.5),
        )


def _computes(value):
    """Whether it could be an option of an estimator: an integer, or several that are subsets of two nodes."""
    from jaxflow.errors import InputError
    from jaxflow.values import whole, wholes

    for check in (lambda: whole("", value(), 0, 100_000), lambda: wholes("", value(), 0, 3, 2**20)):
        with contextlib.suppress(InputError):
            check()
            return True
    return False


def _finite(array):
    import numpy as np

    assert np.isfinite(np.asarray(array)).all(), "finite"
    return np.shape(array)


# --- the command -------------------------------------------------------------------------------------------------

STRINGS = (
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "5",
        "5.0",
        "2.5",
        "1e3",
        "+5",
        " 5 ",
        "1_000",
        "٣",
        "nan",
        "inf",
        "true",
        "None",
        "many",
    ),
    *(
        "9" * 20,
        "9" * 5000,
        "-" + "9" * 20,
        "0x10",
        "3x0",
        "0x3",
        "3x",
        "x3",
        "3,,3",
        ",",
        "3x100000000",
        "9" * 30 + "x2",
        "16,8",
        "32x20",
    ),
    *(
        "3" + ",3" * 2000,
        "--",
        "-x",
        "~",
        "~nosuchuser",
        "~nosuchuser/x",
        ".",
        "..",
        "a/b",
        "x" * 5000,
        "a\nb",
        "a\rb\x1b[2J",
        "a\0b",
    ),
    *(
        "\udcff",
        "\ud800",
        "名",
        "$\\frac{$",
        "%s %d {}",
        "gaussian",
        "linear-svm",
        "sklearn",
        "once",
        "mnist",
        "adult",
        "fig3",
    ),
    *(
        "0/1@h:1",
        "0/2@127.0.0.1:1",
        "2/2@h:1",
        "0/2@h:0",
        "0/2@h:65536",
        "0/2@h:99999999",
        "0/2@:1",
        "0/2@h",
        "0/2@[::1]:4321",
    ),
    *(
        "0/2@::1:4321",
        "0/2@h h:1",
        "0/2@a@b:1",
        "0/2@http://h:1",
        "0/99999999999@h:1",
        "-1/2@h:1",
        "tcp://h:1",
        "/dev/null",
        "/proc/x",
    ),
)


def command():  # noqa: C901 - tables, one after the other
    """Every option of both commands with every string; what would compute is taken out."""
    from jaxflow import arguments as command_line
    from jaxflow import cli, pipeline
    from jaxflow.reproduction import reproduce
    from jaxflow.running import doctor, rebuilt, summary
    from jaxflow.running import experiment as running

    def run(config, dataset=None, **how):
        running._checked(
            config,
            dataset,
            *(how.get(name) for name in ("out", "data_dir")),
            how["overwrite"],
            *(how.get(name) for name in ("devices", "hosts")),
            how["report"],
        )
        return SimpleNamespace(path=how.get("out"))

    def invoke(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(list(arguments))
            except SystemExit as ended:
                code = ended.code
        lines = err.getvalue().splitlines()
        good = (code == 0 and not lines) or (code == 2 and len(lines) == 1 and not out.getvalue())
        assert good, (code, out.getvalue()[:500], err.getvalue()[:500])
        assert code == 0 or lines[0].startswith("jaxflow"), lines
        assert all(line.isprintable() for line in lines), lines
        return lines[0][:200] if lines else "0"

    def options(name):
        sub = next(dict(a.choices)[name] for a in command_line.parser()._actions if a.choices and name in a.choices)
        return [(action.option_strings[0], action.nargs) for action in sub._actions if action.option_strings]

    with contextlib.ExitStack() as patches:
        # its hundred options are made once: they are most of what a refused command costs
        patches.enter_context(mock.patch.object(cli, "parser", functools.cache(cli.parser)))
        patches.enter_context(mock.patch.object(pipeline, "run", run))
        patches.enter_context(mock.patch.object(summary, "summary", lambda results: f"Results: {results.path}"))
        patches.enter_context(mock.patch.object(rebuilt, "remember_table", _nothing))
        patches.enter_context(mock.patch.object(reproduce, "load_dataset", _nothing))
        patches.enter_context(mock.patch.object(reproduce, "run", _stop))
        patches.enter_context(mock.patch.object(doctor, "asked", return_value=MACHINE))
        for option, nargs in options("run"):
            if option == "-h":
                continue
            for text in STRINGS if nargs != 0 else ("",):
                given = (option, text) if nargs != 0 else (option,)
                yield f"run {option} {text[:30]!r}", lambda given=given: invoke("run", "synthetic", "--quiet", *given)
                if nargs != 0:
                    joined = f"{option}={text}"
                    yield (
                        f"run {option}={text[:30]!r}",
                        lambda joined=joined: invoke("run", "synthetic", "--quiet", joined),
                    )
        for option, nargs in options("reproduce"):
            if option == "-h":
                continue
            for text in STRINGS if nargs != 0 else ("",):
                given = (option, text) if nargs != 0 else (option,)
                if option in ("--docs", "--results") and text in ("~", "..", "."):
                    continue  # folders that there are
                yield f"reproduce {option} {text[:30]!r}", lambda given=given: invoke("reproduce", "--quiet", *given)
        for command, *asked in (("edit", "--quiet", "--at-most", "5"), ("report",)):
            for text in STRINGS:
                yield f"{command} {text[:30]!r}", lambda own=(command, text, *asked): invoke(*own)
                for option, nargs in options(command):
                    if option != "-h" and nargs != 0:
                        own = (command, "nowhere", *asked, option, text)
                        yield f"{command} {option} {text[:30]!r}", lambda own=own: invoke(*own)
        for text in STRINGS:
            yield f"doctor {text[:30]!r}", lambda text=text: invoke("doctor", text)
            yield f"doctor --data-dir {text[:30]!r}", lambda text=text: invoke("doctor", "--data-dir", text)
        table = "people.csv"
        with open(table, "w") as file:
            file.write("age,sex,hired\n" + "".join(f"{20 + k % 37},{'mf'[k % 2]},{k // 2 % 2}\n" for k in range(400)))
        chosen = ("--label", "hired", "--attribute", "sex")
        for text in STRINGS:
            asked = ("run", table, "--quiet", *chosen)
            for option in ("--label", "--attribute", "--drop", "--category", "--learning-rate", "--epochs"):
                yield f"table {option} {text[:30]!r}", lambda o=option, text=text, asked=asked: invoke(*asked, o, text)
            for name in (text, f"{text}.csv", f"{text}.parquet", f"openml:{text}@1@"):
                yield f"table {name[:30]!r}", lambda name=name: invoke("run", name, "--quiet", *chosen)
        for text in STRINGS:
            if text not in ("--",):
                yield f"experiment {text[:30]!r}", lambda text=text: invoke("run", "--quiet", text)
                yield f"command {text[:30]!r}", lambda text=text: invoke(text or "run")
                yield (
                    f"more {text[:30]!r}",
                    lambda text=text: invoke("run", "synthetic", "--quiet", "--seeds", "1", text),
                )
        for combination in itertools.product(
            *(getattr(command_line, name) for name in ("EXPERIMENTS", "ESTIMATORS", "BACKENDS", "TUNE")),
            (False, True),
        ):
            name, estimator, backend, tune, alpha = combination
            arguments = ("run", name, "--quiet", "--estimator", estimator, "--backend", backend, "--tune", tune)
            more = ("--published-alpha",) if alpha else ()
            yield f"combination {combination}", lambda arguments=arguments, more=more: invoke(*arguments, *more)


MACHINE = {"backend": "cpu", "devices": {"cpu": 1}, "free": 2**33, "cores": 2, "programs": "nowhere"}


def _nothing(*_, **__):
    """Data that nobody looks at."""


def _stop(*_, **__):
    from jaxflow import InputError

    raise InputError("a run would begin now")


SECTIONS = {"configs": configs, "datasets": datasets, "runs": runs, "functions": functions, "command": command}


def main():
    """All outcomes of every section."""
    folder = tempfile.mkdtemp()
    os.makedirs(f"{folder}/a/b")
    os.chdir(f"{folder}/a/b")
    os.environ["HOME"] = folder
    os.environ.pop("JAXFLOW_DATA", None)
    import jaxflow.running.experiment

    del jaxflow
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, hanging)
    print(json.dumps({section: {name: outcome(act) for name, act in cases()} for section, cases in SECTIONS.items()}))


if __name__ == "__main__":
    main()
