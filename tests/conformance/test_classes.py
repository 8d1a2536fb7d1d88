"""Every kind of class merges."""

import abc
import dataclasses
import sys
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import attrs
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    mergeable,
)


def check_outcomes(cls):
    """Assert the four outcomes of a class that returns its merged `flag`."""
    assert cls(flag=True)() is True
    assert cls(flag=False)() is False
    assert cls(flag=None)(flag=False) is False
    with pytest.raises(MissingParamError):
        cls(flag=None)()
    with pytest.raises(ConflictingParamError):
        cls(flag=True)(flag=True)


def test_plain():
    """A class that sets the attribute in `__init__`."""

    @mergeable("flag")
    class Layer:
        def __init__(self, flag):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)


def test_plain_slots():
    """A class with `__slots__`."""

    @mergeable("flag")
    class Layer:
        __slots__ = ("flag",)

        def __init__(self, flag):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)

    assert not hasattr(Layer(flag=True), "__dict__")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"frozen": True},
        {"slots": True},
        {"frozen": True, "slots": True},
        {"kw_only": True},
        {"frozen": True, "slots": True, "kw_only": True},
    ],
)
def test_dataclass(options):
    """Dataclasses of every kind."""

    @mergeable("flag")
    @dataclasses.dataclass(**options)
    class Layer:
        flag: Any = None

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)


@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("make", [attrs.define, attrs.frozen, attrs.mutable])
def test_attrs(make, slots):
    """Classes of attrs, with the decorator on top."""

    @mergeable("flag")
    @make(slots=slots)
    class Layer:
        flag: Any = None

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)


@pytest.mark.parametrize("slots", [False, True])
def test_attrs_on_top(slots):
    """Classes of attrs, with the decorators in the other order; slots make a new class."""

    @attrs.define(slots=slots)
    @mergeable("flag")
    class Layer:
        flag: Any = None

        def __call__(self, *, flag=MERGED):
            assert __class__ is Layer
            return flag

    check_outcomes(Layer)


@pytest.mark.parametrize("slots", [False, True])
def test_dataclass_on_top(slots):
    """Dataclasses, with the decorators in the other order."""

    @dataclasses.dataclass(slots=slots)
    @mergeable("flag")
    class Layer:
        flag: Any = None

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)


def test_abstract_base():
    """An abstract method stays abstract, and its implementation merges."""

    @mergeable("flag")
    class Base(abc.ABC):
        def __init__(self, flag):
            self.flag = flag

        @abc.abstractmethod
        def __call__(self, *, flag=MERGED): ...

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)
    with pytest.raises(TypeError, match="abstract"):
        Base(flag=True)


def test_generic():
    """A Generic class, also when it is subscribed."""
    t = TypeVar("t")

    @mergeable("flag")
    class Layer(Generic[t]):
        def __init__(self, flag):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)
    check_outcomes(Layer[int])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 came with 3.12")
def test_type_parameters():
    """A class and a method with type parameters (PEP 695)."""
    namespace = {"mergeable": mergeable, "MERGED": MERGED}
    source = """
@mergeable("flag")
class Layer[T]:
    def __init__(self, flag: T) -> None:
        self.flag = flag
    def __call__[S](self, *, flag: S = MERGED) -> S:
        return flag
"""
    exec(source, namespace)
    layer = namespace["Layer"]

    check_outcomes(layer)

    assert "S" == layer.__call__.__type_params__[0].__name__
    assert "T" == layer.__type_params__[0].__name__


def test_protocol():
    """An implementer of a protocol, which stays one."""

    class Switch(Protocol):
        flag: Any

        def __call__(self, *, flag: Any = None) -> Any: ...

    @mergeable("flag")
    class Layer(Switch):
        def __init__(self, flag):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)


def test_named_tuple():
    """A NamedTuple."""

    @mergeable("flag")
    class Layer(NamedTuple):
        flag: Any = None

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)

    assert (True,) == Layer(True)


def test_metaclass_with_call():
    """The metaclass's `__call__` makes instances; the class's own is what merges."""
    made = []

    class Meta(type):
        def __call__(cls, *args, **kwargs):
            made.append(cls)
            return super().__call__(*args, **kwargs)

    @mergeable("flag")
    class Layer(metaclass=Meta):
        def __init__(self, flag):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    check_outcomes(Layer)

    assert {Layer} == set(made)


