"""`provide=True` in generators and coroutines: only while the body runs."""

import asyncio
import contextlib
import gc
import inspect
import itertools
import sys
import types
import weakref

import pytest

from mergeparam import MERGED, MergeError, MissingParamError, mergeable, provide


class Base:
    """An object with a `flag`."""

    def __init__(self, flag=None):
        self.flag = flag


@types.coroutine
def wait(value=None):
    """Wait in a coroutine that is driven by hand, and return what is sent."""
    return (yield value)


class Thrown(Exception):
    """An error that a weak reference can watch."""


@pytest.fixture
def leaf():
    """Return a class whose instances return what is merged."""

    @mergeable("flag")
    class Leaf(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    return Leaf


@pytest.fixture
def read(leaf):
    """Return a function that returns what is provided."""
    return leaf()


@pytest.fixture
def generating(read):
    """Return a generator that tells what it is sent, thrown and provided."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            got = yield "start", read()
            try:
                while got is not None:
                    try:
                        got = yield got, read()
                    except KeyError as error:
                        got = yield error, read()
            finally:
                self.closed = read()
            return "end", read()

    return Model


def check_nothing_is_provided(read):
    """Check that the consumer sees nothing."""
    with pytest.raises(MissingParamError):
        read()


def test_generator(generating, read):
    """`send`, `throw` and the return value reach and leave the body; the scope stays inside."""
    generator, error = generating(1)(), KeyError("thrown")

    assert isinstance(generator, types.GeneratorType)
    assert inspect.GEN_CREATED == inspect.getgeneratorstate(generator)
    assert ("start", 1) == next(generator)
    check_nothing_is_provided(read)
    assert ("sent", 1) == generator.send("sent")
    check_nothing_is_provided(read)
    with provide(flag="of the consumer"):
        assert "of the consumer" == read()
        assert (error, 1) == generator.throw(error)
        assert "of the consumer" == read()
    with pytest.raises(StopIteration) as stop:
        generator.send(None)
    assert ("end", 1) == stop.value.value
    check_nothing_is_provided(read)


def test_generator_with_a_scope_of_its_own(read):
    """What the body has opened inside is suspended with it, and is inside again."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            yield read()
            with provide(flag="own"):
                yield read()
                with provide(flag="inner"):
                    yield read()
                    yield read()
                yield read()
            yield read()

    generator = Model(1)()

    for expected in (1, "own", "inner", "inner", "own", 1):
        with provide(flag="of the consumer"):
            assert expected == next(generator)
            assert "of the consumer" == read()
        check_nothing_is_provided(read)


def test_generators_inside_each_other(read):
    """Each has its own value, whoever goes on with whom."""

    @mergeable("flag", provide=True)
    class Inner(Base):
        def __call__(self, *, flag=MERGED):
            for _ in range(3):
                yield "inner", read()

    @mergeable("flag", provide=True)
    class Outer(Base):
        def __call__(self, *, flag=MERGED):
            inner = Inner(2)()
            yield "outer", read()
            yield next(inner)
            yield "outer", read()
            yield from inner
            yield "outer", read()

    assert [
        ("outer", 1),
        *[("inner", 2), ("outer", 1), ("inner", 2), ("inner", 2)],
        ("outer", 1),
    ] == [*Outer(1)()]


def test_generators_in_turns(generating, read):
    """Generators that are suspended do not see each other."""
    generators = [generating(value)() for value in range(3)]

    assert [0, 1, 2] == [next(generator)[1] for generator in generators]
    assert [2, 1, 0] == [generator.send("sent")[1] for generator in reversed(generators)]
    check_nothing_is_provided(read)


@pytest.mark.parametrize("way", ["close", "throw", "garbage"])
def test_generator_that_is_closed(generating, read, way):
    """The body cleans up in its scope."""
    model = generating(1)
    generator = model()
    generator.send(None)
    generator.send("sent")
    if way == "close":
        generator.close()
    elif way == "throw":
        with pytest.raises(ZeroDivisionError):
            generator.throw(ZeroDivisionError)
    else:
        del generator
        gc.collect()

    assert 1 == model.closed
    check_nothing_is_provided(read)


def test_generator_that_was_never_started(generating):
    """A body that has not begun is not run to be closed."""
    model = generating(1)
    model().close()

    with pytest.raises(ZeroDivisionError):
        model().throw(ZeroDivisionError)
    assert not hasattr(model, "closed")


def plain_or_providing(define):
    """Return the results of a class as it is written, and of the same when it provides."""
    return define(lambda cls: cls), define(mergeable("flag", provide=True))


def test_generator_that_answers_to_being_closed():
    """What a body makes of `GeneratorExit` is what comes of it without `provide=True`."""

    def define(decorate):
        @decorate
        class Model:
            flag = 1

            def __call__(self, *, flag=MERGED):
                try:
                    yield 1
                except GeneratorExit:
                    if self.answer == "yield":
                        yield "answer"
                    return "answer"

        def closed(answer, method):
            model = Model()
            model.answer = answer
            generator = model()
            next(generator)
            try:
                return getattr(generator, method)(*[GeneratorExit] * (method == "throw"))
            except (StopIteration, RuntimeError) as error:
                return repr(error)

        ways = itertools.product(("yield", "return"), ("close", "throw"))
        return [closed(answer, method) for answer, method in ways]

    plain, providing = plain_or_providing(define)

    assert plain == providing


def test_thrown_into_a_generator():
    """A body that goes on after an error has nothing of it left."""

    def define(decorate):
        @decorate
        class Model:
            flag = 1

            def __call__(self, *, flag=MERGED):
                with contextlib.suppress(Thrown):
                    yield
                yield sys.exception()
                raise ZeroDivisionError

        generator = Model()()
        next(generator)
        found = [generator.throw(Thrown())]
        try:
            next(generator)
        except ZeroDivisionError as error:
            found += [error.__context__, error.__cause__]
        return found

    assert ([None] * 3, [None] * 3) == plain_or_providing(define)


def test_stop_iteration_in_a_generator():
    """As in any generator, it becomes a `RuntimeError`, in the merge and in the body."""

    @mergeable("flag", provide=True)
    class Model:
        @property
        def flag(self):
            raise StopIteration

        def __call__(self, *, flag=MERGED):
            yield
            raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        next(Model()())


def test_generator_merges_when_its_body_starts(generating):
    """As by hand, the error comes with the first `next`, not with the call."""
    generator = generating()()

    with pytest.raises(MissingParamError):
        next(generator)
    with provide(flag=1):
        generator = generating()()
    with pytest.raises(MissingParamError):
        next(generator)


def test_nothing_is_kept_between_steps():
    """Neither what was sent, nor yielded, nor thrown is held by what is around the body."""

    class Value:
        pass

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            while True:
                with contextlib.suppress(Thrown):
                    yield Value()

    generator = Model(1)()
    references = [weakref.ref(next(generator))]
    sent = Value()
    references += [weakref.ref(sent), weakref.ref(generator.send(sent))]
    del sent
    error = Thrown()
    references += [weakref.ref(error), weakref.ref(generator.throw(error))]
    error.__traceback__ = None
    del error

    assert [None] * 5 == [reference() for reference in references]


@pytest.fixture
def failing():
    """Return an object with a body of each kind, which raises if it is sent something."""

    @mergeable("flag", method=("generator", "coroutine", "async_generator"), provide=True)
    class Model(Base):
        def generator(self, *, flag=MERGED):
            if (yield):
                raise Thrown

        async def coroutine(self, *, flag=MERGED):
            if await wait():
                raise Thrown

        async def async_generator(self, *, flag=MERGED):
            if await wait():
                raise Thrown
            yield

    return Model(1)


@pytest.mark.parametrize("kind", ["generator", "coroutine", "async_generator"])
@pytest.mark.parametrize("end", [lambda body: body.send(1), lambda body: body.throw(Thrown())])
def test_error_without_a_cycle(failing, kind, end):
    """An error that goes through a suspended body is not kept alive by its own traceback."""
    body = getattr(failing, kind)()
    body = anext(body) if kind == "async_generator" else body
    body.send(None)
    gc.disable()
    try:
        end(body)
    except Thrown as error:
        reference = weakref.ref(error)
    finally:
        gc.enable()

    assert reference() is None


def test_plain_with_around_a_yield(read):
    """A `with provide` that is no `provide=True` is open for the consumer, too."""

    def generator():
        with provide(flag=1):
            yield
            yield
        yield

    going = generator()
    next(going)

    assert 1 == read()
    with provide(flag=2):
        assert 2 == read()
        next(going)
        assert 2 == read()
        next(going)
        assert 2 == read()
    check_nothing_is_provided(read)


# Coroutines.


def test_coroutine(read):
    """The scope is open while the coroutine runs, and not while it waits."""
    seen = []

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            found = [read()]
            await asyncio.sleep(0)
            found.append(read())
            with provide(flag="own"):
                await asyncio.sleep(0)
                found.append(read())
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.001)
            except TimeoutError:
                found.append(read())
            return found

    async def other():
        for _ in range(5):
            with contextlib.suppress(MissingParamError):
                seen.append(read())
            await asyncio.sleep(0)

    async def drive():
        return await asyncio.gather(Model(1)(), other(), Model()(flag=2), other())

    results = asyncio.run(drive())

    assert [1, 1, "own", 1] == results[0]
    assert [2, 2, "own", 2] == results[2]
    assert [] == seen


