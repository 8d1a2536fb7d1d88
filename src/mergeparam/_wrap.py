"""The fallback: a generated wrapper with the exact signature, for any Python.

It needs nothing of the interpreter but `compile`. Its body is the same merge; then it hands
every argument on to the method, in the method's own kind (generator, coroutine, ...), so that
the merge runs when the body would.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from mergeparam._generate import arguments_source, build_like, function_source
from mergeparam._parameters import read_parameters
from mergeparam._prologue import fresh_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

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
    wrapper = build_like(function, source, arguments)
    functools.update_wrapper(wrapper, method)
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = function.__kwdefaults__
    return wrapper


def wrapper_source(
    function: FunctionType, method: Callable[..., Any], merge: str, names: dict[str, str]
) -> str:
    """Return the wrapper as source: the merge, and the call in the kind of what it calls."""
    parameters = read_parameters(function.__code__)
    call = f"{names['inner']}({arguments_source(parameters)})"
    keyword, tail = "def", f"return {call}"
    if inspect.isasyncgenfunction(method):
        keyword, tail = "async def", _ASYNC_GENERATOR.format(call=call, **names)
    elif inspect.iscoroutinefunction(method):
        keyword, tail = "async def", f"return await {call}"
    elif inspect.isgeneratorfunction(method):
        tail = f"return (yield from {call})"
    if "__class__" in function.__code__.co_freevars:
        tail = f"if False: __class__\n{tail}"
    return function_source(keyword, parameters, merge + tail)
