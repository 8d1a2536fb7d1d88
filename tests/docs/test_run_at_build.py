"""A page that shows what it did not print, or an error that was not raised, does not build."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("sphinx", "myst_parser"):
    pytest.importorskip(package, reason=f"without {package} no documentation can be built")

MISTAKES = "```{mistakes}\n:setup:\n\nright = 1\n```\n\n```{mistakes}\n"
EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"


@pytest.fixture
def build(tmp_path):
    """Return a function that builds one page, and returns the exit code and the text."""
    source, report = tmp_path / "docs", tmp_path / "benchmarks" / "README.md"
    (source / "_examples").mkdir(parents=True)
    report.parent.mkdir()
    report.write_text("# Figures\n\n## One\n\nfast, [here](a.txt)\n\n## Other\n\nslow\n")
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_parser', 'run_at_build']\nhtml_theme = 'basic'\n"
    )

    def build(page):
        (source / "index.md").write_text(f"# Page\n\n{page}")
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", source, tmp_path / "out"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        built = tmp_path / "out" / "index.html"
        text = re.sub(r"<[^>]+>", "", built.read_text()) if built.exists() else ""
        return done.returncode, html.unescape(text), done.stderr

    return build


def test_blocks_share_a_module(build):
    """What one block defines, the next one prints."""
    code, text, _ = build("```{run}\nx = 20\n```\n\n```{run}\nprint(x + 1)\n```\n")

    assert 0 == code
    assert "print(x + 1)" in text
    assert "21" in text


def test_hidden_code(build):
    """Only what it prints is shown."""
    code, text, _ = build("```{run}\n:hide-code:\n\nprint(20 + 1)\n```\n")

    assert 0 == code
    assert "print" not in text
    assert "21" in text


def test_a_section_of_the_report(build):
    """It is shown without its title and without links to files that are not on the site."""
    code, text, _ = build("```{benchmarks} One\n```\n")

    assert 0 == code
    assert "fast, here" in text
    assert "slow" not in text


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```{run}\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```{run}\n:raises: KeyError\n\n1 / 0\n```\n", "expected :raises: KeyError"),
        ("```{run}\n:raises: KeyError\n\n1\n```\n", "expected :raises: KeyError"),
        ("```{run}\n:warns: UserWarning\n\n1\n```\n", "expected :warns: UserWarning"),
        ("```{run}\nimport warnings\nwarnings.warn('no')\n```\n", "it was UserWarning"),
        ("```{command} mergeparam show no_such_module\n```\n", "exit code 2"),
        ("```{benchmarks} None\n```\n", "has no section 'None'"),
        (f"{MISTAKES}right\n```\n", "nobody says anything about right"),
    ],
)
def test_surprises_fail_the_build(build, page, says):
    """Another error, no error, a warning that nobody names, another exit code."""
    code, _, stderr = build(page)

    assert 0 != code
    assert says in stderr


def test_mistakes_are_shown_with_what_is_said(build):
    """Each stands beside its error, warning, or what the command printed."""
    code, text, _ = build(f"{MISTAKES}wrong\n\nright = 2\n1 / 0\n\n$ mergeparam shwo\n```\n")

    assert 0 == code
    assert re.search(r"wrong\s+NameError: name 'wrong' is not defined", text)
    assert re.search(r"right = 2\s+1 / 0\s+ZeroDivisionError: division by zero", text)
    assert "invalid choice: 'shwo'" in text


def test_expected_errors_are_shown(build):
    """The end of the traceback is shown, and what was warned."""
    raises = "```{run}\n:raises: ZeroDivisionError\n\n1 / 0\n```\n"
    warns = "```{run}\n:warns: UserWarning\n\nimport warnings\nwarnings.warn('look')\n```\n"
    code, text, _ = build(f"{raises}\n{warns}")

    assert 0 == code
    assert "ZeroDivisionError: division by zero" in text
    assert "UserWarning: look" in text
