"""What the figures are to reach."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from benchmarks.groups import calls, definition, paths, tracing
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED
from mergeparam._bench.sampling import Figure, combined, median, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    cases: Sequence[str] = ()

    def verdict(self, result: Result) -> str:
        """Return the figure of the worst case, bold where it is beyond the target."""
        group = result.of_group(self.group)
        found = [self.figure(group[case]) for case in self.cases or group if case in group]
        if not found:
            return "-"
        worst, digits = max(found), {"": 2, "B": 0, "guards": 0}.get(self.unit, 1)
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
    most: float
    beside, by_hand = _of(DECORATED, INLINE), "`@mergeable` / inline by hand"
    either = [f"{count} {place}" for place in calls.EITHER for count in calls.COUNTS]
    yield Target(f"a call, {by_hand}", 1.03, "", "calls", beside, either)
    adds = "what a parameter adds to it, `@mergeable` / `merge_param` by hand"
    yield Target(adds, 0.4, "", "calls", _overheads, either)
    for place in (calls.DEFAULT, calls.FORWARDING):
        name, most = f"1 {place}", calls.PATHS[place].most
        yield Target(f"{name}, {by_hand}", most, "", "calls", beside, [name])
    for name, path in paths.MERGES.items():
        yield Target(f"{name}, {by_hand}", path.most, "", "paths", beside, [name])
    linen = [f"Linen, bound, {place}" for place in calls.OF_KINDS]
    yield Target(f"a bound Linen layer, {by_hand}", 1.03, "", "classes", beside, linen)
    neither, time = calls.NEITHER, _time(DECORATED)
    for text in (neither, f"{neither}, {calls.WITH_FLAX}"):
        yield Target(f"an error, {text}", 4, "µs", "errors", time, [text])
    beside, time = _of(paths.OURS, paths.HAND), _time(paths.OURS)
    for name in (paths.PROVIDING, paths.OPENING):
        yield Target(f"{name}, / by hand", 2, "", "scopes", beside, [name])
    slow = {f"{paths.OPENING}, JAX imported": 3, f"{paths.READING}, JAX imported": 8}
    for name, most in (slow | {paths.CLOSING: 8}).items():
        yield Target(name, most, "µs", "scopes", time, [name])
    module = _time(paths.OURS, 100e-6)
    yield Target("`find_unset`, for each module", 25, "µs", "scopes", module, [paths.FINDING])
    bound, making = _of(paths.STRICT, paths.LOOSE), _time(paths.STRICT)
    for name, (*_, most) in paths.PARTIALS.items():
        text = f"{name}, `strict_partial` / `functools.partial`"
        yield Target(text, most, "", "partial", bound, [name])
    yield Target("making a `strict_partial`", 4, "µs", "partial", making, [paths.MAKING])
    beside, more = _of(DECORATED, INLINE), _added(DECORATED, INLINE)
    for case in tracing.CASES:
        name = f"torch.compile, {case}"
        yield Target(f"{name}, {by_hand}", 1.2, "", "tracing", beside, [name])
        name = f"{tracing.GUARDS}, {case}"
        yield Target(f"{name}, more than by hand", 0, "guards", "tracing", more, [name])
    text, define = "decorating a class, `@mergeable` / `attrs.define`", definition.ATTRS_DEFINE
    yield Target(text, 0.55, "", "definition", _of(DECORATED, define))
    few, many = definition.FEW, definition.MANY
    yield Target(f"decorating {many} / {few}", 1.5, "", "many", _of(many, few))
    text = f"what `import mergeparam` adds to `import {definition.DEPENDENCIES}`"
    added = _added(definition.AFTER, definition.BEFORE, 1e-3)
    yield Target(text, 8, "ms", "imports", added)
    (first, *others), size = definition.MEMORIES, _added(DECORATED, UNDECORATED)
    kib = _added(DECORATED, UNDECORATED, 1024)
    yield Target("what a decorated class adds to the memory", 8, "KiB", "memory", kib, [first])
    yield Target("what its instance adds", 0, "B", "memory", size, others)


TARGETS = tuple(_targets())
