"""The merge into the method's own bytecode; the only room that knows opcodes.

The merge is compiled in a template function with the target's parameters. Its instructions go
behind the target's `RESUME`; names and constants get the target's indices, and the target's
exception and line tables are shifted. The target's own instructions are never decoded: jumps are
relative, and none crosses the place where the merge goes.

Formats: https://github.com/python/cpython/blob/main/InternalDocs/code_objects.md and
https://github.com/python/cpython/blob/main/InternalDocs/exception_handling.md
"""

from __future__ import annotations

import collections
import functools
import opcode
import sys
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._compat import has_known_bytecode
from mergeparam._inject.source import IDENTITY, PRIVATE_METHODS, PrivateNames, merge_source
from mergeparam._spec import Param

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# An operation that this interpreter lacks has the number -1, which no instruction has.
_OP = collections.defaultdict(lambda: -1, opcode.opmap)
_RESUME, _EXTENDED_ARG, _LOAD_GLOBAL = _OP["RESUME"], _OP["EXTENDED_ARG"], _OP["LOAD_GLOBAL"]
_PREFIX = {_OP[name] for name in ("MAKE_CELL", "COPY_FREE_VARS", "RETURN_GENERATOR", "POP_TOP")}
_NAMES, _CONSTS, _JUMPS = set(opcode.hasname), set(opcode.hasconst), set(opcode.hasjrel)

# The low bits of these operands are flags, and the index of the name stands above them.
_SHIFTED = {_LOAD_GLOBAL: 1}
if sys.version_info >= (3, 12):
    _SHIFTED[_OP["LOAD_ATTR"]] = 1


def _cache_sizes() -> dict[int, int]:
    # Until 3.12 a list by operation, since then a dict by name.
    entries = getattr(opcode, "_inline_cache_entries", [])
    if isinstance(entries, list):
        return dict.fromkeys(range(256), 0) | dict(enumerate(entries))
    sizes = {_OP[name]: size for name, size in entries.items() if name in _OP}
    return dict.fromkeys(range(256), 0) | sizes


_CACHES = _cache_sizes()
"""How many code units of cache follow each operation; on 3.15 `RESUME` has one too."""

_FIRST, _MORE, _SIX_BITS = 0x80, 0x40, 0x3F
_NO_COLUMNS, _LONG, _LONGEST_ENTRY = 13, 14, 8


class SpliceError(Exception):
    """The bytecode is not what the splicer knows; a wrapper serves instead."""


class Instruction(NamedTuple):
    """One instruction; for a jump, `arg` is the index of the instruction that it leads to."""

    op: int
    arg: int


class Merge(NamedTuple):
    """The instructions of a merge, with the template's names and constants."""

    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    consts: tuple[object, ...]
    stacksize: int


