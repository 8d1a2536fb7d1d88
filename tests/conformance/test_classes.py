"""Every kind of class merges."""

import abc
import dataclasses
import sys
import types
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import attrs
import pytest
from outcomes import MERGES, Base, attempt, outcomes

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    provide,
)

SOURCE = """
@mergeable("flag", **options)
{decorator}
class Layer{head}:
    {body}

    def __call__(self, *, flag=MERGED):
        return flag
"""
INIT = "def __init__(self, flag): self.flag = flag"
FIELD = "flag: Any = None"


class Switch(Protocol):
    """A protocol to implement."""

    flag: Any

    def __call__(self, *, flag: Any = None) -> Any: ...


class Counting(type):
    """A metaclass that takes part in making instances."""

    made = 0

    def __call__(cls, *args, **kwargs):
        cls.made += 1
        return super().__call__(*args, **kwargs)


class Abstract(abc.ABC):
    """A base without an implementation."""

    @abc.abstractmethod
    def __call__(self, *, flag=None): ...


T = TypeVar("T")
KINDS = {
    "plain": ("", "", INIT),
    "slots": ("", "", f"__slots__ = ('flag',)\n    {INIT}"),
    "abstract base": ("", "(Abstract)", INIT),
    "protocol": ("", "(Switch)", INIT),
    "generic": ("", "(Generic[T])", INIT),
    "named tuple": ("", "(NamedTuple)", FIELD),
    "metaclass": ("", "(metaclass=Counting)", INIT),
    **{
        f"dataclass({options})": (f"@dataclasses.dataclass({options})", "", FIELD)
        for options in (
            *("", "frozen=True", "slots=True", "kw_only=True", "frozen=True, slots=True"),
            "frozen=True, slots=True, kw_only=True",
        )
    },
    **{
        f"{maker}(slots={slots})": (f"@attrs.{maker}(slots={slots})", "", FIELD)
        for maker in ("define", "frozen", "mutable")
        for slots in (False, True)
    },
}
if sys.version_info >= (3, 12):
    KINDS["type parameters"] = ("", "[S]", INIT)


def define(kind, **options):
    """Return a class of a kind, decorated."""
    decorator, head, body = KINDS[kind]
    names = {**globals(), "Generic": Generic, "NamedTuple": NamedTuple, "options": options}
    exec(SOURCE.format(decorator=decorator, head=head, body=body), names)
    return names["Layer"]


@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind, options):
    """Every kind of class has the four outcomes, and falsy values count as set."""
    layer = define(kind, **options)

    assert MERGES == outcomes(layer)
    assert False is layer(flag=False)()
    assert False is layer(flag=None)(flag=False)


def test_kinds_stay_what_they_are():
    """Slots, tuples, metaclasses and subscripted classes are those of before."""
    metaclass = define("metaclass")
    metaclass(True)

    assert not hasattr(define("slots")(True), "__dict__")
    assert (True,) == define("named tuple")(True)
    assert 1 == metaclass.made
    assert MERGES == outcomes(define("generic")[int])


def test_abstract_method(options):
    """It stays abstract when it is merged, and when slots make its class anew.

    A subclass has nothing to override beside it, and merges if it is decorated.
    """

    @dataclasses.dataclass(slots=True)
    @mergeable("flag", **options)
    class Parent(abc.ABC):
        flag: object = None

        @abc.abstractmethod
        def __call__(self, *, flag=MERGED): ...

    class Layer(Parent):
        def __call__(self, *, flag=None):
            return flag

    assert 1 == Layer()(flag=1)
    assert MERGES == outcomes(mergeable("flag", **options)(type("Sub", (Layer,), {})))
    with pytest.raises(TypeError, match="abstract"):
        Parent(flag=True)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 came with 3.12")
def test_type_parameters(options):
    """A class and a method with type parameters (PEP 695) keep them, also inside the body."""
    source = """
@mergeable("flag", **options)
class Layer[T]:
    def __init__(self, flag: T) -> None:
        self.flag = flag
    def __call__[S](self, *, flag: S = MERGED) -> S:
        return T, S, flag
"""
    names = {**globals(), "options": options}
    exec(source, names)
    layer = names["Layer"]

    assert [layer.__type_params__[0], layer.__call__.__type_params__[0], 1] == [*layer(1)()]


@pytest.mark.parametrize("on_top", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        *(attrs.define(slots=slots) for slots in (False, True)),
        attrs.frozen(slots=True),
        *(dataclasses.dataclass(slots=slots) for slots in (False, True)),
        dataclasses.dataclass(frozen=True),
    ],
)
def test_classes_that_are_made_anew(make, on_top, options):
    """Slots make a new class, before or after the decorator; the body finds it as `__class__`."""

    class Layer:
        flag: object = None

        def __call__(self, *, flag=MERGED):
            return flag

        def cell(self, *, flag=MERGED):
            return __class__

    decorate = mergeable("flag", method=("__call__", "cell"), **options)
    made = decorate(make(Layer)) if on_top else make(decorate(Layer))

    assert MERGES == outcomes(made)
    if attrs.has(made) or sys.version_info >= (3, 14):
        assert made is made(1).cell()  # dataclasses leave the old class there before


@pytest.mark.parametrize("base", [dict, Exception, int])
def test_containers_as_objects(base, options):
    """The object may be a dict, an exception or a number, or answer for every attribute."""

    @mergeable("flag", **options)
    class Layer(base):
        flag = 1

        def __call__(self, *, flag=MERGED):
            return flag

        def __getattr__(self, name):
            raise LookupError(name)

    assert 1 == Layer()()


def test_objects_that_answer_in_python(options):
    """Where an object makes something of every method that is read, its class is asked."""
    read, own = [], object()

    class Answering(Base):
        more = None

        def __getattribute__(self, name):
            held = super().__getattribute__(name)
            if isinstance(held, types.MethodType):
                read.append(name)
            return held

    @mergeable("flag", Param("more", default=own), **options)
    class Layer(Answering):
        def __call__(self, *, flag=MERGED, more=MERGED):
            return flag, more

    @mergeable("flag", **options)
    class Forwarding(Layer):
        def __call__(self, *, flag=MERGED):
            return super().__call__(flag=flag)

    with provide(flag=4):
        assert [(4, own), (3, own), (3, own)] == [Layer()(), Layer(3)(), Forwarding(3)()]
    assert not read


def test_other_methods():
    """`method=` merges in others, each with the names that it declares; `__call__` stays."""

    @mergeable("flag", "mode", method=("forward", "encode"))
    class Layer:
        flag, mode = True, None

        def forward(self, flag=MERGED):
            return flag

        def encode(self, *, mode=MERGED, flag=MERGED):
            return flag, mode

        def __call__(self, flag=3):
            return flag

    assert (True, 3) == (Layer().forward(), Layer()())
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
    assert MissingParamError is attempt(Layer())
    assert ConflictingParamError is attempt(Layer(), one=1, two=2)


def test_without_names():
    """Without names, with or without brackets, it takes every parameter that is `MERGED`."""

    @mergeable(method="forward")
    @mergeable()
    class Layer:
        one, two, other = 1, 2, 3

        def __call__(self, one=MERGED, other=None, *, two=MERGED):
            return one, other, two

        forward = lambda self, one=MERGED: one

    bare = mergeable(type("Bare", (), {"one": 1, "__call__": lambda self, one=MERGED: one}))

    assert ((1, None, 2), 1, 1) == (Layer()(), Layer().forward(), bare()())
