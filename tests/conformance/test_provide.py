"""Provided values: what takes them, and in which order."""

import itertools
import weakref

import attrs
import pytest

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


class Base:
    """An object with a `flag`."""

    def __init__(self, flag=None):
        self.flag = flag


@pytest.fixture
def leaf():
    """Return a class whose instances return what is merged."""

    @mergeable("flag")
    class Leaf(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    return Leaf


@pytest.fixture
def read(leaf):
    """Return a function that returns what is provided."""
    return leaf()


# What takes a provided value.


@pytest.mark.parametrize("value", [False, 0, "", float("nan"), [], UNSET, ..., object(), MERGED])
def test_any_value(leaf, value):
    """Every object can be provided, the very object, and nobody asks for its truth."""
    with provide(flag=value):
        assert value is leaf()()
    with pytest.raises(MissingParamError):
        leaf()()


def test_fallback_only(leaf):
    """What the constructor or the call has set is never overruled."""
    with provide(flag=1):
        assert (2, 3, 1) == (leaf(2)(), leaf()(flag=3), leaf()())
        with pytest.raises(ConflictingParamError, match="set in both places"):
            leaf(2)(flag=2)


@pytest.mark.parametrize(
    ("policy", "expected"), [("use_call", 3), ("use_attribute", 2), ("raise_if_different", None)]
)
def test_policies(policy, expected):
    """A provided value is no third party to a conflict."""

    @mergeable(Param("flag", on_conflict=policy))
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    with provide(flag=1):
        assert (1, 2, 3) == (Layer()(), Layer(2)(), Layer()(flag=3))
        if expected is None:
            with pytest.raises(ConflictingParamError):
                Layer(2)(flag=3)
        else:
            assert expected == Layer(2)(flag=3)


@pytest.mark.parametrize(
    "default", [5, attrs.Factory(lambda: 5), attrs.Factory(lambda self: 5, takes_self=True)]
)
def test_before_a_default(default):
    """A default is for when nobody says anything; it is not even asked for."""

    @mergeable(Param("flag", default=default))
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    assert 5 == Layer()()
    with provide(flag=1):
        assert 1 == Layer()()
    with provide(other=1):
        assert 5 == Layer()()


def test_the_unset_object():
    """A provided `unset` object is no value, and hides outer ones and the default."""

    @mergeable(Param("flag", unset=UNSET), Param("other", default=5))
    class Layer:
        flag, other = UNSET, None

        def __call__(self, *, flag=MERGED, other=MERGED):
            return flag, other

    with provide(flag=None):
        assert (None, 5) == Layer()()
        with provide(other=None), pytest.raises(MissingParamError, match="'other'.*gives None"):
            Layer()()
        with provide(flag=UNSET), pytest.raises(MissingParamError) as caught:
            Layer()()
        assert (None, 1) == Layer()(other=1)
    assert ("the innermost `provide` of it gives UNSET, which here means 'not set'.") in str(
        caught.value
    )


def test_text_of_the_error(leaf):
    """A call with neither says that `provide` exists, and no conflict does."""
    with pytest.raises(MissingParamError) as caught:
        leaf()()

    assert str(caught.value).endswith(
        "Leaf(..., flag=...), or flag=... in the call; or provide it to all calls inside "
        "`with provide(flag=...):`."
    )
    with pytest.raises(ConflictingParamError) as caught:
        leaf(1)(flag=1)
    assert "provide" not in str(caught.value)


def test_innermost(read):
    """Scopes shadow name by name, and come back when the inner one closes."""
    with provide(flag=1, other="x"):
        with provide(flag=2):
            with provide(other="y"):
                assert 2 == read()
            assert 2 == read()
        with provide():
            assert 1 == read()
    with pytest.raises(MissingParamError):
        read()


def test_closed_by_an_error(read):
    """An error closes the scope, and is not swallowed."""
    with pytest.raises(KeyError), provide(flag=1):
        raise KeyError
    with pytest.raises(MissingParamError):
        read()


def test_names_are_those_of_parameters():
    """Not those of attributes; private ones as Python mangles them."""

    @mergeable(Param("flag", attribute="_held"), "__hidden")
    class Layer:
        _held = None
        __hidden = None

        def __call__(self, *, flag=MERGED, __hidden=MERGED):
            return flag, __hidden

    with provide(_held=0, flag=1, _Layer__hidden=2):
        assert (1, 2) == Layer()()
    with provide(flag=1, __hidden=2), pytest.raises(MissingParamError):
        Layer()()


def test_every_method_and_kind_of_parameter():
    """Positional, positional-only and keyword-only ones, in all methods that merge them."""

    @mergeable("one", "two", "three", method=("__call__", "encode"))
    class Layer:
        one = two = three = None

        def __call__(self, one=MERGED, /, two=MERGED, *args, three=MERGED):
            return one, two, args, three

        def encode(self, two=MERGED):
            return two

    with provide(one=1, two=2, three=3):
        assert (1, 2, (), 3) == Layer()()
        assert (5, 6, (7,), 3) == Layer()(5, 6, 7)
        assert 2 == Layer().encode()


def test_merge_param_takes_nothing():
    """The function is the merge by hand, as Flax has it, and nothing else."""
    with provide(flag=1):
        assert 2 == merge_param("flag", 2, None)
        with pytest.raises(MissingParamError) as caught:
            merge_param("flag", None, None)
    assert "provide" not in str(caught.value)


def test_forwarding_to_super(leaf):
    """A subclass that hands the provided value on has it once."""

    @mergeable("flag")
    class Child(leaf):
        def __call__(self, *, flag=MERGED):
            return super().__call__(flag=flag), flag

    with provide(flag=1):
        assert (1, 1) == Child()()
        assert (2, 2) == Child(2)()


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
    assert ("flag",) == unset_params(layer)


def test_unset_object_hides_the_default_from_introspection():
    """A provided `unset` object means needed, also where there is a default."""

    @mergeable(Param("flag", default=5))
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    with provide(flag=None):
        assert ("flag",) == unset_params(Layer())
    assert () == unset_params(Layer())


# One object.


def test_reusable_and_reentrant(read):
    """One `provide` may be opened again, also while it is open."""
    scope = provide(flag=1)
    with scope:
        with scope, provide(flag=2):
            assert 2 == read()
        assert 1 == read()
        with provide(flag=3), scope:
            assert 1 == read()
        assert 1 == read()
    with pytest.raises(MissingParamError):
        read()
    with scope:
        assert 1 == read()


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_closed_in_any_order(read, order):
    """What is left is what was opened last of those that are open."""
    scopes = [provide(flag=index) for index in range(3)]
    for scope in scopes:
        scope.__enter__()
    left = {0, 1, 2}
    for index in order:
        assert max(left) == read()
        scopes[index].__exit__(None, None, None)
        left.discard(index)

    with pytest.raises(MissingParamError):
        read()


def test_closed_without_being_open(read):
    """Closing what is not open here changes nothing."""
    with provide(flag=1):
        provide(flag=1).__exit__(None, None, None)
        assert 1 == read()


def test_object():
    """It says how it was written; `as` gives nothing; any name can be provided."""
    scope = provide(flag=[1], self=2, values=3, **{"no name": 4})
    with scope as nothing:
        assert nothing is None

    assert "provide(flag=[1], self=2, values=3, no name=4)" == repr(scope)
    assert scope is weakref.ref(scope)()
    with pytest.raises(TypeError):
        provide({"flag": 1})


def test_values_are_let_go(leaf):
    """Nothing keeps a value that is not provided any more."""

    class Value:
        pass

    value = Value()
    reference = weakref.ref(value)
    with provide(flag=value), provide(flag=1):
        assert 1 == leaf()()
    del value

    assert reference() is None
