"""What a merged call costs, by the number of parameters and by where their values are from."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs

from benchmarks.layers import (
    DECORATED,
    INLINE,
    NAMES,
    UNDECORATED,
    WAYS,
    WRAPPER,
    Way,
    make_class,
)
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import provide
from mergeparam._cli.sampling import Sampler, call_sampler, inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

COUNTS = (1, 2, 4, 8)
PLACES = ("call", "constructor")

INLINE_DEFAULT = """\
if {0} is None:
    {0} = self.{0}
    if {0} is None:
        {0} = True
elif self.{0} is not None:
    raise ValueError("{0} is set in both places")
"""
INLINE_PROVIDED = """\
if {0} is None:
    {0} = self.{0}
    if {0} is None:
        {0} = variables_{0}.get()
        if {0} is None:
            raise ValueError("{0} is set nowhere")
elif self.{0} is not None:
    raise ValueError("{0} is set in both places")
"""
VARIABLES = {name: ContextVar[bool | None](name, default=None) for name in NAMES}


@attrs.frozen
class Case:
    """How many parameters, and where their values are from."""

    count: int
    given: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return NAMES[: self.count]

    @property
    def call(self) -> str:
        """The call that gives them, if it is to."""
        given = (f", {name}=True" for name in self.names if self.given == "call")
        return f"layer(x{''.join(given)})"

    @property
    def ways(self) -> Mapping[str, Way]:
        """The ways that know this case."""
        if self.given in PLACES:
            return WAYS
        by_hand = attrs.evolve(WAYS[INLINE], merge=INLINE_DEFAULT)
        if self.given == "provide":
            names = {f"variables_{name}": variable for name, variable in VARIABLES.items()}
            by_hand = Way("None", INLINE_PROVIDED, names=names)
        others = {name: WAYS[name] for name in (DECORATED, WRAPPER)}
        return {UNDECORATED: WAYS[UNDECORATED], INLINE: by_hand, **others}

    def __str__(self) -> str:
        """Return what the tables call it."""
        return f"{self.count} by {self.given}"

    def make_layer(self, way: Way) -> object:
        """Return a layer that got the parameters if its constructor is to have them."""
        more = {"default": True} if self.given == "default" else {}
        given = self.names if self.given == "constructor" else ()
        return make_class(way, self.names, more=more)(**dict.fromkeys(given, True))

    def context(self, way: str) -> AbstractContextManager[object]:
        """Return what the calls are to be made in."""
        if self.given != "provide":
            return contextlib.nullcontext()
        values = dict.fromkeys(self.names, True)
        return variables_set(self.names) if way == INLINE else provide(**values)

    def samplers(self, effort: Effort) -> Mapping[str, Sampler]:
        """Return samplers of all ways."""
        return {name: self._sampler(name, way, effort) for name, way in self.ways.items()}

    def _sampler(self, name: str, way: Way, effort: Effort) -> Sampler:
        names = {"layer": self.make_layer(way), "x": 1.0}
        with self.context(name):
            sampler = call_sampler(self.call, names, effort.seconds)
        return inside(lambda: self.context(name), sampler)


@contextlib.contextmanager
def variables_set(names: tuple[str, ...]) -> Iterator[None]:
    """Provide the values by hand."""
    tokens = [(VARIABLES[name], VARIABLES[name].set(True)) for name in names]
    yield
    for variable, token in tokens:
        variable.reset(token)


# `provide` comes last: from its first use on, looking for a provided value costs more.
CASES = tuple(Case(count, given) for given in (*PLACES, "default", "provide") for count in COUNTS)


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison for every case."""
    for case in CASES:
        yield Comparison(str(case), case.samplers)


GROUP = Group(
    "calls",
    "Calls",
    """\
A method of an attrs class with slots that returns its input and its parameters, in five ways:
without a merge; with the merge written inline by hand; under `@mergeable`; with `merge_param`
called by hand; and under `@mergeable(..., inject="wrap")`, as on Pythons whose bytecode
mergeparam does not know. The values come from the call, from the constructor, or, where neither
has set them, from a declared default or from `with provide(...)` around the calls. `merge_param`
knows neither of these; by hand, a default is a literal, and a `ContextVar` provides a value.""",
    comparisons,
    base=UNDECORATED,
    reference=INLINE,
)
