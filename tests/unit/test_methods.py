"""Which function a method runs, and whose it is."""

import contextlib
import functools
import types
from unittest import mock

import pytest

from mergeparam import MERGED, MergeDefinitionError
from mergeparam._declare.methods import find_method, unwrap


def catch_all(function):
    """Wrap as decorators do."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def exact(function):
    """Wrap with a signature of its own."""

    @functools.wraps(function)
    def wrapper(self, flag=None):
        return function(self, flag=flag)

    return wrapper


class Around:
    """A callable object that nobody knows, around a function."""

    def __init__(self, function):
        self.__wrapped__ = function

    def __call__(self, *args):
        return self.__wrapped__(*args)


KnownAround = type("KnownAround", (Around,), {"__module__": "jax.nn"})


def elsewhere(self, flag=None):
    """Stand in a module."""


catch_all_elsewhere = lambda self, *args: args


class Base:
    def inherited(self, flag=None): ...

    @catch_all
    def wrapped(self, flag=None): ...


class Namesake:
    def method(self, flag=None): ...


OldNamesake = Namesake


class Namesake(OldNamesake):
    method = OldNamesake.method
    reached = catch_all(OldNamesake.method)


class Layer(Base):
    def plain(self, flag=None): ...

    lambda_ = lambda self, flag=None: flag
    alias = plain
    wrapped_own = catch_all(plain)
    wrapped_twice = catch_all(exact(plain))
    managed = contextlib.contextmanager(plain)
    cached = functools.lru_cache(plain)
    known_object = KnownAround(plain)

    @functools.wraps(elsewhere)
    def borrowed_docs(self, flag=None): ...

    @functools.wraps(Base.inherited)
    def borrowed_catch_all(self, *args, **kwargs): ...

    of_module = elsewhere
    of_base = Base.inherited
    catch_all_of_module = catch_all_elsewhere

    around_module = catch_all(elsewhere)
    object_around_own = Around(plain)
    object_around_module = Around(elsewhere)
    object_around_wrapper = KnownAround(Around(plain))
    exact_around_module = exact(elsewhere)


@pytest.mark.parametrize(
    ("cls", "name", "ownership", "at"),
    [
        (Layer, "plain", "own", 0),
        (Layer, "lambda_", "own", 0),
        (Layer, "alias", "own", 0),
        (Layer, "wrapped_own", "own", 1),
        (Layer, "wrapped_twice", "own", 2),
        (Layer, "managed", "own", 1),
        (Layer, "cached", "own", 1),
        (Layer, "known_object", "own", 1),
        (Layer, "borrowed_docs", "own", 0),
        (Layer, "borrowed_catch_all", "own", 0),
        (Layer, "of_module", "foreign", 0),
        (Layer, "of_base", "foreign", 0),
        (Layer, "inherited", "foreign", 0),
        (Layer, "exact_around_module", "foreign", 0),
        (Layer, "catch_all_of_module", "foreign", 0),
        (Namesake, "method", "foreign", 0),
        (Namesake, "reached", "opaque", 1),
        (Layer, "wrapped", "opaque", 1),
        (Layer, "around_module", "opaque", 1),
        (Layer, "object_around_own", "opaque", 1),
        (Layer, "object_around_module", "opaque", 1),
        (Layer, "object_around_wrapper", "opaque", 2),
    ],
)
def test_ownership(cls, name, ownership, at):
    """The code says where a function was written, whatever `functools.wraps` has made of it."""
    method = find_method(cls, name)

    assert (ownership, at) == (method.ownership, method.chain.index(method.function))
    assert method.found is method.chain[0]
    assert (cls, name, f"{cls.__qualname__}.{name}()") == (method.cls, method.name, method.label)


def test_inherited_method():
    """It says which class holds it, and for which class it was looked up."""
    own, inherited = find_method(Base, "inherited"), find_method(Layer, "inherited")

    assert (Base, False, "own") == (own.definer, own.inherited, own.ownership)
    assert (Base, True, "foreign") == (inherited.definer, inherited.inherited, inherited.ownership)
    assert "Layer.inherited()" == inherited.label


def test_local_class():
    """Two local classes of one name each own what is written in their bodies."""

    def make():
        class Local:
            def method(self, flag=None): ...

        return Local

    assert ["own", "own"] == [find_method(make(), "method").ownership for _ in range(2)]


@pytest.mark.parametrize(
    ("source", "receiver"),
    [
        ("lambda this, flag=None: 0", "this"),
        ("lambda module, /, *args: 0", "module"),
        ("lambda *args, flag=None: 0", "args[0]"),
        ("lambda *a, flag=None, **kw: 0", "a[0]"),
    ],
)
def test_receiver(source, receiver):
    """The object may have any name, or come first in `*args`."""
    cls = type("Any", (), {"method": eval(source)})

    assert receiver == find_method(cls, "method").receiver


class Endless:
    """A proxy that answers to every attribute with another one."""

    def __getattr__(self, name):
        return Endless()

    def __call__(self): ...


def ring(size):
    """Return functions that wrap each other in a circle."""
    functions = [types.FunctionType(elsewhere.__code__, {}) for _ in range(size)]
    for at, function in enumerate(functions):
        function.__wrapped__ = functions[at - 1]
    return functions[0]


@pytest.mark.parametrize(
    ("found", "length"),
    [
        (elsewhere, 1),
        (catch_all(exact(elsewhere)), 3),
        (Endless(), 100),
        (mock.call, 100),
        (mock.MagicMock(), 1),
        (Around("no callable"), 1),
        (ring(1), 1),
        (ring(3), 3),
    ],
    ids=["function", "wrappers", "proxy", "mock.call", "mock", "text", "itself", "ring"],
)
def test_unwrap(found, length):
    """A walk along `__wrapped__` ends, also where every attribute is there, or in a circle."""
    chain = unwrap(found)

    assert length == len(chain)
    assert found is chain[0]


@pytest.mark.parametrize("found", [Endless(), mock.call, mock.MagicMock()])
def test_mock_is_no_method(found):
    """A mock or a proxy in a class's namespace is refused, not searched for ever."""
    cls = type("Mocked", (), {"method": found, "flag": None})

    with pytest.raises(MergeDefinitionError, match=r"Mocked.method\(\) is .*signature cannot be"):
        find_method(cls, "method")


class Refused:
    """What is no method to merge in."""

    @staticmethod
    def static(flag=MERGED): ...

    @classmethod
    def of_class(cls, flag=MERGED): ...

    @property
    def computed(self): ...

    def nothing(): ...

    partial = functools.partial(print)
    builtin = print


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("static", "is a staticmethod"),
        ("of_class", "is a classmethod"),
        ("computed", "is a property"),
        ("builtin", "signature cannot be read"),
        ("partial", "signature cannot be read"),
        ("nothing", "Add self"),
        ("missing", "no method 'missing'.*method="),
        ("__call__", "no method '__call__'"),
        ("__init__", "no method '__init__'"),
        ("__private", "no method '__private'"),
    ],
)
def test_no_method(name, match):
    """The message says what to write instead."""
    with pytest.raises(MergeDefinitionError, match=match):
        find_method(Refused, name)
