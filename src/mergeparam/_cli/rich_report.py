"""The report for a terminal, with Rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from mergeparam._cli.report import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._cli.describe import ClassDescription, MethodDescription

_THEME = "ansi_dark"
"""The terminal's own colours, so that it reads on light and dark ones."""


def print_classes(classes: list[ClassDescription]) -> None:
    """Print a panel for each class."""
    console = Console()
    for cls in classes:
        parts = [part for method in cls.methods for part in _parts(method)]
        title = Text.assemble(f"{cls.module}:", (cls.name, "bold"))
        console.print(Panel(Group(*parts), title=title, title_align="left"))


def print_code(source: str) -> None:
    """Print source with its syntax in colours."""
    syntax = Syntax(source.rstrip("\n"), "python", theme=_THEME, background_color="default")
    Console().print(syntax)


def _parts(method: MethodDescription) -> Iterator[RenderableType]:
    yield Text.assemble((method.name, "bold"), (f"  {method.file}:{method.line}", "dim"))
    yield _signatures(method)
    yield _table(method)


def _signatures(method: MethodDescription) -> Table:
    grid = Table.grid(padding=(0, 2))
    for word, signature in (
        ("before", method.signature_before),
        ("after", method.signature_after),
    ):
        code = Syntax(
            signature, "python", theme=_THEME, background_color="default", word_wrap=True
        )
        grid.add_row(Text(f"  {word}", style="dim"), code)
    return grid


def _table(method: MethodDescription) -> Table:
    head, *body = rows(method)
    table = Table(*head, box=None, header_style="dim", padding=(0, 1))
    for name, *others in body:
        table.add_row(Text(name, style="bold green"), *map(Text, others))
    return table
