"""Libraries to compare with, each left out with its reason where it cannot be had."""

from __future__ import annotations

import importlib
from typing import Any

left_out: dict[str, str] = {}
"""What could not be imported in this process, and why."""


def optional(name: str) -> Any:
    """Return a module, or `None` where it is not installed or does not run on this Python."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever an import that fails raises
        package = name.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        reason = "not installed" if missing else f"{type(error).__name__}: {error}"
        left_out[package] = " ".join(reason.split())
        return None
