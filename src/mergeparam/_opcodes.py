"""The operations of this interpreter, as the two modules that look into bytecode need them.

Where an interpreter lacks an operation, its number is -1, which no instruction has.
"""

from __future__ import annotations

import collections
import opcode
import sys

OP = collections.defaultdict(lambda: -1, opcode.opmap)
EXTENDED_ARG = OP["EXTENDED_ARG"]

SHIFTED = {OP["LOAD_GLOBAL"]} | ({OP["LOAD_ATTR"]} if sys.version_info >= (3, 12) else set())
"""The low bit of these operands is a flag, and the index of the name stands above it."""

LOADS_OF_LOCALS = {
    op for name, op in opcode.opmap.items() if name.startswith(("LOAD_FAST", "LOAD_DEREF"))
}


def _cache_sizes() -> dict[int, int]:
    entries = getattr(opcode, "_inline_cache_entries", [])
    sizes = (
        dict(enumerate(entries))
        if isinstance(entries, list)
        else {OP[name]: size for name, size in entries.items() if name in OP}
    )
    return dict.fromkeys(range(256), 0) | sizes


CACHES = _cache_sizes()
"""How many code units of cache follow each operation."""
