"""The few figures that come first: what one merged parameter adds to a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.groups import alternatives
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED, WRAPPER
from benchmarks.tables import machine_line, markdown_table, with_spread
from mergeparam._cli.figures import Figure, overhead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.result import Result

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
NANOSECOND = 1e-9

WORDS = {
    INLINE: "the merge written inline, by hand",
    DECORATED: "**`@mergeable`**",
    BY_HAND: "`merge_param` by hand",
    "merge_param of Flax": "`flax.linen.merge_param` by hand",
    "first_from of NNX": "NNX's `first_from` by hand",
    WRAPPER: "`@mergeable` on a Python it does not know",
    "makefun": "a wrapper made with `makefun`",
    "wrapt": "a wrapper made with `wrapt`",
    "boltons": "a wrapper made with `boltons`",
    "functools.wraps": "`functools.wraps`, `*args, **kwargs`",
    "decorator": "a wrapper made with `decorator`",
    "signature.bind": "`inspect.signature(...).bind`",
}
"""The ways that the headline compares, as it says them."""


def added(result: Result) -> Mapping[str, Mapping[str, Figure]]:
    """Return what one parameter adds to a call, in nanoseconds: by place, then by way."""
    group = result.of_group(alternatives.GROUP.name)
    return {
        place: {
            way: _scaled(overhead(ways[way], ways[UNDECORATED])) for way in WORDS if way in ways
        }
        for place, ways in ((place, group[f"by {place}"]) for place in alternatives.PLACES)
    }


def _scaled(figure: Figure) -> Figure:
    return Figure(figure.value / NANOSECOND, figure.low / NANOSECOND, figure.high / NANOSECOND)


def headline(result: Result, chart: str) -> str:
    """Return the headline as Markdown, with a link to the chart."""
    by_place = added(result)
    ways = next(iter(by_place.values()))
    rows = [
        [WORDS[way], *(with_spread(by_place[place][way], 0) for place in by_place)] for way in ways
    ]
    head = [
        "ns that one merged parameter adds to a call",
        *(f"set by the {place}" for place in by_place),
    ]
    return (
        f"![What one merged parameter adds to a call]({chart})\n\n"
        f"{markdown_table(head, rows)}\n"
        f"Medians and quartiles, {machine_line(result)}; `python -m benchmarks` repeats them.\n"
    )


def refreshed(text: str, content: str) -> str:
    """Return the text with the content between the two marks in it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"the file has no {BEGIN} ... {END}"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n{content}{END}{after}"
