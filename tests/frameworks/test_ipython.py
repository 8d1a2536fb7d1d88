"""What `%autoreload 2` changes in place stays merged."""

import os
import weakref

import pytest

from mergeparam import (
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    merged_params,
)

pytest.importorskip("IPython")

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from mergeparam._frameworks.ipython import ADAPTER

SOURCE = """
import functools
from mergeparam import MERGED, mergeable

def keep(function):
    @functools.wraps(function)
    def kept(*args, **kwargs):
        return function(*args, **kwargs)
    return kept

@mergeable("other", method="both"{options})
@mergeable("flag", method=("call", "wrapped", "both"){options})
class Layer:
    flag = other = None

    def call(self, *, flag=MERGED):
        return "{text}", flag

    again = call
    fixed = functools.partialmethod(call, flag=7)

    @keep
    def wrapped(self, *, flag=MERGED):
        return "{text}", flag

    def both(self, *, flag=MERGED, other=MERGED):
        return "{text}", flag, other

# Autoreload compiles single functions anew where nothing else has changed, as here.
for _ in "{more}":
    pass
"""
OPTIONS = ["", ", inject='wrap'", ", provide=True"]


class Session:
    """A shell in which a module is imported, and edited between the cells."""

    def __init__(self, shell, path):
        self.shell, self.path, self.edits = shell, path, 0

    def write(self, source):
        """Write the module, at a time that differs from that of the last edit."""
        self.path.write_text(source)
        self.edits += 1
        os.utime(self.path, (2_000_000_000 + self.edits,) * 2)

    def run(self, cell):
        """Return what a cell gives, or the class of its error."""
        result = self.shell.run_cell(cell)
        error = result.error_before_exec or result.error_in_exec
        return result.result if error is None else type(error)


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Return a session with a module of its own, in which no other class is known."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ADAPTER, "_merged", weakref.WeakKeyDictionary())
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    yield Session(shell, tmp_path / "edited_layers.py")
    shell.run_cell("%autoreload 0")
    InteractiveShell.clear_instance()


@pytest.fixture
def edited(session):
    """Return a session that reloads what is edited, with a class and an object made before."""

    def start(source):
        session.write(source)
        session.run("import sys; sys.modules.pop('edited_layers', None)")
        session.run("import edited_layers; from edited_layers import Layer; old = Layer()")
        session.run("class Child(Layer): pass")
        session.run("%load_ext autoreload\n%autoreload 2")
        return session

    return start


@pytest.mark.parametrize("whole", [False, True], ids=["single methods", "whole module"])
@pytest.mark.parametrize("options", OPTIONS)
def test_edited_methods(edited, options, whole):
    """Neither and both are heard of after each edit, whoever holds the function."""
    session = edited(SOURCE.format(text="first", more="", options=options))
    for text in ("second", "third"):
        session.write(SOURCE.format(text=text, more=text * whole, options=options))
        for obj in ("old", "Layer()", "Child()", "edited_layers.Layer()"):
            for method in ("call", "again"):
                assert MissingParamError is session.run(f"{obj}.{method}()")
                assert (text, 2) == session.run(f"{obj}.{method}(flag=2)")
            # Autoreload does not reach every function inside of a wrapper.
            assert MissingParamError is session.run(f"{obj}.wrapped()")
            assert 2 == session.run(f"{obj}.wrapped(flag=2)")[1]
            assert (text, 7) == session.run(f"{obj}.fixed()")
            assert MissingParamError is session.run(f"{obj}.both(flag=1)")
            assert MissingParamError is session.run(f"{obj}.both(other=1)")
            assert (text, 1, 2) == session.run(f"{obj}.both(flag=1, other=2)")
        session.run("old.flag = 3")
        for call in ("call(flag=3)", "again(flag=3)", "fixed()", "both(flag=3, other=1)"):
            assert ConflictingParamError is session.run(f"old.{call}")
        assert (text, 3) == session.run("old.call()")
        session.run("del old.flag")

    assert 4 == len(session.run("Layer.__mergeable__.methods"))
    assert ["flag", "other"] == [
        param.name for param in merged_params(session.run("Layer"), "both")
    ]


def test_subclass_that_merges_again(edited):
    """What a class of the session hands on to an edited base is no conflict."""
    for whole in (False, True):
        session = edited(SOURCE.format(text="first", more="", options=""))
        session.run(
            "from mergeparam import MERGED, mergeable\n"
            "@mergeable('flag', method='call')\n"
            "class Child(Layer):\n"
            "    def call(self, *, flag=MERGED):\n"
            "        return super().call(flag=flag)"
        )
        session.run("child = Child(); child.flag = 3")
        session.write(SOURCE.format(text="second", more="more" * whole, options=""))

        assert ("second", 3) == session.run("child.call()")
        assert ConflictingParamError is session.run("child.call(flag=1)")


def test_what_cannot_be_merged_anew(edited, capsys):
    """It is shown before every cell, introspection raises, and other classes are merged."""
    session = edited(SOURCE.format(text="first", more="", options=""))
    layer = session.run("Layer")
    layer.call.__code__ = (lambda self: 5).__code__
    vars(layer.call).clear()

    for _ in range(2):
        capsys.readouterr()
        assert 5 == session.run("Layer().call()")
        shown = "".join(capsys.readouterr())
        assert "Layer.call() has no parameter 'flag'. Declare it" in shown
        assert "(1 sub-exception)" in shown
    with pytest.raises(MergeDefinitionError, match="has lost the merge"):
        merged_params(layer, "call")
    assert ["flag"] == [param.name for param in merged_params(layer, "wrapped")]


def test_class_that_is_not_merged_any_more(edited, capsys):
    """An edit may take the decorator, or a method, away."""
    session = edited(SOURCE.format(text="first", more="", options=""))
    source = SOURCE.format(text="second", more="more", options="").replace("@mergeable", "# ")
    session.write(source.replace("again = call", ""))

    assert ("second", 2) == session.run("Layer().call(flag=2)")
    assert () == merged_params(session.run("Layer"), "call")
    assert "Error in callback" not in capsys.readouterr().out


def test_extension_that_is_loaded_late(session):
    """It does not matter which comes first, the merge or autoreload."""
    session.write(SOURCE.format(text="first", more="", options=""))
    session.run("import sys; sys.modules.pop('edited_layers', None)")
    session.run("%load_ext autoreload\n%autoreload 2\nfrom edited_layers import Layer")
    session.write(SOURCE.format(text="second", more="", options=""))

    assert MissingParamError is session.run("Layer().call()")
