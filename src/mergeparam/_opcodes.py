"""The operations of this interpreter, as the two modules that look into bytecode need them.

Where an interpreter lacks an operation, its number is -1, which no instruction has.
"""

from __future__ import annotations

import collections
import dis
import functools
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


def _specialised() -> set[int]:
    known = getattr(opcode, "_specialized_opmap", None) or getattr(dis, "_all_opmap", {})
    # Of 3.12 these are two in one, which stand in code that has not run, too.
    found = {op for name, op in known.items() if "__" not in name}
    first = min((op for name, op in OP.items() if name.startswith("INSTRUMENTED")), default=256)
    compiled = {op for op in OP.values() if op < first}
    return ({*found, *range(first, 256)} - compiled) & {*range(256)}


SPECIALISED = _specialised()
"""What the interpreter turns operations into as code runs, or is watched."""


@functools.cache
def loud_caches() -> tuple[bytes, ...]:
    """Return cache entries of code that has not run which look as if something was specialised.

    They count how often a loop or a function is still to run before it is compiled further.
    """
    code = compile("for _ in (): pass", "<mergeparam probe>", "exec", dont_inherit=True)
    raw: bytes = code._co_code_adaptive  # type: ignore[attr-defined]  # noqa: SLF001
    units = {raw[at : at + 2] for at in range(0, len(raw), 2)}
    clean = {code.co_code[at : at + 2] for at in range(0, len(raw), 2)}
    return tuple(unit for unit in units - clean if unit[0] in SPECIALISED)
