"""The function `merge_param`, and the slow path by itself."""

import attrs
import numpy as np
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    merge_param,
    mergeable,
    provide,
)


@pytest.mark.parametrize("value", [0, False, "", np.zeros(2)])
@pytest.mark.parametrize("unset", [None, UNSET])
def test_merge_param(value, unset):
    """The value that is set comes out, as the very object."""
    assert value is merge_param("flag", value, unset, unset=unset)
    assert value is merge_param("flag", unset, value, unset=unset)
    with pytest.raises(MissingParamError, match="'flag' is set in neither place"):
        merge_param("flag", unset, unset, unset=unset)
    with pytest.raises(ConflictingParamError, match="'flag' is set in both places"):
        merge_param("flag", value, value, unset=unset)


def test_none_as_a_value():
    """`None` is a value where `unset` is another object."""
    assert None is merge_param("mask", None, UNSET, unset=UNSET)


def test_slow_paths_settle_all():
    """The methods that the merge calls give the right answer for every pair."""

    @mergeable(Param("flag", on_conflict="use_attribute"))
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    (method,) = Layer.__mergeable__.methods
    neither, both = Layer()._mergeparam_neither, Layer()._mergeparam_both

    assert 1 == both(1, method.key.text, None, "flag")
    assert 2 == both(1, method.key.text, 2, "flag")
    with pytest.raises(MissingParamError):
        neither(None, method.key.text, "flag")
    with provide(flag=3):
        assert 3 == neither(None, method.key.text, "flag")


def test_method_of_a_stranger():
    """A merged method in a class that has no part in its own says what to do."""

    @mergeable
    class Owner:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    @mergeable(method="other")
    class Stranger:
        flag = None
        __call__ = Owner.__call__

        def other(self, flag=MERGED): ...

    with pytest.raises(MergeDefinitionError, match="Inherit from it, or share the function"):
        Stranger()()


def test_shape_that_cannot_be_compared():
    """A shape may be anything, too."""

    @mergeable(Param("flag", on_conflict="raise_if_different"))
    class Layer:
        flag = type("Strange", (), {"shape": np.zeros(3)})()

        def __call__(self, *, flag=MERGED): ...

    with pytest.raises(ConflictingParamError):
        Layer()(flag=type("Other", (), {"shape": np.ones(3)})())


def test_namesakes_from_other_processes():
    """Two specifications of one name in one class cannot be told apart, and are not guessed."""

    @mergeable
    class One:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    @mergeable
    class Other:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    (one,), (other,) = One.__mergeable__.methods, Other.__mergeable__.methods
    methods = (attrs.evolve(other, key=one.key),)
    Other.__mergeable__ = attrs.evolve(Other.__mergeable__, methods=methods)

    class Both(One, Other): ...

    with pytest.raises(MergeDefinitionError, match="two merged classes of one name"):
        Both()()
