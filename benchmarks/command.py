"""Measure all or some, and write the figures, the chart and the report."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from benchmarks.charts import draw
from benchmarks.groups import GROUPS
from benchmarks.measure import MeasurementError, measure
from benchmarks.plan import FAST, THOROUGH
from benchmarks.results import read_results, widest, write_result
from benchmarks.tables import headline, refreshed, report, target_table
from mergeparam._bench.sampling import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    A missed target is no failure, because a busy machine misses them too.
    """
    options, console = _parse(arguments), Console()
    try:
        # What would keep the report from being written is said before anything is measured.
        options.output.mkdir(parents=True, exist_ok=True)
        found = read_results(options.output)
        if options.readme:
            refreshed(options.readme.read_text(encoding="utf-8"), "")
        if not options.report:
            path = _measure(options, console)
            console.print(f"{path}: read it with python -m pyperf stats")
        elif not found:
            console.print(f"there are no figures in {options.output}; measure first", style="red")
            return 2
    except (OSError, ValueError, MeasurementError) as error:
        console.print(f"{type(error).__name__}: {error}", markup=False, style="red")
        return 1 if isinstance(error, MeasurementError) else 2
    write_report(options.output, options.readme)
    console.print(Markdown(target_table(read_results(options.output))))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(GROUPS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {names}")
    parser.add_argument("--fast", action="store_true", help="take less time, less exact")
    parser.add_argument("--report", action="store_true", help="measure nothing, only report")
    for option, text in (
        ("--output", "where all is written, in the place of benchmarks/results"),
        ("--readme", "put the headline between its marks there"),
    ):
        parser.add_argument(option, type=Path, metavar="PATH", help=text)
    options = parser.parse_args(arguments, argparse.Namespace(output=OUTPUT))
    unknown = [name for name in options.names if name not in GROUPS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; choose from {names}")
    if options.report and options.names:
        parser.error("--report is always of everything; leave the names out")
    return options


def _measure(options: argparse.Namespace, console: Console) -> Path:
    metadata = machine() | {"effort": "fast" if options.fast else "thorough"}
    effort = FAST if options.fast else THOROUGH
    # In turns, so that every group is measured all along.
    order = list(options.names or GROUPS) * effort.processes
    measured, left_out = measure(track(order, "measuring", console=console), effort)
    if not measured:
        msg = f"nothing could be measured: {'; '.join(left_out)}"
        raise MeasurementError(msg)
    for reason in left_out:
        console.print(f"left out: {reason}", markup=False, highlight=False)
    if hasattr(os, "getloadavg"):
        metadata["load"] = f"{os.getloadavg()[1]:.1f}"
    return write_result(options.output, measured, metadata)


def write_report(output: Path, readme: Path | None) -> None:
    """Write the chart, the report and the headline from the results in a folder."""
    results = read_results(output)
    most, page = widest(results), (output.parent if output == OUTPUT else output) / "README.md"
    chart = draw(most, output)

    def link(path: Path, start: Path) -> str:
        return Path(os.path.relpath(path, start.parent)).as_posix()

    page.write_text(report(results, link(chart, page), link(output, page)), encoding="utf-8")
    if readme and chart.exists():
        text = refreshed(readme.read_text(encoding="utf-8"), headline(most, link(chart, readme)))
        readme.write_text(text, encoding="utf-8")
