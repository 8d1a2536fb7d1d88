"""The only place that changes a class or a function."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from mergeparam._frameworks import checks_types
from mergeparam._lookup import MERGED_NAMES, merged_names
from mergeparam._prologue import BOTH, NEITHER, WRITTEN, unset_attributes
from mergeparam._resolve import resolve_both, resolve_neither
from mergeparam._rewrap import is_changed_in_place, rewrap
from mergeparam._sentinels import MERGED
from mergeparam._signature import copy_annotations, set_signature, shows
from mergeparam._spec import MergedClass, MergedMethod
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from mergeparam._collect import Target
    from mergeparam._locate import Located
    from mergeparam._spec import Param


def goes_around(place: Located) -> bool:
    """Whether the merge goes around what is around the function, which stays as it is then.

    It checks types, and should see merged values; or a base holds it too.
    """
    if place.is_wrapped and checks_types(place.chain[0]):
        return True
    return place.is_borrowed and is_changed_in_place(place.chain)


def install_code(target: Target, code: CodeType) -> None:
    """Make the method run `code`.

    The function is copied, because a base, another class or a module may share it, and the copy
    is wrapped as the function was. Inside a wrapper that only its author can make it is changed
    in place, so that the wrapper goes on to call it.
    """
    place, params = target.located, target.params
    function = copy_function(place.function(), code)
    chain = rewrap(place.chain, function)
    if chain is not None:
        _set_chain_signatures(chain, params)
        _set_attribute(place.cls, place.method, chain[0])
    else:
        function = place.function()
        function.__code__ = code
        _set_chain_signatures(place.chain, params)
    _mark(function, params)


def install_wrapper(
    target: Target, make: Callable[[FunctionType, Callable[..., Any]], FunctionType]
) -> None:
    """Put the wrapper that `make` builds in the method's place.

    It goes around a plain function, or around a wrapper that stays as it is, such as a base's:
    then it speaks for itself.
    """
    place, params = target.located, target.params
    function, method = place.function(), place.chain[0]
    if not place.is_wrapped:
        function = method = copy_function(function, function.__code__)
    wrapper = make(function, method)
    copy_annotations(function, wrapper)
    if place.is_wrapped:
        del wrapper.__wrapped__  # type: ignore[attr-defined]  # of functools
    else:
        _mark(function, params)
        set_signature(function, params)
    _mark(wrapper, params)
    set_signature(wrapper, params)
    _set_attribute(place.cls, place.method, wrapper)


def install_enclosure(
    target: Target, code: CodeType, body_name: str, helper: tuple[str, object]
) -> None:
    """Make the method run `code`, and the class hold what that reaches: the body, and a helper."""
    place, function = target.located, target.located.function()
    body = copy_function(function, function.__code__)
    # Its examples are those of the method, and are to be found once.
    body.__doc__ = None
    # It is no method that subclasses could override.
    body.__dict__.pop("__isabstractmethod__", None)
    if goes_around(place):
        body = place.chain[0]  # type: ignore[assignment]  # what must not change
        enclosed = copy_function(function, code)
        enclosed.__dict__.update(_without_link(place.chain[0]))
        set_signature(enclosed, target.params)
        _mark(enclosed, target.params)
        _set_attribute(place.cls, place.method, enclosed)
    else:
        install_code(target, code)
    _set_attribute(place.cls, body_name, staticmethod(body))
    _set_attribute(place.cls, *helper)


def _without_link(wrapper: Callable[..., Any]) -> dict[str, object]:
    """Return the attributes of a wrapper, save the one that leads to what it wraps."""
    held: dict[str, object] = getattr(wrapper, "__dict__", {})
    return {name: value for name, value in held.items() if name != "__wrapped__"}


def install_specification(cls: type, methods: tuple[MergedMethod, ...]) -> None:
    """Make the class carry its merged methods, and what their slow paths need."""
    before = cls.__dict__.get("__mergeable__")
    own = () if before is None else before.methods
    _set_attribute(cls, "__mergeable__", MergedClass(cls.__qualname__, (*methods, *own)))
    _set_attribute(cls, NEITHER, resolve_neither)
    _set_attribute(cls, BOTH, resolve_both)
    _set_attribute(cls, WRITTEN, MERGED)
    for method in methods:
        for name, unset in unset_attributes(method.key.text, method.params).items():
            # In the class, an object that binds itself would come out as another one.
            binds = hasattr(type(unset), "__get__")
            _set_attribute(cls, name, staticmethod(unset) if binds else unset)  # type: ignore[arg-type]


def copy_function(function: FunctionType, code: CodeType) -> FunctionType:
    """Return a function that differs from `function` in nothing but its code."""
    copy = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__dict__.update(function.__dict__)
    for name in ("__module__", "__qualname__", "__doc__", "__kwdefaults__", "__type_params__"):
        if hasattr(function, name):
            setattr(copy, name, getattr(function, name))
    copy_annotations(function, copy)
    return copy


def _set_chain_signatures(
    chain: tuple[Callable[..., Any], ...], params: tuple[Param, ...]
) -> None:
    for function in chain:
        innermost = function is chain[-1]
        if isinstance(function, FunctionType) and (innermost or shows(function, params)):
            set_signature(function, params)


def _mark(function: FunctionType, params: tuple[Param, ...]) -> None:
    names = tuple(param.name for param in params)
    setattr(function, MERGED_NAMES, merged_names(function) + names)


def _set_attribute(cls: type, name: str, value: object) -> None:
    try:
        setattr(cls, name, value)
    except (TypeError, AttributeError) as error:
        msg = (
            f"{cls.__qualname__} does not let its attribute {name!r} be set ({error}). "
            f"Put @mergeable on a subclass of it."
        )
        raise MergeDefinitionError(msg) from error
