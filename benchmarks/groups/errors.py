"""What it costs to raise the two errors."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.layers import BY_HAND, DECORATED, INLINE, NAMES, WAYS, WRAPPER, make_class
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam._cli.sampling import Sampler, call_sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.layers import Way

NAME = NAMES[0]
MISSING, CONFLICTING = "set in neither place", "set in both places"


def ways() -> Iterator[tuple[str, Way]]:
    """Yield the ways whose libraries are installed."""
    for name in (INLINE, DECORATED, WRAPPER, BY_HAND):
        yield name, WAYS[name]
    if linen := optional("flax.linen"):
        flax = {"merge_param": linen.merge_param}
        yield "merge_param of Flax", attrs.evolve(WAYS[BY_HAND], names=flax)


def failing(layer: Callable[..., object], **given: object) -> Callable[[], None]:
    """Return a call that raises, and catches what it raised."""

    def call() -> None:
        try:
            layer(1.0, **given)
        except ValueError:
            return
        raise AssertionError

    return call


def samplers(compared: Mapping[str, Way], error: str, effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of calls that raise."""
    given: dict[str, Any] = {NAME: True} if error == CONFLICTING else {}
    calls = {
        name: failing(make_class(way, (NAME,))(**given), **given) for name, way in compared.items()
    }
    return {
        name: call_sampler("call()", {"call": call}, effort.seconds)
        for name, call in calls.items()
    }


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison for each of the two errors."""
    compared = dict(ways())
    for error in (MISSING, CONFLICTING):
        yield Comparison(error, functools.partial(samplers, compared, error))


GROUP = Group(
    "errors",
    "Errors",
    """\
A call that raises, and the `except` that catches it; at 10 µs, 100,000 errors are raised in a
second. By hand the message is a constant; mergeparam's names the class, the method, both places,
both values and the fix.""",
    comparisons,
    reference=INLINE,
    needs_frameworks=True,
)
