"""Which injection a method gets."""

import functools
import subprocess
import sys

import pytest

from mergeparam import MERGED, MergeDefinitionError, mergeable
from mergeparam import _strategy as strategy
from mergeparam._splice import SpliceError


@pytest.fixture
def fresh_probe():
    """Forget the answer of the probe, before and after."""
    strategy.can_splice.cache_clear()
    yield
    strategy.can_splice.cache_clear()


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
    return cls.__mergeable__.methods[0].injection


@pytest.mark.parametrize("wanted", ["inline", "wrap"])
def test_forced(wanted, monkeypatch):
    """`inject=` decides, whatever the environment says."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "nonsense")

    assert wanted == injection(make(inject=wanted))


@pytest.mark.parametrize("wanted", ["inline", "wrap"])
def test_environment(wanted, monkeypatch):
    """The environment decides where the class does not."""
    monkeypatch.setenv("MERGEPARAM_INJECT", wanted)

    assert wanted == injection(make())


def test_environment_that_says_nonsense(monkeypatch):
    """A wrong word in the environment is an error that names the variable."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "nonsense")

    with pytest.raises(MergeDefinitionError, match="MERGEPARAM_INJECT"):
        make()


def test_tested_interpreters_splice():
    """On CPython from 3.11 to 3.15 the merge is spliced."""
    tested = sys.implementation.name == "cpython" and sys.version_info < (3, 16)

    assert tested is strategy.can_splice()
    assert ("inline" if tested else "wrap") == injection(make())


@pytest.mark.usefixtures("fresh_probe")
def test_other_versions_wrap(monkeypatch):
    """A version that is not tested gets the wrapper."""
    monkeypatch.setattr(strategy, "_TESTED", ((3, 9), (3, 10)))

    assert "wrap" == injection(make())


@pytest.mark.usefixtures("fresh_probe")
@pytest.mark.parametrize("probe", ["raises", "is wrong"])
def test_failed_probe_wraps(probe, monkeypatch):
    """Where the probe function comes out wrong, the wrapper serves."""

    def broken(code, merges):
        if probe == "raises":
            raise SpliceError(probe)
        return code

    monkeypatch.setattr(strategy, "splice", broken)

    assert "wrap" == injection(make())


class Traced:
    """A base whose method a decorator has wrapped."""

    flag = None

    def _traced(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return "traced", function(*args, **kwargs)

        return wrapper

    @_traced
    def __call__(self, *, flag=None):
        return flag


def test_inherited_and_wrapped():
    """A wrapped method that a base holds is left as it is; the child gets a wrapper."""

    @mergeable("flag")
    class Child(Traced):
        flag = 1

    assert "wrap" == injection(Child)
    assert ("traced", 1) == Child()()
    assert ("traced", None) == Traced()()


def test_inline_that_cannot_be():
    """A forced injection that is impossible says what to write."""
    child = type("Child", (Traced,), {})

    with pytest.raises(
        MergeDefinitionError, match=r"wraps what a base class holds.*inject='auto'"
    ):
        mergeable("flag", inject="inline")(child)


def test_wrapper_around_a_function_of_a_base():
    """A wrapper in the class around a base's function leaves that function as it is."""

    class Base:
        flag = 1

        def __call__(self, *, flag=None):
            return flag

    @mergeable("flag")
    class Child(Base):
        @functools.wraps(Base.__call__)
        def __call__(self, *args, **kwargs):
            return "child", super().__call__(*args, **kwargs)

    assert ("child", 1) == Child()()
    assert None is Base()()


def test_interpreter_with_other_operations():
    """Where the bytecode is unknown, importing works and the wrapper serves."""
    script = """
import attrs, opcode, sys
opcode.opmap = {name: op for name, op in opcode.opmap.items() if name != "RESUME"}
del opcode._inline_cache_entries
sys.implementation.name = "other"
from mergeparam import MERGED, mergeable

@mergeable
class Layer:
    flag = 1
    def __call__(self, flag=MERGED):
        return flag

print(Layer()(), Layer.__mergeable__.methods[0].injection)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert "1 wrap\n" == done.stdout + done.stderr
