"""The scopes behind `provide`: how many are left, interrupts, and what adapters hear of them."""

import asyncio
import contextlib
import contextvars
import gc
import itertools
import os
import pickle
import threading
import types
import weakref

import interrupts
import pytest
from interrupts import Interrupt
from packages import cloudpickle, counts_references, needs_cloudpickle

from mergeparam import provide
from mergeparam._call.provide import (
    _CURRENT,
    ProvideInCall,
    _Step,
    is_provided,
    living,
    provided,
    run_in_steps,
)
from mergeparam._frameworks import Adapter

UNSET = object()


@pytest.fixture(autouse=True)
def _nothing_is_open():
    """Check that a test leaves no scope open behind it."""
    yield
    assert {} == innermost()


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left():
    """Check that nothing at all is left of the scopes of these tests."""
    yield
    gc.collect()
    gc.collect()  # PyPy tells of what the first one has found
    assert not living.scopes


@pytest.fixture
def follow(monkeypatch):
    """Return a function that lets an adapter follow scopes."""

    def follow(adapter):
        monkeypatch.setattr("mergeparam._call.provide.scope_followers", [adapter])
        return adapter

    return follow


@pytest.fixture
def heard(follow):
    """Return what an adapter hears: objects and values, the innermost last."""
    heard = []

    class Follower(Adapter):
        def scope_opened(self, scope):
            heard.append(("opened", scope.owner(), scope.values))

        def scope_closing(self, scope, innermost, left):
            heard.append(("closing", scope.owner(), innermost.values, left.values))

        def closed_elsewhere(self, owner, here):
            heard.append(("elsewhere", owner, here.values))

        def reading(self, scope, name):
            heard.append(("reading", name, scope.values))

    follow(Follower())
    return heard


def read():
    """Return what is provided; `None` where nothing is."""
    return provided("flag", None)


@types.coroutine
def wait(value=None):
    """Wait, and return what is sent."""
    return (yield value)


# Reading.


def test_reading():
    """What is not provided is the object that was asked with; inner values shadow outer ones."""
    assert UNSET is provided("flag", UNSET)
    assert not is_provided("flag")
    with provide(flag=None, other=1), provide(other=2):
        assert provided("flag", UNSET) is None
        assert 2 == provided("other", UNSET)
        assert UNSET is provided("third", UNSET)
        assert is_provided("flag")
        assert not is_provided("third")


def test_contexts_are_apart():
    """A context sees what was open where it was copied."""
    with provide(flag=1):
        inside = contextvars.copy_context()
    with provide(other=2):
        assert 1 == inside.run(read)
        assert not inside.run(is_provided, "other")
        assert not contextvars.Context().run(is_provided, "other")


# Whether any scope is left.


@counts_references
def test_living():
    """A scope is counted as long as somebody could read it, also in a copied context."""
    gc.collect()
    assert not living.scopes
    with provide(flag=1), provide(flag=2):
        assert 2 == len(living.scopes)
        copied = contextvars.copy_context()
    assert 2 == len(living.scopes)
    with provide(flag=3):
        assert 3 == len(living.scopes)
    del copied

    assert not living.scopes


@needs_cloudpickle
def test_living_is_pickled_by_name():
    """What reads it may be pickled by value, and asks the state of the process it comes to."""
    assert living is pickle.loads(pickle.dumps(living))
    assert living is cloudpickle.loads(cloudpickle.dumps(lambda: living))()


@counts_references
def test_scopes_that_close_in_any_order_leave_nothing():
    """The scopes that stay open are made anew; the count does not drift."""
    scopes = [provide(flag=number) for number in range(5)]
    for scope in scopes:
        scope.__enter__()
    for number in (1, 3, 0, 4, 2):
        scopes[number].__exit__(None, None, None)

    assert not living.scopes