def test_cancelled_coroutine(read):
    """A coroutine that is cancelled cleans up in its scope, also by waiting."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = read()
                raise
            finally:
                await asyncio.sleep(0)
                self.closed = read()

    async def drive():
        model = Model(1)
        task = asyncio.create_task(model())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        check_nothing_is_provided(read)
        return model

    model = asyncio.run(drive())

    assert (1, 1) == (model.cancelled, model.closed)


def test_coroutine_by_hand(read):
    """`send`, `throw` and `close` reach the body."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            try:
                got = await wait("first")
                with contextlib.suppress(KeyError):
                    await wait((got, read()))
                return await wait(read())
            finally:
                self.closed = read()

    model = Model(1)
    coroutine = model()

    assert inspect.iscoroutine(coroutine)
    assert "first" == coroutine.send(None)
    assert ("sent", 1) == coroutine.send("sent")
    assert 1 == coroutine.throw(KeyError())
    check_nothing_is_provided(read)
    with pytest.raises(StopIteration) as stop:
        coroutine.send("last")
    assert "last" == stop.value.value
    for end in (lambda coroutine: coroutine.close(), lambda coroutine: None):
        model = Model(2)
        coroutine = model()
        coroutine.send(None)
        end(coroutine)
        del coroutine
        gc.collect()
        assert 2 == model.closed


