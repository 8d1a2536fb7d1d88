"""`mergeparam check`: the mistakes in merges, found without importing anything."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal
from mergeparam._static import check
from mergeparam._static.rules import load_rules

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

SCHEMA_VERSION, MANY = 1, 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take paths, and what to look for."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="file, folder, or - for stdin")
    for option in ("select", "ignore"):
        help_text = f"codes to {option}, or beginnings of them, with commas between: MP1,MP901"
        parser.add_argument(f"--{option}", metavar="CODES", help=help_text)
    parser.add_argument("--json", action="store_true", help="print the findings for machines")
    parser.add_argument("--statistics", action="store_true", help="print a count for each rule")
    parser.add_argument("--explain", metavar="CODE", help="say what a rule is about")


def run(options: argparse.Namespace) -> int:
    """Print what is found; 1 where there is something, 2 where a file could not be read."""
    if options.explain:
        rules, code = load_rules(), options.explain.upper()
        if code not in rules:
            raise Refusal(f"no rule has the code {options.explain!r}{check.near(code, rules)}")
        sys.stdout.write(str(rules[code]))
        return 0
    if not options.paths:
        raise Refusal("name a file or a folder to check, or - for standard input")
    findings, failures, count = [], [], 0
    try:
        settings = check.read_settings(Path(options.paths[0]).resolve())
        for option in ("select", "ignore"):
            if (codes := getattr(options, option)) is not None:
                given = tuple(codes.upper().replace(",", " ").split())
                settings = dataclasses.replace(settings, **{option: given})
    except check.SettingsError as error:
        raise Refusal(str(error)) from error
    for path in _follow([*check.find_files(options.paths, settings.exclude)]):
        try:
            findings += check.check_file(path, settings)
        except check.UNREADABLE as error:
            failures.append({"path": str(path), "error": " ".join(str(error).split())})
        count += 1
    findings.sort()
    if options.json:
        found = [finding._asdict() for finding in findings]
        result = {"version": SCHEMA_VERSION, "findings": found, "failures": failures}
        sys.stdout.write(f"{json.dumps(result, indent=2)}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(findings, count, options.statistics))
    for failure in failures:
        sys.stderr.write(f"mergeparam: {failure['path']} cannot be checked: {failure['error']}\n")
    return 2 if failures else int(bool(findings))


def _lines(findings: list[check.Finding], count: int, wants_statistics: bool) -> Iterable[str]:  # noqa: FBT001
    codes = collections.Counter(finding.code for finding in findings)
    yield from map(str, findings)
    if wants_statistics:
        yield from (
            f"{codes[code]:>5}  {code} {load_rules()[code].title}" for code in sorted(codes)
        )
    files = "1 file" if count == 1 else f"{count:,} files"
    places = "1 mistake" if len(findings) == 1 else f"{len(findings):,} mistakes"
    yield f"{places if findings else 'no mistake'} found in {files}"


def _follow(files: list[Path]) -> Iterable[Path]:
    """Show a bar on a terminal where there is much to do and Rich, of the extra `cli`, is there."""
    if len(files) < MANY or not sys.stderr.isatty() or not importlib.util.find_spec("rich"):
        return files
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    return track(files, "checking", console=Console(stderr=True), transient=True)
