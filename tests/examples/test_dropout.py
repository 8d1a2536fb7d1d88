"""The first example: what it prints, and that its gradients are right."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

PATH = Path(__file__).parents[2] / "examples" / "dropout.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("example_dropout", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture(scope="module")
def printed(example):
    """Return what the example prints, twice."""
    outputs = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            example.main()
        outputs.append(output.getvalue())
    return outputs


def numeric_gradient(function, x):
    """Return the gradient of a number by central differences."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        gradient[index] = (function(x + step) - function(x - step)) / 2e-6
    return gradient


def assert_pull_is_right(layer, x, rng):
    """Compare the way back through `layer`, for a random direction, to differences."""
    output, pull = layer(x)
    direction = rng.normal(size=output.shape)

    expected = numeric_gradient(lambda x: (layer(x)[0] * direction).sum(), x)
    np.testing.assert_allclose(pull(direction), expected, atol=1e-6)


def make_norm(example, rng):
    scale, bias = example.Weight(rng.normal(size=3)), example.Weight(rng.normal(size=3))
    return example.BatchNorm(scale, bias)


def test_it_learns_to_read(printed):
    """The model reads most digits, both those that it has seen and those that it has not."""
    accuracies = dict(re.findall(r"(\w+) accuracy: +([\d.]+)", printed[0]))

    assert accuracies.keys() == {"train", "test"}
    assert all(float(value) > 0.95 for value in accuracies.values())


def test_it_prints_the_same_every_time(printed):
    """The example is seeded, so that what the documentation shows is what a user sees."""
    assert printed[0] == printed[1]


def test_it_prints_signatures_and_errors(printed):
    """Both layers show their parameter as optional; errors stand as at a traceback's end."""
    expected = [
        "Dropout.__call__(self, x: 'Array', *, deterministic: 'bool | None' = None)",
        "BatchNorm.__call__(self, x: 'Array', *, use_running_average: 'bool | None' = None)",
    ]
    errors = (("MissingParamError", "neither place"), ("ConflictingParamError", "both places"))

    assert expected == re.findall(r"^(\w+\.__call__\(.*\)) ->", printed[0], re.MULTILINE)
    for error, places in errors:
        says = f"Dropout.__call__(): 'deterministic' is set in {places}"
        assert f"\nmergeparam.errors.{error}: {says}" in printed[0]


def test_dropout_pulls_right(example, rng):
    """Dropout's gradient is that of its output, with the same inputs dropped."""

    def drop(x):
        return example.Dropout(0.5, np.random.default_rng(0))(x, deterministic=False)

    assert_pull_is_right(drop, rng.normal(size=(5, 3)), rng)


def test_deterministic_dropout_changes_nothing(example, rng):
    """In evaluation, output and gradient are the very objects that came in."""
    x, grad = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    output, pull = example.Dropout(0.5, rng, deterministic=True)(x)

    assert x is output
    assert grad is pull(grad)


@pytest.mark.parametrize("use_running_average", [False, True])
def test_batch_norm_pulls_right(example, rng, use_running_average):
    """BatchNorm's gradient is right with both kinds of statistics."""
    norm = make_norm(example, rng)
    norm.mean, norm.var = rng.normal(size=3), rng.random(size=3)

    def normalise(x):
        return example.attrs.evolve(norm)(x, use_running_average=use_running_average)

    assert_pull_is_right(normalise, rng.normal(size=(5, 3)), rng)


def test_batch_norm_normalises_in_training(example, rng):
    """Each feature gets bias and scale for mean and deviation; only training moves averages."""
    norm = make_norm(example, rng)
    mean, var = norm.mean, norm.var
    norm(rng.normal(size=(5, 3)), use_running_average=True)

    assert (mean, var) == (norm.mean, norm.var)
    output, _ = norm(rng.normal(3, 2, size=(50, 3)), use_running_average=False)
    np.testing.assert_allclose(norm.bias.value, output.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.abs(norm.scale.value), output.std(axis=0), rtol=1e-4)
    assert mean is not norm.mean
    assert var is not norm.var


def test_model_pulls_right(example, rng):
    """The gradient is right through blocks, shortcuts and head, and of every weight."""
    model = example.attrs.evolve(example.make_model(rng, pixels=4, digits=3), drop_rate=0.0)
    x = rng.normal(size=(5, 4))
    output, pull = model(x, train=True)
    direction = rng.normal(size=output.shape)
    pull(direction)

    for weight in model.weights():
        kept = weight.value

        def total(value, weight=weight):
            weight.value = value
            return (model(x, train=True)[0] * direction).sum()

        expected = numeric_gradient(total, kept)
        weight.value = kept

        np.testing.assert_allclose(weight.grad, expected, atol=1e-6)
    assert_pull_is_right(lambda x: model(x, train=True), x, rng)
