"""Measure one group in this process, and print what was measured as lines of JSON.

`python -m benchmarks.worker GROUP EFFORT`; the effort is what `plan.Effort` has, as JSON.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.optional import left_out
from benchmarks.plan import Comparison, Effort, load_group
from mergeparam._cli.sampling import sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def measure(group: str, effort: Effort) -> Iterator[Mapping[str, Any]]:
    """Yield the samples of every comparison, and in the end what was left out."""
    for comparison in load_group(group).comparisons():
        yield {"comparison": comparison.name, "samples": _samples(comparison, effort)}
    yield {"left_out": left_out}


def _samples(comparison: Comparison, effort: Effort) -> list[Mapping[str, Any]]:
    make = functools.partial(comparison.make, effort)
    samples = sample(make, runs=range(effort.runs), turns=effort.turns, unit=comparison.unit)
    return [attrs.asdict(item) for item in samples.values()]


def main(arguments: list[str]) -> None:
    """Measure and print."""
    group, effort = arguments
    for line in measure(group, Effort(**json.loads(effort))):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
