"""What a body does wrong beside a declared merge."""

from __future__ import annotations

import dis
import warnings
from types import CodeType
from typing import TYPE_CHECKING

from mergeparam.errors import MergeWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._declare.checks import Declaration


def warn_of_raw_reads(declaration: Declaration) -> None:
    """Warn, at the line that does it, of every read of a merged parameter's raw attribute."""
    method = declaration.method
    code = method.function.__code__
    for param in declaration.params:
        for line in _reading_lines(code, method.receiver, param.attribute.split(".")):
            msg = (
                f"{method.label} merges {param.name!r}, and line {line} reads the raw "
                f"{method.receiver}.{param.attribute}, which is unset whenever the call gave the "
                f"value. Read {param.name!r} there: in the body it is the merged value."
            )
            warnings.warn_explicit(
                msg,
                MergeWarning,
                filename=code.co_filename,
                lineno=line,
                # Code without a module has None here, which would silence the warning.
                module=str(method.function.__module__),
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
    # A run of instructions loads the object and then one name after the other.
    line, progress = code.co_firstlineno, None
    for instruction in dis.get_instructions(code):
        if instruction.positions is not None and instruction.positions.lineno is not None:
            line = instruction.positions.lineno
        name, value = instruction.opname, instruction.argval
        # A copy stands before the attribute in `self.flag += 1`.
        if name in {"EXTENDED_ARG", "COPY"}:
            continue
        if name.startswith(("LOAD_FAST", "LOAD_DEREF")):
            # Since 3.13 one instruction may load two locals; the last one is on top of the stack.
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
