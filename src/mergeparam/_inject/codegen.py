"""Source in, a code object out that seems to stand where a method of the user stands."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

from mergeparam._compat import parse

if TYPE_CHECKING:
    from types import CodeType, FunctionType

    from mergeparam._declare.signature import Parameters


def arguments_source(parameters: Parameters) -> str:
    """Return the parameters as they stand in a call that hands them all on."""
    parts = list(parameters.positional)
    if parameters.var_positional is not None:
        parts.append(f"*{parameters.var_positional}")
    parts += [f"{name}={name}" for name in parameters.keyword_only]
    if parameters.var_keyword is not None:
        parts.append(f"**{parameters.var_keyword}")
    return ", ".join(parts)


def fresh_name(wish: str, taken: tuple[str, ...]) -> str:
    """Return `wish`, with underscores behind it until no other name is the same."""
    while wish in taken:
        wish += "_"
    return wish


def compile_like(
    function: FunctionType, keyword: str, parameters: Parameters, body: str
) -> CodeType:
    """Compile statements into code that can take the place of `function`'s.

    Every line of it is on the `def` line of `function`, so that a traceback shows the user's own
    line, and nothing is added to `linecache`. It has the same free variables, because a function
    cannot be given code that has others.
    """
    own = function.__code__
    free = ", ".join(own.co_freevars)
    statements = "".join([f"        {line}\n" for line in body.splitlines()])
    # Names that are mentioned behind a `return` are free variables, though nothing ever runs
    # there. The parameters of the outer function are what they belong to.
    mention = f"        return\n        ({free},)\n" if free else ""
    signature = parameters.as_signature()
    tree = parse(f"def outer({free}):\n    {keyword} wrapper({signature}):\n{statements}{mention}")
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt | ast.excepthandler | ast.pattern | ast.arg):
            node.lineno = node.end_lineno = own.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    module = compile(tree, own.co_filename, "exec", dont_inherit=True)
    outer = _code_inside(module)
    code = _code_inside(outer)
    # What `types.coroutine` has marked stays marked.
    flags = code.co_flags | own.co_flags & inspect.CO_ITERABLE_COROUTINE
    names = {"co_name": own.co_name, "co_flags": flags}
    if hasattr(own, "co_qualname"):  # pragma: no branch - PyPy has none
        names["co_qualname"] = own.co_qualname
    return code.replace(**names)  # type: ignore[arg-type]  # as the fields are named


def _code_inside(code: CodeType) -> CodeType:
    """Return the code of the only function that is defined in `code`."""
    return next(item for item in code.co_consts if isinstance(item, type(code)))
