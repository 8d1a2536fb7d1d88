"""`mergeparam migrate`: move classes that merge by hand over to `@mergeable`."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal
from mergeparam._cli.terminal import has_colours
from mergeparam._static.check import UNREADABLE

if TYPE_CHECKING:
    import argparse

OPTIONS = {
    "write": "change the files; without it, print what would change",
    "interactive": "show the change of each class, ask, and write those that are wanted",
    "hoist": "move a merge up over statements that do not mention its parameter",
    "even-if-wrong": "convert classes in which `mergeparam check` finds a mistake, too",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take paths, and what may be done with them."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="file or folder")
    for option, help_text in OPTIONS.items():
        parser.add_argument(f"--{option}", action="store_true", help=help_text)


def run(options: argparse.Namespace) -> int:
    """Print or write the changes; 1 where there are any, 2 where a file could not be read."""
    if importlib.util.find_spec("libcst") is None:
        raise Refusal("migrate needs LibCST: pip install 'mergeparam[migrate]'")
    from mergeparam._static import migrate  # noqa: PLC0415 - needs the extra

    files, failures = [], []
    for path in migrate.find_sources(options.paths):
        try:
            files.append(migrate.read_file(path, options.hoist, options.even_if_wrong))
        except UNREADABLE as error:
            failures.append(f"mergeparam: {path} cannot be read: {' '.join(str(error).split())}")
    if options.interactive:
        migrate.choose(files, _ask)
    is_written = options.write or options.interactive
    for file in [file for file in files if file.chosen]:
        if is_written:
            file.write()
        else:
            _print(file.diff([], file.chosen))
    sys.stderr.writelines(f"{line}\n" for line in (*migrate.report(files, is_written), *failures))
    return 2 if failures else int(any(file.chosen for file in files))


def _ask(what: str, diff: str) -> str:
    _print(diff)
    sys.stdout.write(f"Convert {what}? [y]es, [n]o, [a]ll that follow, [q]uit: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower()[:1] or "q"


def _print(diff: str) -> None:
    """Print a difference."""
    if has_colours():
        from rich.console import Console  # noqa: PLC0415
        from rich.syntax import Syntax  # noqa: PLC0415

        Console().print(Syntax(diff, "diff", theme="ansi_dark", background_color="default"))
    else:
        sys.stdout.write(diff)
