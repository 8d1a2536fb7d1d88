"""`strict_partial`: a `functools.partial` whose keyword arguments cannot be overruled."""

from __future__ import annotations

import contextlib
import functools
import inspect
import keyword
import sys
import textwrap
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, Never, NoReturn, Self, TypeVar

from mergeparam._call.messages import bound_again_error
from mergeparam._declare.signature import read_signature, without_parameters
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_IN_C = not isinstance(functools.partial.__new__, FunctionType)
"""Whether `functools.partial` is written in C; PyPy's is written in Python."""


class strict_partial(functools.partial[T]):  # noqa: N801 - named as what it stands in for
    """Bind keyword arguments of a function for good.

    `functools.partial` lets every call overrule silently what was bound, which Flax's design note
    "Dealing with Module Arguments" says of the functional core: one part of the code overrules
    another. This one raises. Of a class it makes the note's template, a strict one:
    `dropout = strict_partial(Dropout, rate=0.1, deterministic=True)`.

    It is called, pickled and copied like a `functools.partial`, and is one to `isinstance`. In
    the namespace of a class it becomes a method if it is made of a function, as the function
    itself would, and stays what it is if it is made of a class.

    Args:
        function: what is called. Of a `strict_partial`, its function is taken and its values
            are added to.
        **values: names of parameters, and their values.

    Raises:
        ConflictingParamError: a bound name is bound again, also one that a `functools.partial`
            has bound; and in a call, a bound name is given again, by name or by position.
        TypeError: the function is not callable, or has no parameter of a name; where its
            signature can be read, that is raised at once, and by the call otherwise.

    >>> from mergeparam import strict_partial
    >>> def dropout(x, rate, *, deterministic):
    ...     return "kept" if deterministic else "dropped"
    >>> evaluate = strict_partial(dropout, deterministic=True)
    >>> evaluate(1.0, 0.5), evaluate
    ('kept', strict_partial(dropout, deterministic=True))
    >>> import inspect
    >>> print(inspect.signature(evaluate))
    (x, rate)
    >>> evaluate(1.0, 0.5, deterministic=False)
    Traceback (most recent call last):
        ...
    mergeparam.errors.ConflictingParamError: strict_partial(dropout, deterministic=True) ...
    """

    __slots__ = ("_function", "_strict", "_values")

    _function: Callable[..., T]
    _strict: Callable[..., T]
    _values: dict[str, Any]

    def __new__(cls, function: Callable[..., T], /, *positional: Never, **values: Any) -> Self:  # noqa: ANN401 - values are any object
        """Check what is bound, and make the function that is called."""
        if not callable(function):
            msg = f"strict_partial binds arguments of a function, and {shorten(function)} is none."
            raise TypeError(msg)
        if positional:
            given = ", ".join(map(shorten, positional))
            msg = (
                f"strict_partial binds by name, and {given} was given to it by position. "
                f"Write strict_partial({_name(function)}, name={shorten(positional[0])}), with "
                f"the name of the parameter."
            )
            raise TypeError(msg)
        self = super().__new__(cls, function) if _IN_C else object.__new__(cls)
        self._bind(function, values, {})
        return self

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401 - `functools.partial` refuses what is no state
        """Bind what a `functools.partial` of that state binds."""
        loose: functools.partial[T] = functools.partial(self.func)
        loose.__setstate__(state)
        function = functools.partial(loose.func, *loose.args) if loose.args else loose.func
        self._bind(function, loose.keywords, vars(loose))

    def _bind(
        self, function: Callable[..., T], values: dict[str, Any], attributes: dict[str, Any]
    ) -> None:
        _check_bound_once(function, values)
        if isinstance(function, strict_partial):
            function, values = function.func, {**function.keywords, **values}
        accepted = _read_accepted(function)
        _check_accepted(function, values, accepted)
        strict = _strict_call(function, values, accepted)
        if _IN_C:
            # What the base class calls is its own `func`, which our property hides.
            super().__setstate__((strict, (), {}, attributes))
        else:
            vars(self).update(attributes)
        self._function, self._strict, self._values = function, strict, values

    if not _IN_C:

        def __call__(self, /, *args: Any, **kwargs: Any) -> T:
            """Call what is strict; the base class would call `func`."""
            return self._strict(*args, **kwargs)

    @property
    def func(self) -> Callable[..., T]:
        """The function whose arguments are bound."""
        # In Python, `functools.partial(this, c=4)` would take out the function and the values,
        # and overrule them. It leaves alone what seems to have no `func`.
        if not _IN_C and sys._getframe(1).f_code is functools.partial.__new__.__code__:  # noqa: SLF001 - who asks is all that tells
            raise AttributeError
        return self._function

    @property
    def keywords(self) -> dict[str, Any]:
        """The values that are bound; to change this dictionary changes nothing."""
        return dict(self._values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of whichever attribute
        """Work out the signature when it is asked for; the bound names are gone from it."""
        if name == "__signature__":
            with contextlib.suppress(ValueError, TypeError):
                signature = read_signature(self.func)
                by_name = {item.name for item in signature.parameters.values() if item.kind in _BY_NAME}
                return without_parameters(signature, by_name & self._values.keys(), set())
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg, name=name, obj=self)

    def __get__(self, obj: object, owner: type | None = None) -> Any:  # noqa: ANN401 - a method or itself
        """Become a method, if the function would."""
        if obj is None or not isinstance(self.func, FunctionType):
            return self
        return MethodType(self, obj)

    def __repr__(self) -> str:
        """Return how it was written."""
        return _written(self.func, self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Bind the same values again where it is unpickled, as a `functools.partial` does."""
        return type(self), (self.func,), (self.func, (), self.keywords, dict(vars(self)))


def _check_bound_once(function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Refuse a value for what a partial has bound, or a partial of which it is made."""
    if isinstance(function, functools.partial):
        for name, value in values.items():
            if name in function.keywords:
                raise bound_again_error(repr(function), name, function.keywords[name], value)
        _check_bound_once(function.func, values)


class _Accepted(NamedTuple):
    """What a function takes by name, as far as can be told."""

    positions: dict[str, int]
    """Those that it takes by position too, and where."""
    keyword_only: tuple[str, ...] = ()
    takes_any: bool = False


def _read_accepted(function: Callable[..., Any]) -> _Accepted:
    """Read what a function takes now; nobody can say of some builtins, nor what it will be later."""
    shows_another = hasattr(function, "__wrapped__") or hasattr(function, "__signature__")
    if isinstance(function, FunctionType) and not shows_another:
        # `inspect.signature` would say the same, and take twenty times as long.
        code = function.__code__
        first, end = code.co_posonlyargcount, code.co_argcount
        return _Accepted(
            dict(zip(code.co_varnames[first:end], range(first, end), strict=True)),
            code.co_varnames[end : end + code.co_kwonlyargcount],
            bool(code.co_flags & inspect.CO_VARKEYWORDS),
        )
    try:
        items = [*read_signature(function).parameters.values()]
    except (ValueError, TypeError):
        return _Accepted({}, takes_any=True)
    return _Accepted(
        {item.name: i for i, item in enumerate(items) if item.kind is item.POSITIONAL_OR_KEYWORD},
        tuple([item.name for item in items if item.kind is item.KEYWORD_ONLY]),
        any([item.kind is item.VAR_KEYWORD for item in items]),
    )


def _check_accepted(
    function: Callable[..., Any], values: dict[str, Any], accepted: _Accepted
) -> None:
    """Refuse a name that the function has no parameter for; if nobody can tell, the call will."""
    if accepted.takes_any:
        return
    names = (*accepted.positions, *accepted.keyword_only)
    for name in values:
        if name not in names:
            msg = (
                f"{_written(function, values)} binds {name!r}, which {_name(function)} does not "
                f"accept by name. It accepts {', '.join(map(repr, names)) or 'no name'}."
            )
            raise TypeError(msg)


def _strict_call(
    function: Callable[..., Any], values: dict[str, Any], accepted: _Accepted
) -> Callable[..., Any]:
    """Make the function that calls another one with bound values, and refuses others for them.

    It hands on what a call gives as it was given. So it need not know the parameters, and a
    function whose code, defaults or `__init__` change later is called as it is then.
    """

    def refuse(name: str, given: object) -> NoReturn:
        raise bound_again_error(_written(function, values), name, values[name], given)

    def check_positions(given: tuple[object, ...]) -> None:
        # The function may have changed since the values were bound.
        for name, position in _read_accepted(function).positions.items():
            if name in values and position < len(given):
                refuse(name, given[position])

    limit = min([accepted.positions.get(name, sys.maxsize) for name in values], default=sys.maxsize)
    make = _compile_strict(tuple(values), min(limit, _QUICK))
    return make(function, values, refuse, check_positions, limit, *values.values())


_QUICK = 3
"""How many arguments by position a quick call may have."""

_NO_ARGUMENT_NAMES = {*keyword.kwlist, "__debug__"}

_SOURCE = """\
def make(function, values, refuse, check_positions, limit, {cells}):
    def strict({first}*others, **named):
        if others or named:
            for name in named:
                if name in values:
                    refuse(name, named[name])
            if {quick} + len(others) > limit:
                check_positions([{given}*others])
{slow}
{fast}
    return strict
"""


@functools.lru_cache(maxsize=256)
def _compile_strict(names: tuple[str, ...], quick: int) -> Callable[..., Callable[..., Any]]:
    """Compile what makes strict calls, once for all functions of which the same names are bound.

    To hand on `*args` and `**kwargs` takes twice as long as a call of a `functools.partial`. So
    the first arguments have parameters of their own, which callers cannot name, and for calls
    that give nothing else there is one call with each number of them.

    Args:
        names: those that are bound.
        quick: how many of the first arguments have a parameter.
    """
    first = [f"a{index}" for index in range(quick)]
    cells = [f"bound_{index}" for index in range(len(names))]
    bound = [f"{name}={cell}" for name, cell in zip(names, cells, strict=True)]
    # Not every name can be written in a call, and the compiler folds those that are not ASCII.
    is_plain = [name.isascii() and name.isidentifier() for name in names]
    if not all(is_plain) or not _NO_ARGUMENT_NAMES.isdisjoint(names):
        bound = ["**values"]

    def calls(indent: int, *, others: str, named: str) -> str:
        lines = []
        for count in range(quick, -1, -1):
            given = [*first[:count], others if count == quick else "", *bound, named]
            call = f"return function({', '.join(filter(None, given))})"
            lines.append(f"if a{count - 1} is not not_given: {call}" if count else call)
        return textwrap.indent("\n".join(lines), " " * indent)

    source = _SOURCE.format(
        cells=", ".join(cells),
        first="".join([f"{name}=not_given, " for name in first]) + "/, " * bool(first),
        given="".join([f"{name}, " for name in first]),
        quick=quick,
        slow=calls(12, others="*others", named="**named"),
        fast=calls(8, others="", named=""),
    )
    namespace: dict[str, Any] = {"not_given": object()}
    exec(compile(source, "<strict_partial>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source, in which the only foreign text is identifiers
    make: Callable[..., Callable[..., Any]] = namespace["make"]
    return make


def _written(function: Callable[..., Any], values: dict[str, Any]) -> str:
    bound = "".join([f", {name}={shorten(value)}" for name, value in values.items()])
    return f"strict_partial({_name(function)}{bound})"


def _name(function: Callable[..., Any]) -> str:
    name: object = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else shorten(function)
