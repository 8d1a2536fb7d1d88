"""beartype: its wrappers are told from others, so that the merge comes before their check."""

from __future__ import annotations

from mergeparam._frameworks.adapter import Adapter


class BeartypeAdapter(Adapter):
    """Knows the wrappers that `@beartype` generates."""

    def checks_types(self, function: object) -> bool:
        """Whether beartype generated it; `functools.wraps` copies attributes to other wrappers."""
        code = getattr(function, "__code__", None)
        return code is not None and code.co_filename.startswith("<@beartype(")


ADAPTER = BeartypeAdapter()
