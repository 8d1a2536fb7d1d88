"""Flax Linen's own layers, and all others whose methods call `nn.merge_param`.

They read what is provided, and a merged subclass may hand on to them what it has merged.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from flax.linen import module as flax

from mergeparam._frameworks import checks_types
from mergeparam._frameworks.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Args: TypeAlias = tuple[Any, ...]
    Kwargs: TypeAlias = Mapping[str, Any]

R = TypeVar("R")

# Flax has no public way to these. Where they are missing, loading the adapter warns.
STACK, CONTEXT = flax._global_interceptor_stack, flax._context  # noqa: SLF001
_CALL = flax.Module._call_wrapped_method.__name__  # noqa: SLF001
"""The method through which Flax calls all methods of a module, also where `super()` is asked."""

_by_method: WeakKeyDictionary[FunctionType, dict[str, int]] = WeakKeyDictionary()
_by_class: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


class Interceptors(flax.ThreadLocalStack):  # type: ignore[misc]  # mypy runs without Flax
    """The stack of `nn.intercept_methods`, with one interceptor more while a scope is open.

    Flax has a stack for each thread, and takes from it in reverse order. Scopes belong to
    contexts, and close in any order. So nothing is put there: whenever Flax asks, the stack tells
    by what is open then. The interceptor runs last: the user's see what the caller has written,
    and what they give counts as given in the call.
    """

    def __bool__(self) -> bool:
        """Whether Flax has to run interceptors around the method that it is about to call."""
        if len(self) > 0:
            return True
        # Flax has put the module on this other stack when it asks.
        return bool(Adapter.scopes) and _has_merges_by_hand(type(CONTEXT.module_stack[-1]))

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """Yield the interceptors, those first that run last."""
        if Adapter.scopes:
            yield _give_provided
        yield from super().__iter__()


def _give_provided(
    call: Callable[..., R], args: Args, kwargs: Kwargs, context: flax.InterceptorContext
) -> R:
    """Call a method with what is provided, where neither its module nor the call has set it."""
    for name, at in merged_by_hand(context.orig_method.func).items():
        if _given(args, kwargs, name, at) is getattr(context.module, name, ...) is None:
            # Under JAX this raises where a trace would keep a value that is not in its key.
            value = Adapter.provided(name, None)
            if value is not None:
                args, kwargs = _give(args, kwargs, name, at, value)
    return call(*args, **kwargs)


def accept_merged(cls: type) -> None:
    """Let a merged class hand on to a base that merges by hand what that has in its own field.

    `merge_param` in the base would refuse the value, as given twice. So it is left out of the
    call where it is the very object in the field.
    """
    # By their code, which stays equal where cloudpickle sends the class somewhere by value.
    bases: dict[object, dict[str, int]] = {}
    for merged in cls.__mergeable__.methods:  # type: ignore[attr-defined]  # it was just merged
        names = {param.attribute for param in merged.params}
        for base in cls.__mro__[1:]:
            for method in _functions_behind(vars(base).get(merged.name)):
                by_hand = merged_by_hand(method)
                bases[method.__code__] = {name: by_hand[name] for name in names & by_hand.keys()}
    if not any(bases.values()):
        return
    inherited = getattr(cls, _CALL)

    def call(self: object, method: object, args: Args, kwargs: Kwargs) -> object:
        for name, at in bases.get(getattr(method, "__code__", None), {}).items():
            value = _given(args, kwargs, name, at)
            if value is not None and value is getattr(self, name):
                args, kwargs = _give(args, kwargs, name, at, None)
        return inherited(self, method, args, kwargs)

    setattr(cls, _CALL, call)


def merged_by_hand(method: object) -> dict[str, int]:
    """Return which parameters a method merges by hand, with their positions behind `self`.

    Those are the ones with the default `None` that it names in code with a call of `merge_param`,
    which can only raise where both sides are `None`.
    """
    if not isinstance(method, FunctionType):
        return {}
    found = _by_method.get(method)
    if found is None:
        function: Any = method
        # What checks types hands arguments on as they are. Other wrappers may set some themselves.
        while checks_types(function):
            function = function.__wrapped__
        code, found = function.__code__, {}
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        positional, values = names[: code.co_argcount], function.__defaults__ or ()
        defaults = dict(zip(reversed(positional), reversed(values), strict=False))
        defaults |= function.__kwdefaults__ or {}
        for name in _texts_beside_merge_param(code).intersection(defaults):
            # What is positional-only cannot be given by name.
            if defaults[name] is None and name not in names[: code.co_posonlyargcount]:
                found[name] = names.index(name) - 1 if name in positional else sys.maxsize
        _by_method[method] = found
    return found


def _texts_beside_merge_param(code: CodeType) -> set[str]:
    """Return the texts in a function, and in those inside it, that call `merge_param`."""
    constants = code.co_consts if "merge_param" in code.co_names else ()
    inner = [_texts_beside_merge_param(part) for part in code.co_consts if type(part) is CodeType]
    return set().union(*inner, [text for text in constants if isinstance(text, str)])


def _has_merges_by_hand(cls: type) -> bool:
    """Whether any method of a class merges by hand."""
    found = _by_class.get(cls)
    if found is None:
        methods = [held for base in cls.__mro__ for held in vars(base).values()]
        links = [link for method in methods for link in _functions_behind(method)]
        found = _by_class[cls] = any(map(merged_by_hand, links))
    return found


def _functions_behind(method: object) -> Iterator[FunctionType]:
    """Yield a method and what it wraps: Flax itself, and its transformations, wrap methods."""
    while isinstance(method, FunctionType):
        yield method
        method = getattr(method, "__wrapped__", None)


def _given(args: Args, kwargs: Kwargs, name: str, at: int) -> object:
    return args[at] if at < len(args) else kwargs.get(name)


def _give(args: Args, kwargs: Kwargs, name: str, at: int, value: object) -> tuple[Args, Kwargs]:
    if at < len(args):
        return (*args[:at], value, *args[at + 1 :]), kwargs
    return args, {**kwargs, name: value}
