"""Parse Python source, in one thread at a time.

CPython 3.11 counts the depth of a tree for all threads together, so that two that parse at once
may get "AST constructor recursion depth mismatch".
"""

from __future__ import annotations

import ast
import threading
from typing import Any

_LOCK = threading.Lock()


def parse(source: str, mode: str = "exec") -> Any:  # noqa: ANN401 - a tree of the mode's own kind
    """Return the tree of `source`."""
    with _LOCK:
        return ast.parse(source, mode=mode)
