"""What single frameworks need; loaded only where the framework is already imported."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Children = Callable[[object], Iterable[tuple[str, object]]]

_ADAPTERS = {"jax": "mergeparam._frameworks._jax", "torch": "mergeparam._frameworks._torch"}
_adapted: set[str] = set()

children: list[Children] = []
"""How frameworks hold the parts of a model: functions that yield steps of a path and objects."""


def adapt() -> None:
    """Meet the needs of every framework that has been imported since the last time."""
    for framework, adapter in _ADAPTERS.items():
        if framework in sys.modules and framework not in _adapted:
            importlib.import_module(adapter)
            _adapted.add(framework)
