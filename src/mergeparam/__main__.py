"""The command line: `mergeparam show TARGET`, or `python -m mergeparam show TARGET`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from mergeparam._cli import report
from mergeparam._cli.describe import describe
from mergeparam._cli.target import TargetError, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeparam._cli.describe import ClassDescription

WRONG_TARGET = 2

_TARGET_HELP = "module, module:Class, path/to/file.py or path/to/file.py:Class"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        classes = load(options.target)
    except TargetError as error:
        print(f"mergeparam: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return WRONG_TARGET
    _show([describe(cls) for cls in classes], options.form)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mergeparam", description="Look at merged classes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="show what is merged in a class or a module")
    show.add_argument("target", metavar="TARGET", help=_TARGET_HELP)
    forms = show.add_mutually_exclusive_group()
    for form, help_text in (
        ("json", "the same for machines"),
        ("source", "the merge as Python source"),
        ("bytecode", "the disassembly, with the spliced part marked"),
    ):
        forms.add_argument(
            f"--{form}", dest="form", action="store_const", const=form, help=help_text
        )
    return parser


def _show(classes: list[ClassDescription], form: str | None) -> None:
    match form:
        case "json":
            _write(report.as_json(classes))
        case "bytecode":
            _write(report.as_bytecode(classes))
        case "source" if not _is_colourful():
            _write(report.as_source(classes))
        case None if not _is_colourful():
            _write(report.as_text(classes))
        case _:
            from mergeparam._cli import rich_report  # noqa: PLC0415 - an extra

            if form == "source":
                rich_report.print_code(report.as_source(classes))
            else:
                rich_report.print_classes(classes)


def _write(text: str) -> None:
    sys.stdout.write(text)


def _is_colourful() -> bool:
    """Whether to use Rich: it is installed, and the output is a terminal that wants colours."""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return wanted and importlib.util.find_spec("rich") is not None


if __name__ == "__main__":
    sys.exit(main())
