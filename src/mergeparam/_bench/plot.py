"""What all charts have in common; their style is in `charts.mplstyle`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INK, FAINT = "#7d828a", "#7d828a55"
OURS, LIGHT, BY_HAND, DARK, OTHERS = "#3b82f6", "#93b8f5", "#e08a00", "#c2410c", "#8b929c"
"""The colours of mergeparam, of code written by hand, and of everything else."""

_STYLE = Path(__file__).with_name("charts.mplstyle")


@contextlib.contextmanager
def charts(size: tuple[float, float], titles: Sequence[str], *paths: Path) -> Iterator[list[Any]]:
    """Give the axes of charts below one another, each of so many inches, and write them."""
    with mpl.rc_context(fname=_STYLE):
        drawn = Canvas(figsize=(size[0], size[1] * len(titles)))
        every = list(drawn.subplots(len(titles), squeeze=False)[:, 0])
        for axes, title in zip(every, titles, strict=True):
            axes.set_title(title)
        yield every
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A date would make the same chart another file each time; only SVG has one.
            drawn.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
