"""Merged layers in a cluster of Dask, by name and by value."""

import pytest
import travelling_layers as layers
import ways_to_workers

pytest.importorskip("distributed", reason="distributed is not installed")


@pytest.fixture(scope="module")
def run():
    """Return a function that runs another one in a worker."""
    with ways_to_workers.dask() as run:
        yield run


@pytest.fixture(scope="module")
def script():
    """Return what calls of classes of `__main__` come to in a worker."""
    return layers.run_as_script("dask")


def test_classes_by_name(run, inject):
    """The results are the same as in this process."""
    classes = layers.LAYERS[inject]

    assert run(layers.is_by_name, classes[0])
    assert layers.expected(classes) == layers.outcomes(classes) == run(layers.outcomes, classes)


def test_classes_by_value(run, inject):
    """Classes that a function makes travel with their merged code."""
    classes = layers.local_layers()

    assert not run(layers.is_by_name, classes[0])
    assert layers.expected(classes) == layers.outcomes(classes) == run(layers.outcomes, classes)


def test_classes_of_main(script, inject):
    """The classes of a script travel by value, and the errors of their calls come back."""
    classes = layers.LAYERS[inject]

    assert not script[inject]["by name"]
    assert layers.expected(classes) == script[inject]["outcomes"]
    assert layers.expected_errors(classes[1])[:2] == script[inject]["raised"]


def test_what_is_made_from_a_class_by_value(run, inject):
    """A worker makes a subclass of it; its objects come back as objects of the class here."""
    cls, subclass = layers.local_layers()
    made = run(cls, 0.5, True)

    assert layers.expected((cls, subclass)) == run(layers.outcomes_of_subclass, cls)
    assert cls is type(made)
    assert 2.0 == made(2.0)
    assert layers.expected((cls, subclass)) == layers.outcomes((cls, subclass))


def test_container_that_provides(run, inject):
    """A container by value provides its flag in the worker to the layer inside."""
    cls, _ = layers.local_layers()
    container = layers.local_container(cls(0.5))

    assert 1.0 == container(2.0, deterministic=False) == run(container, 2.0, deterministic=False)
    assert 1.0 == run(layers.outcome_with_provided, cls(0.5))
