"""Merged layers in a worker of Ray, by value and by name."""

import pytest
import travelling_layers as layers

pytest.importorskip("ray", reason="ray is not installed")


@pytest.fixture(scope="module")
def script():
    """Return what calls of classes of `__main__` come to in a worker.

    Only a process of its own can be sure that nothing of Ray is left behind.
    """
    return layers.run_as_script("ray")


def test_classes_of_main(script, inject):
    """The results are the same, and what Ray raises is a `MergeError` with its fields."""
    classes = layers.LAYERS[inject]

    assert not script[inject]["by name"]
    assert layers.expected(classes) == script[inject]["outcomes"]
    assert layers.expected_errors(classes[1])[:2] == script[inject]["raised"]


def test_classes_by_name(script, inject):
    """Classes of a module are those of the module that the worker imports."""
    expected = layers.expected(layers.LAYERS[inject])

    assert expected == script[inject]["outcomes of the module"]
