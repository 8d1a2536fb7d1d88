"""Wherever a merge cannot be what was declared, somebody hears of it.

Each test says what used to happen instead.
"""

import functools
import textwrap
import types
import typing
import weakref
from unittest import mock

import pytest
import typing_extensions
from outcomes import MERGES, Base, outcomes
from wrappers import logged

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


@pytest.mark.parametrize("slots", [{}, {"__slots__": ()}], ids=["dict", "slots"])
def test_protocol_of_a_protocol(slots, options):
    """Where it inherited from one whose objects have a dictionary, it was refused."""
    sized = types.new_class(
        "Sized", (typing.Protocol,), exec_body=lambda space: space.update(slots)
    )

    @mergeable("flag", **options)
    class Switch(sized, typing.Protocol):
        vars().update(slots)

        def __call__(self, *, flag=MERGED):
            return flag

    class Held(Base, Switch): ...

    assert MERGES == outcomes(Held)


class Proxy:
    """Answers with the flag alone."""

    def __init__(self, held):
        object.__setattr__(self, "flag", held)

    def __getattribute__(self, name):
        if name == "flag":
            return object.__getattribute__(self, name)
        raise AttributeError(name)


class Answering(type):
    """Makes classes that answer to every name."""

    def __getattr__(cls, name):
        return object()


class Failing(type):
    """Makes classes that fail for a name that they do not have."""

    def __getattr__(cls, name):
        raise KeyError(name)


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


@pytest.mark.parametrize("metaclass", [Answering, Failing])
def test_class_that_answers(metaclass, options):
    """Its fields were looked for as those of a named tuple, or of an attrs class."""

    @mergeable("flag", **options)
    class Layer(Base, metaclass=metaclass):
        def __call__(self, *, flag=MERGED):
            return flag

    assert MERGES == outcomes(Layer)


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
@pytest.mark.parametrize(
    ("around", "last"),
    [
        ("if True:", ""),
        ("def make():", "\n    return Layer\nLayer = make()"),
        ("class Outer:", "\nLayer = Outer.Layer"),
        ("old, mergeable = mergeable, lambda flag: lambda cls: old(flag)(cls)\nif True:", ""),
    ],
    ids=["module", "function", "class", "helper"],
)
def test_renamed_class(around, last, renamed):
    """A partial of the method was not merged where the class had got another name."""
    source = LEFT.format(left=f"{renamed}; fixed = functools.partialmethod(__call__)")
    cls = define(around + textwrap.indent(source, "    ") + last, __name__="generated")

    assert MERGES == outcomes(cls) == outcomes(cls, "fixed")


def test_renamed_class_that_is_decorated_elsewhere():
    """Nobody sees where the class was written, so that it gets a function of its own."""
    cls = define(LEFT.format(left="__module__ = 'public'").replace('@mergeable("flag")', ""))
    written = vars(cls)["__call__"]

    assert MERGES == outcomes(mergeable("flag")(cls))
    assert written is not vars(cls)["__call__"]


def shows(function):
    """Return a wrapper that has the parameter itself."""

    @functools.wraps(function)
    def wrapper(self, *, flag=MERGED):
        return function(self, flag=flag)

    return wrapper


class Callable:
    """A callable object of which nobody knows what it runs."""

    def __init__(self, function):
        functools.update_wrapper(self, function)

    def __get__(self, obj, cls):
        return functools.partial(self.__wrapped__, obj)

    __call__ = None


class Written:
    """Has the methods for a class that inherits them."""

    def __call__(self, *, flag=MERGED):
        return flag

    encode = __call__


@pytest.mark.parametrize("wrapper", [lambda function: function, logged, shows, Callable])
@pytest.mark.parametrize("methods", [("__call__", "encode"), ("encode", "__call__", "encode")])
@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_two_methods_of_one_function(wrapper, methods, inject):
    """Only the first that is listed was merged, if the function was written elsewhere."""
    given = vars(Written)["__call__"]

    class Inheriting(Base, Written):
        if wrapper is not Callable:
            encode = wrapper(given)

    @mergeable("flag", method=methods, inject=inject)
    class Own(Base):
        def __call__(self, *, flag=MERGED):
            return flag

        encode = wrapper(__call__)
        if wrapper is not Callable:
            partial = functools.partialmethod(encode)

    @mergeable("flag", method=methods, inject=inject)
    class Foreign(Base):
        __call__ = given
        encode = wrapper(given)

    inheriting = mergeable("flag", method=methods, inject=inject)(Inheriting)

    for cls in (Own, Foreign, inheriting):
        assert MERGES == outcomes(cls) == outcomes(cls, "encode")
    assert wrapper is Callable or MERGES == outcomes(Own, "partial")
    assert (MERGED, MERGED) == (Written()(), Written().encode())


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
