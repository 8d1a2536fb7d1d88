"""Descriptions in, what the terminal or a machine reads out."""

from __future__ import annotations

import dis
import inspect
import json
import textwrap
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._splice import entry_point

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._cli.describe import ClassDescription, MethodDescription

SCHEMA_VERSION = 1

_HEAD = ("parameter", "attribute", "unset", "on conflict", "default", "declared by", "injection")


def as_json(classes: list[ClassDescription]) -> str:
    """Return the descriptions for machines; `version` changes when a field does."""
    value = {"version": SCHEMA_VERSION, "classes": [_without_code(cls) for cls in classes]}
    return json.dumps(value, indent=2) + "\n"


def as_text(classes: list[ClassDescription]) -> str:
    """Return the descriptions for a terminal without colours, or a file."""
    return "\n".join("".join(f"{line}\n" for line in _lines(cls)) for cls in classes)


def as_source(classes: list[ClassDescription]) -> str:
    """Return the merge of every method as the Python source that one would write by hand."""
    return "\n".join(
        f"# {cls.name}.{method.name}, {_where(method)}\n"
        f"{_keyword(method)} {method.name}{method.signature_after}:\n"
        f"{textwrap.indent(method.source, '    ')}    ...\n"
        for cls in classes
        for method in cls.methods
    )


def as_bytecode(classes: list[ClassDescription]) -> str:
    """Return the disassembly of every method, with a mark before what is spliced in."""
    return "\n".join(
        f"# {cls.name}.{method.name}, {_where(method)}; {_marked(method)}\n"
        + "".join(f"{line}\n" for line in _disassembled(method))
        for cls in classes
        for method in cls.methods
    )


def rows(method: MethodDescription) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a method's table, its head first."""
    yield _HEAD
    for param in method.params:
        yield (
            param.name,
            f"self.{param.attribute}",
            param.unset,
            param.on_conflict,
            "-" if param.default is None else param.default,
            param.declared_by,
            param.injection,
        )


def _keyword(method: MethodDescription) -> str:
    is_async = method.code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    return "async def" if is_async else "def"


def _without_code(cls: ClassDescription) -> dict[str, Any]:
    hidden = {"code", "spliced", "source"}
    return attrs.asdict(cls, filter=lambda field, _: field.name not in hidden)


def _lines(cls: ClassDescription) -> Iterator[str]:
    yield f"{cls.module}:{cls.name}"
    for method in cls.methods:
        yield f"  {method.name}  {_where(method)}"
        yield f"    before  {method.signature_before}"
        yield f"    after   {method.signature_after}"
        yield from (f"    {line}" for line in _aligned(list(rows(method))))


def _aligned(table: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _where(method: MethodDescription) -> str:
    return f"{method.file}:{method.line}"


def _marked(method: MethodDescription) -> str:
    if not method.spliced:
        return "the merge is in a wrapper, whose code this is"
    return f"> marks the {method.spliced} bytes of the merge"


def _disassembled(method: MethodDescription) -> Iterator[str]:
    begin = entry_point(method.code) if method.spliced else 0
    for item in dis.get_instructions(method.code):
        mark = ">" if begin <= item.offset < begin + method.spliced else " "
        line = item.positions.lineno if item.positions is not None else None
        yield f"{mark} {line or '-':>5} {item.offset:>6}  {item.opname:<34}{item.argrepr}".rstrip()
