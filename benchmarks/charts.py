"""Results in, charts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.groups import alternatives, body, calls, definition, provide
from benchmarks.headline import added
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED, WRAPPER
from benchmarks.result import widest
from benchmarks.targets import TARGETS
from mergeparam._cli import plot
from mergeparam._cli.figures import Figure, median, overhead, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure as Canvas

    from benchmarks.result import Result
    from mergeparam._cli.sampling import Samples

FORMS = ("svg", "png")
NANOSECOND, MICROSECOND = 1e-9, 1e-6
COLOURS = {
    INLINE: plot.BY_HAND,
    DECORATED: plot.OURS,
    BY_HAND: plot.DARK,
    WRAPPER: plot.LIGHT,
}
_SCALES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def draw(results: Sequence[Result], folder: Path) -> dict[str, Path]:
    """Write all charts for which there are figures; return the SVG of each by its name."""
    drawn = {}
    for name, chart in _charts(results):
        for form in FORMS:
            plot.save(chart, folder / f"{name}.{form}")
        drawn[name] = folder / f"{name}.svg"
    return drawn


def _charts(results: Sequence[Result]) -> Iterator[tuple[str, Canvas]]:
    result = widest(results)
    makers: dict[str, tuple[str, Callable[[Result], Canvas]]] = {
        "overhead": (alternatives.GROUP.name, overhead_chart),
        "calls": (calls.GROUP.name, calls_chart),
        "provide": (provide.GROUP.name, levels_chart),
        "definition": (definition.GROUP.name, definition_chart),
        "body": (body.GROUP.name, body_chart),
    }
    for name, (group, make) in makers.items():
        if result.of_group(group):
            yield name, make(result)
    if any(item.of_group(calls.GROUP.name) for item in results):
        yield "targets", targets_chart(results)


def overhead_chart(result: Result) -> Canvas:
    """Draw what one parameter adds to a call, in every way."""
    by_place = added(result)
    ways = next(iter(by_place.values()))
    rows = {way: [by_place[place][way] for place in by_place] for way in ways}
    title = f"What one merged parameter adds to a call, {result.python}"
    places = [f"set by the {place}" for place in by_place]
    return dots(rows, title=title, places=places, start=4)


def definition_chart(result: Result) -> Canvas:
    """Draw the time of one definition, for each decorator."""
    (ways,) = result.of_group(definition.GROUP.name).values()
    rows = {way: [_in(median(samples), NANOSECOND)] for way, samples in ways.items()}
    return dots(rows, title=f"Decorating one class, {result.python}", places=[], start=30_000)


def dots(
    rows: Mapping[str, Sequence[Figure]], *, title: str, places: Sequence[str], start: float
) -> Canvas:
    """Draw nanoseconds, from the fewest on, on a logarithmic axis; one dot for each place."""
    order = sorted(rows, key=lambda way: sum(figure.value for figure in rows[way]))
    drawn, axes = plot.canvas(8.4, 0.9 + 0.4 * len(rows), title)
    for row, way in enumerate(order):
        colour = COLOURS.get(way, plot.OTHERS)
        values = [max(figure.value, start) for figure in rows[way]]
        axes.plot(values, [row] * len(values), color=colour, linewidth=2, alpha=0.55, zorder=1)
        for value, face in zip(values, _faces(values, colour), strict=True):
            axes.plot(value, row, "o", markersize=9, color=colour, markerfacecolor=face, zorder=2)
        text = _range([figure.value for figure in rows[way]])
        axes.text(max(values) * 1.16, row, text, va="center", color=plot.INK, fontsize=10)
    plot.name_rows(axes, order)
    for label, way in zip(axes.get_yticklabels(), order, strict=True):
        label.set_fontweight("bold" if way == DECORATED else "normal")
        label.set_color(plot.OURS if way == DECORATED else plot.INK)
    _time_axis(axes, start, max(figure.value for figures in rows.values() for figure in figures))
    marks = zip(places, _faces(places, plot.INK), strict=True)
    handles = [
        axes.plot([], [], "o", color=plot.INK, markerfacecolor=face, label=place)[0]
        for place, face in marks
    ]
    if handles:
        _legend(axes, handles=handles, loc="upper right")
    return drawn


def _faces(items: Sequence[object], colour: str) -> list[str]:
    """Return what fills the dots: the last one is full, others are not."""
    return ["none"] * (len(items) - 1) + [colour] * bool(items)


def _time_axis(axes: Any, start: float, last: float) -> None:
    ticks = [10.0**power for power in range(10) if start <= 10.0**power <= last * 2]
    axes.set_xscale("log")
    axes.set_xlim(start, last * 6)
    axes.set_xticks(ticks, [_time(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="x", color=plot.FAINT, linewidth=0.8)


def _range(values: Sequence[float]) -> str:
    low, high = _time(min(values)), _time(max(values))
    if low == high:
        return low
    number, unit = low.split()
    return f"{number} to {high}" if high.endswith(f" {unit}") else f"{low} to {high}"


def _time(nanoseconds: float) -> str:
    """Return a time with two digits or more."""
    scale, unit = next((item for item in _SCALES if nanoseconds >= item[0]), _SCALES[-1])
    value = nanoseconds / scale
    text = f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - two digits
    return f"{text} {unit}"


def calls_chart(result: Result) -> Canvas:
    """Draw what the parameters add to a call, by their number."""
    drawn, axes = plot.canvas(7.2, 4, f"What merged parameters add to a call, ns, {result.python}")
    group = result.of_group(calls.GROUP.name)
    for way in (BY_HAND, WRAPPER, INLINE, DECORATED):
        figures = [
            overhead(ways[way], ways[UNDECORATED])
            for ways in (group[f"{count} by constructor"] for count in calls.COUNTS)
        ]
        by_count = dict(zip(calls.COUNTS, figures, strict=True))
        # The two that lie upon each other are both seen: a wide line under a thin one.
        wide = {"linewidth": 6, "markersize": 12, "alpha": 0.6} if way == INLINE else {}
        _line(axes, by_count, NANOSECOND, way, COLOURS[way], **wide)
    axes.set_xticks(calls.COUNTS)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("parameters, all set by the constructor")
    _legend(axes)
    return drawn


def levels_chart(result: Result) -> Canvas:
    """Draw what it takes to get a value to the innermost layer, by the number of levels."""
    title = f"A call that takes a value to the innermost layer, µs, {result.python}"
    drawn, axes = plot.canvas(7.2, 4, title)
    group = result.of_group(provide.GROUP.name)
    colours = {
        provide.ON_TOP: plot.DARK,
        provide.OPENED: plot.LIGHT,
        provide.THREADED: plot.BY_HAND,
        provide.OPEN: plot.OURS,
        provide.BY_VARIABLE: plot.OTHERS,
    }
    for way, colour in colours.items():
        figures = {
            levels: median(group[provide.through(levels)][way]) for levels in provide.LEVELS
        }
        _line(axes, figures, MICROSECOND, way, colour)
    axes.set_xticks(provide.LEVELS)
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])
    axes.set_xlabel("layers around it")
    _legend(axes, loc="upper left", ncols=2)
    return drawn


def body_chart(result: Result) -> Canvas:
    """Draw the time of a definition, by the length of the method's body."""
    drawn, axes = plot.canvas(7.2, 4, f"Decorating a class, {result.python}")
    colours = {DECORATED: plot.OURS, definition.BYTECODE: plot.OTHERS}
    for way, ways in result.of_group(body.GROUP.name).items():
        figures = {lines: median(ways[body.body_name(lines)]) for lines in body.LINES}
        _line(axes, figures, MICROSECOND, way, colours[way])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(body.LINES, [f"{lines:,}" for lines in body.LINES])
    axes.set_yticks([100, 1000, 10_000, 100_000], ["100 µs", "1 ms", "10 ms", "100 ms"])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([], minor=True)
    axes.set_ylim(bottom=30)
    axes.grid(axis="y", color=plot.FAINT, linewidth=0.8)
    axes.set_xlabel("lines in the method's body")
    _legend(axes, loc="upper left")
    return drawn


