"""The first example: what it prints, and that its gradients are right."""

import importlib.util
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


def printed(example, capsys):
    example.main()
    return capsys.readouterr().out


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


def make_small_model(example, rng):
    model = example.make_model(rng, pixels=4, digits=3)
    return example.attrs.evolve(model, drop_rate=0.0)


def test_it_learns_to_read(example, capsys):
    """The model reads most digits, both those that it has seen and those that it has not."""
    accuracies = dict(re.findall(r"(\w+) accuracy: +([\d.]+)", printed(example, capsys)))

    assert accuracies.keys() == {"train", "test"}
    assert all(float(value) > 0.95 for value in accuracies.values())


def test_it_prints_the_same_every_time(example, capsys):
    """The example is seeded, so that what the documentation shows is what a user sees."""
    assert printed(example, capsys) == printed(example, capsys)


def test_it_prints_the_merged_signatures(example, capsys):
    """Both layers show their merged parameter as optional."""
    expected = [
        "Dropout.__call__(self, x: 'Array', *, deterministic: 'bool | None' = None)",
        "BatchNorm.__call__(self, x: 'Array', *, use_running_average: 'bool | None' = None)",
    ]

    lines = re.findall(r"^(\w+\.__call__\(.*\)) ->", printed(example, capsys), re.MULTILINE)

    assert expected == lines


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("MissingParamError", "Dropout.__call__(): 'deterministic' is set in neither place"),
        ("ConflictingParamError", "Dropout.__call__(): 'deterministic' is set in both places"),
    ],
)
def test_it_prints_the_errors(example, capsys, error, says):
    """Both errors are shown as they stand at the end of a traceback."""
    assert f"\nmergeparam.errors.{error}: {says}" in printed(example, capsys)


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
        norm_again = example.attrs.evolve(norm)
        return norm_again(x, use_running_average=use_running_average)

    assert_pull_is_right(normalise, rng.normal(size=(5, 3)), rng)


def test_batch_norm_normalises(example, rng):
    """In training, every feature gets the bias for its mean and the scale for its deviation."""
    norm = make_norm(example, rng)

    output, _ = norm(rng.normal(3, 2, size=(50, 3)), use_running_average=False)

    np.testing.assert_allclose(norm.bias.value, output.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.abs(norm.scale.value), output.std(axis=0), rtol=1e-4)


def test_batch_norm_keeps_its_statistics_in_evaluation(example, rng):
    """Only training moves the running averages."""
    norm = make_norm(example, rng)
    mean, var = norm.mean, norm.var

    norm(rng.normal(size=(5, 3)), use_running_average=True)

    assert (mean, var) == (norm.mean, norm.var)

    norm(rng.normal(size=(5, 3)), use_running_average=False)

    assert mean is not norm.mean
    assert var is not norm.var


def test_model_pulls_right(example, rng):
    """The gradient is right through the blocks, their shortcuts and the head."""
    model = make_small_model(example, rng)

    assert_pull_is_right(lambda x: model(x, train=True), rng.normal(size=(5, 4)), rng)


def test_every_weight_gets_its_gradient(example, rng):
    """The way back leaves in every weight what differences of its value say."""
    model = make_small_model(example, rng)
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
