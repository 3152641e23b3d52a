"""Tables of the user's own: what columns become, the draw of halves, and one clear line for all that is wrong."""

import decimal
import hashlib
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import openml_cache
import pandas as pd
import pytest

from jaxflow import Dataset, InputError, read_table
from jaxflow.datasets import adult, description, reading, sources, tables
from jaxflow.datasets.columns import Codes, Numbers, coded, column_of, filled
from jaxflow.datasets.features import standardised
from jaxflow.datasets.halves import cells_of, stratified_halves

TABLES = {
    "compas": ("two_year_recid", ("race", "sex")),
    "german": ("credit_label", ("sex", "age")),
    "law": ("pass_bar", ("race", "sex")),
    "arrests": ("released", ("colour", "sex", "citizen")),
}


def people(rng, rows=240):
    """A table of every kind of column."""
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "job": rng.choice(["cook", "baker", "clerk"], rows),
            "merit": rng.normal(50, 10, rows),
            "member": rng.random(rows) < 0.4,
            "sex": rng.choice(["f", "m"], rows),
            "hired": rng.choice(["yes", "no"], rows),
        }
    )


def read(frame, **options):
    return read_table(frame, "hired", "sex", **options)


def both(dataset):
    """All features, the training half first."""
    return np.concatenate([dataset.train.x, dataset.test.x])


def written(frame, file, **options):
    frame.to_csv(file, index=False, **options)
    return file


# --- real tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_real_tables(data_dir, name):
    file = data_dir / "tables" / f"{name}.csv"
    if not file.is_file():
        pytest.skip(f"needs tables/{file.name}, a public table, in the folder of the original files (JAXFLOW_DATA)")
    label, attributes = TABLES[name]
    dataset, frame = read_table(file, label, attributes), pd.read_csv(file)
    table = dataset.describe()
    assert table["total"].sum() == len(frame)
    assert abs(table["train"] - table["test"]).max() <= 1
    expected = frame.groupby([label, *attributes]).size()
    assert table["total"].tolist() == expected.tolist()
    for own in (label, *attributes):
        assert dataset.values[own] == tuple(map(str, sorted(frame[own].unique())))  # noqa: PD011
    assert set(dataset.features) == set(frame) - {label, *attributes}
    text = [own for own in dataset.features if not pd.api.types.is_numeric_dtype(frame[own])]
    assert dataset.features[: len(text)] == tuple(text)
    assert dataset.categories == tuple(frame[own].nunique() for own in text)
    numeric = dataset.train.x[:, len(text) :].astype(float)
    np.testing.assert_allclose(numeric.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(numeric.std(axis=0), 1, atol=1e-6)
    assert read_table(frame, label, attributes).fingerprint() == dataset.fingerprint()


def test_law_tells_its_rare_cells_and_takes_numbers_for_an_attribute(data_dir):
    file = data_dir / "tables/law.csv"
    if not file.is_file():
        pytest.skip(f"needs tables/{file.name}, a public table, in the folder of the original files (JAXFLOW_DATA)")
    assert "3 cells of pass_bar × race × sex" in description(read_table(file, "pass_bar", ["race", "sex"]))
    dataset = read_table(file, "pass_bar", ["zfya", "sex"])
    assert dataset.classes == {"pass_bar": 2, "zfya": 0, "sex": 2}
    assert "zfya" not in dataset.values  # noqa: PD011
    assert "attribute zfya: continuous" in description(dataset)
    with pytest.raises(InputError, match="'zfya' holds 568 different numbers"):
        read_table(file, "zfya", "sex")


def test_codes_are_those_of_adult(data_dir):
    parts = [(data_dir / f"adult/adult.{part}").read_bytes() for part in ("data", "test")]
    exact = adult.parse(parts)
    frame = pd.concat(
        pd.read_csv(io.BytesIO(part), names=adult.COLUMNS, skiprows=skipped)
        for part, skipped in zip(parts, (0, 1), strict=True)
    )
    for i, name in ((3, "occupation"), (4, "workclass")):
        np.testing.assert_array_equal(filled(column_of(name, frame[name])).codes, exact[:, i])


# --- columns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "codes", "names"),
    [
        (["b", "a", "b", "c"], [1, 0, 1, 2], ("a", "b", "c")),
        ([" b", "a ", "b", None], [1, 0, 1, -1], ("a", "b")),
        (["b", "?", "NA", ""], [0, -1, -1, -1], ("b",)),
        ([True, False, None, True], [1, 0, -1, 1], ("False", "True")),
        (["TRUE", "false", "true", "False"], [1, 0, 1, 0], ("False", "True")),
        (["Ü", "z", "名", "z"], [1, 0, 2, 0], ("z", "Ü", "名")),
    ],
)
def test_text_and_truth_values_are_coded(cells, codes, names):
    column = column_of("c", pd.Series(cells, dtype=object))
    assert column.codes.tolist() == codes
    assert column.names == names
    assert column.take(np.array([0])).names == (names[codes[0]],)


