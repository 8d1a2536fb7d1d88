"""A layer in which one parameter lets the call win, and another the constructor."""

from mergeparam import MERGED, Param, mergeable


@mergeable(
    Param("deterministic", on_conflict="use_call"),
    Param("frozen", on_conflict="use_attribute", attribute="inner.frozen"),
)
class Layer:
    """Return the input."""

    deterministic: bool | None = None

    def __call__(
        self, x: float, *, deterministic: bool = MERGED, frozen: bool = MERGED
    ) -> float:
        """Return the input, whatever the flags are."""
        return x
