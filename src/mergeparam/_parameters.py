"""What a function's code object says about its parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import CodeType, FunctionType


class Parameters(NamedTuple):
    """The names in a `def` line, by kind and in order."""

    positional_only: tuple[str, ...]
    positional_or_keyword: tuple[str, ...]
    var_positional: str | None
    keyword_only: tuple[str, ...]
    var_keyword: str | None

    @property
    def positional(self) -> tuple[str, ...]:
        """Those that a caller may give by position."""
        return self.positional_only + self.positional_or_keyword

    @property
    def named(self) -> tuple[str, ...]:
        """Those that hold one argument each."""
        return self.positional + self.keyword_only

    @property
    def all(self) -> tuple[str, ...]:
        """Every name."""
        variadic = (self.var_positional, self.var_keyword)
        return self.named + tuple(name for name in variadic if name is not None)


def read_parameters(code: CodeType) -> Parameters:
    """Return the parameters of a function's code."""
    names = code.co_varnames
    positional, keyword_only = code.co_argcount, code.co_kwonlyargcount
    end = positional + keyword_only
    has_args = bool(code.co_flags & inspect.CO_VARARGS)
    has_kwargs = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return Parameters(
        positional_only=names[: code.co_posonlyargcount],
        positional_or_keyword=names[code.co_posonlyargcount : positional],
        var_positional=names[end] if has_args else None,
        keyword_only=names[positional:end],
        var_keyword=names[end + has_args] if has_kwargs else None,
    )


def read_defaults(function: FunctionType) -> dict[str, object]:
    """Return the default of every parameter that has one."""
    positional = read_parameters(function.__code__).positional
    values = function.__defaults__ or ()
    return {
        **dict(zip(positional[len(positional) - len(values) :], values, strict=True)),
        **(function.__kwdefaults__ or {}),
    }
