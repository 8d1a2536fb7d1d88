"""Merged layers in processes of the standard library, which pickles classes by name."""

import pytest
import travelling_layers as layers
import ways_to_workers

from mergeparam import MergeError, provide

WAYS = ["spawn", "forkserver", "pool"]


@pytest.fixture(scope="module", params=WAYS)
def run(request):
    """Return a function that runs another one in a worker."""
    with ways_to_workers.WAYS[request.param]() as run:
        yield run


@pytest.fixture(scope="module", params=WAYS)
def script(request):
    """Return what calls of classes of `__main__` come to in a worker."""
    return layers.run_as_script(request.param)


def test_classes_of_modules(run, inject):
    """The results are the same as in this process."""
    classes = layers.LAYERS[inject]

    assert run(layers.is_by_name, classes[0])
    assert layers.expected(classes) == layers.outcomes(classes) == run(layers.outcomes, classes)


def test_classes_of_main(script, inject):
    """The worker runs the script for itself, under another name, and has the same classes."""
    classes = layers.LAYERS[inject]

    assert script[inject]["by name"]
    assert layers.expected(classes) == script[inject]["outcomes"]
    assert layers.expected_errors(classes[1])[:2] == script[inject]["raised"]


def test_errors_come_back(run, inject):
    """What a worker raises is what the call would raise here, word for word."""
    _, cls = layers.LAYERS[inject]
    for held, given in layers.WRONG:
        with pytest.raises(MergeError) as here:
            cls(0.5, held)(2.0, **given)
        with pytest.raises(MergeError) as there:
            run(cls(0.5, held), 2.0, **given)

        assert type(here.value) is type(there.value)
        assert str(here.value) == str(there.value)
        assert vars(here.value) == vars(there.value)


def test_methods_and_classes(run, inject):
    """A bound method is sent as well as an object, and what a worker makes comes back."""
    _, cls = layers.LAYERS[inject]
    made = run(cls, 0.5, True)

    assert 20.0 == run(cls(0.5, True).__call__, 2.0)
    assert cls(0.5, True) == made
    assert 20.0 == made(2.0)
    assert ("(x)", ()) == run(layers.introspection, made)


def test_provided_values(run, inject):
    """What is provided here is not provided in a worker, and that is no secret."""
    layer = layers.LAYERS[inject][0](0.5)
    with provide(deterministic=True):
        here, there = layer(2.0), layers.outcome(run, layer, 2.0)

    assert 2.0 == here
    assert layers.expected_errors(type(layer))[0] == there
    assert 1.0 == run(layers.outcome_with_provided, layer)