def targets_chart(results: Sequence[Result]) -> Canvas:
    """Draw how close a decorated call is to the merge by hand, on every Python."""
    most = TARGETS[0].most
    measured = [item for item in results if item.of_group(calls.GROUP.name)]
    title = "A dot for each number of parameters and place, with its quartiles\n"
    drawn, axes = plot.canvas(7.2, 1.6 + 0.55 * len(measured), title)
    axes.axvline(1, color=plot.BY_HAND, linewidth=1.5)
    axes.axvline(most, color=plot.INK, linewidth=1.2, linestyle="--")
    for row, result in enumerate(measured):
        cases = _merged_cases(result)
        for number, ways in enumerate(cases):
            figure = ratio(ways[DECORATED], ways[INLINE])
            y = row + (number - (len(cases) - 1) / 2) * 0.08
            axes.plot([figure.low, figure.high], [y, y], color=plot.OURS, alpha=0.4, linewidth=1.5)
            axes.plot(figure.value, y, "o", color=plot.OURS, markersize=4)
    plot.name_rows(axes, [result.python for result in measured])
    axes.set_xlim(0.9, 1.1)
    top = axes.get_xaxis_transform()
    axes.text(1, 1.0, "by hand ", transform=top, ha="right", va="bottom", color=plot.BY_HAND)
    axes.text(most, 1.0, " target", transform=top, ha="left", va="bottom", color=plot.INK)
    axes.set_xlabel("a call under @mergeable / the same written inline by hand")
    return drawn


def _merged_cases(result: Result) -> list[Mapping[str, Samples]]:
    group = result.of_group(calls.GROUP.name)
    return [ways for case, ways in group.items() if TARGETS[0].cases(case)]


def _line(
    axes: Any,
    figures: Mapping[int, Figure],
    unit: float,
    label: str,
    colour: str,
    **look: float,
) -> None:
    scaled = [_in(figure, unit) for figure in figures.values()]
    values = [item.value for item in scaled]
    axes.plot(list(figures), values, "o-", color=colour, label=label, **look)
    lows, highs = [item.low for item in scaled], [item.high for item in scaled]
    axes.fill_between(list(figures), lows, highs, color=colour, alpha=0.2, linewidth=0)


def _in(figure: Figure, unit: float) -> Figure:
    return Figure(figure.value / unit, figure.low / unit, figure.high / unit)


def _legend(axes: Any, **options: Any) -> None:
    axes.legend(frameon=False, labelcolor=plot.INK, fontsize=10, **options)
