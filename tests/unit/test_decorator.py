"""Which injection a method gets, and that nothing changes before everything is checked."""

import dis
import functools
import subprocess
import sys

import pytest

from mergeparam import MERGED, MergeDefinitionError, MergeWarning, _decorator, mergeable
from mergeparam._frameworks.adapter import Adapter
from mergeparam._inject import splice
from mergeparam._inject.splice import can_splice

NEEDS_SPLICER = pytest.mark.skipif(not can_splice(), reason="this interpreter is not a tested one")


def around(function):
    """Wrap as decorators do; what it was called with is in the result."""

    @functools.wraps(function)
    def wrapper(self, **kwargs):
        return kwargs, function(self, **kwargs)

    return wrapper


class Base:
    """A base with a method that is wrapped, and with one that some tool has rewritten."""

    flag = 1

    def plain(self, *, flag=None):
        return flag

    wrapped = around(plain)

    def strange(self, *, flag=None):
        return flag

    strange.__code__ = strange.__code__.replace(
        co_code=bytes((dis.opmap["NOP"], 0)) + strange.__code__.co_code
    )


def decorated(method="plain", **options):
    """Return the injection of a subclass that is decorated anew, and what its method returns."""
    cls = mergeable("flag", method=method, **options)(type("Child", (Base,), {"flag": 2}))
    (merged,) = cls.__mergeable__.methods
    assert (merged.injection == "inline") == (merged.size > 0)
    return merged.injection, getattr(cls(), method)()


@NEEDS_SPLICER
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

    assert (expected, 2) == decorated(inject=inject)
    monkeypatch.setattr(splice, "can_splice", lambda: False)
    is_open = inject == "auto" and variable in {None, "auto"}
    assert ("wrap" if is_open else expected, 2) == decorated(inject=inject)


@pytest.mark.parametrize("options", [{}, {"inject": "outline"}])
def test_no_such_injection(options, monkeypatch):
    """A wrong word is an error that names the three, and the variable."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "outline")

    with pytest.raises(
        MergeDefinitionError,
        match="'outline' names no.*'auto', 'inline' or 'wrap'.*MERGEPARAM_INJ",
    ):
        decorated(**options)


@NEEDS_SPLICER
@pytest.mark.parametrize(
    ("method", "match", "result"),
    [("wrapped", "inside of something", ({"flag": 2}, 2)), ("strange", "does not begin as", 2)],
)
def test_inline_that_cannot_be(method, match, result):
    """Where it is asked for, the error says what to write; otherwise the wrapper serves."""
    with pytest.raises(
        MergeDefinitionError, match=rf"Child\.{method}\(\) cannot.*{match}.*inject='auto'"
    ):
        decorated(method, inject="inline")
    assert ("wrap", result) == decorated(method)
    assert (({}, None), None, None) == (Base().wrapped(), Base().strange(), Base().plain())


@pytest.mark.parametrize("inject", ["auto", "wrap", pytest.param("inline", marks=NEEDS_SPLICER)])
def test_checker_of_types(inject, monkeypatch):
    """It sees merged values, unless the user asks for the merge to be inside of it."""
    monkeypatch.setattr(_decorator, "checks_types", lambda found: True)

    @mergeable("flag", inject=inject)
    class Layer:
        flag = 1

        @around
        def __call__(self, *, flag=MERGED):
            return flag

    assert ({} if inject == "inline" else {"flag": 1}, 1) == Layer()()


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


def test_frameworks_are_asked_and_told(monkeypatch):
    """Adapters may refuse the class, finish it, and keep it merged."""
    calls = []

    class Recording(Adapter):
        def check_decorators(self, cls, frame):
            calls.append((cls.__name__, frame.f_code.co_name))

        def finish_class(self, cls):
            calls.append((cls.__name__, "__mergeable__" in vars(cls)))

        def keep_merged(self, cls, merge_anew):
            calls.append((cls.__name__, merge_anew(cls)))

    monkeypatch.setattr(_decorator, "adapters", [Recording()])
    decorated(inject="wrap")

    assert [("Child", "decorated"), ("Child", True), ("Child", None)] == calls


def test_interpreter_with_other_operations():
    """Where the bytecode is unknown, importing works and the wrapper serves."""
    script = """
import attrs, opcode, sys
opcode.opmap = {name: op for name, op in opcode.opmap.items() if name != "RESUME"}
vars(opcode).pop("_inline_cache_entries", None)
sys.implementation.name = "other"
from mergeparam import MERGED, mergeable
@mergeable
class Layer:
    flag = 1
    def __call__(self, flag=MERGED): return flag
print(Layer()(), Layer.__mergeable__.methods[0].injection)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert "1 wrap\n" == done.stdout + done.stderr
