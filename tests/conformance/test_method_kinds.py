"""Every kind of method merges, and stays of its kind."""

import asyncio
import contextlib
import functools
import inspect
import types

import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    mergeable,
)


class Base:
    """An object with a `flag`."""

    def __init__(self, flag=None):
        self.flag = flag


def test_generator():
    """A generator keeps `send`, `throw`, `close` and its return value."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            try:
                got = yield flag
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                self.closed = True
            return "end"

    layer = Layer(flag=1)
    generator = layer()

    assert inspect.isgeneratorfunction(Layer.__call__)
    assert isinstance(generator, types.GeneratorType)
    assert 1 == next(generator)
    assert 7 == generator.send(7)
    assert "caught" == generator.throw(KeyError())
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert "end" == stop.value.value
    second = layer()
    next(second)
    layer.closed = False
    second.close()
    assert layer.closed


def test_generator_merges_when_its_body_starts():
    """As by hand, the error comes with the first `next`, not with the call."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            yield flag

    generator = Layer()()

    with pytest.raises(MissingParamError):
        next(generator)


def test_generator_stop_iteration_in_merge():
    """A `StopIteration` of the attribute is a `RuntimeError`, as in any generator's body."""

    @mergeable("flag")
    class Layer:
        @property
        def flag(self):
            raise StopIteration

        def __call__(self, *, flag=MERGED):
            yield flag

    with pytest.raises(RuntimeError, match="StopIteration"):
        next(Layer()())


def test_coroutine():
    """A coroutine keeps its kind, and merges when it is awaited."""

    @mergeable("flag")
    class Layer(Base):
        async def __call__(self, *, flag=MERGED):
            await asyncio.sleep(0)
            return flag

    assert inspect.iscoroutinefunction(Layer.__call__)
    assert 1 == asyncio.run(Layer(1)())
    assert 2 == asyncio.run(Layer()(flag=2))
    with pytest.raises(MissingParamError):
        asyncio.run(Layer()())


def test_async_generator():
    """An async generator keeps `asend`, `athrow` and `aclose`."""

    @mergeable("flag")
    class Layer(Base):
        async def __call__(self, *, flag=MERGED):
            try:
                got = yield flag
                await asyncio.sleep(0)
                try:
                    yield got
                except KeyError:
                    yield "caught"
            finally:
                self.closed = True

    async def drive():
        layer = Layer(1)
        generator = layer()
        assert inspect.isasyncgen(generator)
        assert 1 == await anext(generator)
        assert 7 == await generator.asend(7)
        assert "caught" == await generator.athrow(KeyError())
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        second = layer()
        await anext(second)
        layer.closed = False
        await second.aclose()
        assert layer.closed
        assert [1] == [item async for item in Layer(1)() if item is not None]

    assert inspect.isasyncgenfunction(Layer.__call__)
    asyncio.run(drive())


def test_empty_async_generator():
    """An async generator that yields nothing ends at once."""

    @mergeable("flag")
    class Layer(Base):
        async def __call__(self, *, flag=MERGED):
            if flag:
                return
            yield flag

    async def drive():
        return [item async for item in Layer(1)()]

    assert [] == asyncio.run(drive())


def test_lambda():
    """A lambda."""

    @mergeable("flag")
    class Layer(Base):
        __call__ = lambda self, flag=MERGED: [flag]

    assert [1] == Layer(1)()


def test_recursive():
    """A method that calls itself merges in every call."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, depth, *, flag=MERGED):
            return [flag] if depth == 0 else [flag, *self(depth - 1, flag=flag)]

    assert [5, 5, 5] == Layer()(2, flag=5)
    with pytest.raises(ConflictingParamError):
        Layer(5)(2)


def test_zero_argument_super_and_class_cell():
    """`super()` and `__class__` mean the class that holds the body."""

    class Parent(Base):
        def name(self):
            return "parent"

    @mergeable("flag")
    class Layer(Parent):
        def name(self):
            return "child"

        def __call__(self, *, flag=MERGED):
            return super().name(), __class__, flag

    assert ("parent", Layer, 1) == Layer(1)()


def test_closures_over_parameter_and_self():
    """A closure sees the merged value, and may rebind it."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, x, *, flag=MERGED):
            def read():
                return flag, x, [self for _ in range(1)]

            def write():
                nonlocal flag
                flag = "rebound"

            before = read()
            write()
            return before, flag

    layer = Layer(1)

    assert ((1, 2, [layer]), "rebound") == layer(2)


