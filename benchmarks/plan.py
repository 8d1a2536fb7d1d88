"""What a measurement is made of: groups of comparisons, and how long to measure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mergeparam._cli.sampling import Samplers

GROUPS = (
    "calls",
    "classes",
    "alternatives",
    "provide",
    "partial",
    "definition",
    "body",
    "many",
    "imports",
    "memory",
    "errors",
    "tracing",
)
SEPARATOR = "/"


@attrs.frozen
class Effort:
    """How long to measure."""

    processes: int
    """In how many processes a group is measured, one after the other."""

    runs: int
    """How many runs there are in each, with classes made anew."""

    turns: int
    """How many turns there are in each run."""

    seconds: float
    """How long one turn of calls takes."""

    classes: int
    """How many classes one turn of definitions defines."""

    slow_turns: int
    """How many turns there are where one takes seconds."""


THOROUGH = Effort(processes=6, runs=5, turns=15, seconds=1e-3, classes=10, slow_turns=7)
FAST = Effort(processes=2, runs=2, turns=5, seconds=2e-4, classes=2, slow_turns=2)


@attrs.frozen
class Comparison:
    """Ways to do the same, which take turns."""

    name: str
    make: Callable[[Effort], Samplers]
    """Makes new samplers for a run, one for each way."""

    unit: str = "second"


@attrs.frozen
class Group:
    """One question, and the comparisons that answer it."""

    name: str
    title: str
    words: str
    """What is measured, as Markdown."""

    comparisons: Callable[[], Iterable[Comparison]]
    """Imports what is compared, so that only the process that measures needs it."""

    base: str | None = None
    """The way from which on the others' overhead is counted."""

    reference: str | None = None
    """The way to which the others' ratios are given."""

    most: Mapping[str, int] = attrs.field(factory=dict)
    """Fields of the effort that may be no more than this."""

    is_slow: bool = False
    """Whether one turn takes seconds."""

    needs_frameworks: bool = False
    """Whether each process takes seconds to begin."""

    def effort(self, wanted: Effort) -> Effort:
        """Return how long to measure this group."""
        if self.is_slow or self.needs_frameworks:
            wanted = attrs.evolve(wanted, processes=max(1, wanted.processes // 2))
        if self.is_slow:
            wanted = attrs.evolve(wanted, runs=1, turns=wanted.slow_turns)
        limits = {name: min(getattr(wanted, name), limit) for name, limit in self.most.items()}
        return attrs.evolve(wanted, **limits)


def load_group(name: str) -> Group:
    """Return a group by its name."""
    module = importlib.import_module(f"benchmarks.groups.{name}")
    group: Group = module.GROUP
    return group
