"""Four type checkers report exactly the diagnostics that the samples' comments expect.

`# error` expects an error on the line, `# revealed: bool` that `reveal_type` shows this type. With
names in brackets, such as `# error[mypy, ty]`, a comment is for these checkers only, and overrides
the comment for all. On any other line a checker must report nothing.
"""

import re
import shutil
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest
from checkers import CHECKERS, plain

SAMPLES = Path(__file__).parent / "samples"
DOCS = Path(__file__).parents[2] / "docs"
SHOWN = DOCS / "_examples" / "typed.py"
"""The sample that the page about static typing shows."""
COMMENT = re.compile(r"# (?P<kind>error|revealed)(?:\[(?P<names>[^\]]+)\])?(?:: (?P<type>[^#]+))?")


@pytest.fixture(scope="module", params=CHECKERS, ids=lambda checker: checker.name)
def checker(request):
    """Return each installed checker."""
    pytest.importorskip(request.param.name, reason=f"{request.param.name} is not installed")
    return request.param


@pytest.fixture(scope="module")
def found(checker, tmp_path_factory):
    """Run the checker once, outside the repository; return its diagnostics by file."""
    folder = shutil.copytree(SAMPLES, tmp_path_factory.mktemp(checker.name) / "samples")
    shutil.copy(SHOWN, folder)
    said = defaultdict(set)
    for file, line, text in checker.check(folder):
        said[file].add((line, text))
    return said


def expected_lines(source, name):
    """Return the diagnostics, by line, that a source's comments expect of a checker."""
    comments = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
        if token.type == tokenize.COMMENT
    ]
    expected = {(line, expected_text(comment, name)) for line, comment in comments}
    return {(line, text) for line, text in expected if text}


def expected_text(comment, name):
    """Return the diagnostic that a comment expects of a checker, if any."""
    for_all = for_it = None
    for match in COMMENT.finditer(comment):
        text = "error" if match["kind"] == "error" else f"revealed: {plain(match['type'].strip())}"
        if match["names"] is None:
            for_all = text
        elif name in match["names"].split(", "):
            for_it = text
    return for_it or for_all


@pytest.mark.parametrize(
    "sample", [*sorted(SAMPLES.glob("*.py")), SHOWN], ids=lambda path: path.name
)
def test_sample(checker, found, sample):
    """The checker reports the expected diagnostics, and no others."""
    expected = expected_lines(sample.read_text(), checker.name)

    assert expected == found[sample.name]


@pytest.mark.parametrize("name", ["mypy", "pyright", "pyrefly", "ty"])
def test_page_about_typing(name):
    """The page has each checker's words for the lines that the sample expects, and no others."""
    page = (DOCS / "explanation" / "static-typing.md").read_text()
    shown = re.search(rf"tab-item}} {name}\n(.*?)\n:::", page, re.DOTALL)[1]
    lines = {int(line) for line in re.findall(r"typed\.py:(\d+)", shown)}

    assert {line for line, _ in expected_lines(SHOWN.read_text(), name)} == lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("f()  # error", "error"),
        ("f()  # error[ty, mypy]", "error"),
        ("f()  # error[ty]", None),
        ("f()  # revealed: b.B | a.A[c.C]", "revealed: B | A[C]"),
        ("f()  # revealed: b.B | a.A  # revealed[ty]: C", "revealed: A | B"),
        ("f()  # revealed: A  # revealed[mypy]: B", "revealed: B"),
        ("f()  # an error", None),
        ("'# error'", None),
    ],
)
def test_comments(line, expected):
    """A comment is for all checkers, or for those that it names."""
    assert ({(2, expected)} if expected else set()) == expected_lines(f"\n{line}\n", "mypy")
