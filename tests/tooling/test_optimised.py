"""Merged classes work without assertions, without docstrings and without their source."""

import compileall
import inspect
import linecache
import traceback
import zipfile

import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError, mergeable

SOURCE = '''"""Layers that are run in other ways than from their source."""

import inspect

import mergeparam

METHODS = ("__call__", "cells", "generator", "asserting", "wrapped")


def logged(function):
    def log(*args, **kwargs):
        return function(*args, **kwargs)

    log.__wrapped__ = function
    return log


@DECORATE
class Layer:
    """A layer."""

    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        """Return it."""
        return x, flag

    def cells(self, x, flag=None):
        """Return it from inside."""
        return [(lambda: (x, flag))() for _ in "a"][0]

    def generator(self, x, *, flag=None):
        yield x, flag

    def asserting(self, x, flag=None):
        """Assert it."""
        assert flag, "asserted"
        assert __debug__
        return (x, flag) if __debug__ else (x, flag)

    @logged
    def wrapped(self, x, *, flag=None):
        """Log it."""
        return x, flag


def finish(result):
    return next(result) if inspect.isgenerator(result) else result


def report():
    for method in METHODS:
        print(method, inspect.signature(getattr(Layer, method)), getattr(Layer, method).__doc__)
        for layer, given in (
            (Layer(True), {}), (Layer(), {"flag": 7}), (Layer(), {}), (Layer(True), {"flag": 7})
        ):
            try:
                print(finish(getattr(layer, method)(1, **given)))
            except mergeparam.MergeError as error:
                print(type(error).__name__, error.owner, error.method, error.param)


if __name__ == "__main__":
    report()
'''
METHODS = ("__call__", "cells", "generator", "asserting", "wrapped")
DOCUMENTATION = {
    "__call__": "Return it.",
    "cells": "Return it from inside.",
    "asserting": "Assert it.",
    "wrapped": None,
}
KEYWORD_ONLY, POSITIONAL = "(self, x, *, flag=None)", "(self, x, flag=None)"
CALLED = "import {}; {}.report()"
ERRORS = (MissingParamError, ConflictingParamError)


def expected_report(*, documented=True):
    """Return what a module prints that works."""
    lines = []
    for method in METHODS:
        signature = POSITIONAL if method in ("cells", "asserting") else KEYWORD_ONLY
        documentation = DOCUMENTATION.get(method) if documented else None
        lines += [f"{method} {signature} {documentation}", "(1, True)", "(1, 7)"]
        lines += [f"{error.__name__} Layer {method} flag" for error in ERRORS]
    return lines


@pytest.mark.parametrize("level", ["-O", "-OO"])
def test_optimised(write, python, inject, level):
    """All four outcomes are the same without assertions and docstrings."""
    path = write(SOURCE, inject)

    assert expected_report(documented=level == "-O") == python(level, path).splitlines()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_compiled_without_its_source(write, python, inject, level):
    """A `.pyc` alone is enough."""
    path = write(SOURCE, inject)
    compileall.compile_file(path, legacy=True, quiet=2, optimize=level)
    path.unlink()
    switch = ["-" + "O" * level] if level else []
    printed = python(*switch, "-c", CALLED.format(path.stem, path.stem))

    assert path.with_suffix(".pyc").exists()
    assert expected_report(documented=level < 2) == printed.splitlines()


@pytest.mark.parametrize("compiled", [False, True])
def test_imported_from_a_zip(write, python, tmp_path, inject, compiled):
    """An archive of sources or of compiled modules is enough."""
    path = write(SOURCE, inject)
    compileall.compile_file(path, legacy=True, quiet=2)
    member = path.with_suffix(".pyc") if compiled else path
    with zipfile.ZipFile(tmp_path / "layers.zip", "w") as archive:
        archive.write(member, member.name)
    path.unlink()
    path.with_suffix(".pyc").unlink()
    program = f"import sys; sys.path.insert(0, 'layers.zip'); {CALLED}"

    assert expected_report() == python("-c", program.format(path.stem, path.stem)).splitlines()


def test_given_on_the_command_line(write, python, inject):
    """A program in `python -c` has no source file either."""
    assert expected_report() == python("-c", write(SOURCE, inject).read_text()).splitlines()


BODY = """
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        return x / flag
"""


def execute(inject, file, **namespace):
    """Return a merged class from a text that is in no file."""
    exec(compile(BODY, file, "exec"), namespace)
    return mergeable("flag", inject=inject)(namespace["Layer"])


@pytest.mark.parametrize("namespace", [{}, {"__name__": "nowhere"}, {"__builtins__": {
    "__build_class__": __build_class__, "__name__": "bare",
}}])  # fmt: skip
@pytest.mark.parametrize("file", ["<string>", "", "no such file.py", "a\nb"])
def test_executed_from_a_string(inject, file, namespace):
    """A class with no file and in no known module merges, and its errors can be printed."""
    layer = execute(inject, file, **namespace)
    with pytest.raises(MissingParamError) as missing:
        layer()(1)
    with pytest.raises(ZeroDivisionError) as failed:
        layer(0)(1)
    expected, def_line = [0.5, 0.5], 6

    assert expected == [layer(2)(1), layer()(1, flag=2)]
    assert "set in neither place" in "".join(traceback.format_exception(missing.value))
    assert def_line == traceback.extract_tb(missing.value.__traceback__)[1].lineno
    assert def_line + 1 == traceback.extract_tb(failed.value.__traceback__)[-1].lineno


def test_executed_from_a_string_known_to_linecache(inject):
    """As in a notebook, the source is found where only `linecache` has it."""
    file = f"<cell {inject}>"
    linecache.cache[file] = len(BODY), None, BODY.splitlines(keepends=True), file
    try:
        layer = execute(inject, file)
        with pytest.raises(MergeError) as caught:
            layer()(1)
        frame = traceback.extract_tb(caught.value.__traceback__)[1]
        source = inspect.getsource(layer.__call__)
    finally:
        del linecache.cache[file]
    expected = "def __call__(self, x, *, flag=None):"

    assert expected == frame.line
    assert expected == source.splitlines()[0].strip()
