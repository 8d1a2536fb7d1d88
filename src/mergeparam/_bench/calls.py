"""Calls of a merged class that its signatures allow, as source."""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Any, NamedTuple

from mergeparam import merged_signature
from mergeparam._bench import Refusal, refusing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mergeparam._bench.method import Subject

PLACES = "by the call", "by the constructor"  # where the merged values come from

_VALUES = {"bool": "True", "int": "1", "float": "0.5", "complex": "1j"}
_VALUES |= {"str": "'x'", "bytes": "b'x'"}
_ANYTHING = {"Any", "object", inspect.Parameter.empty.__name__}
_TAKING = {
    inspect.isgeneratorfunction: "list({})",
    inspect.iscoroutinefunction: "list({}.__await__())",
    inspect.isasyncgenfunction: "list({}.__anext__().__await__())",
}


class Call(NamedTuple):
    """What is measured: an expression, and the statements before it."""

    given: str
    setup: str
    expression: str


def derive(subject: Subject, given: str) -> Call:
    """Return a call that gets the merged values from one of the `PLACES`."""
    cls, signature = subject.cls, merged_signature(subject.cls, subject.name)
    with refusing(f"the constructor of {cls.__qualname__} cannot be read:"):
        constructor = inspect.signature(cls)
    to_call, to_constructor = {}, {}
    for param in subject.params:
        value = _value(signature.parameters[param.name].annotation, "True") or "True"
        # attrs drops the underscores before the name of a field.
        names = {param.attribute, param.attribute.lstrip("_")} & constructor.parameters.keys()
        if given == PLACES[0]:
            to_call[param.name] = value
        elif names:
            to_constructor[names.pop()] = value
        else:
            msg = f"{cls.__qualname__}'s constructor takes no {param.attribute!r}"
            raise Refusal(msg)
    arguments = _arguments(constructor, to_constructor, f"{cls.__qualname__}'s constructor")
    method = "" if subject.name == "__call__" else f".{subject.name}"
    owner = f"{cls.__qualname__}'s method {subject.name}"
    expression = f"layer{method}({_arguments(signature, to_call, owner)})"
    # A body that can be suspended runs only as something takes what it yields.
    for is_kind, taking in _TAKING.items():
        expression = taking.format(expression) if is_kind(subject.function) else expression
    return Call(given, f"layer = {cls.__name__}({arguments})", expression)


def _arguments(signature: inspect.Signature, values: Mapping[str, str], owner: str) -> str:
    """Write `values`, and something for every other parameter that has no default."""
    written, by_name = [], False
    for name, parameter in signature.parameters.items():
        is_optional = parameter.default is not parameter.empty
        is_variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        # Those after one that is named or left out have to be named as well.
        by_name |= name in values or is_optional or parameter.kind is parameter.KEYWORD_ONLY
        if name not in values and (is_optional or is_variadic):
            continue
        value = values.get(name) or _value(parameter.annotation, "1.0")
        if value is None:
            msg = f"there is no telling what to give {name!r} of {owner}"
            raise Refusal(msg)
        is_bare = parameter.kind is parameter.POSITIONAL_ONLY or not by_name
        written.append(value if is_bare else f"{name}={value}")
    return ", ".join(written)


def _value(annotation: Any, anything: str) -> str | None:  # noqa: ANN401 - annotations are any object
    """Return the source of a value that the annotation allows, if it is a simple one."""
    if typing.get_origin(annotation) is typing.Literal:
        return repr(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        parts = (_value(part, anything) for part in typing.get_args(annotation))
        return next(filter(None, parts), None)
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    names = [name.strip() for name in text.split("|")]
    if _ANYTHING & {*names}:
        return anything
    return next((_VALUES[name] for name in names if name in _VALUES), None)