@pytest.mark.parametrize(
    "cells",
    [
        [1, 2, 2, None],
        ["1", " 2", "2.0", "?"],
        [decimal.Decimal(1), decimal.Decimal(2), 2, None],
        [1.0, 2.0, 2.0, np.inf],
        ["1", 2, "2", "-inf"],
    ],
)
def test_numbers_in_any_form_are_numbers(cells):
    np.testing.assert_array_equal(column_of("c", pd.Series(cells, dtype=object)).exact, [1, 2, 2, np.nan])


@pytest.mark.parametrize("kind", ["int8", "uint64", "float32", "Int64", "Float64", "category", "bool", "boolean"])
def test_every_kind_of_pandas_column(kind):
    column = column_of("c", pd.Series([1, 0, 1], dtype=kind))
    if kind in ("category", "bool", "boolean"):
        assert column.codes.tolist() == [1, 0, 1]
    else:
        assert column.exact.tolist() == [1, 0, 1]


def test_codes_are_the_inverse_of_values(rng):
    words = rng.choice(["x", "10", "9", "y y", "?"], 200)
    column = filled(column_of("c", pd.Series(words), mixed=True))
    assert [column.names[code] for code in column.codes] == words.tolist()
    numbers = rng.choice([-1.5, 0.1, 3, 1e20], 200)
    column = coded(Numbers(numbers))
    assert [float(column.names[code]) for code in column.codes] == numbers.tolist()
    assert column.names == ("-1.5", "0.1", "3", "1e+20")  # by amount, not as text


@pytest.mark.parametrize("scale", [1, 1e-300, 1e300])
@pytest.mark.parametrize("shift", [0, 3])
def test_standardised_is_the_definition_at_any_scale(rng, scale, shift):
    x, train = rng.normal(size=50) + shift, np.arange(0, 50, 2)
    expected = (x - x[train].mean()) / x[train].std()
    np.testing.assert_allclose(standardised(x * scale, train), expected, rtol=1e-9)


def test_features_come_categories_first_standardised_and_whole(rng):
    frame = people(rng)
    dataset = read(frame)
    assert dataset.features == ("job", "member", "age", "merit")
    assert dataset.categories == (3, 2)
    assert dataset.values == {"hired": ("no", "yes"), "sex": ("f", "m")}  # noqa: PD011
    amounts = np.stack([(frame[own] - frame[own].mean()) / frame[own].std() for own in ("age", "merit")], axis=1)
    x = both(dataset)
    for own in (0, 1):  # the same rows up to the affine map
        order, found = np.sort(amounts[:, own]), np.sort(x[:, 2 + own])
        assert np.corrcoef(order, found)[0, 1] == pytest.approx(1, abs=1e-6)
    assert sorted(x[:, 0].astype(int)) == sorted(filled(column_of("job", frame["job"])).codes)


def test_a_value_that_one_half_lacks_keeps_its_code(rng):
    frame = people(rng)
    frame.loc[7, "job"] = "astronaut"
    dataset = read(frame)
    assert dataset.categories[0] == 4
    assert (both(dataset)[:, 0] == 0).sum() == 1


