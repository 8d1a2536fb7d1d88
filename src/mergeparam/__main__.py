"""The command line: `mergeparam show TARGET` and `mergeparam bench TARGET`.

`python -m mergeparam` is the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import sys
from typing import TYPE_CHECKING

from mergeparam._cli import bench, report
from mergeparam._cli.describe import describe
from mergeparam._cli.refusal import Refusal
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
        options.run(load(options.target), options)
    except (TargetError, Refusal) as error:
        print(f"mergeparam: {error}", file=sys.stderr)  # noqa: T201 - a command line prints
        return WRONG_TARGET
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mergeparam", description="Look at merged classes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_show(commands.add_parser("show", help="show what is merged in a class or a module"))
    _add_bench(commands.add_parser("bench", help="measure what the merge costs in a class"))
    return parser


def _add_show(show: argparse.ArgumentParser) -> None:
    show.set_defaults(run=_show)
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


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=bench.run)
    command.add_argument("target", metavar="TARGET", help=_TARGET_HELP)
    command.add_argument("--method", help="the method, where several are merged")
    command.add_argument("--setup", metavar="CODE", help="statements before it: layer = Dropout()")
    command.add_argument("--call", metavar="EXPRESSION", help="what is measured: layer(x)")
    command.add_argument("--fast", action="store_true", help="take less time, less exact")
    command.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write all values, as pyperf has them"
    )
    command.add_argument(
        "--plot", type=pathlib.Path, metavar="FILE", help="draw a chart: .svg, .png, .pdf"
    )


def _show(classes: list[type], options: argparse.Namespace) -> None:
    _print([describe(cls) for cls in classes], options.form)


def _print(classes: list[ClassDescription], form: str | None) -> None:
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
