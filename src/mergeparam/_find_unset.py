"""Walk through a model, and find every merged object that still needs something."""

from __future__ import annotations

import collections
import contextlib
import functools
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from mergeparam import _frameworks
from mergeparam._introspect import call_methods, check_instance, unset_params

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTINES: tuple[type, ...] = (types.BuiltinFunctionType, types.FunctionType, types.MethodType)
_OPAQUE_TYPES: tuple[type, ...] = (str, int, float, type, types.NoneType, types.ModuleType)
"""Types whose values hold no part of a model. A module would lead to everything that is loaded."""

_CONTAINERS = (dict, list, tuple, set, collections.OrderedDict)
"""Types of which an empty one needs no visit: PyTorch's modules have a dozen of them each."""


class Unset(NamedTuple):
    """A merged object inside a model, and what must still be given when it is called."""

    path: str
    obj: object
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Return one short line; the object's own `repr` may be as long as the model."""
        return f"Unset({self.path!r}, {type(self.obj).__name__}, {self.names!r})"


def find_unset(model: object) -> list[Unset]:
    """Find every merged object inside `model` that still needs something.

    Before a long run it tells what was forgotten, and where. The walk goes through attributes,
    slots, lists, tuples, dicts, the children of `torch.nn.Module`s and, where JAX is imported,
    pytrees (Flax NNX, Equinox). It visits every object once and calls no property, save one that
    a `Param` names as its attribute.

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
    opaque_types = [*_OPAQUE_TYPES, *_ROUTINES]
    for adapter in _frameworks.adapters:
        opaque_types += adapter.opaque_types
    opaque = tuple(opaque_types)
    methods_of = functools.cache(call_methods)
    found = []
    # The objects themselves are kept: an id is only theirs while they live.
    seen = {id(model): model}
    # With each object, the steps to it: the format of each, and what stands in that.
    waiting = collections.deque[tuple[Any, tuple[tuple[str, object], ...]]]([(model, ())])
    while waiting:
        obj, steps = waiting.popleft()
        names: list[str] = []
        for method in methods_of(type(obj)):  # type: ignore[arg-type]  # classes can be hashed
            try:
                names += unset_params(obj, method)
            except AttributeError as error:
                error.add_note(f"asked by find_unset of {_path(steps) or 'the model itself'}")
                raise
        if names:
            found.append(Unset(_path(steps), obj, tuple(dict.fromkeys(names))))
        for form, key, child in _children(obj):
            if isinstance(child, opaque) or id(child) in seen:
                continue
            # An empty `OrderedDict` may have attributes.
            if type(child) not in _CONTAINERS or child or getattr(child, "__dict__", None):
                seen[id(child)] = child
                waiting.append((child, (*steps, (form, key))))
    return found


def _path(steps: tuple[tuple[str, object], ...]) -> str:
    return "".join([form.format(key) for form, key in steps])


def _children(  # noqa: C901 - one kind of holder after the other
    obj: Any,  # noqa: ANN401 - of any kind
) -> Iterator[tuple[str, object, object]]:
    """Yield what an object holds: the format of a step to it, what stands in that, and itself."""
    for adapter in _frameworks.adapters:
        for step, child in adapter.children(obj):
            yield "{}", step, child
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield "[{!r}]", key, value
    elif isinstance(obj, list | tuple):
        # Only named tuples have names for their items.
        fields = getattr(obj, "_fields", ()) if isinstance(obj, tuple) else ()
        is_named = len(fields) == len(obj)
        for index, value in enumerate(obj):
            yield (".{}", fields[index], value) if is_named else ("[{}]", index, value)
    held = getattr(obj, "__dict__", None)
    if isinstance(held, dict):
        for name, value in held.items():
            yield ".{}", name, value
    for base in type(obj).__mro__:
        if "__slots__" in vars(base):
            for name, slot in vars(base).items():
                if isinstance(slot, types.MemberDescriptorType):
                    with contextlib.suppress(AttributeError):  # nobody has set it
                        yield ".{}", name, slot.__get__(obj)
