"""The fallback: a generated wrapper with the exact signature, for any Python.

It needs nothing of the interpreter but `compile`. Its body is the same merge; then it hands
every argument on to the method, in the method's own kind (generator, coroutine, ...), so that
the merge runs when the body would.
"""

from __future__ import annotations

import ast
import functools
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mergeparam._parameters import Parameters, read_parameters
from mergeparam._prologue import fresh_name, signature_source
from mergeparam._syntax import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INDENT = " " * 4

_ASYNC_GENERATOR = """\
{agen} = {call}
try:
    {value} = await {agen}.__anext__()
    while True:
        try:
            {sent} = yield {value}
        except {GeneratorExit}:
            await {agen}.aclose()
            raise
        except {BaseException} as {error}:
            {value} = await {agen}.athrow({error})
        else:
            {value} = await {agen}.asend({sent})
except {StopAsyncIteration}:
    return
"""
_BUILTINS = (GeneratorExit, BaseException, StopAsyncIteration)


def wrap(function: FunctionType, method: Callable[..., Any], merge: str) -> FunctionType:
    """Return a function with the signature of `function` that merges and then calls `method`.

    `method` is `function` itself, or what a framework has wrapped it in.
    """
    parameters = read_parameters(function.__code__)
    names = {
        wish: fresh_name(wish, parameters.all)
        for wish in ("inner", "agen", "value", "sent", "error")
    } | {kind.__name__: fresh_name(kind.__name__, parameters.all) for kind in _BUILTINS}
    source = wrapper_source(function, method, merge, names)
    arguments = {names["inner"]: method} | {names[kind.__name__]: kind for kind in _BUILTINS}
    wrapper = _build(source, arguments, function)
    functools.update_wrapper(wrapper, method)
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = function.__kwdefaults__
    return wrapper


def wrapper_source(
    function: FunctionType, method: Callable[..., Any], merge: str, names: dict[str, str]
) -> str:
    """Return the wrapper as source: the merge, and the call in the kind of what it calls."""
    parameters = read_parameters(function.__code__)
    call = f"{names['inner']}({_arguments(parameters)})"
    keyword, tail = "def", f"return {call}"
    if inspect.isasyncgenfunction(method):
        keyword, tail = "async def", _ASYNC_GENERATOR.format(call=call, **names)
    elif inspect.iscoroutinefunction(method):
        keyword, tail = "async def", f"return await {call}"
    elif inspect.isgeneratorfunction(method):
        tail = f"return (yield from {call})"
    if "__class__" in function.__code__.co_freevars:
        tail = f"if False: __class__\n{tail}"
    body = "".join(f"{_INDENT}{line}\n" for line in (merge + tail).splitlines())
    return f"{keyword} wrapper({signature_source(parameters)}):\n{body}"


def _arguments(parameters: Parameters) -> str:
    parts = list(parameters.positional)
    if parameters.var_positional is not None:
        parts.append(f"*{parameters.var_positional}")
    parts += [f"{name}={name}" for name in parameters.keyword_only]
    if parameters.var_keyword is not None:
        parts.append(f"**{parameters.var_keyword}")
    return ", ".join(parts)


def _build(source: str, arguments: Mapping[str, object], function: FunctionType) -> FunctionType:
    """Run the source with every line of it on the method's `def` line.

    A traceback then shows the user's own line, and nothing is added to `linecache`. The wrapper
    shares the method's `__class__` cell, because attrs and dataclasses with slots make a new
    class and look for that cell in what the class's namespace holds.
    """
    names = ", ".join((*arguments, "__class__=None"))
    body = "".join(f"{_INDENT}{line}\n" for line in source.splitlines())
    tree = parse(f"def factory({names}):\n{body}{_INDENT}return wrapper\n")
    line = function.__code__.co_firstlineno
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.excepthandler | ast.pattern | ast.arg):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    namespace: dict[str, Any] = {"__name__": function.__module__}
    exec(compile(tree, function.__code__.co_filename, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source, in which the only foreign text is identifiers
    wrapper = namespace["factory"](*arguments.values())
    cells = _cells(wrapper) | {"__class__": _cells(function).get("__class__")}
    return FunctionType(
        wrapper.__code__,
        wrapper.__globals__,
        closure=tuple(cells[name] for name in wrapper.__code__.co_freevars),
    )


def _cells(function: FunctionType) -> dict[str, Any]:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
