"""jaxtyping: its wrappers are told from others, so that the merge comes before their check."""

from __future__ import annotations

from jaxtyping import jaxtyped

from mergeparam import _frameworks


def _is_checker(function: object) -> bool:
    return getattr(function, "__globals__", None) is jaxtyped.__globals__


_frameworks.checkers.append(_is_checker)
