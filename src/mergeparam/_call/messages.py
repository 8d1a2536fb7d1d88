"""The texts of the errors of a call."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._frameworks import adapters, is_tracing
from mergeparam.errors import ConflictingParamError, MissingParamError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class CallState(NamedTuple):
    """One parameter in one call; without the last five, in a call of `merge_param`."""

    param: str
    attribute_value: object
    call_value: object
    attribute: str | None = None
    owner: str | None = None
    method: str | None = None
    declared_by: str | None = None
    is_provided: bool = False


def missing_error(state: CallState, others: Sequence[str] = ()) -> MissingParamError:
    """Say that neither has set a parameter, how to set it, and which `others` are missing."""
    param = state.param
    provide = ""
    if state.is_provided:
        unset = shorten(state.call_value)
        provide = f"; the innermost `provide` of it gives {unset}, which here means 'not set'"
    elif state.owner is not None:
        provide = f"; or provide it to all calls inside `with provide({param}=...):`"
    more = f" Also missing in this call: {', '.join(map(repr, others))}." if others else ""
    return MissingParamError(
        f"{_place(state)}{param!r} is set in neither place: {_values(state)}. "
        f"Set it in one of them: {_constructor(state)}, or {param}=... in the call"
        f"{provide}.{more}{_hint([adapter.missing_hint for adapter in adapters], state)}",
        owner=state.owner,
        method=state.method,
        param=param,
        params=(param, *others),
        attribute_value=state.attribute_value,
        call_value=state.call_value,
    )


def conflict_error(state: CallState) -> ConflictingParamError:
    """Say that both have set a parameter, and the ways to leave one of them out."""
    param = state.param
    return ConflictingParamError(
        f"{_place(state)}{param!r} is set in both places: {_values(state)}. "
        f"Set it in one of them: leave {param}= out of the call, or leave it out of "
        f"{_constructor(state)}.{_hint([adapter.conflict_hint for adapter in adapters], state)}",
        owner=state.owner,
        method=state.method,
        param=param,
        attribute_value=state.attribute_value,
        call_value=state.call_value,
    )


def bound_again_error(
    binding: str, param: str, bound: object, given: object
) -> ConflictingParamError:
    """Say that a value that a partial has bound was given again."""
    return ConflictingParamError(
        f"{binding} has bound {param!r} to {shorten(bound)}, and {param}={shorten(given)} was "
        f"given again. Leave {param} out, or do not bind it.",
        param=param,
        attribute_value=bound,
        call_value=given,
    )


def _place(state: CallState) -> str:
    if state.owner is None:
        return ""
    inherited = state.declared_by != state.owner
    merged_by = f" (merged by {state.declared_by})" if inherited else ""
    return f"{state.owner}.{state.method}(){merged_by}: "


def _values(state: CallState) -> str:
    name = state.attribute
    attribute = "the constructor attribute" if name is None else f"self.{name}"
    return (
        f"{attribute} is {shorten(state.attribute_value)} "
        f"and the call gave {shorten(state.call_value)}"
    )


def _constructor(state: CallState) -> str:
    """Return how the user writes the constructor's side."""
    if state.attribute is None or state.owner is None:
        return "the constructor"
    # Nobody but the class knows the constructor's argument for an attribute of another name.
    if state.attribute != state.param:
        return f"the constructor (self.{state.attribute})"
    return f"{state.owner.rpartition('.')[2]}(..., {state.param}=...)"


def _hint(hints: Iterable[Callable[[CallState], str | None]], state: CallState) -> str:
    """Say, as one more sentence, what a framework may have done to the parameter."""
    if is_tracing():
        return ""
    for hint in hints:
        # Hints read what frameworks hold inside, which may change; the error comes all the same.
        with contextlib.suppress(Exception):
            text = hint(state)
            if text is not None:
                return f" {text}"
    return ""
