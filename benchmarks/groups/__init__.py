"""What is measured: the groups, in the order in which they are measured and reported."""

from __future__ import annotations

from benchmarks.groups import calls, definition, paths, tracing

_CALLS = calls.CALLS, paths.PATHS, calls.CLASSES, calls.ALTERNATIVES, calls.ERRORS
_ONCE = definition.DEFINITION, definition.OF_MANY, definition.IMPORTS, definition.MEMORY

GROUPS = {
    group.name: group for group in (*_CALLS, paths.SCOPES, paths.PARTIAL, *_ONCE, tracing.TRACING)
}
