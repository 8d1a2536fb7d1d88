"""Figures as Markdown: the tables, the headline, and the whole report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.groups import GROUPS, calls
from benchmarks.layers import DECORATED, UNDECORATED
from benchmarks.plan import THOROUGH
from benchmarks.results import widest
from benchmarks.targets import TARGETS, with_spread
from mergeparam._bench.sampling import NANOSECOND, Figure, median, overhead, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyperf

    from benchmarks.plan import Group
    from benchmarks.results import Result

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
TEMPLATE = Path(__file__).with_name("report.md")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all columns but the first are numbers."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def group_table(group: Group, result: Result) -> str:
    """Return what was measured of a group on one Python."""
    head = ["", "", "median", "quartiles"] + ["a parameter adds"] * bool(group.base)
    head += [f"/ {group.reference}"] * bool(group.reference)
    rows = []

    def amount(benchmark: pyperf.Benchmark, value: float) -> str:
        return str(benchmark.format_value(value)).replace(" us", " µs")

    for comparison, ways in result.of_group(group.name).items():
        base, reference = ways.get(group.base or ""), ways.get(group.reference or "")
        count = int(found[1]) if (found := re.match(r"(\d+) ", comparison)) else 1
        for number, (way, item) in enumerate(ways.items()):
            value, low, high = median(item)
            spread = "" if low == high else f"{amount(item, low)} to {amount(item, high)}"
            row = ["" if number else comparison, way, amount(item, value), spread]
            if group.base:
                is_other = base is not None and item is not base
                row.append(amount(item, overhead(item, base, count).value) if is_other else "")
            if group.reference:
                is_other = reference is not None and item is not reference
                row.append(with_spread(ratio(item, reference), 2) if is_other else "")
            rows.append(row)
    return markdown_table(head, rows)


def target_table(results: Sequence[Result]) -> str:
    """Return how the targets are met on every Python; what is missed is bold."""
    rows = []
    for target in TARGETS:
        verdicts = [target.verdict(result) for result in results]
        if set(verdicts) != {"-"}:
            rows.append([target.text, f"{target.most:g} {target.unit}".strip(), *verdicts])
    return markdown_table(["", "at most", *(result.python for result in results)], rows)


def added_by_path(result: Result) -> dict[str, dict[str, Figure]]:
    """Return what one parameter adds to a call: by path, then by way."""
    group, found = result.of_group(calls.CALLS.name), {}
    for path in calls.PATHS if group else ():
        ways = group[f"1 {path}"]
        base = ways.pop(UNDECORATED)
        found[path] = {way: overhead(item, base) for way, item in ways.items()}
    return found


def headline(result: Result, chart: str) -> str:
    """Return what one parameter adds to a call as Markdown, with a link to the chart."""
    by_path, rows = added_by_path(result), []
    for way in next(iter(by_path.values())):
        # Not every way can go every path.
        figures = [
            f"{ways[way].value / NANOSECOND:.0f}" if way in ways else ""
            for ways in by_path.values()
        ]
        name = f"**`{way}`**" if way == DECORATED else way
        rows.append([name, *figures])
    table = markdown_table(["ns that one merged parameter adds to a call", *by_path], rows)
    return (
        f"![What one merged parameter adds to a call]({chart})\n\n{table}\n"
        f"Medians, {result.place}; `python -m benchmarks` repeats them. A wrapper merges "
        f"on Pythons whose bytecode mergeparam does not know.\n"
    )


def refreshed(text: str, content: str) -> str:
    """Return the text with the content between the two marks in it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"the file has no {BEGIN} ... {END}"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n{content}{END}{after}"


def report(results: Sequence[Result], chart: str, folder: str) -> str:
    """Return the report: the template, without the sections that nothing was measured for."""
    most = widest(results)
    loads = [item.metadata["load"] for item in results if "load" in item.metadata]
    values = {
        "results": folder,
        "turns": str(THOROUGH.turns),
        "targets": target_table(results),
        "machines": "; ".join({result.place.partition(" on ")[2]: None for result in results}),
        "loads": f", at load averages of {', '.join(loads)}" if loads else "",
    }
    if most.of_group(calls.CALLS.name):
        values["table_headline"] = headline(most, chart)
    for name, group in GROUPS.items():
        if ways := most.of_group(name):
            facts = next(iter(next(iter(ways.values())).values())).get_metadata()
            missing = f" Left out: {facts['left_out']}." if "left_out" in facts else ""
            values[f"table_{name}"] = f"{group_table(group, most)}\n{most.place}.{missing}\n"
    sections = re.split(r"(?m)^(?=## )", TEMPLATE.read_text(encoding="utf-8"))
    kept = [text for text in sections if {*re.findall(r"\{(table_\w+)\}", text)} <= values.keys()]
    return "".join(kept).format_map(values)
