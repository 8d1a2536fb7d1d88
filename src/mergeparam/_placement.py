"""A signature in, one without some of its parameters out, each of a kind that callers can use."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def place_parameters(
    signature: inspect.Signature, gone: set[str], required: set[str]
) -> inspect.Signature:
    """Return the signature without the parameters in `gone`, and with those in `required` so."""
    return signature.replace(parameters=tuple(_placed(signature, gone, required)))


def _placed(
    signature: inspect.Signature, gone: set[str], required: set[str]
) -> Iterator[inspect.Parameter]:
    """Yield the parameters without those that are gone, each of a kind that callers can use.

    Once a positional parameter is missing from its place, those behind it cannot be reached by
    position. To give a positional-only one, callers have to give all that stand before it.
    """
    demanded = _positional_only_up_to(signature, required)
    reachable, optional_before = True, False
    for parameter in signature.parameters.values():
        name, positional = parameter.name, parameter.kind in POSITIONAL
        if name in demanded | required:
            parameter = parameter.replace(default=parameter.empty)  # noqa: PLW2901 - from here on
        is_required = parameter.default is parameter.empty
        is_gone = name in gone - demanded
        if positional and (is_gone or (is_required and optional_before)):
            reachable = False
        optional_before = optional_before or (positional and not is_required)
        if not is_gone:
            yield from [parameter] if reachable else _by_name(parameter)


def _by_name(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        yield parameter.replace(kind=parameter.KEYWORD_ONLY)
    elif parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
        yield parameter


def _positional_only_up_to(signature: inspect.Signature, required: set[str]) -> set[str]:
    """Return the positional-only parameters up to the last one that is required."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    names = [name for name, item in signature.parameters.items() if item.kind is kind]
    while names and names[-1] not in required:
        names.pop()
    return set(names)
