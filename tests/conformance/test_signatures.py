"""Every kind of signature merges and keeps each parameter's kind and position."""

import functools
import inspect
import typing
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from mergeparam import MERGED, UNSET, Param, UnsetType, mergeable


def signature_of(cls, method="__call__"):
    """Return the signature of a method as text."""
    return str(inspect.signature(getattr(cls, method)))


def test_positional_only():
    """A positional-only parameter."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(self, x, flag=MERGED, /):
            return x, flag

    assert (0, 1) == Layer()(0)
    assert "(self, x, flag=None, /)" == signature_of(Layer)


def test_positional_or_keyword():
    """A parameter that callers may give by position or by name."""

    @mergeable("flag")
    class Layer:
        flag = None

        def __call__(self, x, flag=MERGED, y=3):
            return x, flag, y

    assert (0, 1, 3) == Layer()(0, 1) == Layer()(0, flag=1)
    assert "(self, x, flag=None, y=3)" == signature_of(Layer)


def test_without_a_default():
    """A parameter without a default becomes optional where it stands."""

    @mergeable("flag", "mode")
    class Layer:
        flag = mode = 1

        def __call__(self, x, flag, y=3, *, mode, z):
            return x, flag, y, mode, z

    assert (0, 1, 3, 1, 5) == Layer()(0, z=5)
    assert "(self, x, flag=None, y=3, *, mode=None, z)" == signature_of(Layer)


def test_default_none():
    """A parameter whose default is its `unset` object already."""

    @mergeable("flag", Param("mask", unset=UNSET))
    class Layer:
        flag, mask = 1, None

        def __call__(self, flag=None, mask=UNSET):
            return flag, mask

    assert (1, None) == Layer()()
    assert "(self, flag=None, mask=UNSET)" == signature_of(Layer)


def test_variadic():
    """A merged parameter between `*args` and `**kwargs`."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(self, *args, flag=MERGED, other=2, **kwargs):
            return args, flag, other, kwargs

    assert ((3, 4), 1, 2, {"five": 5}) == Layer()(3, 4, five=5)
    assert "(self, *args, flag=None, other=2, **kwargs)" == signature_of(Layer)


def test_self_in_args():
    """A method whose object comes in `*args`."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(*args, flag=MERGED):
            return args[1:], flag

    assert ((2, 3), 1) == Layer()(2, 3)


def test_self_under_another_name():
    """The object under another name than `self`, with a parameter that is called `self`."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(this, self, flag=MERGED):
            return self, flag

    assert (2, 1) == Layer()(2)


def test_more_than_255_parameters():
    """Slots beyond 255 need extended operands."""
    names = [f"p{i}" for i in range(300)]
    source = f"def call(self, {', '.join(names)}, flag, last=0): return p0, p299, flag, last"
    namespace = {}
    exec(source, namespace)
    layer = type("Layer", (), {"flag": 7, "__call__": namespace["call"]})
    mergeable("flag")(layer)

    assert (0, 299, 7, 0) == layer()(*range(300))


@pytest.mark.parametrize("size", [100, 127, 128, 255, 256, 300, 70_000])
def test_many_names_and_constants(size):
    """New names and constants behind many old ones need extended operands."""
    body = "\n".join(f"    if x == {i}.5: x.name{i}" for i in range(size))
    namespace = {}
    exec(f"def call(self, x, *, flag):\n{body}\n    return x, flag", namespace)
    layer = type("Layer", (), {"flag": 7, "__call__": namespace["call"]})
    mergeable("flag")(layer)

    assert (0, 7) == layer()(0)
    with pytest.raises(ValueError, match="both places"):
        layer()(0, flag=1)


def test_names_that_are_not_ascii():
    """Names that are not ASCII."""

    @mergeable(Param("größe", attribute="größe_δ"))
    class Schicht:
        größe_δ = 4

        def __call__(self, *, größe=MERGED):
            return größe

    assert 4 == Schicht()()


def test_private_attribute():
    """A private attribute is mangled as in the class's body."""

    @mergeable(Param("flag", attribute="__flag"))
    class _Layer:
        def __init__(self):
            self.__flag = 3

        def __call__(self, *, flag=MERGED):
            return flag

    assert 3 == _Layer()()


def test_private_parameter():
    """A private parameter is mangled as in the class's body."""

    @mergeable("__flag")
    class Layer:
        def __init__(self):
            self.__flag = 3

        def __call__(self, *, __flag=MERGED):
            return __flag

    assert 3 == Layer()()
    assert "(self, *, _Layer__flag=None)" == signature_of(Layer)


