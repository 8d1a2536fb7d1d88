"""`mergeable`: declare, inject, install."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import attrs

from mergeparam._declare.body import (
    warn_of_raw_reads,
    warn_of_sentinels,
    warn_of_stored_defaults,
)
from mergeparam._declare.checks import (
    Declaration,
    check_all_named,
    declare,
    make_params,
    refuse_options,
)
from mergeparam._declare.methods import (
    carrier_of,
    find_definer,
    merged_names,
    own_methods,
    unwrap,
)
from mergeparam._declare.signature import read_original
from mergeparam._frameworks import adapters, checks_types, load_adapters
from mergeparam._inject.install import Plan, install
from mergeparam._inject.source import (
    free_suffix,
    share_globals,
    share_objects,
    take_until_gone,
)
from mergeparam._inject.splice import Injection, SpliceError, choose_injection, splice_merge
from mergeparam._spec import MergedClass, MergedMethod, OnConflict, Param, PrivateNames
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

C = TypeVar("C", bound=type[Any])


@overload
def mergeable(cls: C, /) -> C: ...
@overload
def mergeable(
    *params: str | Param,
    method: str | Iterable[str] = ...,
    attribute: str | None = ...,
    unset: object = ...,
    on_conflict: OnConflict = ...,
    default: Any = ...,  # noqa: ANN401 - values are any object
    provide: bool = ...,
    inject: Injection = ...,
) -> Callable[[C], C]: ...
def mergeable(
    *params: Any,
    method: str | Iterable[str] = "__call__",
    attribute: str | None = None,
    unset: object = None,
    on_conflict: OnConflict = "raise",
    default: Any = attrs.NOTHING,
    provide: bool = False,
    inject: Injection = "auto",
    **unknown: object,
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
        attribute: as in `Param`, for a single parameter that is given by name.
        unset: as in `Param`. This and the next two hold for every parameter that is given by
            name, or that bare `@mergeable` takes; a `Param` keeps its own.
        on_conflict: as in `Param`.
        default: as in `Param`.
        provide: whether the merged values are provided to every call made inside the body, as
            if it stood in `with mergeparam.provide(...):`. A coroutine provides only while it
            runs. Such a body gets code of its own around it, whatever `inject` says.
        inject: `"inline"` splices the merge into the method's code, `"wrap"` puts a generated
            wrapper with the same signature around it. `"auto"` splices where this interpreter
            and the method allow it; the environment variable `MERGEPARAM_INJECT` overrules it.
        **unknown: there are no others; what is given is refused, with a list of the options.

    Returns:
        The same class, with its methods merged and its specification in `__mergeable__`. Put
        the decorator on top, as the last one applied.

    Raises:
        MergeDefinitionError: the declaration cannot be right: a name that no listed method or no
            attribute has, that is given twice or merged already; a default that would count as
            set; a required parameter that follows; a static or class method; a callable that
            cannot be read; a generator with `provide`; a parameter left at `MERGED`; an unknown
            option, options without a name that they hold for, `attribute` with several names,
            and what `Param` refuses.

    Warns:
        MergeWarning: a merged body reads the raw attribute or merges once more, `__init__`
            stores a default that would count as set, or what means "not set" is another object
            in a copy of the object.

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
    if unknown:
        refuse_options(unknown)
    by_name = functools.partial(
        Param, attribute=attribute, unset=unset, on_conflict=on_conflict, default=default
    )
    is_bare = len(params) == 1 and isinstance(params[0], type)
    given = make_params(() if is_bare else params, by_name)

    def decorate(cls: C) -> C:
        load_adapters()
        if not isinstance(cls, type):
            raise MergeDefinitionError(
                f"@mergeable decorates a class, and {shorten(cls)} is none. Put it on top of the "
                f"class that has the constructor attribute; a function has no constructor."
            )
        # There is no other way to see the decorators above.
        frame = sys._getframe(2 if is_bare else 1)  # noqa: SLF001
        for adapter in adapters:
            adapter.check_decorators(cls, frame)
        strategy = choose_injection(inject)

        # Everything that can be wrong is found before anything is changed.
        declarations = declare(cls, given, method, by_name, frame)
        plans = [_plan(declaration, strategy, provide) for declaration in declarations]
        check_all_named(cls, declarations, frame)
        for declaration in declarations:
            warn_of_raw_reads(declaration)
            warn_of_stored_defaults(declaration)
            warn_of_sentinels(declaration)

        install(cls, plans)
        for adapter in adapters:
            adapter.finish_class(cls)
            suffixes = [level.names.suffix for level in own_methods(cls)]
            adapter.keep_merged(cls, functools.partial(merge_anew, suffixes=suffixes))
        return cls

    return decorate(params[0]) if is_bare else decorate


def merge_anew(cls: type, suffixes: Sequence[str]) -> None:
    """Merge again in every own method whose function a tool has compiled anew in place."""
    carrier = carrier_of(cls)
    new: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        new = getattr(new, name, None)
    for level in reversed(own_methods(cls)):
        found: Any = vars(cls).get(level.name)
        code = getattr(found, "__code__", found)
        newer = getattr(getattr(new, level.name, None), "__code__", None)
        if new is not cls and newer is not None and newer is code:
            # Its functions have the code of the new class, and merge as those of that class do.
            # What old wrappers hold asks under the old names, which autoreload has removed.
            for old, other in zip(suffixes, own_methods(new), strict=False):
                for name, held in [*vars(carrier_of(new)).items()]:
                    if name.endswith(other.names.suffix):
                        setattr(carrier, name.removesuffix(other.names.suffix) + old, held)
            carrier.__mergeable__ = MergedClass(level.owner, own_methods(new))  # type: ignore[attr-defined]
            return
        names = {param.name for param in level.params}
        chain = unwrap(found)
        if found is None or any(names <= {*merged_names(link)} for link in chain):
            continue
        for link in chain:
            # IPython compiles a single method in a class of this name.
            lost = getattr(link, "__code__", None)
            if lost is not None and lost.co_qualname == f"__autoreload_class__.{lost.co_name}":
                link.__code__ = lost.replace(co_qualname=f"{cls.__qualname__}.{lost.co_name}")
        strategy = choose_injection("auto" if level.injection == "inline" else "wrap")
        (declaration,) = declare(cls, level.params, level.name)
        warn_of_raw_reads(declaration)
        plan = _plan(declaration, strategy, level.provides)
        # The private methods of before stay, for old functions in wrappers that were not changed.
        kept = tuple([other for other in own_methods(cls) if other is not level])
        carrier.__mergeable__ = MergedClass(level.owner, kept)  # type: ignore[attr-defined]
        install(cls, [plan])


def _plan(
    declaration: Declaration,
    strategy: Injection,
    provides: bool,  # noqa: FBT001 - as it comes from the decorator's arguments
) -> Plan:
    """Work out the code of a merged method, and what the class will carry of it."""
    # What checks types should see merged values, so the merge goes around it.
    methods = (declaration.method, *declaration.aliases)
    checked = None
    for one in methods if strategy != "inline" else ():
        checked = one if checks_types(one.found) else checked
    if checked is not None:
        for other in methods:
            if other.found is not checked.found:
                raise MergeDefinitionError(
                    f"{checked.label} checks types, so that the merge goes around it, and "
                    f"{other.label} runs the same function. List one of them in method=, and let "
                    f"the other one call it: self.{checked.name}(...)."
                )
        method = declaration.method._replace(ownership="opaque")
        declaration = declaration._replace(method=method)
    method, params = declaration.method, declaration.params
    # The globals of a function from elsewhere are not ours to add to.
    is_own = method.ownership == "own"
    shared = share_objects(declaration) if is_own else {}
    number, suffix = free_suffix()
    through_class = (
        find_definer(method.cls, "__getattribute__") is not None
        # Where this is a property, as in proxies, it may tell another class.
        and find_definer(method.cls, "__class__") is None
    )
    in_own_module = is_own and share_globals(method.function)
    names = PrivateNames(suffix, shared, in_own_module, through_class)

    code, size = None, 0
    if strategy != "wrap" and not provides:
        try:
            code, size = splice_merge(declaration, names)
        except SpliceError as error:
            if strategy == "inline":
                raise MergeDefinitionError(
                    f"{method.label} cannot be merged inline: {error}. "
                    f"Write inject='auto', which falls back to a wrapper."
                ) from error
    injection: Literal["inline", "wrap"] = "inline"
    if code is None:
        # Most programs never come here, and should not wait for what is needed here.
        from mergeparam._inject.wrapper import wrap  # noqa: PLC0415

        injection = "wrap"
        code = wrap(declaration, names, provides=provides)
    merged = MergedMethod(
        name=method.name,
        owner=method.cls.__qualname__,
        params=params,
        injection=injection,
        size=size,
        names=names,
        original=read_original(method.function),
        provides=provides,
    )
    take_until_gone(number, suffix, code, merged)
    return Plan(declaration, merged, code)
