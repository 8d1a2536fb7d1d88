"""`strict_partial`: a `functools.partial` whose keyword arguments cannot be overruled."""

from __future__ import annotations

import contextlib
import functools
import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from mergeparam._bound import strict_function
from mergeparam._call.messages import bound_again_error
from mergeparam._declare.signature import read_signature, without_parameters
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


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

    _function: Callable[..., T]
    _values: dict[str, Any]

    def __new__(cls, function: Callable[..., T], /, **values: Any) -> Self:  # noqa: ANN401 - values are any object
        """Check what is bound, and make the function that is called."""
        _check_callable(function)
        _check_bound_once(function, values)
        if isinstance(function, strict_partial):
            values = {**function.keywords, **values}
            function = function.func
        signature = _readable_signature(function)
        _check_accepted(function, values, signature)

        def refuse(name: str, given: object) -> NoReturn:
            raise bound_again_error(_written(function, values), name, values[name], given)

        self = super().__new__(cls, strict_function(function, values, signature, refuse))
        self._function, self._values = function, values
        return self

    @property
    def func(self) -> Callable[..., T]:
        """The function whose arguments are bound."""
        return self._function

    @property
    def keywords(self) -> dict[str, Any]:
        """The values that are bound; to change this dictionary changes nothing."""
        return dict(self._values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of whichever attribute
        """Work out the signature when it is asked for; the bound names are gone from it."""
        if name == "__signature__":
            with contextlib.suppress(ValueError, TypeError):
                return _signature_without(self.func, self.keywords)
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg, name=name, obj=self)

    def __get__(self, obj: object, owner: type | None = None) -> Any:  # noqa: ANN401 - a method or itself
        """Become a method, if the function would."""
        if obj is None or not isinstance(self.func, FunctionType):
            return self
        return MethodType(self, obj)

    def __repr__(self) -> str:
        """Return how it was written."""
        return _written(self.func, self.keywords)

    def __reduce__(self) -> tuple[Any, ...]:
        """Bind the same values again where it is unpickled."""
        attributes = {name: self.__dict__[name] for name in self.__dict__.keys() - _OWN}
        return _rebind, (type(self), self.func, self.keywords, attributes)


_OWN = {"_function", "_values"}


def _rebind(
    cls: type[strict_partial[T]],
    function: Callable[..., T],
    values: dict[str, Any],
    attributes: dict[str, Any],
) -> strict_partial[T]:
    partial = cls(function, **values)
    partial.__dict__.update(attributes)
    return partial


def _check_callable(function: object) -> None:
    if not callable(function):
        msg = f"strict_partial binds arguments of a function, and {shorten(function)} is none."
        raise TypeError(msg)


def _check_bound_once(function: Callable[..., Any], values: dict[str, Any]) -> None:
    while isinstance(function, functools.partial):
        for name, value in values.items():
            if name in function.keywords:
                raise bound_again_error(repr(function), name, function.keywords[name], value)
        function = function.func


def _readable_signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return read_signature(function)
    except (ValueError, TypeError):
        return None


def _check_accepted(
    function: Callable[..., Any], values: dict[str, Any], signature: inspect.Signature | None
) -> None:
    """Refuse a name that the function has no parameter for; if nobody can tell, the call will."""
    parameters = signature.parameters.values() if signature is not None else ()
    if signature is None or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters
    ):
        return
    accepted = [parameter.name for parameter in parameters if parameter.kind in _BY_NAME]
    for name in (name for name in values if name not in accepted):
        msg = (
            f"{_written(function, values)} binds {name!r}, which {_name(function)} does not "
            f"accept by name. It accepts {', '.join(map(repr, accepted)) or 'no name'}."
        )
        raise TypeError(msg)


def _signature_without(function: Callable[..., Any], values: dict[str, Any]) -> inspect.Signature:
    signature = read_signature(function)
    by_name = {item.name for item in signature.parameters.values() if item.kind in _BY_NAME}
    return without_parameters(signature, by_name & values.keys(), set())


def _written(function: Callable[..., Any], values: dict[str, Any]) -> str:
    bound = "".join(f", {name}={shorten(value)}" for name, value in values.items())
    return f"strict_partial({_name(function)}{bound})"


def _name(function: Callable[..., Any]) -> str:
    name: object = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else shorten(function)
