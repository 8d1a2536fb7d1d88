"""Check files for mistakes in merges: settings, files, `# noqa` comments, findings."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import fnmatch
import io
import re
import sys
import tokenize
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mergeparam._static.model import read_module
from mergeparam._static.rules import Context, check_class, load_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MERGE_FUNCTIONS = frozenset({"merge_param", "first_from"})
FLAGS = frozenset(
    {
        *("train", "training", "is_training", "is_train", "eval", "is_eval", "eval_mode"),
        *("test", "is_test", "inference", "deterministic", "use_running_average", "decode"),
        *("enable_dropout",),
    }
)
EXCLUDED = (
    "tests",
    "test",
    "testing",
    "test_*.py",
    "*_test.py",
    "conftest.py",
    ".*",
    "build",
    "*.egg-info",
    "node_modules",
    "venv",
    "__pycache__",
)
"""Tests do on purpose what is a mistake elsewhere."""

STDIN = Path("-")
UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError)

_NOQA = re.compile(
    r"#\s*noqa(?P<codes>\s*:\s*[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*)?", re.IGNORECASE
)


class SettingsError(ValueError):
    """A setting, a code or an option that cannot be used; the text is one line for the user."""


@dataclass(frozen=True)
class Settings:
    """What to look for, and where: `[tool.mergeparam.check]` of `pyproject.toml`.

    Args:
        select: codes, or beginnings of them; without any, the rules that are on by default.
        ignore: codes, or beginnings of them, that are left out.
        exclude: names of files and folders, or paths, that are left out of a folder.
        merge_functions: names of functions that merge.
        flags: names of attributes and parameters that switch a mode.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = EXCLUDED
    merge_functions: frozenset[str] = MERGE_FUNCTIONS
    flags: frozenset[str] = FLAGS

    def __post_init__(self) -> None:
        """Refuse codes that no rule has."""
        for code in (*self.select, *self.ignore):
            if not any(known.startswith(code) for known in load_rules()):
                raise SettingsError(f"no rule has the code {code!r}{near(code, load_rules())}")

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the rules that are on."""
        chosen = {
            code
            for code, rule in load_rules().items()
            if (code.startswith(self.select) if self.select else rule.is_default)
        }
        return frozenset(code for code in chosen if not code.startswith(self.ignore or ("-",)))


class Finding(NamedTuple):
    """A mistake that was found; findings sort by place."""

    path: str
    line: int
    column: int
    code: str
    message: str
    class_name: str | None = None

    def __str__(self) -> str:
        """Return the line that is printed."""
        return f"{self.path}:{self.line}:{self.column}: {self.code} {self.message}"


def near(name: str, known: Iterable[str]) -> str:
    """Return a question for a name that nearly matches, or nothing."""
    matches = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def check_source(source: str, filename: str, settings: Settings | None = None) -> list[Finding]:
    """Return what is wrong in the source of a module, sorted by place.

    Raises:
        SyntaxError: it is no Python, or of a newer version than the one that runs.
    """
    settings = settings or Settings()
    # Compiling warns of `"\d"` and the like, which is not our subject.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source, filename)
    module, codes = read_module(tree, settings), settings.codes
    found = {
        Finding(
            filename,
            hit.node.lineno,  # type: ignore[attr-defined]  # every node of a hit has a place
            hit.node.col_offset + 1,  # type: ignore[attr-defined]
            hit.code,
            hit.message,
            cls.qualname,
        )
        for cls in module.classes
        for hit in check_class(Context(module, cls, settings))
        if hit.code in codes
    }
    silenced = _read_noqa(source) if found else {}
    return sorted(
        finding
        for finding in found
        if finding.code not in silenced.get(finding.line, ())
        and "all" not in silenced.get(finding.line, ())
    )


def _read_noqa(source: str) -> dict[int, set[str]]:
    """Return what `# noqa` comments silence, by line; a bare one silences all.

    A statement of several lines is one line to them, as it is to other linters.
    """
    silenced: dict[int, set[str]] = {}
    first, codes = 0, set[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        first = first or token.start[0]
        if token.type == tokenize.COMMENT and (match := _NOQA.search(token.string)):
            named = match["codes"]
            codes |= {*re.findall(r"[A-Z]+[0-9]+", named.upper())} if named else {"all"}
        elif token.type in {tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER}:
            if token.type == tokenize.NL and token.line.strip():
                continue
            for line in range(first, token.end[0] + 1):
                silenced.setdefault(line, set()).update(codes)
            first, codes = 0, set()
    return silenced


def find_files(paths: Iterable[str], exclude: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files that are named, and those in the folders that are named, each once."""
    seen: set[Path] = set()
    for text in paths:
        path = Path(text)
        found = sorted(_walk(path, path, exclude)) if path.is_dir() else [path]
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _walk(folder: Path, root: Path, exclude: tuple[str, ...]) -> Iterator[Path]:
    for path in folder.iterdir():
        names = (path.name, path.relative_to(root).as_posix())
        if any(
            fnmatch.fnmatch(name, pattern.rstrip("/")) for name in names for pattern in exclude
        ):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root, exclude)
        elif path.suffix in {".py", ".pyi"} and path.is_file():
            yield path


def read_settings(folder: Path) -> Settings:
    """Return the settings of the nearest `pyproject.toml`, upwards from a folder."""
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text("utf-8"))
                found = table.get("tool", {}).get("mergeparam", {}).get("check", {})
            except (OSError, ValueError, AttributeError) as error:
                raise SettingsError(f"{file}: {error}") from error
            return _settings_from(found, str(file))
    return Settings()


def _settings_from(table: dict[str, Any], file: str) -> Settings:
    known = {field.name.replace("_", "-"): field for field in dataclasses.fields(Settings)}
    given: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{file}: [tool.mergeparam.check]"
        if key not in known:
            raise SettingsError(f"{place} has no setting {key!r}{near(key, known)}")
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{place} {key} is {value!r}; it has to be a list of texts")
        name = known[key].name
        # Names of functions and flags come to those that are known.
        is_set = isinstance(known[key].default, frozenset)
        given[name] = known[key].default | {*value} if is_set else tuple(value)
    try:
        return Settings(**given)
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from error


def check_file(path: Path, settings: Settings) -> list[Finding]:
    """Return what is wrong in a file, in the encoding that it declares; `-` is standard input.

    Raises:
        OSError, SyntaxError, ValueError, RecursionError: it cannot be read, or is no Python.
    """
    data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    source = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    return check_source(source, str(path), settings)
