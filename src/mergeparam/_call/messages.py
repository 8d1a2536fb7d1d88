"""The texts of the errors of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mergeparam._call.provide import LATEST, living, provided_names
from mergeparam._frameworks import adapters, is_tracing
from mergeparam.errors import ConflictingParamError, MergeError, MissingParamError, near, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

E = TypeVar("E", bound=MergeError)


class CallState(NamedTuple):
    """One parameter in one call; without the last six, in a call of `merge_param`."""

    param: str
    attribute_value: object
    call_value: object
    attribute: str | None = None
    owner: str | None = None
    method: str | None = None
    declared_by: str | None = None
    is_provided: bool = False
    argument: str = ""


def missing_error(state: CallState, others: Sequence[str] = ()) -> MissingParamError:
    """Say that neither has set a parameter, how to set it, and which `others` are missing."""
    how = f"{_constructor(state)}, or {state.param}=... in the call"
    if state.is_provided:
        unset = shorten(state.call_value)
        how += f";\n  the innermost `provide` of it gives {unset}, which here means 'not set'"
    elif state.owner is not None:
        how += f";\n  or provide it to all calls inside `with provide({state.param}=...):`"
    if others:
        how += f".\n  Also missing in this call: {', '.join(map(repr, others))}"
    if state.owner is not None:
        how += ".\n  find_unset(model) lists every object in a model that still needs something"
    return _error(MissingParamError, state, "neither place", how, others)


def conflict_error(state: CallState) -> ConflictingParamError:
    """Say that both have set a parameter, and the ways to leave one of them out."""
    how = f"leave {state.param}= out of the call, or leave it out of {_constructor(state)}"
    return _error(ConflictingParamError, state, "both places", how)


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


def _error(kind: type[E], state: CallState, where: str, how: str, others: Sequence[str] = ()) -> E:
    """Say where a parameter is set, what both places hold, and how it is set in one of them."""
    place, attribute = "", "the constructor attribute"
    if state.owner is not None:
        inherited = state.declared_by != state.owner
        merged_by = f" (merged by {state.declared_by})" if inherited else ""
        place = f"{state.owner}.{state.method}(){merged_by}: "
    if state.attribute is not None:
        attribute = f"self.{state.attribute}"
    return kind(
        f"{place}{state.param!r} is set in {where}:"
        f"\n  {attribute} is {shorten(state.attribute_value)} "
        f"and the call gave {shorten(state.call_value)}."
        f"\n  Set it in one of them: {how}.{_hints(state, is_missing=kind is MissingParamError)}",
        owner=state.owner,
        method=state.method,
        param=state.param,
        params=(state.param, *others),
        attribute_value=state.attribute_value,
        call_value=state.call_value,
    )


def _constructor(state: CallState) -> str:
    """Return how the user writes the constructor's side."""
    if state.attribute is None or state.owner is None:
        return "the constructor"
    argument = state.argument
    if not argument and state.attribute != state.param:
        return f"the constructor (self.{state.attribute})"
    return f"{state.owner.rpartition('.')[2]}(..., {argument or state.param}=...)"


def _hints(state: CallState, *, is_missing: bool) -> str:
    """Say, in more lines, what is provided instead, and what a framework may have done."""
    if is_tracing():
        return ""
    hints = ""
    if is_missing and state.owner is not None and not state.is_provided:
        # Mostly no scope is open anywhere, and then there is nothing to list.
        names = provided_names() if living.scopes else []
        if names:
            listed = [f"{name!r}{near(name, [state.param])}" for name in names]
            hints += f"\n  What is provided here: {', '.join(listed)}."
        if state.param in LATEST[0]:
            call = f"provide({state.param}=...)"
            hints += f"\n  The last `{call}` was never entered: write `with` in front of it."
    for adapter in adapters:
        try:
            text = adapter.hint(state, is_missing=is_missing)
        except Exception:  # noqa: BLE001 - hints read what frameworks hold inside, which may change
            text = None
        if text is not None:
            return f"{hints}\n  {text}"
    return hints
