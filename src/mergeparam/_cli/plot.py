"""Charts that read on light and on dark backgrounds: transparent, in colours between the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mergeparam._cli.figures import Figure

INK, FAINT = "#7d828a", "#7d828a55"
OURS, LIGHT, BY_HAND, DARK, OTHERS = "#3b82f6", "#93b8f5", "#e08a00", "#c2410c", "#8b929c"
"""The colours of what mergeparam does, of what is written by hand, and of all else."""

_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "mergeparam",
    "savefig.transparent": True,
}
_TITLE = {"loc": "left", "fontsize": 12}
_WHOLE = 100
"""From here on, numbers are shown without fractions."""


def canvas(width: float, height: float, title: str) -> tuple[Canvas, Any]:
    """Return an empty chart, of so many inches, and its axes."""
    with mpl.rc_context(_STYLE):
        drawn = Canvas(figsize=(width, height), layout="constrained")
        axes: Any = drawn.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, **_TITLE)
    return drawn, axes


def save(drawn: Canvas, path: Path) -> None:
    """Write a chart in the form that the file's name asks for."""
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        drawn.savefig(path, dpi=160, metadata=metadata)


def name_rows(axes: Any, names: Sequence[str]) -> None:  # noqa: ANN401 - matplotlib's axes
    """Let the chart have a row for each name, from the top."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


def bars(
    figures: Mapping[str, Figure], colours: Sequence[str], *, title: str, unit: str
) -> Canvas:
    """Return a chart of figures as bars, with their spread."""
    drawn, axes = canvas(7.2, 1.1 + 0.42 * len(figures), title)
    places = range(len(figures))
    axes.barh(places, [figure.value for figure in figures.values()], color=colours, height=0.62)
    for place, figure in zip(places, figures.values(), strict=True):
        axes.plot([figure.low, figure.high], [place, place], color=INK, linewidth=1.5)
        text = f"  {figure.value:,.{0 if figure.value >= _WHOLE else 1}f}"
        axes.text(max(figure.high, figure.value), place, text, va="center", color=INK)
    name_rows(axes, list(figures))
    axes.margins(x=0.12)
    axes.set_xlabel(unit)
    return drawn
