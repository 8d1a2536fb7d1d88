"""A merged class in, calls of it that its signatures allow out, as source."""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._cli.refusal import Refusal, one_line
from mergeparam._introspect import merged_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mergeparam._cli.variants import Method
    from mergeparam._spec import Param

_VALUES = {
    "bool": "True",
    "int": "1",
    "float": "0.5",
    "complex": "1j",
    "str": "'x'",
    "bytes": "b'x'",
}
_RECEIVER = "layer"
_BY_CALL, _BY_CONSTRUCTOR = "by the call", "by the constructor"


@attrs.frozen
class Call:
    """What is measured: an expression, and the statements before it."""

    given: str
    """Where the merged values come from, in words."""

    setup: str
    expression: str


def call_that_gives(method: Method) -> Call:
    """Return a call that gives the merged values."""
    made = _made(method, _constructor(method), {})
    return Call(_BY_CALL, made, _called(method, made, given=True))


def call_after_constructor(method: Method) -> Call:
    """Return a call that gives none of the merged values, because the constructor got them."""
    signature = _constructor(method)
    values = {
        _field(method, signature, param): _merged_value(method, param) for param in method.params
    }
    made = _made(method, signature, values)
    return Call(_BY_CONSTRUCTOR, made, _called(method, made, given=False))


DERIVED = {_BY_CALL: call_that_gives, _BY_CONSTRUCTOR: call_after_constructor}
"""Ways to derive a call, by where they let the merged values come from."""


def _constructor(method: Method) -> inspect.Signature:
    cls = method.place.cls
    try:
        return inspect.signature(cls)
    except (ValueError, TypeError) as error:
        msg = f"the constructor of {cls.__qualname__} cannot be read ({one_line(error)})"
        raise Refusal(msg) from error


def _made(method: Method, signature: inspect.Signature, given: Mapping[str, str]) -> str:
    arguments = dict(given)
    for name, parameter in signature.parameters.items():
        if name not in given and _is_required(parameter):
            arguments[name] = _known_value(method, "constructor", parameter)
    positional = [
        arguments.pop(name)
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.POSITIONAL_ONLY and name in arguments
    ]
    words = positional + [f"{name}={value}" for name, value in arguments.items()]
    return f"{_RECEIVER} = {method.place.cls.__name__}({', '.join(words)})"


def _called(method: Method, made: str, *, given: bool) -> str:
    name = method.place.method
    callee = _RECEIVER if name == "__call__" else f"{_RECEIVER}.{name}"
    call = f"{callee}({', '.join(_arguments(method, given=given))})"
    function = method.place.function()
    if inspect.iscoroutinefunction(function):
        setup, expression = f"import asyncio; {made}", f"asyncio.run({call})"
        msg = f'{method.place.place} has to be awaited: --setup "{setup}" --call "{expression}"'
        raise Refusal(msg)
    if inspect.isasyncgenfunction(function):
        setup, expression = f"import asyncio; {made}", f"asyncio.run(take({call}))"
        msg = (
            f"{method.place.place} yields to async for: let a function, such as take here, do so: "
            f'--setup "{setup}" --call "{expression}"'
        )
        raise Refusal(msg)
    return f"list({call})" if inspect.isgeneratorfunction(function) else call


def _arguments(method: Method, *, given: bool) -> Iterator[str]:
    params = {param.name: param for param in method.params}
    for name, parameter in merged_signature(
        method.place.cls, method.place.method
    ).parameters.items():
        if name in params:
            if given:
                value = _merged_value(method, params[name])
                by_position = parameter.kind is parameter.POSITIONAL_ONLY
                yield value if by_position else f"{name}={value}"
        elif _is_required(parameter):
            value = (
                "1.0"
                if _says_nothing(parameter.annotation)
                else _known_value(method, f"method {method.place.method}", parameter)
            )
            yield f"{name}={value}" if parameter.kind is parameter.KEYWORD_ONLY else value


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variadic


def _merged_value(method: Method, param: Param) -> str:
    signature = merged_signature(method.place.cls, method.place.method)
    return _value(signature.parameters[param.name].annotation) or "True"


def _field(method: Method, signature: inspect.Signature, param: Param) -> str:
    """Return the constructor's name for the attribute; attrs drops the underscores before it."""
    for name in (param.attribute, param.attribute.lstrip("_")):
        if name in signature.parameters:
            return name
    msg = f"{method.place.cls.__qualname__}'s constructor takes no {param.attribute!r}"
    raise Refusal(msg)


def _known_value(method: Method, of: str, parameter: inspect.Parameter) -> str:
    value = _value(parameter.annotation)
    if value is None:
        msg = (
            f"there is no telling what to give {parameter.name!r} of "
            f"{method.place.cls.__qualname__}'s {of}"
        )
        raise Refusal(msg)
    return value


def _says_nothing(annotation: object) -> bool:
    nothing = (inspect.Parameter.empty, Any, object, "Any", "object")
    return any(annotation is wide or annotation == wide for wide in nothing)


def _value(annotation: Any) -> str | None:  # noqa: ANN401 - annotations are any object
    """Return the source of a value that the annotation allows, if it is one of the simple ones."""
    if isinstance(annotation, str):
        return next(
            (_VALUES[word] for word in map(str.strip, annotation.split("|")) if word in _VALUES),
            None,
        )
    if isinstance(annotation, type):
        return _VALUES.get(annotation.__name__)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return repr(arguments[0])
    if origin is typing.Annotated:
        return _value(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return next(filter(None, map(_value, arguments)), None)
    return None
