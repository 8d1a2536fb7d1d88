"""A `strict_partial` returns the type that its function returns."""

import functools
from collections.abc import Callable
from typing import TypeVar, reveal_type

from mergeparam import MERGED, mergeable, strict_partial

T = TypeVar("T")


@mergeable("deterministic")
class Dropout:
    def __init__(self, rate: float, deterministic: bool | None = None) -> None:
        self.rate = rate
        self.deterministic = deterministic

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        return x if deterministic else x * self.rate


def drop(x: float, rate: float, *, deterministic: bool) -> float:
    return x if deterministic else x * rate


def same(x: T, *, times: int) -> list[T]:
    return [x] * times


async def wait(*, seconds: float) -> int:
    return 1


evaluated = strict_partial(drop, deterministic=True)
reveal_type(evaluated)  # revealed: strict_partial[float]
reveal_type(evaluated.func(1.0))  # revealed: float
reveal_type(evaluated.keywords)  # revealed: dict[str, Any]
as_partial: functools.partial[float] = evaluated
reveal_type(evaluated(1.0, 0.5))  # revealed: float
reveal_type(strict_partial(evaluated, rate=0.5)(1.0))  # revealed: float
as_callable: Callable[..., float] = evaluated
as_short: Callable[[float], float] = strict_partial(drop, rate=0.5, deterministic=True)
as_other: Callable[..., str] = evaluated  # error

template = strict_partial(Dropout, rate=0.5)
reveal_type(template())  # revealed: Dropout
reveal_type(template()(1.0, deterministic=True))  # revealed: float
reveal_type(strict_partial(Dropout(0.5), deterministic=True)(1.0))  # revealed: float

strict_partial()  # error
strict_partial(1)  # error
strict_partial(drop, True)  # error


async def main() -> None:
    reveal_type(await strict_partial(wait, seconds=0.1)())  # revealed: int
