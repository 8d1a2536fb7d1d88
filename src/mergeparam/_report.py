"""What the errors of a call say."""

from __future__ import annotations

from typing import Any, NamedTuple

from mergeparam.errors import ConflictingParamError, MissingParamError, shorten


class Situation(NamedTuple):
    """One parameter in one call; without the last four, in a call of `merge_param`."""

    param: str
    attribute_value: object
    call_value: object
    attribute: str | None = None
    owner: str | None = None
    method: str | None = None
    declared_by: str | None = None


def missing_error(situation: Situation) -> MissingParamError:
    """Say that neither has set the parameter, and the two ways to set it."""
    param = situation.param
    return MissingParamError(
        f"{_place(situation)}{param!r} is set in neither place: {_values(situation)}. "
        f"Set it in one of them: {_constructor(situation)}, or {param}=... in the call.",
        **_fields(situation),
    )


def conflict_error(situation: Situation) -> ConflictingParamError:
    """Say that both have set the parameter, and the ways to leave one of them out."""
    param = situation.param
    return ConflictingParamError(
        f"{_place(situation)}{param!r} is set in both places: {_values(situation)}. "
        f"Set it in one of them: leave {param}= out of the call, or leave it out of "
        f"{_constructor(situation)}.",
        **_fields(situation),
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
