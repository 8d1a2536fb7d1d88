"""Merges and a code object in, one code object out; the only place that writes bytecode.

The instructions of each merge are cut out of a template and put behind the target's `RESUME`.
Its locals, names and constants get the target's slots and indices, and the target's exception
and line tables are shifted.
The target's own instructions are never decoded: jumps are relative, and none crosses the
place of insertion.

Formats: https://github.com/python/cpython/blob/main/InternalDocs/code_objects.md and
https://github.com/python/cpython/blob/main/InternalDocs/exception_handling.md
"""

from __future__ import annotations

import functools
import opcode
import sys
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._opcodes import CACHES, EXTENDED_ARG, OP, SHIFTED, SPECIALISED, loud_caches
from mergeparam._prologue import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType

    from mergeparam._prologue import Merge

_RESUME = OP["RESUME"]
_PREFIX = {OP[name] for name in ("MAKE_CELL", "COPY_FREE_VARS", "RETURN_GENERATOR", "POP_TOP")}
_NAMES, _CONSTS, _JUMPS = set(opcode.hasname), set(opcode.hasconst), set(opcode.hasjrel)
_LOCALS = {*opcode.haslocal, *opcode.hasfree}
_IS_MIXED = sys.version_info < (3, 13)
_MARKS = bytes(0x80 * (op in SPECIALISED) for op in range(256)) if _IS_MIXED else b""
_LOW = [] if _IS_MIXED else [op for op in SPECIALISED if op < 128]  # noqa: PLR2004
"""Since 3.13 all operations of the compiler have ASCII numbers but for `RESUME`, and what is
specialised has none but for these. Before, a table for `bytes.translate` makes it so."""

_RENUMBERED = _NAMES | _CONSTS | _LOCALS

_ENTRY_NUMBERS = 4
_FIRST, _MORE = 0x80, 0x40
_NO_COLUMNS, _LONG = 13, 14
_LONGEST_ENTRY = 8
_BYTE, _SIX_BITS = 0xFF, 0x3F
_TWO_DIGITS = 62 << 6 | _SIX_BITS
"""The most that is added at once: with what is carried, the first of two is a digit still."""


class SpliceError(Exception):
    """The bytecode is not what the splicer knows; the wrapper serves instead."""


class Instruction(NamedTuple):
    """One instruction of the merge.

    For a jump, `arg` is the index of the instruction that it leads to.
    """

    op: int
    arg: int


class Piece(NamedTuple):
    """What is cut out of a template: as instructions, and as bytes with blanks to fill.

    A blank is the offset of an operand, and its instruction. The bytes serve where every operand
    fits one, in the template and in the target.
    """

    instructions: list[Instruction]
    raw: bytes
    blanks: list[tuple[int, Instruction]]


class Patch(NamedTuple):
    """What is to be inserted into a code object, and what goes with it."""

    raw: bytes
    names: list[str]
    consts: list[object]
    stacksize: int


def splice(code: CodeType, merges: Sequence[Merge]) -> CodeType:
    """Return `code` with the merges behind its `RESUME`, in their order."""
    return insert(code, make_patch(code, merges))


def make_patch(code: CodeType, merges: Sequence[Merge]) -> Patch:
    """Return the merges as bytes, with the names and constants of `code` and their own."""
    names, consts = list(code.co_names), list(code.co_consts)
    own = len(names), len(consts)
    raw = b"".join(_filled(merge, names, consts, own) for merge in merges)
    depth = max(merge.template.co_stacksize for merge in merges)
    return Patch(raw, names, consts, max(code.co_stacksize, depth))


