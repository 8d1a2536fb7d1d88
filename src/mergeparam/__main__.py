"""The command line, `mergeparam` or `python -m mergeparam`: a table of commands."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal
from mergeparam._cli import bench, show

if TYPE_CHECKING:
    from collections.abc import Sequence


COMMANDS = {
    "show": ("show what is merged in a class or a module", show.add_options, show.run),
    "bench": ("measure what the merge costs in a class", bench.add_options, bench.run),
}
"""The help of each command, what adds its options, and what runs it and returns the exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="mergeparam", description="Look at merged classes.")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (help_text, add_options, run) in COMMANDS.items():
        subparser = parsers.add_parser(name, help=help_text)
        subparser.set_defaults(run=run)
        add_options(subparser)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)  # type: ignore[no-any-return]  # as the table has it
    except Refusal as refusal:
        print(f"mergeparam: {refusal}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 2


if __name__ == "__main__":
    sys.exit(main())
