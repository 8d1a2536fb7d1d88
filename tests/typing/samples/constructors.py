"""The decorator changes neither the class nor its constructor."""

import dataclasses
from typing import Generic, NamedTuple, TypeVar, reveal_type

import attrs

from mergeparam import MERGED, mergeable

T = TypeVar("T")


@mergeable("deterministic")
@attrs.frozen
class AttrsLayer:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return x if deterministic else x * self.rate


@mergeable
@dataclasses.dataclass
class DataLayer:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return x if deterministic else x * self.rate


@mergeable()
class PlainLayer:
    def __init__(self, rate: float, *, deterministic: bool | None = None) -> None:
        self.rate = rate
        self.deterministic = deterministic

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return x if deterministic else x * self.rate


@mergeable
class TupleLayer(NamedTuple):
    rate: float
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return x if deterministic else x * self.rate


@mergeable("scale")
class GenericLayer(Generic[T]):
    def __init__(self, weight: T, scale: float | None = None) -> None:
        self.weight = weight
        self.scale = scale

    def __call__(self, *, scale: float = MERGED) -> tuple[T, float]:
        return self.weight, scale


class SubLayer(AttrsLayer):
    pass


attrs_layer = AttrsLayer(0.5, deterministic=True)
reveal_type(attrs_layer)  # revealed: AttrsLayer
reveal_type(attrs_layer.rate)  # revealed: float
reveal_type(attrs_layer.deterministic)  # revealed: bool | None
reveal_type(attrs.evolve(attrs_layer, rate=0.1))  # revealed: AttrsLayer
AttrsLayer()  # error
AttrsLayer("0.5")  # error
AttrsLayer(0.5, deterministic="yes")  # error
AttrsLayer(0.5, training=True)  # error
attrs_layer.rate = 0.1  # error
attrs_layer.training  # error

data_layer = DataLayer(0.5, True)
reveal_type(data_layer)  # revealed: DataLayer
reveal_type(data_layer.deterministic)  # revealed: bool | None
reveal_type(dataclasses.replace(data_layer, rate=0.1))  # revealed: DataLayer
data_layer.rate = 0.1
data_layer.rate = "0.1"  # error
DataLayer()  # error
DataLayer("0.5")  # error
DataLayer(0.5, "yes")  # error

plain_layer = PlainLayer(0.5, deterministic=None)
reveal_type(plain_layer)  # revealed: PlainLayer
reveal_type(plain_layer.deterministic)  # revealed: bool | None
PlainLayer()  # error
PlainLayer("0.5")  # error
PlainLayer(0.5, True)  # error

tuple_layer = TupleLayer(0.5)
as_tuple: tuple[float, bool | None] = tuple_layer
reveal_type(tuple_layer[1])  # revealed: bool | None
TupleLayer("0.5")  # error

generic_layer = GenericLayer("weight")
reveal_type(generic_layer)  # revealed: GenericLayer[str]
reveal_type(generic_layer(scale=2.0))  # revealed: tuple[str, float]
annotated_layer: GenericLayer[int] = GenericLayer(1)
refused_layer: GenericLayer[int] = GenericLayer("weight")  # error

reveal_type(SubLayer(0.5))  # revealed: SubLayer
as_base: AttrsLayer = SubLayer(0.5)
as_factory: type[AttrsLayer] = SubLayer
SubLayer("0.5")  # error
