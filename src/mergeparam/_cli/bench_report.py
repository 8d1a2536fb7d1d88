"""What `mergeparam bench` has measured, as a table, as words and as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mergeparam._cli import plot
from mergeparam._cli.figures import Figure, median, overhead, ratio
from mergeparam._cli.variants import BY_HAND, DECORATED, INLINE, UNDECORATED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure as Canvas

    from mergeparam._cli.bench import Outcome

NANOSECOND = 1e-9
_WHOLE = 100
"""From here on, fractions of a nanosecond say nothing."""
COLOURS = {INLINE: plot.BY_HAND, DECORATED: plot.OURS, BY_HAND: plot.DARK}

_WORDS = {
    UNDECORATED: "the method without the merge; its defaults are the values that the others merge",
    INLINE: "its source with the merge as the first statements, as show --source has them",
    DECORATED: "the method as the class has it",
    BY_HAND: "its source with a call of merge_param for each parameter",
}
_HEADS = (
    "ns\nper call",
    "\nquartiles",
    "parameter\nadds",
    "/ inline\nby hand",
    "/ un-\ndecorated",
)
_METHOD = """\
Each way is a subclass with that one method, compiled in the place of the original. The ways take
turns in one process: {turns} turns of calls with the same objects are a run, and {runs} runs begin
with classes and objects made anew. Given are medians over the runs and their quartiles; ratios and
differences are worked out within each run."""


def print_outcomes(outcomes: list[Outcome], left_out: list[str]) -> None:
    """Print a table for every call, what was left out, and what was measured."""
    console = Console(highlight=False)
    for outcome in outcomes:
        trial = outcome.trial
        console.print(_title(outcome), style="bold", markup=False)
        for line in filter(None, (trial.call.setup, trial.call.expression)):
            console.print(f"    {line}", markup=False)
        console.print(_table(outcome))
        for note in _notes(outcome):
            console.print(f"note: {note}", markup=False)
        console.print()
    for reason in left_out:
        console.print(f"left out: {reason}\n", markup=False)
    console.print(_words(outcomes[0]))


def print_files(paths: list[Path]) -> None:
    """Say what was written."""
    console = Console(highlight=False, soft_wrap=True)
    for path in paths:
        console.print(f"written: {path}", markup=False)


def _title(outcome: Outcome) -> str:
    method, call = outcome.trial.method, outcome.trial.call
    return f"{method.place.place}, {', '.join(method.names)} {call.given}"


def _table(outcome: Outcome) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    table.add_column("", no_wrap=True)
    for head in _HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for way, row in _rows(outcome):
        table.add_row(way, *row, style="bold" if way == DECORATED else None)
    return table


def _rows(outcome: Outcome) -> Iterator[tuple[str, list[str]]]:
    samples = outcome.samples
    merges = len(outcome.trial.method.names) * outcome.trial.executions
    for way, item in samples.items():
        time = _nanoseconds(median(item))
        added = _nanoseconds(overhead(item, samples[UNDECORATED], merges))
        yield (
            way,
            [
                _short(time.value),
                f"{_short(time.low)} to {_short(time.high)}",
                "" if way == UNDECORATED else f"{added.value:+,.1f}",
                f"{ratio(item, samples[INLINE]).value:.2f}",
                f"{ratio(item, samples[UNDECORATED]).value:.2f}",
            ],
        )


def _short(nanoseconds: float) -> str:
    return f"{nanoseconds:,.{0 if nanoseconds >= _WHOLE else 1}f}"


def _notes(outcome: Outcome) -> Iterator[str]:
    trial = outcome.trial
    if BY_HAND not in outcome.samples:
        yield "merge_param knows no default and no policy for conflicts, and is left out"
    if trial.method.has_unset_objects:
        yield "@mergeable finds what means 'not set' in the class; by hand it is a global"
    if trial.method.is_wrapped_by_us:
        yield "the merge is in a wrapper around the method, not in its own code"
    if trial.lost_wrappers:
        yield f"measured without what is wrapped around the method ({trial.lost_wrappers})"
    if trial.executions > 1:
        yield f"a call runs the method {trial.executions} times"


def _words(outcome: Outcome) -> Group:
    grid = Table.grid(padding=(0, 2))
    for way in outcome.samples:
        grid.add_row(way, _WORDS[way], style="dim")
    runs = outcome.samples[DECORATED].runs
    method = _METHOD.format(runs=len(runs), turns=len(runs[0])).replace("\n", " ")
    return Group(grid, "", Text(method, style="dim"))


def _nanoseconds(figure: Figure) -> Figure:
    return Figure(figure.value / NANOSECOND, figure.low / NANOSECOND, figure.high / NANOSECOND)


def chart(outcomes: list[Outcome]) -> Canvas:
    """Draw what the first call takes in every way."""
    outcome = outcomes[0]
    figures = {way: _nanoseconds(median(item)) for way, item in outcome.samples.items()}
    colours = [COLOURS.get(way, plot.OTHERS) for way in figures]
    return plot.bars(figures, colours, title=_title(outcome), unit="ns per call")
