"""Values in; medians, their spread, and ratios out.

Every figure is worked out once for each run, from the medians of its turns, so that what is
compared was measured at the same time in the same process. The figure is the median over the
runs, and its spread reaches from their lower to their upper quartile.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mergeparam._cli.sampling import Samples


@attrs.frozen
class Figure:
    """A median, and the quartiles around it."""

    value: float
    low: float
    high: float


def median(samples: Samples) -> Figure:
    """Return what was measured."""
    return combined(lambda value: value, samples)


def ratio(one: Samples, other: Samples) -> Figure:
    """Return how many times the other one is."""
    return combined(_quotient, one, other)


def overhead(one: Samples, base: Samples, count: int = 1) -> Figure:
    """Return what one of `count` parameters adds to the base."""
    return combined(lambda a, b: (a - b) / count, one, base)


def overhead_ratio(one: Samples, other: Samples, base: Samples) -> Figure:
    """Return how many times what the other adds to the base is what one adds to it."""
    return combined(lambda a, b, c: _quotient(a - c, b - c), one, other, base)


def combined(work_out: Callable[..., float], *samples: Samples) -> Figure:
    """Return a figure that is worked out for each run from the medians of all samples."""
    medians = [[statistics.median(values) for values in item.runs] for item in samples]
    return _figure([work_out(*run) for run in zip(*medians, strict=True)])


def _quotient(one: float, other: float) -> float:
    """Divide; what could not be told from nothing is no measure for anything."""
    return one / other if other else math.nan


def _figure(values: Sequence[float]) -> Figure:
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(middle, low, high)
