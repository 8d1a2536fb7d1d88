"""typeguard: refused above the merge, which it would compile away."""

from __future__ import annotations

import ast
import contextlib
import functools
import linecache
from typing import TYPE_CHECKING

from typeguard import typechecked

from mergeparam._compat import parse
from mergeparam._frameworks.adapter import Adapter
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    from types import FrameType


class TypeguardAdapter(Adapter):
    """Knows what `@typechecked` does to a class."""

    def check_decorators(self, cls: type, frame: FrameType) -> None:
        """Refuse `@typechecked` above the `@mergeable` that is being applied in this frame.

        It compiles methods anew from their source, where no merge is, and passes in silence over
        those that have a wrapper.
        """
        # Only where the frame mentions it at all, its source is worth a look.
        values = (*frame.f_locals.values(), *frame.f_globals.values())
        is_known = typechecked.__name__ in frame.f_code.co_names
        if not is_known and not any(map(_is_typechecked, values)):
            return
        if any(_is_typechecked(_value(node, frame)) for node in _decorators_above(frame)):
            raise MergeDefinitionError(
                f"{cls.__qualname__} has typeguard's @typechecked above @mergeable, and typeguard "
                f"compiles the methods anew from their source, where no merge is. Put @mergeable "
                f"on top of the class, and @typechecked below it."
            )


def _is_typechecked(found: object) -> bool:
    """Whether an object is `typechecked`, or that with options."""
    # By its very type, because asking some objects for their class imports a module.
    while type(found) is functools.partial:
        found = found.func
    return found is typechecked


def _decorators_above(frame: FrameType) -> list[ast.expr]:
    """Return the decorators above the one whose line the frame is at."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    # If what stands there is no plain Python, typeguard cannot read it either.
    with contextlib.suppress(SyntaxError):
        for node in ast.walk(parse("".join(lines))):
            above: list[ast.expr] = []
            for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if decorator.lineno <= frame.f_lineno <= (decorator.end_lineno or 0):
                    return above
                above.append(decorator)
    return []


def _value(node: ast.expr, frame: FrameType) -> object:
    """Return what a name, or a name in a module, stands for in the frame, with options or not."""
    match node:
        case ast.Call(func=function):
            return _value(function, frame)
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Attribute(value=inner, attr=name):
            return getattr(_value(inner, frame), name, None)
    return None


ADAPTER = TypeguardAdapter()
