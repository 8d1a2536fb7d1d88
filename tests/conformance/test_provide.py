"""Provided values: what takes them, and in which order."""

import weakref

import pytest
from outcomes import Base, attempt

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    find_unset,
    merge_param,
    mergeable,
    merged_signature,
    provide,
    route,
    unset_params,
)


def define(param):
    """Return a class that merges as the param says."""

    @mergeable(param)
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    return Layer


# What takes a provided value.


@pytest.mark.parametrize("value", [False, 0, "", float("nan"), [], UNSET, ..., object(), MERGED])
def test_any_value(read, value):
    """Every object can be provided, the very object, and nobody asks for its truth."""
    with provide(flag=value):
        assert value is read()
    assert MissingParamError is attempt(read)


@pytest.mark.parametrize(
    ("policy", "both"),
    [
        ("raise", ConflictingParamError),
        ("raise_if_different", ConflictingParamError),
        ("use_call", 3),
        ("use_attribute", 2),
    ],
)
def test_fallback_only(policy, both):
    """What the constructor or the call has set is never overruled; two of three conflict."""
    layer = define(Param("flag", on_conflict=policy))

    with provide(flag=1):
        assert (1, 2, 3) == (layer()(), layer(2)(), layer()(flag=3))
        assert both == attempt(layer(2), flag=3)


def test_innermost(read):
    """Scopes shadow name by name, and come back when the inner one closes, also by an error."""
    with provide(flag=1, other="x"):
        with provide(flag=2):
            with provide(other="y"):
                assert 2 == read()
            assert 2 == read()
        with pytest.raises(KeyError), provide(flag=2):
            raise KeyError
        with provide():
            assert 1 == read()
    assert MissingParamError is attempt(read)


def test_merge_param_takes_nothing():
    """The function is the merge by hand, as Flax has it, and nothing else."""
    with provide(flag=1):
        assert 2 == merge_param("flag", 2, None)
        with pytest.raises(MissingParamError) as caught:
            merge_param("flag", None, None)
    assert "provide" not in str(caught.value)


def test_introspection(leaf):
    """What is provided is present for all questions but `route`, whose flags are explicit."""
    layer, model = leaf(), [leaf(), leaf(1)]
    with provide(flag=1):
        assert () == unset_params(layer)
        assert "(*, flag=None)" == str(merged_signature(layer))
        assert [] == find_unset(model)
        assert {"flag": 5} == route(layer, flag=5)
    with provide(flag=None):
        assert ("flag",) == unset_params(layer)
        assert "(*, flag)" == str(merged_signature(layer))
        assert [("[0]", ("flag",))] == [(path, names) for path, _, names in find_unset(model)]
        assert ("flag",) == unset_params(define(Param("flag", default=5))())
    assert ("flag",) == unset_params(layer)


# One object.


def test_reusable_and_reentrant(read):
    """One `provide` may be opened again, also while it is open."""
    scope = provide(flag=1)
    with scope:
        with scope, provide(flag=2):
            assert 2 == read()
        with provide(flag=3), scope:
            assert 1 == read()
        assert 1 == read()
    assert MissingParamError is attempt(read)
    with scope:
        assert 1 == read()


def test_left_open_by_a_generator(read):
    """A `with provide` around a `yield` is open for the consumer, too."""

    def generator():
        with provide(flag=1):
            yield
            yield
        yield

    going = generator()
    next(going)

    assert 1 == read()
    with provide(flag=2):
        for _ in range(2):
            assert 2 == read()
            next(going)
        assert 2 == read()
    assert MissingParamError is attempt(read)


def test_object():
    """It says how it was written; `as` gives nothing; any name can be provided."""
    scope = provide(flag=[1], self=2, values=3, **{"no name": 4})
    with scope as nothing:
        assert nothing is None

    assert "provide(flag=[1], self=2, values=3, no name=4)" == repr(scope)
    assert scope is weakref.ref(scope)()
    with pytest.raises(TypeError):
        provide({"flag": 1})
