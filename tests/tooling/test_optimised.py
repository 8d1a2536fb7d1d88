"""Merged classes work without assertions, without docstrings and without their source."""

import compileall
import inspect
import linecache
import traceback
import zipfile

import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError, mergeable

SOURCE = '''"""Layers that are run in other ways than from their source."""

import functools
import inspect

import mergeparam

METHODS = ("__call__", "asserting", "wrapped")


# LOGGED


@DECORATE
class Layer:
    """A layer."""

    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        """Return it."""
        return x, flag

    def asserting(self, x, *, flag=None):
        """Assert it."""
        assert flag, "asserted"
        assert __debug__
        return (x, flag) if __debug__ else (x, flag)

    @logged
    def wrapped(self, x, *, flag=None):
        """Log it."""
        return x, flag


def report():
    """Print what each method shows, and what comes of the four kinds of call."""
    for method in METHODS:
        print(method, inspect.signature(getattr(Layer, method)), getattr(Layer, method).__doc__)
        for layer, given in (
            (Layer(True), {}), (Layer(), {"flag": 7}), (Layer(), {}), (Layer(True), {"flag": 7})
        ):
            try:
                print(getattr(layer, method)(1, **given))
            except mergeparam.MergeError as error:
                print(type(error).__name__, error.owner, error.method, error.param)


report()
'''
DOCUMENTATION = {"__call__": "Return it.", "asserting": "Assert it.", "wrapped": "Log it."}
BOTH = "import layers_inline, layers_wrap"


def expected_report(*, documented):
    """Return what two modules print that work."""
    lines = []
    for method, documentation in DOCUMENTATION.items():
        shown = documentation if documented else None
        lines += [f"{method} (self, x, *, flag=None) {shown}", "(1, True)", "(1, 7)"]
        lines += [
            f"{error.__name__} Layer {method} flag"
            for error in (MissingParamError, ConflictingParamError)
        ]
    return lines * 2


def compiled_only(path, level):
    """Leave nothing of a module but its `.pyc`."""
    compileall.compile_file(path, legacy=True, quiet=2, optimize=level)
    path.unlink()
    return path.with_suffix(".pyc")


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("is_compiled", [False, True])
def test_optimised(write, python, level, is_compiled):
    """All four outcomes are the same without assertions and docstrings, and from a `.pyc`."""
    for variant in ("inline", "wrap"):
        path = write(SOURCE, variant)
        if is_compiled:
            compiled_only(path, level)
    switch = ["-" + "O" * level] if level else []

    assert expected_report(documented=level < 2) == python(*switch, "-c", BOTH).splitlines()


@pytest.mark.parametrize("is_compiled", [False, True])
def test_imported_from_a_zip(write, python, tmp_path, is_compiled):
    """An archive of sources or of compiled modules is enough."""
    with zipfile.ZipFile(tmp_path / "layers.zip", "w") as archive:
        for variant in ("inline", "wrap"):
            path = write(SOURCE, variant)
            member = compiled_only(path, 0) if is_compiled else path
            archive.write(member, member.name)
            member.unlink()
    printed = python("-c", f"import sys; sys.path.insert(0, 'layers.zip'); {BOTH}")

    assert expected_report(documented=True) == printed.splitlines()


BODY = """
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        return x / flag
"""
BARE = {"__builtins__": {"__build_class__": __build_class__, "__name__": "bare"}}


def execute(inject, file, **namespace):
    """Return a merged class from a text that is in no file."""
    exec(compile(BODY, file, "exec"), namespace)
    return mergeable("flag", inject=inject)(namespace["Layer"])


@pytest.mark.parametrize("namespace", [{}, {"__name__": "nowhere"}, BARE])
@pytest.mark.parametrize("file", ["<string>", "", "no such file.py", "a\nb"])
def test_executed_from_a_string(inject, file, namespace):
    """A class with no file and in no known module merges, and its errors can be printed."""
    layer = execute(inject, file, **namespace)
    with pytest.raises(MissingParamError) as missing:
        layer()(1)
    with pytest.raises(ZeroDivisionError) as failed:
        layer(0)(1)
    def_line = 6

    assert [0.5, 0.5] == [layer(2)(1), layer()(1, flag=2)]
    assert "set in neither place" in "".join(traceback.format_exception(missing.value))
    assert def_line == traceback.extract_tb(missing.value.__traceback__)[1].lineno
    assert def_line + 1 == traceback.extract_tb(failed.value.__traceback__)[-1].lineno


def test_executed_from_a_string_known_to_linecache(inject, monkeypatch):
    """As in a notebook, the source is found where only `linecache` has it."""
    file = f"<cell {inject}>"
    lines = BODY.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, file, (len(BODY), None, lines, file))
    layer = execute(inject, file)
    with pytest.raises(MergeError) as caught:
        layer()(1)
    frame = traceback.extract_tb(caught.value.__traceback__)[1]
    expected = "def __call__(self, x, *, flag=None):"

    assert expected == frame.line
    assert expected == inspect.getsource(layer.__call__).splitlines()[0].strip()
