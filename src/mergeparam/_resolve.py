"""The slow paths of a merge: provided value, default, conflict; and the merge as a function."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from mergeparam._lookup import levels
from mergeparam._call.provide import is_provided, provided
from mergeparam._report import Situation, conflict_error, missing_error
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    import enum

    from mergeparam._sentinels import UnsetType
    from mergeparam._spec import MergedMethod, Param

T = TypeVar("T")
E = TypeVar("E", bound="enum.Enum")


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
            raise missing_error(Situation(name, attribute_value, call_value))
        return attribute_value
    if attribute_value is not unset:
        raise conflict_error(Situation(name, attribute_value, call_value))
    return call_value


def resolve_neither(self: object, unset: Any, key: str, name: str) -> Any:  # noqa: ANN401 - values are any object
    """Return what a parameter is where neither place has set it, or raise.

    Every decorated class carries this as a method; the merge in its methods calls it. A
    provided value is looked for first, before anything is known of the parameter.
    """
    value = provided(name, unset)
    if value is not unset:
        return value
    method, param = _declaration(type(self), key, name)
    if not is_provided(name):
        value = declared_default(self, param)
        if value is not unset:
            return value
    raise missing_error(_situation(self, method, param, unset, unset))


def resolve_both(self: object, call_value: Any, key: str, attribute_value: Any, name: str) -> Any:  # noqa: ANN401 - values are any object
    """Return what a parameter is where the call has set it and the attribute may, or raise.

    Every decorated class carries this as a method; the merge in its methods calls it.
    """
    method, param = _declaration(type(self), key, name)
    if attribute_value is param.unset:
        return call_value
    return _settle(self, method, param, call_value, attribute_value)


def _declaration(cls: type, key: str, name: str) -> tuple[MergedMethod, Param]:
    method = _merged_method(cls, key)
    return method, next(param for param in method.params if param.name == name)


def _merged_method(cls: type, key: str) -> MergedMethod:
    found = [method for method in levels(cls) if method.key.text == key]
    if len(found) > 1:
        msg = (
            f"{cls.__qualname__} inherits from two merged classes of one name that come from two "
            f"processes ({key}), so that their merges cannot be told apart. Give one of the "
            f"classes another name."
        )
        raise MergeDefinitionError(msg)
    if not found:
        msg = (
            f"{cls.__qualname__} runs a method that another class has merged ({key}), and has no "
            f"part in that class. Inherit from it, or share the function before it is merged and "
            f"put @mergeable on both classes."
        )
        raise MergeDefinitionError(msg)
    return found[0]


def declared_default(self: object, param: Param) -> object:
    """Return the parameter's default for this object; its `unset` object where it has none."""
    default = param.default
    if default is attrs.NOTHING:
        return param.unset
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return default
    return default.factory(self) if default.takes_self else default.factory()


def _settle(
    self: object,
    method: MergedMethod,
    param: Param,
    call_value: object,
    attribute_value: object,
) -> object:
    if param.on_conflict == "use_attribute":
        return attribute_value
    if _is_forwarded(type(self), method, param) and call_value is attribute_value:
        return call_value
    if param.on_conflict == "raise_if_different" and _is_equal(call_value, attribute_value):
        return call_value
    raise conflict_error(_situation(self, method, param, attribute_value, call_value))


def _is_forwarded(cls: type, method: MergedMethod, param: Param) -> bool:
    """Whether a class before this one has merged the same parameter of the same method.

    Then its body holds the merged value, and may hand it on to `super()`.
    """
    before = itertools.takewhile(lambda level: level.key != method.key, levels(cls))
    return any(
        level.name == method.name and any(param.name == other.name for other in level.params)
        for level in before
    )


def _is_equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - values are any object
    """Compare two values; those that cannot be compared, such as tracers, are different."""
    try:
        if getattr(one, "shape", None) != getattr(other, "shape", None):
            return False
        equal = one == other
        return bool(equal.all() if hasattr(equal, "all") else equal)
    except Exception:  # noqa: BLE001 - a foreign comparison may raise anything
        return False


def _situation(
    self: object, method: MergedMethod, param: Param, attribute_value: object, call_value: object
) -> Situation:
    return Situation(
        param.name,
        attribute_value,
        call_value,
        attribute=param.attribute,
        owner=type(self).__qualname__,
        method=method.name,
        declared_by=method.owner,
        is_provided=is_provided(param.name),
    )
