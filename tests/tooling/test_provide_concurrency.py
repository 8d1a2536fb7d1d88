"""Provided values under threads, tasks, copied contexts, and contexts that close in any order."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import queue
import random
import subprocess
import sys
import threading
import weakref

import pytest

from mergeparam import MERGED, MissingParamError, mergeable, provide
from mergeparam._provide import NOTHING_PROVIDED, ProvideStep, Scope

THREADS, ROUNDS = 8, 50


@mergeable("flag")
class Leaf:
    """Returns what is provided."""

    flag = None

    def __call__(self, *, flag=MERGED):
        return flag


@mergeable("flag", method=("plain", "steps", "waiting", "stream"), provide=True)
class Model:
    """Provides in methods of every kind."""

    flag = None

    def plain(self, depth=0, *, flag=MERGED):
        return read() if depth == 0 else self.plain(depth - 1)

    def steps(self, count, *, flag=MERGED):
        for _ in range(count):
            yield read()

    async def waiting(self, count, *, flag=MERGED):
        found = set()
        for _ in range(count):
            found.add(read())
            await asyncio.sleep(0)
        return found

    async def stream(self, count, *, flag=MERGED):
        for _ in range(count):
            await asyncio.sleep(0)
            yield read()


def read():
    """Return what is provided; `None` where nothing is."""
    with contextlib.suppress(MissingParamError):
        return Leaf()()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """Check that a test leaves no scope behind, in this context or at all."""
    yield
    gc.collect()
    assert read() is None
    assert [] == Scope.living


@pytest.fixture
def _switch_often():
    """Let threads take turns after a few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(work):
    """Return what the work gives in every thread, all of which start together."""
    barrier = threading.Barrier(THREADS)

    def start(number):
        barrier.wait()
        return work(number)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


@pytest.mark.usefixtures("_switch_often")
def test_threads():
    """Each thread sees its own values alone, in scopes and in bodies."""

    def work(number):
        found = set()
        for _ in range(ROUNDS):
            with provide(flag=number):
                found.add(read())
                found.add(Model().plain(3))
                found.update(Model().steps(3))
            found.add(Model().plain(flag=number))
        return found, read()

    assert [({number}, None) for number in range(THREADS)] == at_once(work)


@pytest.mark.usefixtures("_switch_often")
def test_one_object_in_many_threads():
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


