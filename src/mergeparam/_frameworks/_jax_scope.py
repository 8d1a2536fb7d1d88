"""JAX: provided values are part of the key under which `jax.jit` keeps a trace.

JAX holds that key per thread, and a scope of provided values belongs to a context. They agree as
long as the scope is open only while its own context runs. A coroutine may be suspended with its
scope open, and other code of the thread runs then; so such a scope has no key. What is traced
meanwhile is kept apart from all else, and raises where it reads a provided value.
"""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from mergeparam import _frameworks
from mergeparam._frameworks._jax_key import key_of
from mergeparam._call.provide import ProvideStep, Scope
from mergeparam.errors import MergeError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import FrameType

    from mergeparam._call.provide import provide

_NO_KEY = "a coroutine has opened a scope"
_IN_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR


class _State:
    """What is known of one thread."""

    living = Scope.living

    def __init__(self) -> None:
        self.key: Any = None
        self.suspendable = 0

    def __del__(self) -> None:
        """Leave what is left of scopes, if the thread has ended with a key."""
        if self.key is not None:
            self.living.remove(id(self))


class _Thread(threading.local):
    """Finds the state of the thread that runs."""

    def __init__(self) -> None:
        self.state = _State()


class _Mark(NamedTuple):
    """What has to be known of a scope when it closes.

    `suspendable_in` is the thread that may run other code while the scope is open. `beneath`
    holds the key that the thread had before, where that was not the key of the scope around.
    """

    suspendable_in: _State | None = None
    beneath: tuple[Hashable] | None = None


class JaxScope:
    """Keeps the key of this thread's traces at the scope that is open in this context."""

    def __init__(self) -> None:
        """Add a value to the key; it is `None` where nothing is provided."""
        make_context: Any = jax.make_user_context
        self._key = make_context(None)
        self._thread = _Thread()
        self._suspendable: weakref.WeakKeyDictionary[provide, list[_State]] = (
            weakref.WeakKeyDictionary()
        )

    def opening(self, scope: Scope, innermost: Scope) -> None:
        """Set the key for what is traced inside the scope."""
        scope.mark = _Mark(self._counted(scope.owner), self._beneath(scope.outer))
        self._set_key(self._expected(innermost))

    def closed(self, owner: provide, scope: Scope | None, innermost: Scope, left: Scope) -> None:
        """Set the key for what is traced in the scope that is left.

        If the key was not that of the innermost scope, which another thread or task has opened
        then, it stays what it is.
        """
        had_key = self._has_key_of(innermost)
        self._count_out(owner, scope)
        if had_key:
            beneath = None if scope is None else _hand_on(scope, left)
            self._set_key(self._expected(left) if beneath is None else self._again(*beneath))

    def reading(self, scope: Scope, name: str) -> None:
        """Raise where a trace would keep a value that is not in its key."""
        is_right = self._expected(scope) is not _NO_KEY and self._has_key_of(scope)
        if not is_right and _is_tracing():
            msg = (
                f"What is provided to {name!r} cannot be read while JAX traces here: JAX keeps "
                f"traces per thread, and this scope was opened in a coroutine, in another "
                f"thread or task, or before JAX was imported. Write `with provide({name}=...):` "
                f"in a plain function that makes the call, or give {name}=... in the call."
            )
            raise MergeError(msg, param=name)

    def _expected(self, scope: Scope) -> Hashable:
        if scope.outer is None:
            return self._again(None)
        if _mark_of(scope).suspendable_in is not None:
            return _NO_KEY
        if scope.key is None:
            items = sorted(scope.values.items())
            scope.key = tuple((name, key_of(value)) for name, value in items)
        return scope.key

    def _again(self, key: Hashable) -> Hashable:
        """Return a key that was there before; what it is where nothing is provided may change."""
        if key is not None and key is not _NO_KEY:
            return key
        return _NO_KEY if self._thread.state.suspendable else None

    def _has_key_of(self, scope: Scope) -> bool:
        return bool(self._key.value == self._expected(scope))

    def _beneath(self, outer: Scope | None) -> tuple[Hashable] | None:
        return None if outer is None or self._has_key_of(outer) else (self._key.value,)

    def _set_key(self, key: Hashable) -> None:
        state = self._thread.state
        if state.key is not None:
            state.key.__exit__(None, None, None)
            Scope.living.remove(id(state))
        state.key = None if key is None else self._key(key)
        if state.key is not None:
            # As long as the thread has a key, it has to be asked for at every reading.
            Scope.living.append(id(state))
            state.key.__enter__()

    def _counted(self, owner: provide | None) -> _State | None:
        """Count a scope that may be suspended; return the thread that may run other code then."""
        if owner is None or isinstance(owner, ProvideStep) or not _is_in_coroutine():
            return None
        state = self._thread.state
        state.suspendable += 1
        self._suspendable.setdefault(owner, []).append(state)
        return state

    def _count_out(self, owner: provide, scope: Scope | None) -> None:
        counted, here = self._suspendable.get(owner, []), self._thread.state
        if scope is not None:
            state = _mark_of(scope).suspendable_in
        else:
            state = here if here in counted else next(iter(counted), None)
        if state is not None:
            counted.remove(state)
            state.suspendable -= 1


class JaxWithoutKeys:
    """Refuses to provide under a JAX whose traces could go stale unnoticed."""

    def opening(self, scope: Scope, innermost: Scope) -> None:  # noqa: ARG002 - as all followers have it
        """Refuse."""
        msg = (
            f"{scope.owner!r} needs jax.make_user_context, which makes provided values part of "
            f"the keys of traces, and JAX {jax.__version__} has none. Upgrade JAX, or give the "
            f"values in the calls."
        )
        raise MergeError(msg)

    def closed(self, owner: provide, scope: Scope | None, innermost: Scope, left: Scope) -> None:
        """Do nothing; a scope that was opened before JAX was imported may close."""

    def reading(self, scope: Scope, name: str) -> None:  # noqa: ARG002 - as all followers have it
        """Do nothing where nothing is provided."""
        if scope.outer is not None and _is_tracing():
            self.opening(scope, scope)


def _mark_of(scope: Scope) -> _Mark:
    """Return what is known of a scope; of one that is older than this module, that is nothing."""
    return scope.mark if isinstance(scope.mark, _Mark) else _Mark()


def _hand_on(closed: Scope, left: Scope) -> tuple[Hashable] | None:
    """Return the key that was there before the scope opened, if that has to come back now.

    If a scope has been inside the closed one, it has to know from now on.
    """
    beneath = _mark_of(closed).beneath
    if beneath is None or left is closed.outer:
        return beneath
    while left.outer is not None and left.outer is not closed.outer:
        left = left.outer
    left.mark = _mark_of(left)._replace(beneath=beneath)
    return None


def _is_in_coroutine() -> bool:
    """Whether the code that opens a scope can be suspended inside it, with its context.

    Generators, such as those of `contextlib.contextmanager`, run in the context of their
    consumer, and what is opened in an `__enter__` stays open for its caller.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as inspect and logging do
    while frame is not None and not frame.f_code.co_flags & _IN_COROUTINE:
        if not _opens_for_its_caller(frame):
            return False
        frame = frame.f_back
    return frame is not None


def _opens_for_its_caller(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    return (
        frame.f_code.co_name == "__enter__"
        or bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
        or module == "contextlib"
        or module.startswith("mergeparam.")
    )


def _is_tracing() -> bool:
    """Whether JAX traces here; what it computes in passing is not used."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


_frameworks.followers.append(JaxScope() if hasattr(jax, "make_user_context") else JaxWithoutKeys())
