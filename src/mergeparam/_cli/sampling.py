"""Time what is compared by turns in one process, so that what slows one slows the others too.

A *value* is what one turn measures, a *run* all the values of one set of samplers. Within a run
the samplers take turns; another run begins with new ones, because where a function lies in memory
changes its speed.
"""

from __future__ import annotations

import time
import timeit
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    Samplers = Mapping[str, "Sampler"]

_UNROLLED = 10
"""How many copies of a quick statement stand in the loop that is timed."""

_CALIBRATION = 20
"""How many times the unrolled statement runs to find how often it is to run in a turn."""


class Sampler(NamedTuple):
    """Something to measure: `take` returns one value, which `loops` repetitions went into."""

    take: Callable[[], float]
    loops: int = 1


@attrs.frozen
class Samples:
    """All values of one thing: for each run those of its turns."""

    name: str
    runs: tuple[tuple[float, ...], ...]
    unit: str = "second"
    loops: int = 1
    metadata: Mapping[str, str] = attrs.field(factory=dict)


def call_sampler(statement: str, names: Mapping[str, Any], seconds: float) -> Sampler:
    """Return a sampler of the seconds that `statement` takes; a turn of it takes `seconds`.

    Each turn begins with a tenth more that is not timed, to get the code back into the caches.
    What takes longer than a turn is called once in each.
    """
    timer, copies = _timer([statement], names), 1
    timer.timeit(1)
    once = timer.timeit(1)
    if once * _UNROLLED < seconds:
        timer, copies = _timer([statement] * _UNROLLED, names), _UNROLLED
        timer.timeit(_CALIBRATION)
        once = timer.timeit(_CALIBRATION) / _CALIBRATION
    number = max(1, round(seconds / max(once, 1e-9)))
    loops, untimed = number * copies, 1 + number // 10 if once < seconds else 0

    def take() -> float:
        timer.timeit(untimed)
        return timer.timeit(number) / loops

    return Sampler(take, loops)


def _timer(statements: Sequence[str], names: Mapping[str, Any]) -> timeit.Timer:
    return timeit.Timer("; ".join(statements), timer=time.perf_counter, globals=dict(names))


def inside(context: Callable[[], AbstractContextManager[object]], sampler: Sampler) -> Sampler:
    """Return a sampler whose turns are taken inside a context."""

    def take() -> float:
        with context():
            return sampler.take()

    return Sampler(take, sampler.loops)


def take_turns(samplers: Samplers, turns: int) -> dict[str, tuple[float, ...]]:
    """Let all samplers take a value in every turn, in another order each time."""
    names = list(samplers)
    values: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns):
        first = turn % len(names)
        order = names[first:] + names[:first]
        for name in order if turn % 2 else reversed(order):
            values[name].append(samplers[name].take())
    return {name: tuple(taken) for name, taken in values.items()}


def sample(
    make: Callable[[], Samplers], *, runs: Iterable[object], turns: int, unit: str = "second"
) -> dict[str, Samples]:
    """Measure in a run for each of `runs`, with new samplers."""
    sets = [(made, take_turns(made, turns)) for made in (make() for _ in runs)]
    return {
        name: Samples(name, tuple(taken[name] for _, taken in sets), unit, made[name].loops)
        for made, _ in sets[-1:]
        for name in made
    }
