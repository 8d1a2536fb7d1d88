"""Wherever a merge cannot be what was declared, somebody hears of it.

Each test says what used to happen instead.
"""

import functools
import types
import typing
import weakref
from unittest import mock

import pytest
import typing_extensions
from outcomes import MERGES, Base, outcomes

from mergeparam import (
    MERGED,
    MergeDefinitionError,
    MissingParamError,
    Param,
    mergeable,
    merged_params,
    provide,
)

T = typing.TypeVar("T")
PROTOCOLS = {
    f"{module.__name__}{'[T]' * is_generic}": (
        module,
        module.Protocol[T] if is_generic else module.Protocol,
    )
    for module in (typing, typing_extensions)
    for is_generic in (False, True)
}


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_protocol_members(kind, options):
    """No object was an instance of a merged protocol, which had our attributes as members."""
    module, base = PROTOCOLS[kind]

    @mergeable("other", method="more")
    @mergeable("flag", **options)
    @module.runtime_checkable
    class Switch(base):
        flag: typing.Any
        other: typing.Any

        def __call__(self, *, flag=MERGED):
            return flag

        def more(self, *, other=MERGED): ...

    @module.runtime_checkable
    class Larger(Switch, module.Protocol):
        def largest(self): ...

    class Held(Base, Switch):
        other = None

    small = types.SimpleNamespace(flag=1, other=2, more=len, __call__=len)
    large = types.SimpleNamespace(**vars(small), largest=len)

    assert [True, True, False] == [isinstance(obj, Switch) for obj in (small, large, Base())]
    assert [False, True] == [isinstance(obj, Larger) for obj in (small, large)]
    assert isinstance(Held(), Switch)
    assert MERGES == outcomes(Held)
    assert ["flag"] == [param.name for param in merged_params(Switch)]
    assert ["other", "flag"] == [item.params[0].name for item in Switch.__mergeable__.methods]
    members = {"flag", "other", "more", "__call__"}
    assert members | {"largest"} == typing_extensions.get_protocol_members(Larger)


class Proxy:
    """Answers with the flag alone."""

    def __init__(self, held):
        object.__setattr__(self, "flag", held)

    def __getattribute__(self, name):
        if name == "flag":
            return object.__getattribute__(self, name)
        raise AttributeError(name)


class Answering(type):
    """Makes classes that answer to every name but special ones."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return object()


STRANGERS = {
    "a stand-in": lambda cls, held: types.SimpleNamespace(flag=held),
    "a class that has borrowed the function": (
        lambda cls, held: type("Borrower", (), {"flag": held, "__call__": cls.__call__})()
    ),
    "a proxy that hides its class": lambda cls, held: Proxy(held),
    "a mock": lambda cls, held: mock.Mock(flag=held),
    "a class that answers": lambda cls, held: Answering("Any", (), {"flag": held})(),
}


def test_proxy_of_an_object(inject):
    """What stands for an object of the class, and says so, is merged as that is."""

    @mergeable("flag", inject=inject)
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    layer = Layer()
    with provide(flag=1):
        assert 1 == Layer.__call__(weakref.proxy(layer))
    with pytest.raises(MissingParamError, match="with provide"):
        Layer.__call__(weakref.proxy(layer))


@pytest.mark.parametrize("default", [{}, {"default": 2.5}], ids=["without", "default"])
@pytest.mark.parametrize("answers", [object, object.__getattribute__], ids=["C", "Python"])
def test_object_that_tells_another_class(default, answers, options):
    """A merged class that is a proxy itself was taken for a stranger."""

    class Lying(Base):
        __class__ = property(lambda self: int)
        if answers is not object:
            __getattribute__ = answers

    @mergeable(Param("flag", **default), **options)
    class Layer(Lying):
        def __call__(self, *, flag=MERGED):
            return flag

    with provide(flag=1):
        assert (1, 3) == (Layer()(), Layer(3)())


def test_class_that_answers(options):
    """Its fields were looked for as those of a named tuple."""

    @mergeable("flag", **options)
    class Layer(Base, metaclass=Answering):
        def __call__(self, *, flag=MERGED):
            return flag

    assert (2, 3) == (Layer()(flag=2), Layer(3)())


@pytest.mark.parametrize("default", [{}, {"default": 2.5}], ids=["without", "default"])
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_object_of_another_class(stranger, default, inject):
    """A function that was called with one ended in the name of a private method."""

    @mergeable(Param("flag", **default), inject=inject)
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    if inject == "inline":
        assert 1 == Layer.__call__(stranger(Layer, 1))
        assert 2 == Layer.__call__(stranger(Layer, None), flag=2)
    words = "was called with .*'flag' is set in neither place.*Give flag=... in the call"
    match = rf"Layer.__call__\(\) {words}"
    with provide(other=1), pytest.raises(MissingParamError, match=match) as caught:
        Layer.__call__(stranger(Layer, None))
    assert ("flag", "__call__") == (caught.value.param, caught.value.method)
    assert type(stranger(Layer, None)).__qualname__ == caught.value.owner


def test_function_that_was_compiled_anew():
    """Introspection called the method unmerged, after a tool had replaced its code."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED): ...

    Layer.__call__.__code__ = (lambda self, *, flag: flag).__code__
    vars(Layer.__call__).clear()
    with pytest.raises(MergeDefinitionError, match="has lost the merge"):
        merged_params(Layer)


