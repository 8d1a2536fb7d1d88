"""What single frameworks need; loaded only where the framework is already imported."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from mergeparam._provide import Scope, provide
    from mergeparam._report import Situation

    Check = Callable[[object], bool]
    Children = Callable[[object], Iterable[tuple[str, object]]]
    Finisher = Callable[[type], None]
    WrapLike = Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any] | None]
    Hint = Callable[[Situation], str | None]
    Refusal = Callable[[type, FrameType], None]


class Follower(Protocol):
    """What a framework that caches traces has to know of provided values."""

    def opening(self, scope: Scope, innermost: Scope) -> None:
        """Hear of a scope that is about to open, and which one will be the innermost then.

        That is another one where those inside it were suspended with it, and open again.
        """

    def closed(self, owner: provide, scope: Scope | None, innermost: Scope, left: Scope) -> None:
        """Hear that a scope has closed, which one was the innermost, and which one is now.

        There is no scope where the owner closes it in another context than it was opened in.
        """

    def reading(self, scope: Scope, name: str) -> None:
        """Refuse to let a value be read that could go into a trace and be stale there."""


_ADAPTERS = {
    "beartype": ("_beartype",),
    "flax.linen": ("_linen",),
    "jax": ("_jax", "_jax_scope"),
    "jaxtyping": ("_jaxtyping",),
    "torch": ("_torch",),
    "typeguard": ("_typeguard",),
}
_waiting = set(_ADAPTERS)


class _Seen:
    """How many modules there were when frameworks were last looked for among them."""

    modules: ClassVar[int] = 0


closed: list[type] = []
"""Types of frameworks whose values hold no part of a model."""

children: list[Children] = []
"""How frameworks hold the parts of a model: functions that yield steps of a path and objects."""

finishers: list[Finisher] = []
"""What frameworks do to a class that has just been merged."""

followers: list[Follower] = []
"""The frameworks that follow what is provided."""

checkers: list[Check] = []
"""Whether a function is a wrapper that checks the types of arguments."""

refusals: list[Refusal] = []
"""Raise for a class that is decorated, in a frame, in a way that would lose the merge."""

tracing: list[Callable[[], bool]] = []
"""Whether a framework is tracing the Python code that asks."""

wrappers: list[WrapLike] = []
"""How frameworks wrap methods: functions of a wrapper and a function, which wrap that alike."""

missing_hints: list[Hint] = []
conflict_hints: list[Hint] = []
"""What a framework may have done to an argument, for the errors of a call."""


def checks_types(function: object) -> bool:
    """Whether a function is a wrapper that checks types, and so should see merged values."""
    return any(is_checker(function) for is_checker in checkers)


def has_news() -> bool:
    """Whether anything was imported since `adapt` looked; a count is enough, and quick."""
    return len(sys.modules) != _Seen.modules


def adapt() -> None:
    """Meet the needs of every framework that has been imported since the last time."""
    if not has_news():
        return
    for framework in [*_waiting]:
        # `None` there stands for a module that must not be imported.
        if sys.modules.get(framework) is not None:
            for adapter in _ADAPTERS[framework]:
                importlib.import_module(f"{__name__}.{adapter}")
            _waiting.discard(framework)
    _Seen.modules = len(sys.modules)


def load_adapters() -> None:
    adapt()


def is_tracing() -> bool:
    return any(ask() for ask in tracing)


def _first(hints, state):
    import contextlib

    if is_tracing():
        return None
    for hint in hints:
        with contextlib.suppress(Exception):
            text = hint(state)
            if text is not None:
                return text
    return None


def missing_hint(state):
    return _first(missing_hints, state)


def conflict_hint(state):
    return _first(conflict_hints, state)


def refuse_class(cls, frame):
    for refuse in refusals:
        refuse(cls, frame)


def finish_class(cls):
    for finish in finishers:
        finish(cls)
