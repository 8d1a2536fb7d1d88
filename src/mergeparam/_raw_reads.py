"""Find the shipped bug: a merged body that reads the raw attribute."""

from __future__ import annotations

import dis
import warnings
from types import CodeType
from typing import TYPE_CHECKING

from mergeparam._opcodes import CACHES, EXTENDED_ARG, LOADS_OF_LOCALS, OP, SHIFTED
from mergeparam.errors import MergeWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._collect import Target
    from mergeparam._locate import Located
    from mergeparam._spec import Param


def warn_of_raw_reads(target: Target) -> None:
    """Warn, at the line that does it, of every read of a merged parameter's attribute."""
    place = target.located
    for param in target.params:
        for line in _reading_lines(place.function().__code__, place.receiver, param.attribute):
            _warn(place, param, line)


def _warn(place: Located, param: Param, line: int) -> None:
    msg = (
        f"{place.place} merges {param.name!r}, and line {line} reads the raw "
        f"{place.receiver}.{param.attribute}, which is unset whenever the call gave the value. "
        f"Read {param.name!r} there: in the body it is the merged value."
    )
    warnings.warn_explicit(
        msg,
        MergeWarning,
        filename=place.function().__code__.co_filename,
        lineno=line,
        # Code without a module has None here, which would silence the warning.
        module=str(place.function().__module__),
    )


def _reading_lines(code: CodeType, receiver: str, path: str) -> Iterator[int]:
    names = path.split(".")
    if _may_read(code, receiver, names[0]) and all(name in code.co_names for name in names):
        yield from _lines_in(code, receiver, names)
    if receiver not in code.co_cellvars + code.co_freevars:
        return
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and receiver in constant.co_freevars:
            yield from _reading_lines(constant, receiver, path)


def _may_read(code: CodeType, receiver: str, name: str) -> bool:
    """Search for the bytes of such a read, because decoding a long body takes long.

    What is found may still be something else, but nothing is missed.
    """
    if name not in code.co_names:
        return False
    raw, index = code.co_code, code.co_names.index(name)
    slot = code.co_varnames.index(receiver) if receiver in code.co_varnames else None
    units = [
        bytes((op, (index << shift | flag) & 0xFF))
        for op in (OP["LOAD_ATTR"], OP["LOAD_METHOD"])
        if 0 <= op < len(CACHES)
        for shift in [int(op in SHIFTED)]
        for flag in range(shift + 1)
    ]
    return any(_loads_before(raw, at, slot) for unit in units for at in _offsets(raw, unit))


def _offsets(raw: bytes, unit: bytes) -> Iterator[int]:
    at = raw.find(unit)
    while at >= 0:
        if at % 2 == 0:
            yield at
        at = raw.find(unit, at + 1)


def _loads_before(raw: bytes, at: int, slot: int | None) -> bool:
    """Whether the instruction before this place may load the local in that slot."""
    at -= 2
    while raw[at] in (EXTENDED_ARG, OP["COPY"]):
        at -= 2
    # A pair of locals has four bits for each, the last one in the low bits.
    return raw[at] in LOADS_OF_LOCALS and (slot is None or (raw[at + 1] ^ slot) & 15 == 0)


def _lines_in(code: CodeType, receiver: str, names: list[str]) -> Iterator[int]:
    """Yield the line of each run of instructions that loads `receiver` and then `names`."""
    line, progress = code.co_firstlineno, None
    for instruction in dis.get_instructions(code):
        if instruction.positions is not None and instruction.positions.lineno is not None:
            line = instruction.positions.lineno
        # A copy stands before the attribute in `self.flag += 1`.
        if instruction.opcode in (EXTENDED_ARG, OP["COPY"]):
            continue
        if _loads(instruction, receiver):
            progress = 0
        elif progress is not None and _reads_attribute(instruction, names[progress]):
            progress += 1
            if progress == len(names):
                yield line
                progress = None
        else:
            progress = None


def _loads(instruction: dis.Instruction, receiver: str) -> bool:
    """Whether the instruction leaves the receiver on top of the stack.

    Since 3.13 one instruction may load two locals; `dis` gives both names.
    """
    if not instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
        return False
    loaded = instruction.argval
    return bool((loaded[-1] if isinstance(loaded, tuple) else loaded) == receiver)


def _reads_attribute(instruction: dis.Instruction, name: str) -> bool:
    return instruction.opname in {"LOAD_ATTR", "LOAD_METHOD"} and instruction.argval == name
