"""Whether the function that is merged stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def rewrap(
    chain: tuple[Callable[..., Any], ...], function: Callable[..., Any]
) -> tuple[Callable[..., Any], ...] | None:
    """Return `function` where nothing is around the innermost one, which then can be replaced."""
    return (function,) if len(chain) == 1 else None


def is_changed_in_place(chain: tuple[Callable[..., Any], ...]) -> bool:
    """Whether the innermost function itself has to change for the chain to call another."""
    return rewrap(chain, chain[-1]) is None