def test_coroutine_that_is_never_awaited():
    """It warns as any does, and only of itself."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED): ...

    with pytest.warns(RuntimeWarning, match="__call__' was never awaited") as caught:
        Model(1)()

    assert 1 == len(caught)


def test_generator_based_coroutine(read):
    """`types.coroutine` makes a generator awaitable, and it stays so."""

    @mergeable("flag", provide=True)
    class Model(Base):
        @types.coroutine
        def __call__(self, *, flag=MERGED):
            yield
            return read()

    async def drive():
        return await Model(1)()

    assert 1 == asyncio.run(drive())


# Async generators.


@pytest.fixture
def async_generating(read):
    """Return an async generator that tells what it is sent, thrown and provided."""

    @mergeable("flag", provide=True)
    class Model(Base):
        closed = None

        async def __call__(self, *, flag=MERGED):
            got = yield "start", read()
            try:
                while got is not None:
                    await asyncio.sleep(0)
                    try:
                        got = yield got, read()
                    except KeyError as error:
                        await asyncio.sleep(0)
                        got = yield error, read()
            finally:
                await asyncio.sleep(0)
                self.closed = read()

    return Model


def test_async_generator(async_generating, read):
    """`asend`, `athrow` and the end reach and leave the body; the scope stays inside."""

    async def drive():
        generator, error = async_generating(1)(), KeyError("thrown")
        assert inspect.isasyncgen(generator)
        assert ("start", 1) == await anext(generator)
        check_nothing_is_provided(read)
        assert ("sent", 1) == await generator.asend("sent")
        with provide(flag="of the consumer"):
            assert (error, 1) == await generator.athrow(error)
            assert "of the consumer" == read()
        with pytest.raises(StopAsyncIteration):
            await generator.asend(None)
        check_nothing_is_provided(read)

    asyncio.run(drive())


def test_async_generator_with_a_scope_of_its_own(read):
    """What the body has opened inside is suspended with it, at every `await` and `yield`."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            with provide(flag="own"):
                yield read()
                await asyncio.sleep(0)
                yield read()
            yield read()

    async def drive():
        found = []
        async for value in Model(1)():
            found.append(value)
            check_nothing_is_provided(read)
        return found

    assert ["own", "own", 1] == asyncio.run(drive())


