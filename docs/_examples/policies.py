"""A layer with two policies: for one parameter the call wins, for the other the constructor."""

from mergeparam import MERGED, Param, mergeable


@mergeable(
    Param("deterministic", on_conflict="use_call"),
    Param("frozen", on_conflict="use_attribute", attribute="inner.frozen"),
)
class Layer:
    """Double the input."""

    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED, frozen: bool = MERGED) -> float:
        """Return the input, doubled unless a flag is set."""
        return x if deterministic or frozen else 2 * x