def test_threads_inherit_nothing():
    """A thread that is started inside a scope does not see it, if Python says nothing else."""
    if getattr(sys.flags, "thread_inherit_context", False):
        pytest.skip("threads inherit contexts here")
    found = queue.SimpleQueue()
    with provide(flag=1):
        thread = threading.Thread(target=lambda: found.put(read()))
        thread.start()
        thread.join()

    assert found.get_nowait() is None


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="threads inherit contexts since Python 3.14"
)
def test_threads_that_inherit():
    """Where threads inherit the context, they see what is provided where they are started."""
    script = (
        "import threading\n"
        "from mergeparam import mergeable, provide\n"
        "@mergeable('flag')\n"
        "class Leaf:\n"
        "    flag = None\n"
        "    def __call__(self, *, flag=None): return flag\n"
        "with provide(flag=1):\n"
        "    thread = threading.Thread(target=lambda: print(Leaf()()))\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    command = [sys.executable, "-X", "thread_inherit_context=1", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ("1\n", "") == (done.stdout, done.stderr)


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
        assert 1 == pool.submit(copied.run, read).result()
        assert pool.submit(read).result() is None
    assert 1 == copied.run(read)
    del copied, inner


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


def test_step_that_is_closed_in_another_context():
    """So is a step of a body."""
    step = ProvideStep({"flag": 1})
    step.__enter__()
    contextvars.Context().run(step.__exit__, None, None, None)

    assert 1 == read()
    step.__exit__(None, None, None)
    assert read() is None


def test_generator_that_goes_from_context_to_context():
    """The steps of a body may each run in another context or thread."""

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            yield read()
            with provide(flag="inner"):
                yield read()
                yield read()
            yield read()

    generator = Layer()(flag=1)
    contexts = [contextvars.copy_context() for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [
            contexts[0].run(next, generator),
            contexts[1].run(next, generator),
            pool.submit(next, generator).result(),
            next(generator),
        ]

    assert [1, "inner", "inner", 1] == found
    assert [None, None, None] == [read(), *(context.run(read) for context in contexts)]


def test_many_tasks():
    """Tasks see what is provided where they were created, and what they provide themselves."""

    async def nothing():
        await asyncio.sleep(0)
        return read()

    async def collected(number):
        return {value async for value in Model().stream(ROUNDS, flag=number)}

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
        works = []
        for number in range(THREADS):
            works += [Model().waiting(ROUNDS, flag=number), collected(number), scoped(number)]
        with provide(flag="outer"):
            inside = [asyncio.create_task(nothing()), asyncio.create_task(scoped("own"))]
        return await asyncio.gather(*works, nothing(), *inside)

    expected = []
    for number in range(THREADS):
        expected += [{number}, {number}, {number, None}]

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
                cleaned.append(read())

    async def failing():
        await asyncio.sleep(0)
        raise LookupError(read())

    async def drive():
        with pytest.raises(ExceptionGroup) as caught:
            await Layer()(flag=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await endless()
        return caught.value.exceptions[0].args, read()

    async def endless():
        async for _ in Model().stream(10**9, flag=2):
            pass

    assert ((1,), None) == asyncio.run(drive())
    assert [1] == cleaned


def test_to_thread_and_executors():
    """`to_thread` takes the values along, an executor does not."""

    async def drive():
        with provide(flag=1):
            loop = asyncio.get_running_loop()
            along = await asyncio.to_thread(read)
            alone = await loop.run_in_executor(None, read)
        return along, alone

    along, alone = asyncio.run(drive())

    assert 1 == along
    if not getattr(sys.flags, "thread_inherit_context", False):
        assert alone is None


def test_callbacks_of_the_loop():
    """A callback runs in the context in which it was scheduled."""

    async def drive():
        loop, found = asyncio.get_running_loop(), []
        with provide(flag=1):
            loop.call_soon(lambda: found.append(read()))
            context = contextvars.copy_context()
        loop.call_soon(lambda: found.append(read()))
        loop.call_soon(lambda: found.append(read()), context=context)
        await asyncio.sleep(0.01)
        return found

    assert [1, None, 1] == asyncio.run(drive())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of Python 3.12")
def test_eager_tasks():
    """A task that starts inside a step of another one is none of it."""

    async def drive():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await asyncio.gather(*(outer(number) for number in range(3)))

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        async def __call__(self, *, flag=MERGED):
            task = asyncio.create_task(Model().waiting(3, flag="inner"))
            plain = asyncio.create_task(inherited())
            return read(), await task, read(), await plain

    async def inherited():
        before = read()
        await asyncio.sleep(0)
        return before, read()

    async def outer(number):
        return await Layer()(flag=number)

    assert [(number, {"inner"}, number, (number, number)) for number in range(3)] == asyncio.run(
        drive()
    )


def test_exit_stacks():
    """Stacks close what they have opened, in order or moved elsewhere."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(provide(flag=1))
        stack.enter_context(provide(flag=2, other=1))
        assert 2 == read()
        moved = stack.pop_all()
    assert 2 == read()
    with provide(flag=3):
        moved.close()
        assert 3 == read()

    async def drive():
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(provide(flag=4))
            await asyncio.sleep(0)
            return read()

    assert 4 == asyncio.run(drive())


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
        expected = pool.index(opened[-1]) if opened else None
        assert expected == read()
    for scope in reversed(opened):
        scope.__exit__(None, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_bodies_in_any_order(seed):
    """Bodies that are gone on with as it comes each see their own value, and nobody else does."""
    choose = random.Random(seed)
    running = {number: Model().steps(20, flag=number) for number in range(6)}
    while running:
        number = choose.choice([*running])
        with provide(flag="consumer") if choose.random() < 0.5 else contextlib.nullcontext():
            expected = read()
            if next(running[number], None) is None or choose.random() < 0.05:
                running.pop(number).close()
            assert expected == read()


def test_what_a_generator_has_opened_goes_with_it():
    """A generator that is dropped closes its scope, wherever it stands."""

    def generator(value):
        with provide(flag=value):
            yield

    one, two = generator(1), generator(2)
    next(one)
    next(two)
    assert 2 == read()
    del one
    gc.collect()
    assert 2 == read()
    del two
    gc.collect()
    assert read() is None


def test_nothing_is_kept():
    """Neither scopes nor values stay when everything is closed and every context has gone."""

    class Value:
        pass

    async def drive(value):
        with provide(flag=value):
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(3)))
            await Model().waiting(3)
            async for _ in Model().stream(3):
                pass

    value = Value()
    reference = weakref.ref(value)
    asyncio.run(drive(value))
    generator = Model().steps(3, flag=value)
    next(generator)
    generator.close()
    del generator, value
    gc.collect()

    assert reference() is None
    assert [] == Scope.living


def test_deep_scopes():
    """Hundreds of scopes in each other are opened and closed as few are."""
    with contextlib.ExitStack() as stack:
        for number in range(500):
            stack.enter_context(provide(**{f"name{number}": 1, "flag": number}))
        assert 499 == read()
    assert 7 == Model().plain(100, flag=7)


def test_the_root_is_no_scope():
    """Nothing is provided to begin with."""
    assert {} == dict(NOTHING_PROVIDED.values)
    assert NOTHING_PROVIDED.outer is None


def test_end_of_the_process():
    """A scope, and bodies that are suspended, do no harm when Python ends."""
    script = (
        "import asyncio\n"
        "from mergeparam import mergeable, provide\n"
        "@mergeable('flag', method=('steps', 'stream'), provide=True)\n"
        "class Layer:\n"
        "    flag = None\n"
        "    def steps(self, *, flag=None): yield flag\n"
        "    async def stream(self, *, flag=None): yield flag\n"
        "def plain():\n"
        "    with provide(flag=0): yield\n"
        "suspended = plain()\n"
        "next(suspended)\n"
        "scope = provide(flag=1)\n"
        "scope.__enter__()\n"
        "steps, stream = Layer().steps(), Layer().stream()\n"
        "print(next(steps), asyncio.run(anext(stream)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_event_loops():
    """Loops in threads, one after the other or inside a scope, do not share anything."""

    def loop(number):
        return asyncio.run(Model().waiting(5, flag=number))

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert [{0}, {1}, {2}] == [*pool.map(loop, range(3))]
    with provide(flag="around"):
        assert [{0}, {1}, {2}] == [loop(number) for number in range(3)]
        assert {"around"} == asyncio.run(Model().waiting(5))
