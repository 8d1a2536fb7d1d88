"""What `strict_partial` costs beside `functools.partial`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from benchmarks.plan import Comparison, Effort, Group
from mergeparam import strict_partial
from mergeparam._cli.sampling import Sampler, call_sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DIRECT, LOOSE, STRICT = "called directly", "functools.partial", "strict_partial"
CALLING = "calling a function"


def make_dropout() -> Callable[..., object]:
    """Return a new function, as of a module that has just been imported."""

    def dropout(x: object, rate: float, *, deterministic: bool) -> object:
        return x, rate, deterministic

    return dropout


class Dropout:
    """A layer, of which a template is made."""

    def __init__(self, rate: float, *, deterministic: bool) -> None:
        """Keep the arguments."""
        self.rate = rate
        self.deterministic = deterministic


def function_samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of calls of a function."""
    function = make_dropout()
    layers: dict[str, tuple[str, Callable[..., object]]] = {
        DIRECT: ("layer(x, 0.5, deterministic=True)", function),
        LOOSE: ("layer(x, 0.5)", functools.partial(function, deterministic=True)),
        STRICT: ("layer(x, 0.5)", strict_partial(function, deterministic=True)),
    }
    return _samplers(layers, effort)


def template_samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of calls that make an object of a template."""
    layers: dict[str, tuple[str, Callable[..., object]]] = {
        DIRECT: ("layer(0.5, deterministic=True)", Dropout),
        LOOSE: ("layer(0.5)", functools.partial(Dropout, deterministic=True)),
        STRICT: ("layer(0.5)", strict_partial(Dropout, deterministic=True)),
    }
    return _samplers(layers, effort)


def _samplers(
    layers: Mapping[str, tuple[str, Callable[..., object]]], effort: Effort
) -> Mapping[str, Sampler]:
    return {
        name: call_sampler(call, {"layer": layer, "x": 1.0}, effort.seconds)
        for name, (call, layer) in layers.items()
    }


def make_samplers(_: Effort) -> Mapping[str, Sampler]:
    """Return samplers of the making of a partial."""
    function = make_dropout()
    return {
        name: call_sampler("make(f, deterministic=True)", {"make": make, "f": function}, 1e-3)
        for name, make in ((LOOSE, functools.partial), (STRICT, strict_partial))
    }


def comparisons() -> Iterator[Comparison]:
    """Yield the comparisons."""
    yield Comparison(CALLING, function_samplers)
    yield Comparison("making an object of a template", template_samplers)
    yield Comparison("making the partial", make_samplers)


GROUP = Group(
    "partial",
    "`strict_partial`",
    """\
A function with one bound parameter, and a template of a class, called directly, through
`functools.partial` and through `strict_partial`; and the making of the two.""",
    comparisons,
    reference=LOOSE,
    most={"processes": 4},
)
