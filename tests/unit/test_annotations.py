"""Annotations become optional where that can be said, and are evaluated no earlier than before."""

import importlib
import inspect
import sys
import types
import typing
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from mergeparam import MERGED, UNSET, Param, UnsetType, mergeable
from mergeparam._declare.annotations import (
    optional_annotation,
    optional_annotations,
    optional_signature,
)

LATE = pytest.mark.skipif(sys.version_info < (3, 14), reason="PEP 649 came with 3.14")


class Raising:
    """An annotation that raises what it likes when it is asked for a union."""

    def __or__(self, other):
        raise AttributeError("no union")

    def __call__(self): ...


def function(): ...


raising = Raising()
without = type("Meta", (type,), {"__or__": lambda cls, other: NotImplemented})("without", (), {})
names = {
    "typing": typing,
    **vars(typing),
    "array": function,
    "np": types.SimpleNamespace(array=function, Type=int),
    "raising": raising,
    "Class": bool,
}


@pytest.mark.parametrize(
    ("annotation", "unset", "expected"),
    [
        (bool, None, bool | None),
        (bool, UNSET, bool | UnsetType),
        (list[int], None, list[int] | None),
        (Optional[bool], None, Optional[bool]),
        (Optional[bool], UNSET, Union[bool, None, UnsetType]),
        (Union[bool, int], None, Union[bool, int, None]),
        (Any, None, Any),
        (object, UNSET, object),
        (None, None, None),
        (UnsetType, UNSET, UnsetType),
        ((Literal[1] | None), None, (Literal[1] | None)),
        (Literal[1], None, Optional[Literal[1]]),
        (Annotated[Any, "text"], None, Annotated[Any, "text"]),
        (Annotated[Optional[int], "text"], None, Annotated[Optional[int], "text"]),
        (Annotated[int, "text"], None, Optional[Annotated[int, "text"]]),
        (without, None, without),
        ((int, str), None, (int, str)),
        ((), UNSET, ()),
        (print, None, print),
        (raising, None, raising),
        # Text
        ("bool", None, "bool | None"),
        ("bool", UNSET, "bool"),
        ("list[int]", None, "list[int] | None"),
        ("int if x else str", None, "(int if x else str) | None"),
        ("None", None, "None"),
        ("int | None", None, "int | None"),
        ("Any", None, "Any"),
        ("Optional[int]", None, "Optional[int]"),
        ("typing.Union[int, None]", None, "typing.Union[int, None]"),
        ("Union[int, str]", None, "Union[int, str] | None"),
        ("Literal[None]", None, "Literal[None]"),
        ("Annotated[int | None, 3]", None, "Annotated[int | None, 3]"),
        ("Annotated[int, None]", None, "Annotated[int, None] | None"),
        ("f(3)", None, "(f(3)) | None"),
        ("'Later'", None, "'Later | None'"),
        ("'Later | None'", None, "'Later | None'"),
        ("no annotation", None, "no annotation"),
        # Text that names what `| None` would raise for
        ("array", None, "array"),
        ("np.array", None, "np.array"),
        ("raising", None, "raising"),
        ("np.Type", None, "np.Type | None"),
        ("np.Missing", None, "np.Missing | None"),
        ("Class", None, "Class | None"),
        ("Later", None, "Later | None"),
        ("Later | None", None, "Later | None"),
        ("dict[str, Any]", None, "dict[str, Any] | None"),
        ("list[array(3)]", None, "list[array(3)] | None"),
    ],
    ids=repr,
)
def test_optional_annotation(annotation, unset, expected):
    """What allows the object already is left alone, and so is what allows no union."""
    assert expected == optional_annotation(annotation, unset, names)


def test_function_and_signature():
    """Neither the function, its module nor its signature changes; other parameters keep theirs."""

    def annotated(x, flag, mode, *, text=1, late=1): ...

    annotated = types.FunctionType(annotated.__code__, {"np": names["np"]}, "annotated")
    annotated.__annotations__ = {"x": int, "flag": bool, "text": "np.array", "late": "np.nothing"}
    unset = {"flag": None, "mode": None, "text": None, "late": None}
    attribute, changed = optional_annotations(annotated, unset)
    expected = {**annotated.__annotations__, "flag": bool | None, "late": "np.nothing | None"}
    shown = optional_signature(inspect.signature(annotated), {"flag": None, "mode": None})

    assert expected == (changed if attribute == "__annotations__" else changed(1))
    assert "(x: int, flag: bool | None = None, mode=None" in str(shown)
    assert bool is inspect.signature(annotated).parameters["flag"].annotation
    assert {"np", "__builtins__"} >= annotated.__globals__.keys()


def test_whole_class(inject):
    """A class with annotations that raise is decorated, and what could be evaluated still can."""

    class Layer:
        flag = mode = mask = 1

        def __call__(
            self, *, flag: raising = MERGED, mode: (int,) = MERGED, mask: "bool" = MERGED
        ):
            return flag, mode, mask

    mergeable("flag", "mode", Param("mask", unset=UNSET))(Layer)

    assert (1, 1, 1) == Layer()()
    expected = {"flag": raising, "mode": (int,), "mask": "bool"}
    assert expected == Layer.__call__.__annotations__


@pytest.fixture(params=["inline", "wrap"])
def layer(request):
    """Return a class whose annotations name something that is not defined yet."""
    source = """
class Layer:
    flag = 1
    def __call__(self, x: Later, *, flag: Later = MERGED, other: int = 3) -> Later: ...
"""
    namespace = {"MERGED": MERGED}
    exec(source, namespace)
    mergeable("flag", inject=request.param)(namespace["Layer"])
    return namespace


@LATE
def test_late_annotations(layer):
    """Names are asked for when the annotations are, in every format, and not before."""
    annotationlib = importlib.import_module("annotationlib")
    formats, call = annotationlib.Format, layer["Layer"].__call__
    with pytest.raises(NameError, match="Later"):
        call.__annotations__
    with pytest.raises(NotImplementedError):
        call.__annotate__(formats.VALUE_WITH_FAKE_GLOBALS)
    text = annotationlib.get_annotations(call, format=formats.STRING)
    forward = annotationlib.get_annotations(call, format=formats.FORWARDREF)
    shown = inspect.signature(call, annotation_format=formats.STRING).parameters["flag"]

    assert ("Later", "Later | None", "int") == (text["x"], text["flag"], text["other"])
    assert type(None) in forward["flag"].__args__
    assert ("Later | None", None) == (shown.annotation, shown.default)
    layer["Later"] = bool
    expected = {"x": bool, "flag": bool | None, "other": int, "return": bool}
    assert expected == call.__annotations__
