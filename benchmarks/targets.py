"""What the figures are to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from benchmarks.groups import body, calls, definition, imports, memory, partial
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED
from mergeparam._cli.figures import Figure, combined, overhead_ratio, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.result import Result
    from mergeparam._cli.sampling import Samples

    Ways = Mapping[str, Samples]

KIB, MILLISECOND = 1024, 1e-3


@attrs.frozen
class Target:
    """A figure of every case of a comparison, and the most that it may be."""

    text: str
    most: float
    group: str
    figure: Callable[[Ways], Figure]
    cases: Callable[[str], bool] = lambda _: True
    """Which comparisons of the group are cases of this."""

    unit: str = ""
    digits: int = 2


@attrs.frozen
class Met:
    """How a target is met: the figure of the worst case."""

    target: Target
    case: str
    figure: Figure

    @property
    def is_met(self) -> bool:
        """Whether even the worst case stays within the target, as exactly as it is written."""
        return round(self.figure.value, self.target.digits) <= self.target.most


def _of(one: str, other: str) -> Callable[[Ways], Figure]:
    return lambda ways: ratio(ways[one], ways[other])


def _overheads(ways: Ways) -> Figure:
    return overhead_ratio(ways[DECORATED], ways[BY_HAND], ways[UNDECORATED])


def _added(one: str, base: str, scale: float) -> Callable[[Ways], Figure]:
    def figure(ways: Ways) -> Figure:
        return combined(lambda a, b: (a - b) / scale, ways[one], ways[base])

    return figure


def _is_merged(case: str) -> bool:
    return case.rpartition(" ")[2] in calls.PLACES


_SHORT, *_, _LONG = (body.body_name(lines) for lines in body.LINES)
_TRIES = body.body_name(body.LINES[-1], body.TRIES)

TARGETS = (
    Target(
        "a call, `@mergeable` / inline by hand",
        1.03,
        calls.GROUP.name,
        _of(DECORATED, INLINE),
        _is_merged,
    ),
    Target(
        "what a parameter adds to it, `@mergeable` / `merge_param` by hand",
        0.40,
        calls.GROUP.name,
        _overheads,
        _is_merged,
    ),
    Target(
        "a call through `strict_partial` / `functools.partial`",
        1.5,
        partial.GROUP.name,
        _of(partial.STRICT, partial.LOOSE),
        lambda case: case == partial.CALLING,
    ),
    Target(
        "decorating a class, `@mergeable` / `attrs.define`",
        0.5,
        definition.GROUP.name,
        _of(definition.DECORATED, definition.ATTRS_DEFINE),
    ),
    Target(
        f"the same, a body of {_LONG} / {_SHORT}",
        2,
        body.GROUP.name,
        _of(_LONG, _SHORT),
        lambda case: case == DECORATED,
    ),
    Target(
        f"the same, a body of {_TRIES} / {_SHORT}",
        2,
        body.GROUP.name,
        _of(_TRIES, _SHORT),
        lambda case: case == DECORATED,
    ),
    Target(
        f"what `import mergeparam` adds to `import {imports.DEPENDENCIES}`",
        10,
        imports.GROUP.name,
        _added(imports.AFTER, imports.BEFORE, MILLISECOND),
        lambda case: case == imports.PROCESS,
        unit="ms",
        digits=1,
    ),
    Target(
        "what a decorated class adds to the memory",
        8,
        memory.GROUP.name,
        _added(DECORATED, UNDECORATED, KIB),
        lambda case: case == memory.CLASS,
        unit="KiB",
        digits=1,
    ),
    Target(
        "what its instance adds",
        0,
        memory.GROUP.name,
        _added(DECORATED, UNDECORATED, 1),
        lambda case: case != memory.CLASS,
        unit="B",
        digits=0,
    ),
)


def met(target: Target, result: Result) -> Met | None:
    """Return how a target is met on one Python; `None` where that was not measured."""
    cases = [
        Met(target, case, target.figure(ways))
        for case, ways in result.of_group(target.group).items()
        if target.cases(case)
    ]
    return max(cases, key=lambda item: item.figure.value, default=None)


def all_met(result: Result) -> Iterator[Met]:
    """Yield how each target is met, of those that were measured."""
    for target in TARGETS:
        found = met(target, result)
        if found is not None:
            yield found
