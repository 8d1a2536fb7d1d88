"""`mergeparam show`: what is merged, as text, as JSON, as source and as bytecode."""

from __future__ import annotations

import dis
import inspect
import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._bench.method import inline_source, read_subject
from mergeparam._cli import target
from mergeparam._cli.terminal import has_colours
from mergeparam._declare.methods import declarations
from mergeparam._declare.signature import original_signature, read_signature
from mergeparam._introspect import merged_methods
from mergeparam.errors import shorten

if TYPE_CHECKING:
    import argparse

    from mergeparam._bench.method import Subject

SCHEMA_VERSION = 1
FORMS = {
    "json": "the same for machines",
    "source": "the merge as Python source",
    "bytecode": "the disassembly, with the spliced part marked",
}
# The most needed first: where a terminal is too narrow, the last ones are left out.
_COLUMNS = {
    "name": "parameter",
    "attribute": "attribute",
    "on_conflict": "on conflict",
    "default": "default",
    "when": "when",
    "otherwise": "otherwise",
    "unset": "unset",
    "attribute_unset": "attribute unset",
    "declared_by": "declared by",
    "injection": "injection",
}
_RARE = ("when", "otherwise", "attribute_unset")
"""Columns that are there only where a parameter has something in them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take a target and one of the forms."""
    parser.add_argument("target", metavar="TARGET", help=target.HELP)
    forms = parser.add_mutually_exclusive_group()
    for form, text in FORMS.items():
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=text)


def run(options: argparse.Namespace) -> int:
    """Print what is merged in the target; 1 where a module below it is left out."""
    classes, left_out = target.load(options.target)
    is_terminal = sys.stdout.isatty()
    if options.form == "json":
        shown = {"version": SCHEMA_VERSION, "classes": list(map(describe, classes))}
        text = json.dumps(shown, indent=2)
    elif options.form is None:
        width = shutil.get_terminal_size().columns if is_terminal else sys.maxsize
        text = "\n\n".join(text_of(cls, width) for cls in classes)
    else:
        write = bytecode_of if options.form == "bytecode" else source_of
        subjects = [read_subject(cls, name) for cls in classes for name in merged_methods(cls)]
        text = "\n\n".join(map(write, subjects))
    if has_colours():
        from rich.console import Console  # noqa: PLC0415
        from rich.syntax import Syntax  # noqa: PLC0415

        # The terminal's own colours read on light and on dark ones.
        syntax = Syntax("", "json" if options.form == "json" else "python", theme="ansi_dark")
        coloured = syntax.highlight(text)
        # Classes and methods, and the instructions of the merge.
        coloured.highlight_regex(r"(?m)^( {2})?[\w.]+:[\w.]+$|^  [^\W\d]\w*(?= {2})|^>.*", "bold")
        Console().print(coloured, soft_wrap=True, end="")
    else:
        sys.stdout.write(f"{text}\n")
    for refusal in left_out:
        sys.stderr.write(f"mergeparam: left out: {refusal}\n")
    return int(bool(left_out))


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
            "attribute_unset": _shown(param.attribute_unset, nothing=param.unset),
            "on_conflict": param.on_conflict,
            "default": _shown(param.default),
            "when": getattr(param.when, "__name__", _shown(param.when, nothing=None)),
            "otherwise": _shown(param.otherwise),
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


def _shown(value: object, nothing: object = attrs.NOTHING) -> str | None:
    return None if value is nothing else shorten(value)


def text_of(cls: type, width: int) -> str:
    """Return the description for people, in lines of this width if names allow it."""
    wrap = textwrap.TextWrapper(
        width, subsequent_indent=" " * 12, break_long_words=False, break_on_hyphens=False
    ).wrap
    lines = [f"{cls.__module__}:{cls.__qualname__}"]
    for method in describe(cls)["methods"]:
        lines.append(f"  {method['name']}  {method['file']}:{method['line']}")
        lines += wrap(f"    before  {method['signature_before']}")
        lines += wrap(f"    after   {method['signature_after']}")
        rows = [{**param, "attribute": f"self.{param['attribute']}"} for param in method["params"]]
        table = [
            [head, *("-" if row[name] is None else row[name] for row in rows)]
            for name, head in _COLUMNS.items()
            if name not in _RARE or any(row[name] is not None for row in rows)
        ]
        widths = [max(map(len, column)) + 2 for column in table]
        dropped: list[str] = []
        while sum(widths) + 2 > width and len(widths) > 1:
            widths.pop()
            dropped.insert(0, table.pop()[0])
        for row in zip(*table, strict=True):
            lines.append(f"    {''.join(map(str.ljust, row, widths))}".rstrip())
        if dropped:
            lines += wrap(f"    left out: {', '.join(dropped)}")
    return "\n".join(lines)


def _head_of(subject: Subject) -> str:
    code = subject.function.__code__
    return f"# {subject.cls.__qualname__}.{subject.name}, {code.co_filename}:{code.co_firstlineno}"


def source_of(subject: Subject) -> str:
    """Return the merge as the Python source that one would write by hand."""
    suspended = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    keyword = "async def" if subject.function.__code__.co_flags & suspended else "def"
    # The suffix has another number in each process, which tells nothing.
    lines = textwrap.indent(inline_source(subject, suffix=""), "    ")
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
