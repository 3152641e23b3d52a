"""The datasets: cell counts, draws, sources, and what is refused."""

import gzip
import shutil

import numpy as np
import openml_cache
import pytest
from splits import half as split_of

from jaxflow import Dataset, InputError, load_dataset
from jaxflow.datasets import adult, description, mnist, sources, synthetic
from jaxflow.datasets.draws import skewed_halves

MNIST_FILES = tuple(mnist.FILES)


def cells(dataset, half):
    return dataset.describe()[half].tolist()  # (y, z) = (0,0), (0,1), (1,0), (1,1)


def balanced(rng, rows=40, width=3):
    y, z = np.tile([0, 0, 1, 1], rows // 4), np.tile([0, 1, 0, 1], rows // 4)
    return split_of(rng.normal(size=(rows, width)), y, z)


# --- synthetic ---------------------------------------------------------------------------------------------------


def test_synthetic_cells():
    dataset = load_dataset("synthetic")
    assert dataset.train.x.shape == dataset.test.x.shape == (5000, 3)
    assert dataset.describe()["total"].tolist() == [2500] * 4


def test_synthetic_distance_equals_a_search_along_the_curve(rng):
    u_y, u_g = 2 * rng.normal(size=(2, 300))
    t = np.geomspace(1e-4, 1e4, 800_001)
    nearest = np.array([np.hypot(1 + a - t, 1 + b - 1 / t).min() for a, b in zip(u_y, u_g, strict=True)])
    side = np.where((1 + u_y > 0) & ((1 + u_y) * (1 + u_g) > 1), 1, -1)
    np.testing.assert_allclose(synthetic.signed_distance(u_y, u_g), side * nearest, atol=1e-6)


def test_synthetic_distance_by_hand():
    """The curve passes the origin at 45°: (a, a) is a·√2 away; far along an arm the distance is 1 + u_g."""
    np.testing.assert_allclose(
        synthetic.signed_distance(np.array([0.0, 0.5]), np.array([0.0, 0.5])), [0, 0.5 * 2**0.5], atol=1e-7
    )
    assert synthetic.signed_distance(np.array([1e5]), np.array([1.0]))[0] == pytest.approx(2, abs=1e-4)


def test_synthetic_moments(rng):
    """Given Z the features have the variances of the model, and Z is independent of Y."""
    x, messages = synthetic.draw(rng, 400_000)
    y, z = messages["y"], messages["z"]
    for value in (0, 1):
        expected = np.array([0.49 * value, 0.25 * value, 0.01]) + 0.04
        np.testing.assert_allclose(x[z == value].var(axis=0), expected, rtol=0.02)
        assert y[z == value].mean() == pytest.approx(y.mean(), abs=0.005)
    cross = np.corrcoef(x[z == 1].T)
    assert cross[0, 1] == pytest.approx(0.35 / (0.53 * 0.29) ** 0.5, abs=0.01)
    assert abs(cross[0, 2]) < 0.01


# --- adult and mnist ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adult-small", "adult-large"])
def test_adult_cells(data_dir, name):
    dataset = load_dataset(name, data_dir)
    assert cells(dataset, "train") == [884, 1769, 1769, 878]
    assert cells(dataset, "test") == [885, 1769, 1769, 877]
    train = np.concatenate([dataset.train.messages["y"], dataset.test.messages["y"]])
    assert (train.sum(), (1 - train).sum()) == (5293, 5307)


def test_adult_features_are_standardised_by_the_training_half(data_dir):
    dataset = load_dataset("adult-small", data_dir)
    assert dataset.features == ("age", "education-num", "hours-per-week")
    np.testing.assert_allclose(dataset.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train.x.std(axis=0), 1, atol=1e-5)
    assert abs(dataset.test.x.mean(axis=0)).max() > 1e-3


def test_adult_large_adds_the_codes_of_two_categories(data_dir):
    small, large = load_dataset("adult-small", data_dir), load_dataset("adult-large", data_dir)
    assert large.categories == (15, 9)
    np.testing.assert_array_equal(large.train.x[:, 2:], small.train.x)
    codes = np.concatenate([large.train.x, large.test.x])[:, :2]
    assert codes.min() == 0
    assert codes[:, 0].max() == 14
    assert codes[:, 1].max() <= 8  # the draw need not hold everyone who never worked


def test_mnist_cells_and_pixels(data_dir):
    dataset = load_dataset("mnist", data_dir)
    assert cells(dataset, "train") == [1706, 3412, 3412, 1700]  # digits 4, 9, 8, 5
    assert cells(dataset, "test") == [1706, 3413, 3413, 1698]
    assert dataset.train.x.mean(dtype=float) == pytest.approx(0, abs=1e-4)
    assert dataset.train.x.std(dtype=float) == pytest.approx(1, abs=1e-4)
    assert np.ptp(dataset.train.x) * 78.975 == pytest.approx(255, rel=1e-4)  # the global deviation of 8-bit pixels


@pytest.mark.parametrize("name", ["synthetic", "adult-small"])
def test_rows_depend_on_the_seed_alone(request, name):
    folder = None if name == "synthetic" else request.getfixturevalue("data_dir")
    default = load_dataset(name, folder)
    np.random.seed(5)  # noqa: NPY002 - global state must not matter
    assert load_dataset(name, folder).fingerprint() == default.fingerprint()
    assert load_dataset(name, folder, seed=42).fingerprint() == default.fingerprint()
    other = load_dataset(name, folder, seed=1)
    assert other.fingerprint() != default.fingerprint()
    assert other.describe()["total"].tolist() == default.describe()["total"].tolist()


def test_halves_do_not_overlap(data_dir):
    rows = sources.canonical_array("adult", data_dir, adult.FILES, adult.parse, adult.download, adult.CANONICAL_SHA256)
    y, z = rows[:, 5], rows[:, 6]
    groups = [np.flatnonzero((z == a) & (y == b)) for a in (0, 1) for b in (0, 1)]
    train, test = skewed_halves(groups)
    assert len(np.unique(np.concatenate([train, test]))) == len(train) + len(test) == 10_600


# --- sources -----------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty user cache, and no environment variable."""
    monkeypatch.delenv("JAXFLOW_DATA", raising=False)
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch):
    """A network that refuses at once."""

    def refuse(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(adult, "fetch_openml", refuse)
    monkeypatch.setattr(mnist, "fetch_openml", refuse)


def adult_openml(data_dir, home):
    """OpenML's adult, version 2: test rows first, no full stops, unknown values missing."""
    parts = [(data_dir / f"adult/adult.{part}").read_text().splitlines() for part in ("test", "data")]
    lines = [line.rstrip(".").replace(", ", ",") for part in parts for line in part if line.count(",") == 14]
    values = [line.split(",") for line in lines]
    numeric = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
    columns = [
        (name, "NUMERIC" if name in numeric else "{" + ",".join(sorted({v[i] for v in values} - {"?"})) + "}")
        for i, name in enumerate(adult.COLUMNS)
    ]
    openml_cache.prepare(home, "adult", 2, columns, "class", ("\n".join(lines) + "\n").encode())


def test_adult_download_gives_the_same_dataset(data_dir, cache):
    adult_openml(data_dir, cache / "openml")
    expected = load_dataset("adult-large", data_dir).fingerprint()
    assert load_dataset("adult-large").fingerprint() == expected
    shutil.rmtree(cache / "openml")  # what was fetched once is kept
    assert load_dataset("adult-large").fingerprint() == expected


@pytest.mark.slow
def test_mnist_download_gives_the_same_dataset(data_dir, cache):
    rows = mnist.parse([sources._unpacked(data_dir / path, sha256) for path, sha256 in mnist.FILES.items()])
    tokens = np.array([f"{value}," for value in range(256)], dtype="S4")[rows]
    tokens[:, -1] = np.array([f"{digit}\n" for digit in range(10)], dtype="S4")[rows[:, -1]]
    text = tokens.tobytes().replace(b"\0", b"")
    columns = [(f"pixel{i + 1}", "NUMERIC") for i in range(784)] + [("class", "{" + ",".join("0123456789") + "}")]
    openml_cache.prepare(cache / "openml", "mnist_784", 1, columns, "class", text)
    assert load_dataset("mnist").fingerprint() == load_dataset("mnist", data_dir).fingerprint()


def test_altered_download_is_refused_and_not_kept(data_dir, cache, monkeypatch):
    rows = sources.canonical_array("adult", data_dir, adult.FILES, adult.parse, adult.download, adult.CANONICAL_SHA256)
    altered = rows.copy()
    altered[100, 0] += 1
    monkeypatch.setattr(adult, "download", lambda _home: altered)
    with pytest.raises(InputError, match="not the published ones"):
        load_dataset("adult-small")
    assert not list(cache.glob("*.npy"))


def test_damaged_cache_is_fetched_again(data_dir, cache):
    adult_openml(data_dir, cache / "openml")
    expected = load_dataset("adult-small").fingerprint()
    (cache / "adult.npy").write_bytes(b"garbage")
    assert load_dataset("adult-small").fingerprint() == expected


def test_environment_variable_names_the_folder(data_dir, cache, monkeypatch):
    monkeypatch.setenv("JAXFLOW_DATA", str(data_dir))
    assert len(load_dataset("adult-small").train.x) == 5300
    assert not cache.exists()


@pytest.mark.parametrize("name", ["adult-small", "mnist"])
def test_no_data_and_no_network_is_one_clear_line(tmp_path, cache, offline, name):  # noqa: ARG001
    with pytest.raises(InputError, match=r"not found in .*no network.*--data-dir or JAXFLOW_DATA") as error:
        load_dataset(name, tmp_path)
    assert "\n" not in str(error.value)


@pytest.fixture
def adult_copy(data_dir, tmp_path, cache):  # noqa: ARG001
    shutil.copytree(data_dir / "adult", tmp_path / "data/adult")
    (tmp_path / "data/adult").chmod(0o755)
    for file in (tmp_path / "data/adult").iterdir():
        file.chmod(0o644)
    return tmp_path / "data"


def test_missing_file(adult_copy):
    (adult_copy / "adult/adult.test").unlink()
    with pytest.raises(InputError, match=r"adult\.test is missing"):
        load_dataset("adult-small", adult_copy)


def test_truncated_file(adult_copy):
    file = adult_copy / "adult/adult.data"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"adult\.data is truncated or altered"):
        load_dataset("adult-small", adult_copy)


