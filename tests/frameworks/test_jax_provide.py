"""JAX never keeps a trace that was made under other provided values."""

import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import enum
import functools
import gc
import sys
import threading
import types
import weakref
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import attrs
import interrupts
import numpy as np
import pytest
from interrupts import Interrupt

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeError,
    MissingParamError,
    Param,
    mergeable,
    provide,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
JaxAdapter = pytest.importorskip("mergeparam._frameworks.jax").JaxAdapter
jnp, lax = jax.numpy, jax.lax


@mergeable("gain")
class Scale:
    """Multiplies by what is merged."""

    def __init__(self, gain=None):
        self.gain = gain

    def __call__(self, x, *, gain=MERGED):
        return x * gain


@mergeable(Param("gain", default=10.0))
class Tenfold:
    """Multiplies by ten where nobody says anything."""

    gain = None

    def __call__(self, x, *, gain=MERGED):
        return x * gain


@mergeable("gain", provide=True)
class Providing:
    """Provides its gain to a function."""

    def __init__(self, function, gain=None):
        self.function = function
        self.gain = gain

    def __call__(self, x, *, gain=MERGED):
        return self.function(x)


def custom_vjp(function):
    """Give the function a derivative that calls it, too."""
    wrapped = jax.custom_vjp(function)
    wrapped.defvjp(lambda x: (function(x), None), lambda _, gradient: (gradient * function(1.0),))
    return wrapped


def custom_jvp(function):
    """Give the function a derivative that calls it, too."""
    wrapped = jax.custom_jvp(function)
    wrapped.defjvp(lambda x, t: (function(x[0]), function(t[0])))
    return wrapped


def written_out(function):
    """Run the jaxpr of the function."""

    def run(x):
        closed = jax.make_jaxpr(function)(x)
        return jax.core.eval_jaxpr(closed.jaxpr, closed.consts, x)[0]

    return run


