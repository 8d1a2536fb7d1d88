"""Wrap another function as a framework has wrapped one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mergeparam import _frameworks

if TYPE_CHECKING:
    from collections.abc import Callable


def rewrap(
    chain: tuple[Callable[..., Any], ...], function: Callable[..., Any]
) -> tuple[Callable[..., Any], ...] | None:
    """Return the chain with `function` in the place of its innermost one.

    It is made anew, so that whoever else holds a part of the chain keeps what he has. There is
    none where something in the chain is of a kind that no framework knows how to make.
    """
    around: tuple[Callable[..., Any], ...] = (function,)
    for outer in reversed(chain[:-1]):
        made = (wrap_like(outer, around[0]) for wrap_like in _frameworks.wrappers)
        wrapper = next((one for one in made if one is not None), None)
        if wrapper is None:
            return None
        around = (wrapper, *around)
    return around


def is_changed_in_place(chain: tuple[Callable[..., Any], ...]) -> bool:
    """Whether the innermost function itself has to change for the chain to call another."""
    return rewrap(chain, chain[-1]) is None
