"""Figures in, Markdown out."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED, WRAPPER
from benchmarks.targets import Met, all_met
from mergeparam._cli.figures import Figure, median, overhead, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.plan import Group
    from benchmarks.result import Result
    from mergeparam._cli.sampling import Samples

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1024.0, "KiB"), (1.0, "bytes"))
_COUNT = re.compile(r"^(\d+) by ")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all columns but the first are numbers."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def group_table(group: Group, result: Result) -> str:
    """Return what was measured of a group on one Python."""
    head = ["", "", "median", "quartiles"]
    head += ["a parameter adds" if _counts(group) else "adds"] if group.base else []
    head += [f"/ {group.reference}"] if group.reference else []
    rows = [
        row
        for comparison, ways in result.of_group(group.name).items()
        for row in _rows(group, comparison, ways)
    ]
    return markdown_table(head, rows)


def _rows(group: Group, comparison: str, ways: Mapping[str, Samples]) -> Iterator[list[str]]:
    scale, unit = _unit(ways)
    base, reference = ways.get(group.base or ""), ways.get(group.reference or "")
    count = int(found[1]) if (found := _COUNT.match(comparison)) else 1
    for number, (way, samples) in enumerate(ways.items()):
        figure = median(samples)
        row = ["" if number else comparison, way, f"{_short(figure.value / scale)} {unit}"]
        row.append(_quartiles(figure, scale))
        if group.base:
            row.append(_added(samples, base, count))
        if group.reference:
            row.append(_ratio(samples, reference))
        yield row


def _counts(group: Group) -> bool:
    return group.name == "calls"


def _quartiles(figure: Figure, scale: float) -> str:
    if figure.low == figure.high:
        return ""
    return f"{_short(figure.low / scale)} to {_short(figure.high / scale)}"


def _added(samples: Samples, base: Samples | None, count: int) -> str:
    if base is None or samples is base:
        return ""
    added = overhead(samples, base, count).value
    scale, unit = _best_unit(abs(added), samples.unit)
    return f"{_short(added / scale)} {unit}"


def _ratio(samples: Samples, reference: Samples | None) -> str:
    if reference is None or samples is reference:
        return ""
    return with_spread(ratio(samples, reference), 2)


def with_spread(figure: Figure, digits: int) -> str:
    """Return a figure with its quartiles in brackets."""
    value, low, high = (f"{item:.{digits}f}" for item in (figure.value, figure.low, figure.high))
    return value if low == high else f"{value} ({low} to {high})"


def _unit(ways: Mapping[str, Samples]) -> tuple[float, str]:
    """Return the unit in which the smallest of the values is read best."""
    smallest = min(median(samples).value for samples in ways.values())
    return _best_unit(smallest, next(iter(ways.values())).unit)


def _best_unit(value: float, kind: str) -> tuple[float, str]:
    units = _SECONDS if kind == "second" else _BYTES
    return next((unit for unit in units if value >= unit[0]), units[-1])


def _short(value: float) -> str:
    """Return the value with three digits or more, as many as mean something."""
    digits = 0 if value == 0 else 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(digits, 0), 2)}f}"


def target_table(results: Sequence[Result]) -> str:
    """Return how the targets are met on every Python."""
    found = [{item.target.text: item for item in all_met(result)} for result in results]
    targets = {text: item.target for items in found for text, item in items.items()}
    rows = [
        [
            text,
            f"{target.most:g} {target.unit}".strip(),
            *(_verdict(items.get(text)) for items in found),
        ]
        for text, target in targets.items()
    ]
    return markdown_table(["", "at most", *(result.python for result in results)], rows)


def parameter_table(results: Sequence[Result]) -> str:
    """Return what each of four parameters adds to a call, on every Python."""
    groups = [result.of_group("calls") for result in results]
    cases = [case for case in groups[0] if case.startswith("4 by") and BY_HAND in groups[0][case]]
    ways = (INLINE, DECORATED, BY_HAND, WRAPPER)
    rows = [
        [
            f"{way}, set {case.removeprefix('4 ')}",
            *(_nanoseconds(group[case], way) for group in groups),
        ]
        for case in cases
        for way in ways
    ]
    return markdown_table(["ns", *(result.python for result in results)], rows)


def _nanoseconds(ways: Mapping[str, Samples], way: str) -> str:
    added = overhead(ways[way], ways[UNDECORATED], 4)
    return with_spread(Figure(added.value * 1e9, added.low * 1e9, added.high * 1e9), 1)


def _verdict(item: Met | None) -> str:
    if item is None:
        return "-"
    text = with_spread(item.figure, item.target.digits)
    return text if item.is_met else f"**{text}**"


def machine_line(result: Result) -> str:
    """Name the Python and the machine."""
    return f"{result.python} on {result.machine}"
