"""The tools that people read documentation with show the merged signature."""

import importlib
import os
import pydoc
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import mergeparam

LAYERS = '''
"""A module to document."""

from mergeparam import MERGED, mergeable


@mergeable("deterministic")
class Dropout:
    """Drop some."""

    deterministic = None

    def __call__(self, x: int, *, deterministic: bool = MERGED) -> int:
        """Drop some of x."""
        return x
'''
MERGED_SIGNATURE = "(self, x: int, *, deterministic: bool | None = None) -> int"


@pytest.fixture
def documented(tmp_path, monkeypatch, inject):
    """Return the class of a module in a folder of its own."""
    (tmp_path / "documented_layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("documented_layers").Dropout
    del sys.modules["documented_layers"]


def test_help(documented):
    """`help` shows the merged signature and the docstring, and nothing of ours among methods."""
    text = pydoc.plain(pydoc.render_doc(documented))

    assert f"__call__{MERGED_SIGNATURE}\n" in text
    assert "Drop some of x." in text
    assert "_mergeparam_" not in text


def test_ipython(documented, tmp_path):
    """`Dropout.__call__?` in the real IPython."""
    pytest.importorskip("IPython")
    path = os.pathsep.join([str(tmp_path), str(Path(mergeparam.__file__).parents[1])])
    shown = subprocess.run(
        [
            *[sys.executable, "-m", "IPython", "--colors=NoColor", "-c"],
            "from documented_layers import Dropout\n%pinfo Dropout.__call__",
        ],
        cwd=tmp_path,
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert f"Signature: Dropout.__call__{MERGED_SIGNATURE}\n" in shown
    assert "Docstring: Drop some of x.\n" in shown
    assert "documented_layers.py\n" in shown


def test_sphinx_autodoc(documented, tmp_path):
    """The real Sphinx documents the merged signature."""
    application = pytest.importorskip("sphinx.application")
    source = tmp_path / "docs"
    source.mkdir()
    (source / "conf.py").write_text("extensions = ['sphinx.ext.autodoc']\n")
    (source / "index.rst").write_text(
        textwrap.dedent(
            """
            Layers
            ======

            .. autoclass:: documented_layers.Dropout
               :members:
               :special-members: __call__
            """
        )
    )
    build = tmp_path / "build"
    with warnings.catch_warnings():  # Sphinx sets filters of its own
        app = application.Sphinx(
            source, source, build, build, "text", status=None, warning=None, warningiserror=True
        )
        app.build()
    text = " ".join((build / "index.txt").read_text().split())

    assert "__call__(x: int, *, deterministic: bool | None = None) -> int" in text
    assert "_mergeparam_" not in text
