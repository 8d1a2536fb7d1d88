"""Provided values under threads, tasks, copied contexts, and contexts that close in any order."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import random
import sys
import types
import weakref

import pytest

from mergeparam import MERGED, MissingParamError, mergeable, provide

THREADS, ROUNDS = 8, 50


@mergeable("flag")
class Leaf:
    """Returns what is provided."""

    flag = None

    def __call__(self, *, flag=MERGED):
        return flag


@mergeable("flag", method=("plain", "waiting"), provide=True)
class Model:
    """Provides in methods of both kinds."""

    flag = None

    def plain(self, depth=0, *, flag=MERGED):
        return read() if depth == 0 else self.plain(depth - 1)

    async def waiting(self, count, *, flag=MERGED):
        found = set()
        for _ in range(count):
            found.add(read())
            await asyncio.sleep(0)
        return found


def read():
    """Return what is provided; `None` where nothing is."""
    with contextlib.suppress(MissingParamError):
        return Leaf()()


@pytest.fixture(autouse=True)
def _nothing_is_left(small_heap):
    """Check that a test leaves no scope behind in this context."""
    yield
    gc.collect()
    assert read() is None


# Threads.


def test_threads(at_once):
    """Each thread sees its own values alone, in scopes and in bodies."""

    def work(number):
        found = set()
        for _ in range(ROUNDS):
            with provide(flag=number):
                found |= {read(), Model().plain(3)}
            found.add(Model().plain(flag=number))
        return found, read()

    assert [({number}, None) for number in range(THREADS)] == at_once(work)


def test_one_object_in_many_threads(at_once):
    """One `provide` is open as often as it was opened, in each thread for itself."""
    shared = provide(flag="shared")

    def work(number):
        found = []
        for _ in range(ROUNDS):
            with shared, provide(flag=number), shared:
                found.append(read())
            with shared:
                found.append(read())
            found.append(read())
        return found

    assert [["shared", "shared", None] * ROUNDS] * THREADS == at_once(work)


STARTING = """
import threading
from mergeparam import provide
from mergeparam._call.provide import provided

with provide(flag=1):
    thread = threading.Thread(target=lambda: print(provided("flag", None)))
    thread.start()
    thread.join()