@pytest.mark.parametrize(
    "name",
    [
        "__end__",
        "inner",
        "agen",
        "value",
        "wrapper",
        "factory",
        "merge",
        "GeneratorExit",
        "_mergeparam_neither",
        "_mergeparam_both",
        "_",
        "type",
        "match",
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def", "generator"])
def test_named_like_generated_code(name, kind):
    """Parameters that are called like something in the generated code."""
    statement = "yield" if kind == "generator" else "return"
    source = f"{'async def' if 'async' in kind else 'def'} call(self, {name}, other, flag):\n"
    source += f"    {statement} (lambda: ({name}, other, flag))()"
    namespace = {}
    exec(source, namespace)
    layer = type("Layer", (), {"flag": 7, "kept": 8, "__call__": namespace["call"]})
    mergeable("flag", Param("other", attribute="kept"))(layer)
    result = layer()(5)
    if kind == "async def":
        result = run(result)
    elif kind == "generator":
        result = next(result)

    assert (5, 8, 7) == result


@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_call", "use_attribute"])
def test_underscore(policy):
    """A parameter that patterns would take for a wildcard."""

    @mergeable(Param("_", attribute="flag", on_conflict=policy))
    class Layer:
        flag = 7

        def __call__(self, _=MERGED):
            return _

    assert 7 == Layer()()


def run(coroutine):
    """Run a coroutine that awaits nothing."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return stop.value.value


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, bool | None),
        (bool | None, bool | None),
        (Optional[bool], bool | None),
        (Union[int, str], Union[int, str, None]),
        (Any, Any),
        (object, object),
        (None, None),
        (Annotated[bool | None, 1], Annotated[bool | None, 1]),
        (Annotated[bool, 1], Optional[Annotated[bool, 1]]),
        (Literal[1, None], Literal[1, None]),  # noqa: PYI061 - an annotation that users write
        (Literal[1], Optional[Literal[1]]),
        (list[None], list[None] | None),
        ("bool", "bool | None"),
        ("bool | None", "bool | None"),
        ("None | bool", "None | bool"),
        ("Optional[bool]", "Optional[bool]"),
        ("typing.Optional[bool]", "typing.Optional[bool]"),
        ("Union[int, None]", "Union[int, None]"),
        ("Union[int, str]", "Union[int, str] | None"),
        ("Literal[None]", "Literal[None]"),
        ("Annotated[bool | None, 1]", "Annotated[bool | None, 1]"),
        ("Annotated[bool, 1]", "Annotated[bool, 1] | None"),
        ("Any", "Any"),
        ("t.Any", "t.Any"),
        ("a if b else c", "(a if b else c) | None"),
        ("'bool'", "'bool | None'"),
        ("not python", "(not python) | None"),
        ("no(t", "no(t"),
    ],
)
def test_annotation(annotation, expected):
    """The annotation changes where it does not allow `None` already, and strings stay so."""

    def call(self, *, flag=MERGED): ...

    call.__annotations__ = {"flag": annotation}
    layer = mergeable("flag")(type("Layer", (), {"flag": 1, "__call__": call}))

    assert expected == layer.__call__.__annotations__["flag"]


def test_annotation_with_another_unset():
    """The type of another `unset` object joins the annotation; strings are left alone."""

    @mergeable(Param("mask", unset=UNSET), Param("other", unset=UNSET))
    class Layer:
        mask, other = None, None

        def __call__(self, mask: int | None = MERGED, other: "int | None" = MERGED): ...

    hints = Layer.__call__.__annotations__

    assert {"mask": int | None | UnsetType, "other": "int | None"} == hints


def test_annotation_that_cannot_be_joined():
    """An annotation that is no type stays as it is."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(self, flag: typing.Final = MERGED, other: 4 = 5): ...

    assert {"flag": typing.Final, "other": 4} == Layer.__call__.__annotations__


def test_type_hints():
    """`typing.get_type_hints` sees the merged annotation."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(self, x: int, flag: "bool" = MERGED) -> str: ...

    assert {"x": int, "flag": bool | None, "return": str} == typing.get_type_hints(Layer.__call__)


def test_explicit_signature():
    """A `__signature__` that a decorator has set gets the new default and annotation."""

    def signed(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        wrapper.__signature__ = inspect.signature(function)
        function.__signature__ = wrapper.__signature__
        return wrapper

    @mergeable("flag", "mode")
    class Layer:
        flag = mode = 1

        @signed
        def __call__(self, x, *, flag: bool = MERGED, mode=MERGED):
            return flag, mode

    assert (1, 1) == Layer()(0)
    assert "(self, x, *, flag: bool | None = None, mode=None)" == signature_of(Layer)