def test_closure_over_outer_variable():
    """A method with free variables of its own keeps them."""
    outer = [0]

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            outer[0] += 1
            return (lambda: (flag, outer[0], self))()[:2]

    assert (1, 1) == Layer(1)()
    assert (2, 2) == Layer()(flag=2)


def test_locals():
    """`locals()` holds the parameters, the merged value among them, and nothing else."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, x, *, flag=MERGED):
            return locals()

    layer = Layer(1)

    assert {"self": layer, "x": 2, "flag": 1} == layer(2)


def test_comprehension():
    """A comprehension reads the merged value."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            return [flag for _ in range(2)], {_: [flag] for _ in "a"}, sum(flag for _ in "ab")

    assert ([3, 3], {"a": [3]}, 6) == Layer(3)()


def test_match_statement():
    """A body that matches on the parameter."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            match flag:
                case True:
                    return "yes"
                case [first, *_]:
                    return first
                case other:
                    return other

    assert ("yes", 4, 5) == (Layer(True)(), Layer([4, 1])(), Layer(5)())


def test_exception_groups():
    """A body that begins with `try` and catches by `except*`."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            try:
                raise ExceptionGroup("all", [ValueError(flag), KeyError(flag)])
            except* ValueError as group:
                found = group.exceptions[0].args
            except* KeyError:
                pass
            return found

    assert (1,) == Layer(1)()


def test_body_begins_with_try():
    """The merge stands before a `try` at the body's beginning, so its errors get out."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            try:
                return 1 // flag
            except (ZeroDivisionError, ValueError):
                return "caught"

    assert "caught" == Layer(0)()
    with pytest.raises(MissingParamError):
        Layer()()


def test_body_begins_with_loop():
    """A jump back to the body's first instruction does not merge again."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            while flag < 10:
                flag += 1
            return flag

    assert 10 == Layer(1)()
    assert 12 == Layer()(flag=12)


def test_delete():
    """A body may delete its parameter; a later read fails as in any function."""

    @mergeable("flag")
    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            kept = flag
            del flag
            try:
                return flag  # noqa: F821 - deleted on purpose
            except UnboundLocalError:
                return kept, "deleted"

    assert (1, "deleted") == Layer(1)()


def test_wrapped_by_decorator():
    """A method inside a decorator that sets `__wrapped__`; the wrapper stays in place."""
    seen = []

    def traced(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            seen.append(kwargs)
            return function(*args, **kwargs)

        return wrapper

    @mergeable("flag")
    class Layer(Base):
        @traced
        @traced
        def __call__(self, *, flag: bool = MERGED):
            return flag

    assert 1 == Layer(1)()
    assert 2 == Layer()(flag=2)
    assert 4 == len(seen)
    assert "(self, *, flag: bool | None = None)" == str(inspect.signature(Layer.__call__))


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

    assert [1, 1] == Layer(1)()
    with pytest.raises(MissingParamError):
        Layer()()


def test_kind_of_what_a_decorator_made():
    """A generator that a decorator has made something else of is called as that."""

    class Base:
        flag = None

        @contextlib.contextmanager
        def scope(self, *, flag=None):
            yield flag

    cls = type("Layer", (Base,), {})
    with pytest.raises(MergeDefinitionError, match="inject='auto'"):
        mergeable("flag", method="scope", inject="inline")(cls)
    mergeable("flag", method="scope", inject="wrap")(cls)

    with cls().scope(flag=3) as found:
        assert 3 == found


def test_attributes_of_the_function():
    """Name, qualified name, module, doc and attributes of the function stay."""

    class Layer(Base):
        def __call__(self, *, flag=MERGED):
            """What it does."""

    original = Layer.__call__
    original.note = "kept"
    original.__doc__ = "What it does now."
    mergeable("flag")(Layer)
    merged = Layer.__call__

    assert original.__name__ == merged.__name__
    assert original.__qualname__ == merged.__qualname__
    assert original.__module__ == merged.__module__
    assert "What it does now." == merged.__doc__ == inspect.getdoc(merged)
    assert "kept" == merged.note
