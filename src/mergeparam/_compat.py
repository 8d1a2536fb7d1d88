"""Differences between Pythons; the ground floor, which imports nothing of ours."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from typing_extensions import Format

SPLICED_VERSIONS = (3, 11), (3, 15)
"""The first and the last CPython whose bytecode is tested."""


def parse(source: str, mode: str = "exec") -> Any:  # noqa: ANN401 - a tree of the mode's own kind
    """Return the syntax tree of `source`."""
    # CPython 3.11 counts the depth of a tree for all threads together, so that two threads that
    # parse at once may get "AST constructor recursion depth mismatch". A lock against that could
    # be held by another thread during a fork, and the child would wait for it for ever.
    while True:
        try:
            return ast.parse(source, mode=mode)
        except SystemError:  # pragma: no cover - happens by chance
            continue


def has_known_bytecode() -> bool:
    """Whether this interpreter's bytecode is one that the splicer is tested with."""
    first, last = SPLICED_VERSIONS
    return sys.implementation.name == "cpython" and first <= sys.version_info[:2] <= last


def qualified_name(code: CodeType, otherwise: str) -> str:
    """Return the qualified name under which the code was compiled."""
    # Other Pythons than CPython may not have it.
    name: str = getattr(code, "co_qualname", otherwise)
    return name


def annotations_attribute(function: Callable[..., Any]) -> str:
    """Return the attribute of a function that holds its annotations, or what evaluates them."""
    # Since 3.14 (PEP 649) they are evaluated when they are asked for, unless somebody set them.
    return "__annotate__" if getattr(function, "__annotate__", None) else "__annotations__"


def call_annotate(annotate: Callable[[int], dict[str, Any]], wanted: Format) -> dict[str, Any]:
    """Return annotations in a format that `__annotate__` itself may not know."""
    import annotationlib  # type: ignore[import-not-found]  # noqa: PLC0415 - a module of 3.14

    found: dict[str, Any] = annotationlib.call_annotate_function(annotate, wanted)
    return found
