"""Annotations that are evaluated late (PEP 649) stay so."""

import importlib
import inspect
import sys

import pytest

from mergeparam import MERGED, mergeable
from mergeparam._signature import optional_annotation

LATE = pytest.mark.skipif(sys.version_info < (3, 14), reason="PEP 649 came with 3.14")


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


def test_annotation_without_an_operator():
    """An object that refuses `|` is joined by `typing`, and left alone where that refuses too."""

    class Meta(type):
        def __or__(cls, other):
            return NotImplemented

    refusing = Meta("refusing", (), {"__ror__": None})

    assert type(None) in optional_annotation(refusing, None).__args__
