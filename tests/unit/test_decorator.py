"""Which injection a method gets, and that nothing changes before everything is checked."""

import dis
import functools
import os
import subprocess
import sys

import pytest

from mergeparam import MERGED, MergeDefinitionError, MergeWarning, _decorator, mergeable
from mergeparam._inject import splice
from mergeparam._inject.splice import can_splice

NOP = bytes((dis.opmap["NOP"], 0))
TESTED = sys.implementation.name == "cpython" and sys.version_info < (3, 16)


def catch_all(function):
    """Wrap as decorators do."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return "around", function(*args, **kwargs)

    return wrapper


class Base:
    """A base whose method a decorator has wrapped."""

    flag = 1

    def plain(self, *, flag=None):
        return flag

    @catch_all
    def wrapped(self, *, flag=None):
        return flag


def make(**options):
    """Return a class decorated anew."""

    @mergeable("flag", **options)
    class Layer:
        flag = 1

        def __call__(self, *, flag=MERGED):
            return flag

    return Layer


def injection(cls):
    """Return the injection that the specification tells."""
    (method,) = cls.__mergeable__.methods
    assert (method.injection == "inline") == (method.size > 0)
    return method.injection


@pytest.mark.skipif(not TESTED, reason="this interpreter's bytecode is not one that is tested")
@pytest.mark.parametrize(
    ("inject", "variable", "expected"),
    [
        ("inline", "nonsense", "inline"),
        ("wrap", "nonsense", "wrap"),
        ("auto", "inline", "inline"),
        ("auto", "wrap", "wrap"),
        ("auto", "auto", "inline"),
        ("auto", None, "inline"),
    ],
)
def test_choice(inject, variable, expected, monkeypatch):
    """`inject=` decides; else the environment, and else the interpreter."""
    if variable is not None:
        monkeypatch.setenv("MERGEPARAM_INJECT", variable)

    assert expected == injection(make(inject=inject))


@pytest.mark.parametrize("in_environment", [False, True])
def test_no_such_injection(in_environment, monkeypatch):
    """A wrong word is an error that names the three, and the variable."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "outline")
    inject = "auto" if in_environment else "outline"

    with pytest.raises(
        MergeDefinitionError,
        match="'outline' names no.*'auto', 'inline' or 'wrap'.*MERGEPARAM_INJ",
    ):
        make(inject=inject)


def test_interpreter_decides(monkeypatch):
    """Where the splicer does not trust the interpreter, the wrapper serves."""
    assert ("inline" if can_splice() else "wrap") == injection(make())

    monkeypatch.setattr(splice, "can_splice", lambda: False)
    assert "wrap" == injection(make())


@pytest.mark.parametrize(
    ("method", "expected"),
    [("plain", "inline"), ("wrapped", "wrap"), ("copied", "wrap"), ("renamed", "inline")],
)
def test_functions_of_a_base(method, expected):
    """A copy can be spliced; what is inside of a wrapper from elsewhere is left as it is."""

    class Child(Base):
        flag = 2
        copied = catch_all(Base.plain)
        renamed = Base.plain

    mergeable("flag", method=method)(Child)

    assert (expected if can_splice() else "wrap") == injection(Child)
    result = ("around", 2) if expected == "wrap" else 2
    assert result == getattr(Child(), method)()
    assert (("around", None), None) == (Base().wrapped(), Base().plain())


class Strange(Base):
    """A class with a function that some tool has rewritten."""

    def strange(self, *, flag=None):
        return flag

    strange.__code__ = strange.__code__.replace(co_code=NOP + strange.__code__.co_code)


@pytest.mark.skipif(not TESTED, reason="this interpreter's bytecode is not one that is tested")
@pytest.mark.parametrize(
    ("method", "match", "result"),
    [("wrapped", "inside of something", ("around", 1)), ("strange", "does not begin as", 1)],
)
def test_inline_that_cannot_be(method, match, result):
    """Where it is asked for, the error says what to write; otherwise the wrapper serves."""
    cls = type("Child", (Strange,), {"__module__": __name__, "flag": 1})

    with pytest.raises(
        MergeDefinitionError, match=rf"Child\.{method}\(\) cannot.*{match}.*inject='auto'"
    ):
        mergeable("flag", method=method, inject="inline")(cls)
    assert {"__module__", "flag", "__doc__"} == set(vars(cls))
    mergeable("flag", method=method)(cls)
    assert ("wrap", result) == (injection(cls), getattr(cls(), method)())


def test_warning_that_is_an_error():
    """A warning that the user turns into an error leaves the class as it was."""

    class Layer:
        flag = 1

        def __call__(self, *, flag=MERGED):
            return self.flag

    before = dict(vars(Layer)), Layer.__call__.__code__
    with pytest.raises(MergeWarning):
        mergeable("flag")(Layer)

    assert before == (dict(vars(Layer)), Layer.__call__.__code__)


@pytest.mark.parametrize(
    ("inject", "seen"), [("auto", {"flag": 1}), ("wrap", {"flag": 1}), ("inline", {})]
)
def test_checker_of_types(inject, seen, monkeypatch):
    """It sees merged values, unless the user asks for the merge to be inside of it."""
    if inject == "inline" and not can_splice():
        pytest.skip("this interpreter's bytecode is not one that is tested")
    monkeypatch.setattr(_decorator, "checks_types", lambda found: True)
    calls = []

    def checked(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            calls.append(kwargs)
            return function(*args, **kwargs)

        return wrapper

    @mergeable("flag", inject=inject)
    class Layer:
        flag = 1

        @checked
        def __call__(self, *, flag=MERGED):
            return flag

    assert (1, [seen]) == (Layer()(), calls)


def test_frameworks_are_asked_and_told(monkeypatch):
    """Adapters may refuse the class, and finish it; they see the frame of its definition."""
    calls = []

    class Adapter:
        def check_decorators(self, cls, frame):
            calls.append(("check", cls.__name__, frame.f_code.co_name))

        def finish_class(self, cls):
            calls.append(("finish", cls.__name__, "__mergeable__" in vars(cls)))

    monkeypatch.setattr(_decorator, "adapters", [Adapter()])
    make()

    assert [("check", "Layer", "make"), ("finish", "Layer", True)] == calls


def test_interpreter_with_other_operations():
    """Where the bytecode is unknown, importing works and the wrapper serves."""
    script = """
import attrs, opcode, sys
opcode.opmap = {name: op for name, op in opcode.opmap.items() if name != "RESUME"}
opcode.__dict__.pop("_inline_cache_entries", None)
sys.implementation.name = "other"
from mergeparam import MERGED, mergeable

@mergeable
class Layer:
    flag = 1
    def __call__(self, flag=MERGED):
        return flag

print(Layer()(), Layer.__mergeable__.methods[0].injection)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ}
    )

    assert "1 wrap\n" == done.stdout + done.stderr
