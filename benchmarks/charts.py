"""What one merged parameter adds to a call, as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import EngFormatter

from benchmarks.layers import BY_HAND, DECORATED, INLINE, WRAPPER
from benchmarks.tables import added_by_path
from mergeparam._bench import plot
from mergeparam._bench.sampling import NANOSECOND

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Result

SECONDS = EngFormatter("s", places=0)
STYLES = {
    # A ring, so that the dot of ours is seen where both are at one place.
    INLINE: {"color": plot.BY_HAND, "markerfacecolor": "none", "markersize": 14},
    DECORATED: {"color": plot.OURS, "markersize": 9},
    BY_HAND: {"color": plot.DARK, "markersize": 7},
    WRAPPER: {"color": plot.LIGHT, "markersize": 7},
}


def draw(result: Result, folder: Path) -> Path:
    """Write the chart, if there are figures for it; return the path of the SVG."""
    by_path, file = added_by_path(result), folder / "overhead.svg"
    if not by_path:
        return file
    title = f"What one merged parameter adds to a call, {result.python}"
    with plot.charts((8, 3.6), [title], file, file.with_suffix(".png")) as [axes]:
        for way, style in STYLES.items():
            # A logarithmic axis has no place for what is not told from nothing.
            times = [
                (max(ways[way].value, NANOSECOND), row)
                for row, ways in enumerate(by_path.values())
                if way in ways
            ]
            axes.plot(*zip(*times, strict=True), "o", label=way, **style)
            if way == DECORATED:
                for value, row in times:
                    axes.annotate(
                        SECONDS(value),
                        (value, row),
                        (0, 10),
                        textcoords="offset points",
                        ha="center",
                    )
        axes.set_yticks(range(len(by_path)), by_path)
        axes.set_ylim(len(by_path) - 0.5, -0.7)
        axes.tick_params(axis="y", length=0)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(SECONDS)
        axes.grid(color=plot.FAINT, linewidth=0.8)
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=len(STYLES))
    return file
