"""Find what is merged: in a function, and in the methods of a class and its bases."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mergeparam._spec import MergedMethod, Param

MERGED_NAMES = "__merged_params__"
"""The attribute of a function that lists the names that are merged in it."""


def merged_names(function: object) -> tuple[str, ...]:
    """Return the names that are merged in a function."""
    names: tuple[str, ...] = getattr(function, MERGED_NAMES, ())
    return names


def levels(cls: type) -> list[MergedMethod]:
    """Return every merged method of the class and its bases, the most derived first."""
    return [
        method
        for base in cls.__mro__
        if "__mergeable__" in base.__dict__
        for method in base.__dict__["__mergeable__"].methods
    ]


def declarations(cls: type, method: str) -> tuple[tuple[MergedMethod, Param], ...]:
    """Return what is merged in the method that the class has, in the order of its signature."""
    definer = next((base for base in cls.__mro__ if method in base.__dict__), None)
    if definer is None:
        return ()
    function = inspect.unwrap(definer.__dict__[method])
    found = {
        param.name: (level, param)
        for level in reversed(levels(definer))
        if level.name == method
        for param in level.params
    }
    order = _parameter_names(function)
    return tuple(
        found[name] for name in sorted(found.keys() & {*merged_names(function)}, key=order.index)
    )


def _parameter_names(function: Callable[..., object]) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_varnames
