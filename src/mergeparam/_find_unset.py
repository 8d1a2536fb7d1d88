"""Walk through a model, and find every merged object that still needs something."""

from __future__ import annotations

import collections
import types
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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

_BUILTIN_CONTAINERS = (dict, list, tuple, collections.OrderedDict)
"""Types of which no framework needs to be asked."""


_Place: TypeAlias = "tuple[Any, _Kind, _Place | None, str, object]"
"""An object, its kind, the place that holds it, and the format and the key of the step to it."""


class Unset(NamedTuple):
    """A merged object inside a model, and what must still be given when it is called."""

    path: str
    obj: object
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Return one short line; the object's own `repr` may be as long as the model."""
        return f"Unset({self.path!r}, {type(self.obj).__name__}, {self.names!r})"


class _Kind(NamedTuple):
    """What the walk has to know of a type, so that it looks at each type once."""

    is_opaque: bool
    is_builtin: bool
    container: type | None
    slots: tuple[tuple[str, types.MemberDescriptorType], ...]
    methods: tuple[str, ...]


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
    found = []
    for place in _walk(model):
        obj, kind, *_ = place
        if not kind.methods:
            continue
        try:
            names = [name for method in kind.methods for name in unset_params(obj, method)]
        except AttributeError as error:
            error.add_note(f"asked by find_unset of {_path(place) or 'the model itself'}")
            raise
        if names:
            found.append(Unset(_path(place), obj, tuple(dict.fromkeys(names))))
    return found


def _walk(model: object) -> Iterator[_Place]:
    """Yield the place of every object once, the nearest first."""
    _frameworks.load_adapters()
    opaque_types = list(_OPAQUE_TYPES)
    for adapter in _frameworks.adapters:
        opaque_types += adapter.opaque_types
    kinds: dict[type, _Kind] = {}

    def kind_of(obj: object) -> _Kind:
        cls = type(obj)
        # Proxies of one type may say that they are of several, and `isinstance` believes them.
        if getattr(obj, "__class__", cls) is not cls:
            return _examine(obj, tuple(opaque_types))
        kind = kinds.get(cls)
        if kind is None:
            kind = kinds[cls] = _examine(obj, tuple(opaque_types))
        return kind

    # The objects themselves are kept: an id is only theirs while they live.
    seen = {id(model): model}
    waiting: collections.deque[_Place] = collections.deque()
    waiting.append((model, kind_of(model), None, "", None))
    while waiting:
        place = waiting.popleft()
        yield place
        for step, key, child in _children(place[0], place[1]):
            kind = kind_of(child)
            # Every module of PyTorch holds a dozen empty dicts, most of them for hooks.
            if kind.is_builtin and not child and not getattr(child, "__dict__", None):
                continue
            if not kind.is_opaque and id(child) not in seen:
                seen[id(child)] = child
                waiting.append((child, kind, place, step, key))


def _path(place: _Place) -> str:
    """Write a path. Most places are asked for none, so the walk keeps only what it is made of."""
    steps = []
    _, _, holder, step, key = place
    while holder is not None:
        steps.append(step.format(key))
        _, _, holder, step, key = holder
    return "".join(reversed(steps))


def _examine(obj: object, opaque_types: tuple[type, ...]) -> _Kind:
    cls = type(obj)
    return _Kind(
        is_opaque=isinstance(obj, opaque_types),
        is_builtin=cls in _BUILTIN_CONTAINERS,
        container=next((kind for kind in (dict, list, tuple) if isinstance(obj, kind)), None),
        slots=tuple(
            (name, value)
            for base in cls.__mro__
            if "__slots__" in vars(base)
            for name, value in vars(base).items()
            if isinstance(value, types.MemberDescriptorType)
        ),
        methods=call_methods(cls),
    )


def _children(obj: Any, kind: _Kind) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401 - of any kind
    """Yield what an object holds: the format of a step to it, what stands in that, and itself."""
    if not kind.is_builtin:
        for adapter in _frameworks.adapters:
            for step, child in adapter.children(obj):
                yield "{}", step, child
    if kind.container is not None:
        yield from _items(obj, kind.container)
    held = getattr(obj, "__dict__", None)
    if isinstance(held, dict):
        for name, value in held.items():
            yield ".{}", name, value
    for name, slot in kind.slots:
        try:
            value = slot.__get__(obj)
        except AttributeError:  # nobody has set it
            continue
        yield ".{}", name, value


def _items(obj: Any, container: type) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401 - of that type
    if container is dict:
        for key, value in obj.items():
            yield "[{!r}]", key, value
        return
    # Only named tuples have names for their items.
    fields = getattr(obj, "_fields", ()) if container is tuple else ()
    is_named = len(fields) == len(obj)
    for index, value in enumerate(obj):
        yield (".{}", fields[index], value) if is_named else ("[{}]", index, value)