"""


NEEDS_314 = pytest.mark.skipif(sys.version_info < (3, 14), reason="it is of Python 3.14")


@pytest.mark.parametrize("inherits", [0, pytest.param(1, marks=NEEDS_314)])
def test_threads_that_are_started_inside(python, inherits):
    """They see what is provided around them where Python lets them inherit the context."""
    option = f"thread_inherit_context={inherits}"

    assert f"{inherits or None}\n" == python("-X", option, "-c", STARTING)


# Contexts.


def test_copied_contexts():
    """A context that was copied inside keeps what was provided, wherever and whenever it runs."""
    with provide(flag=1):
        copied = contextvars.copy_context()
        with provide(flag=2):
            inner = contextvars.copy_context()

    def nested():
        with provide(flag=3):
            return read(), Model().plain(flag=4)

    assert (1, 2, None) == (copied.run(read), inner.run(read), read())
    assert (3, 4) == copied.run(nested)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert (1, None) == (pool.submit(copied.run, read).result(), pool.submit(read).result())
    assert 1 == copied.run(read)


def test_closed_in_another_context():
    """A scope that is closed where it was not opened is open where it was."""
    scope, context = provide(flag=1), contextvars.copy_context()
    context.run(scope.__enter__)
    with provide(flag=2):
        scope.__exit__(None, None, None)
        assert 2 == read()

    assert 1 == context.run(read)
    context.run(scope.__exit__, None, None, None)
    assert context.run(read) is None


def test_coroutine_that_goes_from_context_to_context():
    """The steps of a body may each run in another context or thread."""

    @types.coroutine
    def tell():
        yield read()

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        async def __call__(self, *, flag=MERGED):
            await tell()
            with provide(flag="inner"):
                await tell()
                await tell()
            await tell()

    coroutine = Layer()(flag=1)
    contexts = [contextvars.copy_context() for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [
            contexts[0].run(coroutine.send, None),
            contexts[1].run(coroutine.send, None),
            pool.submit(coroutine.send, None).result(),
            coroutine.send(None),
        ]
    coroutine.close()

    assert [1, "inner", "inner", 1] == found
    assert [None, None, None] == [read(), *(context.run(read) for context in contexts)]


# Tasks.


async def nothing():
    """Return what is provided after a while."""
    await asyncio.sleep(0)
    return read()


def test_many_tasks():
    """Tasks see what is provided where they were created, and what they provide themselves."""

    async def scoped(number):
        found = set()
        for _ in range(ROUNDS):
            with provide(flag=number):
                await asyncio.sleep(0)
                found.add(read())
            await asyncio.sleep(0)
            found.add(read())
        return found

    async def drive():
        works = [Model().waiting(ROUNDS, flag=number) for number in range(THREADS)]
        works += [scoped(number) for number in range(THREADS)]
        with provide(flag="outer"):
            inside = [asyncio.create_task(nothing()), asyncio.create_task(scoped("own"))]
        return await asyncio.gather(*works, nothing(), *inside)

    expected = [{number} for number in range(THREADS)]
    expected += [{number, None} for number in range(THREADS)]

    assert [*expected, None, "outer", {"own", "outer"}] == asyncio.run(drive())


def test_task_groups_and_timeouts():
    """A body that is cancelled in the middle leaves nothing to those that go on."""
    cleaned = []

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        async def __call__(self, *, flag=MERGED):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(failing())
                    await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.append(read())

    async def failing():
        raise LookupError(await nothing())

    async def drive():
        with pytest.raises(ExceptionGroup) as caught:
            await Layer()(flag=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Model().waiting(10**9, flag=2)
        return caught.value.exceptions[0].args, read()

    assert ((1,), None) == asyncio.run(drive())
    assert [1] == cleaned


def test_to_thread_executors_and_callbacks():
    """`to_thread` and callbacks take the values along, an executor does not."""

    async def drive():
        loop, found = asyncio.get_running_loop(), []
        with provide(flag=1):
            loop.call_soon(lambda: found.append(read()))
            context = contextvars.copy_context()
            along = await asyncio.to_thread(read)
            alone = await loop.run_in_executor(None, read)
        loop.call_soon(lambda: found.append(read()))
        loop.call_soon(lambda: found.append(read()), context=context)
        await asyncio.sleep(0.01)
        return along, alone, found

    along, alone, found = asyncio.run(drive())

    assert (1, [1, None, 1]) == (along, found)
    if not getattr(sys.flags, "thread_inherit_context", False):
        assert alone is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of Python 3.12")
def test_eager_tasks():
    """A task that starts inside a step of another one is none of it."""

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        async def __call__(self, *, flag=MERGED):
            task = asyncio.create_task(Model().waiting(3, flag="inner"))
            plain = asyncio.create_task(inherited())
            return read(), await task, read(), await plain

    async def inherited():
        return read(), await nothing()

    async def outer(number):
        return await Layer()(flag=number)

    async def drive():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await asyncio.gather(*(outer(number) for number in range(3)))

    expected = [(number, {"inner"}, number, (number, number)) for number in range(3)]

    assert expected == asyncio.run(drive())


def test_event_loops():
    """Loops in threads, one after the other or inside a scope, do not share anything."""

    def loop(number):
        return asyncio.run(Model().waiting(5, flag=number))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert [{0}, {1}, {2}] == [*pool.map(loop, range(3))]
    with provide(flag="around"):
        assert [{0}, {1}, {2}] == [loop(number) for number in range(3)]
        assert {"around"} == asyncio.run(Model().waiting(5))


# Any order, any depth, any end.


@pytest.mark.parametrize("seed", range(5))
def test_any_order(seed):
    """Scopes that open and close as it comes always leave the last one of those that are open."""
    choose = random.Random(seed)
    opened = []
    pool = [provide(flag=number) for number in range(4)]
    for _ in range(300):
        scope = choose.choice(pool)
        if choose.random() < 0.5 and len(opened) < 12:
            scope.__enter__()
            opened.append(scope)
        elif scope in opened:
            scope.__exit__(None, None, None)
            del opened[len(opened) - 1 - opened[::-1].index(scope)]

        assert (pool.index(opened[-1]) if opened else None) == read()
    for scope in reversed(opened):
        scope.__exit__(None, None, None)


@pytest.mark.parametrize("seed", range(2))
def test_bodies_in_any_order(seed):
    """Bodies that are gone on with as it comes each see their own value, and nobody else does."""
    choose = random.Random(seed)
    running = {number: Model().waiting(20, flag=number) for number in range(6)}
    found = {}
    while running:
        number = choose.choice([*running])
        with provide(flag="caller") if choose.random() < 0.5 else contextlib.nullcontext():
            expected = read()
            try:
                running[number].send(None)
            except StopIteration as stop:
                found[number] = stop.value
                del running[number]
            assert expected == read()

    assert {number: {number} for number in range(6)} == found


def test_what_a_generator_has_opened_goes_with_it():
    """A generator that is dropped closes its scope, wherever it stands."""

    def generator(value):
        with provide(flag=value):
            yield

    one, two = generator(1), generator(2)
    next(one)
    next(two)
    found = [read()]
    del one
    gc.collect()
    found.append(read())
    del two
    gc.collect()

    assert [2, 2, None] == [*found, read()]


def test_nothing_is_kept():
    """Neither scopes nor values stay when everything is closed and every context has gone."""

    class Value:
        pass

    async def drive(value):
        with provide(flag=value):
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(3)))
            await Model().waiting(3)

    value = Value()
    reference = weakref.ref(value)
    asyncio.run(drive(value))
    coroutine = Model().waiting(3, flag=value)
    coroutine.send(None)
    coroutine.close()
    del coroutine, value
    gc.collect()

    assert reference() is None


ENDING = """
import asyncio
from mergeparam import mergeable, provide

@mergeable("flag", provide=True)
class Layer:
    flag = None
    async def __call__(self, future, *, flag=None): await future

def plain():
    with provide(flag=0): yield

suspended = plain()
next(suspended)
scope = provide(flag=1)
scope.__enter__()
coroutine = Layer()(asyncio.sleep(0))
coroutine.send(None)
print("suspended")
"""


def test_end_of_the_process(python):
    """A scope, and bodies that are suspended, do no harm when Python ends."""
    assert "suspended\n" == python("-c", ENDING)
