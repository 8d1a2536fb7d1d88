"""`mergeparam show`: what is merged, as text, as JSON, as source and as bytecode."""

from __future__ import annotations

import dis
import importlib.util
import inspect
import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._bench.method import inline_source, read_subject
from mergeparam._cli import target
from mergeparam._declare.methods import declarations
from mergeparam._declare.signature import original_signature, read_signature
from mergeparam._introspect import merged_methods
from mergeparam.errors import shorten

if TYPE_CHECKING:
    import argparse

    from rich.console import RenderableType

    from mergeparam._bench.method import Subject

SCHEMA_VERSION = 1
_HEAD = "parameter", "attribute", "unset", "on conflict", "default", "declared by", "injection"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take a target and one of the forms."""
    parser.add_argument("target", metavar="TARGET", help=target.HELP)
    forms = parser.add_mutually_exclusive_group()
    for form, help_text in (
        ("json", "the same for machines"),
        ("source", "the merge as Python source"),
        ("bytecode", "the disassembly, with the spliced part marked"),
    ):
        store = {"dest": "form", "action": "store_const", "const": form}
        forms.add_argument(f"--{form}", help=help_text, **store)  # type: ignore[arg-type]


def run(options: argparse.Namespace) -> int:
    """Print what is merged in the target."""
    classes = target.load(options.target)
    wants_colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    methods = [read_subject(cls, name) for cls in classes for name in merged_methods(cls)]
    if options.form == "json":
        shown = {"version": SCHEMA_VERSION, "classes": list(map(describe, classes))}
        text = json.dumps(shown, indent=2)
    elif options.form != "bytecode" and wants_colours and importlib.util.find_spec("rich"):
        _print_colours(classes, methods if options.form else None)
        return 0
    else:
        write = {"bytecode": bytecode_of, "source": source_of}.get(options.form)
        text = "\n\n".join(map(write, methods) if write else map(text_of, classes))
    sys.stdout.write(f"{text}\n")
    return 0


def describe(cls: type) -> dict[str, Any]:
    """Return what is merged in a class; `SCHEMA_VERSION` changes when a field does."""
    methods = [_describe_method(read_subject(cls, name)) for name in merged_methods(cls)]
    return {"name": cls.__qualname__, "module": cls.__module__, "methods": methods}


def _describe_method(subject: Subject) -> dict[str, Any]:
    code = subject.function.__code__
    # The innermost of stacked decorators has seen the signature as it was written.
    before = original_signature(subject.function, subject.levels[-1].original)
    params = [
        {
            "name": param.name,
            "attribute": param.attribute,
            "unset": shorten(param.unset),
            "on_conflict": param.on_conflict,
            "default": None if param.default is attrs.NOTHING else shorten(param.default),
            "declared_by": level.owner,
            "injection": level.injection,
        }
        for level, param in declarations(subject.cls, subject.name)
    ]
    return {
        "name": subject.name,
        "signature_before": str(before),
        "signature_after": str(read_signature(subject.chain[0])),
        "file": code.co_filename,
        "line": code.co_firstlineno,
        "params": params,
    }


def text_of(cls: type) -> str:
    """Return the description for a file, or for a terminal without colours."""
    lines = [f"{cls.__module__}:{cls.__qualname__}"]
    for method in describe(cls)["methods"]:
        lines.append(f"  {method['name']}  {method['file']}:{method['line']}")
        lines.append(f"    before  {method['signature_before']}")
        lines.append(f"    after   {method['signature_after']}")
        table = [list(_HEAD), *_rows(method)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += [f"    {'  '.join(map(str.ljust, row, widths))}".rstrip() for row in table]
    return "\n".join(lines)


def _rows(method: dict[str, Any]) -> list[list[str]]:
    shown = [{**param, "attribute": f"self.{param['attribute']}"} for param in method["params"]]
    return [["-" if value is None else value for value in row.values()] for row in shown]


def _head_of(subject: Subject) -> str:
    code = subject.function.__code__
    return f"# {subject.cls.__qualname__}.{subject.name}, {code.co_filename}:{code.co_firstlineno}"


def source_of(subject: Subject) -> str:
    """Return the merge as the Python source that one would write by hand."""
    suspended = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    keyword = "async def" if subject.function.__code__.co_flags & suspended else "def"
    lines = textwrap.indent(inline_source(subject), "    ")
    signature = read_signature(subject.chain[0])
    return f"{_head_of(subject)}\n{keyword} {subject.name}{signature}:\n{lines}    ..."


def bytecode_of(subject: Subject) -> str:
    """Return the disassembly of the method, with a mark before what is spliced in."""
    code, merge = subject.function.__code__, subject.spliced
    words = f"> marks the {len(merge)} bytes of the merge"
    if subject.is_wrapped_by_us:
        code, merge = subject.chain[0].__code__, range(0)
        words = "the merge is in a wrapper, whose code this is"
    lines = [f"{_head_of(subject)}; {words}"]
    for item in dis.get_instructions(code):
        mark = ">" if item.offset in merge else " "
        line = (item.positions and item.positions.lineno) or "-"
        text = f"{mark} {line:>5} {item.offset:>6}  {item.opname:<34}{item.argrepr}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def _print_colours(classes: list[type], methods: list[Subject] | None) -> None:
    """Print the classes, or the source of their methods, on a terminal with Rich."""
    # Of the extra `cli`.
    from rich.console import Console, Group  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.syntax import Syntax  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def highlighted(code: str) -> Syntax:
        # The terminal's own colours read on light and on dark ones.
        look = {"theme": "ansi_dark", "background_color": "default"}
        return Syntax(code, "python", word_wrap=True, **look)  # type: ignore[arg-type]

    if methods is not None:
        Console().print(highlighted("\n\n".join(map(source_of, methods))))
        return
    for cls in classes:
        parts: list[RenderableType] = []
        for method in describe(cls)["methods"]:
            place = f"  {method['file']}:{method['line']}"
            signatures = Table.grid(padding=(0, 2))
            signatures.add_row("  [dim]before", highlighted(method["signature_before"]))
            signatures.add_row("  [dim]after", highlighted(method["signature_after"]))
            columns = [Column(head, overflow="fold") for head in _HEAD]
            table = Table(*columns, box=None, header_style="dim", padding=(0, 1))
            for name, *others in _rows(method):
                table.add_row(Text(name, style="bold green"), *map(Text, others))
            parts += [Text.assemble((method["name"], "bold"), (place, "dim")), signatures, table]
        title = Text.assemble(f"{cls.__module__}:", (cls.__qualname__, "bold"))
        Console().print(Panel(Group(*parts), title=title, title_align="left"))
