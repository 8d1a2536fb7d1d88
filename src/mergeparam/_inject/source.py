"""A declaration in, the merge as Python source out.

`mergeparam show --source` prints it, the splicer compiles it into the method's own code, and a
generated wrapper begins with it.
"""

from __future__ import annotations

import functools
import itertools
import os
import weakref
from typing import TYPE_CHECKING

import attrs

from mergeparam._call.provide import living
from mergeparam._call.resolve import neither
from mergeparam._sentinels import UNSET
from mergeparam._spec import sent_suffixes

if TYPE_CHECKING:
    from types import FunctionType

    from mergeparam._declare.checks import Declaration
    from mergeparam._spec import Param, PrivateNames

MISSING_METHOD, CONFLICT_METHOD = "_mergeparam_missing_", "_mergeparam_conflict_"
UNSET_METHOD = "_mergeparam_unset_"
ATTRIBUTE_UNSET_METHOD = "_mergeparam_attribute_unset_"
WHEN_METHOD, OTHERWISE_METHOD = "_mergeparam_when_", "_mergeparam_otherwise_"
OPTION_METHODS = (UNSET_METHOD, ATTRIBUTE_UNSET_METHOD, WHEN_METHOD, OTHERWISE_METHOD)
PRIVATE_METHODS = (MISSING_METHOD, CONFLICT_METHOD, *OPTION_METHODS)
"""How the names of the private methods begin that the class has for each merged parameter."""

LIVING, NEITHER = "_mergeparam_living", "_mergeparam_neither"
"""The private globals of a module with merged methods: what tells whether any scope of `provide`
is open, and what is called where neither place has set a parameter."""

DEFAULT = "_mergeparam_default_"
"""How the names of those private globals begin that are defaults."""

MERGED_ATTRIBUTE = "_mergeparam_merged"
"""The private attribute that holds `MERGED`, the default that the author has written."""

UNNAMED_METHOD = "_mergeparam_unnamed"
"""The private method that refuses a call in which a parameter is left at `MERGED`."""

PROVIDE, RUN_IN_STEPS = "_mergeparam_provide", "_mergeparam_run_in_steps"
"""The private attributes of a class whose methods provide their values."""

EXITS, EXIT_CLASSES = "_mergeparam_exits", (BaseException, StopIteration, StopAsyncIteration)
"""A private attribute of the class, because names of builtins may mean anything in a module."""

_LITERALS = {"None": None, "True": True, "False": False, "...": ...}


def body_method(name: str) -> str:
    """Return the name of the private method that returns the body of a wrapped method."""
    return f"_mergeparam_body_{name.strip('_')}"


def private_call(receiver: str, names: PrivateNames, begins: str, *arguments: str) -> str:
    """Return the call of a private method whose name begins like this."""
    of = receiver
    if names.through_class:
        # Equinox makes a module of every bound method that is read from an object.
        of, arguments = f"{receiver}.__class__", (receiver, *arguments)
    return f"{of}.{begins}{names.suffix}({', '.join(arguments)})"


def literal_of(held: object) -> str | None:
    """Return an object as source, where that is a literal which is the very same object."""
    for text, value in _LITERALS.items():
        if held is value:
            return text
    return None


def _neither(receiver: str, param: Param, names: PrivateNames, unset: str) -> str:
    """Return the expression for a parameter that neither place has set."""
    method, default = MISSING_METHOD + param.name, None
    has_default = param.default is not attrs.NOTHING
    if has_default:
        default = literal_of(param.default) or names.shared.get(DEFAULT + param.name)
    if not names.in_own_module or (has_default and default is None):
        return private_call(receiver, names, method)
    ask = f"{NEITHER}({receiver}, {param.name!r}, {unset}, {method + names.suffix!r})"
    return ask if default is None else f"{default} if not {LIVING}.scopes else {ask}"


_process, _counter = os.urandom(4).hex(), itertools.count()
_free: list[int] = []
_taken: dict[int, weakref.ref[object]] = {}  # by their ids, since equal code has equal references


def free_suffix() -> tuple[int, str]:
    """Return a number that no merge in use has, and the end of private names made of it.

    Merges that meet in one class, which may come from another process, have methods of different
    names. Numbers are used again, because newer Pythons never free a name that stood in code,
    and some functions make classes all day.
    """
    try:
        number = _free.pop()
    except IndexError:
        number = next(_counter)
    return number, f"_{_process}_{os.getpid()}_{number}"


def take_until_gone(number: int, suffix: str, *holders: object) -> None:
    """Let nobody else have the number as long as one of its holders exists.

    The code alone would not do: the next decorator of a stack, or a tool, puts other code in its
    place, in which the merge stands too. What the class carries stays as long as the class.
    """
    left = len(holders)

    def release(reference: weakref.ref[object]) -> None:
        nonlocal left
        del _taken[id(reference)]
        left -= 1
        if not left and suffix not in sent_suffixes:
            _free.append(number)

    for holder in holders:
        reference = weakref.ref(holder, release)
        _taken[id(reference)] = reference