def test_altered_file(adult_copy):
    file = adult_copy / "adult/adult.data"
    file.write_bytes(file.read_bytes().replace(b"39,", b"38,", 1))
    with pytest.raises(InputError, match="truncated or altered"):
        load_dataset("adult-small", adult_copy)


def test_unreadable_file(adult_copy):
    (adult_copy / "adult/adult.data").unlink()
    (adult_copy / "adult/adult.data").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset("adult-small", adult_copy)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"x" * 10_000)[:-30]], ids=["other", "cut short"])
def test_broken_gzip(tmp_path, content):
    for path in MNIST_FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset("mnist", tmp_path)


def test_unknown_name():
    with pytest.raises(InputError, match="choose from synthetic, adult-small, adult-large, mnist"):
        load_dataset("adult")


# --- your own arrays ---------------------------------------------------------------------------------------------


def test_own_arrays_become_a_dataset(rng):
    train, test = balanced(rng), balanced(rng)
    dataset = Dataset("mine", train=train, test=test)
    assert dataset.train.x.dtype == np.float32
    assert dataset.features == ("x1", "x2", "x3")
    assert dataset.describe()["train"].tolist() == [10] * 4
    np.testing.assert_allclose(dataset.test.x, test[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda h: h._replace(x=np.where(np.arange(40)[:, None] == 3, np.nan, h[0])), "NaN or infinity in 1 row of x"),
        (
            lambda h: h._replace(x=np.where(np.arange(40)[:, None] < 2, np.inf, h[0])),
            "NaN or infinity in 2 rows of x",
        ),
        (lambda h: h._replace(x=h[0] + 1e9), "float32 cannot resolve column 0"),
        (lambda h: h._replace(x=h[0] * 1e39), "float32 cannot resolve column 0"),
        (lambda h: split_of(h.x, np.zeros(40, int), h.messages["z"]), "y must hold at least the classes 0 and 1"),
        (lambda h: split_of(h.x, h.messages["y"], h.messages["z"] - 1), "z must hold classes 0, 1"),
        (lambda h: split_of(h.x, h.messages["y"], h.messages["z"][:-1]), "z must hold one value for each"),
        (lambda h: split_of(h.x, h.messages["y"], np.full(40, 0.5)), "z is constant"),
        (lambda h: h._replace(messages={"y": h.messages["y"]}), "there is no message 'z'"),
        (lambda h: h._replace(messages=h.messages["y"]), "messages a dict"),
        (lambda h: h._replace(x=h[0][:, 0]), "expected x"),
        (lambda h: split_of(h.x[:0], h.messages["y"][:0], h.messages["z"][:0]), "N > 0"),
        (lambda h: h._replace(x=np.full((40, 3), "a")), "numeric arrays"),
    ],
)
@pytest.mark.parametrize("half", ["train", "test"])
def test_bad_arrays_are_refused(rng, broken, says, half):
    halves = {"train": balanced(rng), "test": balanced(rng)}
    halves[half] = broken(halves[half])
    with pytest.raises(InputError, match=f"mine, {half} half: .*{says}"):
        Dataset("mine", **halves)


