"""JAX: pytrees are walked through, and provided values are part of the keys of traces.

JAX keeps the key of `jax.jit` per thread, and a scope of provided values belongs to a context.
They agree as long as the scope is open only while its own context runs. A coroutine may be
suspended with its scope open, and other code of the thread runs then; so such a scope has no key.
What is traced meanwhile is kept apart from all else, and raises where it reads a provided value.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import jax
import jax.numpy as jnp

from mergeparam._frameworks.adapter import UNKNOWN_KEY, Adapter
from mergeparam._frameworks.jax_key import key_of
from mergeparam._sentinels import UNSET, UnsetType
from mergeparam.errors import MergeError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import FrameType

    from mergeparam._call.provide import Scope, provide

_NO_KEY = "a coroutine has opened a scope"
_IN_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR


class _Thread(threading.local):
    """What is known of one thread."""

    def __init__(self) -> None:
        # The owners of scopes that coroutines have opened here, and that may be suspended.
        self.suspensions: set[Callable[[], object]] = set()
        # While the thread has a key, reading has to ask for it, even if no scope is left: so
        # the key keeps one.
        self.kept: Scope | None = None


class JaxAdapter(Adapter):
    """Knows pytrees, and keeps the key of this thread's traces at the scope of this context."""

    # From a tracer one comes to all that has been traced.
    opaque_types = (jax.Array, jax.core.Tracer)
    follows_scopes = True

    def __init__(self, make_context: Callable[[None], Any] | None) -> None:
        """Let `UNSET` pass `jax.jit`, and add a value to its key: `None` outside of all scopes.

        Without a function that adds one, an older JAX would use stale traces in silence.
        """
        if jax.tree_util.tree_leaves(UNSET):  # else somebody has registered it already
            jax.tree_util.register_pytree_node(
                UnsetType, lambda unset: ((), unset), lambda unset, _: unset
            )
        self._thread = _Thread()
        self._key: Any = None
        if make_context is not None:
            self._key = make_context(None)
            # On leaving, a context sets again what it has found on entering. Here that is nothing,
            # while one that is entered again would hold the key of the last scope, and its values.
            self._no_scope: Any = self._key(None)
            with self._no_scope:
                pass
        self._is_finalizing = sys.is_finalizing

    def children(self, obj: object) -> Iterator[tuple[str, object]]:
        """Yield the children of a pytree node, one level deep; a leaf is its own only child.

        Builtin containers are walked through without JAX, which refuses keys that it cannot
        sort; iterators, of which it warns, are no containers.
        """
        if not isinstance(obj, dict | list | tuple | Iterator):
            found, _ = jax.tree_util.tree_flatten_with_path(
                obj, is_leaf=lambda node: node is not obj
            )
            yield from ((jax.tree_util.keystr(path), child) for path, child in found if path)

    def scope_opened(self, scope: Scope) -> None:
        """Set the key for what is traced inside the scope."""
        if self._key is None:
            self._refuse(scope)
        is_suspendable = scope.suspension is None and _is_in_coroutine()
        if is_suspendable and getattr(scope.owner(), "can_be_suspended", True):
            # Two weak references to one object would be equal, and each scope counts.
            scope.suspension = functools.partial(scope.owner)
            self._thread.suspensions.add(scope.suspension)
        before, outer = self._key.value, scope.outer
        is_own = outer is None or before is outer.key or before is self._key_of(outer)
        if not is_own and not self._is_left_over():
            # A copied context has brought the outer scope along from elsewhere, and the thread
            # is to have its own key back.
            scope.beneath = (before,)
        self._set_key(self._key_of(scope), scope)

    def scope_closing(self, scope: Scope, innermost: Scope, left: Scope) -> None:
        """Set the key for what is traced when the scope is closed.

        If the key is not that of the innermost scope, because this is another thread than the one
        that opened it, or was given another context meanwhile, it stays what it is.
        """
        if scope.suspension is not None:
            self._thread.suspensions.discard(scope.suspension)
        if self._key is None:
            return
        before = self._key.value
        if before is not innermost.key and before is not self._key_of(innermost):
            return
        if scope.beneath is not None:
            if left is scope.outer:
                self._set_key(self._again(*scope.beneath), left)
                return
            # Scopes that were opened inside stay open; the outermost of them will give it back.
            inside = left
            while inside.outer is not None and inside.outer is not scope.outer:
                inside = inside.outer
            # One that another thread has opened knows what to give back there.
            inside.beneath = inside.beneath or scope.beneath
        # What a copied context has brought along may be closed back there.
        self._set_key(self._again(None) if left.closed else self._key_of(left), left)

    def closed_elsewhere(self, owner: provide, here: Scope) -> None:
        """Forget that the scope may be suspended, if this is the thread that opened it."""
        kept = self._thread.kept
        if kept is not None and kept.owner() is owner:
            self._set_key(self._key_of(here), here)
        suspensions = self._thread.suspensions
        suspensions.difference_update([one for one in suspensions if one() is owner][:1])
        if self._key is not None and self._key.value is _NO_KEY:
            self._set_key(self._again(_NO_KEY), None)

    def scope_abandoned(self, here: Scope) -> None:
        """Set the key again, if it is that of the scope."""
        # What is being traced goes on with the key that it began with.
        if not self._is_finalizing() and self._is_left_over() and not _is_tracing():
            self._set_key(self._key_of(here), here)

    def reading(self, scope: Scope, name: str) -> None:
        """Raise where a trace would keep a value that is not in its key."""
        if self._key is None:
            if scope.outer is not None and _is_tracing():
                self._refuse(scope)
        elif self._key.value is not scope.key and _is_tracing():
            raise MergeError(
                f"What is provided to {name!r} cannot be read while JAX traces here: JAX keeps "
                f"traces per thread, and this scope was opened in a coroutine, in another "
                f"thread or task, or before JAX was imported. Write `with provide({name}=...):` "
                f"in a plain function that makes the call, or give {name}=... in the call.",
                param=name,
            )

    def _is_left_over(self) -> bool:
        """Whether the scope of this thread's key was left open, or closed out of its sight."""
        kept = self._thread.kept
        return kept is not None and kept.owner() is None

    def _key_of(self, scope: Scope) -> Hashable:
        """Return the key of a scope, which keeps it: the key is told by its identity."""
        if scope.outer is None:
            return self._again(None)
        if scope.suspension is not None:
            return _NO_KEY
        if scope.key is UNKNOWN_KEY:
            values = scope.values
            key: tuple[Hashable, ...] = ()
            for name in sorted(values) if len(values) > 1 else values:
                key += name, key_of(values[name])
            scope.key = key
        return scope.key

    def _again(self, key: Hashable) -> Hashable:
        """Return a key that was there before; what it is where nothing is provided may change."""
        if key is not None and key is not _NO_KEY:
            return key
        suspensions = self._thread.suspensions
        while suspensions:
            if (suspension := next(iter(suspensions)))() is not None:
                return _NO_KEY
            suspensions.discard(suspension)  # it was closed in another thread
        return None

    def _set_key(self, key: Hashable, scope: Scope | None) -> None:
        """Set the key of this thread.

        A user context of JAX does nothing but to swap one value of the thread on entering, and
        to swap it back on leaving. So one may enter another one instead of leaving, and an
        interrupt leaves nothing behind that could not be set again.
        """
        if key is None:
            self._no_scope.__exit__(None, None, None)
            self._thread.kept = None
        # Generators are closed when Python ends, and JAX has lost its globals then.
        elif not self._is_finalizing():  # pragma: no branch - false only as Python ends
            if scope is not None and scope.outer is not None:
                self._thread.kept = scope
            self._key(key).__enter__()

    def _refuse(self, scope: Scope) -> NoReturn:
        raise MergeError(
            f"{scope.owner()!r} needs jax.make_user_context, which makes provided values part of "
            f"the keys of traces, and JAX {jax.__version__} has none. Upgrade JAX, or give the "
            f"values in the calls."
        )


def _is_in_coroutine() -> bool:
    """Whether the code that opens a scope can be suspended inside it, with its context.

    Generators, such as those of `contextlib.contextmanager`, run in the context of their
    consumer, and what is opened in an `__enter__` stays open for its caller.
    """
    # First what called `__enter__`. Audit hooks, such as that of filelock, which JAX imports, make
    # looking at a frame slow.
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001 - as inspect and logging do
    while frame is not None:
        code = frame.f_code
        if code.co_flags & _IN_COROUTINE:
            return True
        is_entering = code.co_name == "__enter__" or frame.f_globals is contextlib.__dict__
        if not is_entering and not code.co_flags & inspect.CO_GENERATOR:
            return False
        frame = frame.f_back
    return False  # pragma: no cover - only generators below, resumed by a thread written in C


def _is_tracing() -> bool:
    """Whether JAX traces here; what it computes in passing is not used."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


ADAPTER = JaxAdapter(getattr(jax, "make_user_context", None))
