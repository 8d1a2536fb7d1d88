"""Merged layers in the processes of the standard library, joblib, Dask and Ray."""

import pytest
import workers

from mergeparam import MergeError, merged_signature, provide, unset_params

BY_NAME = ("spawn", "forkserver", "pool")
BY_VALUE = ("joblib", "dask")
MODULES = {"joblib": "joblib", "dask": "distributed", "ray": "ray"}
every_way = pytest.mark.parametrize("run", [*BY_NAME, *BY_VALUE], indirect=True, scope="module")


def require(way):
    if way in MODULES:
        pytest.importorskip(MODULES[way], reason=f"{MODULES[way]} is not installed")
    return way


@pytest.fixture(scope="module")
def run(request):
    """Return a function that runs another one in a worker."""
    with workers.WAYS[require(request.param)]() as run:
        yield run


@pytest.mark.parametrize("way", workers.WAYS)
def test_classes_of_main(way):
    """The results of a script's classes are the same, and the errors of their calls come back.

    A worker of the standard library runs the script for itself, under another name, and has the
    same classes; to others they travel by value. Classes of a module are those that the worker
    imports. Only a process of its own can be sure that nothing of Ray is left behind.
    """
    found = {
        "by name": way in BY_NAME,
        "outcomes": workers.expected(),
        "raised": workers.expected_errors()[:2],
        "outcomes of the module": workers.expected(),
    }

    assert dict.fromkeys(("inline", "wrap"), found) == workers.run_as_script(require(way))


@every_way
def test_classes_of_modules(run, inject):
    """The results are the same as in this process."""
    classes = workers.LAYERS[inject]

    assert run(workers.is_by_name, classes[0])
    assert workers.expected() == workers.outcomes(classes) == run(workers.outcomes, classes)


@every_way
def test_errors_come_back(run, inject):
    """What a worker raises is what the call would raise here, word for word."""
    _, cls = workers.LAYERS[inject]
    for held, given in workers.WRONG:
        with pytest.raises(MergeError) as here:
            cls(0.5, held)(2, **given)
        with pytest.raises(MergeError) as there:
            run(cls(0.5, held), 2, **given)

        assert type(here.value) is type(there.value)
        assert str(here.value) == str(there.value)
        assert vars(here.value) == vars(there.value)


@every_way
def test_methods_and_classes(run, inject):
    """A bound method is sent as well as an object, and what a worker makes comes back."""
    _, cls = workers.LAYERS[inject]
    made = run(cls, 0.5, True)

    assert 20 == run(cls(0.5, True).__call__, 2) == made(2)
    assert cls(0.5, True) == made
    assert () == run(unset_params, made)
    assert "(x)" == str(run(merged_signature, made))


@every_way
def test_provided_values(run, inject):
    """What is provided here is not provided in a worker, and that is no secret."""
    layer = workers.LAYERS[inject][0](0.5)
    with provide(deterministic=True):
        here, there = layer(2), workers.outcome(run, layer, 2)

    assert (2, workers.expected_errors()[0]) == (here, there)
    assert 1 == run(workers.outcome_with_provided, layer)


@pytest.mark.parametrize("run", BY_VALUE, indirect=True, scope="module")
def test_classes_by_value(run, inject):
    """Classes that a function makes travel with their merged code.

    A worker makes a subclass of one; its objects come back as objects of the class here. A
    container provides its flag in the worker to the layer inside.
    """
    classes = workers.layers()
    made = run(classes[0], 0.5, True)
    container = workers.local_container(classes[0](0.5))

    assert not run(workers.is_by_name, classes[0])
    assert workers.expected() == workers.outcomes(classes) == run(workers.outcomes, classes)
    assert workers.expected() == run(workers.outcomes_of_subclass, classes[0])
    assert (classes[0], 2) == (type(made), made(2))
    assert workers.expected() == workers.outcomes(classes)
    assert 1 == container(2, deterministic=False) == run(container, 2, deterministic=False)
    assert 1 == run(workers.outcome_with_provided, classes[0](0.5))
