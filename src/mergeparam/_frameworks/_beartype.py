"""beartype: its wrappers are told from others, so that the merge comes before their check."""

from __future__ import annotations

from mergeparam import _frameworks


def _is_checker(function: object) -> bool:
    """Whether beartype generated it; by attributes one could not tell, for wrappers copy them."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename.startswith("<@beartype(")


_frameworks.checkers.append(_is_checker)
