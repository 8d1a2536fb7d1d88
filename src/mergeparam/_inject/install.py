"""The only room that changes a class: all of a declaration, or nothing of it."""

from __future__ import annotations

import contextlib
import functools
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mergeparam._call.provide import ProvideInCall, run_in_steps
from mergeparam._call.resolve import (
    evaluator,
    make_body,
    make_conflict,
    make_missing,
    refuse_unnamed,
)
from mergeparam._compat import annotations_attribute
from mergeparam._declare.annotations import optional_annotations, optional_signature
from mergeparam._declare.methods import (
    CARRIER_MODULE,
    MERGED_NAMES,
    carrier_of,
    merged_methods_of,
    merged_names,
    own_methods,
)
from mergeparam._declare.signature import change_defaults, exposes
from mergeparam._inject.source import (
    CONFLICT_METHOD,
    EXIT_CLASSES,
    EXITS,
    MERGED_ATTRIBUTE,
    MISSING_METHOD,
    OTHERWISE_METHOD,
    PROVIDE,
    RUN_IN_STEPS,
    UNNAMED_METHOD,
    WHEN_METHOD,
    body_method,
    literal_of,
    unset_objects,
)
from mergeparam._sentinels import MERGED
from mergeparam._spec import RAISING, MergedClass, MergedMethod
from mergeparam.errors import MergeDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType

    from mergeparam._declare.checks import Declaration

_ABSENT: Any = object()
# TensorFlow's AutoGraph compiles functions anew from their source, where no merge is. It leaves
# alone functions and callable objects that have this mark of its own work.
_AUTOGRAPH_MARK = "autograph_info__"
_NAMES = "__module__", "__name__", "__qualname__", "__doc__"


class Plan(NamedTuple):
    """What one declaration will change: with which names and code, and what is carried."""

    declaration: Declaration
    method: MergedMethod
    code: CodeType


Change: TypeAlias = tuple[Any, str, object]
"""A class or a function, one of its attributes, and what that is to be."""


def install(cls: type, plans: Sequence[Plan]) -> None:
    """Make the methods of a class merge, and the class carry what that needs; all or nothing."""
    changes: list[Change] = []
    carrier = carrier_of(cls)
    if carrier is cls and vars(cls).get("_is_protocol"):
        carrier = _make_carrier(cls)
    for plan in plans:
        method = plan.declaration.method
        unset = {param.name: param.unset for param in plan.declaration.params}
        found: Any = method.found
        if method.ownership == "own":
            changes += _changes_of_function(method.function, plan.code, unset)
            changes += _shown_wrappers(cls, plan.declaration, unset)
        else:
            # Nothing that was written elsewhere changes: the class gets a function of its own,
            # under every name that it has for the other one.
            made = copy_function(method.function, plan.code)
            if method.ownership == "opaque":
                functools.update_wrapper(made, found, _NAMES)
                # It speaks for itself: `inspect` must not look for a signature behind it.
                del vars(made)["__wrapped__"]
            for change in _changes_of_function(made, plan.code, unset):
                setattr(*change)
            aliases = [name for name, held in vars(cls).items() if held is found]
            changes += [(cls, name, made) for name in {method.name, *aliases}]
        changes += [(carrier, name, made) for name, made in _private_methods(cls, plan).items()]
        if method.name == "__call__":
            changes.append((carrier, _AUTOGRAPH_MARK, {}))
    methods = (*[plan.method for plan in plans], *own_methods(cls))
    changes += [
        (carrier, MERGED_ATTRIBUTE, MERGED),
        (carrier, UNNAMED_METHOD, refuse_unnamed),
        (carrier, "__mergeable__", MergedClass(cls.__qualname__, methods)),
    ]
    if carrier not in cls.__mro__:
        changes.append((cls, "__bases__", (carrier, *cls.__bases__)))
    _apply(cls, changes)


def _make_carrier(cls: type) -> type:
    """Return a base for a protocol, which carries what is no member of it."""
    protocol = next(base for base in reversed(cls.__mro__) if base.__name__ == "Protocol")
    # Bases can only be set if objects have the same parts as before.
    parts = "__dict__", "__weakref__"
    slots = [part for part in parts if any(part in vars(base) for base in cls.__mro__[1:])]
    return type(cls)("Protocol", (protocol,), {"__module__": CARRIER_MODULE, "__slots__": slots})


def _shown_wrappers(
    cls: type, declaration: Declaration, unset: dict[str, object]
) -> Iterator[Change]:
    """Yield copies of the wrappers that show the parameters themselves.

    They were made elsewhere, and call the same function.
    """
    for method in (declaration.method, *declaration.aliases):
        wrapper: Any = method.found
        is_wrapper = isinstance(wrapper, FunctionType) and wrapper is not method.function
        if is_wrapper and exposes(wrapper, declaration.names):
            shown = copy_function(wrapper, wrapper.__code__)
            for change in _changes_of_function(shown, shown.__code__, unset):
                setattr(*change)
            yield cls, method.name, shown


