"""Every kind of method merges, whatever its body does, and stays of its kind."""

import asyncio
import contextlib
import functools
import inspect
import sys
import types

import pytest
from outcomes import MERGES, Base, attempt, outcomes

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    mergeable,
)

# What a body may do, by the name of the method: the flag, and what comes of it.
BODIES = {
    "lambda_": [(1, [1])],
    "super_and_class": [(1, ("parent", "Bodies", 1))],
    "closures": [(1, ((1, ["self"]), "rebound"))],
    "locals_": [(1, {"x": 2, "flag": 1})],
    "begins_with_try": [(0, "caught"), (2, 0)],
    "deleting": [(1, (1, "deleted"))],
}


def define_bodies(options):  # noqa: C901 - one body after the other
    """Return a class with a method for each of the bodies."""

    class Parent(Base):
        def name(self):
            return "parent"

    class Bodies(Parent):
        def name(self):
            return "child"

        lambda_ = lambda self, flag=MERGED: [flag]

        def super_and_class(self, *, flag=MERGED):
            return super().name(), __class__.__name__, flag

        def closures(self, *, flag=MERGED):
            def read():
                return flag, ["self" for _ in range(1) if self]

            def write():
                nonlocal flag
                flag = "rebound"

            before = read()
            write()
            return before, flag

        def locals_(self, x=2, *, flag=MERGED):
            found = dict(locals())
            del found["self"]
            return found

        def begins_with_try(self, *, flag=MERGED):
            try:
                return 1 // flag
            except (ZeroDivisionError, ValueError):
                return "caught"

        def deleting(self, *, flag=MERGED):
            kept = flag
            del flag
            try:
                return flag  # noqa: F821 - deleted on purpose
            except UnboundLocalError:
                return kept, "deleted"

    return mergeable("flag", method=tuple(BODIES), **options)(Bodies)


@pytest.mark.parametrize(
    ("method", "flag", "expected"),
    [(method, *case) for method, cases in BODIES.items() for case in cases],
)
def test_bodies(method, flag, expected, options):
    """The body finds the merged value, wherever it is from, and no handler of it catches ours."""
    layer = define_bodies(options)

    assert expected == getattr(layer(flag), method)()
    assert expected == getattr(layer(), method)(flag=flag)
    assert MissingParamError is attempt(getattr(layer(), method))
    assert ConflictingParamError is attempt(getattr(layer(flag), method), flag=flag)