def splice(
    code: CodeType, merge: Merge, *, suffix: str = "", identity: object = IDENTITY
) -> tuple[CodeType, int]:
    """Return `code` with a merge before its body, and the merge's size in bytes.

    Args:
        code: the code of the method.
        merge: what `extract_merge` has returned for the method.
        suffix: what stands behind the names of private methods.
        identity: what the merge hands to them.

    Raises:
        SpliceError: the code does not begin as compiled functions do.
    """
    names, consts, instructions = list(code.co_names), list(code.co_consts), []
    for op, arg in merge.instructions:
        operand = arg
        if op in _NAMES:
            shift = _SHIFTED.get(op, 0)
            name = merge.names[arg >> shift]
            if name.startswith(PRIVATE_METHODS) and op != _LOAD_GLOBAL:
                name += suffix
            if name not in names:
                names.append(name)
            operand = names.index(name) << shift | arg & ((1 << shift) - 1)
        elif op in _CONSTS:
            const = merge.consts[arg]
            # New constants only: among the target's own, 1 and True are equal.
            operand = len(code.co_consts)
            new = identity if const == IDENTITY else const
            while operand < len(consts) and consts[operand] is not new:
                operand += 1
            if operand == len(consts):
                consts.append(new)
        instructions.append(Instruction(op, operand))
    raw = code.co_code
    at, inserted = _body_offset(raw, code.co_name), _assemble(instructions)
    size = len(inserted) // 2
    changed = code.replace(
        co_code=raw[:at] + inserted + raw[at:],
        co_names=tuple(names),
        co_consts=tuple(consts),
        co_stacksize=max(code.co_stacksize, merge.stacksize),
        co_linetable=_shift_lines(code.co_linetable, at // 2, size),
        co_exceptiontable=_shift_handlers(code.co_exceptiontable, at // 2, size),
    )
    return changed, len(inserted)


def entry_point(code: CodeType) -> int:
    """Return the offset in bytes of the first instruction of the body."""
    return _body_offset(code.co_code, code.co_name)


def _body_offset(raw: bytes, name: str) -> int:
    """Return the offset behind the `RESUME` that begins the body."""
    for offset in range(0, len(raw), 2):
        # A generator has a `RESUME` with another operand behind each of its yields.
        if raw[offset] == _RESUME and raw[offset + 1] == 0:
            return offset + 2 + 2 * _CACHES[_RESUME]
        if raw[offset] not in _PREFIX and raw[offset] != _EXTENDED_ARG:
            break
    msg = f"{name} does not begin as compiled functions do"
    raise SpliceError(msg)


@functools.lru_cache(maxsize=256)
def extract_merge(source: str, signature: str, cells: tuple[str, ...]) -> Merge:
    """Compile a merge, and cut its instructions out; once for all methods that look the same.

    Args:
        source: the merge, as statements.
        signature: the parameters of the method as its `def` line has them. With the same
            parameters they stand in the same slots, because parameters come first.
        cells: the parameters that are in cells in the method, and have to be in the template:
            other instructions load those.
    """
    body = "".join([f"    {line}\n" for line in source.splitlines()])
    # A global that is loaded behind the merge marks its end. No parameter has this name.
    marker = "end"
    while marker in signature:
        marker += "_"
    template = (
        f"def merge({signature}):\n"
        f"{body}"
        # Twice is long enough that the compiler does not copy it to every jump that leads here.
        f"    {marker}\n"
        f"    {marker}\n"
        f"    lambda: ({', '.join(cells)})\n"
    )
    module = compile(template, "<mergeparam template>", "exec", dont_inherit=True)
    code = next(item for item in module.co_consts if isinstance(item, CodeType))

    # Everything up to the marker, with the offset of each instruction and of the one behind it.
    offsets: list[int] = []
    decoded: list[Instruction] = []
    for offset, item in _decode(code.co_code, entry_point(code)):
        offsets.append(offset)
        if item.op == _LOAD_GLOBAL and code.co_names[item.arg >> 1] == marker:
            break
        decoded.append(item)

    # A jump counts code units from behind its own caches; from here on it knows its target's index.
    instructions = []
    for index, item in enumerate(decoded):
        if item.op in _JUMPS:
            target = offsets[index + 1] + 2 * item.arg
            if target not in offsets or "BACKWARD" in opcode.opname[item.op]:
                msg = f"{opcode.opname[item.op]} leads out of the merge"
                raise SpliceError(msg)
            item = Instruction(item.op, offsets.index(target))  # noqa: PLW2901 - see above
        instructions.append(item)
    return Merge(tuple(instructions), code.co_names, code.co_consts, code.co_stacksize)


def _decode(raw: bytes, offset: int) -> Iterator[tuple[int, Instruction]]:
    """Yield the instructions from `offset` on, with the offset of each; its prefixes belong to it."""
    begin, arg = offset, 0
    while offset < len(raw):
        op, arg = raw[offset], arg << 8 | raw[offset + 1]
        offset += 2 + 2 * _CACHES[op]
        if op != _EXTENDED_ARG:
            yield begin, Instruction(op, arg)
            begin, arg = offset, 0


def _assemble(instructions: Sequence[Instruction]) -> bytes:
    """Encode instructions; an operand over 255 takes `EXTENDED_ARG`, which lengthens jumps."""
    args = [0 if item.op in _JUMPS else item.arg for item in instructions]
    while True:
        encoded = [_encode(item.op, arg) for item, arg in zip(instructions, args, strict=True)]
        offsets = [0]
        for part in encoded:
            offsets.append(offsets[-1] + len(part))
        settled = [
            (offsets[item.arg] - offsets[index + 1]) // 2 if item.op in _JUMPS else item.arg
            for index, item in enumerate(instructions)
        ]
        if settled == args:
            return b"".join(encoded)
        args = settled


def _encode(op: int, arg: int) -> bytes:
    prefix = b""
    for shift in (24, 16, 8):
        if arg >> shift:
            prefix += bytes((_EXTENDED_ARG, arg >> shift & 0xFF))
    return prefix + bytes((op, arg & 0xFF)) + bytes(2 * _CACHES[op])


def _shift_handlers(table: bytes, at: int, size: int) -> bytes:
    """Move the exception handlers behind `at`; extend the one that covers `RESUME`.

    An entry is a start, a length, a target and a depth, as big-endian varints, the numbers in code
    units. Since 3.12 a generator's whole body is in such a handler, which turns `StopIteration`
    into `RuntimeError`.
    """
    shifted, position = bytearray(), 0
    while position < len(table):
        entry = []
        for _ in range(4):
            number = table[position] & _SIX_BITS
            while table[position] & _MORE:
                position += 1
                number = number << 6 | table[position] & _SIX_BITS
            position += 1
            entry.append(number)
        start, length, target, depth = entry
        if start >= at:
            start += size
        elif start + length >= at:
            length += size
        if target >= at:
            target += size
        first = len(shifted)
        for number in (start, length, target, depth):
            digits = [number & _SIX_BITS]
            while number := number >> 6:  # noqa: PLW2901 - digit by digit
                digits.append(number & _SIX_BITS | _MORE)
            shifted += bytes(reversed(digits))
        shifted[first] |= _FIRST
    return bytes(shifted)


def _shift_lines(table: bytes, at: int, size: int) -> bytes:
    """Give the merge the line of the `RESUME`, with no columns.

    The other entries stay as they are, since each line is counted from the one before. Only an
    entry that straddles `at` is split in two.
    """
    full, rest = divmod(size, _LONGEST_ENTRY)
    lengths = [_LONGEST_ENTRY] * full + [rest] * bool(rest)
    new = b"".join([bytes((_FIRST | _NO_COLUMNS << 3 | length - 1, 0)) for length in lengths])
    position = covered = 0
    while covered < at:
        if position == len(table):
            msg = "the line table ends before the body begins"
            raise SpliceError(msg)
        end = position + 1
        while end < len(table) and not table[end] & _FIRST:
            end += 1
        entry, length = table[position:end], (table[position] & 7) + 1
        if covered + length > at:
            kept = at - covered
            head = bytes((entry[0] & ~7 | kept - 1,)) + entry[1:]
            return table[:position] + head + new + _same_line(entry, length - kept) + table[end:]
        covered += length
        position = end
    return table[:position] + new + table[position:]


def _same_line(entry: bytes, length: int) -> bytes:
    """Return an entry of `length` for the columns of `entry`, on the line where that ended."""
    kind, head = entry[0] >> 3 & 15, _FIRST | length - 1
    # These three kinds step forward by 0, 1 or 2 lines, and hold two bytes of columns.
    if kind in (10, 11, 12):
        return bytes((head | 10 << 3,)) + entry[1:]
    # These two begin with a varint of lines to step.
    if kind in (_NO_COLUMNS, _LONG):
        end = 1
        while entry[end] & _MORE:
            end += 1
        return bytes((head | kind << 3, 0)) + entry[end + 1 :]
    return bytes((head | kind << 3,)) + entry[1:]


@functools.cache
def can_splice() -> bool:
    """Whether this interpreter's bytecode is tested, and a probe function comes out right."""
    return has_known_bytecode() and _probe_is_right()


class _Subject:
    """An object for the probe; its private methods tell what they were asked."""

    def __init__(self, flag: int | None) -> None:
        self.flag = flag

    def _mergeparam_missing_flag(self, *asked: object) -> tuple[object, ...]:
        return asked

    _mergeparam_conflict_flag = _mergeparam_missing_flag


def _probe_is_right() -> bool:
    def probe(this: _Subject, /, one: int, flag: int | None, *rest: int) -> list[object]:
        return [this.flag, one, [flag for _ in (this, flag)], rest]

    source = merge_source("this", (Param("flag"),), PrivateNames("", {}))
    cells = tuple([name for name in ("this", "flag") if name in probe.__code__.co_cellvars])
    try:
        merge = extract_merge(source, "this, /, one, flag, *rest", cells)
        probe.__code__, _ = splice(probe.__code__, merge)
        found = [probe(_Subject(held), 1, given, 3) for held in (None, 5) for given in (None, 6)]
    except Exception:  # noqa: BLE001 - however it fails, the wrapper serves
        return False
    merged = ((None, (IDENTITY,)), (None, 6), (5, 5), (5, (IDENTITY, 6, 5)))
    return found == [[held, 1, [value] * 2, (3,)] for held, value in merged]