def test_attributes_are_features_only_if_wanted(rng):
    frame = people(rng)
    assert read(frame, keep_attributes=True).features == ("job", "member", "sex", "age", "merit")
    kept, plain = read(frame, keep_attributes=True), read(frame)
    np.testing.assert_array_equal(kept.train.x[:, 2], plain.train.messages["sex"])
    np.testing.assert_array_equal(kept.train.x[:, 3:], plain.train.x[:, 2:])  # the halves are the same rows


def test_the_product_of_two_attributes(rng):
    frame = people(rng)
    frame.loc[3, "sex"] = None
    dataset = read_table(frame, "hired", ["sex*job", "sex"])
    expected = ("f × baker", "f × clerk", "f × cook", "m × baker", "m × clerk", "m × cook")
    assert dataset.values["sex*job"] == expected  # noqa: PD011
    assert dataset.features == ("member", "age", "merit")
    for half in (dataset.train, dataset.test):
        np.testing.assert_array_equal(half.messages["sex*job"] // 3, half.messages["sex"])
    assert dataset.describe()["total"].sum() == 239
    frame.loc[5, "job"] = None  # of a protected column nothing stands for what is missing
    kept = read_table(frame, "hired", "sex * job", keep_attributes=True)
    notes = "\n".join(kept.notes)
    assert "left out 2 of 240 rows, for missing or infinite values of 'job' (1), 'sex' (1), 'sex * job' (2)" in notes
    assert "stands for" not in notes
    assert "among the features though protected: 'job', 'sex'" in notes
    assert kept.features == ("job", "member", "sex", "age", "merit")
    np.testing.assert_array_equal(kept.train.messages["sex * job"], 3 * kept.train.x[:, 2] + kept.train.x[:, 0])


def test_dropped_categories_and_constants(rng):
    frame = people(rng).assign(same=3, text="x", empty=None, single=[1, None] * 120)
    dataset = read(frame, drop="job", category=["age"])
    assert dataset.features == ("age", "member", "merit")
    assert dataset.categories == (frame["age"].nunique(), 2)
    notes = " ".join(dataset.notes)
    assert "constant and left out: 'text'" in notes
    assert "'same' holds a single number" in notes
    assert "'single' holds a single number" in notes
    assert dataset.describe()["total"].sum() == len(frame)
    assert "'empty' is empty" in notes
    assert "dropped: 'job'" in notes


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (np.arange(240) % 20, 20),
        (np.arange(240) % 21, 0),
        (np.arange(240) % 10 / 10, 10),
        (np.arange(240) % 11 / 10, 0),
        ((np.arange(240) % 20).astype(float), 20),
        ((np.arange(240) % 21).astype(str), 0),
        ([f"v{i % 22}" for i in range(240)], 22),
    ],
)
def test_which_attributes_are_continuous(rng, monkeypatch, values, classes):
    monkeypatch.setattr("jaxflow.datasets.halves.FEWEST", 1)
    dataset = read_table(people(rng).assign(own=values), "hired", ["own"])
    assert dataset.classes["own"] == classes
    assert any("'own' is continuous" in note for note in dataset.notes) == (classes == 0)
    if not classes:
        assert dataset.train.messages["own"].std() == pytest.approx(1, abs=1e-6)


def test_category_makes_classes_of_an_attribute(rng, monkeypatch):
    monkeypatch.setattr("jaxflow.datasets.halves.FEWEST", 1)
    frame = people(rng).assign(own=np.arange(240) % 30)
    assert read_table(frame, "hired", "own", category="own").classes["own"] == 30


# --- missing values ----------------------------------------------------------------------------------------------


def test_rows_without_a_number_or_a_message_are_left_out_and_text_is_a_value(rng):
    frame = people(rng).astype({"age": float})
    frame.loc[:2, "age"] = np.nan
    frame.loc[2:4, "hired"] = None
    frame.loc[10:15, "sex"] = "?"
    frame.loc[20:29, "job"] = None
    dataset = read(frame)
    assert dataset.describe()["total"].sum() == 240 - 11
    notes = " ".join(dataset.notes)
    assert "left out 11 of 240 rows, for missing or infinite values of 'age' (3), 'sex' (6), 'hired' (3)" in notes
    assert "? stands for 10 missing values of 'job'" in notes
    assert dataset.categories == (4, 2)
    assert (both(dataset)[:, 0] == 0).sum() == 10  # ? sorts before letters