def insert(code: CodeType, patch: Patch) -> CodeType:
    """Return `code` with the patch behind its `RESUME`."""
    raw = _code_units(code)
    at, size = _entry_offset(raw, code.co_qualname), len(patch.raw) // 2
    return code.replace(
        co_code=_inserted(raw, at, patch.raw),
        co_names=tuple(patch.names),
        co_consts=tuple(patch.consts),
        co_stacksize=patch.stacksize,
        co_linetable=_shift_lines(code.co_linetable, at // 2, size),
        co_exceptiontable=_shift_handlers(code.co_exceptiontable, at // 2, size),
    )


def _code_units(code: CodeType) -> bytes:
    """Return the instructions of `code`, to make another one from: caches may hold anything.

    For `co_code` the interpreter goes through all of them, to turn back those that it has
    specialised and to clear their caches. Code that has not run has none of these yet, and since
    3.12 it is quicker to look for them, and to copy the code as it stands.
    """
    if sys.version_info >= (3, 12):
        raw: bytes = code._co_code_adaptive  # type: ignore[attr-defined]  # noqa: SLF001
        if _has_not_run(raw):
            return raw
    return code.co_code


def _has_not_run(raw: bytes) -> bool:
    """Whether nothing is specialised among the instructions."""
    entry = _find_entry(raw)
    if entry is None:
        return False
    operations = raw[entry::2]
    marked = operations.translate(_MARKS) if _MARKS else operations
    is_plain = marked.isascii() or _has_only_loud_caches(raw, entry, operations)
    return is_plain and not any(op in marked for op in _LOW)


def _has_only_loud_caches(raw: bytes, entry: int, operations: bytes) -> bool:
    """Whether some caches are all that looks specialised, as in code with loops."""
    rest = operations.replace(bytes((_RESUME,)), b"")
    for cache in loud_caches():
        quiet = rest.replace(cache[:1], b"")
        # Where it is found between two units, an operation is in it that is no ASCII.
        if raw.count(cache, entry) != len(rest) - len(quiet):
            return False
        rest = quiet
    return rest.isascii()


def _inserted(raw: bytes, at: int, new: bytes, end: int | None = None) -> bytes:
    """Put `new` in the place of what is between `at` and `end`; copy the rest but once."""
    return b"".join((raw[:at], new, memoryview(raw)[at if end is None else end :]))


def entry_point(code: CodeType) -> int:
    """Return the offset in bytes of the first instruction of the body."""
    return _entry_offset(code.co_code, code.co_qualname)


def _entry_offset(raw: bytes, name: str) -> int:
    entry = _find_entry(raw)
    if entry is None:
        msg = f"{name} does not begin as compiled functions do"
        raise SpliceError(msg)
    return entry


def _find_entry(raw: bytes) -> int | None:
    for offset in range(0, len(raw), 2):
        if raw[offset] == _RESUME and raw[offset + 1] == 0:
            return offset + 2 + 2 * CACHES[_RESUME]
        if raw[offset] not in _PREFIX and raw[offset] != EXTENDED_ARG:
            break
    return None


@functools.lru_cache(maxsize=256)
def cut(template: CodeType) -> Piece:
    """Return what stands between the template's `RESUME` and its marker."""
    raw, begin = template.co_code, entry_point(template)
    decoded = list(_decode(raw, begin))
    size = next(
        (index for index, (_, item) in enumerate(decoded) if _loads_marker(item, template)), None
    )
    if size is None:
        msg = "the template's marker is gone"
        raise SpliceError(msg)
    index_at = {offset: index for index, (offset, _) in enumerate(decoded[: size + 1])}
    return Piece(
        [_with_target(item, end, index_at) for item, end in _with_ends(decoded, size)],
        raw[begin : decoded[size][0]],
        _blanks(decoded[:size], begin),
    )


def _blanks(decoded: list[tuple[int, Instruction]], begin: int) -> list[tuple[int, Instruction]]:
    for _, item in decoded:
        if opcode.opname[item.op].count("_FAST") > 1:
            msg = f"{opcode.opname[item.op]} has no room for every slot"
            raise SpliceError(msg)
    return [(offset - begin + 1, item) for offset, item in decoded if item.op in _RENUMBERED]


def _with_ends(
    decoded: list[tuple[int, Instruction]], size: int
) -> Iterator[tuple[Instruction, int]]:
    """Yield each instruction of the merge with the offset behind it and its caches.

    An instruction's offset is that of its first `EXTENDED_ARG`, so the next one's is its end.
    """
    for index in range(size):
        yield decoded[index][1], decoded[index + 1][0]


def _with_target(item: Instruction, end: int, index_at: dict[int, int]) -> Instruction:
    if item.op not in _JUMPS:
        return item
    target = index_at.get(end + 2 * item.arg)
    if target is None or "BACKWARD" in opcode.opname[item.op]:
        msg = f"{opcode.opname[item.op]} leads out of the merge"
        raise SpliceError(msg)
    return Instruction(item.op, target)


def _loads_marker(item: Instruction, template: CodeType) -> bool:
    return item.op == OP["LOAD_GLOBAL"] and template.co_names[item.arg >> 1] == MARKER


def _decode(raw: bytes, offset: int) -> Iterator[tuple[int, Instruction]]:
    begin, arg = offset, 0
    while offset < len(raw):
        op, arg = raw[offset], arg << 8 | raw[offset + 1]
        offset += 2 + 2 * CACHES[op]
        if op != EXTENDED_ARG:
            yield begin, Instruction(op, arg)
            begin, arg = offset, 0


def _filled(merge: Merge, names: list[str], consts: list[object], own: tuple[int, int]) -> bytes:
    """Return the bytes of a merge; new names and constants join those of the target."""
    piece = cut(merge.template)
    operand = functools.partial(_operand, merge, names, consts, own)
    operands = [(offset, operand(item)) for offset, item in piece.blanks]
    if all(arg <= _BYTE for _, arg in operands):
        raw = bytearray(piece.raw)
        for offset, arg in operands:
            raw[offset] = arg
        return bytes(raw)
    return _assemble([Instruction(item.op, operand(item)) for item in piece.instructions])


def _operand(
    merge: Merge, names: list[str], consts: list[object], own: tuple[int, int], item: Instruction
) -> int:
    """Return what the instruction's operand is in the target."""
    op, arg = item
    code = merge.template
    if op in _NAMES:
        shift = int(op in SHIFTED)
        name = code.co_names[arg >> shift]
        return _index_of_name(merge.names.get(name, name), names, own[0]) << shift | arg & shift
    if op in _CONSTS:
        value = code.co_consts[arg]
        return _index_of_const(merge.consts.get(value, value), consts, own[1])
    return merge.slots[arg] if op in _LOCALS else arg


def _index_of_name(name: str, names: list[str], own: int) -> int:
    """Look among the new ones first: the old ones may be many, and are searched once a name."""
    for index in range(own, len(names)):
        if names[index] == name:
            return index
    try:
        return names.index(name)
    except ValueError:
        names.append(name)
        return len(names) - 1


def _index_of_const(value: object, consts: list[object], own: int) -> int:
    """Compare the new ones by identity: 1 and True are equal, and the old ones may be many."""
    for index in range(own, len(consts)):
        if consts[index] is value:
            return index
    consts.append(value)
    return len(consts) - 1


def _assemble(merge: Sequence[Instruction]) -> bytes:
    """Encode the merge; an operand over 255 takes `EXTENDED_ARG`, which lengthens jumps."""
    args = [0 if item.op in _JUMPS else item.arg for item in merge]
    while True:
        offsets = _offsets(merge, args)
        settled = [
            (offsets[item.arg] - offsets[index + 1]) // 2 if item.op in _JUMPS else item.arg
            for index, item in enumerate(merge)
        ]
        if settled == args:
            return b"".join(map(_encode, merge, args))
        args = settled


def _offsets(merge: Sequence[Instruction], args: Sequence[int]) -> list[int]:
    offsets = [0]
    for item, arg in zip(merge, args, strict=True):
        offsets.append(offsets[-1] + len(_encode(item, arg)))
    return offsets


def _encode(item: Instruction, arg: int) -> bytes:
    high = arg.to_bytes(4, "big")[:3].lstrip(b"\0")
    prefix = b"".join(bytes((EXTENDED_ARG, byte)) for byte in high)
    return prefix + bytes((item.op, arg & 0xFF)) + bytes(2 * CACHES[item.op])


def _shift_handlers(table: bytes, at: int, size: int) -> bytes:
    """Move the handlers behind `at`; one around the `RESUME` takes the merge in.

    Since 3.12 a generator's whole body is in such a handler, which turns `StopIteration` into
    `RuntimeError`. An entry is a start, a length, a target and a depth, as varints, the numbers
    in code units. Entries are in the order of their starts, and handlers stand in the body.
    """
    before, position = b"", 0
    while position < len(table) and _read_number(table, position)[0] < at:
        entry, position = _read_entry(table, position)
        before += _around(entry, at, size)
    return before + _moved(table[position:], size)


def _read_entry(table: bytes, position: int) -> tuple[list[int], int]:
    """Return the four numbers of an entry, and where the next one begins."""
    numbers = []
    for _ in range(_ENTRY_NUMBERS):
        number, position = _read_number(table, position)
        numbers.append(number)
    return numbers, position


def _read_number(table: bytes, position: int) -> tuple[int, int]:
    """Return a number, and where the next one begins."""
    byte = table[position]
    number = byte & _SIX_BITS
    while byte & _MORE:
        position += 1
        byte = table[position]
        number = number << 6 | byte & _SIX_BITS
    return number, position + 1


def _around(entry: list[int], at: int, size: int) -> bytes:
    start, length, target, depth = entry
    length += size if at <= start + length else 0
    target += size if target >= at else 0
    head, *others = b"".join(map(_varint_big_endian, (start, length, target, depth)))
    return bytes((head | _FIRST, *others))


def _moved(table: bytes, size: int) -> bytes:
    """Add `size` to the start and the target of every entry."""
    while table and size > 0:
        table = _moved_a_little(table, min(size, _TWO_DIGITS))
        size -= _TWO_DIGITS
    return table


def _moved_a_little(table: bytes, size: int) -> bytes:
    """Add a number of two digits to the start and the target of every entry.

    A long body may have hundreds of entries, so all are added to at once, as one large number
    with a byte for each digit: to their last two digits first, then, as with pen and paper, to
    those before them what is carried.
    """
    high, low = divmod(size, _SIX_BITS + 1)
    every = int.from_bytes(b"\1" * len(table), "little")
    whole = int.from_bytes(table, "little")
    more = whole >> 6 & every
    lasts = every ^ more
    firsts = lasts << 8 | 1
    # Full where more bytes of the number follow: what is added to its first byte runs on to the
    # last one.
    runs = more * 0xFF
    starts = runs + (whole >> 7 & every) & lasts
    lengths = runs + (starts << 8) & lasts
    targets = runs + (lengths << 8) & lasts
    moved = starts | targets
    alone = moved & firsts
    digits = (whole & every * _SIX_BITS) + moved * low + ((moved ^ alone) >> 8) * high
    longer = alone * high
    while carry := digits >> 6 & every:
        out = carry & firsts
        longer += out
        digits += (carry ^ out) >> 8
        digits -= carry << 6
    digits |= whole & every * (_FIRST | _MORE)
    return _lengthened(bytearray(digits.to_bytes(len(table), "little")), longer)


def _lengthened(table: bytearray, digits: int) -> bytes:
    """Put a digit before each of the numbers that begin where `digits` has one."""
    while digits:
        place = (digits.bit_length() - 1) // 8
        digit, head = digits >> 8 * place, table[place]
        table[place : place + 1] = head & _FIRST | _MORE | digit, head & ~_FIRST
        digits ^= digit << 8 * place
    return bytes(table)


def _varint_big_endian(number: int) -> bytes:
    digits = [number & 0x3F]
    while number := number >> 6:
        digits.append(number & 0x3F | 0x40)
    return bytes(reversed(digits))


def _shift_lines(table: bytes, at: int, size: int) -> bytes:
    """Give the merge the line of the `RESUME`, with no columns.

    The other entries stay as they are, since each line is counted from the one before. Only an
    entry that straddles `at` is split in two.
    """
    position = covered = 0
    while covered < at:
        if position == len(table):
            msg = "the line table ends before the body begins"
            raise SpliceError(msg)
        head = table[position]
        length = (head & 7) + 1
        end = _end_of_entry(table, position)
        if covered + length > at:
            kept = at - covered
            split = _resized(table[position:end], kept)
            rest = _same_line(table[position:end], length - kept)
            return _inserted(table, position, split + _entries(size) + rest, end)
        covered += length
        position = end
    return _inserted(table, position, _entries(size))


def _end_of_entry(table: bytes, position: int) -> int:
    position += 1
    while position < len(table) and not table[position] & 0x80:
        position += 1
    return position


def _entries(size: int) -> bytes:
    full, rest = divmod(size, _LONGEST_ENTRY)
    lengths = [_LONGEST_ENTRY] * full + [rest] * bool(rest)
    return b"".join(bytes((0x80 | _NO_COLUMNS << 3 | length - 1, 0)) for length in lengths)


def _resized(entry: bytes, length: int) -> bytes:
    return bytes((entry[0] & ~7 | length - 1,)) + entry[1:]


def _same_line(entry: bytes, length: int) -> bytes:
    """Return an entry of `length` for the columns of `entry`, on the line where that ended."""
    kind = entry[0] >> 3 & 15
    head = 0x80 | length - 1
    if kind in (10, 11, 12):
        return bytes((head | 10 << 3,)) + entry[1:]
    if kind in (_NO_COLUMNS, _LONG):
        line_end = next(index for index in range(1, len(entry)) if not entry[index] & 0x40) + 1
        return bytes((head | kind << 3, 0)) + entry[line_end:]
    return bytes((head | kind << 3,)) + entry[1:]
