"""`provide=True`: every call in the body takes the merged values, while the body runs."""

import contextlib
import functools
import gc
import inspect
import itertools
import traceback
import types
import weakref

import attrs
import pytest
from outcomes import MERGES, Base, attempt, outcomes
from packages import counts_references

from mergeparam import (
    MERGED,
    MergeDefinitionError,
    MissingParamError,
    Param,
    mergeable,
    merged_params,
    provide,
)


@pytest.fixture
def other():
    """Return an object that returns what is provided under another name."""

    @mergeable("other")
    class Other:
        other = None

        def __call__(self, *, other=MERGED):
            return other

    return Other()


def test_decorated_functions(read):
    """Each call has a scope; a coroutine has one only while it runs."""

    @provide(flag=1)
    def plain(depth):
        """Read."""
        return [read(), *(plain(depth - 1) if depth else ()), read()]

    @types.coroutine
    def pause():
        yield

    @provide(flag=2)
    async def suspended():
        before = read()
        await pause()
        return before, read()

    running = suspended()
    running.send(None)
    with pytest.raises(MissingParamError):
        read()
    with pytest.raises(StopIteration) as stopped:
        running.send(None)

    assert (2, 2) == stopped.value.value
    assert [1, 1, 1, 1] == plain(1)
    assert ("plain", "Read.") == (plain.__name__, plain.__doc__)
    with pytest.raises(MissingParamError, match="neither place") as raised:
        read()
    assert "never entered" not in str(raised.value)


@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_decorated_generators(keyword):
    """They would leave their scopes to whoever takes the values."""
    space = {}
    exec(f"{keyword} values(): yield", space)

    with pytest.raises(TypeError, match=r"@provide\(flag=\.\.\.\) is on values\(\), a generator"):
        provide(flag=1)(space["values"])


def test_decorated_too_late():
    """What returns before the body runs would provide nothing, and is refused."""

    async def waiting(): ...

    def values():
        yield

    with pytest.raises(TypeError, match=r"is on .*values\(\), a generator"):
        provide(flag=1)(contextlib.contextmanager(values))
    for early in (type("Layer", (), {}), functools.wraps(waiting)(lambda: waiting())):
        with pytest.raises(TypeError, match="returns before the code runs"):
            provide(flag=1)(early)


def test_plain_method(read):
    """Every call in the body takes the merged value, and none behind it."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            def inner():
                nonlocal flag
                flag = "rebound"
                return read()

            return flag, read(), [read() for _ in range(2)], (lambda: read())(), inner()

    def expected(flag):
        return flag, flag, [flag, flag], flag, flag

    assert [expected(1), expected(2), *MERGES[2:]] == outcomes(Model)
    with provide(flag=3):
        assert (expected(3), expected(1)) == (Model()(), Model(1)())
        assert 3 == read()
    assert MissingParamError is attempt(read)


def test_several_parameters_and_methods(read, other):
    """Each method provides what it merges itself, a default as any other value."""
    seven = attrs.Factory(lambda self: 7, takes_self=True)

    @mergeable(Param("flag", default=seven), "other", method=("__call__", "code"), provide=True)
    class Model(Base):
        other = 5

        def __call__(self, flag=MERGED, /, other_=None, other=MERGED):
            return read(), inner()

        def code(self, *, other=MERGED):
            return attempt(read), inner()

    inner = other

    assert [(1, 5), (7, 5)] == [Model()(1), Model()()]
    assert (MissingParamError, 5) == Model().code()


def test_private_names():
    """A private name is provided as Python mangles it."""

    @mergeable("__flag", provide=True)
    class Calling:
        __flag = None

        def __call__(self, inner=None, *, __flag=MERGED):
            return __flag if inner is None else inner()

    assert 2 == Calling()(Calling(), _Calling__flag=2)


def test_recursive(read):
    """A method that calls itself needs no flag for it, and leaves no scope when it goes deep."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, depth, *, flag=MERGED):
            return [flag, read()] if depth == 0 else [flag, *self(depth - 1)]

    def deeper(levels):
        return deeper(levels - 1) if levels else Model(5)(10**6)

    assert [5, 5, 5, 5] == Model()(2, flag=5) == Model(5)(2)
    for levels in range(8):  # so that the stack ends in different places of the library
        # PyPy raises a `TypeError` of that message if there is another error as it handles one.
        with pytest.raises((RecursionError, TypeError), match="maximum recursion depth"):
            deeper(levels)
        assert MissingParamError is attempt(read)


# Other decorators, and inheritance.


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("both", [True, False])
def test_stacked_decorators(read, other, below, both):
    """A decorator provides what it merges itself, wherever it stands, and no more."""
    first, second = mergeable("flag", provide=True), mergeable("other", provide=both)

    class Model:
        flag, other = 1, None

        def __call__(self, *, flag=MERGED, other=MERGED):
            return flag, other, read(), attempt(inner)

    inner = other
    for decorator in (first, second) if below else (second, first):
        decorator(Model)

    assert (1, 2, 1, 2 if both else MissingParamError) == Model()(other=2)
    with provide(other=3):
        assert (1, 3, 1, 3) == Model()()
    assert ["flag", "other"] == [param.name for param in merged_params(Model)]
    assert "(self, *, flag=None, other=None)" == str(inspect.signature(Model.__call__))


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("provides", [*itertools.product((True, False), repeat=2)])
def test_super(read, provides, forwards):
    """Class or subclass provide; the merged value may be handed on, or taken as provided."""
    base_provides, child_provides = provides

    @mergeable("flag", provide=base_provides)
    class Parent(Base):
        def __call__(self, *, flag=MERGED):
            return flag, attempt(read)

    @mergeable("flag", provide=child_provides)
    class Child(Parent):
        def __call__(self, *, flag=MERGED):
            return super().__call__(**({"flag": flag} if forwards else {}))

    grandchild = type("Grandchild", (Child,), {})
    found = 1 if any(provides) else MissingParamError

    assert (1, found) == Child(1)() == grandchild(1)()
    if forwards or child_provides:
        assert (1, found) == Child()(flag=1)
    else:
        assert MissingParamError is attempt(Child(), flag=1)


