"""Code that merges and then calls the body: the fallback, and the wrapper of `provide=True`.

It needs nothing of the interpreter but `compile`, so it serves every Python. The body is reached
through a private method of the class. The code is of the body's own kind (generator, coroutine,
...), so that the merge runs when the body would.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from mergeparam._compat import parse
from mergeparam._inject.source import (
    EXITS,
    PROVIDE,
    RUN_IN_STEPS,
    body_method,
    merge_source,
    private_call,
)
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._declare.checks import Declaration
    from mergeparam._spec import PrivateNames

_GENERATOR = """\
_mergeparam_steps, _mergeparam_exits = {call}, {receiver}.{exits}
try:
    _mergeparam_value = _mergeparam_steps.send(None)
    while True:
        try:
            _mergeparam_sent = yield _mergeparam_value
        except _mergeparam_exits[0] as _mergeparam_error:
            _mergeparam_value = _mergeparam_steps.throw(_mergeparam_error)
        else:
            _mergeparam_value = _mergeparam_steps.send(_mergeparam_sent)
except _mergeparam_exits[1] as _mergeparam_stop:
    return _mergeparam_stop.value
"""
"""`yield from` would close the body where `GeneratorExit` is thrown in. The body may handle it."""

_ASYNC_GENERATOR = """\
_mergeparam_steps, _mergeparam_exits = {call}, {receiver}.{exits}
try:
    _mergeparam_value = await _mergeparam_steps.asend(None)
    while True:
        try:
            _mergeparam_sent = yield _mergeparam_value
        except _mergeparam_exits[0] as _mergeparam_error:
            if _mergeparam_steps.ag_frame is None:
                raise
            _mergeparam_value = await _mergeparam_steps.athrow(_mergeparam_error)
        else:
            _mergeparam_value = await _mergeparam_steps.asend(_mergeparam_sent)
except _mergeparam_exits[2]:
    return
"""
"""An event loop that shuts down closes all async generators, maybe the body before its wrapper."""


def wrap(declaration: Declaration, names: PrivateNames, *, provides: bool) -> CodeType:
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
        may_receive_merged=declaration.may_receive_merged,
        unnamed=declaration.unnamed,
    )
    # What goes around something is of the kind of that: a method made by `contextmanager` is none
    # that yields. A dispatcher is no function, and no kind shows.
    runs = method.found if method.ownership == "opaque" else method.function
    arguments = list(parameters.positional)
    if parameters.var_positional is not None:
        arguments.append(f"*{parameters.var_positional}")
    if not isinstance(runs, FunctionType):
        # It has been bound to the object, as it was in the class's namespace.
        first = arguments.pop(0)
        arguments[:0] = [f"{first}[1:]"] if first.startswith("*") else []
    arguments += [f"{name}={name}" for name in parameters.keyword_only]
    if parameters.var_keyword is not None:
        arguments.append(f"**{parameters.var_keyword}")
    body = private_call(receiver, names, body_method(method.name))
    call = f"{body}({', '.join(arguments)})"
    flags = getattr(getattr(runs, "__code__", None), "co_flags", 0)
    if provides and flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR):
        pairs = ", ".join([f"{name!r}: {name}" for name in declaration.names])
        call = f"{receiver}.{RUN_IN_STEPS}({call}, {{{pairs}}})"
    if flags & inspect.CO_ASYNC_GENERATOR:
        keyword = "async def"
        tail = _ASYNC_GENERATOR.format(call=call, receiver=receiver, exits=EXITS)
    elif flags & inspect.CO_COROUTINE:
        keyword, tail = "async def", f"return await {call}"
    elif flags & inspect.CO_GENERATOR:
        # A generator function that `types.coroutine` has marked stays a generator function.
        keyword, tail = "def", _GENERATOR.format(call=call, receiver=receiver, exits=EXITS)
    else:
        keyword, tail = "def", f"return {call}"
        if provides:
            tail = f"with {receiver}.{PROVIDE}({values}):\n    {tail}"
    head = f"{keyword} wrapper({parameters.as_signature()}):"
    return _compile_like(method.function.__code__, head, f"{merge}{tail}\n")


def _compile_like(own: CodeType, head: str, body: str) -> CodeType:
    """Compile a function into code that can take the place of a function's own.

    Every line of it is on the user's `def` line, so that a traceback shows that line, and nothing
    is added to `linecache`.
    """
    # A function cannot be given code with other free variables. Names that are mentioned behind a
    # `return` are free variables, though nothing ever runs there.
    free = ", ".join(own.co_freevars)
    mention = f"return\n({free},)\n" if free else ""
    inner = textwrap.indent(f"{body}{mention}", " " * 8)
    tree = parse(f"def outer({free}):\n    {head}\n{inner}")
    nodes: Iterator[Any] = ast.walk(tree)
    for node in nodes:
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = own.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    code = compile(tree, own.co_filename, "exec", dont_inherit=True)
    for _ in ("outer", "wrapper"):
        code = next(item for item in code.co_consts if isinstance(item, CodeType))
    # What `types.coroutine` has marked stays marked.
    flags = code.co_flags | own.co_flags & inspect.CO_ITERABLE_COROUTINE
    # PyPy has no `co_qualname`.
    names = {name: getattr(own, name) for name in ("co_name", "co_qualname") if hasattr(own, name)}
    return code.replace(co_flags=flags, **names)
