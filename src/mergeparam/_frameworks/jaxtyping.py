"""jaxtyping: its wrappers are told from others, so that the merge comes before their check."""

from __future__ import annotations

from jaxtyping import jaxtyped

from mergeparam._frameworks.adapter import Adapter


class JaxtypingAdapter(Adapter):
    """Knows the wrappers that `@jaxtyped` makes."""

    def checks_types(self, function: object) -> bool:
        """Whether the function was written in the module that defines `jaxtyped`."""
        return getattr(function, "__globals__", None) is jaxtyped.__globals__


ADAPTER = JaxtypingAdapter()
