"""A provided value in, what stands for it in the key of a trace out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import jax
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

_COMPARED = (bool, int, str, bytes, type(None))
"""1 and True are equal and trace differently, so that the type is part of every key."""

_CONTAINERS = (tuple, frozenset)


def key_of(value: Any) -> Hashable:  # noqa: ANN401, PLR0911 - any object, one kind after the other
    """Return what is equal only where a trace of one value serves for the other.

    Arrays do not change. Whatever else has a hash is taken not to change, as the static arguments
    of `jax.jit` are. What has none may change, so its key is equal to no other, and the function
    is traced again.
    """
    kind = type(value)
    if kind in _COMPARED:
        return kind, value
    if kind in _CONTAINERS:
        return kind, kind(key_of(item) for item in value)
    if isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer):
        return _Same(value)
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - a foreign hash may raise anything
        return object()
    # 0.0 and -0.0 are equal, and trace differently.
    if kind in (float, complex):
        return kind, repr(value)
    if isinstance(value, np.generic):
        return kind, value.dtype.str, value.tobytes()
    return kind, _Equal(value), tuple(key_of(part) for part in _compared_parts(value))


@attrs.frozen
class _Same:
    """An object in a key, equal to nothing but itself."""

    value: object = attrs.field(eq=id)


class _Equal:
    """An object in a key, equal to what it says itself."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        try:
            return isinstance(other, _Equal) and bool(self.value == other.value)
        except Exception:  # noqa: BLE001 - a foreign comparison may raise anything
            return False

    def __hash__(self) -> int:
        return hash(self.value)


def _compared_parts(value: object) -> Iterable[object]:
    """Return what two objects hold that are equal if that is: in there, too, 1 is not True."""
    if isinstance(value, tuple):
        return value
    kind: Any = type(value)
    if kind.__eq__ is object.__eq__:
        return ()
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind) if field.eq]
    else:
        fields = getattr(kind, "__dataclass_fields__", {}).values()
        names = [field.name for field in fields if field.compare]
    return [getattr(value, name) for name in names]
