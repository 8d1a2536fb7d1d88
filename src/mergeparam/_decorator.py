"""`mergeable`: the way from a class and names to a class whose methods merge."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

from mergeparam._collect import Target, check_params, collect
from mergeparam._frameworks import adapters, checks_types, load_adapters
from mergeparam._install import (
    goes_around,
    install_code,
    install_enclosure,
    install_specification,
    install_wrapper,
)
from mergeparam._key import fresh_key
from mergeparam._prologue import make_merges, merge_source
from mergeparam._raw_reads import warn_of_raw_reads
from mergeparam._rewrap import is_changed_in_place
from mergeparam._signature import read_written
from mergeparam._spec import MergedMethod, Param
from mergeparam._splice import SpliceError, insert, make_patch
from mergeparam._strategy import choose
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

    from mergeparam._locate import Located

C = TypeVar("C", bound=type[Any])
Inject = Literal["auto", "inline", "wrap"]


@overload
def mergeable(cls: C, /) -> C: ...
@overload
def mergeable(
    *params: str | Param,
    method: str | Iterable[str] = ...,
    provide: bool = ...,
    inject: Inject = ...,
) -> Callable[[C], C]: ...
def mergeable(
    *params: Any,
    method: str | Iterable[str] = "__call__",
    provide: bool = False,
    inject: Inject = "auto",
) -> Any:
    """Let parameters of a method be set at construction or at call time, but not both.

    A merged method behaves as if its body began with the merge written by hand: each parameter
    takes the value that is set, and it is an error if neither or both are. See Flax's design
    note "Dealing with Module Arguments" and `flax.linen.merge_param` for where this is from.
    The signature keeps every parameter's kind and position; the merged ones become optional.

    Args:
        *params: the parameters to merge, by name or as `Param`. None at all (bare
            `@mergeable`): every parameter whose default is `MERGED`.
        method: the method to merge them in, or several. Each listed method declares at least
            one of the parameters, and each parameter is declared by at least one method.
        provide: whether the merged values are provided to every call made inside the body, as
            if it stood in `with mergeparam.provide(...):`. A generator or coroutine provides
            only while it runs, not to what runs while it is suspended. Such a body gets code
            of its own around it, whatever `inject` says.
        inject: `"inline"` splices the merge into the method's code, `"wrap"` puts a generated
            wrapper with the same signature around it. `"auto"` splices where this interpreter
            and the method allow it; the environment variable `MERGEPARAM_INJECT` overrules it.

    Returns:
        The same class, with its methods merged and its specification in `__mergeable__`. Put
        the decorator on top, as the last one applied.

    Raises:
        MergeDefinitionError: the declaration cannot be right: a parameter that no listed method
            declares, a default that would count as set, a default that cannot be made optional,
            an attribute that the class does not have, a name given twice or merged already, a
            static or class method, a callable whose signature cannot be read.

    Warns:
        MergeWarning: a merged body reads the raw attribute.

    >>> import attrs
    >>> from mergeparam import MERGED, mergeable
    >>> @mergeable("deterministic")
    ... @attrs.frozen
    ... class Dropout:
    ...     rate: float
    ...     deterministic: bool | None = None
    ...
    ...     def __call__(self, x, *, deterministic: bool = MERGED):
    ...         return x if deterministic else x * (1 - self.rate)
    >>> Dropout(0.5, deterministic=True)(1.0)
    1.0
    >>> Dropout(0.5)(1.0, deterministic=False)
    0.5
    >>> Dropout(0.5)(1.0)
    Traceback (most recent call last):
        ...
    mergeparam.errors.MissingParamError: Dropout.__call__(): 'deterministic' is set in neither ...
    """
    if len(params) == 1 and isinstance(params[0], type):
        return _decorate(params[0], (), method, provide, inject)

    check_params("@mergeable", params)

    def decorate(cls: C) -> C:
        return _decorate(cls, params, method, provide, inject)

    return decorate


class _Prepared(NamedTuple):
    """All that is known of one method before anything is changed."""

    target: Target
    method: MergedMethod
    code: CodeType | None
    """The spliced code; `None` where a wrapper is to serve."""


def _decorate(
    cls: C,
    params: tuple[str | Param, ...],
    methods: str | Iterable[str],
    provide: bool,  # noqa: FBT001 - as it comes from the decorator's arguments
    inject: str,
) -> C:
    load_adapters()
    _check_class(cls)
    for adapter in adapters:
        adapter.check_decorators(cls, _frame_of_the_class())
    strategy = choose(inject)
    targets = collect(cls, params, methods)
    prepared = [_prepare(target, strategy, provides=provide) for target in targets]
    for target in targets:
        warn_of_raw_reads(target)
    for item in prepared:
        _install(item)
    install_specification(cls, tuple(item.method for item in prepared))
    for adapter in adapters:
        adapter.finish_class(cls)
    return cls


def _frame_of_the_class() -> FrameType:
    """Return the frame that applies the decorator."""
    frame = sys._getframe()  # noqa: SLF001 - there is no other way to it
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _check_class(cls: object) -> None:
    if not isinstance(cls, type):
        msg = (
            f"@mergeable decorates a class, and {shorten(cls)} is none. Put it on top of the "
            f"class that has the constructor attribute; a function has no constructor."
        )
        raise MergeDefinitionError(msg)


def _prepare(target: Target, strategy: Inject, *, provides: bool) -> _Prepared:
    place, params = target.located, target.params
    if provides:
        _check_can_provide(place)
    key = fresh_key(f"{place.cls.__module__}.{place.cls.__qualname__}.{place.method}")
    code, size = (None, 0) if provides else _spliced(target, key.text, strategy)
    method = MergedMethod(
        key=key,
        name=place.method,
        owner=place.cls.__qualname__,
        params=params,
        injection="wrap" if code is None else "inline",
        size=size,
        written=read_written(place.function()),
        provides=provides,
    )
    return _Prepared(target, method, code)


def _check_can_provide(place: Located) -> None:
    flags = place.function().__code__.co_flags
    is_generator = flags & inspect.CO_GENERATOR and not flags & inspect.CO_ITERABLE_COROUTINE
    if is_generator or flags & inspect.CO_ASYNC_GENERATOR:
        msg = (
            f"{place.place} is a generator, and @mergeable(provide=True) would leave its scope "
            f"open to whoever consumes it. Leave provide=True out, and write "
            f"`with provide(...):` around the part of the body that does not yield."
        )
        raise MergeDefinitionError(msg)


def _spliced(target: Target, key: str, strategy: Inject) -> tuple[CodeType | None, int]:
    """Return the method's code with the merge in it, and the merge's size in bytes.

    Where a wrapper has to serve there is no such code.
    """
    place = target.located
    if strategy == "wrap" or (strategy == "auto" and checks_types(place.chain[0])):
        return None, 0
    try:
        return _splice_into(target, key)
    except SpliceError as error:
        if strategy == "auto":
            return None, 0
        msg = (
            f"{place.place} cannot be merged inline: {error}. "
            f"Write inject='auto', which falls back to a wrapper."
        )
        raise MergeDefinitionError(msg) from error


def _splice_into(target: Target, key: str) -> tuple[CodeType, int]:
    place = target.located
    if place.is_borrowed and is_changed_in_place(place.chain):
        msg = "it wraps what a base class holds, which must not change"
        raise SpliceError(msg)
    code = place.function().__code__
    merges = make_merges(code, key, place.receiver, target.params, remembered=target.remembered)
    patch = make_patch(code, merges)
    return insert(code, patch), len(patch.raw)


def _install(item: _Prepared) -> None:
    if item.code is not None:
        install_code(item.target, item.code)
    else:
        _install_generated(item)


def _install_generated(item: _Prepared) -> None:
    # Most programs never come here, and should not wait for what is needed here.
    from mergeparam._enclose import body_attribute, enclose, helper_attribute  # noqa: PLC0415
    from mergeparam._wrap import wrap  # noqa: PLC0415

    place, params = item.target.located, item.target.params
    key, function, provides = item.method.key.text, place.function(), item.method.provides
    merge = merge_source(key, place.receiver, params, remembered=item.target.remembered)
    if provides or (place.is_wrapped and not goes_around(place)):
        code = enclose(function, key, place.receiver, params, merge, provides=provides)
        install_enclosure(item.target, code, body_attribute(key), helper_attribute(function))
    else:
        install_wrapper(item.target, lambda function, inner: wrap(function, inner, merge))
