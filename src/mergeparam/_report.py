"""What the errors of a call say."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from mergeparam._frameworks import adapters
from mergeparam.errors import ConflictingParamError, MissingParamError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable


class Situation(NamedTuple):
    """One parameter in one call; without the last five, in a call of `merge_param`."""

    param: str
    attribute_value: object
    call_value: object
    attribute: str | None = None
    owner: str | None = None
    method: str | None = None
    declared_by: str | None = None
    is_provided: bool = False


def missing_error(situation: Situation) -> MissingParamError:
    """Say that neither has set the parameter, and the ways to set it."""
    param = situation.param
    return MissingParamError(
        f"{_place(situation)}{param!r} is set in neither place: {_values(situation)}. "
        f"Set it in one of them: {_constructor(situation)}, or {param}=... in the call"
        f"{_provide(situation)}.{_hint([adapter.missing_hint for adapter in adapters], situation)}",
        **_fields(situation),
    )


def conflict_error(situation: Situation) -> ConflictingParamError:
    """Say that both have set the parameter, and the ways to leave one of them out."""
    param = situation.param
    return ConflictingParamError(
        f"{_place(situation)}{param!r} is set in both places: {_values(situation)}. "
        f"Set it in one of them: leave {param}= out of the call, or leave it out of "
        f"{_constructor(situation)}.{_hint([adapter.conflict_hint for adapter in adapters], situation)}",
        **_fields(situation),
    )


def bound_again_error(
    binding: str, param: str, bound: object, given: object
) -> ConflictingParamError:
    """Say that what a partial has bound was given again."""
    return ConflictingParamError(
        f"{binding} has bound {param!r} to {shorten(bound)}, and {param}={shorten(given)} was "
        f"given again. Leave {param} out, or do not bind it.",
        param=param,
        attribute_value=bound,
        call_value=given,
    )


def _place(situation: Situation) -> str:
    if situation.owner is None:
        return ""
    inherited = situation.declared_by != situation.owner
    merged_by = f" (merged by {situation.declared_by})" if inherited else ""
    return f"{situation.owner}.{situation.method}(){merged_by}: "


def _values(situation: Situation) -> str:
    name = situation.attribute
    attribute = "the constructor attribute" if name is None else f"self.{name}"
    return (
        f"{attribute} is {shorten(situation.attribute_value)} "
        f"and the call gave {shorten(situation.call_value)}"
    )


def _provide(situation: Situation) -> str:
    """Return what `provide` could do; a merge by hand takes nothing from it."""
    if situation.owner is None:
        return ""
    if situation.is_provided:
        unset = shorten(situation.call_value)
        return f"; the innermost `provide` of it gives {unset}, which here means 'not set'"
    return f"; or provide it to all calls inside `with provide({situation.param}=...):`"


def _hint(hints: list[Callable[[Situation], str | None]], situation: Situation) -> str:
    """Return what a framework may have done, as one more sentence.

    Hints read what frameworks hold inside, which may change; the error comes all the same.
    """
    if any(adapter.is_tracing() for adapter in adapters):
        return ""
    for hint in hints:
        with contextlib.suppress(Exception):
            text = hint(situation)
            if text is not None:
                return f" {text}"
    return ""


def _constructor(situation: Situation) -> str:
    """Return how the user writes the constructor's side.

    Where the attribute has another name than the parameter, nobody but the class knows the
    constructor's argument.
    """
    if situation.attribute is None or situation.owner is None:
        return "the constructor"
    if situation.attribute != situation.param:
        return f"the constructor (self.{situation.attribute})"
    return f"{situation.owner.rpartition('.')[2]}(..., {situation.param}=...)"


def _fields(situation: Situation) -> dict[str, Any]:
    return {
        "owner": situation.owner,
        "method": situation.method,
        "param": situation.param,
        "attribute_value": situation.attribute_value,
        "call_value": situation.call_value,
    }