def test_made_by_type():
    """A class made by `type()`, with a lambda for a method."""
    layer = type(
        "Layer",
        (),
        {
            "__init__": lambda self, flag: setattr(self, "flag", flag),
            "__call__": lambda self, *, flag=MERGED: flag,
        },
    )

    check_outcomes(mergeable("flag")(layer))


def test_nested():
    """A class in a class, and a class in a function."""

    class Model:
        @mergeable("flag")
        class Layer:
            def __init__(self, flag):
                self.flag = flag

            def __call__(self, *, flag=MERGED):
                return flag

    check_outcomes(Model.Layer)
    with pytest.raises(MissingParamError, match=r"Model\.Layer\.__call__"):
        Model.Layer(None)()


def test_immutable_class():
    """A class that does not let itself be changed says what to do."""

    class Sealed(type):
        def __setattr__(cls, name, value):
            msg = "sealed"
            raise TypeError(msg)

    with pytest.raises(MergeDefinitionError, match="subclass"):

        @mergeable("flag")
        class Layer(metaclass=Sealed):
            def __call__(self, *, flag=MERGED): ...


def test_same_class_returned():
    """The decorator returns the class itself, with its specification on it."""

    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    assert Layer is mergeable("flag")(Layer)
    assert ["flag"] == [param.name for param in Layer.__mergeable__.methods[0].params]


def test_other_method():
    """`method=` merges in another method; `__call__` stays as it is."""

    @mergeable("flag", method="forward")
    class Layer:
        flag = True

        def forward(self, flag=MERGED):
            return flag

        def __call__(self, flag=3):
            return flag

    assert True is Layer().forward()
    assert 3 == Layer()()


def test_several_methods():
    """Several methods, each with the names that it declares."""

    @mergeable("flag", "mode", method=("forward", "encode"))
    class Layer:
        flag, mode = True, None

        def forward(self, flag=MERGED):
            return flag

        def encode(self, *, mode=MERGED, flag=MERGED):
            return flag, mode

    assert True is Layer().forward()
    assert (True, 4) == Layer().encode(mode=4)
    with pytest.raises(MissingParamError, match=r"encode\(\).*'mode'"):
        Layer().encode()


def test_stacked_decorators_add_up():
    """Decorators that name different parameters add up, in one specification."""

    @mergeable("one")
    @mergeable("two")
    class Layer:
        one, two = 1, None

        def __call__(self, *, one=MERGED, two=MERGED):
            return one, two

    assert (1, 2) == Layer()(two=2)
    assert {"one", "two"} == {
        param.name for method in Layer.__mergeable__.methods for param in method.params
    }
    with pytest.raises(MissingParamError, match="'two'"):
        Layer()()
    with pytest.raises(ConflictingParamError, match="'one'"):
        Layer()(one=1, two=2)


def test_bare_decorator_takes_every_sentinel():
    """Bare `@mergeable` takes every parameter whose default is `MERGED`."""

    @mergeable
    class Layer:
        one, two, other = 1, 2, 3

        def __call__(self, one=MERGED, other=None, *, two=MERGED):
            return one, other, two

    assert (1, None, 2) == Layer()()


def test_called_without_names():
    """`@mergeable()` and `@mergeable(method=...)` mean the same as the bare decorator."""

    @mergeable(method="forward")
    @mergeable()
    class Layer:
        one = 1

        def __call__(self, one=MERGED):
            return one

        def forward(self, one=MERGED):
            return one

    assert (1, 1) == (Layer()(), Layer().forward())


def test_shared_function_stays_untouched():
    """A plain function that a module shares with the class is copied, not changed."""

    def call(self, *, flag=MERGED):
        return flag

    @mergeable("flag")
    class Layer:
        flag = True
        __call__ = call

    assert True is Layer()()
    assert MERGED is call(None)
    assert MERGED is call.__kwdefaults__["flag"]


def test_undecorated_class_tells():
    """A body that sees `MERGED` in a class that is not decorated fails loudly."""

    class Layer:
        def __call__(self, flag=MERGED):
            return 1 if flag else 2

    with pytest.raises(MergeDefinitionError, match="@mergeable on top"):
        Layer()()
