"""`python -m benchmarks.alone`: the calls again, each by itself in the hands of pyperf's runner.

It takes the options of `pyperf.Runner` and writes its files; see how far the absolute times agree
with those of `python -m benchmarks`, where the ways take turns.
"""

from __future__ import annotations

import timeit

import pyperf

from benchmarks.groups.calls import CASES, PLACES
from benchmarks.plan import SEPARATOR


def main(runner: pyperf.Runner) -> None:
    """Hand every way of every case to the runner."""
    for case in (case for case in CASES if case.given in PLACES):
        for name, way in case.ways.items():
            names = {"layer": case.make_layer(way), "x": 1.0}
            timer = timeit.Timer(case.call, timer=pyperf.perf_counter, globals=names)
            benchmark = SEPARATOR.join(("calls", str(case), name))
            runner.bench_time_func(benchmark, timer.timeit)


if __name__ == "__main__":
    main(pyperf.Runner(program_args=("-m", "benchmarks.alone")))
