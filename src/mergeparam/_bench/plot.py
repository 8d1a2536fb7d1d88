"""What all charts have in common; their style is in `charts.mplstyle`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Iterator

INK, FAINT = "#7d828a", "#7d828a55"
OURS, LIGHT, BY_HAND, DARK, OTHERS = "#3b82f6", "#93b8f5", "#e08a00", "#c2410c", "#8b929c"
"""The colours of mergeparam, of code written by hand, and of everything else."""

_STYLE = Path(__file__).with_name("charts.mplstyle")


@contextlib.contextmanager
def chart(width: float, height: float, title: str, *paths: Path) -> Iterator[Any]:
    """Give the axes of a chart of so many inches, and write it in the formats of the paths."""
    with mpl.rc_context(fname=_STYLE):
        drawn = Canvas(figsize=(width, height))
        axes = drawn.subplots()
        axes.set_title(title)
        yield axes
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A date would make the same chart another file each time; only SVG has one.
            drawn.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
