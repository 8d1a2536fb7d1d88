"""Walk through a model, and find every merged object that still needs something."""

from __future__ import annotations

import collections
import types
from typing import TYPE_CHECKING, NamedTuple

from mergeparam import _frameworks
from mergeparam._introspect import call_methods, check_instance, unset_params

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPAQUE_TYPES: tuple[type, ...] = (
    str,
    bytes,
    bytearray,
    int,
    float,
    complex,
    type,
    types.BuiltinFunctionType,
    types.FunctionType,
    types.MethodType,
    types.ModuleType,
    types.NoneType,
)
"""Types whose values hold no part of a model. A module would lead to everything that is loaded."""


class Unset(NamedTuple):
    """A merged object inside a model, and what must still be given when it is called."""

    path: str
    obj: object
    names: tuple[str, ...]


def find_unset(model: object) -> list[Unset]:
    """Find every merged object inside `model` that still needs something.

    Before a long run it tells what was forgotten, and where. The walk goes through attributes
    (in `__dict__` and slots, and so through the fields of attrs classes and dataclasses), lists,
    tuples, dicts, the children of `torch.nn.Module`s and, where JAX is imported, through pytrees
    (Flax NNX, Equinox). It visits every object once and calls no property, save one that a
    `Param` names as its attribute.

    Args:
        model: any object.

    Returns:
        `(path, obj, names)` for each, the nearest first. The path is what one would write behind
        the model to get the object: `.blocks[3].dropout`; it is empty for the model itself.

    Raises:
        TypeError: `model` is a merged class.

    >>> from mergeparam import MERGED, find_unset, mergeable
    >>> @mergeable("deterministic")
    ... class Dropout:
    ...     def __init__(self, deterministic=None):
    ...         self.deterministic = deterministic
    ...     def __call__(self, x, *, deterministic=MERGED): ...
    >>> class Model:
    ...     def __init__(self):
    ...         self.blocks = [Dropout(True), Dropout()]
    >>> [(path, names) for path, _, names in find_unset(Model())]
    [('.blocks[1]', ('deterministic',))]
    """
    check_instance("find_unset", model)
    _frameworks.load_adapters()
    found = []
    for path, obj in _walk(model):
        names = _unset_names(path, obj)
        if names:
            found.append(Unset(path, obj, names))
    return found


def _unset_names(path: str, obj: object) -> tuple[str, ...]:
    try:
        names = [name for method in call_methods(type(obj)) for name in unset_params(obj, method)]
    except AttributeError as error:
        error.add_note(f"asked by find_unset of {path or 'the model itself'}")
        raise
    return tuple(dict.fromkeys(names))


def _walk(model: object) -> Iterator[tuple[str, object]]:
    """Yield every object once, by its shortest path."""
    waiting = collections.deque([("", model)])
    closed = _OPAQUE_TYPES + tuple(
        opaque for adapter in _frameworks.adapters for opaque in adapter.opaque_types
    )
    # The objects themselves are kept: an id is only theirs while they live.
    seen = {id(model): model}
    while waiting:
        path, obj = waiting.popleft()
        yield path, obj
        for step, child in _children(obj):
            if id(child) not in seen and not isinstance(child, closed):
                seen[id(child)] = child
                waiting.append((path + step, child))


def _children(obj: object) -> Iterator[tuple[str, object]]:
    for adapter in _frameworks.adapters:
        yield from adapter.children(obj)
    if isinstance(obj, dict):
        yield from ((f"[{key!r}]", value) for key, value in obj.items())
    elif isinstance(obj, list | tuple):
        fields = getattr(obj, "_fields", ()) if isinstance(obj, tuple) else ()
        named = len(fields) == len(obj)
        steps = [f".{name}" for name in fields] if named else [f"[{i}]" for i in range(len(obj))]
        yield from zip(steps, obj, strict=True)
    yield from ((f".{name}", value) for name, value in _attributes(obj))


def _attributes(obj: object) -> Iterator[tuple[str, object]]:
    held = getattr(obj, "__dict__", None)
    if isinstance(held, dict):
        yield from held.items()
    for base in type(obj).__mro__:
        if "__slots__" in base.__dict__:
            yield from _slots(obj, base)


def _slots(obj: object, base: type) -> Iterator[tuple[str, object]]:
    for name, descriptor in base.__dict__.items():
        if isinstance(descriptor, types.MemberDescriptorType):
            try:
                yield name, descriptor.__get__(obj)
            except AttributeError:
                continue