def sharded(function):
    """Call the function for each device of a mesh."""
    mesh = jax.make_mesh((1,), ("device",), (jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec()
    return jax.shard_map(lambda x: function(x), mesh=mesh, in_specs=spec, out_specs=spec)


def inner_jit(function):
    """Call a jitted function in a jitted one."""
    inner = jax.jit(function)
    return jax.jit(lambda x: inner(x) + inner(x) - inner(x))


WAYS = {
    "jit": jax.jit,
    "jit in jit": inner_jit,
    "checkpoint": jax.checkpoint,
    "vmap": lambda f: lambda x: jax.vmap(f)(x[None])[0],
    "map": lambda f: lambda x: lax.map(f, x[None])[0],
    "scan": lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, length=1)[0],
    "while_loop": lambda f: (
        lambda x: lax.while_loop(lambda c: c[0] < 1, lambda c: (1, f(c[1])), (0, x))[1]
    ),
    "fori_loop": lambda f: lambda x: lax.fori_loop(0, 1, lambda _, c: f(c), x),
    "cond": lambda f: lambda x: lax.cond(x > 0, f, jnp.negative, x),
    "switch": lambda f: lambda x: lax.switch(0, [f, jnp.sin], x),
    "custom_vjp": custom_vjp,
    "custom_jvp": custom_jvp,
    "grad": lambda f: lambda x: x * jax.grad(f)(x),
    "grad of custom_vjp": lambda f: lambda x: x * jax.grad(custom_vjp(f))(x),
    "grad of checkpoint": lambda f: lambda x: x * jax.grad(jax.checkpoint(f))(x),
    "jvp": lambda f: lambda x: jax.jvp(custom_jvp(f), (x,), (x,))[1],
    "vjp": lambda f: lambda x: jax.vjp(f, x)[1](x)[0],
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](x),
    "jacfwd": lambda f: lambda x: x * jax.jacfwd(f)(x),
    "jacrev": lambda f: lambda x: x * jax.jacrev(f)(x),
    "make_jaxpr": written_out,
    "linear_transpose": lambda f: lambda x: jax.linear_transpose(f, x)(x)[0],
    "associative_scan": lambda f: (
        lambda x: lax.associative_scan(lambda _, b: f(b), jnp.stack([x, x]))[-1]
    ),
    "shard_map": sharded,
    "static argument": lambda f: functools.partial(
        jax.jit(lambda f, x: f(x), static_argnums=0), f
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_transformation(way):
    """Each value gives its own answer, whatever was traced before.

    It does so inside a function, and around one, that was jitted outside.
    """
    x = jnp.float32(3.0)
    for call in (way(Scale()), jax.jit(way(jax.jit(Scale())))):
        for _ in range(2):
            with provide(gain=2.0):
                assert 6.0 == call(x)
                with provide(gain=5.0):
                    assert 15.0 == call(x)
                assert 6.0 == call(x)


@pytest.mark.parametrize("way", ["jit", "checkpoint", "scan", "cond", "grad of custom_vjp"])
def test_from_the_default_and_back(way):
    """What was traced without a scope is not used in one, nor the other way round."""
    call, x = WAYS[way](jax.jit(Tenfold())), jnp.float32(3.0)

    assert 30.0 == call(x)
    with provide(gain=2.0):
        assert 6.0 == call(x)
    assert 30.0 == call(x)
    with provide(other=2.0):
        assert 30.0 == call(x)


@pytest.mark.parametrize("way", ["jit", "checkpoint", "scan", "grad of custom_vjp"])
def test_providing_methods(way):
    """`provide=True` is part of the key as `with provide` is."""
    x, call = jnp.float32(3.0), WAYS[way](jax.jit(Scale()))
    once = jax.jit(lambda x: Providing(call, 2.0)(x) + Providing(call)(x, gain=5.0))

    assert 21.0 == once(x) == once(x)
    assert 6.0 == Providing(call, 2.0)(x)
    assert 15.0 == Providing(call)(x, gain=5.0)
    with provide(gain=7.0):
        assert 21.0 == once(x)
        assert 21.0 == Providing(call)(x)


def test_one_trace_for_one_value():
    """A function is traced once for each value, however often scopes are opened."""
    traces = []

    @jax.jit
    def call(x):
        traces.append("trace")
        return Scale()(x)

    for gain in (2.0, 5.0) * 3:
        with provide(gain=gain), provide(gain=gain):
            assert 3.0 * gain == call(3.0)

    assert 2 == len(traces)


def test_closed_scope_keeps_no_value():
    """Nor does the key that it had."""
    value = functools.partial(max, 1)
    reference = weakref.ref(value)
    with provide(value=value):
        pass
    del value
    gc.collect()

    assert reference() is None


def test_errors_are_not_kept():
    """A trace that raised is tried again."""
    call = jax.jit(Scale())

    with pytest.raises(MissingParamError, match="with provide"):
        call(3.0)
    with provide(gain=2.0):
        assert 6.0 == call(3.0)
    with provide(gain=None), pytest.raises(MissingParamError, match="gives None"):
        call(3.0)
    with provide(gain=2.0), pytest.raises(ConflictingParamError):
        jax.jit(lambda x: Scale(1.0)(x, gain=1.0))(3.0)


def test_compiled_ahead_of_time():
    """What is lowered in a scope holds its values for good, as all that is compiled does."""
    jitted = jax.jit(Scale())
    x = jnp.float32(3.0)
    with provide(gain=2.0):
        traced, compiled = jitted.trace(x), jitted.lower(x).compile()
    with provide(gain=5.0):
        assert 6.0 == traced.lower().compile()(x) == compiled(x)
        assert 15.0 == jitted.lower(x).compile()(x) == jitted(x)


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Number(enum.IntEnum):
    ONE = 1


Pair = namedtuple("Pair", "one two")  # noqa: PYI024 - what users write, too


@dataclasses.dataclass(frozen=True)
class Config:
    rate: object
    note: str = dataclasses.field(default="", compare=False)


@attrs.frozen
class Settings:
    rate: object
    note: str = attrs.field(default="", eq=False)


class Truthy:
    """Equal to all of its kind, in a way that nobody can decide."""

    def __eq__(self, other):
        raise ValueError("neither equal nor different")

    def __hash__(self):
        return 1


class Unhashable(Exception):
    """No value can be hashed by it."""

    def __hash__(self):
        raise KeyError("no hash")


NAN = float("nan")
FUNCTION, OTHER_FUNCTION = (lambda: None), (lambda: None)
TOLD_APART = [
    *(1, True, 1.0, 1 + 0j, Number.ONE, np.float32(1), np.float64(1), np.int32(1), np.bool_(1)),
    *(0.0, -0.0, np.float32(0.0), np.float32(-0.0), np.float64(-0.0), complex(0, -0.0)),
    *(NAN, float("inf"), 10**5000, jnp.bfloat16, jnp.dtype("float32")),
    *("1", b"1", "", (), (1,), (True,), (1.0,), ((1,),), ((True,),), (0.0,), (-0.0,)),
    *(frozenset([1]), frozenset([True]), range(1), Colour.RED, Colour.GREEN),
    *(Pair(1, 2), Pair(True, 2), (1, 2), Config(1), Config(True), Settings(1), Settings(1.0)),
    *(FUNCTION, OTHER_FUNCTION, int, float, functools.partial(max, 1)),
]


def test_values_that_are_told_apart():
    """Values that are equal and trace differently have traces of their own, one for each."""
    seen = []

    @mergeable("value")
    class Layer:
        value = None

        def __call__(self, x, *, value=MERGED):
            seen.append(value)
            return jnp.zeros(next(i for i, other in enumerate(TOLD_APART) if other is value))

    call = jax.jit(Layer())
    for _ in range(2):
        for index, value in enumerate(TOLD_APART):
            with provide(value=value):
                assert (index,) == jax.eval_shape(call, 0.0).shape

    assert len(TOLD_APART) == len(seen)
    assert all(one is other for one, other in zip(TOLD_APART, seen, strict=True))


ARRAY, LIST = jnp.ones(2), [1]
EQUAL = {
    "a number": lambda: 1,
    "nan": lambda: float("nan"),
    "nan of NumPy": lambda: np.float32("nan"),
    "a tuple": lambda: ("a", (1.0, None)),
    "a named tuple": lambda: Pair(1, frozenset([2])),
    "a dataclass": lambda: Config(0.5, note=str(object())),
    "an attrs class": lambda: Settings((1, 2), note=str(object())),
    "an array": lambda: ARRAY,
    "an array in a tuple": lambda: (ARRAY,),
}
"""What is made anew, and traces the same; an array of JAX does so with itself alone."""

CHANGING = {
    "a list": LIST,
    "a dict": {"a": 1},
    "a set": {1},
    "bytes": bytearray(b"1"),
    "an array of NumPy": np.ones(2),
    "a list in a tuple": (LIST,),
    "a dict in a tuple": (1, {"a": 1}),
    "a list in a named tuple": Pair(1, LIST),
    "a list in a dataclass": Config(LIST),
    "an object": types.SimpleNamespace(rate=1),
    "what has no hash": Unhashable(),
    "what cannot be compared": Truthy(),
}
"""What may have changed since its scope was opened last."""


def count_traces(*values):
    """Return how often a function is traced for values that are provided one after the other."""
    traces = []

    @mergeable("value")
    class Layer:
        value = None

        def __call__(self, x, *, value=MERGED):
            traces.append(value)
            return x

    call = jax.jit(Layer())
    for value in values:
        with provide(value=value):
            jax.eval_shape(call, 0.0)
    return len(traces)


@pytest.mark.parametrize("name", [*EQUAL, *CHANGING])
def test_equal_values_share_a_trace(name):
    """A value that is equal for good is traced once; another one each time."""
    # Of an object that cannot be compared, another one is meant.
    changing = copy.deepcopy if name == "what cannot be compared" else lambda value: value
    make = EQUAL.get(name, lambda: changing(CHANGING[name]))

    assert (1 if name in EQUAL else 3) == count_traces(make(), make(), make())


def test_mutated_value():
    """A list that has changed gives the new answer."""
    gains = [2.0]

    @mergeable("gains")
    class Layer:
        gains = None

        def __call__(self, x, *, gains=MERGED):
            return x * gains[0]

    call = jax.jit(Layer())
    for gain in (2.0, 5.0):
        gains[0] = gain
        with provide(gains=gains):
            assert 3.0 * gain == call(3.0)


def test_arrays_give_their_own_answers():
    """Arrays are constants of the trace, each of its own."""
    call, arrays = jax.jit(Scale()), [jnp.full(2, gain) for gain in (2.0, 5.0)]
    for array in arrays * 2:
        with provide(gain=array):
            assert (3.0 * array).tolist() == call(3.0).tolist()

    assert 2 == count_traces(*arrays * 2)


def test_traced_values():
    """A value that is being traced goes into the functions inside, each time anew."""
    inner = jax.jit(Scale())

    @jax.jit
    def outer(x, gain):
        with provide(gain=gain):
            return inner(x)

    def loss(gain):
        with provide(gain=gain):
            return inner(3.0)

    assert 6.0 == outer(3.0, 2.0)
    assert 15.0 == outer(3.0, 5.0)
    assert 3 == outer(3, 1)
    assert 3.0 == jax.grad(loss)(2.0)
    assert [6.0, 15.0] == jax.vmap(loss)(jnp.array([2.0, 5.0])).tolist()


def test_scopes_that_close_in_any_order():
    """The key is always that of the scopes that are left."""
    call = jax.jit(Tenfold())
    one, two, three = provide(gain=2.0), provide(gain=5.0), provide(other=1)
    one.__enter__()
    two.__enter__()
    three.__enter__()

    assert 15.0 == call(3.0)
    one.__exit__(None, None, None)
    assert 15.0 == call(3.0)
    two.__exit__(None, None, None)
    assert 30.0 == call(3.0)
    three.__exit__(None, None, None)
    assert 30.0 == call(3.0)


def test_with_around_a_yield():
    """The scope of a plain generator is open for its consumer, also in what is traced."""
    call = jax.jit(Tenfold())

    def generator():
        with provide(gain=2.0):
            yield call(3.0)
        yield call(3.0)

    going = generator()

    assert 6.0 == next(going)
    assert 6.0 == call(3.0)
    assert 30.0 == next(going)
    assert 30.0 == call(3.0)


# asyncio: the thread's key, and the contexts of tasks.


def refused():
    return pytest.raises(MergeError, match="while JAX traces")


def tenfold():
    """Return a function that is jitted and has been called without a scope, and inside one."""
    call = jax.jit(Tenfold())
    with provide(gain=2.0):
        assert 6.0 == call(3.0)
    return call


def plain(call, gain, opener=provide):
    """Call in a scope, in a function that cannot wait."""
    with opener(gain=gain):
        return float(call(3.0))


async def hold(scope, opened=None, until=None):
    """Wait inside a scope."""
    with scope:
        if opened is not None:
            opened.set()
        await (asyncio.sleep(0) if until is None else until.wait())


class Mode:
    """A context manager of the user's own."""

    def __init__(self, **values):
        self.scope = provide(**values)

    def __enter__(self):
        self.scope.__enter__()

    def __exit__(self, *error):
        self.scope.__exit__(*error)


@contextlib.contextmanager
def mode(**values):
    """Do the same as a generator."""
    with provide(**values):
        yield


@contextlib.contextmanager
def stacked(**values):
    """Do the same through a stack."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mode(**values))
        yield


@contextlib.asynccontextmanager
async def async_mode(**values):
    """Do the same, and wait."""
    with provide(**values):
        await asyncio.sleep(0)
        yield


@types.coroutine
def old_coroutine(call):
    """Open a scope in a coroutine that is written as a generator."""
    with provide(gain=2.0):
        yield
        return call()


openers = pytest.mark.parametrize("opener", [provide, Mode, mode, stacked])


@openers
def test_coroutine_that_opens_a_scope(opener):
    """JAX could not tell the scope from those of other tasks, so a trace that needs it raises.

    While the coroutine waits, others do not trace or run with its values.
    """
    call = tenfold()

    async def opening(others):
        with opener(gain=2.0):
            assert 6.0 == Tenfold()(3.0)
            await asyncio.sleep(0)
            with pytest.raises(MergeError, match="in a plain function"):
                call(3.0)
            assert 6.0 == jax.jit(lambda x: Scale(2.0)(x))(3.0)
            others.set()
            await asyncio.sleep(0)

    async def other(others):
        await others.wait()
        assert 30.0 == Tenfold()(3.0)
        with refused():
            call(3.0)
        assert 15.0 == plain(call, 5.0)

    async def drive():
        others = asyncio.Event()
        await asyncio.gather(opening(others), other(others))
        assert 30.0 == call(3.0)

    asyncio.run(drive())
    assert 30.0 == call(3.0)


@openers
def test_plain_function_called_in_a_coroutine(opener):
    """What the error says to write works, in many tasks."""
    call = jax.jit(Scale())

    async def one(gain):
        return [(plain(call, gain, opener), await asyncio.sleep(0))[0] for _ in range(3)]

    async def drive():
        return await asyncio.gather(*(one(gain) for gain in (2.0, 5.0, 7.0)))

    assert [[6.0] * 3, [15.0] * 3, [21.0] * 3] == asyncio.run(drive())


def test_decorated_function_called_in_a_coroutine():
    """It cannot wait either, so its scope has a key."""
    call = jax.jit(Scale())

    async def drive():
        return provide(gain=2.0)(lambda: float(call(3.0)))()

    assert 6.0 == asyncio.run(drive())


def test_async_context_manager_and_old_coroutine():
    """An async context manager and a coroutine that is a generator can wait, too."""
    call = jax.jit(Scale())

    async def drive():
        async with async_mode(gain=2.0):
            with refused():
                call(3.0)
        with refused():
            await old_coroutine(lambda: call(3.0))

    asyncio.run(drive())


def test_providing_coroutines():
    """`provide=True` closes the scope while the coroutine waits, so that it can be traced."""
    call = jax.jit(Tenfold())

    async def repeat():
        return [(float(call(3.0)), await asyncio.sleep(0))[0] for _ in range(3)]

    @mergeable("gain", provide=True)
    class Layer:
        gain = None

        async def __call__(self, *, gain=MERGED):
            return await repeat()

    async def drive():
        return await asyncio.gather(Layer()(gain=2.0), Layer()(gain=5.0), repeat())

    assert [[6.0] * 3, [15.0] * 3, [30.0] * 3] == asyncio.run(drive())


def test_scopes_and_tasks():
    """A scope around the whole loop is that of its tasks, and has its key.

    A task keeps what was provided where it was created; a trace in it raises where that is over.
    """
    call = jax.jit(Scale())

    async def one():
        await asyncio.sleep(0)
        return float(call(3.0)) + plain(call, 5.0) + float(call(3.0))

    async def outliving(closed):
        await closed.wait()
        assert 6.0 == Scale()(3.0)
        with refused():
            call(3.0)

    async def gather():
        return await asyncio.gather(one(), one())

    async def drive():
        closed = asyncio.Event()
        with provide(gain=2.0):
            task = asyncio.create_task(outliving(closed))
        closed.set()
        await task

    with provide(gain=2.0):
        assert [27.0, 27.0] == asyncio.run(gather())
    asyncio.run(drive())


def copied_inside():
    """Return a copy of the context inside a scope that is closed."""
    with provide(gain=2.0):
        return contextvars.copy_context()


@openers
def test_scope_inside_one_of_another_context(opener):
    """When the inner one closes, its thread does not get the key of the outer one."""
    call = tenfold()
    copied = copied_inside()

    def inside():
        assert 15.0 == plain(call, 5.0, opener)
        with refused():
            jax.jit(lambda x: Tenfold()(x))(3.0)

    copied.run(inside)
    assert 30.0 == call(3.0)
    with provide(gain=7.0):
        copied.run(inside)
        assert 21.0 == call(3.0)
    assert 30.0 == call(3.0)


def test_scopes_inside_one_of_another_context_close_in_any_order():
    """Nor does it where the inner ones close in any order."""
    call = tenfold()
    one, two, three = provide(gain=5.0), provide(other=1), provide(more=1)

    def inside():
        for scope in (one, two, three):
            scope.__enter__()
        for scope in (one, three, two):
            scope.__exit__(None, None, None)

    copied_inside().run(inside)
    assert 30.0 == call(3.0)


# Coroutines and generators that nobody goes on with, or that go on in another thread.


def in_thread(function, *args):
    """Run a function in a thread of its own and return what it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(timeout=60)


@pytest.mark.parametrize("close", [lambda end: end(), in_thread], ids=["here", "in a thread"])
def test_abandoned_coroutine(close):
    """A coroutine that is closed elsewhere leaves no trace.

    In another thread its own could not be told, and notices with the next scope.
    """
    call = jax.jit(Tenfold())
    coroutine = hold(provide(gain=2.0))
    contextvars.copy_context().run(coroutine.send, None)
    with refused():
        call(3.0)
    close(coroutine.close)
    if close is in_thread:
        with refused():
            call(3.0)
    else:
        assert 30.0 == call(3.0)

    assert 15.0 == plain(call, 5.0)
    assert 30.0 == call(3.0)


def generator():
    """Suspend with a scope open."""
    with provide(gain=2.0):
        yield
    yield


def test_scope_that_nobody_closes():
    """A function that was traced in it is not found outside, in the scope around or none."""
    call = tenfold()
    provide(gain=2.0).__enter__()
    assert 30.0 == call(3.0)
    with provide(gain=5.0):
        provide(gain=2.0).__enter__()
        assert 15.0 == call(3.0)

    assert 30.0 == call(3.0)


def test_scope_that_nobody_closes_while_jax_traces():
    """A trace keeps the key that it began with, and what it is kept under stays right."""
    scope = provide(gain=2.0)

    @jax.jit
    def forgetting(x):
        nonlocal scope
        del scope
        return x

    call = tenfold()
    scope.__enter__()
    assert 3.0 == forgetting(3.0)
    with provide(other=1):
        assert 30.0 == call(3.0)

    assert 30.0 == call(3.0)
    with provide(gain=2.0):
        assert 6.0 == call(3.0)


def test_scope_that_another_context_opens():
    """When it is closed, wherever that is, the thread gets its own key back."""
    call = tenfold()
    going = generator()
    contextvars.copy_context().run(next, going)
    going.close()
    assert 30.0 == call(3.0)

    with provide(gain=5.0):
        copied, going = contextvars.copy_context(), generator()
        copied.run(next, going)
        copied.run(next, going)
        assert 15.0 == call(3.0)
    assert 30.0 == call(3.0)


def test_scope_that_ends_in_another_thread():
    """The thread that opened it notices with the next scope, and goes on with its own key."""
    call = tenfold()
    with ThreadPoolExecutor(1) as pool:

        def step(function, *args):
            return pool.submit(contextvars.copy_context().run, function, *args).result(timeout=60)

        going = generator()
        step(next, going)
        next(going)
        assert 15.0 == step(plain, call, 5.0)
        assert 30.0 == step(call, 3.0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from Python 3.12 on")
def test_task_that_starts_inside_of_a_scope():
    """A scope that it closes later does not bring that scope back."""
    call = tenfold()

    async def child():
        with provide(gain=5.0):
            await asyncio.sleep(0)

    async def drive():
        with provide(gain=2.0):
            loop = asyncio.get_running_loop()
            task = asyncio.Task(child(), loop=loop, eager_start=True)
        await task
        return call(3.0)

    assert 30.0 == asyncio.run(drive())
    assert 30.0 == call(3.0)


def test_scope_that_is_closed_in_another_thread():
    """Neither thread goes on with a key that is not its own."""
    call = jax.jit(Tenfold())
    going, context = generator(), contextvars.copy_context()
    with provide(gain=5.0):
        in_thread(context.run, next, going)
        context.run(next, going)
        assert 15.0 == call(3.0)
    assert 30.0 == call(3.0)


def test_scopes_of_two_threads_that_close_in_any_order():
    """The thread that opened the inner one gets its own key back, not that of the other."""
    call = jax.jit(Tenfold())
    one, two = provide(other=1), provide(gain=5.0)
    copied = copied_inside()

    def open_and_copy():
        one.__enter__()
        return contextvars.copy_context()

    def close_in_any_order(context):
        for step in (two.__enter__, one.__exit__, two.__exit__):
            context.run(step)
        return call(3.0)

    with provide(gain=7.0):
        assert 21.0 == call(3.0)
        inside = copied.run(open_and_copy)
        assert 30.0 == in_thread(close_in_any_order, inside)
        copied.run(one.__exit__)
        assert 21.0 == call(3.0)


def test_one_object_in_two_coroutines():
    """One `provide` that two coroutines have open counts for each of them."""
    call, shared = jax.jit(Tenfold()), provide(gain=2.0)

    async def drive():
        one, two, end = (asyncio.Event() for _ in range(3))
        first = asyncio.create_task(hold(shared, one, two))
        second = asyncio.create_task(hold(shared, two, end))
        await first
        with refused():
            call(3.0)
        end.set()
        await second
        assert 30.0 == call(3.0)

    asyncio.run(drive())


def test_one_object_in_coroutines_of_two_threads():
    """It counts for each thread, too, in whichever order they close it."""
    call, shared = jax.jit(Tenfold()), provide(gain=2.0)
    mine, other, context = hold(shared), hold(shared), contextvars.copy_context()
    context.run(mine.send, None)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(other.send, None).result(timeout=60)
        context.run(mine.close)
        assert 30.0 == call(3.0)
        with refused():
            pool.submit(call, 3.0).result(timeout=60)
        pool.submit(other.close).result(timeout=60)
        assert 30.0 == pool.submit(call, 3.0).result(timeout=60)


# Threads.


def test_threads_are_apart():
    """Each thread has its own scopes and its own key, for one jitted function."""
    call, barrier = jax.jit(Tenfold()), threading.Barrier(4, timeout=60)

    def work(gain):
        found = []
        for _ in range(5):
            barrier.wait()
            with provide(gain=gain):
                found.append(float(call(3.0)))
                barrier.wait()
                found.append(float(call(3.0)))
            found.append(float(call(3.0)))
        return found

    gains = (2.0, 5.0, 7.0, 8.0)
    with ThreadPoolExecutor(4) as pool:
        results = [*pool.map(work, gains)]

    assert [[3.0 * gain, 3.0 * gain, 30.0] * 5 for gain in gains] == results


def test_copied_context_in_another_thread():
    """A trace in a thread that was given a copied context raises, and leaves no key there."""
    call = jax.jit(Tenfold())

    def inside():
        assert 6.0 == Tenfold()(3.0)
        with pytest.raises(MergeError, match="another thread"):
            call(3.0)
        return plain(call, 5.0)

    with provide(gain=2.0), ThreadPoolExecutor(1) as pool:
        assert 6.0 == call(3.0)
        copied = contextvars.copy_context()
        assert 15.0 == pool.submit(copied.run, inside).result(timeout=60)
        assert 30.0 == pool.submit(call, 3.0).result(timeout=60)
    assert 30.0 == call(3.0)


def test_copied_context_where_the_default_was_traced():
    """What no key can tell: a thread that was given a copied context runs what it has traced.

    Nothing of the scope is known to JAX there, and a trace without a scope has used the default.
    """
    call = jax.jit(Tenfold())
    assert 30.0 == call(3.0)
    copied = copied_inside()

    assert 6.0 == in_thread(copied.run, Tenfold(), 3.0)
    assert 30.0 == in_thread(copied.run, call, 3.0)
    assert 6.0 == in_thread(copied.run, plain, call, 2.0)


# A JAX that cannot be told.


def test_jax_without_user_contexts(monkeypatch):
    """Under a JAX whose keys cannot be added to, no scope opens, and none is read in a trace."""
    call = jax.jit(Tenfold())
    scope = provide(gain=2.0)
    followers = []
    monkeypatch.setattr("mergeparam._call.provide.scope_followers", followers)
    scope.__enter__()
    followers.append(JaxAdapter(None))

    assert 6.0 == Tenfold()(3.0)
    with pytest.raises(MergeError, match=r"provide\(gain=2.0\) needs jax.make_user_context"):
        call(3.0)
    with pytest.raises(MergeError, match=r"provide\(gain=5.0\) needs"), provide(gain=5.0):
        pass
    scope.__exit__(None, None, None)
    assert 30.0 == call(3.0)


def test_questions_do_not_go_stale():
    """What is still needed depends on the scope, so no trace keeps an answer of another one."""

    @mergeable("gain")
    class Layer:
        gain = None

        def __call__(self, x, *, gain=MERGED): ...

    layer = Layer()
    call = jax.jit(lambda x: x * (0 if unset_params(layer) else 1))

    def ask(**values):
        async def main():
            with provide(**values):
                return call(2.0)

        return asyncio.run(main())

    for values in ({"other": 1}, {"gain": 2.0}):
        with pytest.raises(MergeError, match="while JAX traces"):
            ask(**values)
    with provide(gain=2.0):
        assert 2.0 == call(2.0)
    assert 0.0 == call(2.0)


# Interrupts.


def interrupted(stop):
    """Open and close a scope, and raise before so many instructions of what does it."""
    return interrupts.interrupted(provide(gain=2.0), stop, lambda file: file.endswith(WHERE))


WHERE = ("_call/provide.py", "_frameworks/jax.py", "jax/_src/config.py")


@pytest.mark.parametrize("handled", [True, False], ids=["inside", "outside"])
def test_interrupts(handled):
    """Wherever one comes, the scope around leaves the thread with the key that it had."""
    call = jax.jit(Tenfold())
    with provide(other=1):
        assert 6.0 == plain(call, 2.0)
    assert 30.0 == call(3.0)
    for stop in range(1, interrupted(-1) + 1):
        inner = contextlib.suppress(Interrupt) if handled else contextlib.nullcontext()
        with contextlib.suppress(Interrupt), provide(other=1), inner:
            interrupted(stop)
        assert 30.0 == call(3.0), stop
        assert 15.0 == plain(call, 5.0), stop
        assert 30.0 == call(3.0), stop
