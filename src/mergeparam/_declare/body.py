"""What a body does wrong beside a declared merge."""

from __future__ import annotations

import dis
import warnings
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

from mergeparam._declare.checks import counts_as_set
from mergeparam._declare.methods import unwrap
from mergeparam._declare.signature import read_defaults
from mergeparam._sentinels import MERGED
from mergeparam._spec import RAISING
from mergeparam.errors import MergeWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._declare.checks import Declaration


_MERGES_BY_HAND = ("merge_param", "first_from")


def warn_of_raw_reads(declaration: Declaration) -> None:
    """Warn, at the line that does it, of every read of a merged parameter's raw attribute."""
    method = declaration.method
    code = method.function.__code__
    for param in declaration.params:
        for line in _reading_lines(code, method.receiver, param.attribute.split(".")):
            by_hand = [name for name in _MERGES_BY_HAND if name in code.co_names]
            if by_hand:
                msg = (
                    f"{method.label} merges {param.name!r}, and line {line} merges it once more, "
                    f"by {by_hand[0]}(...). Delete that line: in the body {param.name!r} is the "
                    f"merged value."
                )
            else:
                msg = (
                    f"{method.label} merges {param.name!r}, and line {line} reads the raw "
                    f"{method.receiver}.{param.attribute}, which is unset whenever the call gave "
                    f"the value. Read {param.name!r} there: in the body it is the merged value."
                )
            _warn(msg, method.function, line)


def warn_of_stored_defaults(declaration: Declaration) -> None:
    """Warn where `__init__` stores a default that would count as set in every object."""
    cls = declaration.method.cls
    init = unwrap(cls.__init__)[-1]  # type: ignore[misc]  # of the class itself
    file = getattr(getattr(init, "__code__", None), "co_filename", "<")
    if not isinstance(init, FunctionType) or file.startswith("<"):
        return  # it is generated, from fields whose defaults are checked, or not in Python
    defaults = read_defaults(init)
    for param in declaration.params:
        # Decoding takes long, and many constructors have no default that counts.
        counting = {name: held for name, held in defaults.items() if held is not param.unset}
        stored = _stored_parameter(init.__code__, param.attribute) if counting else ""
        default = counting.get(stored, param.unset)
        if default is MERGED or (default is not param.unset and param.on_conflict in RAISING):
            giver = (
                f"{cls.__qualname__}.__init__() stores its parameter {stored!r} as "
                f"self.{param.attribute}, and gives it"
            )
            msg = counts_as_set(giver, default, param, f"{stored}=")
            _warn(msg, init, init.__code__.co_firstlineno)


def _warn(message: str, function: FunctionType, line: int) -> None:
    """Warn as if the line of the function did."""
    # Code without a module has None there, which would silence the warning.
    file, module = function.__code__.co_filename, str(function.__module__)
    warnings.warn_explicit(message, MergeWarning, file, line, module)


def _stored_parameter(  # noqa: C901 - one operation after the other
    code: CodeType, attribute: str
) -> str:
    """Return the parameter that a constructor stores, as it is, in an attribute of the object."""
    if attribute not in code.co_names or not code.co_argcount:
        return ""
    loaded: list[str] = []
    changed: set[object] = set()
    found, condition_ends = "", 0
    for instruction in dis.get_instructions(code):
        name, value, arg = instruction.opname, instruction.argval, instruction.arg or 0
        # Since 3.13 one instruction may handle two locals, and store the first of them.
        values = value if isinstance(value, tuple) else (value,)
        if instruction.is_jump_target:
            loaded = []  # which value it is depends on the way here
        if name.startswith("STORE_FAST"):
            changed |= {*(values if name == "STORE_FAST_STORE_FAST" else values[:1])}
            loaded = [*values[1:]]
        elif name.startswith("LOAD_FAST"):
            loaded += values
        elif name in {"LOAD_CONST", "LOAD_SMALL_INT"}:
            loaded.append("")
        elif name == "COPY" and len(loaded) >= arg:  # `self.one = self.other = flag`
            loaded.append(loaded[-arg])
        elif name == "SWAP" and len(loaded) >= arg:  # `self.flag, self.mode = flag, mode`
            loaded[-arg], loaded[-1] = loaded[-1], loaded[-arg]
        elif name == "STORE_ATTR":
            # The value is loaded first, then the object: `self.flag = flag`.
            *loaded, stored, receiver = ["", "", *loaded]
            if value == attribute and receiver == code.co_varnames[0]:
                is_certain = stored not in changed and instruction.offset >= condition_ends
                found = stored if is_certain else ""
        elif instruction.opcode in (*dis.hasjrel, *dis.hasjabs):
            loaded, condition_ends = [], max(condition_ends, value)
        elif name not in {"EXTENDED_ARG", "CACHE"}:
            loaded = []
    return found


def _reading_lines(code: CodeType, receiver: str, names: list[str]) -> Iterator[int]:
    """Yield the lines that read the attribute, in the code and in functions inside of it."""
    for constant in code.co_consts:
        # A function inside reads the object only through a cell that it shares with this one.
        if isinstance(constant, CodeType) and receiver in constant.co_freevars:
            yield from _reading_lines(constant, receiver, names)
    # Decoding takes long, and most bodies name no such attribute at all.
    if not all([name in code.co_names for name in names]):
        return
    # A run of instructions loads the object and then one name after the other.
    line, progress = code.co_firstlineno, None
    for instruction in dis.get_instructions(code):
        if instruction.positions is not None and instruction.positions.lineno is not None:
            line = instruction.positions.lineno
        name, value = instruction.opname, instruction.argval
        # A copy stands before the attribute in `self.flag += 1`.
        if name in {"EXTENDED_ARG", "COPY", "DUP_TOP"}:
            continue
        if "LOAD_FAST" in name or "LOAD_DEREF" in name:
            # Since 3.13 one instruction may handle two locals; the last one comes on top.
            loaded = value[-1] if isinstance(value, tuple) else value
            progress = 0 if loaded == receiver else None
        # Until 3.11 methods had an operation of their own.
        elif progress is not None and name in {"LOAD_ATTR", "LOAD_METHOD"}:
            progress = progress + 1 if value == names[progress] else None
            if progress == len(names):
                yield line
                progress = None
        else:
            progress = None
