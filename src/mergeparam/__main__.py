# PYTHON_ARGCOMPLETE_OK
"""The command line, `mergeparam` or `python -m mergeparam`: a table of commands."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import mergeparam
from mergeparam._bench import Refusal
from mergeparam._cli import bench, check, migrate, show

if TYPE_CHECKING:
    from collections.abc import Sequence


COMMANDS = {
    "show": ("show what is merged in classes", show.add_options, show.run),
    "bench": ("measure what the merge costs in a class", bench.add_options, bench.run),
    "check": ("find mistakes in merges, by hand or declared", check.add_options, check.run),
    "migrate": ("move merges by hand over to @mergeable", migrate.add_options, migrate.run),
}
"""The help of each command, what adds its options, and what runs it and returns the exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    description = "Show, measure, check and declare merges."
    parser = argparse.ArgumentParser(prog="mergeparam", description=description)
    version = getattr(mergeparam, "__version__", "that is not installed")
    parser.add_argument("--version", action="version", version=f"mergeparam {version}")
    parsers = parser.add_subparsers(metavar="COMMAND")
    for name, (help_text, add_options, run) in COMMANDS.items():
        subparser = parsers.add_parser(name, help=help_text)
        subparser.set_defaults(run=run)
        add_options(subparser)
    # The shell asks with this variable; see argcomplete, which the extra `cli` installs.
    if "_ARGCOMPLETE" in os.environ and importlib.util.find_spec("argcomplete"):
        import argcomplete  # noqa: PLC0415

        argcomplete.autocomplete(parser)
    options = parser.parse_args(arguments)
    if "run" not in options:
        # A script that names no command has a mistake, so this is no success.
        parser.print_help(sys.stderr)
        return 2
    try:
        return options.run(options)  # type: ignore[no-any-return]  # as the table has it
    except Refusal as refusal:
        print(f"mergeparam: {refusal}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 2


if __name__ == "__main__":
    sys.exit(main())
