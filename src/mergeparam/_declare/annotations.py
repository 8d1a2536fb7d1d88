"""Make annotations optional; the only room that knows how annotations are held and evaluated."""

from __future__ import annotations

import ast
import contextlib
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

from typing_extensions import Format

from mergeparam._compat import annotations_attribute, call_annotate, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType


def optional_annotations(
    function: FunctionType, unset: Mapping[str, object]
) -> tuple[str, object]:
    """Return the attribute that holds the annotations of a function, and what it is to hold."""
    attribute, names = annotations_attribute(function), function.__globals__
    annotate: Any = getattr(function, attribute)
    if attribute == "__annotations__":
        return attribute, _with_optional(annotate, unset, names)

    # Nothing is evaluated before its time.
    def __annotate__(format: int, /) -> dict[str, Any]:  # noqa: A002, N807 - named as PEP 649 does
        if format == Format.VALUE_WITH_FAKE_GLOBALS:
            # Fake globals would have to be those of the function inside. Callers then ask for
            # another format, and that is answered below.
            raise NotImplementedError(format)
        return _with_optional(call_annotate(annotate, Format(format)), unset, names)

    return attribute, __annotate__


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
    """Return the annotation, allowing `unset` where it does not already; strings stay strings."""
    if isinstance(annotation, str):
        # Only `None` can be named without asking what is called so in the user's module.
        return _optional_text(annotation, names or {}) if unset is None else annotation
    if _allows(annotation, unset):
        return annotation
    # What an annotation does when it is asked for a union is its author's business. The union is
    # for readers and tools; where there is none, the annotation stays as it is.
    try:
        return annotation | (None if unset is None else type(unset))
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
    # A name may stand for something that `| None` would raise for, such as a function. Nothing is
    # called here. What is not defined yet, or only for type checkers, is taken to be a type.
    if not any([isinstance(inner, ast.Call) for inner in ast.walk(node)]):
        try:
            found: Any = type
            with contextlib.suppress(NameError, AttributeError):
                found = eval(text, dict(names))  # noqa: S307 - see above
            if _allows(found, None):
                return text
            found | None
        except Exception:  # noqa: BLE001 - foreign code may raise anything
            return text
    if text.endswith(("None", "Any")):
        return text
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    return f"{text} | None" if simple else f"({text}) | None"
