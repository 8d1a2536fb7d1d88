"""Have groups measured, each in processes of its own."""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from benchmarks import plan
from benchmarks.groups import GROUPS
from mergeparam._bench.sampling import sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyperf

    from benchmarks.plan import Effort


class MeasurementError(Exception):
    """A process that measures has failed; the text is what it said."""


def measure(order: Iterable[str], effort: Effort) -> tuple[list[pyperf.Benchmark], list[str]]:
    """Return what was measured in a process for each of the groups, and what was left out."""
    measured: dict[str, pyperf.Benchmark] = {}
    missing: dict[str, None] = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        for name in order:
            try:
                found, left_out = pool.submit(measure_group, name, effort).result()
            except Exception as error:
                cause = f"{error.__cause__ or ''}\n{type(error).__name__}: {error}"
                msg = f"measuring {name} has failed:\n{cause.strip()}"
                raise MeasurementError(msg) from error
            missing |= dict.fromkeys(left_out)
            for item in found:
                before = measured.setdefault(item.get_name(), item)
                if before is not item:
                    before.add_runs(item)
    return list(measured.values()), list(missing)


def measure_group(name: str, effort: Effort) -> tuple[list[pyperf.Benchmark], list[str]]:
    """Measure a group in this process; also return what could not be had."""
    found = []
    for comparison in GROUPS[name].comparisons():
        runs, turns = (1, effort.slow_turns) if comparison.is_slow else (effort.runs, effort.turns)
        make = functools.partial(comparison.make, effort)
        ways = sample(make, runs=range(runs), turns=turns, unit=comparison.unit)
        for way, item in ways.items():
            item.update_metadata({"name": plan.SEPARATOR.join((name, comparison.name, way))})
            found.append(item)
    left_out = [f"{package} ({reason})" for package, reason in plan.left_out.items()]
    for item in found:
        item.update_metadata({"left_out": "; ".join(left_out)} if left_out else {})
    return found, left_out
