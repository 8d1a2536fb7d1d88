"""What an adapter for a framework may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from mergeparam._call.messages import CallState
    from mergeparam._call.provide import Scope, provide

UNKNOWN_KEY = "unknown"
"""The `key` of a scope that no adapter has given one."""


class Adapter:
    """What one framework needs of the library. Every method does nothing by default.

    A subclass overrides what its framework calls for. There is one instance of each, made when
    the framework has been imported.
    """

    # While classes are being defined.

    def check_decorators(self, cls: type, frame: FrameType) -> None:
        """Refuse a class that is decorated so that the merge would be lost.

        Args:
            cls: the class that `@mergeable` is being applied to.
            frame: the frame that applies it.

        Raises:
            MergeDefinitionError: the merge would be lost.
        """

    def checks_types(self, function: object) -> bool:  # noqa: ARG002 - see the subclasses
        """Whether this is a wrapper that checks types, and so should see merged values."""
        return False

    def finish_class(self, cls: type) -> None:
        """Do what the framework needs of a class that has just been merged."""

    def keep_merged(self, cls: type, merge_anew: Callable[[type], None]) -> None:
        """See to it that a class stays merged where the framework changes it in place.

        Args:
            cls: the class that has just been merged.
            merge_anew: does so again with every method of a class that has lost its merge.
        """

    # While calls are being made.

    def is_tracing(self) -> bool:
        """Whether the framework is tracing the Python code that asks, so that hints cost."""
        return False

    def hint(self, state: CallState, *, is_missing: bool) -> str | None:  # noqa: ARG002 - see the subclasses
        """Say what the framework may have done to a parameter that neither or both have set."""
        return None

    # While `find_unset` walks through a model.

    opaque_types: tuple[type, ...] = ()
    """Types whose values hold no part of a model."""

    def children(self, obj: object) -> Iterable[tuple[str, object]]:  # noqa: ARG002 - see the subclasses
        """Return the parts of an object that its attributes do not show, each with its step."""
        return ()

    # While values are provided. These are called only of an adapter that says so.

    follows_scopes = False
    """Whether the framework keeps what it has computed with provided values."""

    def scope_opened(self, scope: Scope) -> None:
        """Follow a scope that has just become the innermost one, or refuse it by raising."""

    def scope_closing(self, scope: Scope, innermost: Scope, left: Scope) -> None:
        """Forget a scope that is about to be closed.

        Args:
            scope: the scope.
            innermost: the one that has been the innermost until now.
            left: the one that will be the innermost.
        """

    def closed_elsewhere(self, owner: provide) -> None:
        """Note that a scope was closed in another context than it was opened in."""

    def reading(self, scope: Scope, name: str) -> None:
        """Refuse, by raising, to let a value be read that the framework would keep too long."""
