"""`deterministic: bool = MERGED` is a `bool` in the body and optional for callers."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol, reveal_type

from typing_extensions import override

from mergeparam import MERGED, mergeable


class Layer(Protocol):
    def __call__(self, x: float, /) -> float: ...


class Routed(Protocol):
    def __call__(self, x: float, /, *, deterministic: bool = ...) -> float: ...


@mergeable("deterministic")
class Dropout:
    def __init__(self, rate: float, deterministic: bool | None = None) -> None:
        self.rate = rate
        self.deterministic = deterministic

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        reveal_type(deterministic)  # revealed: bool
        return x if deterministic else x * self.rate


@mergeable("deterministic")
class ScaledDropout(Dropout):
    @override
    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        reveal_type(deterministic)  # revealed: bool
        return super().__call__(x, deterministic=deterministic) / self.rate


@mergeable("mode", "size", method=("positional", "generator", "coroutine", "stream"))
class Methods:
    mode: str | None = None
    size: int | None = None

    def positional(self, mode: str = MERGED, size: int = MERGED) -> str:
        reveal_type(mode)  # revealed: str
        reveal_type(size)  # revealed: int
        return mode * size

    def generator(self, *, mode: str = MERGED) -> Iterator[str]:
        reveal_type(mode)  # revealed: str
        yield mode

    async def coroutine(self, *, size: int = MERGED) -> int:
        reveal_type(size)  # revealed: int
        return size

    async def stream(self, *, size: int = MERGED) -> AsyncIterator[int]:
        reveal_type(size)  # revealed: int
        yield size


layer = Dropout(0.5)
reveal_type(layer(1.0))  # revealed: float
reveal_type(layer(1.0, deterministic=True))  # revealed: float
layer(1.0, deterministic="yes")  # error
layer(1.0, deterministic=None)  # error
layer(1.0, True)  # error
layer(1.0, training=True)  # error
layer("1.0")  # error
layer()  # error

as_function: Callable[[float], float] = layer
as_layer: Layer = layer
as_routed: Routed = layer
as_other: Callable[[str], float] = layer  # error

scaled = ScaledDropout(0.5, deterministic=False)
reveal_type(scaled(1.0))  # revealed: float
scaled(1.0, deterministic="yes")  # error

methods = Methods()
reveal_type(methods.positional())  # revealed: str
reveal_type(methods.positional("a", 2))  # revealed: str
reveal_type(methods.positional(size=2))  # revealed: str
reveal_type(methods.generator())  # revealed: Iterator[str]
reveal_type(methods.stream(size=1))  # revealed: AsyncIterator[int]
as_coroutine: Coroutine[Any, Any, int] = methods.coroutine()
methods.positional(2)  # error
methods.positional("a", "2")  # error
methods.generator(mode=2)  # error
methods.coroutine(size="2")  # error


async def wait() -> None:
    reveal_type(await methods.coroutine(size=1))  # revealed: int
