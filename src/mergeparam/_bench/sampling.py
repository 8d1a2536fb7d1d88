"""Time several ways to do the same in turns, so that what slows one slows the others too.

A *value* is what one turn measures, a *run* all the values of one set of samplers. Within a run
the samplers take turns; the next run has new ones, because where a function lies in memory
changes its speed. pyperf keeps what was measured. Its own runner is not used, because it measures
one benchmark after the other, in processes of their own, while ratios this close to 1 need
everything that is compared to take turns.

Every figure is worked out once for each run, from the medians of its turns, so that what is
compared was measured at the same time in the same process. The figure is the median over the
runs, and its spread reaches from their lower to their upper quartile.
"""

from __future__ import annotations

import platform
import random
import statistics
import time
import timeit
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pyperf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Both by the name of each way.
Benchmarks: TypeAlias = "dict[str, pyperf.Benchmark]"
Samplers: TypeAlias = "Mapping[str, Sampler]"

NANOSECOND = 1e-9
_UNROLLED = 10  # copies of a quick statement in the body of the timed loop
_CALIBRATION = 20  # loops that are timed to find out how many fit into a turn


class Sampler(NamedTuple):
    """Something to measure: `take` returns one value, the mean of `loops` repetitions."""

    take: Callable[[], float]
    loops: int = 1


def call_sampler(statement: str, names: Mapping[str, Any], seconds: float) -> Sampler:
    """Return a sampler of the time that `statement` takes; one turn of it takes `seconds`."""

    def timer(copies: int) -> timeit.Timer:
        text = "\n".join([statement] * copies)
        return timeit.Timer(text, timer=time.perf_counter, globals=dict(names))

    timed, copies = timer(1), 1
    # The first call compiles and caches, so only the second one tells.
    timed.timeit(1)
    once = timed.timeit(1)
    if once * _UNROLLED < seconds:
        timed, copies = timer(_UNROLLED), _UNROLLED
        timed.timeit(_CALIBRATION)
        once = timed.timeit(_CALIBRATION) / _CALIBRATION
    number = max(1, round(seconds / max(once, 1e-9)))
    # An untimed tenth brings the code back into the processor's caches; a statement that takes
    # longer than a turn fills them by itself and is called just once.
    untimed = 1 + number // 10 if once < seconds else 0

    def take() -> float:
        timed.timeit(untimed)
        return timed.timeit(number) / (number * copies)

    return Sampler(take, number * copies)


def sample(
    make: Callable[[], Samplers], *, runs: Iterable[object], turns: int, unit: str = "second"
) -> Benchmarks:
    """Measure in as many runs as `runs` has items, each with new samplers."""
    found: dict[str, list[pyperf.Run]] = {}
    for _ in runs:
        samplers = make()
        values: dict[str, list[float]] = {name: [] for name in samplers}
        for _ in range(turns):
            # In another order each time, so that none always follows the same one.
            for name in random.sample(list(samplers), len(samplers)):
                # Four digits are more than mean something, and keep the files small.
                values[name].append(float(f"{samplers[name].take():.4g}"))
        for name, sampler in samplers.items():
            facts = {"name": name, "unit": unit, "loops": sampler.loops}
            run = pyperf.Run(values[name], metadata=facts, collect_metadata=False)
            found.setdefault(name, []).append(run)
    return {name: pyperf.Benchmark(taken) for name, taken in found.items()}


class Figure(NamedTuple):
    """A median, and the quartiles around it."""

    value: float
    low: float
    high: float

    def in_units(self, unit: float) -> Figure:
        """Return the figure in another unit."""
        return Figure(*(value / unit for value in self))


def median(benchmark: pyperf.Benchmark) -> Figure:
    """Return what was measured."""
    return combined(lambda value: value, benchmark)


def ratio(one: pyperf.Benchmark, other: pyperf.Benchmark) -> Figure:
    """Return how many times as long as the other one takes."""
    return combined(lambda a, b: a / b, one, other)


def overhead(one: pyperf.Benchmark, base: pyperf.Benchmark, count: int = 1) -> Figure:
    """Return what each of `count` parameters adds to the base."""
    return combined(lambda a, b: (a - b) / count, one, base)


def combined(work_out: Callable[..., float], *benchmarks: pyperf.Benchmark) -> Figure:
    """Return a figure that is worked out for each run, from the medians of its turns."""
    medians = [[statistics.median(run.values) for run in one.get_runs()] for one in benchmarks]
    values = [work_out(*run) for run in zip(*medians, strict=True)]
    # Quartiles need two values; those of a single run are that one.
    low, middle, high = statistics.quantiles(
        values * 2 if len(values) == 1 else values, n=4, method="inclusive"
    )
    return Figure(low=low, value=middle, high=high)


def machine() -> dict[str, str]:
    """Return the metadata of a measurement, without naming whose machine it is."""
    found = pyperf.Run([1.0]).get_metadata()
    names = "python_implementation", "python_compiler", "cpu_model_name", "cpu_count"
    return {name: str(found[name]) for name in names if name in found} | {
        "python_version": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "mergeparam_version": version("mergeparam"),
    }
