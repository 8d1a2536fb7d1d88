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
import dis
import functools
import opcode
import os
import sys
from types import CodeType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from mergeparam._compat import has_known_bytecode
from mergeparam._inject.source import (
    CONFLICT_METHOD,
    MISSING_METHOD,
    PRIVATE_METHODS,
    merge_source,
)
from mergeparam._spec import Param, PrivateNames
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeparam._declare.checks import Declaration

# An operation that this interpreter lacks has the number -1, which no instruction has.
_OP = collections.defaultdict(lambda: -1, opcode.opmap)
_RESUME, _EXTENDED_ARG, _LOAD_GLOBAL = _OP["RESUME"], _OP["EXTENDED_ARG"], _OP["LOAD_GLOBAL"]
_PREFIX = {_OP[name] for name in ("MAKE_CELL", "COPY_FREE_VARS", "RETURN_GENERATOR", "POP_TOP")}
_NAMES, _CONSTS, _JUMPS = set(opcode.hasname), set(opcode.hasconst), set(opcode.hasjrel)

# The low bits of these operands are flags, and the index of the name stands above them.
_SHIFTED = {_LOAD_GLOBAL: 1}
if sys.version_info >= (3, 12):
    _SHIFTED[_OP["LOAD_ATTR"]] = 1


# How many code units of cache follow each operation: until 3.12 a list by number, since then a
# dict by name. On 3.15 `RESUME` has one too.
_entries = getattr(opcode, "_inline_cache_entries", [])
_CACHES = dict.fromkeys(range(256), 0)
for _key, _size in enumerate(_entries) if isinstance(_entries, list) else _entries.items():
    _CACHES[_OP[_key] if isinstance(_key, str) else _key] = _size

_FIRST, _MORE, _SIX_BITS = 0x80, 0x40, 0x3F
_NO_COLUMNS, _LONGEST_ENTRY = 13, 8


class SpliceError(Exception):
    """The bytecode is not what the splicer knows; a wrapper serves instead."""


Injection = Literal["auto", "inline", "wrap"]

_VARIABLE = "MERGEPARAM_INJECT"

_MARKER = "_mergeparam_end"
"""A global that is loaded behind the merge in its template."""

Instruction: TypeAlias = tuple[int, int]
"""An operation and its operand; for a jump, that is the index of the instruction it leads to."""


class Merge(NamedTuple):
    """The instructions of a merge, with the template's names and constants."""

    instructions: tuple[Instruction, ...]
    names: tuple[str, ...]
    consts: tuple[object, ...]
    stacksize: int


def splice_merge(declaration: Declaration, names: PrivateNames) -> tuple[CodeType, int]:
    """Return the code of a declared method with its merge, and the merge's size in bytes."""
    method, params = declaration.method, declaration.params
    if method.ownership == "opaque":
        raise SpliceError("its function is inside of something that must not change")
    # Written without what is special to this class, so that methods that look the same share it.
    source = merge_source(
        method.receiver,
        params,
        PrivateNames("", *names[1:]),
        may_receive_merged=declaration.may_receive_merged,
        unnamed=declaration.unnamed,
    )
    code = method.function.__code__
    cells = tuple([name for name in method.parameters.all if name in code.co_cellvars])
    merge = extract_merge(source, method.parameters.as_signature(), cells)
    return splice(code, merge, suffix=names.suffix)


def splice(code: CodeType, merge: Merge, *, suffix: str = "") -> tuple[CodeType, int]:
    """Return `code` with a merge before its body, and the merge's size in bytes."""
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
            if isinstance(const, str) and const.startswith(PRIVATE_METHODS):
                const += suffix
            # New constants only: among the target's own, 1 and True are equal.
            operand = len(code.co_consts)
            while operand < len(consts) and consts[operand] is not const:
                operand += 1
            if operand == len(consts):
                consts.append(const)
        instructions.append((op, operand))
    raw = code.co_code
    at, inserted = entry_point(code), _assemble(instructions)
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
    """Return the offset in bytes of the body, which begins behind a `RESUME`."""
    raw = code.co_code
    for offset in range(0, len(raw), 2):
        # A generator has a `RESUME` with another operand behind each of its yields.
        if raw[offset] == _RESUME and raw[offset + 1] == 0:
            return offset + 2 + 2 * _CACHES[_RESUME]
        if raw[offset] not in _PREFIX and raw[offset] != _EXTENDED_ARG:
            break
    raise SpliceError(f"{code.co_name} does not begin as compiled functions do")


