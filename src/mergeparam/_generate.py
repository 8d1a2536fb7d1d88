"""Source in, a function out that seems to stand where a method of the user stands."""

from __future__ import annotations

import ast
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mergeparam._syntax import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mergeparam._parameters import Parameters

_NAME = "wrapper"
_INDENT = " " * 4


def function_source(keyword: str, parameters: Parameters, body: str) -> str:
    """Return a function as source, without defaults."""
    lines = "".join(f"{_INDENT}{line}\n" for line in body.splitlines())
    return f"{keyword} {_NAME}({signature_source(parameters)}):\n{lines}"


def signature_source(parameters: Parameters) -> str:
    """Return the parameters as they stand in a `def` line, without defaults."""
    parts = list(parameters.positional_only)
    if parts:
        parts.append("/")
    parts += parameters.positional_or_keyword
    if parameters.var_positional is not None:
        parts.append(f"*{parameters.var_positional}")
    elif parameters.keyword_only:
        parts.append("*")
    parts += parameters.keyword_only
    if parameters.var_keyword is not None:
        parts.append(f"**{parameters.var_keyword}")
    return ", ".join(parts)


def arguments_source(parameters: Parameters) -> str:
    """Return the parameters as they stand in a call that hands them all on."""
    parts = list(parameters.positional)
    if parameters.var_positional is not None:
        parts.append(f"*{parameters.var_positional}")
    parts += [f"{name}={name}" for name in parameters.keyword_only]
    if parameters.var_keyword is not None:
        parts.append(f"**{parameters.var_keyword}")
    return ", ".join(parts)


def build_like(
    function: FunctionType,
    source: str,
    arguments: Mapping[str, object],
    *,
    shared: tuple[str, ...] = ("__class__",),
) -> FunctionType:
    """Run the source with every line of it on the `def` line of `function`.

    A traceback then shows the user's own line, and nothing is added to `linecache`. What is
    built shares cells of the method: `__class__` at least, because attrs and dataclasses with
    slots make a new class and look for that cell in what the class's namespace holds.

    Args:
        function: the method.
        source: what `function_source` returns.
        arguments: what names in the source stand for.
        shared: the names whose cells are those of `function`.
    """
    names = ", ".join((*arguments, *(f"{name}=None" for name in shared)))
    body = "".join(f"{_INDENT}{line}\n" for line in source.splitlines())
    tree = parse(f"def factory({names}):\n{body}{_INDENT}return {_NAME}\n")
    line = function.__code__.co_firstlineno
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.excepthandler | ast.pattern | ast.arg):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    namespace: dict[str, Any] = {"__name__": function.__module__}
    exec(compile(tree, function.__code__.co_filename, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source, in which the only foreign text is identifiers
    built = namespace["factory"](*arguments.values())
    own, theirs = _cells(built), _cells(function)
    cells = own | {name: theirs[name] for name in shared if name in theirs}
    return FunctionType(
        built.__code__,
        function.__globals__,
        closure=tuple(cells[name] for name in built.__code__.co_freevars),
    )


def _cells(function: FunctionType) -> dict[str, Any]:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
