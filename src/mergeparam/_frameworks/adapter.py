"""What an adapter for a framework may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from types import FrameType

    from mergeparam._call.messages import CallState
    from mergeparam._call.provide import Scope, provide
    from mergeparam._declare.methods import Method
    from mergeparam._spec import Param

UNKNOWN_KEY = "unknown"
"""The `key` of a scope that no adapter has given one."""


class Adapter:
    """What one framework needs of the library; a subclass overrides what does nothing here."""

    # While classes are being defined.

    def check_decorators(self, cls: type, frame: FrameType) -> None:
        """Refuse a class whose decorators, applied in this frame, would lose the merge."""

    def check_param(self, method: Method, param: Param) -> None:
        """Refuse a parameter that the framework would set in every object, or in every call."""

    def finish_class(self, cls: type) -> None:
        """Do what the framework needs of a class that has just been merged."""

    def keep_merged(self, cls: type, merge_anew: Callable[[type], None]) -> None:
        """Use `merge_anew` where the framework takes the merge out of methods of the class."""

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

    # While values are provided. The first two are handed in by the part that knows of scopes,
    # because that imports this one.

    scopes: ClassVar[Collection[object]]
    """The scopes that are left in this process; mostly there are none."""

    provided: ClassVar[Callable[[str, object], Any]]
    """Returns the value that is provided under a name, or else the second argument."""

    # The others are of an adapter that follows scopes.

    follows_scopes = False
    """Whether the framework keeps what it has computed with provided values."""

    def scope_opened(self, scope: Scope) -> None:
        """Follow a scope that has just become the innermost one, or refuse it by raising."""

    def scope_closing(self, scope: Scope, innermost: Scope, left: Scope) -> None:
        """Forget a scope that is about to close: `left` will be the innermost then."""

    def closed_elsewhere(self, owner: provide, here: Scope) -> None:
        """Note that a scope was closed where it does not stand; there, the innermost is `here`."""

    def scope_abandoned(self, here: Scope) -> None:
        """Note that nobody can close some scope any more; without it, the innermost is `here`."""

    def reading(self, scope: Scope, name: str) -> None:
        """Refuse, by raising, to let a value be read that the framework would keep too long."""
