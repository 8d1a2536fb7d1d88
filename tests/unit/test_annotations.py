"""Annotations become optional where that can be said, and are evaluated no earlier than before."""

import importlib
import inspect
import sys
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


class WithoutUnion(type):
    """Classes that know no `|`."""

    def __or__(cls, other):
        return NotImplemented


class Raising:
    """An annotation that raises what it likes when it is asked for a union."""

    def __init__(self, error):
        self.error = error

    def __or__(self, other):
        raise self.error

    def __call__(self): ...


def function(x, flag): ...


no_operator = WithoutUnion("no_operator", (), {"__ror__": None})
no_type = Raising(RuntimeError("no union")), Raising(KeyError("no union"))
names = {
    "array": function,
    "np": importlib.import_module("types").SimpleNamespace(array=function, Type=int),
    "raising": no_type[0],
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
        (no_operator, None, Optional[no_operator]),
        ((int, str), None, (int, str)),
        ((), UNSET, ()),
        (print, None, Optional[print]),
        (no_type[0], None, Optional[no_type[0]]),
        (no_type[1], None, Optional[no_type[1]]),
        # Text
        ("bool", None, "bool | None"),
        ("bool", UNSET, "bool"),
        ("list[int]", None, "list[int] | None"),
        ("bool | int", None, "bool | int | None"),
        ("int if x else str", None, "(int if x else str) | None"),
        ("None", None, "None"),
        ("int | None", None, "int | None"),
        ("None | int", None, "None | int"),
        ("Any", None, "Any"),
        ("typing.Any", None, "typing.Any"),
        ("object", None, "object"),
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
    ],
    ids=repr,
)
def test_optional_annotation(annotation, unset, expected):
    """What allows the object already is left alone, and so is what allows no union."""
    assert expected == optional_annotation(annotation, unset, names)


def test_names_are_not_evaluated_with_effects():
    """Text is evaluated where it is a dotted name; a module's dictionary stays as it is."""
    namespace = {"np": names["np"]}

    assert "np.array | None" == optional_annotation("np.array", None)
    assert "np.array" == optional_annotation("np.array", None, namespace)
    assert {"np"} == namespace.keys()


def test_function_and_signature():
    """Other parameters keep theirs; neither the function nor the explicit signature changes."""

    def annotated(x: int, flag: bool, mode, *, text: "np.array" = 1) -> bool: ...  # noqa: F821

    signature = inspect.signature(annotated)
    attribute, changed = optional_annotations(
        annotated, {"flag": None, "mode": None, "text": UNSET}
    )
    expected = typing.get_type_hints(annotated, localns=names) | {"flag": bool | None}
    if attribute == "__annotate__":
        changed = changed(1)

    assert {**expected, "text": "np.array"} == changed
    assert bool is inspect.signature(annotated).parameters["flag"].annotation
    shown = optional_signature(signature, {"flag": None, "mode": None})
    text = "(x: int, flag: bool | None = None, mode=None, *, text: 'np.array' = 1) -> bool"
    assert text == str(shown)


def test_whole_class(inject):
    """A class with annotations that raise is decorated, and what could be evaluated still can."""

    class Layer:
        flag = mode = mask = 1

        def __call__(
            self, *, flag: no_type[0] = MERGED, mode: (int,) = MERGED, mask: "array" = MERGED
        ):
            return flag, mode, mask

    mergeable("flag", "mode", Param("mask", unset=UNSET))(Layer)

    assert (1, 1, 1) == Layer()()
    expected = {"flag": Optional[no_type[0]], "mode": (int,), "mask": "array"}
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
def test_nothing_is_evaluated_at_decoration(layer):
    """The name is asked for when the annotations are, and not before."""
    call = layer["Layer"].__call__
    with pytest.raises(NameError, match="Later"):
        call.__annotations__
    layer["Later"] = bool

    expected = {"x": bool, "flag": bool | None, "other": int, "return": bool}
    assert expected == call.__annotations__


@LATE
def test_formats(layer):
    """Every format of `annotationlib` shows the merged annotation."""
    annotationlib = importlib.import_module("annotationlib")
    call = layer["Layer"].__call__
    formats = annotationlib.Format
    text = annotationlib.get_annotations(call, format=formats.STRING)
    forward = annotationlib.get_annotations(call, format=formats.FORWARDREF)

    assert ("Later", "Later | None", "int") == (text["x"], text["flag"], text["other"])
    assert type(None) in forward["flag"].__args__
    shown = inspect.signature(call, annotation_format=formats.STRING).parameters["flag"]
    assert ("Later | None", None) == (shown.annotation, shown.default)


@LATE
def test_fake_globals_are_refused(layer):
    """The format in which `annotationlib` runs code itself is left to it."""
    with pytest.raises(NotImplementedError):
        layer["Layer"].__call__.__annotate__(2)
