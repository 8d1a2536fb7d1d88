"""Make annotations optional; the only room that knows how annotations are held and evaluated."""

from __future__ import annotations

import ast
import contextlib
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

from typing_extensions import Format

from mergeparam._compat import annotate_function, call_annotate, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType


def optional_annotations(
    function: FunctionType, unset: Mapping[str, object]
) -> tuple[str, object]:
    """Return the attribute that holds the annotations of a function, and what it is to hold."""
    annotate, names = annotate_function(function), function.__globals__
    if annotate is None:
        return "__annotations__", _with_optional(function.__annotations__, unset, names)

    # Since 3.14 (PEP 649) nothing is evaluated before its time.
    def __annotate__(format: int, /) -> dict[str, Any]:  # noqa: A002, N807 - named as PEP 649 does
        if format == Format.VALUE_WITH_FAKE_GLOBALS:
            # Fake globals would have to be those of the function inside. Callers then ask for
            # another format, and that is answered below.
            raise NotImplementedError(format)
        if format == Format.VALUE:
            return _with_optional(annotate(format), unset, names)
        return _with_optional(call_annotate(annotate, Format(format)), unset, names)

    return "__annotate__", __annotate__


def copy_annotations(source: FunctionType, target: FunctionType) -> None:
    """Give `target` the annotations of `source`, evaluated no earlier than there."""
    annotate = annotate_function(source)
    if annotate is not None:
        target.__annotate__ = annotate  # type: ignore[attr-defined]  # of 3.14
    else:
        target.__annotations__ = source.__annotations__


def optional_signature(
    signature: inspect.Signature, unset: Mapping[str, object]
) -> inspect.Signature:
    """Return an explicit `__signature__` with the parameters in `unset` optional."""
    changed = dict(signature.parameters)
    for name in changed.keys() & unset.keys():
        annotation = optional_annotation(changed[name].annotation, unset[name])
        changed[name] = changed[name].replace(default=unset[name], annotation=annotation)
    return signature.replace(parameters=[*changed.values()])


def _with_optional(
    annotations: dict[str, Any], unset: Mapping[str, object], names: dict[str, object]
) -> dict[str, Any]:
    return {
        name: optional_annotation(annotation, unset[name], names) if name in unset else annotation
        for name, annotation in annotations.items()
    }


def optional_annotation(
    annotation: Any,  # noqa: ANN401 - annotations are any object
    unset: object,
    names: Mapping[str, object] | None = None,
) -> Any:  # noqa: ANN401 - likewise
    """Return the annotation, allowing `unset` where it does not already.

    Strings stay strings. Only `None` can be named in them without asking what the names of the
    user's module mean; `names` has those, where they are known.
    """
    if isinstance(annotation, str):
        return _optional_text(annotation, names or {}) if unset is None else annotation
    if _allows(annotation, unset):
        return annotation
    addition = None if unset is None else type(unset)
    # What an annotation does when it is asked for a union is its author's business. The union is
    # for readers and tools; where there is none, the annotation stays as it is.
    with contextlib.suppress(Exception):
        return annotation | addition
    try:
        return typing.Union[annotation, addition]  # noqa: UP007 - for objects without an |
    except Exception:  # noqa: BLE001 - foreign code may raise anything
        return annotation


def _allows(annotation: Any, unset: object) -> bool:  # noqa: ANN401 - annotations are any object
    # A parameter of a signature that has no annotation has `empty` there.
    wide = (Any, object, inspect.Parameter.empty, unset, type(unset))
    if any(annotation is allowed for allowed in wide):
        return True
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _allows(arguments[0], unset)
    unions = (typing.Union, types.UnionType, typing.Literal)
    return origin in unions and any(_allows(argument, unset) for argument in arguments)


def _optional_text(text: str, names: Mapping[str, object]) -> str:
    try:
        node = parse(text, "eval").body
    except SyntaxError:
        return text
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return repr(_optional_text(node.value, names))
    if _text_allows_none(node):
        return text
    if isinstance(node, ast.Name | ast.Attribute):
        # A name may stand for something that `| None` would raise for, such as a function. Names
        # with dots between them are all that is evaluated here, so that no call runs. One that
        # is not defined yet, or only for type checkers, is taken to be a type.
        try:
            found = eval(text, dict(names))  # noqa: S307 - see above
        except Exception:  # noqa: BLE001 - an attribute may raise anything
            found = object
        try:
            found | None
        except Exception:  # noqa: BLE001 - so may a union
            return text
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    return f"{text} | None" if simple else f"({text}) | None"


def _text_allows_none(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"Any", "object"}
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _text_allows_none(left) or _text_allows_none(right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name in {"Union", "Literal"}:
                return any(map(_text_allows_none, members))
            return name == "Optional" or (name == "Annotated" and _text_allows_none(members[0]))
        case _:
            return False