def test_inherited_method(read):
    """It is merged for the subclass alone, around what wraps it; an override has nothing of it."""
    calls = []

    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            calls.append(kwargs)
            return function(*args, **kwargs)

        return wrapper

    class Parent(Base):
        @logged
        def __call__(self, x=0, *, flag=None):
            return flag, attempt(read)

    child = mergeable("flag", provide=True)(type("Child", (Parent,), {}))
    override = type("Override", (child,), {"__call__": lambda self, flag=None: flag})

    assert [(1, 1), (2, 2), *MERGES[2:]] == outcomes(child)
    assert [{"flag": 1}, {"flag": 2}] == calls
    assert (None, MissingParamError) == Parent(1)()
    assert (None, (1, 1)) == (override(1)(), child.__call__(override(1)))
    with provide(flag=3):
        assert (None, 3) == Parent(1)()


def lines(error):
    """Return names and lines of the frames that are in this file."""
    frames = traceback.extract_tb(error.__traceback__)
    return [(frame.name, frame.line) for frame in frames if frame.filename == __file__]


def test_tracebacks():
    """A traceback leads through the `def` line to the line that has failed."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            return 1 // flag

    with pytest.raises(ZeroDivisionError) as failed:
        Model(0)()
    with pytest.raises(MissingParamError) as missing:
        Model()()

    assert [
        ("test_tracebacks", "Model(0)()"),
        ("__call__", "def __call__(self, *, flag=MERGED):"),
        ("__call__", "return 1 // flag"),
    ] == lines(failed.value)
    assert ("__call__", "def __call__(self, *, flag=MERGED):") == lines(missing.value)[-1]
    assert missing.value.__context__ is None


# Coroutines.


@types.coroutine
def wait(value=None):
    """Wait in a coroutine that is driven by hand, and return what is sent."""
    return (yield value)


@pytest.fixture
def steps(read):
    """Return a coroutine that tells what it is sent, thrown and provided."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            try:
                got = await wait("first")
                with contextlib.suppress(KeyError):
                    await wait((got, read()))
                with provide(flag="own"):
                    await wait(read())
                return await wait(read())
            finally:
                self.closed = read()

    return Model


def test_coroutine_by_hand(steps, read):
    """`send` and `throw` reach the body; its scopes are open while it runs, and then only."""
    coroutine = steps(1)()
    found = [coroutine.send(None), coroutine.send("sent")]
    nothing = [attempt(read)]
    found += [coroutine.throw(KeyError()), coroutine.send(None)]
    with provide(flag="of the caller"):
        with pytest.raises(StopIteration) as stop:
            coroutine.send("last")
        nothing.append(read())

    assert inspect.iscoroutine(coroutine)
    assert ["first", ("sent", 1), "own", 1] == found
    assert [MissingParamError, "of the caller"] == nothing
    assert "last" == stop.value.value


@pytest.mark.parametrize(
    "end",
    [
        lambda coroutine: coroutine.close(),
        pytest.param(lambda _: gc.collect(), marks=counts_references),
    ],
)
def test_coroutine_that_is_closed(steps, read, end):
    """The body cleans up in its scope."""
    model = steps(2)
    coroutine = model()
    coroutine.send(None)
    end(coroutine)
    del coroutine
    gc.collect()

    assert 2 == model.closed
    assert MissingParamError is attempt(read)


@counts_references
def test_coroutine_that_is_never_awaited():
    """It warns as any does, and only of itself."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED): ...

    with pytest.warns(RuntimeWarning, match="__call__' was never awaited") as caught:
        Model(1)()

    assert 1 == len(caught)


class Thrown(Exception):
    """An error that a weak reference can watch."""


@counts_references
def test_nothing_is_kept_between_steps():
    """Neither what was sent nor what was thrown is held by what is around the body."""

    @mergeable("flag", provide=True)
    class Model(Base):
        async def __call__(self, *, flag=MERGED):
            while True:
                with contextlib.suppress(Thrown):
                    await wait()

    coroutine = Model(1)()
    coroutine.send(None)
    sent, error = Base(), Thrown()
    references = weakref.ref(sent), weakref.ref(error)
    coroutine.send(sent)
    coroutine.throw(error)
    error.__traceback__ = None
    del sent, error

    assert [None, None] == [reference() for reference in references]
    coroutine.close()


# What cannot provide.


class Yielding(Base):
    """Methods that would leave their scope open to whoever takes their values."""

    def generator(self, *, flag=None):
        yield flag

    async def async_generator(self, *, flag=None):
        yield flag

    @contextlib.contextmanager
    def context(self, *, flag=None):
        yield flag


@pytest.mark.parametrize("method", ["generator", "async_generator", "context"])
@pytest.mark.parametrize("is_inherited", [False, True])
def test_generators_that_would_provide_are_refused(method, is_inherited):
    """The message says what to write instead, and the class stays as it was."""
    namespace = {} if is_inherited else {method: vars(Yielding)[method]}
    layer = type("Layer", (Yielding if is_inherited else Base,), namespace)
    before = dict(vars(layer))
    says = rf"{method}\(\) is a generator.*`with provide\(flag=flag\):`.*does not yield"

    with pytest.raises(MergeDefinitionError, match=says):
        mergeable("flag", method=method, provide=True)(layer)
    assert before == dict(vars(layer))
