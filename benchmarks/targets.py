"""What the figures are to reach."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from benchmarks.groups import calls, definition, paths
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED
from mergeparam._bench.sampling import Figure, combined, median, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.results import Result, Ways


def with_spread(figure: Figure, digits: int) -> str:
    """Return a figure with its quartiles in brackets."""
    value, low, high = (f"{item:.{digits}f}" for item in figure)
    return value if low == high else f"{value} ({low} to {high})"


@attrs.frozen
class Target:
    """The most that a figure of some comparisons of a group may be; none named are all."""

    text: str
    most: float
    unit: str
    group: str
    figure: Callable[[Ways], Figure]
    cases: tuple[str, ...] = ()

    def verdict(self, result: Result) -> str:
        """Return the figure of the worst case, bold where it is beyond the target."""
        group = result.of_group(self.group)
        found = [self.figure(group[case]) for case in self.cases or group if case in group]
        if not found:
            return "-"
        worst, digits = max(found), {"": 2, "B": 0}.get(self.unit, 1)
        text = with_spread(worst, digits)
        # It is compared as exactly as it is written.
        return text if round(worst.value, digits) <= self.most else f"**{text}**"


def _of(one: str, other: str) -> Callable[[Ways], Figure]:
    return lambda ways: ratio(ways[one], ways[other])


def _time(way: str, unit: float = 1e-6) -> Callable[[Ways], Figure]:
    return lambda ways: median(ways[way]).in_units(unit)


def _added(one: str, base: str, unit: float = 1) -> Callable[[Ways], Figure]:
    return lambda ways: combined(lambda a, b: (a - b) / unit, ways[one], ways[base])


def _overheads(ways: Ways) -> Figure:
    def divided(ours: float, by_hand: float, base: float) -> float:
        return (ours - base) / (by_hand - base) if by_hand != base else math.nan

    return combined(divided, ways[DECORATED], ways[BY_HAND], ways[UNDECORATED])


def _targets() -> Iterator[Target]:
    inline = "a call, `@mergeable` / inline by hand"
    yield Target(inline, 1.03, "", "calls", _of(DECORATED, INLINE), MERGED)
    adds = "what a parameter adds to it, `@mergeable` / `merge_param` by hand"
    yield Target(adds, 0.4, "", "calls", _overheads, MERGED)
    beside, ours = _of(paths.OURS, paths.HAND), _time(paths.OURS)
    most = {name: path.most for name, path in paths.MERGES.items()}
    for name, limit in (most | {paths.PROVIDING: 2, paths.OPENING: 2}).items():
        yield Target(f"{name}, / by hand", limit, "", "paths", beside, (name,))
    slow = {f"{paths.OPENING}, JAX imported": 3, f"{paths.READING}, JAX imported": 8}
    for name, limit in (slow | {paths.CLOSING: 8}).items():
        yield Target(name, limit, "µs", "paths", ours, (name,))
    module = _time(paths.OURS, 100e-6)
    yield Target("find_unset, for each module", 25, "µs", "paths", module, (paths.FINDING,))
    neither = "set in neither place"
    yield Target(f"an error, {neither}", 4, "µs", "errors", _time(DECORATED), (neither,))
    bound, making = _of(paths.STRICT, paths.LOOSE), _time(paths.STRICT)
    for name, (*_, limit) in paths.PARTIALS.items():
        text = f"{name}, `strict_partial` / `functools.partial`"
        yield Target(text, limit, "", "partial", bound, (name,))
    yield Target("making a `strict_partial`", 4, "µs", "partial", making, (paths.MAKING,))
    text, define = "decorating a class, `@mergeable` / `attrs.define`", definition.ATTRS_DEFINE
    yield Target(text, 0.55, "", "definition", _of(DECORATED, define))
    text, added = (
        "what `import mergeparam` adds to",
        _added(definition.AFTER, definition.BEFORE, 1e-3),
    )
    before = f"{text} `import {definition.DEPENDENCIES}`"
    yield Target(before, 8, "ms", "imports", added, (definition.PROCESS,))
    (first, *others), adds = definition.MEMORIES, "what a decorated class adds to the memory"
    kib = _added(DECORATED, UNDECORATED, 1024)
    yield Target(adds, 8, "KiB", "memory", kib, (first,))
    size = _added(DECORATED, UNDECORATED)
    yield Target("what its instance adds", 0, "B", "memory", size, tuple(others))


MERGED = tuple(f"{count} by {place}" for place in calls.PLACES for count in calls.COUNTS)
"""The calls in which one place sets the parameters."""

TARGETS = tuple(_targets())
