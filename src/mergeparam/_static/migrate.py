"""Move classes that merge by hand over to `@mergeable`: files in, changed files, a report out."""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from typing import TYPE_CHECKING, TypeAlias

import attrs

from mergeparam._static.check import check_source, find_files
from mergeparam._static.model import dotted, last_name
from mergeparam._static.rewrite import rewrite
from mergeparam._static.sites import Class, Source, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mergeparam._static.model import Call

Layers: TypeAlias = "dict[str, dict[str, dict[str, int]]]"
"""By class and method: where each merged parameter stands in a call."""

_LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules", "site-packages")


@attrs.define
class File:
    """A file that has been read, and the classes in it that are rewritten."""

    path: Path
    encoding: str
    source: Source
    chosen: list[Class]

    def diff(self, before: list[Class], after: list[Class]) -> str:
        """Return what rewriting some classes changes where others are rewritten already."""
        old, new = (
            rewrite(self.source, classes).splitlines(keepends=True) for classes in (before, after)
        )
        lines = difflib.unified_diff(old, new, str(self.path), str(self.path))
        no_end = "\n\\ No newline at end of file\n"
        return "".join(line if line.endswith("\n") else line + no_end for line in lines)

    def write(self) -> None:
        """Write the file with the classes rewritten that are to be."""
        self.path.write_bytes(rewrite(self.source, self.chosen).encode(self.encoding))


def find_sources(paths: Iterable[str]) -> Iterator[Path]:
    """Yield the Python files that are named, and those in the folders that are named."""
    return (path for path in find_files(paths, _LEFT_OUT) if path.suffix != ".pyi")


def read_file(path: Path, hoist: bool, even_if_wrong: bool) -> File:  # noqa: FBT001
    """Read a file, and decide which of its merges can be declared.

    Raises:
        OSError, SyntaxError, ValueError, RecursionError: it cannot be read, or is no Python.
    """
    data = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    source = read_source(data.decode(encoding), hoist=hoist)
    if not even_if_wrong and any(cls.converted for cls in source.classes):
        # A mistake that is declared stays one, and is harder to see.
        for finding in check_source(source.text, str(path)):
            for cls in source.classes:
                if cls.read.qualname == finding.class_name:
                    cls.refuse(
                        f"check finds {finding.code} in line {finding.line}: {finding.message}"
                    )
    chosen = [cls for cls in source.classes if cls.converted]
    rewrite(source, chosen)  # so that what cannot be written is known before anything is
    return File(path, encoding, source, chosen)


def choose(files: list[File], ask: Callable[[str, str], str]) -> None:
    """Ask for each class, with the difference that it makes, whether to rewrite it."""
    answer = ""
    for file in files:
        offered, file.chosen = file.chosen, []
        for cls in offered:
            diff = file.diff(file.chosen, [*file.chosen, cls])
            while answer not in {"a", "q"}:
                answer = ask(f"{cls.read.qualname} in {file.path}", diff)
                if answer in {"y", "n"}:
                    break
            if answer in {"y", "a"}:
                file.chosen.append(cls)


def report(files: list[File], is_written: bool) -> Iterator[str]:  # noqa: FBT001
    """Yield a line for each merge by hand, then who could drop a flag, then the counts."""
    total = converted = 0
    for file in files:
        found = [(site, cls) for cls in file.source.classes for site in cls.sites]
        for site, cls in (*found, *((site, None) for site in file.source.elsewhere)):
            name = f" {cls.read.qualname}.{site.method.name}" if cls and site.method else ""
            reason = site.reason or (None if cls in file.chosen else "it is not wanted")
            result = f"stays, since {reason}" if reason else "converted"
            yield f"{file.path}:{site.line}:{name} ({site.param}): {result}"
            total, converted = total + 1, converted + (not reason)
    if forwards := list(find_forwards(files)):
        yield "These methods only hand a flag on, and could drop it under `with provide(...)`:"
        yield from forwards
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    hint = "; --write changes them" if converted and not is_written else ""
    yield f"{converted} of {total} merges by hand converted, in {count}{hint}"


def find_forwards(files: Iterable[File]) -> Iterator[str]:
    """Yield a line for each method that takes a flag only to hand it on to rewritten classes."""
    layers: Layers = {}
    gone: set[int] = set()
    for cls in [cls for file in files for cls in file.chosen]:
        methods = layers.setdefault(cls.read.name, {})
        for method, merge in cls.converted:
            methods.setdefault(method.name, {})[merge.param] = [*method.params].index(merge.param)
            gone |= {id(node) for statement in merge.statements for node in ast.walk(statement)}
    flags = {flag for methods in layers.values() for params in methods.values() for flag in params}
    for file in files:
        for read in file.source.module.classes:
            for method in read.methods.values():
                taken = [name for name in method.params if name in flags]
                # Most methods take no flag, and this walks through the whole class.
                held = _held(file.source.owners[id(method.node)], layers) if taken else {}
                for flag in taken:
                    uses = [
                        a for a in method.accesses if a.name == flag and id(a.node) not in gone
                    ]
                    to = [_receiver(a.call, a.node, flag, held, layers) for a in uses]
                    if uses and all(to):
                        place = f"{file.path}:{method.node.lineno}: {read.qualname}.{method.name}"
                        yield f"  {place} ({flag}): to {', '.join(sorted({*map(str, to)}))}"


def _held(node: ast.ClassDef, layers: Layers) -> dict[str, str]:
    """Return the class of what each name holds in a class, where it is one that is rewritten."""
    held: dict[str, set[str]] = {}
    for inner in ast.walk(node):
        match inner:
            case ast.Assign(targets=[target], value=ast.Call(func=kind)):
                held.setdefault(dotted(target), set()).add(last_name(dotted(kind)))
            case ast.AnnAssign(target=target, annotation=kind):
                held.setdefault(f"self.{dotted(target)}", set()).add(dotted(kind))
    return {
        name: kinds.pop() for name, kinds in held.items() if len(kinds) == 1 and kinds <= {*layers}
    }


def _receiver(
    call: Call | None, node: ast.expr, flag: str, held: dict[str, str], layers: Layers
) -> str | None:
    """Return the rewritten class that a call hands the flag to, as that flag."""
    if call is None:
        return None
    # `Layer(...)(x, flag)`, `self.layer(x, flag)` and both with a method.
    function: ast.expr = call.node.func
    name = "__call__"
    if isinstance(function, ast.Attribute) and dotted(function) not in held:
        name, function = function.attr, function.value
    if isinstance(function, ast.Call):
        layer = last_name(dotted(function.func))
    else:
        layer = held.get(dotted(function), "")
    position = layers.get(layer, {}).get(name, {}).get(flag)
    if position is None:
        return None
    given = [*call.node.args[position : position + 1]]
    given += [word.value for word in call.node.keywords if word.arg == flag]
    return layer if node in given else None
