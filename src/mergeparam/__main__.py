"""The command line, `mergeparam` or `python -m mergeparam`: a table of commands."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._bench import Refusal
from mergeparam._cli import bench, show

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Command(NamedTuple):
    """A command: `run` gets the options and returns the exit code."""

    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = {
    "show": Command("show what is merged in a class or a module", show.add_options, show.run),
    "bench": Command("measure what the merge costs in a class", bench.add_options, bench.run),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="mergeparam", description="Look at merged classes.")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = parsers.add_parser(name, help=command.help)
        subparser.set_defaults(run=command.run)
        command.add_options(subparser)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)  # type: ignore[no-any-return]  # as the table has it
    except Refusal as refusal:
        print(f"mergeparam: {refusal}", file=sys.stderr)  # noqa: T201 - a command line prints
        return 2


if __name__ == "__main__":
    sys.exit(main())
