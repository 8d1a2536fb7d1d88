"""The parameters and defaults of a function: read them, and work out what they are to become."""

from __future__ import annotations

import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import Format

from mergeparam._compat import annotations_attribute, call_annotate
from mergeparam._sentinels import MERGED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameters(NamedTuple):
    """The names in a `def` line, by kind and in order."""

    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    var_positional: str | None
    var_keyword: str | None
    positional_only: int  # how many of the positional ones callers cannot name

    @property
    def named(self) -> tuple[str, ...]:
        """Those that hold one argument each."""
        return self.positional + self.keyword_only

    @property
    def all(self) -> tuple[str, ...]:
        """Every name."""
        return (*self.named, *filter(None, (self.var_positional, self.var_keyword)))

    def as_signature(self) -> str:
        """Return the parameters as they stand in a `def` line, without defaults."""
        parts = [*self.positional]
        if self.positional_only:
            parts.insert(self.positional_only, "/")
        if self.var_positional is not None:
            parts.append(f"*{self.var_positional}")
        elif self.keyword_only:
            parts.append("*")
        parts += self.keyword_only
        if self.var_keyword is not None:
            parts.append(f"**{self.var_keyword}")
        return ", ".join(parts)


def read_parameters(code: CodeType) -> Parameters:
    """Return the parameters of a function's code."""
    names, flags = code.co_varnames, code.co_flags
    # The variadic ones stand behind all others: `*args` first, then `**kwargs`.
    end = code.co_argcount + code.co_kwonlyargcount
    has_args = bool(flags & inspect.CO_VARARGS)
    return Parameters(
        positional=names[: code.co_argcount],
        keyword_only=names[code.co_argcount : end],
        var_positional=names[end] if has_args else None,
        var_keyword=names[end + has_args] if flags & inspect.CO_VARKEYWORDS else None,
        positional_only=code.co_posonlyargcount,
    )


def read_defaults(function: FunctionType) -> dict[str, object]:
    """Return the default of every parameter that has one."""
    positional = function.__code__.co_varnames[: function.__code__.co_argcount]
    values = function.__defaults__ or ()
    # Defaults belong to the last positional parameters. A function may have more defaults than
    # parameters: Python then ignores the first ones, and so do we.
    pairs = zip(reversed(positional), reversed(values), strict=False)
    return dict(reversed(list(pairs))) | (function.__kwdefaults__ or {})


def change_defaults(
    function: FunctionType, values: Mapping[str, object]
) -> tuple[tuple[object, ...] | None, dict[str, object] | None]:
    """Return `__defaults__` and `__kwdefaults__` with other values for some parameters."""
    parameters = read_parameters(function.__code__)
    defaults = read_defaults(function) | dict(values)
    return (
        tuple([defaults[name] for name in parameters.positional if name in defaults]) or None,
        {name: defaults[name] for name in parameters.keyword_only if name in defaults} or None,
    )


class OriginalSignature(dict[str, Any]):
    """The attributes of a function that merging changes, as the author wrote them."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let annotations travel as text: what would evaluate them holds the class's namespace."""
        travelling = dict(self)
        if "__annotate__" in travelling:
            annotate = travelling.pop("__annotate__")
            travelling["__annotations__"] = call_annotate(annotate, Format.STRING)
        return OriginalSignature, (travelling,)


def read_original(function: FunctionType) -> OriginalSignature:
    """Return what merging changes of a function, without evaluating annotations."""
    names = "__defaults__", "__kwdefaults__", annotations_attribute(function)
    return OriginalSignature([(name, getattr(function, name)) for name in names])


def original_signature(function: FunctionType, original: OriginalSignature) -> inspect.Signature:
    """Return the signature that `function` had when its `original` was read."""
    before = FunctionType(
        function.__code__, function.__globals__, function.__name__, closure=function.__closure__
    )
    for name, value in original.items():
        setattr(before, name, value)
    return read_signature(before)


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature; names in annotations that are not defined yet do no harm."""
    if sys.version_info >= (3, 14):
        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def exposes(function: FunctionType, names: tuple[str, ...]) -> bool:
    """Whether a wrapper itself shows parameters to callers: by `MERGED`, or `__signature__`."""
    defaults = read_defaults(function)
    is_marked = any(defaults.get(name) is MERGED for name in names)
    return is_marked or "__signature__" in vars(function)


def without_parameters(
    signature: inspect.Signature, gone: set[str], required: set[str]
) -> inspect.Signature:
    """Return what callers can use when some parameters are gone, and others are required."""
    # A positional-only parameter can be given only together with all that stand before it.
    kind = inspect.Parameter.POSITIONAL_ONLY
    demanded = [name for name, item in signature.parameters.items() if item.kind is kind]
    while demanded and demanded[-1] not in required:
        demanded.pop()
    gone, required = gone - {*demanded}, required | {*demanded}
    parameters, by_position, optional_before = [], True, False
    for name, parameter in signature.parameters.items():
        if name in required:
            parameter = parameter.replace(default=parameter.empty)  # noqa: PLW2901 - from here on
        positional = parameter.kind in POSITIONAL
        is_required = parameter.default is parameter.empty
        # Behind a positional parameter that is gone, and from a required one behind an optional
        # one on, callers reach nothing by position any more.
        if positional and (name in gone or (is_required and optional_before)):
            by_position = False
        optional_before = optional_before or (positional and not is_required)
        if name in gone:
            continue
        if by_position or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            parameters.append(parameter)
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
    return signature.replace(parameters=parameters)