def test_halves_and_names_must_fit(rng):
    doubled = balanced(rng)._replace(messages={name: 2 * own for name, own in balanced(rng).messages.items()})
    with pytest.raises(InputError, match="train half: class 1 of y has no rows"):
        Dataset("mine", train=doubled, test=doubled)
    with pytest.raises(InputError, match="4 categories for 3 columns"):
        Dataset("mine", train=balanced(rng), test=balanced(rng), categories=(2, 2, 2, 2))
    with pytest.raises(InputError, match="train has 3 features, test 2"):
        Dataset("mine", train=balanced(rng), test=balanced(rng, width=2))
    with pytest.raises(InputError, match="2 feature names for 3"):
        Dataset("mine", train=balanced(rng), test=balanced(rng), features=("a", "b"))


@pytest.mark.parametrize("code", [-1, 4, 0.5])
def test_category_codes_out_of_range_are_refused(rng, code):
    x, messages = balanced(rng)
    y, z = messages["y"], messages["z"]
    x[:, 0] = np.arange(40) % 4
    good = split_of(x.copy(), y, z)
    x[0, 0] = code
    with pytest.raises(InputError, match="category codes 0 to 3"):
        Dataset("mine", train=split_of(x, y, z), test=good, categories=(4,))


def test_notes_and_class_names_are_kept_beside_the_arrays(rng):
    halves = {"train": balanced(rng), "test": balanced(rng)}
    plain = Dataset("mine", **halves)
    dataset = Dataset("mine", **halves, notes=("two rows left out",), values={"z": ("f", "m")})
    assert dataset.notes == ("two rows left out",)
    assert dataset.values == {"z": ("f", "m")}
    assert dataset.fingerprint() == plain.fingerprint()
    assert (plain.notes, plain.values) == ((), {})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"values": {"z": ("f", "m", "x")}}, "3 class names for the 2 of z"),
        ({"values": {"q": ("f", "m")}}, "2 class names for the 0 of q"),
    ],
)
def test_class_names_must_fit_the_classes(rng, words, says):
    with pytest.raises(InputError, match=f"mine: {says}"):
        Dataset("mine", train=balanced(rng), test=balanced(rng), **words)


def test_description_has_rows_features_cells_and_notes(rng):
    half = balanced(rng)
    half.x[:, 0] = np.arange(40) % 4
    dataset = Dataset(
        "mine", half, half, categories=(4,), features=("a", "b", "c"), notes=("ok",), values={"z": ("f", "m")}
    )
    assert description(dataset).splitlines() == [
        "mine: 80 rows, 40 to train and 40 to analyse",
        "numeric features (2): b, c",
        "embedded categories (1): a (4 values)",
        "label y: 2 classes, 0, 1",
        "attribute z: 2 classes, 0 = f, 1 = m",
        " y z  train  test  total",
        " 0 f     10    10     20",
        " 0 m     10    10     20",
        " 1 f     10    10     20",
        " 1 m     10    10     20",
        "note: ok",
    ]
