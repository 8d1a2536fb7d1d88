"""The third example: three ways that give the same numbers, with JAX and without it."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")

PATH = Path(__file__).parents[2] / "examples" / "transformer.py"
PICTURE = PATH.parents[1] / "docs" / "_pictures" / "example-transformer.svg"
HIDE_JAX = f"""
import runpy, sys


class NoJax:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "jax":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, NoJax())
sys.argv = ["transformer.py"]
runpy.run_path({str(PATH)!r}, run_name="__main__")
"""


@pytest.fixture(
    scope="module", params=["NumPy", *(["JAX"] if importlib.util.find_spec("jax") else [])]
)
def arrays(request):
    """Return the name of the library whose arrays are to be used."""
    return request.param


@pytest.fixture(scope="module")
def printed(arrays):
    """Return what the script prints."""
    arguments = [str(PATH)] if arrays == "JAX" else ["-c", HIDE_JAX]
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout


@pytest.fixture
def example(arrays, monkeypatch):
    """Return the example as a module that uses these arrays."""
    if arrays == "NumPy":
        imported = importlib.import_module

        def no_jax(name, package=None):
            if name == "jax":
                raise ModuleNotFoundError(name)
            return imported(name, package)

        monkeypatch.setattr(importlib, "import_module", no_jax)
    spec = importlib.util.spec_from_file_location("example_transformer", PATH)
    module = importlib.util.module_from_spec(spec)
    # `inspect` finds the source of a class by its module.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def some_images(example):
    images = datasets.load_digits().data[:6].reshape(-1, example.TOKENS, example.PIXELS)
    return example.xp.asarray(images / 16)


def encode(example, way, x, *, train, layers=2, seed=1):
    key = example.make_key(0)
    encoder = example.make_encoder(way, key, layers)
    return np.asarray(way.call(encoder, x, example.make_key(seed), train=train))


def lines_in_source(names):
    """Return how many lines of the script name the flag inside these definitions."""
    source = PATH.read_text(encoding="utf-8")
    lines = source.splitlines()
    nodes = [node for node in ast.parse(source).body if getattr(node, "name", None) in names]
    assert len(names) == len(nodes)
    return sum(
        "deterministic" in line
        for node in nodes
        for line in lines[first_line(node) - 1 : node.end_lineno]
    )


def first_line(node):
    return min(part.lineno for part in (node, *node.decorator_list))


def test_it_prints_what_it_does(arrays, printed):
    """Which arrays, that the numbers are the same to the last bit, and what an error says."""
    differences = re.findall(r"(\w+): +max abs difference (\S+)", printed)[:2]
    merged = r"^  (\w+)\.__call__\(self, x.*deterministic: 'bool \| None' = None"

    assert f"with {arrays};" in printed
    assert [("training", "0.0"), ("evaluating", "0.0")] == differences
    assert float(re.search(r"between the modes: max abs difference (\S+)", printed)[1]) > 1
    assert ["Dropout", "DropPath", "ProvidingEncoder"] == re.findall(merged, printed, re.MULTILINE)
    assert "Dropout.__call__(): 'deterministic' is set in neither place" in printed
    assert "with provide(deterministic=...)" in printed


def test_jit(arrays, printed):
    """With JAX, each provided value is traced once, and no trace is stale."""
    assert (arrays == "JAX") is ("traced 2 times in 4 calls" in printed)
    assert (arrays == "JAX") is ("gives its own mode's numbers: True" in printed)


@pytest.mark.parametrize("train", [True, False])
def test_the_numbers_are_the_same(example, some_images, train):
    """Three encoders with the same keys differ in nothing, twelve blocks deep."""
    by_hand, with_provide, providing = (
        encode(example, way, some_images, train=train, layers=12) for way in example.WAYS
    )

    np.testing.assert_array_equal(by_hand, with_provide)
    np.testing.assert_array_equal(by_hand, providing)
    assert (6, example.TOKENS, example.WIDTH) == by_hand.shape
    assert np.isfinite(by_hand).all()


def test_only_training_is_random(example, some_images):
    """Another key changes what is dropped, and nothing where nothing is."""
    for way in example.WAYS:
        one, other, same = (
            encode(example, way, some_images, train=True, seed=seed) for seed in (1, 2, 1)
        )
        evaluated, again = (
            encode(example, way, some_images, train=False, seed=seed) for seed in (1, 2)
        )

        assert np.abs(one - other).max() > 1e-3
        np.testing.assert_array_equal(one, same)
        np.testing.assert_array_equal(evaluated, again)
        assert np.abs(one - evaluated).max() > 1e-3


def test_leaves_drop_their_share(example):
    """Dropout drops single numbers, and stochastic depth whole images; both scale the rest."""
    ones, key = example.xp.ones((4000, 1, 2)), example.make_key(3)
    single = np.asarray(example.Dropout(0.25)(ones, key, deterministic=False))
    whole = np.asarray(example.DropPath(0.25)(ones, key, deterministic=False))

    for dropped in single, whole:
        np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.75], rtol=1e-6)
        assert 0.22 < (dropped == 0).mean() < 0.28
    assert (single[:, 0, 0] != single[:, 0, 1]).any()
    np.testing.assert_array_equal(whole[:, 0, 0], whole[:, 0, 1])


def test_lines_that_name_the_flag(printed):
    """What is printed, and drawn on the page of examples, is what the file says."""
    shared = {"Attention", "Mlp", "Block"}
    by_hand = {f"{name}ByHand" for name in (*shared, "Encoder")}

    expected = {
        "by hand": lines_in_source(by_hand | {"call_by_hand"}),
        "provide": lines_in_source(shared | {"Encoder", "call_with_provide"}),
        "provide=True": lines_in_source(shared | {"ProvidingEncoder", "call_providing"}),
    }

    found = {
        name: int(count)
        for name, count in re.findall(r"^  ([\w= ]+?) +(\d+)$", printed, re.MULTILINE)
    }
    assert expected == found
    assert 1 == found["provide"]
    assert found["provide=True"] < found["by hand"]
    drawn = re.findall(r">(\d+)<", PICTURE.read_text())
    assert [*expected.values()] == [*map(int, drawn)]


def test_accuracy(printed, example):
    """Another solver of the least squares reads as many digits."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    images, labels = datasets.load_digits(return_X_y=True)
    way, key = example.WAYS[0], example.make_key(0)
    encoder = example.make_encoder(way, example.fold_in(key, 0), layers=3)
    x = example.xp.asarray(images.reshape(-1, example.TOKENS, example.PIXELS) / 16)
    features = np.asarray(way.call(encoder, x, key, train=False), dtype=np.float64)
    flat, end = features.reshape(len(images), -1), example.TRAINING_IMAGES

    head = linear_model.LinearRegression(fit_intercept=False)
    head.fit(flat[:end], np.eye(10)[labels[:end]])
    accuracy = (head.predict(flat[end:]).argmax(axis=1) == labels[end:]).mean()

    assert abs(accuracy - float(re.search(r"test accuracy: (\S+)", printed)[1])) < 0.01
