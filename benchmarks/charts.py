"""Results as charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import EngFormatter

from benchmarks.layers import BY_HAND, DECORATED, INLINE, WRAPPER
from benchmarks.results import widest
from benchmarks.tables import added_by_place
from mergeparam._bench import plot
from mergeparam._bench.sampling import Figure, median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.results import Result

COLOURS = {INLINE: plot.BY_HAND, DECORATED: plot.OURS, BY_HAND: plot.DARK, WRAPPER: plot.LIGHT}
SECONDS = EngFormatter("s", places=0)


def draw(results: Sequence[Result], folder: Path) -> dict[str, Path]:
    """Write all charts for which there are figures; return the SVG of each by its name."""
    result = widest(results)
    charts: dict[str, tuple[str, Mapping[str, Mapping[str, Figure]]]] = {}
    if result.of_group("alternatives"):
        added = {f"set by the {place}": ways for place, ways in added_by_place(result).items()}
        charts["overhead"] = f"What one merged parameter adds to a call, {result.python}", added
    if ways := result.of_group("definition").get("one class"):
        times = {"": {way: median(item) for way, item in ways.items()}}
        charts["definition"] = f"Decorating one class, {result.python}", times
    for name, (title, by_place) in charts.items():
        paths = [folder / f"{name}.{form}" for form in ("svg", "png")]
        height = 0.9 + 0.4 * len(next(iter(by_place.values())))
        with plot.charts((8, height), [title], *paths) as [axes]:
            _draw_dots(axes, by_place)
    return {name: folder / f"{name}.svg" for name in charts}


def _draw_dots(axes: Any, by_place: Mapping[str, Mapping[str, Figure]]) -> None:
    """Draw times, the shortest on top; the dots of the last place are full."""
    *_, last = by_place
    times = {way: [ways[way].value for ways in by_place.values()] for way in by_place[last]}
    order = sorted(times, key=lambda way: sum(times[way]))
    for row, way in enumerate(order):
        colour, low, high = COLOURS.get(way, plot.OTHERS), min(times[way]), max(times[way])
        axes.plot([low, high], [row, row], color=colour, linewidth=2, alpha=0.55)
        for place, value in zip(by_place, times[way], strict=True):
            fill = colour if place == last else "none"
            axes.plot(value, row, "o", color=colour, markerfacecolor=fill, markersize=9)
        text = " to ".join(dict.fromkeys(map(SECONDS, (low, high))))
        axes.text(high * 1.16, row, text, va="center", fontsize=10)
    for place in filter(None, by_place):
        fill = plot.INK if place == last else "none"
        axes.plot([], [], "o", color=plot.INK, markerfacecolor=fill, label=place)
        axes.legend(loc="upper right")
    axes.set_yticks(range(len(order)), order)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    for label in (item for item in axes.get_yticklabels() if item.get_text() == DECORATED):
        label.set(fontweight="bold", color=plot.OURS)
    axes.set_xscale("log")
    axes.set_xlim(right=6 * max(map(max, times.values())))
    axes.xaxis.set_major_formatter(SECONDS)
    axes.xaxis.minorticks_off()
    axes.grid(axis="x", color=plot.FAINT, linewidth=0.8)
