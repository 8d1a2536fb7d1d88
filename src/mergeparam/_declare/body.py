"""What a body does wrong beside a declared merge."""

from __future__ import annotations

import contextlib
import copy
import dis
import warnings
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

import attrs

from mergeparam._declare.checks import counts_as_set
from mergeparam._declare.methods import find_definer, unwrap
from mergeparam._declare.signature import read_defaults
from mergeparam._sentinels import MERGED
from mergeparam._spec import RAISING
from mergeparam.errors import MergeWarning, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._declare.checks import Declaration


_MERGES_BY_HAND = ("merge_param", "first_from")
_READING = ("LOAD_ATTR", "LOAD_METHOD")
"""Until 3.11 methods had an operation of their own."""


def warn_of_raw_reads(declaration: Declaration) -> None:
    """Warn, at the line that does it, of every read of a merged parameter's raw attribute."""
    method = declaration.method
    code = method.function.__code__
    for param in declaration.params:
        lines = [*_reading_lines(code, method.receiver, param.attribute.split("."))]
        # Where the call overrules the object, a body may need both: `min(timeout, self.timeout)`.
        if lines and param.on_conflict == "use_call" and _loads(code, param.name):
            continue
        for line in lines:
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


def warn_of_sentinels(declaration: Declaration) -> None:
    """Warn of an object that means "not set" and of which copies of the object hold copies."""
    method = declaration.method
    for param in declaration.params:
        held = copied = param.attribute_unset
        if held is None:
            continue
        # What refuses to be copied does no harm.
        with contextlib.suppress(Exception):
            copied = copy.deepcopy(held)
        if copied is not held:
            msg = (
                f"{method.label} takes self.{param.attribute} to be unset where it is "
                f"{shorten(held)}, by identity, and copy.deepcopy makes another object of that, "
                f"which counts as set in every copy. Use UNSET, or a member of an enum; or, where "
                f"the object holds None, attribute_unset=None."
            )
            _warn(msg, method.function, method.function.__code__.co_firstlineno)


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
        unset = param.attribute_unset
        counting = {name: held for name, held in defaults.items() if held is not unset}
        stored = _stored_parameter(init.__code__, param.attribute) if counting else ""
        default = counting.get(stored, unset)
        if default is MERGED or (default is not unset and param.on_conflict in RAISING):
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


def _stored_parameter(code: CodeType, attribute: str) -> str:
    """Return the parameter that a constructor stores, as it is, in an attribute of the object."""
    if attribute not in code.co_names or not code.co_argcount:
        return ""
    changed: set[str] = set()
    found, condition_ends = "", 0
    for instruction, values, stack in _walk(code):
        name = instruction.opname
        if name.startswith("STORE_FAST"):
            changed |= {*(values if name == "STORE_FAST_STORE_FAST" else values[:1])}
        elif name == "STORE_ATTR":
            # The value is loaded first, then the object: `self.flag = flag`.
            stored, receiver = ["", "", *stack][-2:]
            if values == (attribute,) and receiver == code.co_varnames[0]:
                is_certain = stored not in changed and instruction.offset >= condition_ends
                found = stored if is_certain else ""
        elif instruction.opcode in (*dis.hasjrel, *dis.hasjabs):
            condition_ends = max(condition_ends, instruction.argval)
    return found


def constructor_argument(cls: type, attribute: str) -> str:
    """Return the constructor's argument for an attribute, where a field or `__init__` shows it."""
    for field in attrs.fields(cls) if find_definer(cls, "__attrs_attrs__") else ():
        if field.name == attribute:
            return field.alias if field.init else ""
    code = getattr(unwrap(cls.__init__)[-1], "__code__", None)  # type: ignore[misc]  # of itself
    if not isinstance(code, CodeType):
        return ""
    # Decoding takes long, and mostly the names are the same.
    has_it = attribute in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return attribute if has_it else _stored_parameter(code, attribute)


def _loads(code: CodeType, name: str) -> bool:
    """Whether code reads a parameter, or shares it with functions inside of it."""
    return name in code.co_cellvars or any(
        "LOAD_FAST" in item.opname and name in values[item.opname.startswith("STORE") :]
        for item, values, _ in _walk(code)
    )


def _reading_lines(code: CodeType, receiver: str, names: list[str]) -> Iterator[int]:
    """Yield the lines that read the attribute, in the code and in functions inside of it."""
    for constant in code.co_consts:
        # A function inside reads the object only through a cell that it shares with this one.
        if isinstance(constant, CodeType) and receiver in constant.co_freevars:
            yield from _reading_lines(constant, receiver, names)
    # Decoding takes long, and most bodies name no such attribute at all.
    if not all([name in code.co_names for name in names]):
        return
    line, path = code.co_firstlineno, ".".join([receiver, *names])
    for instruction, values, stack in _walk(code):
        if instruction.positions is not None and instruction.positions.lineno is not None:
            line = instruction.positions.lineno
        is_read = instruction.opname in _READING and stack
        if is_read and f"{stack[-1]}.{values[0]}" == path:
            yield line


def _walk(code: CodeType) -> Iterator[tuple[dis.Instruction, tuple[str, ...], list[str]]]:
    """Yield each instruction, what it names, and the names and paths on the stack before it."""
    stack: list[str] = []
    for instruction in dis.get_instructions(code):
        name, value, arg = instruction.opname, instruction.argval, instruction.arg or 1
        if instruction.is_jump_target:
            stack = []  # which value it is depends on the way here
        if name in {"EXTENDED_ARG", "CACHE"}:
            continue
        # Since 3.13 one instruction may handle two locals, and store the first of them.
        values = value if isinstance(value, tuple) else (value,)
        yield instruction, values, stack
        if "LOAD_FAST" in name or "LOAD_DEREF" in name:
            stack = [*values[1:]] if name.startswith("STORE") else [*stack, *values]
        elif name in {"LOAD_CONST", "LOAD_SMALL_INT"}:
            stack.append("")
        elif name in _READING and stack:
            stack[-1] += f".{value}"
        # PyPy still has `DUP_TOP`.
        elif name in {"COPY", "DUP_TOP"} and len(stack) >= arg:  # `self.one = self.other = flag`
            stack.append(stack[-arg])
        elif name == "SWAP" and len(stack) >= arg:  # `self.flag, self.mode = flag, mode`
            stack[-arg], stack[-1] = stack[-1], stack[-arg]
        elif name == "STORE_ATTR":
            stack = stack[:-2]
        else:
            stack = []