def test_no_complete_row_names_the_worst_column(rng):
    frame = people(rng).astype({"age": float})
    frame.loc[::2, "age"] = np.nan
    frame.loc[1::2, "merit"] = np.nan
    frame.loc[:10, "age"] = np.nan
    with pytest.raises(InputError, match="no row is complete; 'age'"):
        read(frame)


# --- halves ------------------------------------------------------------------------------------------------------


def test_halves_divide_every_cell_and_every_label_evenly(rng):
    y, z, s = rng.integers(0, 3, 501), rng.integers(0, 4, 501), rng.integers(0, 7, 501)
    cells = cells_of([y, z, s])
    halves = stratified_halves(cells, 1)
    np.testing.assert_array_equal(np.sort(np.concatenate(halves)), np.arange(501))
    for numbers in (cells, y, np.zeros(501, int)):
        counts = [np.bincount(numbers[rows], minlength=numbers.max() + 1) for rows in halves]
        assert abs(counts[0] - counts[1]).max() <= 1
    assert len(np.unique(np.stack([y, z, s]), axis=1).T) == cells.max() + 1


def test_every_pair_of_rows_of_a_cell_is_as_likely():
    """Each of four rows trains in half of the draws, and with each of the others in a third of these."""
    draws = np.zeros((600, 4), bool)
    for seed in range(600):
        draws[seed, stratified_halves(np.zeros(4, int), seed)[0]] = True
    together = draws.T.astype(float) @ draws / 600
    np.testing.assert_allclose(np.diag(together), 1 / 2, atol=0.08)
    np.testing.assert_allclose(together[~np.eye(4, dtype=bool)], 1 / 6, atol=0.06)


def test_the_draw_depends_on_its_seed_alone(rng):
    frame = people(rng)
    first = read(frame)
    np.random.seed(3)  # noqa: NPY002 - global state must not matter
    assert read(frame, seed=0).fingerprint() == first.fingerprint()
    assert read(frame, seed=1).fingerprint() != first.fingerprint()
    assert read(frame, name="other").fingerprint() == first.fingerprint()
    with pytest.raises(InputError, match="data's seed"):
        read(frame, seed=-1)


def test_rare_classes_are_refused_with_a_remedy(rng):
    frame = people(rng)
    frame.loc[:16, "sex"] = "x"
    with pytest.raises(InputError, match=r"class 'x' of 'sex' has [78] rows in the .* half, fewer than 10: merge it"):
        read(frame)


# --- files -------------------------------------------------------------------------------------------------------


def test_a_frame_and_its_files_give_the_same_dataset(rng, tmp_path):
    frame = people(rng)
    frame.loc[3, "job"] = None
    frame.loc[5, "sex"] = None
    expected = read(frame).fingerprint()
    plain = written(frame, tmp_path / "plain.csv")
    assert read(plain).fingerprint() == read(str(plain)).fingerprint() == expected
    assert read(written(frame, tmp_path / "bom.csv", encoding="utf-8-sig")).fingerprint() == expected
    assert read(written(frame, tmp_path / "tabs.csv", sep="\t")).fingerprint() == expected
    assert read(written(frame, tmp_path / "semicolons.csv", sep=";")).fingerprint() == expected
    assert read(written(frame, tmp_path / "decimal.csv", sep=";", decimal=",")).fingerprint() == expected
    (tmp_path / "mac.csv").write_bytes(plain.read_bytes().replace(b"\n", b"\r"))
    (tmp_path / "dos.csv").write_bytes(plain.read_bytes().replace(b"\n", b"\r\n"))
    assert read(tmp_path / "mac.csv").fingerprint() == read(tmp_path / "dos.csv").fingerprint() == expected
    trailing = plain.read_bytes().replace(b"\n", b",\n").replace(b"hired,", b"hired")
    (tmp_path / "trailing.csv").write_bytes(trailing)
    assert read(tmp_path / "trailing.csv").fingerprint() == expected
    frame.to_csv(tmp_path / "index.csv")
    with_index = read(tmp_path / "index.csv")
    assert with_index.fingerprint() == expected
    assert "columns without a name are left out: 1" in with_index.notes
    assert with_index.name == "index"


