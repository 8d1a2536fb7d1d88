"""Rewrite classes to `@mergeable`, and leave everything else in the file as it is written."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from mergeparam._static.merges import ORIGINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeparam._static.merges import Merge
    from mergeparam._static.sites import Class, Source

_PUBLIC = ("MERGED", "Param", "mergeable")
_WIDTH = 88
_PRAGMA = re.compile(r"#\s*(type:|noqa|pylint:|pytype:|pyright:|mypy:|fmt:|pragma:)")
"""Comments that say something about their own line to a tool."""


def rewrite(source: Source, classes: Sequence[Class]) -> str:
    """Return the text of a file in which the merges of these classes are declared.

    Raises:
        SyntaxError: LibCST does not know the syntax, or finds a class at another line.
    """
    if not classes:
        return source.text
    # Where the file has other things under our names, ours are written with the module's.
    is_free = all(
        source.imports.get(name, f"mergeparam.{name}") == f"mergeparam.{name}"
        and name not in source.module.bound
        for name in _PUBLIC
    )
    qualifier = "" if is_free else "mergeparam."
    rewriter = _Rewriter(classes, qualifier)
    try:
        wrapper = MetadataWrapper(cst.parse_module(source.text), unsafe_skip_copy=True)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message) from error
    module = wrapper.visit(rewriter)
    # A class that is written in an odd way must not be changed by half.
    if left := sorted({*rewriter.classes, *rewriter.merges}):
        raise SyntaxError(
            f"the name must stand on the line of `class` and `def`, in line {left[0]}"
        )

    context = CodemodContext()
    converted = [merge for cls in classes for _, merge in cls.converted]
    needs_param = any(merge.argument("self").startswith("Param(") for merge in converted)
    for name in _PUBLIC:
        if name != "Param" or needs_param:
            AddImportsVisitor.add_needed_import(context, "mergeparam", name if is_free else None)
    module = AddImportsVisitor(context).transform_module(module)
    # An import that these merges alone have used goes with them.
    idle = _used_names(source.tree) - _used_names(ast.parse(module.code))
    return module.visit(_ImportRemover(idle)).code


def _used_names(tree: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}


class _Rewriter(cst.CSTTransformer):
    """Declares merges. It finds classes, functions and statements by the lines they begin on."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, classes: Sequence[Class], qualifier: str) -> None:
        super().__init__()
        self.qualifier, self.step = qualifier, "    "
        self.classes = {cls.node.lineno: cls for cls in classes}
        self.merges: dict[int, list[Merge]] = {}
        for method, merge in [found for cls in classes for found in cls.converted]:
            self.merges.setdefault(method.node.lineno, []).append(merge)

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802 - libcst calls it so
        self.step = node.default_indent

    def leave_ClassDef(self, original: cst.ClassDef, updated: cst.ClassDef) -> cst.ClassDef:  # noqa: N802
        """Put the declaration on top of a class."""
        cls = self.classes.pop(self._line(original.name), None)
        if cls is None:
            return updated
        texts = _declarations(cls, self.qualifier, self.step)
        decorators = [cst.Decorator(cst.parse_expression(text)) for text in texts]
        return updated.with_changes(decorators=[*decorators, *updated.decorators])

    def leave_FunctionDef(  # noqa: N802
        self, original: cst.FunctionDef, updated: cst.FunctionDef
    ) -> cst.FunctionDef:
        """Change defaults to `MERGED`, and take the merges out of the body."""
        merges = self.merges.pop(self._line(original.name), [])
        if not merges:
            return updated
        names = {merge.param for merge in merges}
        merged = cst.parse_expression(f"{self.qualifier}MERGED")
        params = {
            kind: [
                param.with_changes(default=merged) if param.name.value in names else param
                for param in getattr(updated.params, kind)
            ]
            for kind in ("posonly_params", "params", "kwonly_params")
        }
        lines = {node.lineno for merge in merges for node in merge.statements}
        body = self._without(lines, original.body, updated.body)
        if body is None:
            body = updated.body.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])
        return updated.with_changes(params=updated.params.with_changes(**params), body=body)

    def _line(self, node: cst.CSTNode) -> int:
        return int(self.get_metadata(PositionProvider, node).start.line)

    def _without(
        self, lines: set[int], original: cst.BaseSuite, updated: cst.BaseSuite
    ) -> cst.BaseSuite | None:
        """Return a block without the statements on these lines; nothing if none is left.

        Comments stay, and so does one blank line where there was any.
        """
        if not isinstance(original, cst.IndentedBlock) or not isinstance(
            updated, cst.IndentedBlock
        ):
            return updated
        kept: list[Any] = []
        comments: list[cst.EmptyLine] = []
        gap: list[cst.EmptyLine] | None = None
        statement: Any
        for before, statement in zip(original.body, updated.body, strict=True):
            reduced = statement
            if isinstance(before, cst.If):
                reduced = self._condition(lines, before, statement)
            if reduced is None or self._line(before) in lines:
                blank = [line for line in statement.leading_lines if line.comment is None]
                gap = blank if gap is None else gap
                comments += _comments(statement)
                continue
            if gap is not None:
                above = [*comments, *reduced.leading_lines]
                while above and not kept and above[0].comment is None:
                    del above[0]
                if kept and (not above or above[0].comment is not None):
                    above = [*gap, *above]
                reduced = reduced.with_changes(leading_lines=above)
            kept.append(reduced)
            comments, gap = [], None
        if not kept:
            return None
        return updated.with_changes(body=kept, footer=[*comments, *updated.footer])

    def _condition(self, lines: set[int], original: cst.If, updated: cst.If) -> cst.If | None:
        """Return a condition without the statements on these lines; nothing if none is left."""
        body = self._without(lines, original.body, updated.body)
        other = updated.orelse
        if isinstance(other, cst.Else) and isinstance(original.orelse, cst.Else):
            block = self._without(lines, original.orelse.body, other.body)
            other = None if block is None else other.with_changes(body=block)
        if body is None and other is None:
            return None
        if body is None:
            body = updated.body.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])
        return updated.with_changes(body=body, orelse=other)


