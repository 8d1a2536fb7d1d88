"""Every mistake on the page about them is answered."""

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the page is built by an extension of Sphinx")

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))

from run_at_build import split_mistakes, what_is_said

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(
    r"```\{mistakes\}\n(.*?)\n```", (DOCS / "reference" / "mistakes.md").read_text(), re.DOTALL
)
SETUP = BLOCKS[0].removeprefix(":setup:\n\n")
MISTAKES = [mistake for block in BLOCKS[1:] for mistake in split_mistakes(block)]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda text: text.splitlines()[-1].strip())
def test_it_is_answered(mistake):
    """It raises, warns, or ends with an exit code, and says why."""
    said = what_is_said(mistake, SETUP, DOCS)

    assert said
    assert "_mergeparam_" not in said  # a private name is nothing to do about


def test_right_code_is_not_answered():
    """Who makes no mistake is told nothing, so that the test above tests something."""
    right = "with provide(deterministic=True):\n    Dropout()(1.0)"

    assert "" == what_is_said(right, SETUP, DOCS)
    assert "" == what_is_said("$ mergeparam show layers.py", SETUP, DOCS)
    assert 60 <= len(MISTAKES)
