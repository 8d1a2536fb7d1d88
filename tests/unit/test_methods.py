"""Which function a method runs, and whose it is."""

import contextlib
import functools
import types
from unittest import mock

import pytest

from mergeparam import MergeDefinitionError, mergeable, merged_params
from mergeparam._declare.methods import declarations, find_method, unwrap


def catch_all(function):
    """Wrap as decorators do."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs): ...

    return wrapper


def exact(function):
    """Wrap with a signature of its own."""

    @functools.wraps(function)
    def wrapper(self, flag=None): ...

    return wrapper


class Around:
    """A callable object that nobody knows, around a function."""

    def __init__(self, function):
        self.__wrapped__ = function

    def __call__(self): ...


class Endless:
    """A proxy that answers to every attribute with another one."""

    def __getattr__(self, name):
        return Endless()

    def __call__(self): ...


KnownAround = type("KnownAround", (Around,), {"__module__": "jax.nn"})
catch_all_elsewhere = lambda self, *args: args


def elsewhere(self, flag=None):
    """Stand in a module."""


class Base:
    def inherited(self, flag=None): ...

    wrapped = catch_all(inherited)


class Namesake:
    def method(self, flag=None): ...


OldNamesake = Namesake


class Namesake(OldNamesake):
    method = OldNamesake.method
    reached = catch_all(OldNamesake.method)


class Layer(Base):
    def plain(self, flag=None): ...

    alias = plain
    lambda_ = lambda self, flag=None: flag
    wrapped_own = catch_all(plain)
    wrapped_twice = catch_all(exact(plain))
    managed = contextlib.contextmanager(plain)
    cached = functools.lru_cache(plain)
    known_object = KnownAround(plain)
    borrowed_docs = functools.wraps(elsewhere)(lambda self, flag=None: flag)
    borrowed_catch_all = functools.wraps(elsewhere)(lambda *args: args)

    of_module, of_base = elsewhere, Base.inherited
    catch_all_of_module = catch_all_elsewhere
    exact_around_module = exact(elsewhere)

    around_module = catch_all(elsewhere)
    object_around_own = Around(plain)
    object_around_module = Around(elsewhere)
    object_around_object = KnownAround(Around(plain))

    # What is no method to merge in
    static = staticmethod(plain)
    of_class = classmethod(plain)
    computed = property(plain)
    partial = functools.partial(print)
    builtin = print
    nothing = lambda: 0
    proxy, call, magic = Endless(), mock.call, mock.MagicMock()


@pytest.mark.parametrize(
    ("cls", "name", "ownership", "at"),
    [
        *[(Layer, name, "own", 0) for name in ("plain", "alias", "lambda_")],
        *[
            (Layer, name, "own", 1)
            for name in ("wrapped_own", "managed", "cached", "known_object")
        ],
        (Layer, "wrapped_twice", "own", 2),
        *[(Layer, name, "own", 0) for name in ("borrowed_docs", "borrowed_catch_all")],
        *[(Layer, name, "foreign", 0) for name in ("of_module", "of_base", "inherited")],
        *[(Layer, f"{name}_module", "foreign", 0) for name in ("catch_all_of", "exact_around")],
        (Namesake, "method", "foreign", 0),
        (Namesake, "reached", "opaque", 1),
        *[(Layer, name, "opaque", 1) for name in ("wrapped", "around_module")],
        *[(Layer, f"object_around_{name}", "opaque", 1) for name in ("own", "module")],
        (Layer, "object_around_object", "opaque", 2),
    ],
)
def test_ownership(cls, name, ownership, at):
    """The code says where a function was written, whatever `functools.wraps` has made of it."""
    method = find_method(cls, name)

    assert (ownership, at) == (method.ownership, method.chain.index(method.function))
    assert method.found is method.chain[0]
    assert (cls, name, f"{cls.__qualname__}.{name}()") == (method.cls, method.name, method.label)
    assert (Base if name in vars(Base) else cls) is method.definer


@pytest.mark.parametrize(
    ("method", "receiver"),
    [
        (lambda this, flag=None: 0, "this"),
        (lambda module, /, *args: 0, "module"),
        (lambda *args, flag=None: 0, "args[0]"),
        (lambda *a, flag=None, **kw: 0, "a[0]"),
    ],
)
def test_receiver(method, receiver):
    """The object may have any name, or come first in `*args`."""
    assert receiver == find_method(type("Any", (), {"method": method}), "method").receiver


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
        (Around("no callable"), 1),
        (Endless(), 100),
        (mock.call, 100),
        (mock.MagicMock(), 1),
        (ring(3), 100),
    ],
)
def test_unwrap(found, length):
    """A walk along `__wrapped__` ends, also where every attribute is there, or in a circle."""
    chain = unwrap(found)

    assert length == len(chain)
    assert found is chain[0]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("static", "is a staticmethod"),
        ("of_class", "is a classmethod"),
        ("computed", "is a property"),
        ("nothing", "Add self"),
        *[(name, "signature cannot be read") for name in ("builtin", "partial")],
        *[(name, "signature cannot be read") for name in ("proxy", "call", "magic")],
        *[(name, f"no method '{name}'.*method=") for name in ("missing", "__call__", "__init__")],
        ("__private", "no method '__private'"),
        ("lambda", r"did you mean 'lambda_'\?\)\. It has 'plain', 'alias', .*, or name another"),
        ("plain,alias", r"It has 'plain', .*, or give several as a tuple: method=\('encode', "),
    ],
)
def test_no_method(name, match):
    """The message says what to write instead; a mock is refused, not searched for ever."""
    with pytest.raises(MergeDefinitionError, match=match):
        find_method(Layer, name)


@mergeable("flag", method=("merged", "separate"))
class Merged:
    flag = 1

    def merged(self, flag=None): ...

    def separate(self, flag=None): ...

    alias, around, partial = merged, catch_all(merged), functools.partialmethod(merged)
    other = elsewhere


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        *[(name, ["flag"]) for name in ("merged", "separate", "alias", "around")],
        *[(name, []) for name in ("partial", "other", "missing", "__init__")],
    ],
)
def test_declarations(method, expected):
    """Those of a function hold under each name of it, and for what is around it."""
    sub = type("Sub", (Merged,), {})

    assert expected == [param.name for _, param in declarations(sub, method)]


def test_method_that_has_lost_its_merge():
    """A tool that compiles methods anew must not lose the merge without a word."""
    cls = type("Layer", (), {"flag": 1, "__call__": lambda self, flag=None: flag})
    mergeable("flag")(cls).__call__ = lambda self, flag=None: flag

    with pytest.raises(
        MergeDefinitionError, match=r"Layer\.__call__\(\) was merged, and its func"
    ):
        merged_params(cls)
