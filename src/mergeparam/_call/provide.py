"""Values that are provided to the calls inside a `with`: scopes, and how they are read."""

from __future__ import annotations

import functools
import sys
import types
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Never, TypeVar
from weakref import ref

import attrs

from mergeparam._declare.methods import unwrap
from mergeparam._frameworks import UNKNOWN_KEY, Adapter, Seen, load_adapters, scope_followers
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Mapping
    from types import TracebackType

F = TypeVar("F", bound="Callable[..., Any]")


@attrs.define(eq=False, init=False, repr=False)
class Scope:
    """What one open `with` provides, on top of the scopes around it.

    Closing does not change a scope: contexts that were copied inside of it still see it.
    """

    outer: Scope | None
    own: Mapping[str, object]
    values: Mapping[str, object]

    owner: Callable[[], object]
    """A weak reference to its `provide` object, by which an abandoned scope can be told."""

    token: Token[Scope] | None
    """By this the context can be told in which the scope was opened."""

    closed: bool
    """Whether its `with` has ended as it should: in the context in which it was opened."""

    # These three belong to the adapter that follows scopes.
    key: object
    beneath: tuple[Any] | None
    suspension: Any


class _Living:
    """Whether any scope is left in this process, in whichever thread or context.

    Dynamo cannot trace the read of a `ContextVar`, so that reading asks this first. What is
    compiled where nothing is provided is guarded by it: Dynamo guards the length of a set that
    an object holds which is a global of the module (a list in a class attribute is not guarded
    before PyTorch 2.13).

    A counter would drift, because an interrupt may come between any two instructions, and a
    scope outlives its `with` in contexts that were copied inside. So the set has a weak
    reference to each scope, which is taken out by `set.discard` when the scope goes. That is a C
    function: no Python code runs in which a signal handler could raise, which CPython would print
    and swallow, as in a `__del__`. To add and to discard is atomic, so there is no lock that a
    fork could copy while somebody holds it.
    """

    __slots__ = ("scopes",)

    def __init__(self) -> None:
        self.scopes: set[ref[Scope]] = set()

    def __reduce__(self) -> str:
        """Pickle by name, because functions that read this may be pickled by value."""
        return "living"


living = _Living()
_add, _discard = living.scopes.add, living.scopes.discard

_NOTHING = Scope()
_NOTHING.outer = None
_NOTHING.values = {}
_NOTHING.owner = ref(Scope)  # which opens nothing, and never goes
_NOTHING.closed = False
_NOTHING.key = None

_CURRENT: ContextVar[Scope] = ContextVar("mergeparam.provide", default=_NOTHING)

_NOBODY: Callable[[], object] = type(None)
"""The owner of a closed scope: called, it gives nothing, as a dead weak reference does."""

LATEST: list[Mapping[str, object]] = [_NOTHING.values]
"""What the last call of `provide` was given, until any is entered. Only messages ask for it."""