def test_parquet(rng, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install '.[parquet]'")
    frame = people(rng)
    frame.to_parquet(tmp_path / "people.parquet")
    assert read(tmp_path / "people.parquet").fingerprint() == read(frame).fingerprint()
    content = (tmp_path / "people.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-100])
    with pytest.raises(InputError, match="no readable Parquet file"):
        read(tmp_path / "cut.parquet")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "people.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(pd, "read_parquet", lambda *_: (_ for _ in ()).throw(ImportError("no engine")))
    with pytest.raises(InputError, match=r"pip install 'jaxflow\[parquet\]'"):
        read(tmp_path / "people.parquet")


def test_openml(rng, tmp_path, monkeypatch):
    frame = people(rng).replace({"member": {False: "n", True: "y"}})
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path)
    kinds = {"age": "NUMERIC", "merit": "NUMERIC", "job": "{baker,clerk,cook}", "member": "{n,y}"}
    kinds |= {"sex": "{f,m}", "hired": "{no,yes}"}
    rows = frame[list(kinds)].to_csv(index=False, header=False).encode()
    openml_cache.prepare(tmp_path / "openml", "people", 3, list(kinds.items()), "hired", rows)
    dataset = read_table("openml:people@3", "hired", "sex")
    assert dataset.fingerprint() == read(frame[list(kinds)]).fingerprint()
    assert dataset.name == "people"
    assert "version 3 of OpenML's table people" in dataset.notes
    assert dataset.source["table"] == "openml:people@3"


def test_openml_without_a_version_and_with_values_that_scikit_learn_cannot_parse_fast(rng, monkeypatch):
    def fetch(name, *, version, parser, **_options):
        assert (name, version) == ("people", "active")
        if parser == "pandas":
            raise TypeError("expected string or bytes-like object, got 'bool'")
        return SimpleNamespace(frame=people(rng), details={"version": "7"})

    monkeypatch.setattr(sources, "fetch_openml", fetch)
    assert "version 7 of OpenML's table people" in read("openml:people").notes


@pytest.mark.parametrize(
    ("title", "says"),
    [("openml:", "openml:NAME@VERSION"), ("openml:a@b", "openml:NAME@VERSION"), ("openml:no", "not fetched .*offline")],
)
def test_openml_refuses(monkeypatch, title, says):
    def refuse(*_args, **_options):
        raise OSError("offline")

    monkeypatch.setattr(sources, "fetch_openml", refuse)
    with pytest.raises(InputError, match=says):
        read_table(title, "y", "z")


def test_a_dataset_knows_what_it_was_read_from(rng, tmp_path):
    """The file's name without its folder, its SHA-256, and the arguments; of a frame the arguments alone."""
    file = written(people(rng), tmp_path / "people.csv")
    asked = {"label": "hired", "attributes": ["sex"], "drop": ["merit"], "category": ["age"], "keep_attributes": True}
    how = {"drop": "merit", "category": "age", "keep_attributes": True, "seed": 3}
    table = {"table": "people.csv", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert read(file, **how).source == {**table, **asked, "seed": 3}
    assert read(people(rng), **how).source == {**asked, "seed": 3}


@pytest.mark.parametrize("source", [{"a": object()}, {"a": float("nan")}])
def test_a_source_is_plain_json(rng, source):
    half = read(people(rng)).test
    with pytest.raises(InputError, match="source must be a dict of plain JSON values") as error:
        Dataset("mine", half, half, "hired", ("sex",), source=source)
    assert "\n" not in str(error.value)


GOOD = "age,sex,hired\n" + "".join(f"{i % 7},{'fm'[i % 2]},{i // 2 % 2}\n" for i in range(80))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("age,sex,hired\n", "holds no rows"),
        (GOOD.replace("hired", "hires"), "no column 'hired'; did you mean 'hires'?"),
        (GOOD.replace("hired", "q"), "no column 'hired'; the columns are 'age', 'sex', 'q'"),
        (GOOD.replace("age", "sex"), "two columns are named 'sex'"),
        (GOOD.replace("3,m", "three,m", 1), "column 'age' holds text such as 'three' beside numbers"),
        (GOOD + "1,f\n", r"row 82 has 2 fields, the first line 3"),
        (GOOD + "1,f,1,2\n", r"row 82 has 4 fields, the first line 3"),
        (GOOD.replace("\n", ",9\n").replace("hired,9", "hired"), "row 2 has 4 fields"),
        (GOOD + '1,"f,1\n', "cannot be read|fields"),
        (b"\x00\x01\x02\xff" * 100, "is no text"),
        (GOOD.encode("utf-16"), "is no text"),
        (GOOD.replace("3,m", "3,é", 1).encode("latin-1"), "line 5 is not UTF-8"),
        (bytes(range(128, 256)) * 10, "line 1 is not UTF-8"),
        (GOOD.replace(",", "|"), "names one column"),
        (GOOD.replace("m,", "f,"), "attribute 'sex' holds a single value"),
        (GOOD.replace("age", "size").replace("3,", "x,").replace("5,", "y,"), "column 'size' holds text"),
        ("hired,sex\n" + "1,f\n0,m\n1,m\n0,f\n" * 30, "no column is left for the features"),
        ("age,sex,hired\n" + ",f,1\n" * 9, "attribute 'sex' holds|no column|single value"),
        ("age,sex,hired\n1,,1\n" * 1, "column 'sex' has no values"),
        ("age,sex,hired\n" + "".join(f"{i % 7},{'fm'[i % 2]},{i}\n" for i in range(500)), "500 different numbers"),
        ("age,sex,hired\n" + "".join(f"{i % 7},s{i},{i % 2}\n" for i in range(500)), "attribute 'sex' holds 500 diff"),
        ("id,sex,hired\n" + "".join(f"p{i},{'fm'[i % 2]},{i // 2 % 2}\n" for i in range(80)), "'id' holds 80 differ"),
    ],
)
def test_bad_files(tmp_path, content, says):
    file = tmp_path / "people.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=says) as error:
        read(file)
    assert "\n" not in str(error.value)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source, says in [
        (tmp_path / "no.csv", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "pipe", "not a regular file"),
        (3, "is a path, openml:NAME or a pandas frame"),
        ("", "is a path"),
        ("a\0b", "is a path"),
        ("~nobody_here/x.csv", "is a path|cannot be read"),
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame({"hired": []}), "no rows"),
    ]:
        with pytest.raises(InputError, match=says) as error:
            reading.read(source)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"attributes": "hired"}, "both label and attribute"),
        ({"attributes": ["sex", "sex"]}, "named twice"),
        ({"attributes": []}, "at least one"),
        ({"drop": "sex"}, "cannot be dropped"),
        ({"drop": "jib"}, "no column 'jib'; did you mean 'job'?"),
        ({"category": ["jib"]}, "no column 'jib'; did you mean 'job'?"),
        ({"drop": ["age", "job", "merit", "member"]}, "no column is left"),
        (
            {"label": "merit"},
            r"be classes, and 'merit' holds 240 different numbers, from .*, such as merit >= [0-9]",
        ),
        ({"label": "age"}, r"be classes, and 'age' holds 6[0-2] different numbers, from 18 to .*, such as age >= "),
        ({"attributes": "sex*jib"}, "no column 'jib'"),
        ({"attributes": "sex*hired"}, "combines 'hired', which is the label"),
        ({"attributes": "sex*job", "drop": "job"}, "combines 'job', which is the label or is dropped"),
        ({"attributes": "a|b"}, r"without \|"),
        ({"attributes": "a\nb"}, "printable"),
        ({"attributes": "a/b"}, "without /"),
    ],
)
def test_bad_roles(rng, arguments, says):
    frame = people(rng).assign(**{"a|b": 1, "a\nb": 1, "a/b": 1})
    with pytest.raises(InputError, match=says) as error:
        read_table(frame, **{"label": "hired", "attributes": "sex"} | arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("y", 3, (), (), False), "attributes must be a list"),
        (("y", [3], (), (), False), "attributes: a column's name is text, not 3"),
        ((None, "z", (), (), False), "label: a column's name is text"),
        (("y", "z", {"a"}, (), False), "drop must be a list"),
        (("y", "z", (), (), 1), "True or False"),
    ],
)
def test_arguments_of_other_types(arguments, says):
    with pytest.raises(InputError, match=says):
        tables._roles(*arguments)


