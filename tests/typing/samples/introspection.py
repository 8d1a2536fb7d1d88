"""The types of answers about classes, instances and models."""

import inspect
from typing import reveal_type

from mergeparam import (
    MERGED,
    Param,
    find_unset,
    mergeable,
    merged_params,
    merged_signature,
    route,
    unset_params,
)


@mergeable
class Layer:
    training: bool | None = None

    def __call__(self, x: float, *, training: bool = MERGED) -> float:
        return x


layer = Layer()

reveal_type(merged_params(Layer))  # revealed: tuple[Param, ...]
reveal_type(merged_params(layer, "__call__"))  # revealed: tuple[Param, ...]
reveal_type(merged_signature(Layer))  # revealed: Signature
reveal_type(merged_signature(layer, method="__call__"))  # revealed: Signature
reveal_type(unset_params(layer))  # revealed: tuple[str, ...]
reveal_type(unset_params(layer, "__call__"))  # revealed: tuple[str, ...]
reveal_type(route(layer, training=True))  # revealed: dict[str, Any]
signature: inspect.Signature = merged_signature(layer)
params: tuple[Param, ...] = merged_params(layer)
merged_params()  # error
merged_params(Layer, 1)  # error
merged_signature(Layer, 1)  # error
unset_params(layer, 1)  # error
route(layer, True)  # error
route(obj=layer)  # error

reveal_type(layer(1.0, **route(layer, training=True)))  # revealed: float

for path, obj, names in find_unset([layer]):
    reveal_type(path)  # revealed: str
    reveal_type(obj)  # revealed: object
    reveal_type(names)  # revealed: tuple[str, ...]
for found in find_unset(layer):
    reveal_type(found.path)  # revealed: str
    reveal_type(found.obj)  # revealed: object
    reveal_type(found.names)  # revealed: tuple[str, ...]
    found.path = "other"  # error
find_unset()  # error
