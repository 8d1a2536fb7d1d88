"""The function `merge_param`, and the private methods that a merge calls."""

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
from mergeparam._call.resolve import make_conflict, make_missing
from mergeparam._spec import MergedClass, MergedMethod


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


def declared(param, identity=7):
    """Return a class that carries a declaration of `param`, and the declaration."""
    method = MergedMethod("call", "Layer", (param,), "inline", 0, identity, "", None)
    cls = type("Layer", (), {param.attribute: param.unset, "size": 3})
    cls.__mergeable__ = MergedClass("Layer", (method,))
    return cls, method


FACTORY = attrs.Factory(lambda self: self.size or None, takes_self=True)


@pytest.mark.parametrize(
    ("options", "provided", "expected"),
    [
        ({}, {}, MissingParamError),
        ({}, {"flag": 1}, 1),
        ({}, {"other": 1}, MissingParamError),
        ({"default": 2}, {}, 2),
        ({"default": 2}, {"flag": 1}, 1),
        # The `unset` object may be provided: then a default would hide a mistake.
        ({"default": 2}, {"flag": None}, MissingParamError),
        ({"default": attrs.Factory(list)}, {}, []),
        ({"default": FACTORY}, {}, 3),
        ({"default": attrs.Factory(lambda: None)}, {}, MissingParamError),
        ({"unset": UNSET}, {"flag": None}, None),
        ({"unset": UNSET, "default": None}, {}, None),
    ],
)
def test_neither(options, provided, expected):
    """What is provided comes first, then the default, then the error."""
    param = Param("flag", **options)
    cls, method = declared(param)
    missing = make_missing(method, param, "ask")
    with provide(**provided):
        if expected is MissingParamError:
            with pytest.raises(
                MissingParamError, match=r"Layer\.call\(\): 'flag' is set in neither"
            ):
                missing(cls(), 7)
        else:
            assert expected == missing(cls(), 7)


class Incomparable:
    """A value that raises where it is compared."""

    shape = np.zeros(3)

    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = object.__hash__


class WithoutTruth:
    """A comparison like that of tracers."""

    def __eq__(self, other):
        return np.zeros(2)

    __hash__ = object.__hash__


SAME = Incomparable()


@pytest.mark.parametrize(
    ("call", "attribute", "is_equal"),
    [
        (1, 1.0, True),
        (1, 2, False),
        (np.ones(2), np.ones(2), True),
        (np.ones(2), np.zeros(2), False),
        (np.ones(2), np.ones(3), False),
        (np.ones(2), 1, False),
        (float("nan"), float("nan"), False),
        (SAME, Incomparable(), False),
        (SAME, 1, False),
        (WithoutTruth(), WithoutTruth(), False),
    ],
)
def test_both(call, attribute, is_equal):
    """Equal values pass where the policy asks for it, and what cannot be compared is different."""
    for policy in ("raise", "raise_if_different"):
        param = Param("flag", on_conflict=policy)
        cls, method = declared(param)
        conflict = make_conflict(method, param, "ask")
        if is_equal and policy == "raise_if_different":
            assert call is conflict(cls(), 7, call, attribute)
        else:
            with pytest.raises(ConflictingParamError, match=r"Layer\.call\(\): 'flag'") as caught:
                conflict(cls(), 7, call, attribute)
            assert call is caught.value.call_value
            assert attribute is caught.value.attribute_value


def test_the_very_same_object():
    """It is a conflict, unless a subclass has merged it and hands it on."""
    param = Param("flag")
    cls, method = declared(param)
    with pytest.raises(ConflictingParamError):
        make_conflict(method, param, "ask")(cls(), 7, SAME, SAME)

    assert SAME is make_conflict(method, param, "ask", forwarded=True)(cls(), 7, SAME, SAME)
    sub = type("Sub", (cls,), {})
    sub.__mergeable__ = MergedClass("Sub", (attrs.evolve(method, identity=8, owner="Sub"),))
    assert SAME is make_conflict(method, param, "ask")(sub(), 7, SAME, SAME)
    with pytest.raises(ConflictingParamError, match=r"Sub\.call\(\) \(merged by Layer\)"):
        make_conflict(method, param, "ask", forwarded=True)(sub(), 7, SAME, 1)


def test_method_of_a_stranger(inject):
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


def test_namesakes_in_one_class(inject):
    """Each private method passes on what another declaration of its name is asked."""

    def make(value, unset):
        @mergeable(Param("flag", default=value, unset=unset, on_conflict="raise_if_different"))
        class Local:
            flag = unset

            def __call__(self, *, flag=MERGED):
                return flag

        return Local

    one, two = object(), object()
    first, second = make(1, one), make(2, two)
    both = type("Both", (first, second), {})

    assert 1 == both()()
    both.flag = two
    assert 2 == second.__call__(both())
    both.flag = 5
    assert 5 == second.__call__(both())
    with pytest.raises(ConflictingParamError):
        second.__call__(both(), flag=6)


PARAMS = "one", Param("two"), Param("three", default=3), Param("four", attribute="wrapped.four")
LAYER = """
class Layer:
    one = two = three = None
    wrapped = type("Inner", (), {"four": None})
    def __call__(self, one=MERGED, *, two=MERGED, three=MERGED, four=MERGED):
        return one, two, three, four
"""


def merged_layer(*stacked, **attributes):
    """Return an object with its own attributes, of a class that is decorated so often."""
    namespace = {"MERGED": MERGED}
    exec(LAYER, namespace)
    cls = namespace["Layer"]
    for params in stacked or [PARAMS]:
        mergeable(*params)(cls)
    layer = cls()
    vars(layer).update(attributes)
    return layer


@pytest.mark.parametrize(
    ("attributes", "call", "provided", "missing"),
    [
        ({}, {}, {}, ("one", "two", "four")),
        ({}, {"one": 1}, {}, ("two", "four")),
        ({}, {"two": 1}, {}, ("one", "four")),
        ({"two": 1}, {}, {}, ("one", "four")),
        ({}, {}, {"one": 1, "two": 2}, ("four",)),
        ({}, {}, {"four": 1}, ("one", "two")),
        ({"one": 1}, {"four": 1}, {}, ("two",)),
    ],
)
def test_all_missing_parameters_are_named(attributes, call, provided, missing, inject):
    """One error names them all, in the order of the signature."""
    layer = merged_layer(**attributes)
    with provide(**provided), pytest.raises(MissingParamError) as caught:
        layer(**call)

    assert missing == caught.value.params
    assert missing[0] == caught.value.param
    others = ", ".join(map(repr, missing[1:]))
    also = f" Also missing in this call: {others}." if others else ""
    assert str(caught.value).endswith(f":`.{also}")


def test_missing_under_stacked_decorators(inject):
    """Those of other decorators on the same method are named, too."""
    layer = merged_layer(PARAMS[:1], PARAMS[1:])
    with pytest.raises(MissingParamError) as caught:
        layer()

    assert {"one", "two", "four"} == {*caught.value.params}


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_other_attribute_that_cannot_be_read(error, inject):
    """The first parameter that is missing is the error, whatever an attribute behind it does."""

    class Layer:
        flag = None

        @property
        def mode(self):
            raise error("mode")

        def __call__(self, *, flag=MERGED, mode=MERGED): ...

    with pytest.raises(MissingParamError) as caught:
        mergeable(Layer)()()

    assert "flag" == caught.value.param