def test_living_in_threads():
    """Threads add and discard at the same time, and end with scopes open."""

    def work():
        for _ in range(300):
            with provide(flag=1), provide(other=2):
                assert living.scopes
        left_open.append(provide(flag=2))
        left_open[-1].__enter__()

    left_open = []
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del thread, threads  # which hold their contexts
    gc.collect()

    assert not living.scopes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_beside_threads():
    """A child goes on where its parent was, whatever other threads were doing then."""

    def open_and_close():
        while not stop.is_set():
            with provide(flag=2):
                pass

    stop = threading.Event()
    threads = [threading.Thread(target=open_and_close) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        with provide(flag=1):
            for _ in range(5):
                child = os.fork()
                if not child:
                    with provide(other=2):
                        os._exit(read() + provided("other", None))
                assert 3 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# What was left open.


def innermost():
    """Return what the innermost scope provides, also one that was left open."""
    return _CURRENT.get().values


@counts_references
def test_left_open_without_anybody_to_close_it():
    """Nobody sees it from then on, and the next `with` drops it."""
    provide(flag=1).__enter__()

    assert read() is None
    with provide(other=1):
        assert {"other": 1} == innermost()
    assert {} == innermost()


def test_open_without_a_with():
    """A scope is open as long as somebody holds the object that can close it."""
    scope = provide(flag=1)
    scope.__enter__()
    gc.collect()
    with provide(other=1):
        assert 1 == read()

    assert 1 == read()
    scope.__exit__()
    assert read() is None


@counts_references
def test_left_open_inside_of_others():
    """The exit around drops what was left open, in whichever place, and nothing else."""
    suspended = provide(other=2)
    with provide(outer=1):
        provide(flag=1).__enter__()
        suspended.__enter__()
        provide(flag=2).__enter__()
    assert {"other": 2} == innermost()
    suspended.__exit__()

    assert {} == innermost()


@pytest.mark.parametrize(
    ("around", "inside", "left"),
    [
        (ProvideInCall, ProvideInCall, {}),
        (ProvideInCall, lambda **values: _Step(values), {}),
        (ProvideInCall, provide, {"flag": 1}),
        (provide, ProvideInCall, {"flag": 1}),
        (provide, provide, {"flag": 1}),
    ],
)
def test_left_open_by_a_call(around, inside, left):
    """A call ends after the calls inside; a `with` may end before one that a generator holds."""
    inner = inside(flag=1)
    with around(outer=1):
        inner.__enter__()
    assert left == innermost()
    inner.__exit__()

    assert {} == innermost()


@counts_references
def test_closed_in_the_context_but_not_in_its_copy():
    """What a copied context has brought along was not left open; its `with` has ended."""
    with provide(flag=1):
        copied = contextvars.copy_context()

    def inside():
        with provide(other=2):
            assert 1 == read()
        return read()

    assert 1 == copied.run(inside)


def rows():
    """Yield with a scope open."""
    with provide(flag=2):
        yield


def test_closed_in_a_copy_of_the_context():
    """Back in the context in which it was opened, nobody would close it any more."""
    with provide(flag=1):
        generator = rows()
        next(generator)
        assert 2 == read()
        copied = contextvars.copy_context()
        copied.run(generator.close)
        assert (1, 1) == (copied.run(read), read())

    assert {} == innermost()
    assert read() is None


def test_async_generator_that_an_event_loop_closes():
    """A loop closes what was not exhausted in a task of its own."""

    async def stream():
        with provide(flag=2):
            yield read()
            yield

    async def main():
        with provide(flag=1):
            async for _ in stream():
                break
            gc.collect()
            await asyncio.sleep(0.01)
            return read()

    assert 1 == asyncio.run(main())
    assert read() is None


# Interrupts: CPython runs signal handlers at the start of a function, and after calls.


def interrupted(scope, stop):
    """Open and close a scope, and raise before so many instructions of the library."""
    return interrupts.interrupted(scope, stop, lambda file: "mergeparam" in file)


@pytest.fixture
def stops():
    """Return every number of instructions after which an interrupt may come."""
    with provide():
        pass  # looks for frameworks among what was imported
    return range(1, interrupted(provide(flag=1), -1) + 1)


@counts_references
@pytest.mark.parametrize("named", [False, True], ids=["in place", "by name"])
def test_interrupt_that_leaves_the_scope_around(stops, named):
    """It is not swallowed, and the scope around drops what was left open while it passes."""
    name = provide(flag=1)
    for stop in stops:
        seen = "nothing"
        try:
            with provide(outer=1):
                interrupted(name if named else provide(flag=1), stop)
        except Interrupt:
            seen = innermost()

        assert {} == seen, stop


@counts_references
def test_interrupt_that_is_handled_inside(stops):
    """When it is forgotten, what was left open is not seen, and dropped by the scope around."""
    for stop in stops:
        with provide(outer=1):
            with pytest.raises(Interrupt):
                interrupted(provide(flag=1), stop)
            assert read() is None, stop
        assert {} == innermost(), stop


@counts_references
def test_interrupt_without_a_scope_around(stops):
    """The next scope that is opened drops what was left open."""
    for stop in stops:
        with pytest.raises(Interrupt):
            interrupted(provide(flag=1), stop)
        assert read() is None, stop
        with provide(other=1):
            assert {"other": 1} == innermost(), stop
        assert {} == innermost(), stop


@counts_references
def test_interrupt_of_a_scope_that_is_open_twice(stops):
    """Only the inner one is dropped, in whichever of the two the interrupt comes."""
    scope = provide(flag=1)
    for stop in stops:
        with scope:
            with pytest.raises(Interrupt), provide(flag=2):
                interrupted(scope, stop)
            assert 1 == read(), stop
            with contextlib.suppress(Interrupt), scope:
                interrupted(scope, stop)
            assert 1 == read(), stop
        assert {} == innermost(), stop


class InterruptingVariable:
    """A context variable that is interrupted when it is set or reset next."""

    def __init__(self, *, is_set):
        self.is_set, self.get = is_set, _CURRENT.get

    def set(self, value):
        return self.interrupted(_CURRENT.set, value)

    def reset(self, token):
        return self.interrupted(_CURRENT.reset, token)

    def interrupted(self, change, value):
        if self.is_set is None:
            return change(value)
        if self.is_set:
            change(value)
        self.is_set = None
        raise Interrupt


@pytest.fixture(params=[False, True], ids=["before", "after"])
def interrupt_setting(request, monkeypatch):
    """Return a function that interrupts another one, before or after it sets the variable."""

    def interrupt_setting(call):
        with monkeypatch.context() as patched:
            variable = InterruptingVariable(is_set=request.param)
            patched.setattr("mergeparam._call.provide._CURRENT", variable)
            with pytest.raises(Interrupt):
                call()
        return request.param

    return interrupt_setting


def test_interrupt_while_opening(interrupt_setting):
    """The scope is not open, whether it was already set or not."""
    interrupt_setting(provide(flag=1).__enter__)

    assert {} == innermost()


def test_interrupt_while_closing(interrupt_setting):
    """The scope is closed if another one was set, and else it is as open as before."""
    closing = provide(flag=1)
    closing.__enter__()
    scope = _CURRENT.get()
    is_set = interrupt_setting(closing.__exit__)

    assert is_set == scope.closed == ({} == innermost())
    closing.__exit__()


@counts_references
def test_interrupted_steps():
    """A coroutine that is interrupted while a step opens or closes leaves nothing open."""

    async def body():
        with provide(other=1):
            await wait()

    for stop in itertools.count(1):
        coroutine = body()
        with provide(outer=1), contextlib.suppress(Interrupt):
            if interrupted(Driver(run_in_steps(coroutine, {"flag": 1})), stop) < stop:
                break
        coroutine.close()
        assert {} == innermost()


class Driver:
    """Drives a coroutine to its end in a `with`."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __enter__(self):
        for _ in self.coroutine:
            pass

    def __exit__(self, *error):
        pass


# Steps of coroutines.


def test_steps():
    """The scope is open while the body runs, with what the body has opened, and not between."""

    async def body():
        found = [read(), await wait("first")]
        with provide(flag="own"):
            found += [read(), await wait("second"), read()]
        with contextlib.suppress(KeyError):
            await wait("third")
        return [*found, read()]

    running = run_in_steps(body(), {"flag": 1})

    assert "first" == running.send(None)
    assert read() is None
    with provide(flag="of who drives it"):
        assert "second" == running.send("sent")
        assert "of who drives it" == read()
        assert "third" == running.send("again")
    with pytest.raises(StopIteration) as stop:
        running.throw(KeyError())
    assert [1, "sent", "own", "again", "own", 1] == stop.value.value
    assert read() is None


@counts_references
def test_steps_that_raise():
    """An error of the body comes out with the scope closed, and without a cycle."""

    async def body():
        await wait()

    running = run_in_steps(body(), {"flag": 1})
    running.send(None)
    gc.disable()
    try:
        running.throw(Thrown())
    except Thrown as error:
        reference = weakref.ref(error)
    finally:
        gc.enable()

    assert reference() is None
    assert read() is None


class Thrown(Exception):
    """An error that a weak reference can watch."""


def test_steps_that_are_closed():
    """The body cleans up in its scope."""
    cleaned = []

    async def body():
        try:
            await wait()
        finally:
            cleaned.append(read())

    running = run_in_steps(body(), {"flag": 1})
    running.send(None)
    running.close()

    assert [1] == cleaned


# What adapters hear.


def test_adapter_hears_of_scopes(heard):
    """It hears when a scope has opened, and before it closes, in any order."""
    one, two = provide(a=1), provide(b=2)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    two.__exit__(None, None, None)

    assert [
        ("opened", one, {"a": 1}),
        ("opened", two, {"a": 1, "b": 2}),
        ("closing", one, {"a": 1, "b": 2}, {"b": 2}),
        ("closing", two, {"b": 2}, {}),
    ] == heard


def test_adapter_hears_of_steps(heard):
    """What a body has opened opens again with its step, in whatever is around that."""

    async def body():
        with provide(b=2):
            await wait()

    running = run_in_steps(body(), {"a": 1})
    running.send(None)
    with provide(c=3):
        running.close()
    values = [entry[2:] for entry in heard]

    assert [
        ({"a": 1},),
        ({"a": 1, "b": 2},),
        ({"a": 1, "b": 2}, {}),
        ({"c": 3},),
        ({"c": 3, "a": 1},),
        ({"c": 3, "a": 1, "b": 2},),
        ({"c": 3, "a": 1, "b": 2}, {"c": 3, "a": 1}),
        ({"c": 3, "a": 1}, {"c": 3}),
        ({"c": 3}, {}),
    ] == values


def test_adapter_hears_of_what_closes_elsewhere(heard):
    """There is no scope of it here, and the innermost one is left as it is."""
    scope = provide(b=2)
    with provide(a=1):
        scope.__exit__(None, None, None)

        assert {"a": 1} == innermost()
    assert ("elsewhere", scope, {"a": 1}) == heard[1]


@counts_references
def test_adapter_hears_of_what_nobody_can_close(follow):
    """It is told what is the innermost scope then; of what was closed it has heard."""
    heard = []

    class Follower(Adapter):
        def scope_abandoned(self, here):
            heard.append(here.values)

    follow(Follower())
    with provide(a=1):
        provide(b=2).__enter__()

    assert [{"a": 1}] == heard


def test_adapter_at_the_end_of_the_stack(follow):
    """A scope is closed even where an adapter has no room to follow."""

    class Deep(Adapter):
        def scope_closing(self, scope, innermost, left):
            raise RecursionError

    follow(Deep())
    with pytest.raises(RecursionError) as kept, provide(flag=1):
        pass

    assert {} == innermost(), kept


@counts_references
def test_adapter_is_asked_where_a_scope_is_left(heard):
    """Without any scope in the process, a reading is not even looked up."""
    gc.collect()

    assert UNSET is provided("flag", UNSET)
    assert [] == heard
    with provide(flag=1):
        provided("flag", UNSET)

    assert [("reading", "flag", {"flag": 1})] == heard[1:2]


@pytest.mark.parametrize("error", [RuntimeError, Interrupt])
def test_adapter_that_refuses(follow, error):
    """A scope that an adapter refuses is not open, and is closed as any other."""
    heard = []

    class Refusing(Adapter):
        def scope_opened(self, scope):
            raise error

        def scope_closing(self, scope, innermost, left):
            heard.append((innermost.values, left.values))

    follow(Refusing())
    scope = provide(flag=1)
    with pytest.raises(error), scope:
        pass

    assert {} == innermost()
    assert [({"flag": 1}, {})] == heard


def test_marks_go_along(follow):
    """What an adapter has noted of a scope is there when it is made anew inside of another."""
    one, two = provide(flag=1), provide(flag=2)
    one.__enter__()
    two.__enter__()
    _CURRENT.get().suspension = _CURRENT.get().beneath = ("noted",)
    one.__exit__()

    assert (("noted",), ("noted",)) == (_CURRENT.get().suspension, _CURRENT.get().beneath)
    two.__exit__()
