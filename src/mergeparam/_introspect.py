"""What is merged in a class, and what an instance still needs."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

from mergeparam._call.resolve import is_needed, is_set
from mergeparam._declare.methods import declarations, find_method, merged_methods_of
from mergeparam._declare.signature import POSITIONAL, read_signature, without_parameters
from mergeparam._spec import RAISING
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from mergeparam._spec import Param


def merged_params(target: object, method: str | None = None) -> tuple[Param, ...]:
    """Return how the parameters of a method are merged.

    Args:
        target: a class, subscripted (`Layer[int]`) or not, or an instance.
        method: the method's name. Left out, it is `__call__` where that is merged, else the one
            merged method.

    Returns:
        The `Param`s in the order of the signature, those of bases included, with private names as
        Python mangles them; none where a subclass overrides the method and does not merge in it.

    Raises:
        MergeDefinitionError: a merged class has no such method.
        TypeError: no method is named, and several are merged, none of them `__call__`.

    >>> from mergeparam import MERGED, mergeable, merged_params
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     deterministic = None
    ...     def __call__(self, x, *, deterministic=MERGED): ...
    >>> [param.name for param in merged_params(Dropout)]
    ['deterministic']
    """
    cls = _class_in(target) or type(target)
    return tuple(param for _, param in declarations(cls, _method_of(cls, method)))


def merged_signature(target: object, method: str | None = None) -> inspect.Signature:
    """Return the signature of a method, without the object itself.

    Args:
        target: a class, or an instance.
        method: the method's name; left out, it is found as by `merged_params`.

    Returns:
        What callers may write: of a class, for any of its instances; of an instance, for this
        one, now. A parameter that its constructor has set is gone where giving it would raise,
        and those of `unset_params` are required. What cannot be reached by position any more is
        keyword-only; a positional-only one stays, though it is set, where a required one follows,
        because callers give its `unset` object to reach that.

    Raises:
        MergeDefinitionError: the target has no such method, or its signature cannot be read.
        TypeError: no method is named, and several are merged, none of them `__call__`.

    >>> from mergeparam import MERGED, mergeable, merged_signature
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     def __init__(self, deterministic=None):
    ...         self.deterministic = deterministic
    ...     def __call__(self, x, *, deterministic=MERGED): ...
    >>> print(merged_signature(Dropout), merged_signature(Dropout()))
    (x, *, deterministic=None) (x, *, deterministic)
    >>> print(merged_signature(Dropout(deterministic=True)))
    (x)
    """
    named = _class_in(target)
    cls = named or type(target)
    method = _method_of(cls, method)
    signature = read_signature(find_method(cls, method).found)
    first, *others = signature.parameters.values()
    if first.kind in POSITIONAL:  # self, which the call binds
        signature = signature.replace(parameters=others)
    if named is not None:
        return signature
    params = merged_params(cls, method)
    gone = {item.name for item in params if item.on_conflict in RAISING and is_set(target, item)}
    required = {item.name for item in params if is_needed(target, item)}
    return without_parameters(signature, gone, required)


def unset_params(obj: object, method: str | None = None) -> tuple[str, ...]:
    """Return the names that must still be given at call time.

    Args:
        obj: an instance.
        method: the method's name; left out, it is found as by `merged_params`.

    Returns:
        The names of the parameters that the constructor has not set, that nothing is provided
        to where this is called, and that have no default, in the order of the signature. One
        whose `when` is false for this object is not needed.

    Raises:
        MergeDefinitionError: a merged class has no such method.
        TypeError: `obj` is a merged class; or no method is named, and several are merged, none of
            them `__call__`.

    >>> from mergeparam import MERGED, mergeable, unset_params
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     def __init__(self, deterministic=None):
    ...         self.deterministic = deterministic
    ...     def __call__(self, x, *, deterministic=MERGED): ...
    >>> unset_params(Dropout()), unset_params(Dropout(deterministic=True))
    (('deterministic',), ())
    """
    check_instance("unset_params", obj)
    return tuple(param.name for param in merged_params(obj, method) if is_needed(obj, param))


def route(obj: object, /, **flags: Any) -> dict[str, Any]:  # noqa: ANN401 - values are any object
    """Return the part of `flags` that a call of `obj` still needs.

    With it a container calls every layer with just the flags that the layer needs:
    `x = layer(x, **route(layer, deterministic=True, use_running_average=True))`.

    Args:
        obj: any object. One that merges nothing needs no flag.
        **flags: names and values of parameters.

    Returns:
        The flags that are merged in `obj` and that its constructor has not set, also where they
        have a default; none whose `when` is false for it. What counts is `__call__`; where that
        is not merged (PyTorch's modules, Keras' layers), every merged method counts.

    Raises:
        TypeError: `obj` is a merged class.

    >>> from mergeparam import MERGED, mergeable, route
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     def __init__(self, deterministic=None):
    ...         self.deterministic = deterministic
    ...     def __call__(self, x, *, deterministic=MERGED): ...
    >>> route(Dropout(), deterministic=True, use_running_average=True)
    {'deterministic': True}
    >>> route(Dropout(False), deterministic=True), route(len, deterministic=True)
    ({}, {})
    """
    check_instance("route", obj)
    unset = {
        param.name
        for method in call_methods(type(obj))
        for param in merged_params(obj, method)
        if is_set(obj, param) is False
    }
    return {name: value for name, value in flags.items() if name in unset}


def call_methods(cls: type) -> tuple[str, ...]:
    """Return the merged methods that a call of an instance comes to."""
    return ("__call__",) if declarations(cls, "__call__") else merged_methods(cls)


def merged_methods(cls: type) -> tuple[str, ...]:
    """Return the names of the methods in which something is merged, aliases left out."""
    found: dict[int, str] = {}
    for level in merged_methods_of(cls):
        if declarations(cls, level.name):
            found.setdefault(id(inspect.getattr_static(cls, level.name)), level.name)
    return tuple(found.values())


def _method_of(cls: type, given: str | None) -> str:
    """Return the method that a question is about, if it names none the one that is merged."""
    if given is not None:
        is_there = hasattr(cls, given) or not merged_methods(cls)
        # It knows private names, and says what methods there are.
        return given if is_there else find_method(cls, given).name
    methods = call_methods(cls) or ("__call__",)
    if len(methods) > 1:
        listed = ", ".join([f"method={name!r}" for name in methods])
        raise TypeError(f"{cls.__qualname__} merges in several methods. Write one of {listed}.")
    return methods[0]


def _class_in(target: object) -> type | None:
    """Return the class where one is given, subscripted (`Layer[int]`) or not."""
    cls = typing.get_origin(target) or target
    return cls if isinstance(cls, type) else None


def check_instance(question: str, obj: object) -> None:
    """Refuse a merged class where an instance is asked for: it has no attributes yet."""
    cls = _class_in(obj)
    if cls is not None and merged_methods(cls):
        raise TypeError(
            f"{question} asks what an instance holds, and {shorten(obj)} is a class. "
            f"Give an instance; merged_params tells what is merged in a class."
        )
