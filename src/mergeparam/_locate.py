"""A class and a method's name in, the functions that make up the method out."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mergeparam._parameters import Parameters, read_parameters
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable


class Located(NamedTuple):
    """A method as the class has it when the decorator comes.

    `chain` runs from what the namespace holds to the innermost function, along `__wrapped__`;
    a plain function is a chain of one. `receiver` is the source of the expression that is the
    object: `self`, or `args[0]`.
    """

    cls: type
    method: str
    definer: type
    chain: tuple[Callable[..., Any], ...]
    parameters: Parameters
    receiver: str

    def function(self) -> FunctionType:
        """Return the innermost function."""
        return cast("FunctionType", self.chain[-1])

    @property
    def inherited(self) -> bool:
        """Whether a base holds the method, not the class itself."""
        return self.definer is not self.cls

    @property
    def is_wrapped(self) -> bool:
        """Whether something is around the function, so that it cannot just be replaced."""
        return len(self.chain) > 1

    @property
    def is_borrowed(self) -> bool:
        """Whether a base holds the function too, wrapped or not, so that it must not change."""
        held = (base.__dict__.get(self.method) for base in self.cls.__mro__[1:])
        return any(found is link for found in held if found is not None for link in self.chain)

    @property
    def place(self) -> str:
        """The method's name in messages."""
        return f"{self.cls.__qualname__}.{self.method}()"


def locate(cls: type, method: str) -> Located:
    """Find `method` on `cls` or its bases, and the function inside its wrappers."""
    definer = _definer(cls, method)
    found = definer.__dict__[method]
    place = f"{cls.__qualname__}.{method}()"
    _check_kind(place, found)
    chain = _unwrap(place, found)
    function = chain[-1]
    if not isinstance(function, FunctionType):
        msg = (
            f"{place} is {shorten(found)}, a callable whose signature cannot be read. "
            f"Write the method with def, and declare the merged parameters in it."
        )
        raise MergeDefinitionError(msg)
    parameters = read_parameters(function.__code__)
    return Located(cls, method, definer, chain, parameters, _receiver(place, parameters))


def _definer(cls: type, method: str) -> type:
    for base in cls.__mro__:
        if base is not object and method in base.__dict__:
            return base
    msg = (
        f"{cls.__qualname__} has no method {method!r} to merge parameters in. "
        f"Define it, or name another one with @mergeable(..., method='forward')."
    )
    raise MergeDefinitionError(msg)


def _check_kind(place: str, found: object) -> None:
    for kind in (staticmethod, classmethod, property):
        if isinstance(found, kind):
            msg = (
                f"{place} is a {kind.__name__}, and merging reads an attribute of the object "
                f"that the method is called on. Make it a plain method with self, and put "
                f"@mergeable on top of the class."
            )
            raise MergeDefinitionError(msg)


def _unwrap(place: str, found: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    chain = [found]
    while (inner := getattr(chain[-1], "__wrapped__", None)) is not None:
        if any(inner is outer for outer in chain):
            msg = f"{place} wraps itself: following __wrapped__ comes back to {shorten(inner)}."
            raise MergeDefinitionError(msg)
        chain.append(inner)
    return tuple(chain)


def _receiver(place: str, parameters: Parameters) -> str:
    if parameters.positional:
        return parameters.positional[0]
    if parameters.var_positional is not None:
        return f"{parameters.var_positional}[0]"
    msg = f"{place} has no parameter for the object itself. Add self as the first one."
    raise MergeDefinitionError(msg)
