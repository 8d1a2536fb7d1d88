"""Run each type checker on the samples, and read its output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Said: TypeAlias = tuple[str, int, str]
"""One diagnostic: a file, a line, and `error` or `revealed: ` with a type."""
HAS_ERRORS = 1
"""The exit code of all checkers if, and only if, they have found errors."""


class Checker(NamedTuple):
    """A type checker: its arguments, and a reader of its output."""

    name: str
    arguments: tuple[str, ...]
    read: Callable[[str], Iterator[Said]]

    def check(self, folder: Path) -> Iterator[Said]:
        """Check a folder, with the packages of this environment."""
        done = run(self.name, *self.arguments, folder=folder)
        if done.returncode != HAS_ERRORS:
            raise RuntimeError(done.stdout + done.stderr)
        return self.read(done.stdout)


def run(name: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a checker of this environment; its subprocesses find this environment first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def plain(written: str) -> str:
    """Return a type without module names, with unions in alphabetical order."""
    names = re.sub(r"\b(?:\w+\.)+(?=\w)", "", written)
    return names if "[" in names else " | ".join(sorted(names.split(" | ")))


def _read_mypy(output: str) -> Iterator[Said]:
    for item in map(json.loads, output.splitlines()):
        revealed = re.match(r'Revealed type is "(.*)"$', item["message"])
        yield _said(item["file"], item["line"], revealed)


def _read_pyright(output: str) -> Iterator[Said]:
    for item in json.loads(output)["generalDiagnostics"]:
        is_error = "rule" in item
        revealed = None if is_error else re.match(r'Type of ".*" is "(.*)"$', item["message"])
        yield _said(item["file"], item["range"]["start"]["line"] + 1, revealed)


def _read_pyrefly(output: str) -> Iterator[Said]:
    for item in json.loads(output)["errors"]:
        revealed = re.match(r"revealed type: (.*)$", item["description"])
        yield _said(item["path"], item["line"], revealed)


def _read_ty(output: str) -> Iterator[Said]:
    for item in json.loads(output):
        place = item["location"]
        revealed = re.match(r"revealed-type: Revealed type: `(.*)`$", item["description"])
        yield _said(place["path"], place["positions"]["begin"]["line"], revealed)


def _said(file: str, line: int, revealed: re.Match[str] | None) -> Said:
    """Return a diagnostic; the checkers word everything but revealed types differently."""
    text = "error" if revealed is None else f"revealed: {plain(revealed[1])}"
    return Path(file).name, line, text


CHECKERS = (
    Checker(
        "mypy",
        ("--strict", "--config-file=", "--cache-dir", os.devnull, "--output=json", "."),
        _read_mypy,
    ),
    Checker(
        "pyright",
        ("--project", ".", "--pythonpath", sys.executable, "--outputjson"),
        _read_pyright,
    ),
    Checker(
        "pyrefly",
        (
            *("check", "--preset=strict", "--min-severity=info", "--output-format=json"),
            *("--python-interpreter-path", sys.executable, "."),
        ),
        _read_pyrefly,
    ),
    Checker(
        "ty",
        ("check", "--python", sys.executable, "--output-format=gitlab", "."),
        _read_ty,
    ),
)
