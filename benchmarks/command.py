"""Measure all or some, and write the figures, the charts and the report."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.charts import draw
from benchmarks.headline import BEGIN, END, headline, refreshed
from benchmarks.measure import ROOT, MeasurementError, measure, rounds
from benchmarks.plan import FAST, GROUPS, THOROUGH, Effort
from benchmarks.report import report
from benchmarks.result import file_name, read_results, widest, write_result
from benchmarks.tables import target_table
from mergeparam._cli.machine import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mergeparam._cli.sampling import Samples

OUTPUT = Path(__file__).parent / "results"
_WIDTH = 44


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    A missed target is no failure, because a busy machine misses them too.
    """
    options = parse(arguments)
    console = Console()
    if problem := _problem(options):
        console.print(problem, markup=False, style="red")
        return 2
    if not options.report:
        try:
            path = _measure(options, console)
        except MeasurementError as error:
            console.print(str(error), markup=False, style="red")
            return 1
        console.print(f"{path}: read it with python -m pyperf stats")
    write_report(options.output, options.readme)
    console.print(Markdown(target_table(read_results(options.output))))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(GROUPS)}"
    )
    parser.add_argument("--fast", action="store_true", help="take under two minutes, less exact")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=OUTPUT, help="where all is written"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, only report")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="put the headline between its marks there"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in GROUPS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
    if options.report and options.names:
        parser.error("--report is always of everything; leave the names out")
    return options


def _problem(options: argparse.Namespace) -> str | None:
    """Return what would keep the report from being written, before anything is measured."""
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        found = read_results(options.output)
        text = options.readme.read_text(encoding="utf-8") if options.readme else BEGIN + END
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if BEGIN not in text or END not in text:
        return f"{options.readme} has no {BEGIN} ... {END}"
    if options.report and not found:
        return f"there are no figures in {options.output}; measure first, without --report"
    return None


def _measure(options: argparse.Namespace, console: Console) -> Path:
    effort, groups = (FAST if options.fast else THOROUGH), options.names or GROUPS
    metadata = machine() | {"effort": "fast" if options.fast else "thorough"}
    start = time.monotonic()
    samples = _with_progress(groups, effort, console)
    if hasattr(os, "getloadavg"):
        metadata["load"] = f"{os.getloadavg()[1]:.1f}"
    if effort is THOROUGH and not options.names:
        metadata["minutes"] = f"{(time.monotonic() - start) / 60:.0f}"
    path: Path = options.output / file_name(metadata)
    write_result(path, samples, metadata)
    if options.json:
        write_result(options.json, samples, metadata)
    return path


def _with_progress(groups: Sequence[str], effort: Effort, console: Console) -> list[Samples]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        total = len(rounds(groups, effort))
        task = progress.add_task("", total=total)

        def tell(done: int, text: str) -> None:
            progress.update(task, completed=done, description=text.ljust(_WIDTH)[:_WIDTH])

        collected = measure(groups, effort, tell)
        tell(total, "done")
    reasons = [item for left_out in collected.left_out.values() for item in left_out.items()]
    for package, reason in dict.fromkeys(reasons):
        console.print(f"left out: {package}, {reason}", markup=False, highlight=False)
    return collected.described()


def write_report(output: Path, readme: Path | None) -> None:
    """Write the charts, the report and the headline from the results in a folder."""
    results = read_results(output)
    charts = draw(results, output)
    page = (output.parent if output == OUTPUT else output) / "README.md"
    links = {name: _link(path, page.parent) for name, path in charts.items()}
    folder = _link(output, page.parent)
    page.write_text(report(results, links, folder, turns=THOROUGH.turns), encoding="utf-8")
    if "overhead" in charts:
        chart = _link(charts["overhead"], readme.parent if readme else ROOT)
        content = headline(widest(results), chart)
        (output / "headline.md").write_text(content, encoding="utf-8")
        if readme:
            text = refreshed(readme.read_text(encoding="utf-8"), content)
            readme.write_text(text, encoding="utf-8")


def _link(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()
