"""Code that merges and then calls the body, in a scope of the merged values for `provide=True`.

It takes the place of the body's, inside whatever a framework has put around the method; the body
becomes a method of its own. Since it may take the place of another function's
code, it knows no name but those of the parameters.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from mergeparam._call.provide import provide, run_in_steps
from mergeparam._generate import arguments_source, build_like, function_source
from mergeparam._parameters import read_parameters
from mergeparam._prologue import attribute_of, fresh_name
from mergeparam._wrap import _ASYNC_GENERATOR as _ASYNC_GENERATOR_SOURCE
from mergeparam._wrap import _BUILTINS

if TYPE_CHECKING:
    from types import CodeType, FunctionType

    from mergeparam._spec import Param

_BODY = "_mergeparam_body"


class _Kind(NamedTuple):
    """How the methods of one kind are enclosed.

    `helper` is what the class holds for them, under the name `attribute`.
    """

    attribute: str
    helper: Any
    keyword: str
    in_scope: str
    without: str


_PLAIN = _Kind(
    "_mergeparam_provide",
    provide,
    "def",
    "with {helper}({keywords}):\n    return {call}\n",
    "return {call}\n",
)
_STEPS = "_mergeparam_run_in_steps", staticmethod(run_in_steps)
_COROUTINE = _Kind(
    *_STEPS,
    "async def",
    "return await {helper}({call}, {values})\n",
    "return await {call}\n",
)
# Of those that provide, only what `types.coroutine` has marked comes here.
_GENERATOR = _Kind(
    *_STEPS,
    "def",
    "return (yield from {helper}({call}, {values}))\n",
    "return (yield from {call})\n",
)
_ASYNC_GENERATOR = _Kind(*_STEPS, "async def", "", _ASYNC_GENERATOR_SOURCE)


def enclose(
    function: FunctionType,
    key: str,
    receiver: str,
    params: tuple[Param, ...],
    merge: str,
    *,
    provides: bool,
) -> CodeType:
    """Return code for `function` that merges and then runs the body, in a scope or not."""
    parameters, free = read_parameters(function.__code__), function.__code__.co_freevars
    kind = _kind(function)
    tail = (kind.in_scope if provides else kind.without).format(
        helper=f"{receiver}.{kind.attribute}",
        call=f"{receiver}.{body_attribute(key)}({arguments_source(parameters)})",
        keywords=", ".join(f"{param.name}={param.name}" for param in params),
        values="{" + ", ".join(f"{param.name!r}: {param.name}" for param in params) + "}",
        **{
            name: fresh_name(name, parameters.all + free)
            for name in ("agen", "value", "sent", "error")
        },
        **{kind.__name__: kind.__name__ for kind in _BUILTINS},
    )
    mention = f"if False: ({', '.join(free)},)\n" if free else ""
    source = function_source(kind.keyword, parameters, merge + mention + tail)
    code = build_like(function, source, {}, shared=free).__code__
    return code.replace(
        co_name=function.__code__.co_name,
        co_qualname=function.__code__.co_qualname,
        co_flags=code.co_flags | function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE,
    )


def helper_attribute(function: FunctionType) -> tuple[str, object]:
    """Return a name, and the object that the class has to hold under it for the code."""
    kind = _kind(function)
    return kind.attribute, kind.helper


def body_attribute(key: str) -> str:
    """Return the name under which the class has to hold the body."""
    return attribute_of(_BODY, key)


def _kind(function: FunctionType) -> _Kind:
    """Tell the kind by the code alone: what is only marked as a coroutine is none."""
    flags = function.__code__.co_flags
    if flags & inspect.CO_ASYNC_GENERATOR:
        return _ASYNC_GENERATOR
    if flags & inspect.CO_COROUTINE:
        return _COROUTINE
    return _GENERATOR if flags & inspect.CO_GENERATOR else _PLAIN
