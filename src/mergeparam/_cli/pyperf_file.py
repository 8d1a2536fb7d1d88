"""Samples in, a file of pyperf's out, and back again.

`python -m pyperf compare_to`, `stats`, `hist` and the others read it. pyperf's own runner is not
used: it measures one benchmark after the other, each in processes of its own, while ratios as
close as these need all that is compared to take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyperf

from mergeparam._cli.sampling import Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_OURS = ("name", "unit", "loops")


def write_samples(path: Path, samples: Iterable[Samples], metadata: Mapping[str, str]) -> None:
    """Write the samples; `metadata` says of all of them where they were measured."""
    benchmarks = [_benchmark(item, metadata) for item in samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)


def read_samples(path: Path) -> dict[str, Samples]:
    """Return the samples of a file by their names."""
    suite = pyperf.BenchmarkSuite.load(str(path))
    return {item.get_name(): _samples(item) for item in suite.get_benchmarks()}


def _benchmark(samples: Samples, metadata: Mapping[str, str]) -> pyperf.Benchmark:
    described: dict[str, str | int] = {
        **metadata,
        **samples.metadata,
        "name": samples.name,
        "unit": samples.unit,
        "loops": samples.loops,
    }
    runs = [
        pyperf.Run([_short(value) for value in values], None, described, collect_metadata=False)
        for values in samples.runs
    ]
    return pyperf.Benchmark(runs)


def _short(value: float) -> float:
    """Return the value with as many digits as mean something, so that files stay small."""
    return value if isinstance(value, int) else float(f"{value:.5g}")


def _samples(benchmark: pyperf.Benchmark) -> Samples:
    metadata = benchmark.get_metadata()
    return Samples(
        benchmark.get_name(),
        tuple(tuple(run.values) for run in benchmark.get_runs()),
        benchmark.get_unit(),
        metadata.get("loops", 1),
        {name: str(value) for name, value in metadata.items() if name not in _OURS},
    )
