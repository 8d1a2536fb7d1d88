"""A provided value in, what stands for it in the key of a trace out."""

from __future__ import annotations

import operator
from types import NoneType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

_PLAIN = (bool, int, str, bytes, NoneType)
"""Whose values trace the same where they are equal."""


def key_of(value: Any) -> Hashable:  # noqa: ANN401 - values are any object
    """Return what is equal only where a trace of one value serves for the other.

    1 and True are equal and trace differently, so the type is part of every key. Arrays do not
    change. Whatever else has a hash is taken not to change, as the static arguments of `jax.jit`
    are. What has none may change, so its key equals no other, and the function is traced again.
    """
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind in (tuple, frozenset):
        return kind, kind([key_of(item) for item in value])
    if isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer):
        return _Value(value, by_identity=True)
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - a foreign hash may raise anything
        return object()
    # 0.0 and -0.0 are equal and trace differently; NaN traces the same and is not equal.
    compared: Hashable = repr(value) if kind in (float, complex) else _Value(value)
    if isinstance(value, np.generic):
        compared = value.dtype.str, value.tobytes()
    return kind, compared, tuple([key_of(part) for part in _compared_parts(value)])


class _Value:
    """A value in a key, equal to itself and, unless by identity, to what it says it equals."""

    def __init__(self, value: object, *, by_identity: bool = False) -> None:
        self.value = value
        self.by_identity = by_identity

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Value) or self.by_identity or other.by_identity:
            return isinstance(other, _Value) and self.value is other.value
        try:
            return bool(self.value == other.value)
        except Exception:  # noqa: BLE001 - a foreign comparison may raise anything
            return False

    def __hash__(self) -> int:
        return id(self.value) if self.by_identity else hash(self.value)


def _compared_parts(value: object) -> Iterable[object]:
    """Return what two objects hold that are equal if that is: in there, too, 1 is not True."""
    if isinstance(value, tuple):
        return value
    kind: Any = type(value)
    if kind.__eq__ is object.__eq__:
        return ()
    attrs_fields = getattr(kind, "__attrs_attrs__", ())
    fields = attrs_fields or getattr(kind, "__dataclass_fields__", {}).values()
    # A field of attrs says by `eq` whether it counts, one of a dataclass by `compare`.
    counts = operator.attrgetter("eq" if attrs_fields else "compare")
    return [getattr(value, field.name) for field in fields if counts(field)]
