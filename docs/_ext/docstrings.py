"""Show text between backticks in docstrings as code, and public names as links.

Docstrings are mostly read in the source, so they contain no roles.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sphinx.pycode import ModuleAnalyzer

import mergeparam

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(\w?)")
_BEFORE_NAPOLEON = 400


def _as_rst(found: re.Match[str]) -> str:
    code, following = found.groups()
    name = code.removeprefix("mergeparam.")
    text = f":py:obj:`~mergeparam.{name}`" if name in mergeparam.__all__ else f"``{code}``"
    return f"{text}\\ {following}" if following else text


def _take_the_string_below(
    _app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Document a sentinel with the string below its name, not with its type's docstring."""
    if what == "data":
        below = ModuleAnalyzer.for_module("mergeparam._sentinels").find_attr_docs()
        lines[:] = below["", name.rpartition(".")[2]]


def _convert(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    in_example = False
    for number, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>> ") or (in_example and bool(line.strip()))
        if not in_example:
            lines[number] = _CODE.sub(_as_rst, line)


def setup(app: Sphinx) -> dict[str, object]:
    """Connect the two conversions to Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _take_the_string_below, priority=_BEFORE_NAPOLEON - 1)
    app.connect("autodoc-process-docstring", _convert, priority=_BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