class provide:  # noqa: N801 - a context manager, named as one writes it
    """Provide values to every merged call inside that got neither.

    A value is a fallback: it is used where neither the constructor nor the call has set the
    parameter, and never overrules what is set. It comes before a `Param`'s `default`. The
    innermost `provide` of a name counts. Flax Linen's own layers, and others that merge with
    `nn.merge_param`, get it too. Flags need not be threaded through the layers in
    between, which Flax's design note "Dealing with Module Arguments" names as the first pain.

    A `ContextVar` holds the values: other threads do not see them, and an asyncio task sees those
    of the place where it was created. A `with` around a `yield` stays open for the consumer of
    the generator until the generator goes on. One object may be entered again, also while it is
    open, and from several threads. A scope that an interrupt (such as `KeyboardInterrupt`) has
    kept from closing is dropped when the `provide` around it closes, or as soon as nobody holds
    its `provide` object any more.

    As a decorator of a function or a coroutine function it opens a scope for each call. A
    coroutine provides only while it runs, not to what runs while it is suspended.

    Under `jax.jit` the provided values are part of the cache key, so a function that was traced
    under other values is traced again. A value that has a hash is taken not to change, as a
    static argument is. Under `torch.compile` reading a provided value breaks the graph.

    Args:
        **values: names of parameters and their values, of any type. The object that means "not
            set" for a parameter (`None`, unless its `Param` names another) cannot be provided
            to it: a call that needs the value raises.

    Raises:
        MissingParamError: by a call inside, to which the `unset` object is provided.
        MergeError: on entering, where JAX is imported and too old to have
            `jax.make_user_context`; and by a traced call, where JAX cannot tell the scope (it
            was opened in a coroutine, or comes from another thread).

    >>> from mergeparam import MERGED, mergeable, provide
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     def __init__(self, deterministic=None):
    ...         self.deterministic = deterministic
    ...     def __call__(self, x, *, deterministic=MERGED):
    ...         return "kept" if deterministic else "dropped"
    >>> with provide(deterministic=True):
    ...     Dropout()(1.0), Dropout(False)(1.0), Dropout()(1.0, deterministic=False)
    ('kept', 'dropped', 'dropped')
    >>> @provide(deterministic=True)
    ... def evaluate(x):
    ...     return Dropout()(x)
    >>> evaluate(1.0)
    'kept'
    """

    __slots__ = ("__weakref__", "_values")

    can_be_suspended = True
    """Whether code outside of the `with` may run before it ends, where a coroutine opens it."""

    def __init__(self, /, *positional: Never, **values: object) -> None:
        """Take the values; they are provided from `with` on."""
        if positional:
            raise TypeError(
                f"provide takes values by name, and {shorten(positional[0])} was given by "
                f"position. Write provide(name=...), or provide(**values) of a dictionary."
            )
        self._values = LATEST[0] = values

    def __enter__(self) -> None:
        """Open a scope inside the one that is open here."""
        LATEST[0] = _NOTHING.values
        load_adapters()
        outer = _CURRENT.get()
        if outer.owner() is None:
            outer = _drop_left_open()
        owner = ref(self, _left_open) if scope_followers else ref(self)
        scope = _make_scope(owner, self._values, outer)
        try:
            scope.token = _CURRENT.set(scope)
            for follower in scope_followers:
                follower.scope_opened(scope)
        except BaseException:
            # An adapter refuses, or a signal handler has raised. The `with` has not begun then,
            # so nobody else will close the scope.
            if _CURRENT.get() is scope:
                _close(scope, scope, outer)
            raise

    def __exit__(
        self,
        _: type[BaseException] | None = None,
        __: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close the scope, wherever it stands among those that are open here."""
        scope = _CURRENT.get()
        if traceback is None and scope.owner() is self and scope.outer is not None:
            try:
                _close(scope, scope, scope.outer)
            except RecursionError:
                # What is written in C can be called nevertheless.
                _CURRENT.set(scope.outer)
                scope.closed = True
                raise
            return
        innermost = scope = _drop_left_open(traceback)
        inside: list[Scope] = []
        while scope.outer is not None:
            if scope.owner() is self:
                # Generators close their scopes in any order; those inside stay open.
                _close(scope, innermost, self._leave(inside, scope.outer))
                return
            if not _is_abandoned(scope) and not _was_interrupted(scope, traceback):
                inside.insert(0, scope)
            scope = scope.outer
        # It was opened in another context, and stays open there. Event loops close what is left
        # over in this way.
        for follower in scope_followers:
            follower.closed_elsewhere(self, innermost)

    def __call__(self, function: F) -> F:
        """Decorate a function: its body runs with the values provided, in a scope of its own.

        Raises:
            TypeError: it is a generator function, whose scope would stay open for its consumer; a
                class; or something around a generator or coroutine function, which returns
                before the body runs.
        """
        import inspect  # noqa: PLC0415 - most programs only write `with`

        LATEST[0] = _NOTHING.values
        inner, is_coroutine = unwrap(function)[-1], inspect.iscoroutinefunction(function)
        written = f"provide({', '.join([f'{name}=...' for name in self._values])})"
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            raise TypeError(
                f"@{written} is on {function.__qualname__}(), a generator, and its scope would "
                f"stay open for whoever takes its values. Write `with {written}:` around the part "
                f"of the body that does not yield."
            )
        if isinstance(function, type) or (inspect.iscoroutinefunction(inner) and not is_coroutine):
            raise TypeError(
                f"@{written} is on {function.__qualname__}, which returns before the code runs "
                f"that the values are for. Put it on that code, right above its def."
            )
        if is_coroutine:

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - its own
                return await run_in_steps(function(*args, **kwargs), self._values)

            return awaited  # type: ignore[return-value]  # of the same signature

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - likewise
            with ProvideInCall(**self._values):
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]  # of the same signature

    def __repr__(self) -> str:
        """Return how it was written."""
        return f"provide({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"

    def _leave(self, inside: list[Scope], outer: Scope) -> Scope:
        """Return the innermost scope that is left: of those inside, else the one around."""
        for scope in inside:
            outer = _make_again(scope, outer)
        return outer


class ProvideInCall(provide):
    """Opens a scope for one call of a plain function, such as a method with `provide=True`."""

    __slots__ = ()

    def _leave(self, inside: list[Scope], outer: Scope) -> Scope:
        # A call ends after the calls inside. What these have left open is left open by an error
        # that came before `__exit__` could do anything, as `RecursionError` does. On PyPy, which
        # does not count references, such a scope is not abandoned at once.
        return super()._leave(
            [scope for scope in inside if not isinstance(scope.owner(), ProvideInCall | _Step)],
            outer,
        )


class _Step(provide):
    """Opens a scope for each step of a coroutine.

    What the body has opened inside, and not closed yet, is suspended with it.
    """

    __slots__ = ("_suspended",)

    can_be_suspended = False

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(**values)
        self._suspended: list[Scope] = []

    def __enter__(self) -> None:
        super().__enter__()
        suspended, self._suspended = self._suspended, []
        for inner in suspended:
            again = _make_again(inner, _CURRENT.get())
            again.token = _CURRENT.set(again)
            for follower in scope_followers:
                follower.scope_opened(again)

    def _leave(self, inside: list[Scope], outer: Scope) -> Scope:
        self._suspended = inside
        return outer


@types.coroutine
def run_in_steps(
    coroutine: Coroutine[Any, Any, Any], values: Mapping[str, object]
) -> Generator[Any, Any, Any]:
    """Await a coroutine whose body is to see these values, and nothing else that runs.

    A plain `with` around the `await` would be open while the coroutine waits. Other tasks of
    asyncio have contexts of their own and would not see it. But whoever drives the coroutine by
    hand would, and JAX keeps its key per thread, so that nothing could be traced inside.
    """
    step = _Step(values)
    resume: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        try:
            with step:
                awaited = resume(argument)
        except StopIteration as stop:
            return stop.value
        finally:
            # An error that was thrown in and comes out again leads to this frame.
            del argument
        try:
            argument = yield awaited
            resume = coroutine.send
        except BaseException as error:  # noqa: BLE001 - the body decides on it
            argument = error
            resume = coroutine.throw


# Runtime type checkers decorate what a class holds, and this is held by merged classes.
run_in_steps.__no_type_check__ = True  # type: ignore[attr-defined]


def provided(name: str, unset: object) -> Any:  # noqa: ANN401 - values are any object
    """Return the value that is provided under this name here, or `unset` if nothing is."""
    if not living.scopes:
        return unset
    scope = _CURRENT.get()
    if scope.owner() is None:
        # It is not dropped here, because JAX may be tracing with its key.
        scope = _around_abandoned(scope)
    # As `load_adapters` asks first, but without the call.
    if len(sys.modules) != Seen.modules:
        load_adapters()
    for follower in scope_followers:
        follower.reading(scope, name)
    return scope.values.get(name, unset)


# Frameworks' own layers read what is provided, too.
Adapter.scopes, Adapter.provided = living.scopes, staticmethod(provided)


def is_provided(name: str) -> bool:
    """Whether anything is provided under this name here, the `unset` object too."""
    return provided(name, _NOTHING) is not _NOTHING


def provided_names() -> list[str]:
    """Return the names under which something is provided here."""
    return [name for name in _CURRENT.get().values if is_provided(name)]


def _close(scope: Scope, innermost: Scope, left: Scope) -> None:
    """Close one scope; another one is the innermost from now on."""
    # First the adapters: a trace that JAX has made with the values must not be found any more
    # once nothing is provided.
    for follower in scope_followers:
        follower.scope_closing(scope, innermost, left)
    try:
        if scope.token is not None:
            _CURRENT.reset(scope.token)
            scope.closed = True
    except ValueError:
        # This is a copy of the context in which the scope was opened, such as an event loop closes
        # async generators in. Back there nobody will close it.
        pass
    except BaseException:
        # A signal handler has raised, mostly between the two.
        scope.closed = _CURRENT.get() is left
        raise
    # A token gives back what was there when the scope was opened.
    if _CURRENT.get() is not left:
        _CURRENT.set(left)
    scope.owner, scope.token = _NOBODY, None


def _left_open(_: object) -> None:
    """Tell what follows scopes that nobody can close one of them any more.

    What a signal handler raises here is printed and swallowed, as in a `__del__`. So this is only
    called for a scope that was not closed, and only where something follows scopes.
    """
    here = _around_abandoned(_CURRENT.get())
    for follower in scope_followers:
        follower.scope_abandoned(here)


def _drop_left_open(traceback: TracebackType | None = None) -> Scope:
    """Close the innermost scopes that were left open; return the one that is the innermost then.

    CPython runs signal handlers at the start of a Python function. What they raise can keep
    `__exit__` from doing anything, so that the scope stays open behind its `with`.
    """
    scope = _CURRENT.get()
    while scope.outer is not None:
        if _was_interrupted(scope, traceback):
            # One error has interrupted one scope. Its object may have opened others, too.
            traceback = None
        elif not _is_abandoned(scope):
            break
        _close(scope, scope, scope.outer)
        scope = scope.outer
    return scope


def _is_abandoned(scope: Scope) -> bool:
    """Whether nobody can close the scope any more, and nobody has.

    A `with` holds the bound `__exit__` for as long as it runs, and so the `provide` object.
    """
    return scope.owner() is None and not scope.closed


def _around_abandoned(scope: Scope) -> Scope:
    """Return the scope, or the innermost one around it that is not abandoned."""
    while scope.outer is not None and _is_abandoned(scope):
        scope = scope.outer
    return scope


def _was_interrupted(scope: Scope, traceback: TracebackType | None) -> bool:
    """Whether an error that is about to leave an outer `with` has interrupted opening or closing.

    Its traceback holds the `provide` object, so that the scope is not abandoned yet.
    """
    owner = scope.owner()
    while traceback is not None and owner is not None:
        frame = traceback.tb_frame
        if frame.f_code in _OPENING_AND_CLOSING and frame.f_locals["self"] is owner:
            # Before `__enter__` has a scope nothing is open; before `__exit__` has looked for
            # its own, that is the innermost.
            has_none = None if frame.f_code is provide.__enter__.__code__ else scope
            return frame.f_locals.get("scope", has_none) is scope
        traceback = traceback.tb_next
    return False


_OPENING_AND_CLOSING = {
    provide.__enter__.__code__,
    provide.__exit__.__code__,
    _Step.__enter__.__code__,
}


def _make_scope(owner: Callable[[], object], own: Mapping[str, object], outer: Scope) -> Scope:
    """Return a scope inside another one, which is not open yet."""
    # The call of a constructor would take half as long as all of this.
    scope = Scope()
    scope.owner = owner
    scope.own = own
    scope.outer = outer
    scope.values = {**outer.values, **own} if outer.values else own
    scope.token = None
    scope.closed = False
    scope.key = UNKNOWN_KEY
    scope.beneath = scope.suspension = None
    _add(ref(scope, _discard))
    return scope


def _make_again(scope: Scope, outer: Scope) -> Scope:
    """Return a scope anew, inside another one than it was."""
    again = _make_scope(scope.owner, scope.own, outer)
    again.token, scope.token = scope.token, None
    again.closed = scope.closed
    again.beneath = scope.beneath
    again.suspension = scope.suspension
    return again
