"""What is measured: the groups, in the order in which they are measured and reported."""

from __future__ import annotations

from benchmarks.groups import calls, definition, paths, tracing

_CALLS = calls.CALLS, paths.PATHS, calls.CLASSES, calls.ALTERNATIVES, paths.PARTIAL
_ONCE = definition.DEFINITION, definition.MANY, definition.IMPORTS, definition.MEMORY

GROUPS = {group.name: group for group in (*_CALLS, *_ONCE, calls.ERRORS, tracing.TRACING)}
