"""A method in; its code out, compiled anew from its source with other statements before it."""

from __future__ import annotations

import ast
import linecache
from types import CodeType
from typing import TYPE_CHECKING

from mergeparam._cli.refusal import Refusal
from mergeparam._syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

    Definition = ast.FunctionDef | ast.AsyncFunctionDef


def read_source(function: FunctionType) -> str:
    """Return the source of the file that a function is in."""
    file = function.__code__.co_filename
    text = "".join(linecache.getlines(file, function.__globals__))
    if not text:
        msg = f"the source of {function.__qualname__} is not to be had ({file})"
        raise Refusal(msg)
    return text


def rewritten(function: FunctionType, source: str, statements: str) -> CodeType:
    """Return the function's code, compiled in its place in `source` with the statements first.

    The whole file is compiled and nothing of it is run, so that names mean what they mean there:
    private names, the names around the function, `super()`.
    """
    code = function.__code__
    tree = parse(source)
    found = next((node for node in _definitions(tree) if _is_of(node, code)), None)
    if found is None:
        msg = f"{function.__qualname__} is not written with def in {code.co_filename}"
        raise Refusal(msg)
    _insert(found, parse(statements).body)
    module = compile(tree, code.co_filename, "exec", dont_inherit=True)
    return next(
        item
        for item in _codes(module)
        if (item.co_qualname, item.co_firstlineno) == (code.co_qualname, code.co_firstlineno)
    )


def _definitions(tree: ast.AST) -> Iterator[Definition]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_of(node: Definition, code: CodeType) -> bool:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.name, first) == (code.co_name, code.co_firstlineno)


def _insert(node: Definition, statements: list[ast.stmt]) -> None:
    """Put the statements behind the docstring, on the line of the `def`."""
    for statement in statements:
        for item in ast.walk(statement):
            ast.copy_location(item, node)
    at = int(ast.get_docstring(node, clean=False) is not None)
    node.body[at:at] = statements


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