def unset_objects(param: Param) -> tuple[tuple[str, object], ...]:
    """Return each object that means "not set", and how the private method that has it begins."""
    in_call = (UNSET_METHOD, param.unset)
    if param.attribute_unset is param.unset:
        return (in_call,)
    return in_call, (ATTRIBUTE_UNSET_METHOD, param.attribute_unset)


def merge_source(
    receiver: str,
    params: tuple[Param, ...],
    names: PrivateNames,
    *,
    may_receive_merged: tuple[str, ...] = (),
    unnamed: tuple[str, ...] = (),
) -> str:
    """Return the merge of `params` as the statements that a careful author would write.

    A parameter `may_receive_merged` because a wrapper has read that default before it was
    replaced, and hands it on. One that is `unnamed` is left at `MERGED`; a decorator further up
    may merge it, and that merge comes before this one.
    """
    lines: list[str] = []
    for name in unnamed:
        lines += [
            f"if {name} is {receiver}.{MERGED_ATTRIBUTE}:",
            f"    {receiver}.{UNNAMED_METHOD}({name!r})",
        ]
    for param in params:
        name, attribute = param.name, f"{receiver}.{param.attribute}"
        call = functools.partial(private_call, receiver, names)
        decide = functools.partial(call, CONFLICT_METHOD + name)
        read: list[str] = []
        for method, held in unset_objects(param):
            shared = literal_of(held) or names.shared.get(method + name)
            read += [shared or call(method + name)]
        unset, held_unset = read[0], read[-1]
        ask = _neither(receiver, param, names, unset)
        if name in may_receive_merged:
            lines += [
                f"if {name} is {receiver}.{MERGED_ATTRIBUTE}:",
                f"    {name} = {unset}",
            ]
        merge = [
            f"if {name} is {unset}:",
            f"    {name} = {attribute}",
            f"    if {name} is {held_unset}:",
            f"        {name} = {ask}",
        ]
        # As a pattern, an underscore captures nothing.
        if param.on_conflict == "use_attribute" and held_unset == "None" and name != "_":
            # A pattern captures the attribute, so that it is read once without another local.
            merge = [
                f"match {attribute}:",
                "    case None:",
                f"        if {name} is {unset}:",
                f"            {name} = {ask}",
                f"    case {name}:",
                "        pass",
            ]
        elif param.on_conflict == "use_attribute":
            merge += [
                "else:",
                f"    {name} = ({name}, {attribute})",
                f"    {name} = {name}[0] if {name}[1] is {held_unset} else {name}[1]",
            ]
        elif param.on_conflict == "raise":
            merge += [
                f"elif {attribute} is not {held_unset}:",
                f"    {name} = {decide(name, attribute)}",
            ]
        elif param.on_conflict == "raise_if_different":
            # A pair keeps both values, so that the attribute is read once without another local.
            merge += [
                "else:",
                f"    {name} = ({name}, {attribute})",
                f"    if {name}[1] is {held_unset} or {name}[1] is {name}[0]:",
                f"        {name} = {name}[0]",
                "    else:",
                f"        {name} = {decide(f'*{name}')}",
            ]
        if param.when is not None:
            otherwise = literal_of(param.otherwise) or call(OTHERWISE_METHOD + name)
            merge = [
                f"if {call(WHEN_METHOD + name)}:",
                *[f"    {line}" for line in merge],
                "else:",
                f"    {name} = {otherwise}",
            ]
        lines += merge
    return "".join([f"{line}\n" for line in lines])


def share_globals(function: FunctionType) -> bool:
    """Put our other globals into a function's module, and tell whether it has these very objects.

    It may have those of another copy of this package, which has scopes of its own.
    """
    add = function.__globals__.setdefault
    return add(LIVING, living) is living and add(NEITHER, neither) is neither


def share_objects(declaration: Declaration) -> dict[str, str]:
    """Return the private globals that hold `unset` objects and plain defaults.

    A read of a global costs what the author's own would, and a rebinding of the author's name
    changes nothing.
    """
    cls, function = declaration.method.cls, declaration.method.function
    found: dict[str, str] = {}
    for param in declaration.params:
        objects = unset_objects(param)
        if isinstance(param.default, int | float | str | bytes):
            objects += ((DEFAULT, param.default),)
        for begins, held in objects:
            # A reloaded module, and a function that makes classes, come with new objects for the
            # same names. Their merges read them through the class, so that no module grows.
            # The name is taken here and not with all other changes, in one step, because two
            # threads that decorate could both find it free.
            name = f"{begins}{cls.__name__}_{param.name}"
            if held is UNSET:
                name = "_mergeparam_UNSET"
            if literal_of(held) is not None or not name.isidentifier():
                continue
            if function.__globals__.setdefault(name, held) is held:
                found[begins + param.name] = name
    return found
