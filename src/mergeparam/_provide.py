"""The scope of provided values: what `provide` opens and the slow path reads."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

from mergeparam import _frameworks

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


class Scope:
    """The values provided at one place, and the scope around it.

    `key` and `is_suspendable` belong to the frameworks that follow what is provided.
    """

    __slots__ = ("is_suspendable", "key", "outer", "own", "owner", "values")

    def __init__(
        self,
        owner: provide | None,
        own: Mapping[str, object],
        outer: Scope | None,
        *,
        is_suspendable: bool = False,
    ) -> None:
        """Let the values shadow those of the scope around."""
        self.owner = owner
        self.own = own
        self.outer = outer
        self.values: Mapping[str, object] = own if outer is None else {**outer.values, **own}
        self.is_suspendable = is_suspendable
        self.key: Hashable = None


NOTHING_PROVIDED = Scope(None, {}, None)
_CURRENT: ContextVar[Scope] = ContextVar("mergeparam.provide", default=NOTHING_PROVIDED)


class _Process:
    """What has happened in this process, as a flag that `torch.compile` can guard."""

    has_provided: ClassVar[bool] = False


class provide:  # noqa: N801 - a context manager, named as one writes it
    """Provide values to every merged call inside that got neither.

    A value is a fallback: it is taken where neither the constructor nor the call has set the
    parameter, and never overrules what is set. It comes before a `Param`'s `default`. The
    innermost `provide` of a name counts. Flags need no threading through the layers in between,
    which Flax's design note "Dealing with Module Arguments" names as the first pain.

    A `ContextVar` holds the values: other threads do not see them, an asyncio task sees those of
    the place where it was created. A `with` around a `yield` is open for the consumer too until
    the generator goes on; `@mergeable(..., provide=True)` closes it there. One object may be
    entered again, also while it is open, and from several threads.

    Under `jax.jit` the provided values are part of the cache key, so a function that was traced
    under other values is traced again. Under `torch.compile` reading one breaks the graph.

    Args:
        **values: names of parameters and their values, any. The object that means "not set" for
            a parameter (`None`, if its `Param` says nothing else) cannot be provided to it: a
            call that needs the value raises.

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
    """

    __slots__ = ("__weakref__", "_values")

    def __init__(self, /, **values: object) -> None:
        """Take the values; they are provided from `with` on."""
        self._values = values

    def __enter__(self) -> None:
        """Open a scope inside the one that is open here."""
        _Process.has_provided = True
        _frameworks.adapt()
        scope = Scope(self, self._values, _CURRENT.get())
        for follower in _frameworks.followers:
            follower.opening(scope)
        _CURRENT.set(scope)

    def __exit__(self, *_: object) -> None:
        """Close the scope, wherever it stands among those that are open here."""
        closed, left = _without(_CURRENT.get(), self)
        _CURRENT.set(left)
        for follower in _frameworks.followers:
            follower.closed(closed, self, left)

    def __repr__(self) -> str:
        """Return how it was written."""
        return f"provide({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class ProvideStep(provide):
    """A scope that a coroutine or generator closes whenever it is suspended."""

    __slots__ = ()


def provided(name: str, unset: object) -> object:
    """Return the value that is provided to a parameter here, or `unset`."""
    if not _Process.has_provided:
        return unset
    scope = _CURRENT.get()
    if _frameworks.followers or _frameworks.has_news():
        _ask_followers(scope, name)
    return scope.values.get(name, unset)


def _ask_followers(scope: Scope, name: str) -> None:
    _frameworks.adapt()
    for follower in _frameworks.followers:
        follower.reading(scope, name)


def is_provided(name: str) -> bool:
    """Whether anything is provided under this name here, the `unset` object too."""
    return name in _CURRENT.get().values


def _without(scope: Scope, owner: provide) -> tuple[Scope | None, Scope]:
    """Return the innermost scope that `owner` has opened, and what is left without it.

    Mostly that is the innermost of all. Generators close in any order; and one that is closed in
    another context, as event loops do with those that are left over, has nothing to close there.
    """
    above = []
    below = scope
    while below.owner is not owner:
        if below.outer is None:
            return None, scope
        above.append(below)
        below = below.outer
    left = below.outer or NOTHING_PROVIDED
    for opened in reversed(above):
        left = Scope(opened.owner, opened.own, left, is_suspendable=opened.is_suspendable)
    return below, left