def _changes_of_function(
    function: FunctionType, code: CodeType, unset: dict[str, object]
) -> list[Change]:
    """Return the changes that give a function its code, and make parameters optional."""
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    declared = {name: value for name, value in unset.items() if name in named}
    defaults, kwdefaults = change_defaults(function, declared)
    changes: list[Change] = [
        (function, "__code__", code),
        (function, MERGED_NAMES, merged_names(function) + tuple(unset)),
        (function, "__defaults__", defaults),
        (function, "__kwdefaults__", kwdefaults),
        (function, *optional_annotations(function, unset)),
        (function, _AUTOGRAPH_MARK, {}),
    ]
    explicit = vars(function).get("__signature__")
    if explicit is not None:
        changes.append((function, "__signature__", optional_signature(explicit, unset)))
    return changes


def _private_methods(  # noqa: C901, PLR0912 - what there may be, one after the other
    cls: type, plan: Plan
) -> dict[str, object]:
    """Return the private methods of a declaration, under their names."""
    method, suffix = plan.method, plan.method.names.suffix
    own = plan.declaration.method
    made: dict[str, Any] = {}
    for param in method.params:
        name = MISSING_METHOD + param.name + suffix
        made[name] = make_missing(method, param)
        if param.on_conflict in RAISING:
            name = CONFLICT_METHOD + param.name + suffix
            made[name] = make_conflict(method, param)
        answers: dict[str, Callable[[Any], object]] = {}
        for private, held in unset_objects(param):
            if literal_of(held) is None and private + param.name not in method.names.shared:
                answers[private] = evaluator(held)
        if param.when is not None:
            answers |= {WHEN_METHOD: param.when, OTHERWISE_METHOD: evaluator(param.otherwise)}
        for private, answer in answers.items():
            # A class would not bind what is no function.
            made[private + param.name + suffix] = (
                copy_function(answer, answer.__code__)
                if isinstance(answer, FunctionType)
                else lambda self, answer=answer: answer(self)
            )
    if method.injection == "wrap":
        name = body_method(method.name) + suffix
        body = own.found
        if own.ownership != "opaque":
            body = copy_function(own.function, own.function.__code__)
            # The examples in its docstring are those of the method, and are to be found once.
            body.__doc__ = None
            # It is no method that subclasses could override.
            vars(body).pop("__isabstractmethod__", None)
        made[name] = make_body(body)
    for name, function in made.items():
        # Found under its own name, so that it is pickled like other methods of the class.
        function.__module__, function.__name__ = cls.__module__, name
        function.__qualname__ = f"{cls.__qualname__}.{name}"
        # Runtime type checkers that decorate whole classes leave alone what has this mark.
        function.__no_type_check__ = True
    # A base's body may be handed what this class has merged, and then asks about a conflict.
    for level in merged_methods_of(cls):
        if level.name == method.name:
            for param in level.params:
                name = CONFLICT_METHOD + param.name + level.names.suffix
                again = any([param.name == other.name for other in method.params])
                if again and param.on_conflict in RAISING:
                    made[name] = make_conflict(level, param, forwarded=True)
    if method.injection == "wrap":
        made[EXITS] = EXIT_CLASSES
    if method.provides:
        made[PROVIDE], made[RUN_IN_STEPS] = ProvideInCall, staticmethod(run_in_steps)
    return made


def copy_function(function: FunctionType, code: CodeType) -> FunctionType:
    """Return a function that differs from `function` in nothing but its code."""
    copy = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    vars(copy).update(vars(function))
    for name in (*_NAMES, "__kwdefaults__", "__type_params__", annotations_attribute(function)):
        if hasattr(function, name):
            setattr(copy, name, getattr(function, name))
    return copy


def _apply(cls: type, changes: Sequence[Change]) -> None:
    """Make all changes, or none: where one is refused, those before it are taken back."""
    done: list[Change] = []
    try:
        for holder, name, value in changes:
            # Of a class its own attribute counts, not one that it inherits.
            own = vars(cls).get(name, _ABSENT) if holder is cls else getattr(holder, name, _ABSENT)
            setattr(holder, name, value)
            done.append((holder, name, own))
    except BaseException as error:
        for holder, changed, own in reversed(done):
            # A class may refuse this too; all else is taken back.
            with contextlib.suppress(Exception):
                delattr(holder, changed) if own is _ABSENT else setattr(holder, changed, own)
        if not isinstance(error, TypeError | AttributeError):
            raise
        raise MergeDefinitionError(
            f"{cls.__qualname__} does not let its attribute {name!r} be set ({error}). "
            f"Put @mergeable on a subclass of it."
        ) from error
