"""`strict_partial`: a `functools.partial` whose keyword arguments cannot be overruled."""

from __future__ import annotations

import contextlib
import functools
import inspect
import keyword
import sys
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Never, Self, TypeVar

from mergeparam._call.messages import bound_again_error
from mergeparam._declare.signature import (
    read_parameters,
    read_signature,
    without_parameters,
)
from mergeparam.errors import near, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_SHOWN_INSTEAD = {"__signature__", "__wrapped__"}
"""What a function has that shows other parameters than its code."""

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

    # They are no part of `__dict__`, which holds what users set, as in a `functools.partial`.
    __slots__ = ("_function", "_strict", "_values")

    _function: Callable[..., T]
    _strict: Callable[..., T]
    _values: dict[str, Any]

    def __new__(cls, function: Callable[..., T], /, *positional: Never, **values: Any) -> Self:  # noqa: ANN401 - values are any object
        """Check what is bound, and make the function that is called."""
        if not callable(function):
            what = shorten(function)  # type: ignore[unreachable]
            msg = f"strict_partial binds arguments of a function, and {what} is none."
            raise TypeError(msg)
        if positional:
            given = shorten(positional[0])
            msg = (
                f"strict_partial binds by name, and {given} was given by position. Write "
                f"strict_partial({_name(function)}, name={given}), with the parameter's name."
            )
            raise TypeError(msg)
        self = super().__new__(cls, function) if _IN_C else object.__new__(cls)
        self._bind(function, values, {})
        return self

    def _bind(
        self, function: Callable[..., T], values: dict[str, Any], attributes: dict[str, Any]
    ) -> None:
        """Bind values in place of those that are bound now, if any."""
        _check_bound_once(function, values)
        if isinstance(function, strict_partial):
            values = {**function.keywords, **values}
            function = function.func
        positions, takes_any = _read_by_name(function)
        for name in values:
            if name not in positions and not takes_any:
                accepted = ", ".join(map(repr, positions)) or "no name"
                msg = (
                    f"{_written(function, values)} binds {name!r}, which {_name(function)} does "
                    f"not accept by name{near(name, [*positions])}. It accepts {accepted}."
                )
                raise TypeError(msg)
        strict = _make_strict(function, values, positions)
        if _IN_C:
            # What is called is the `func` of the base class, which our property hides.
            super().__setstate__((strict, (), {}, attributes))  # type: ignore[misc]  # typeshed lacks it
        else:
            self.__dict__ = attributes
            setattr(self, "args", ())  # noqa: B010 - a slot there, and read-only elsewhere
        self._function, self._strict, self._values = function, strict, values

    if not _IN_C:

        def __call__(self, /, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - any arguments
            """Call the strict function, where the base class would call `func`."""
            return self._strict(*args, **kwargs)

    @property
    def func(self) -> Callable[..., T]:
        """The function whose arguments are bound."""
        # A `functools.partial` in Python takes a partial apart, and would overrule what is bound.
        # It keeps one that seems to have no `func` as it is.
        if not _IN_C and sys._getframe(1).f_code is functools.partial.__new__.__code__:  # noqa: SLF001 - nothing else tells who asks
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
                positions, _ = _read_by_name(self.func)
                gone = self._values.keys() & positions.keys()
                return without_parameters(read_signature(self.func), gone, set())
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
        """Travel as a `functools.partial` does."""
        return type(self), (self.func,), (self.func, (), self.keywords, dict(vars(self)))

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401 - what is no state is refused
        """Bind what a `functools.partial` of the same state would bind."""
        loose: functools.partial[Any] = functools.partial(callable)
        loose.__setstate__(state)  # type: ignore[attr-defined]  # typeshed lacks it
        function = functools.partial(loose.func, *loose.args) if loose.args else loose.func
        self._bind(function, dict(loose.keywords), vars(loose))


def _check_bound_once(function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Refuse to bind what a partial has bound already, or another one inside it."""
    if isinstance(function, functools.partial):
        for name, value in values.items():
            if name in function.keywords:
                raise bound_again_error(repr(function), name, function.keywords[name], value)
        _check_bound_once(function.func, values)


def _read_by_name(function: Callable[..., Any]) -> tuple[dict[str, int], bool]:
    """Read which names a function takes now, with the position of each, and whether it takes any.

    Keyword-only names stand behind all positions. Where nobody can tell, any name is taken.
    """
    if isinstance(function, FunctionType) and _SHOWN_INSTEAD.isdisjoint(vars(function)):
        # `inspect.signature` says the same, and takes twenty times as long.
        declared = read_parameters(function.__code__)
        first = declared.positional_only
        positions = {name: at for at, name in enumerate(declared.positional[first:], first)}
        keyword_only = declared.keyword_only
        takes_any = declared.var_keyword is not None
    else:
        try:
            items = [*read_signature(function).parameters.values()]
        except (ValueError, TypeError):
            return {}, True
        is_either = inspect.Parameter.POSITIONAL_OR_KEYWORD
        positions = {item.name: at for at, item in enumerate(items) if item.kind is is_either}
        keyword_only = tuple([item.name for item in items if item.kind is item.KEYWORD_ONLY])
        takes_any = any([item.kind is item.VAR_KEYWORD for item in items])
    return positions | dict.fromkeys(keyword_only, sys.maxsize), takes_any


def _check_not_given_again(
    function: Callable[..., Any],
    values: dict[str, Any],
    given: tuple[object, ...],
    named: dict[str, object],
) -> None:
    """Refuse a call that gives a bound name again, by name or by position."""
    # The function may have changed since it was bound.
    positions = _read_by_name(function)[0] if given else {}
    again = {name: given[at] for name, at in positions.items() if at < len(given)} | named
    for name, value in values.items():
        if name in again:
            written = _written(function, values)
            raise bound_again_error(written, name, value, again[name]) from None


def _make_strict(
    function: Callable[..., Any], values: dict[str, Any], positions: dict[str, int]
) -> Callable[..., Any]:
    """Make a function that calls another one with bound values, and refuses others for them.

    It hands on what it is given, as it was given. So it does not depend on the parameters, and
    the function may get other code, other defaults or another `__init__` later.
    """
    # Behind the first position that is bound, nothing can be given by position.
    limit = min([positions.get(name, sys.maxsize) for name in values], default=sys.maxsize)
    return _compile_strict(tuple(values), limit)(function, values, *values.values())


_NOT_GIVEN = object()

# To hand on `*args` and `**kwargs` takes two to three times as long as a `functools.partial`. So
# the first two arguments have parameters of their own, which callers cannot name. A test
# takes a twentieth of the time of a call; `takes_one` and `takes_two` are constants, which the
# compiler leaves out.
_SOURCE = """\
def make(function, values, {cells}):
    def strict(first=not_given, second=not_given, /, *others, **named):
        if not named:
            if second is not_given:
                if first is not_given:
                    return function({bound})
                if {takes_one}:
                    return function(first, {bound})
            elif {takes_two} and not others:
                return function(first, second, {bound})
        if second is not not_given:
            given = (first, second, *others)
        else:
            given = () if first is not_given else (first,)
        if len(given) > {limit}:
            check(function, dict({bound}), given, named)
        try:
            return function(*given, {bound}, **named)
        except TypeError:
            # Python itself refuses names that are given twice, before it calls.
            check(function, dict({bound}), (), named)
            raise
    return strict
"""


@functools.lru_cache(maxsize=256)
def _compile_strict(names: tuple[str, ...], limit: int) -> Callable[..., Callable[..., Any]]:
    """Compile what makes strict functions, once for all with the same names and the same limit."""
    cells = [f"bound_{index}" for index in range(len(names))]
    bound = [f"{name}={cell}" for name, cell in zip(names, cells, strict=True)]
    # Not every name can be written in a call, and the compiler folds those that are not ASCII.
    is_plain = [name.isascii() and name.isidentifier() for name in names]
    if not all(is_plain) or not {*keyword.kwlist, "__debug__"}.isdisjoint(names):
        bound = []
    source = _SOURCE.format(
        cells=", ".join(cells),
        bound=", ".join(bound) or "**values",
        takes_one=limit > 0,
        takes_two=limit > 1,
        limit=limit,
    )
    code = compile(source, "<strict_partial>", "exec", dont_inherit=True)
    namespace: dict[str, Callable[..., Callable[..., Any]]] = {}
    exec(code, {"not_given": _NOT_GIVEN, "check": _check_not_given_again}, namespace)  # noqa: S102 - our own source, in which the only foreign text is identifiers
    return namespace["make"]


def _written(function: Callable[..., Any], values: dict[str, Any]) -> str:
    bound = "".join([f", {name}={shorten(value)}" for name, value in values.items()])
    return f"strict_partial({_name(function)}{bound})"


def _name(function: Callable[..., Any]) -> str:
    name: object = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else shorten(function)
