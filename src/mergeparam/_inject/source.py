"""A declaration in, the merge as Python source out.

`mergeparam show --source` prints it, the splicer compiles it into the method's own code, and a
generated wrapper begins with it.
"""

from __future__ import annotations

import itertools
import os
import weakref
from typing import TYPE_CHECKING

from mergeparam._declare.methods import MISSING_METHOD
from mergeparam._sentinels import UNSET

if TYPE_CHECKING:
    from types import CodeType

    from mergeparam._declare.checks import Declaration
    from mergeparam._spec import Param, PrivateNames

CONFLICT_METHOD, UNSET_METHOD = "_mergeparam_conflict_", "_mergeparam_unset_"
PRIVATE_METHODS = (MISSING_METHOD, CONFLICT_METHOD, UNSET_METHOD)
"""How the names of the private methods begin that the class has for each merged parameter."""

MERGED_ATTRIBUTE = "_mergeparam_merged"
"""The private attribute that holds `MERGED`, the default that the author has written."""

UNNAMED_METHOD = "_mergeparam_unnamed"
"""The private method that refuses a call in which a parameter is left at `MERGED`."""

PROVIDE, RUN_IN_STEPS = "_mergeparam_provide", "_mergeparam_run_in_steps"
"""The private attributes of a class whose methods provide their values."""

EXITS, EXIT_CLASSES = "_mergeparam_exits", (GeneratorExit, BaseException, StopAsyncIteration)
"""A private attribute of the class, because names of builtins may mean anything in a module."""

_LITERALS = {"None": None, "True": True, "False": False, "...": ...}


def body_method(name: str) -> str:
    """Return the name of the private method that returns the body of a wrapped method."""
    return f"_mergeparam_body_{name.strip('_')}"


def literal_of(unset: object) -> str | None:
    """Return an `unset` object as source, where that is a literal."""
    for text, value in _LITERALS.items():
        if unset is value:
            return text
    return None


_process, _counter = os.urandom(4).hex(), itertools.count()
_free: list[int] = []
_taken: set[weakref.ref[CodeType]] = set()


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


def take_until_gone(number: int, code: CodeType) -> None:
    """Let nobody else have the number as long as the code exists."""

    def release(reference: weakref.ref[CodeType]) -> None:
        _taken.discard(reference)
        _free.append(number)

    _taken.add(weakref.ref(code, release))


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
        unset = literal_of(param.unset) or names.unset_globals.get(name)
        if unset is None:
            unset = f"{receiver}.{UNSET_METHOD}{name}{names.suffix}()"
        ask = f"{receiver}.{MISSING_METHOD}{name}{names.suffix}()"
        decide = f"{receiver}.{CONFLICT_METHOD}{name}{names.suffix}("
        if name in may_receive_merged:
            lines += [
                f"if {name} is {receiver}.{MERGED_ATTRIBUTE}:",
                f"    {name} = {unset}",
            ]
        # As a pattern, an underscore captures nothing.
        if param.on_conflict == "use_attribute" and unset == "None" and name != "_":
            # A pattern captures the attribute, so that it is read once without another local.
            lines += [
                f"match {attribute}:",
                "    case None:",
                f"        if {name} is None:",
                f"            {name} = {ask}",
                f"    case {name}:",
                "        pass",
            ]
            continue
        lines += [
            f"if {name} is {unset}:",
            f"    {name} = {attribute}",
            f"    if {name} is {unset}:",
            f"        {name} = {ask}",
        ]
        if param.on_conflict == "raise":
            lines += [
                f"elif {attribute} is not {unset}:",
                f"    {name} = {decide}{name}, {attribute})",
            ]
        elif param.on_conflict == "raise_if_different":
            # A pair keeps both values, so that the attribute is read once without another local.
            lines += [
                "else:",
                f"    {name} = ({name}, {attribute})",
                f"    if {name}[1] is {unset} or {name}[1] is {name}[0]:",
                f"        {name} = {name}[0]",
                "    else:",
                f"        {name} = {decide}*{name})",
            ]
        elif param.on_conflict == "use_attribute":
            lines += [
                "else:",
                f"    {name} = ({name}, {attribute})",
                f"    {name} = {name}[{name}[1] is not {unset}]",
            ]
    return "".join([f"{line}\n" for line in lines])


def share_unset(declaration: Declaration) -> dict[str, str]:
    """Return the private global that holds each parameter's `unset` object, by parameter.

    A read of a global costs what the author's own would, and a rebinding of the author's name
    changes nothing.
    """
    cls, function = declaration.method.cls, declaration.method.function
    found: dict[str, str] = {}
    for param in declaration.params:
        if literal_of(param.unset) is None:
            name = f"_mergeparam_unset_{cls.__name__}_{param.name}"
            if param.unset is UNSET:
                name = "_mergeparam_UNSET"
            # A reloaded module, and a function that makes classes, come with new objects for the
            # same names. Their merges read them through the class, so that no module grows.
            # The name is taken here and not with all other changes, in one step, because two
            # threads that decorate could both find it free.
            if name.isidentifier():
                held = function.__globals__.setdefault(name, param.unset)
                found |= {param.name: name} if held is param.unset else {}
    return found
