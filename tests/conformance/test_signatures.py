"""Every kind of signature merges and keeps each parameter's kind and position."""

import asyncio
import functools
import inspect
import typing
from typing import Literal

import pytest
from outcomes import Base

from mergeparam import MERGED, UNSET, ConflictingParamError, Param, mergeable


def define(parameters, body="", params=("flag", "mode"), **options):
    """Return a class with both attributes set, whose method has these parameters."""
    names = {"MERGED": MERGED, "UNSET": UNSET}
    exec(f"def call({parameters}):\n{body}", names)
    layer = type("Layer", (), {"flag": 7, "mode": 8, "__call__": names["call"]})
    return mergeable(*params, **options)(layer)


def signature_of(cls):
    """Return the signature of a class's method as text, without its brackets."""
    return str(inspect.signature(cls.__call__))[1:-1]


@pytest.mark.parametrize(
    ("parameters", "args", "kwargs", "expected"),
    [
        ("self, x, flag=None, /, mode=None", (0,), {}, "0, 7, 8"),
        ("self, x, flag=None, y=3, *, mode=None", (0, None, 4), {}, "0, 7, 4, 8"),
        ("self, *args, flag=None, mode=None, y=2, **kw", (3,), {}, "(3,), 7, 8, 2, {}"),
        ("this, self, flag=None, mode=None", (2,), {}, "2, 7, 8"),
        ("self, x, flag=None, mode=None", (), {"x": 2}, "2, 7, 8"),
        (
            "self, a, /, b=2, flag=None, *args, c, mode=None, d=4, **kw",
            (1, 5, None, 6),
            {"c": 3, "d": 0, "a": 9},
            "1, 5, 7, (6,), 3, 8, 0, {'a': 9}",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("default", ["MERGED", "None"])
def test_kinds_of_parameters(parameters, args, kwargs, expected, default, options):
    """All arguments reach the body as they were given, whether the default says so or not."""
    written = parameters.replace("None", default)
    names = [name.strip(" *").partition("=")[0] for name in parameters.split(",")]
    returned = ", ".join(name for name in names[1:] if name.strip("/"))
    layer = define(written, f"    return {returned}", **options)

    assert expected == str(layer()(*args, **kwargs))[1:-1]
    assert parameters == signature_of(layer)
    with pytest.raises(ConflictingParamError, match="'mode'"):
        layer()(*args, **kwargs, mode=1)


def test_kinds_of_parameters_without_a_default(options):
    """A parameter without a default becomes optional where it stands; others stay required."""
    layer = define("self, x, flag, y=3, *, mode, z", "    return x, flag, y, mode, z", **options)

    assert (0, 7, 3, 8, 5) == layer()(0, z=5)
    assert "self, x, flag=None, y=3, *, mode=None, z" == signature_of(layer)
    with pytest.raises(TypeError, match="'z'"):
        layer()(0)


def test_self_in_args(options):
    """The object may be the first of `*args`."""
    layer = define(
        "*args, flag=MERGED, mode=MERGED, **kw", "    return args[1:], flag, kw", **options
    )

    assert ((2, 3), 7, {"k": 4}) == layer()(2, 3, k=4)
    assert "*args, flag=None, mode=None, **kw" == signature_of(layer)


def test_another_unset_object():
    """A parameter whose default is its own `unset` object already."""
    layer = define("self, mode=UNSET", "    return mode", params=[Param("mode", unset=UNSET)])

    assert 8 == layer()()
    assert "self, mode=UNSET" == signature_of(layer)


@pytest.mark.parametrize("attribute", ["größe_δ", "__held"])
def test_names_that_are_not_ascii_or_private(attribute, options):
    """Such names work for attributes and parameters, private ones mangled as in the body."""

    @mergeable(Param("größe", attribute=attribute), "__flag", **options)
    class _Layer:
        def __init__(self):
            self.größe_δ = self.__held = 4
            self.__flag, self.__note = 3, 5

        def __call__(self, *, größe=MERGED, __flag=MERGED):
            return größe, __flag, self.__note

    assert (4, 3, 5) == _Layer()()
    assert "self, *, größe=None, _Layer__flag=None" == signature_of(_Layer)


NAMES = (
    *("steps", "exits", "value", "sent", "error", "error_", "outer", "wrapper", "self_", "args"),
    *("größe", "_", "type", "__end__", "GeneratorExit", "_mergeparam_unset"),
)
KINDS = {
    "def": ("def", "return", {}),
    "async def": ("async def", "return", {}),
    "generator": ("def", "yield", {}),
    "async generator": ("async def", "yield", {}),
    "providing def": ("def", "return", {"provide": True}),
    "providing async def": ("async def", "return", {"provide": True}),
}
NAMED = """
def define(free):
    {name} = free
    @mergeable("flag", **options)
    class Closing(Base):
        {keyword} __call__(self, *, flag=MERGED):
            {word} (lambda: [{name}, flag])()
    return Closing

@mergeable("flag", **options)
class Taking(Base):
    {keyword} __call__(self, {name}, *, flag=MERGED):
        {word} (lambda: [{name}, flag])()

@mergeable(Param("{name}", attribute="held"), "flag", **options)
class Merging(Base):
    held = "held"
    {keyword} __call__(self, {name}=MERGED, flag=MERGED):
        {word} (lambda: [{name}, flag])()
"""


def finish(result):
    """Return what a method of any kind returns, or yields first."""
    if inspect.isasyncgen(result):
        return asyncio.run(anext_of(result))
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return next(result) if inspect.isgenerator(result) else result


async def anext_of(generator):
    """Return what an async generator yields first, and close it."""
    found = await anext(generator)
    await generator.aclose()
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_named_like_generated_code(name, kind):
    """Parameters and closed-over variables may have the names that generated code may use."""
    keyword, word, options = KINDS[kind]
    source = NAMED.format(name=name, keyword=keyword, word=word)
    names = {**globals(), "options": options}
    exec(source, names)

    assert ["free", 1] == finish(names["define"]("free")(1)())
    assert ["given", 2] == finish(names["Taking"]()("given", flag=2))
    assert ["held", 3] == finish(names["Merging"](3)())


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, bool | None),
        (Literal[1, None], Literal[1, None]),  # noqa: PYI061 - an annotation that users write
        (list[None], list[None] | None),
        ("bool", "bool | None"),
        ("t.Any", "t.Any"),
        ("not python", "(not python) | None"),
        ("no(t", "no(t"),
    ],
)
def test_annotation(annotation, expected):
    """The annotation changes where it does not allow `None` already, and strings stay so."""

    def call(self, *, flag=MERGED): ...

    call.__annotations__ = {"flag": annotation}
    layer = mergeable("flag")(type("Layer", (Base,), {"__call__": call}))

    assert expected == layer.__call__.__annotations__["flag"]


def test_type_hints():
    """`typing.get_type_hints` sees the merged annotation."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, x: int, flag: "bool" = MERGED) -> str: ...

    assert {"x": int, "flag": bool | None, "return": str} == typing.get_type_hints(Layer.__call__)


def test_explicit_signature():
    """A `__signature__` that a decorator has set gets the new default and annotation."""

    def signed(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        wrapper.__signature__ = function.__signature__ = inspect.signature(function)
        return wrapper

    @mergeable("flag", "mode")
    class Layer(Base):
        mode = 1

        @signed
        def __call__(self, x, *, flag: bool = MERGED, mode=MERGED):
            return flag, mode

    assert (1, 1) == Layer(1)(0)
    assert "self, x, *, flag: bool | None = None, mode=None" == signature_of(Layer)