LEFT = """
@mergeable("flag")
class Layer(Base):
    def __call__(self, *, flag=MERGED):
        return flag

    {left}
"""


def define(source, **names):
    """Return the class that a module defines, which may have no name."""
    names |= {"Base": Base, "MERGED": MERGED, "functools": functools, "mergeable": mergeable}
    exec(source, names)
    return names["Layer"]


def written_elsewhere(self, *, flag=MERGED):
    """Return the flag."""
    return flag


@pytest.mark.parametrize(
    "left",
    [
        "def encode(self, x, flag=MERGED): ...",
        "async def encode(self, *, mode=1, flag=MERGED): ...",
        "encode = functools.partialmethod(elsewhere)",
        "encode = functools.cached_property(elsewhere)",
        "encode = staticmethod(elsewhere)",
        "encode = functools.wraps(elsewhere)(lambda self, **given: elsewhere(self, **given))",
        "first, __call__ = __call__, lambda self, *, flag=MERGED: flag",
    ],
)
def test_method_that_nobody_lists(left):
    """Neither was `MERGED` in the body, and both passed, in a method that `method=` left out."""
    with pytest.raises(MergeDefinitionError, match=r"gives 'flag' the default MERGED, and no"):
        define(LEFT.format(left=left), elsewhere=written_elsewhere)


@pytest.mark.parametrize(
    "left",
    [
        "again = __call__",
        "again = functools.partialmethod(__call__)",
        "again = functools.wraps(__call__)(lambda self, *, flag: flag)",
        "held, name = [len, MERGED, {1: MERGED}], 'MERGED'",
    ],
)
@pytest.mark.parametrize("module", [{}, {"__name__": "generated"}], ids=["nameless", "module"])
def test_methods_that_need_no_list(left, module):
    """In code without a module, what held the function in the class's body was not merged."""
    cls = define(LEFT.format(left=left), **module)

    assert MERGES == outcomes(cls)
    if "partial" in left:
        assert MERGES == outcomes(cls, "again")


@pytest.mark.parametrize("renamed", ["__module__ = 'public'", "__qualname__ = 'Public'"])
def test_renamed_class(renamed):
    """A partial of the method was not merged where the class had got another name."""
    assert MERGES == outcomes(define(LEFT.format(left=renamed), __name__="generated"))
    with pytest.raises(MergeDefinitionError, match=r"\.fixed\(\) gives 'flag' the default MERGED"):
        define(
            LEFT.format(left=f"{renamed}; fixed = functools.partialmethod(__call__)"),
            __name__="generated",
        )


def test_method_that_another_decorator_lists():
    """Decorators further up may name what this one leaves; so may calls that follow."""

    @mergeable("flag", method="encode")
    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return flag

        def encode(self, *, flag=MERGED):
            return flag

    def make():
        class Layer(Base):
            def __call__(self, *, flag=MERGED):
                return flag

            def encode(self, *, flag=MERGED):
                return flag

        return Layer

    layer = mergeable("flag")(make())
    layer = mergeable("flag", method="encode")(layer)

    for cls in (Layer, layer):
        assert MERGES == outcomes(cls) == outcomes(cls, "encode")


def test_default_of_a_named_tuple():
    """It counted as set in every object, as no other field's may."""
    with pytest.raises(MergeDefinitionError, match="counts as set in every object"):

        @mergeable("flag")
        class Layer(typing.NamedTuple):
            flag: bool | None = False

            def __call__(self, *, flag=MERGED): ...