def test_odd_names_of_features_are_fine(rng, tmp_path):
    frame = people(rng).rename(columns={"age": "a|b", "merit": "a/b", "job": "two\nlines", "sex": " sex "})
    dataset = read(frame)
    assert dataset.features == ("two lines", "member", "a|b", "a/b")
    assert read(written(frame, tmp_path / "people.csv")).fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (pd.date_range("2020", periods=240), "type Timestamp"),
        (pd.Series([[1]] * 240), "type list"),
        (np.arange(240) * 1j, "type complex"),
        (pd.Series([b"x"] * 240), "type bytes"),
        (pd.timedelta_range("1s", periods=240), "type Timedelta"),
    ],
)
def test_columns_of_no_use(rng, cells, says):
    with pytest.raises(InputError, match=f"column 'own' holds values of the {says}"):
        read(people(rng).assign(own=cells))


def test_an_outlier_that_float32_cannot_hold(rng):
    frame, refused = people(rng), 0
    for row in range(6):  # some of these rows are in the analysis half
        try:
            read(frame.assign(own=np.where(np.arange(240) == row, 1e300, frame["merit"])))
        except InputError as error:
            refused += "column 'own' has outliers beyond float32" in str(error)
    assert refused


def test_a_number_that_is_constant_in_the_training_half_is_left_out(rng):
    frame = people(rng)
    left_out = 0
    for row in range(6):
        dataset = read(frame.assign(own=(np.arange(240) == row).astype(int)))
        left_out += "own" not in dataset.features
    assert 0 < left_out < 6


