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
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from mergeparam import _frameworks
from mergeparam._provide import ProvideStep
from mergeparam.errors import MergeError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import FrameType

    from mergeparam._provide import Scope, provide

_NO_KEY = "a coroutine has opened a scope"
_IN_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
_COMPARED = (bool, int, str, bytes, type(None))
_SHOWN = (float, complex)
_CONTAINERS = (tuple, frozenset)


class _State:
    """What is known of one thread."""

    def __init__(self) -> None:
        self.key: Any = None
        self.suspendable = 0


class _Thread(threading.local):
    """Finds the state of the thread that runs."""

    def __init__(self) -> None:
        self.state = _State()


class JaxScope:
    """Keeps the key of this thread's traces at the scope that is open in this context."""

    def __init__(self) -> None:
        """Add a value to the key; it is `None` where nothing is provided."""
        self._key: Any = jax.make_user_context(None)  # type: ignore[no-untyped-call]  # of JAX
        self._thread = _Thread()
        self._suspendable: weakref.WeakKeyDictionary[provide, list[_State]] = (
            weakref.WeakKeyDictionary()
        )

    def opening(self, scope: Scope) -> None:
        """Set the key for what is traced inside the scope."""
        state, owner = self._thread.state, scope.owner
        if owner is not None and not isinstance(owner, ProvideStep) and _is_in_coroutine():
            scope.is_suspendable = True
            state.suspendable += 1
            self._suspendable.setdefault(owner, []).append(state)
        self._set_key(state, self._expected(scope))

    def closed(self, scope: Scope | None, owner: provide, left: Scope) -> None:
        """Set the key for what is traced in the scope that is left."""
        if scope is None or scope.is_suspendable:
            for state in self._suspendable.get(owner, [])[-1:]:
                state.suspendable -= 1
                self._suspendable[owner].pop()
        self._set_key(self._thread.state, self._expected(left))

    def reading(self, scope: Scope, name: str) -> None:
        """Raise where a trace would keep a value that is not in its key."""
        expected = self._expected(scope)
        if (expected is _NO_KEY or self._key.value != expected) and _is_tracing():
            msg = (
                f"What is provided to {name!r} cannot be read while JAX traces here: JAX keeps "
                f"traces per thread, and this scope was opened in a coroutine, in another "
                f"thread or task, or before JAX was imported. Write `with provide({name}=...):` "
                f"in a plain function that makes the call, or give {name}=... in the call."
            )
            raise MergeError(msg, param=name)

    def _expected(self, scope: Scope) -> Hashable:
        if scope.outer is None:
            return _NO_KEY if self._thread.state.suspendable else None
        if scope.is_suspendable:
            return _NO_KEY
        if scope.key is None:
            items = sorted(scope.values.items())
            scope.key = tuple((name, _key_of(value)) for name, value in items)
        return scope.key

    def _set_key(self, state: _State, key: Hashable) -> None:
        if state.key is not None:
            state.key.__exit__(None, None, None)
        state.key = None if key is None else self._key(key)
        if state.key is not None:
            state.key.__enter__()


class JaxWithoutKeys:
    """Refuses to provide under a JAX whose traces could go stale unnoticed."""

    def opening(self, scope: Scope) -> None:
        """Refuse."""
        msg = (
            f"{scope.owner!r} needs jax.make_user_context, which makes provided values part of "
            f"the keys of traces, and JAX {jax.__version__} has none. Upgrade JAX, or give the "
            f"values in the calls."
        )
        raise MergeError(msg)

    def closed(self, scope: Scope | None, owner: provide, left: Scope) -> None:
        """Do nothing; a scope that was opened before JAX was imported may close."""

    def reading(self, scope: Scope, name: str) -> None:  # noqa: ARG002 - as all followers have it
        """Do nothing where nothing is provided."""
        if scope.outer is not None and _is_tracing():
            self.opening(scope)


class _Same:
    """An object in a key, equal to nothing but itself."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _key_of(value: Any) -> Hashable:  # noqa: ANN401 - values are any object
    """Return what is equal only where a trace of one value serves for the other.

    1 and True are equal and trace differently. Arrays do not change; whatever else has no hash
    may change, so its key is equal to no other, and the function is traced again.
    """
    kind = type(value)
    if kind in _COMPARED:
        return kind, value
    if kind in _SHOWN:
        return kind, repr(value)
    if kind in _CONTAINERS:
        return kind, kind(_key_of(item) for item in value)
    if isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer):
        return _Same(value)
    return (kind, value) if _is_hashable(value) else object()


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - a foreign hash may raise anything
        return False
    return True


def _is_in_coroutine() -> bool:
    """Whether the code that opens a scope can be suspended inside it, with its context.

    Generators, such as those of `contextlib.contextmanager`, run in the context of their consumer.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as inspect and logging do
    while frame is not None and (_is_ours(frame) or frame.f_code.co_flags & inspect.CO_GENERATOR):
        frame = frame.f_back
    return frame is not None and bool(frame.f_code.co_flags & _IN_COROUTINE)


def _is_ours(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    return module == "contextlib" or module.startswith("mergeparam.")


def _is_tracing() -> bool:
    """Whether JAX traces here; what it computes in passing is not used."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


_frameworks.followers.append(JaxScope() if hasattr(jax, "make_user_context") else JaxWithoutKeys())
