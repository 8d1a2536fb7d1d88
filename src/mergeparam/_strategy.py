"""Which injection a method gets: spliced instructions, or the wrapper."""

from __future__ import annotations

import functools
import os
import sys
from typing import Literal

from mergeparam._prologue import make_merges
from mergeparam._spec import Param
from mergeparam._splice import splice
from mergeparam.errors import MergeDefinitionError, shorten

Injection = Literal["inline", "wrap"]

_TESTED = (3, 11), (3, 15)
_VARIABLE = "MERGEPARAM_INJECT"


def choose(inject: str) -> Literal["auto", "inline", "wrap"]:
    """Return what `inject=` asks for, else what `MERGEPARAM_INJECT` says."""
    asked = inject if inject != "auto" else os.environ.get(_VARIABLE, "auto")
    match asked:
        case "auto":
            return "auto" if can_splice() else "wrap"
        case "inline" | "wrap":
            return asked
        case _:
            msg = (
                f"inject={shorten(asked)} names no injection. Write 'auto', 'inline' or 'wrap' "
                f"(as @mergeable(..., inject=) or in the environment variable {_VARIABLE})."
            )
            raise MergeDefinitionError(msg)


@functools.cache
def can_splice() -> bool:
    """Whether this interpreter is one that is tested, and a probe function comes out right."""
    first, last = _TESTED
    tested = sys.implementation.name == "cpython" and first <= sys.version_info[:2] <= last
    return tested and _probe_is_right()


class _Subject:
    """An object for the probe; its slow path tells what it was asked."""

    def __init__(self, flag: int | None) -> None:
        self.flag = flag

    def _mergeparam_neither(self, *asked: object) -> tuple[object, ...]:
        return asked

    _mergeparam_both = _mergeparam_neither


def _probe_is_right() -> bool:
    def probe(this: _Subject, /, one: int, flag: int | None, *rest: int) -> list[object]:
        return [this.flag, one, [flag for _ in (this, flag)], rest]

    merges = make_merges(probe.__code__, "probe", "this", (Param("flag"),))
    try:
        probe.__code__ = splice(probe.__code__, merges)
        found = [probe(_Subject(held), 1, given, 3) for held in (None, 5) for given in (None, 6)]
    except Exception:  # noqa: BLE001 - however it fails, the wrapper serves
        return False
    merged = (
        (None, (None, "probe", "flag")),
        (None, 6),
        (5, 5),
        (5, (6, "probe", 5, "flag")),
    )
    return found == [[held, 1, [value] * 2, (3,)] for held, value in merged]