def test_recursive_call_merges_anew():
    """A method that hands the flag to itself has both."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, depth, *, flag=MERGED):
            return [flag] if depth == 0 else [flag, *self(depth - 1, flag=flag)]

    assert [5, 5, 5] == Layer()(2, flag=5)
    with pytest.raises(ConflictingParamError):
        Layer(5)(2)


# Generators and coroutines.


@pytest.fixture
def generating():
    """Return a class with a generator and an async generator that tell what they are sent."""

    @mergeable("flag", method=("steps", "stream"))
    class Layer(Base):
        closed = False

        def steps(self, *, flag=MERGED):
            try:
                got = yield flag
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                self.closed = True
            return "end"

        async def stream(self, *, flag=MERGED):
            try:
                got = yield flag
                await asyncio.sleep(0)
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                self.closed = True

    return Layer


def test_generator(generating):
    """A generator keeps `send`, `throw`, `close` and its return value."""
    generator, layer = generating(1).steps(), generating(1)
    found = [next(generator), generator.send(7), generator.throw(KeyError())]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    closed = layer.steps()
    next(closed)
    closed.close()

    assert inspect.isgeneratorfunction(generating.steps)
    assert isinstance(generator, types.GeneratorType)
    assert [1, 7, "caught", "end"] == [*found, stop.value.value]
    assert layer.closed


def test_async_generator(generating):
    """An async generator keeps `asend`, `athrow` and `aclose`, and may yield nothing."""

    @mergeable("flag")
    class Empty(Base):
        async def __call__(self, *, flag=MERGED):
            if flag:
                return
            yield flag

    async def drive():
        layer = generating(1)
        generator, closed = generating(1).stream(), layer.stream()
        found = [await anext(generator), await generator.asend(7)]
        found.append(await generator.athrow(KeyError()))
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        await anext(closed)
        await closed.aclose()
        return found, inspect.isasyncgen(generator), layer.closed, [_ async for _ in Empty(1)()]

    assert inspect.isasyncgenfunction(generating.stream)
    assert ([1, 7, "caught"], True, True, []) == asyncio.run(drive())


def test_generators_merge_when_their_bodies_start(generating):
    """As by hand, errors come with the first step; a `StopIteration` as from any generator."""
    generator, stream = generating().steps(), generating().stream()
    stopping = type("Stopping", (generating,), {"flag": property(lambda self: next(iter([])))})

    assert MissingParamError is attempt(next, generator)
    assert MissingParamError is attempt(stream.asend(None).send, None)
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(stopping.__new__(stopping).steps())


@pytest.fixture
def exiting():
    """Return a class whose generators handle it when they are closed."""

    @mergeable("flag", method=("steps", "stream"))
    class Layer(Base):
        seen = None

        def steps(self, *, flag=MERGED):
            try:
                yield flag
            except GeneratorExit as error:
                self.seen = error
            return "end"

        async def stream(self, *, flag=MERGED):
            try:
                yield flag
            except GeneratorExit as error:
                await asyncio.sleep(0)
                self.seen = error

        manager = contextlib.contextmanager(steps)

    return Layer


def test_generators_that_handle_their_end(exiting):
    """The body sees the `GeneratorExit` that was thrown in, and what it returns is not lost."""
    layer, error = exiting(1), GeneratorExit()
    generator, closed = layer.steps(), layer.steps()
    assert [1, 1] == [next(generator), next(closed)]
    with pytest.raises(StopIteration, match="end"):
        generator.throw(error)
    assert error is layer.seen
    assert closed.close() == ("end" if sys.version_info >= (3, 13) else None)
    with layer.manager() as flag:
        raise error
    assert (1, error) == (flag, layer.seen)


def test_async_generators_that_handle_their_end(exiting):
    """Likewise; the body may still await something."""

    async def drive():
        layer, error = exiting(1), GeneratorExit()
        stream, closed = layer.stream(), layer.stream()
        found = [await anext(stream), await anext(closed)]
        with pytest.raises(StopAsyncIteration):
            await stream.athrow(error)
        found.append(layer.seen is error)
        await closed.aclose()
        return [*found, layer.seen is not error]

    assert [1, 1, True, True] == asyncio.run(drive())


def test_coroutine(options):
    """A coroutine keeps its kind, and merges when it is awaited; a marked generator, too."""

    @mergeable("flag", method=("__call__", "marked"), **options)
    class Layer(Base):
        async def __call__(self, *, flag=MERGED):
            await asyncio.sleep(0)
            return flag

        @types.coroutine
        def marked(self, *, flag=MERGED):
            yield
            return flag

    async def drive():
        for unmerged in (Layer()(), Layer().marked()):
            with pytest.raises(MissingParamError):
                await unmerged
        return [await Layer(1)(), await Layer()(flag=2), await Layer(3).marked()]

    assert inspect.iscoroutinefunction(Layer.__call__)
    assert [1, 2, 3] == asyncio.run(drive())


# Decorators around the method.


def test_wrapper_with_its_own_default():
    """A wrapper that repeats the signature hands on the new default, never `MERGED`."""

    def doubled(function):
        @functools.wraps(function)
        def wrapper(self, *, flag=MERGED):
            return [function(self, flag=flag)] * 2

        return wrapper

    @mergeable("flag")
    class Layer(Base):
        @doubled
        def __call__(self, *, flag=MERGED):
            return flag

    assert [[1, 1], [2, 2], *MERGES[2:]] == outcomes(Layer)


@pytest.mark.skipif(
    not hasattr(inspect, "markcoroutinefunction"), reason="marks are of Python 3.12"
)
def test_marked_function(options):
    """A plain function that is marked as a coroutine function stays a plain one."""

    @mergeable("flag", **options)
    class Layer(Base):
        @inspect.markcoroutinefunction
        def __call__(self, *, flag=MERGED):
            future = asyncio.Future()
            future.set_result(flag)
            return future

    async def drive():
        return await Layer(1)()

    assert inspect.iscoroutinefunction(Layer.__call__)
    assert 1 == asyncio.run(drive())


# What the function says of itself.
