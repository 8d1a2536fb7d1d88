"""What type checkers accept and refuse; the comments say which lines are errors."""
# ruff: noqa: D101, D102, D103

from typing import Protocol, reveal_type

import attrs
from typing_extensions import override

from mergeparam import MERGED, mergeable


@mergeable("deterministic")
@attrs.frozen
class Dropout:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        reveal_type(deterministic)  # revealed: bool
        return x if deterministic else x * (1 - self.rate)


layer = Dropout(0.5, deterministic=True)
layer(1.0)
layer(1.0, deterministic=False)  # both are set: found when it runs
layer(1.0, deterministic="yes")  # error
layer(1.0, determinstic=True)  # error
layer(1.0, deterministic=None)  # error


@mergeable("deterministic")
@attrs.frozen
class Threaded:
    rate: float
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool | None = MERGED) -> float:
        reveal_type(deterministic)  # revealed: bool | None
        return x if deterministic else x * (1 - self.rate)


def block(x: float, *, deterministic: bool | None = None) -> float:
    x = Threaded(0.5)(x, deterministic=deterministic)
    return layer(x, deterministic=deterministic)  # error


class Layer(Protocol):
    def __call__(self, x: float, /) -> float: ...


class Flagged(Protocol):
    def __call__(self, x: float, /, *, deterministic: bool = ...) -> float: ...


as_layer: Layer = layer
as_flagged: Flagged = layer
as_flagged = Threaded(0.5)


@mergeable("deterministic")
class Scaled(Dropout):
    @override
    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return super().__call__(x, deterministic=deterministic) / (1 - self.rate)


class Always(Dropout):
    @override
    def __call__(self, x: float) -> float:  # error
        return super().__call__(x, deterministic=True)