@pytest.mark.parametrize("way", ["aclose", "athrow", "break", "loop", "garbage", "cycle"])
def test_async_generator_that_is_closed(async_generating, read, way):
    """The body cleans up in its scope, whoever closes it, and once."""
    problems = []

    async def drive(model):
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: problems.append(context)
        )
        generator = model()
        await generator.asend(None)
        await generator.asend("sent")
        if way == "aclose":
            await generator.aclose()
        elif way == "athrow":
            with pytest.raises(ZeroDivisionError):
                await generator.athrow(ZeroDivisionError)
        elif way == "break":
            async with contextlib.aclosing(generator):
                async for _ in generator:
                    break
        elif way == "loop":
            model.generator = generator  # left to the end of the loop
        elif way == "cycle":
            generator = [generator]
            generator.append(generator)
        check_nothing_is_provided(read)
        if way in ("garbage", "cycle"):
            del generator
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
            assert 1 == model.closed

    model = async_generating(1)
    asyncio.run(drive(model))

    assert 1 == model.closed
    assert [] == problems


def test_async_generator_that_answers_to_being_closed():
    """What a body makes of `GeneratorExit` is what comes of it without `provide=True`."""

    def define(decorate):
        @decorate
        class Model:
            flag = 1

            async def __call__(self, *, flag=MERGED):
                try:
                    yield 1
                except GeneratorExit:
                    if self.answer == "yield":
                        yield "answer"

        async def closed(answer, method):
            model = Model()
            model.answer = answer
            generator = model()
            await anext(generator)
            try:
                return await getattr(generator, method)(*[GeneratorExit()] * (method == "athrow"))
            except (StopAsyncIteration, RuntimeError) as error:
                return repr(error)

        ways = itertools.product(("yield", "return"), ("aclose", "athrow"))
        return [asyncio.run(closed(answer, method)) for answer, method in ways]

    plain, providing = plain_or_providing(define)

    assert plain == providing


def test_async_generator_without_an_event_loop(read):
    """Driven by hand it needs no loop, and is closed when it goes."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            try:
                yield read()
            finally:
                self.closed = read()

    model = Model(1)
    generator = model()
    with pytest.raises(StopIteration) as stop:
        generator.asend(None).send(None)

    assert 1 == stop.value.value
    del generator, stop
    gc.collect()
    assert 1 == model.closed


def test_hooks_of_event_loops_are_left_alone():
    """The hooks that are there when a body starts are there behind it, and hear of one thing."""
    seen = []

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            yield flag

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(seen.append, seen.append)
    try:
        generator = Model(1)()
        with pytest.raises(StopIteration):
            generator.asend(None).send(None)
        assert (seen.append, seen.append) == sys.get_asyncgen_hooks()
        assert [generator] == seen
    finally:
        sys.set_asyncgen_hooks(*before)
    with pytest.raises(StopIteration):
        generator.aclose().send(None)


def test_async_generator_merges_when_its_body_starts(async_generating):
    """As by hand, the error comes with the first step."""

    async def drive():
        generator = async_generating()()
        with pytest.raises(MergeError):
            await anext(generator)

    asyncio.run(drive())


def test_empty_async_generator():
    """An async generator that yields nothing ends at once."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            if flag is None:
                yield

    async def drive():
        return [item async for item in Model(1)()]

    assert [] == asyncio.run(drive())