@functools.lru_cache(maxsize=256)
def extract_merge(source: str, signature: str, cells: tuple[str, ...]) -> Merge:
    """Compile a merge, and cut its instructions out; once for all methods that look the same.

    With the same parameters, given as the `def` line has them, they stand in the same slots,
    because parameters come first. Those in `cells` have to be in cells here too: other
    instructions load those.
    """
    body = "".join([f"    {line}\n" for line in source.splitlines()])
    template = (
        f"def merge({signature}):\n"
        f"{body}"
        # Twice is long enough that the compiler does not copy it to every jump that leads here.
        f"    {_MARKER}\n"
        f"    {_MARKER}\n"
        f"    lambda: ({', '.join(cells)})\n"
    )
    module = compile(template, "<mergeparam template>", "exec", dont_inherit=True)
    code = next(item for item in module.co_consts if isinstance(item, CodeType))

    # Every instruction up to the marker, and which one begins where. A prefix belongs to what
    # follows it.
    at, begins = entry_point(code), {}
    decoded: list[dis.Instruction] = []
    for item in dis.get_instructions(code):
        if item.offset >= at:
            begins[item.offset] = len(decoded)
            if item.opcode == _LOAD_GLOBAL and item.argval == _MARKER:
                break
            if item.opcode != _EXTENDED_ARG:
                decoded.append(item)
    else:
        raise SpliceError(f"{_MARKER} is no global in the merge")

    instructions = []
    for item in decoded:
        operand = item.arg or 0
        if item.opcode in _JUMPS:
            # Here it is the index of an instruction.
            operand = begins.get(item.argval, -1)
            if operand < 0 or "BACKWARD" in item.opname:
                raise SpliceError(f"{item.opname} leads out of the merge")
        instructions.append((item.opcode, operand))
    return Merge(tuple(instructions), code.co_names, code.co_consts, code.co_stacksize)


def _assemble(instructions: Sequence[Instruction]) -> bytes:
    """Encode instructions; an operand over 255 takes `EXTENDED_ARG`, which lengthens jumps."""
    # From the end on, because all jumps lead forward: what they pass is as long as it will be.
    raw, lengths = b"", {len(instructions): 0}
    for index, (op, arg) in reversed([*enumerate(instructions)]):
        operand = (len(raw) - lengths[arg]) // 2 if op in _JUMPS else arg
        encoded = bytes((op, operand & 0xFF)) + bytes(2 * _CACHES[op])
        while operand := operand >> 8:
            encoded = bytes((_EXTENDED_ARG, operand & 0xFF)) + encoded
        raw = encoded + raw
        lengths[index] = len(raw)
    return raw


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
            while number := number >> 6:
                digits.append(number & _SIX_BITS | _MORE)
            shifted += bytes(reversed(digits))
        shifted[first] |= _FIRST
    return bytes(shifted)


def _shift_lines(table: bytes, at: int, size: int) -> bytes:
    """Give the merge the line of the `RESUME`, with no columns."""
    full, rest = divmod(size, _LONGEST_ENTRY)
    lengths = [_LONGEST_ENTRY] * full + [rest] * bool(rest)
    new = b"".join([bytes((_FIRST | _NO_COLUMNS << 3 | length - 1, 0)) for length in lengths])
    # Behind the entry that ends with the `RESUME`, or goes on behind it: then what follows is on
    # the same line. Each line is counted from the one before, so that all others stay right.
    position = covered = 0
    while covered < at:
        if position == len(table):
            raise SpliceError("the line table ends before the body begins")
        covered += (table[position] & 7) + 1
        position += 1
        while position < len(table) and not table[position] & _FIRST:
            position += 1
    return table[:position] + new + table[position:]


@functools.cache
def can_splice() -> bool:
    """Whether this interpreter's bytecode is tested, and a probe function comes out right."""
    if not has_known_bytecode():
        return False

    def ask(_: object, *asked: object) -> tuple[object, ...]:
        return asked

    private = {f"{MISSING_METHOD}flag": ask, f"{CONFLICT_METHOD}flag": ask}

    def probe(this: object, /, one: int, flag: int | None, *rest: int) -> list[object]:
        return [one, [flag for _ in (this, flag)], rest]

    source = merge_source("this", (Param("flag"),), PrivateNames("", {}))
    cells = tuple([name for name in ("this", "flag") if name in probe.__code__.co_cellvars])
    try:
        merge = extract_merge(source, "this, /, one, flag, *rest", cells)
        probe.__code__, _ = splice(probe.__code__, merge)
        found = [
            probe(type("Probe", (), {"flag": held, **private})(), 1, given, 3)
            for held in (None, 5)
            for given in (None, 6)
        ]
    except Exception:  # noqa: BLE001 - however it fails, the wrapper serves
        return False
    merged = ((), 6, 5, (6, 5))
    return found == [[1, [value] * 2, (3,)] for value in merged]


def choose_injection(inject: str) -> Injection:
    """Return the injection that `inject=` asks for, else what `MERGEPARAM_INJECT` says."""
    asked = inject if inject != "auto" else os.environ.get(_VARIABLE, "auto")
    match asked:
        case "auto":
            return "auto" if can_splice() else "wrap"
        case "inline" | "wrap":
            return asked
        case _:
            raise MergeDefinitionError(
                f"inject={shorten(asked)} names no injection. Write 'auto', 'inline' or 'wrap' "
                f"(as @mergeable(..., inject=) or in the environment variable {_VARIABLE})."
            )
