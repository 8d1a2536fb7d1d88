"""A directive that draws the house: which part of the package stands on which.

The floors are the layers of import-linter in pyproject.toml, which every change is checked
against, and the words are the first lines of the modules' docstrings. So the picture is true.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_WIDTH, _FLOOR, _ROOF = 360, 28, 46


def floors(root: Path) -> list[list[str]]:
    """Return the modules of each layer that there are, the highest layer first."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    written = [[name.strip(" ()") for name in layer.split("|")] for layer in layers]
    there = [[name for name in layer if _file(root, name).exists()] for layer in written]
    return [layer for layer in there if layer]


def _file(root: Path, name: str) -> Path:
    folder = root / "src" / "mergeparam" / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _summary(root: Path, name: str) -> str:
    text = ast.get_docstring(ast.parse(_file(root, name).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("`", "")


def picture(layers: list[list[str]]) -> str:
    """Return the house as SVG, in the colours of the page."""
    height = _ROOF + _FLOOR * len(layers) + 2
    parts = [f'<path class="roof" d="M10 {_ROOF}L{_WIDTH / 2} 4L{_WIDTH - 10} {_ROOF}Z"/>']
    words = [f'<text x="{_WIDTH / 2}" y="{_ROOF - 12}">mergeparam</text>']
    for number, layer in enumerate(layers):
        top, room = _ROOF + _FLOOR * number, (_WIDTH - 60) / len(layer)
        for place, name in enumerate(layer):
            left = 30 + room * place
            box = f'x="{left}" y="{top}" width="{room}" height="{_FLOOR}"'
            parts.append(f"<rect {box}/>")
            words.append(f'<text x="{left + room / 2}" y="{top + 19}">{name}</text>')
    return (
        f'<svg class="picture narrow" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>Each part imports only what is below it</title>"
        f'<g class="room">{"".join(parts)}</g>'
        f'<g class="code" text-anchor="middle">{"".join(words)}</g></svg>'
    )


class HouseDirective(SphinxDirective):
    """Show the picture, and what each room is for."""

    def run(self) -> list[nodes.Node]:
        """Return the picture and a list."""
        root = Path(self.env.srcdir).parent
        layers = floors(root)
        self.env.note_dependency(root / "pyproject.toml")
        lines = [f"- `{name}`: {_summary(root, name)}" for layer in layers for name in layer]
        drawn = nodes.raw("", picture(layers), format="html")
        return [drawn, *self.parse_text_to_nodes("\n".join(lines))]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive with Sphinx."""
    app.add_directive("house", HouseDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
