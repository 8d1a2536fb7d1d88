"""Code that merges and then calls the body: the fallback, and the wrapper of `provide=True`.

It needs nothing of the interpreter but `compile`, so it serves every Python. The body is reached
through a private method of the class. The code is of the body's own kind (generator, coroutine,
...), so that the merge runs when the body would.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING

from mergeparam._inject.codegen import arguments_source, compile_like, fresh_name
from mergeparam._inject.source import EXITS, PROVIDE, RUN_IN_STEPS, body_method, merge_source
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    from types import CodeType

    from mergeparam._declare.checks import Declaration
    from mergeparam._spec import PrivateNames

_ASYNC_GENERATOR = """\
{steps}, {exits} = {call}, {receiver}.{exit_attribute}
try:
    {value} = await {steps}.__anext__()
    while True:
        try:
            {sent} = yield {value}
        except {exits}[0]:
            await {steps}.aclose()
            raise
        except {exits}[1] as {error}:
            {value} = await {steps}.athrow({error})
        else:
            {value} = await {steps}.asend({sent})
except {exits}[2]:
    return
"""
"""`yield from` for async generators, which Python does not have."""


def wrap(
    declaration: Declaration, names: PrivateNames, identity: int, *, provides: bool
) -> CodeType:
    """Return code that merges and then calls the body, in a scope of the merged values or not."""
    method, params = declaration.method, declaration.params
    receiver, parameters = method.receiver, method.parameters
    own_flags = method.function.__code__.co_flags
    # A generator function that `types.coroutine` has marked is a coroutine to callers.
    is_marked = own_flags & inspect.CO_ITERABLE_COROUTINE
    yields = own_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR)
    values = ", ".join([f"{name}={name}" for name in declaration.names])
    if provides and yields and not is_marked:
        raise MergeDefinitionError(
            f"{method.label} is a generator, and with provide=True its scope would stay open for "
            f"whoever takes its values. Leave provide=True out, and write "
            f"`with provide({values}):` around the part of the body that does not yield."
        )
    merge = merge_source(
        receiver,
        params,
        names,
        identity=identity,
        may_receive_merged=declaration.may_receive_merged,
        unnamed=declaration.unnamed,
    )
    # What goes around something is of the kind of that: a method made by `contextmanager` is none
    # that yields. A dispatcher is no function, and no kind shows.
    runs = method.found if method.ownership == "opaque" else method.function
    arguments = arguments_source(parameters)
    if not isinstance(runs, FunctionType):
        # It has been bound to the object, as it was in the class's namespace.
        rest = f"*{parameters.var_positional}"
        is_named = bool(parameters.positional)
        arguments = (
            arguments.partition(", ")[2] if is_named else arguments.replace(rest, f"{rest}[1:]", 1)
        )
    call = f"{receiver}.{body_method(method.name)}{names.suffix}({identity!r})({arguments})"
    flags = getattr(getattr(runs, "__code__", None), "co_flags", 0)
    # A generator function that `types.coroutine` has marked stays a generator function.
    if flags & inspect.CO_ASYNC_GENERATOR:
        taken = parameters.all + method.function.__code__.co_freevars
        wishes = ("steps", "exits", "value", "sent", "error")
        names_ = {wish: fresh_name(wish, taken) for wish in wishes}
        keyword, tail = (
            "async def",
            _ASYNC_GENERATOR.format(call=call, receiver=receiver, exit_attribute=EXITS, **names_),
        )
    elif flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR):
        if provides:
            pairs = ", ".join([f"{name!r}: {name}" for name in declaration.names])
            call = f"{receiver}.{RUN_IN_STEPS}({call}, {{{pairs}}})"
        is_coroutine = flags & inspect.CO_COROUTINE
        keyword = "async def" if is_coroutine else "def"
        tail = f"return await {call}" if is_coroutine else f"return (yield from {call})"
    else:
        keyword, tail = "def", f"return {call}"
        if provides:
            tail = f"with {receiver}.{PROVIDE}({values}):\n    {tail}"
    return compile_like(method.function, keyword, parameters, f"{merge}{tail}\n")
