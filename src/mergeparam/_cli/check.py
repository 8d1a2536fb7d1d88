"""`mergeparam check`: the mistakes in merges, found without importing anything."""

from __future__ import annotations

import collections
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal
from mergeparam._static import check, rules

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

SCHEMA_VERSION, MANY = 1, 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take paths, and what to look for."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="file, folder, or - for stdin")
    for option in ("select", "ignore"):
        help_text = f"codes to {option}, or beginnings of codes: MP1,MP901"
        parser.add_argument(f"--{option}", metavar="CODES", help=help_text)
    parser.add_argument("--json", action="store_true", help="print the findings for machines")
    parser.add_argument("--statistics", action="store_true", help="print a count for each rule")
    parser.add_argument("--explain", metavar="CODE", help="say what a rule is about")


def run(options: argparse.Namespace) -> int:
    """Print what is found; 1 where there is something, 2 where a file could not be read."""
    try:
        if options.explain:
            sys.stdout.write(f"{check.find_rule(options.explain)}")
            return 0
        if not options.paths:
            raise Refusal("name a file or a folder to check, or - for standard input")
        settings = check.read_settings(Path(options.paths[0]), options.select, options.ignore)
    except check.SettingsError as error:
        raise Refusal(str(error)) from error
    files = [*check.find_files(options.paths, settings.exclude)]
    if not files:
        raise Refusal(f"there is no Python file to check in {', '.join(options.paths)}")
    findings: list[check.Finding] = []
    failures: dict[str, str] = {}
    for path in _follow(files):
        try:
            findings += check.check_file(path, settings)
        except check.UNREADABLE as error:
            failures[str(path)] = " ".join(str(error).split())
    findings.sort()
    lines = [*map(str, findings)]
    if options.statistics:
        counted = sorted(collections.Counter(finding.code for finding in findings).items())
        lines += [
            f"{count:>5}  {code} {rules.load_rules()[code].title}" for code, count in counted
        ]
    count = len(files) - len(failures)
    mistakes = f"{len(findings):,} mistake{'s' * (len(findings) != 1)}"
    lines.append(f"{mistakes} found in {count:,} file{'s' * (count != 1)}")
    found = [finding._asdict() for finding in findings]
    result = {"version": SCHEMA_VERSION, "findings": found, "failures": failures}
    sys.stdout.write((json.dumps(result, indent=2) if options.json else "\n".join(lines)) + "\n")
    for name, reason in failures.items():
        sys.stderr.write(f"mergeparam: {name} cannot be checked: {reason}\n")
    return 2 if failures else int(bool(findings))


def _follow(files: list[Path]) -> Iterable[Path]:
    """Show a bar on a terminal where there is much to do, with Rich, of the extra `cli`."""
    if len(files) < MANY or not sys.stderr.isatty() or not importlib.util.find_spec("rich"):
        return files
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    return track(files, "checking", console=Console(stderr=True), transient=True)