def test_a_frame_is_not_changed(rng):
    frame = people(rng)
    before = frame.copy(deep=True)
    read(frame.rename(columns={"age": " age"}), category="age")
    read(frame)
    pd.testing.assert_frame_equal(frame, before)


# --- size --------------------------------------------------------------------------------------------------------

MILLION = """
import resource, sys, time
import numpy as np
import pandas as pd
from jaxflow import read_table
start = time.perf_counter()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = read_table(sys.argv[1], "hired", "sex")
rows = len(dataset.train.x) + len(dataset.test.x)
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, time.perf_counter() - start)
"""


@pytest.mark.slow
def test_a_million_rows_in_bounded_memory(rng, tmp_path):
    """Ten columns of a million rows take less than 1 GB."""
    rows = 10**6
    blocks = [people(rng, 100_000).assign(**{f"n{i}": rng.normal(size=100_000) for i in range(4)}) for _ in range(2)]
    file = written(pd.concat(blocks * (rows // 200_000)), tmp_path / "people.csv", float_format="%.6f")
    command = [sys.executable, "-c", MILLION, str(file)]
    count, megabytes, _seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(count) == rows
    assert float(megabytes) < 1000


def test_a_short_line_is_found_beside_empty_cells_and_trailing_commas(tmp_path):
    lines = GOOD.splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ","  # an empty label
    (tmp_path / "people.csv").write_text("\n".join([lines[0], *(f"{line}," for line in lines[1:])]))
    assert read(tmp_path / "people.csv").describe()["total"].sum() == 79
    (tmp_path / "people.csv").write_text("\n".join([*lines, "1,f"]))
    with pytest.raises(InputError, match="row 82 has 2 fields"):
        read(tmp_path / "people.csv")


def test_unused_names_have_no_code():
    column = Codes(np.array([0, 2, -1, 2], np.int32), ("a", "b", "c"))
    taken = column.take(np.array([1, 2, 3]))
    assert taken.codes.tolist() == [0, -1, 0]
    assert taken.names == ("c",)
