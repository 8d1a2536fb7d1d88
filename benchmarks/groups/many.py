"""What it costs to decorate many classes."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from benchmarks.layers import NAMES
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import MERGED, mergeable
from mergeparam._cli.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = NAMES[0]
COUNTS = (10, 100, 1_000, 10_000)
FEWEST = 1_000
"""How many classes a turn takes at least, for a short time to be told well."""


def make_class(number: int) -> type:
    """Return a new class; what it costs to compile it is not the question here."""

    class Layer:
        deterministic: bool | None = None

        def __call__(self, x: object, *, deterministic: bool = MERGED) -> object:
            return x, deterministic

    Layer.__qualname__ = f"Layer{number}"
    return Layer


def many_sampler(count: int) -> Sampler:
    """Return a sampler of the seconds that each of `count` classes takes."""
    times = max(1, FEWEST // count)

    def take() -> float:
        return sum(_seconds(count) for _ in range(times)) / count / times

    return Sampler(take, count * times)


def _seconds(count: int) -> float:
    decorate = mergeable(NAME)
    classes = [make_class(number) for number in range(count)]
    gc.collect()
    start = time.perf_counter()
    for cls in classes:
        decorate(cls)
    return time.perf_counter() - start


def samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of all counts; few turns leave the largest out."""
    largest = COUNTS[-1] if effort.classes > 2 else COUNTS[-2]  # noqa: PLR2004 - the fast effort has fewer
    return {f"{count:,} classes": many_sampler(count) for count in COUNTS if count <= largest}


def comparisons() -> Iterator[Comparison]:
    """Yield the only comparison."""
    yield Comparison("time of each", samplers)


GROUP = Group(
    "many",
    "Many classes",
    """\
Decorating from 10 to 10,000 plain classes in a row, with the garbage collector at work; the time
that each takes. The classes stay alive, as those of a program do.""",
    comparisons,
    reference=f"{COUNTS[0]:,} classes",
    is_slow=True,
    most={"processes": 2, "turns": 3},
)