def _comments(node: cst.CSTNode) -> list[cst.EmptyLine]:
    """Return the comments at and in a statement, each on a line of its own."""
    found: list[cst.EmptyLine] = []

    class Collector(cst.CSTVisitor):
        def visit_Comment(self, node: cst.Comment) -> None:  # noqa: N802
            if not _PRAGMA.match(node.value):
                found.append(cst.EmptyLine(comment=node))

    node.visit(Collector())
    return found


def _declarations(cls: Class, qualifier: str, step: str) -> list[str]:
    """Return the decorators that declare the merges of a class, without their `@`."""
    methods = {method.name: method for method, _ in cls.converted}
    arguments: dict[str, list[str]] = {name: [] for name in methods}
    merged: dict[str, set[str]] = {name: set() for name in methods}
    for method, merge in cls.converted:
        arguments[method.name].append(merge.argument(method.receiver, qualifier))
        merged[method.name].add(merge.param)
    # One declaration serves if it names no parameter that a listed method has and does not merge.
    everything = list(dict.fromkeys(text for texts in arguments.values() for text in texts))
    params = set[str]().union(*merged.values())
    serves = len(params) == len(everything) and all(
        {*method.params} & params == merged[name] for name, method in methods.items()
    )
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, texts in arguments.items():
        groups.setdefault(tuple(everything if serves else texts), []).append(name)

    indent, declared = " " * cls.node.col_offset, []
    for given, names in groups.items():
        parts = list(given)
        if names != ["__call__"]:
            listed = ", ".join(f'"{name}"' for name in names)
            parts.append(f"method={listed if len(names) == 1 else f'({listed})'}")
        text = f"{qualifier}mergeable({', '.join(parts)})"
        if len(f"{indent}@{text}") > _WIDTH:
            lines = "".join(f"\n{indent}{step}{part}," for part in parts)
            text = f"{qualifier}mergeable({lines}\n{indent})"
        declared.append(text)
    return declared


class _ImportRemover(cst.CSTTransformer):
    """Removes the imports of functions that merge, by names that nothing uses any more."""

    def __init__(self, idle: set[str]) -> None:
        super().__init__()
        self.idle = idle

    def leave_ImportFrom(  # noqa: N802
        self,
        original: cst.ImportFrom,  # noqa: ARG002
        updated: cst.ImportFrom,
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        """Leave out the names, and the whole import if none is left."""
        if isinstance(updated.names, cst.ImportStar):
            return updated
        kept = [
            alias
            for alias in updated.names
            if alias.evaluated_name not in ORIGINS
            or (alias.evaluated_alias or alias.evaluated_name) not in self.idle
        ]
        if len(kept) == len(updated.names):
            return updated
        if not kept:
            return cst.RemoveFromParent()
        # What stood after the last name stands after the new last one, but for a comment.
        comma, own = updated.names[-1].comma, kept[-1].comma
        if isinstance(comma, cst.Comma) and isinstance(own, cst.Comma):
            after, before = comma.whitespace_after, own.whitespace_after
            if isinstance(after, cst.ParenthesizedWhitespace) and isinstance(before, type(after)):
                after = after.with_changes(first_line=before.first_line)
            comma = comma.with_changes(whitespace_after=after)
        kept[-1] = kept[-1].with_changes(comma=comma)
        return updated.with_changes(names=kept)
