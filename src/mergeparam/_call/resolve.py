"""The merge as a function, and the private methods that the merge in a method's code calls.

Each private method is made for one parameter of one method, when the class is decorated. It knows
the parameter, its default and its policy, and looks nothing up.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import attrs

from mergeparam._call.messages import CallState, conflict_error, missing_error
from mergeparam._call.provide import living, provided
from mergeparam._compat import qualified_name
from mergeparam._declare.body import constructor_argument
from mergeparam._declare.methods import find_definer, merged_methods_of
from mergeparam._frameworks import is_tracing
from mergeparam._sentinels import MERGED
from mergeparam.errors import MergeDefinitionError, MissingParamError, shorten

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable

    from mergeparam._sentinels import UnsetType
    from mergeparam._spec import MergedMethod, Param

T = TypeVar("T")
E = TypeVar("E", bound="enum.Enum")

_NOT_PROVIDED: Any = object()


@overload
def merge_param(
    name: str, attribute_value: T | None, call_value: T | None, *, unset: None = None
) -> T: ...
@overload
def merge_param(
    name: str, attribute_value: UnsetType | T, call_value: UnsetType | T, *, unset: UnsetType
) -> T: ...
@overload
def merge_param(name: str, attribute_value: E | T, call_value: E | T, *, unset: E) -> T: ...
@overload
def merge_param(name: str, attribute_value: T, call_value: T, *, unset: object) -> T: ...
def merge_param(name: str, attribute_value: Any, call_value: Any, *, unset: object = None) -> Any:
    """Return the one of two values that is set: the merge by hand.

    A drop-in for `flax.linen.merge_param`, which introduced the idea (google/flax PR #683, with
    the design note "Dealing with Module Arguments").

    Args:
        name: the parameter's name, for the errors.
        attribute_value: what the constructor attribute holds.
        call_value: what the call gave.
        unset: the object that means "not set", compared by identity.

    Returns:
        The value that is set, the very object.

    Raises:
        MissingParamError: neither is set.
        ConflictingParamError: both are set, even if to equal values.

    >>> from mergeparam import merge_param
    >>> class Dropout:
    ...     deterministic = None
    ...     def __call__(self, x, deterministic=None):
    ...         deterministic = merge_param("deterministic", self.deterministic, deterministic)
    ...         return "kept" if deterministic else "dropped"
    >>> Dropout()(1.0, deterministic=True)
    'kept'
    """
    if call_value is unset:
        if attribute_value is unset:
            raise missing_error(CallState(name, attribute_value, call_value))
        return attribute_value
    if attribute_value is not unset:
        raise conflict_error(CallState(name, attribute_value, call_value))
    return call_value


def neither(receiver: Any, param: str, unset: object, name: str) -> Any:  # noqa: ANN401 - values are any object
    """Return what is provided to a parameter that neither place has set.

    Else call the private method of this name, which has the default or raises. Whoever calls the
    function of a merged method may hand over any object: a stand-in, or one of a class that has
    borrowed the function. That is no reason to fail for a private name.
    """
    if living.scopes:
        value = provided(param, unset)
        if value is not unset:
            return value
    # A proxy tells the class of its object in the second way, if it tells any.
    for cls in (type(receiver), getattr(receiver, "__class__", None)):
        missing = getattr(cls, name, None)
        # A metaclass may answer to every name.
        if isinstance(missing, FunctionType):
            return missing(receiver)
    code = sys._getframe(1).f_code  # noqa: SLF001 - the only way to the function's name
    owner = type(receiver).__qualname__
    raise MissingParamError(
        f"{qualified_name(code, code.co_name)}() was called with {shorten(receiver)}, and "
        f"{param!r} is set in neither place: neither on that object nor in the call. "
        f"@mergeable has merged this function for another class than {owner}. "
        f"Give {param}=... in the call, or put @mergeable({param!r}) on {owner}.",
        owner=owner,
        method=code.co_name,
        param=param,
    )


# What these functions close over are plain values: Dynamo cannot trace objects of attrs in cells.
def make_missing(method: MergedMethod, param: Param) -> Callable[..., Any]:
    """Make the private method that is called where neither has set a parameter."""
    unset, default = param.unset, param.default
    wanted, attribute, called, owner = param.name, param.attribute, method.name, method.owner
    held, may_stay_unset = param.attribute_unset, default is unset
    default_for = evaluator(unset if default is attrs.NOTHING else default)

    def missing(self: object) -> Any:  # noqa: ANN401 - values are any object
        # Mostly no scope is open anywhere, and then there is nothing to look for.
        value = provided(wanted, _NOT_PROVIDED) if living.scopes else _NOT_PROVIDED
        # The `unset` object may be provided too. Then a default would hide a mistake.
        is_given = value is not _NOT_PROVIDED
        if not is_given:
            value = default_for(self)
        if value is not unset or may_stay_unset:
            return value
        cls = type(self).__qualname__
        argument = ""
        others: list[str] = []
        # Dynamo traces no frames; in a compiled call the error names one parameter.
        if not is_tracing():
            argument = constructor_argument(type(self), attribute)
            others = _also_missing(self, owner, called, wanted)
        state = CallState(wanted, held, unset, attribute, cls, called, owner, is_given, argument)
        raise missing_error(state, others)

    def constant(self: object) -> Any:  # noqa: ANN401 - likewise
        return default if not living.scopes else missing(self)

    # The common case of a default takes as little as code by hand.
    is_constant = default is not attrs.NOTHING and not isinstance(default, attrs.Factory)  # type: ignore[arg-type]  # a class at run time
    return constant if is_constant else missing


def make_conflict(
    method: MergedMethod, param: Param, *, forwarded: bool = False
) -> Callable[..., Any]:
    """Make the private method that is called where both have set a parameter.

    It is `forwarded` for a subclass that merges the parameter again: its body holds the merged
    value and may hand it on to `super()`, so that the very same object twice is no conflict.
    """
    suffix, compares = method.names.suffix, param.on_conflict == "raise_if_different"
    wanted, attribute, called, owner = param.name, param.attribute, method.name, method.owner

    def conflict(self: object, call_value: Any, attribute_value: Any) -> Any:  # noqa: ANN401 - values are any object
        if forwarded and call_value is attribute_value:
            return call_value
        if compares and is_equal(call_value, attribute_value):
            return call_value
        # In a class with several bases, another base may come first and merge the parameter too.
        if call_value is attribute_value and _is_forwarded(type(self), suffix, called, wanted):
            return call_value
        if call_value is MERGED:
            override = find_definer(type(self), called)
            raise MergeDefinitionError(
                f"{getattr(override, '__qualname__', override)}.{called}() hands on MERGED for "
                f"{wanted!r}, the default of a parameter that it does not merge. Put "
                f"@mergeable({wanted!r}) on top of that class."
            )
        cls = type(self).__qualname__
        argument = "" if is_tracing() else constructor_argument(type(self), attribute)
        values = attribute_value, call_value
        raise conflict_error(
            CallState(wanted, *values, attribute, cls, called, owner, argument=argument)
        )

    return conflict


def make_body(body: Any) -> Callable[..., Any]:  # noqa: ANN401 - whatever the class's namespace held
    """Make the private method that returns the body of a wrapped method.

    A function takes the object as its first argument. Everything else is bound to the object, as
    attribute lookup binds it.
    """
    # Dynamo of PyTorch 2.11 cannot trace the `__get__` of a function.
    bind = None if isinstance(body, FunctionType) else getattr(type(body), "__get__", None)

    def body_for(self: object) -> Any:  # noqa: ANN401 - likewise
        return body if bind is None else bind(body, self, type(self))

    body_for.__wrapped__ = body  # type: ignore[attr-defined]  # for tools that look for it
    return body_for


def refuse_unnamed(self: object, name: str) -> NoReturn:
    """Refuse a call in which a parameter is left at `MERGED`, because no decorator names it."""
    raise MergeDefinitionError(
        f"{type(self).__qualname__} was called without {name!r}, whose default is MERGED, and no "
        f"@mergeable names it. Name it in the decorator, or write another default."
    )


def evaluator(declared: Any) -> Callable[[object], Any]:  # noqa: ANN401 - values are any object
    """Return what tells a declared value for an object; a factory makes it in each call."""
    if not isinstance(declared, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return lambda _: declared
    factory: Callable[..., Any] = declared.factory
    return factory if declared.takes_self else lambda _: factory()


def is_set(obj: object, param: Param) -> bool | None:
    """Whether the constructor has set a parameter; `None` where `when` says it is not merged."""
    if param.when is not None and not param.when(obj):
        return None
    held: object = operator.attrgetter(param.attribute)(obj)
    return held is not param.attribute_unset


def is_needed(obj: object, param: Param) -> bool:
    """Whether a call of the object has to give a parameter, where this is asked."""
    if is_set(obj, param) is not False or param.default is param.unset:
        return False
    # Asked for in any case, because a trace must not keep an answer that is not in its key.
    value = provided(param.name, _NOT_PROVIDED)
    if value is _NOT_PROVIDED:
        default = param.unset if param.default is attrs.NOTHING else param.default
        value = evaluator(default)(obj)
    return value is param.unset


def _is_forwarded(cls: type, suffix: str, method: str, param: str) -> bool:
    """Whether a class before the one of this declaration merges the parameter of the method."""
    merges_before = False
    for level in merged_methods_of(cls):
        if level.names.suffix == suffix:
            return merges_before
        if level.name == method and any([param == other.name for other in level.params]):
            merges_before = True
    return False


def is_equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - values are any object
    """Compare two values; those that cannot be compared, such as tracers, are different."""
    try:
        equal = one == other
        if equal is True or equal is False:
            return bool(equal)
        # Arrays of different shapes may be compared by broadcasting.
        if getattr(one, "shape", None) != getattr(other, "shape", None):
            return False
        return bool(equal.all() if hasattr(equal, "all") else equal)
    except Exception:  # noqa: BLE001 - a foreign comparison may raise anything
        return False


def _also_missing(self: object, owner: str, method: str, first: str) -> list[str]:
    """Return the names of the other parameters that are missing in a call.

    Parameters before the first one are merged there.
    """
    params = [
        param
        for level in merged_methods_of(type(self))
        # Stacked decorators have a declaration each, in the class of the first one.
        if level.name == method and level.owner == owner
        for param in level.params
        if param.name != first
    ]
    missing: list[str] = []
    if not params:
        return missing
    merge: Any = sys._getframe(2)  # noqa: SLF001 - the only way to the other arguments
    if merge.f_code is neither.__code__:
        merge = merge.f_back
    given = merge.f_locals
    for param in params:
        # A property may raise anything; then the error speaks of the other parameters alone.
        with contextlib.suppress(Exception):
            if given[param.name] is param.unset and is_needed(self, param):
                missing.append(param.name)
    return missing
