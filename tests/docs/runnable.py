"""What is an example: in a page, a fence of Python; in a module, a `>>>` in a docstring."""

import ast
import doctest
import importlib.util
import sys
import types
from pathlib import Path

from sybil import Document
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if not {"_build", "_examples"} & {*path.parts}
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Sessions:
    """Parse the fences that show a session, example by example."""

    def __init__(self):
        self._fences = CodeBlockParser("pycon", lambda _: None)
        self._examples = DocTestStringParser(DocTestEvaluator(FLAGS))

    def __call__(self, document):
        for fence in self._fences(document):
            for example in self._examples(fence.parsed, document.path):
                example.adjust(fence, fence.parsed)
                yield example


def parse_page(path):
    """Return the examples of a page, which share one namespace."""
    return Document.parse(str(path), PythonCodeBlockParser(doctest_optionflags=FLAGS), Sessions())


def imported_packages(document):
    """Return the packages that a page's code imports at its top level."""
    names = set()
    for example in document:
        source = getattr(example.parsed, "source", str(example.parsed))
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.partition(".")[0])
    return names


def missing_packages(names):
    """Return those of the packages that are not installed."""
    return {name for name in names if importlib.util.find_spec(name) is None}


def docstrings(path):
    """Yield the line and the text of every docstring with examples; attributes have some too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))) if ">>> " in text:
                yield node.lineno, text


def parse_docstring(path, line, text):
    """Return the examples of one docstring, on the lines where they stand in the file."""
    document = Document("\n" * (line - 1) + text, str(path))
    for region in DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS))(document.text, path):
        document.add(region)
    return document


def run(document):
    """Evaluate the examples as a script's, whose classes pickles and workers find."""
    module = types.ModuleType("__main__")
    document.namespace = vars(module)
    kept = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        for example in document:
            example.evaluate()
    finally:
        sys.modules["__main__"] = kept
