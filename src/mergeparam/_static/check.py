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

from mergeparam._static.merges import ORIGINS
from mergeparam._static.model import read_module
from mergeparam._static.rules import Context, check_class, load_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mergeparam._static.rules import Rule

MERGE_FUNCTIONS = frozenset(ORIGINS)
FLAGS = frozenset(
    {
        *("train", "training", "is_training", "is_train", "eval", "is_eval", "eval_mode"),
        *("test", "is_test", "inference", "deterministic", "use_running_average", "decode"),
        *("enable_dropout",),
    }
)
EXCLUDED = (
    *("tests", "test", "testing", "test_*.py", "*_test.py", "conftest.py"),
    *(".*", "__pycache__", "build", "node_modules", "venv"),
)
"""Tests do on purpose what is a mistake elsewhere."""

STDIN = Path("-")
UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError)

_NOQA = re.compile(r"#\s*noqa\b(?P<codes>\s*:.*)?", re.IGNORECASE)


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
    module, codes, rules = (
        read_module(tree, settings.merge_functions),
        settings.codes,
        load_rules(),
    )
    found = {
        Finding(
            filename,
            hit.node.lineno,  # type: ignore[attr-defined]  # every node of a hit has a place
            hit.node.col_offset + 1,  # type: ignore[attr-defined]
            hit.code,
            rules[hit.code].message.format(**hit.facts),
            cls.qualname,
        )
        for cls in module.classes
        for hit in check_class(Context(module, cls, settings.flags))
        if hit.code in codes
    }
    silenced = _read_noqa(source) if found else {}
    return sorted(
        finding
        for finding in found
        if not silenced.get(finding.line, set()) & {finding.code, "all"}
    )


def _read_noqa(source: str) -> dict[int, set[str]]:
    """Return what `# noqa` comments silence, by line; a bare one silences all.

    A statement of several lines is one line to them, as it is to other linters.
    """
    silenced: dict[int, set[str]] = {}
    first, codes = 0, set[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (found := _NOQA.search(token.string)):
            named = found["codes"]
            codes |= {"all"} if named is None else {*re.findall(r"[A-Z]+[0-9]+\b", named.upper())}
        elif token.type == tokenize.NEWLINE:
            silenced |= {line: {*codes} for line in range(first, token.end[0] + 1)}
            first, codes = 0, set()
        elif token.type == tokenize.NL and not first:
            codes = set()  # a comment with a line of its own
        elif token.type not in {tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT}:
            first = first or token.start[0]
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
    try:
        inside = [*folder.iterdir()]
    except OSError:
        yield folder  # reading it will say why
        return
    for path in inside:
        names = (path.name, path.relative_to(root).as_posix())
        if any(
            fnmatch.fnmatch(name, pattern.rstrip("/")) for name in names for pattern in exclude
        ):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root, exclude)
        elif path.suffix in {".py", ".pyi"} and path.is_file():
            yield path


def find_rule(code: str) -> Rule:
    """Return the rule of a code."""
    if code.upper() not in load_rules():
        raise SettingsError(f"no rule has the code {code!r}{near(code.upper(), load_rules())}")
    return load_rules()[code.upper()]


def read_settings(path: Path, select: str | None = None, ignore: str | None = None) -> Settings:
    """Return the settings of the `pyproject.toml` nearest to a path; codes given come first."""
    settings = Settings()
    for folder in (path.resolve(), *path.resolve().parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text("utf-8"))
                settings = _settings_from(table.get("tool", {}).get("mergeparam", {}))
            except (OSError, ValueError, AttributeError) as error:
                raise SettingsError(f"{file}: {error}") from error
            break
    for option, codes in (("select", select), ("ignore", ignore)):
        if codes is not None:
            given: Any = {option: tuple(codes.upper().replace(",", " ").split())}
            settings = dataclasses.replace(settings, **given)
    return settings


def _settings_from(tables: dict[str, Any]) -> Settings:
    known = {field.name.replace("_", "-"): field.name for field in dataclasses.fields(Settings)}
    given: dict[str, Any] = {}
    for key in tables.keys() - {"check", "migrate"}:
        raise SettingsError(f"[tool.mergeparam] has no {key!r}{near(key, ['check'])}")
    for key, value in tables.get("check", {}).items():
        if key not in known:
            raise SettingsError(f"[tool.mergeparam.check] has no {key!r}{near(key, known)}")
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"[tool.mergeparam.check] {key} is {value!r}, not a list of texts")
        # Names of functions and flags come to those that are known.
        more = {"merge-functions": MERGE_FUNCTIONS, "flags": FLAGS}.get(key)
        given[known[key]] = tuple(value) if more is None else more | {*value}
    return Settings(**given)


def check_file(path: Path, settings: Settings) -> list[Finding]:
    """Return what is wrong in a file, in the encoding that it declares; `-` is standard input.

    Raises:
        OSError, SyntaxError, ValueError, RecursionError: it cannot be read, or is no Python.
    """
    data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    source = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    return check_source(source, str(path), settings)
