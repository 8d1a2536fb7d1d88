"""The scope of provided values: what `provide` opens and the slow path reads."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

from mergeparam import _frameworks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping


class Scope:
    """The values provided at one place, and the scope around it.

    `key` and `mark` belong to the frameworks that follow what is provided.
    """

    __slots__ = ("key", "mark", "outer", "own", "owner", "values")

    living: ClassVar[list[int]] = []
    """What is left of scopes in this process; `torch.compile` can guard whether that is nothing.

    A scope outlives its `with` in the contexts that were copied inside.
    """

    def __init__(
        self,
        owner: provide | None,
        own: Mapping[str, object],
        outer: Scope | None,
        mark: object = None,
    ) -> None:
        """Let the values shadow those of the scope around."""
        self.owner = owner
        self.own = own
        self.outer = outer
        self.values: Mapping[str, object] = own if outer is None else {**outer.values, **own}
        self.mark = mark
        self.key: Hashable = None
        if outer is not None:
            self.living.append(id(self))

    def __del__(self) -> None:
        """Leave the list of those that are left."""
        if self.outer is not None:
            self.living.remove(id(self))


NOTHING_PROVIDED = Scope(None, {}, None)
_CURRENT: ContextVar[Scope] = ContextVar("mergeparam.provide", default=NOTHING_PROVIDED)


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
    under other values is traced again. A value that has a hash is taken not to change, as a
    static argument is. Under `torch.compile` reading one breaks the graph.

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
        _frameworks.adapt()
        scope = Scope(self, self._values, _CURRENT.get())
        _open(scope, scope)

    def __exit__(self, *_: object) -> None:
        """Close the scope, wherever it stands among those that are open here."""
        closed, inside = _find(self)
        _close(self, closed, inside)

    def __repr__(self) -> str:
        """Return how it was written."""
        return f"provide({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class ProvideStep(provide):
    """A scope that a generator or coroutine opens for each of its steps.

    What its body has opened inside, and not closed yet, is suspended with it.
    """

    __slots__ = ("_inside",)

    def __init__(self, values: Mapping[str, object]) -> None:
        """Take the values."""
        super().__init__(**values)
        self._inside: list[Scope] = []

    def __enter__(self) -> None:
        """Open the scope, and those that were open inside it."""
        _frameworks.adapt()
        scope = Scope(self, self._values, _CURRENT.get())
        _open(scope, _stack(self._inside, scope))

    def __exit__(self, *_: object) -> None:
        """Close the scope, and those that are open inside it."""
        closed, self._inside = _find(self)
        _close(self, closed, [])


def provided(name: str, unset: object) -> object:
    """Return the value that is provided to a parameter here, or `unset`."""
    if not Scope.living:
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
    return bool(Scope.living) and name in _CURRENT.get().values


def _open(scope: Scope, innermost: Scope) -> None:
    for follower in _frameworks.followers:
        follower.opening(scope, innermost)
    _CURRENT.set(innermost)


def _find(owner: provide) -> tuple[Scope | None, list[Scope]]:
    """Return the last scope that `owner` has opened here, and what is open inside it.

    Mostly that is the innermost of all. Generators close in any order; and one that is closed in
    another context, as event loops do with those that are left over, has nothing to close there.
    """
    inside: list[Scope] = []
    scope = _CURRENT.get()
    while scope.owner is not owner:
        if scope.outer is None:
            return None, []
        inside.insert(0, scope)
        scope = scope.outer
    return scope, inside


def _close(owner: provide, closed: Scope | None, kept: Iterable[Scope]) -> None:
    """Close a scope, and keep some of those that are open inside it."""
    innermost = left = _CURRENT.get()
    if closed is not None:
        left = _stack(kept, closed.outer or NOTHING_PROVIDED)
        _CURRENT.set(left)
    # A generator may be closed when Python ends, and modules have lost what they hold.
    for follower in _frameworks.followers or ():
        follower.closed(owner, closed, innermost, left)


def _stack(scopes: Iterable[Scope], outer: Scope) -> Scope:
    """Open the scopes once more, inside another one; return the innermost."""
    for scope in scopes:
        outer = Scope(scope.owner, scope.own, outer, scope.mark)
    return outer
