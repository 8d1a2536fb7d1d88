"""The examples in the docstrings run, and every public name has one."""

import ast
from pathlib import Path

import pytest

import mergeparam

pytest.importorskip("sybil", reason="Sybil, which finds the examples, is not installed")

from runnable import docstrings, parse_docstring, run

PACKAGE = Path(mergeparam.__file__).parent
FOUND = [
    pytest.param(path, line, text, id=f"{path.relative_to(PACKAGE)}:{line}")
    for path in sorted(PACKAGE.rglob("*.py"))
    for line, text in docstrings(path)
]


@pytest.mark.parametrize(("path", "line", "text"), FOUND)
def test_examples(path, line, text):
    """Every example prints what it says, with no names but those that it imports."""
    run(parse_docstring(path, line, text))


def test_every_public_name_has_an_example():
    """A public name is documented, with an example."""
    documented = {
        documented_name(node)
        for path in PACKAGE.rglob("*.py")
        for node, following in pairs(ast.parse(path.read_text(encoding="utf-8")).body)
        if ">>> " in docstring_of(node, following)
    }

    assert set() == {*mergeparam.__all__} - documented


def pairs(body):
    return zip(body, [*body[1:], None], strict=True)


def docstring_of(node, following):
    """Return a definition's docstring, or the string behind an assignment."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return ast.get_docstring(node) or ""
    match node, following:
        case ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""


def documented_name(node):
    return node.target.id if isinstance(node, ast.AnnAssign) else node.name
