"""What it costs to provide a value through layers that know nothing of it."""

from __future__ import annotations

import contextlib
import functools
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.layers import DECORATED, INLINE, NAMES, UNDECORATED, WAYS, Way, make_class
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import MERGED, mergeable, provide
from mergeparam._cli.sampling import Sampler, call_sampler, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

NAME = NAMES[0]
LEVELS = (1, 4, 12)
THREADED = "keyword threaded by hand"
BY_VARIABLE = "ContextVar by hand"
OPENED, OPEN = "provide around each call", "provide opened before"
ON_TOP = "@mergeable(..., provide=True) on top"
KERAS, KERAS_THREADED = "call context of Keras", THREADED

_VARIABLE: ContextVar[bool | None] = ContextVar("benchmark", default=None)

INLINE_VARIABLE = """\
if {0} is None:
    {0} = self.{0}
    if {0} is None:
        {0} = variable.get()
        if {0} is None:
            raise ValueError("{0} is set nowhere")
elif self.{0} is not None:
    raise ValueError("{0} is set in both places")
"""
BY_HAND = Way("None", INLINE_VARIABLE, names={"variable": _VARIABLE})


@attrs.define
class Passing:
    """A layer that knows nothing of the parameter."""

    inner: Callable[..., object]

    def __call__(self, x: object) -> object:
        """Call the layer inside."""
        return self.inner(x)


@attrs.define
class Threading:
    """A layer that takes the parameter only to hand it on."""

    inner: Callable[..., object]

    def __call__(self, x: object, *, deterministic: bool) -> object:
        """Call the layer inside."""
        return self.inner(x, deterministic=deterministic)


@mergeable(NAME, provide=True)
@attrs.define
class Providing:
    """A layer that takes the parameter and provides it to all inside."""

    inner: Callable[..., object]
    deterministic: bool | None = None

    def __call__(self, x: object, *, deterministic: bool = MERGED) -> object:  # noqa: ARG002 - it is provided
        """Call the layer inside."""
        return self.inner(x)


@contextlib.contextmanager
def set_variable() -> Iterator[None]:
    """Provide the value by hand."""
    token = _VARIABLE.set(True)
    yield
    _VARIABLE.reset(token)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    OPEN: functools.partial(provide, **{NAME: True}),
    BY_VARIABLE: set_variable,
    DECORATED: functools.partial(provide, **{NAME: True}),
    INLINE: set_variable,
}


def sampler_of(name: str, statement: str, names: Mapping[str, Any], effort: Effort) -> Sampler:
    """Return a sampler, inside its context if it needs one."""
    context = CONTEXTS.get(name, contextlib.nullcontext)
    with context():
        sampler = call_sampler(statement, names, effort.seconds)
    return inside(context, sampler)


def read_samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of a layer that finds its value provided."""
    ways = {UNDECORATED: WAYS[UNDECORATED], INLINE: BY_HAND, DECORATED: WAYS[DECORATED]}
    return {
        name: sampler_of(name, "layer(x)", {"layer": make_class(way, (NAME,))(), "x": 1.0}, effort)
        for name, way in ways.items()
    }


def nested(levels: int, outer: type, innermost: object) -> Any:
    """Return layers in layers, `levels` around the innermost."""
    return functools.reduce(lambda inner, _: outer(inner), range(levels), innermost)


def called_providing(layer: Callable[[object], object]) -> Callable[[object], object]:
    """Return a call that opens a scope of its own."""

    def call(x: object) -> object:
        with provide(deterministic=True):
            return layer(x)

    return call


def level_samplers(levels: int, effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of calls through so many levels."""
    plain, decorated, by_variable = (
        make_class(way, (NAME,)) for way in (WAYS[UNDECORATED], WAYS[DECORATED], BY_HAND)
    )
    given = f"layer(x, {NAME}=True)"
    statements: dict[str, tuple[str, Callable[..., object]]] = {
        THREADED: (given, nested(levels, Threading, plain())),
        BY_VARIABLE: ("layer(x)", nested(levels, Passing, by_variable())),
        OPEN: ("layer(x)", nested(levels, Passing, decorated())),
        OPENED: ("layer(x)", called_providing(nested(levels, Passing, decorated()))),
        ON_TOP: (given, Providing(nested(levels - 1, Passing, decorated()))),
    }
    return {
        name: sampler_of(name, statement, {"layer": layer, "x": 1.0}, effort)
        for name, (statement, layer) in statements.items()
    }


def keras_makers() -> Mapping[str, Callable[[int], object]]:
    """Return makers of nested Keras layers by the number of levels."""
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    keras = optional("keras")
    if keras is None:
        return {}

    class Innermost(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: object, training: bool | None = None) -> object:  # noqa: ARG002, FBT001 - as Keras calls it
            return x

    class Passing(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, inner: Callable[..., object]) -> None:
            super().__init__()
            self.inner = inner

        def call(self, x: object) -> object:
            return self.inner(x)

    class Threading(Passing):
        def call(self, x: object, training: bool | None = None) -> object:  # noqa: FBT001 - as Keras calls it
            return self.inner(x, training=training)

    return {
        KERAS: lambda levels: nested(levels, Passing, Innermost()),
        KERAS_THREADED: lambda levels: nested(levels, Threading, Innermost()),
    }


def keras_samplers(
    makers: Mapping[str, Callable[[int], object]], levels: int, effort: Effort
) -> Mapping[str, Sampler]:
    """Return samplers of calls through so many Keras layers."""
    numpy = optional("numpy")
    return {
        name: call_sampler(
            "layer(x, training=True)", {"layer": make(levels), "x": numpy.ones(1)}, effort.seconds
        )
        for name, make in makers.items()
    }


def comparisons() -> Iterator[Comparison]:
    """Yield the comparisons; frameworks come last, because `provide` has JAX to follow then."""
    yield Comparison("reading a provided value", read_samplers)
    for levels in LEVELS:
        yield Comparison(through(levels), functools.partial(level_samplers, levels))
    if optional("jax"):
        yield Comparison("reading a provided value, JAX imported", read_samplers)
    if makers := keras_makers():
        for levels in LEVELS:
            samplers = functools.partial(keras_samplers, makers, levels)
            yield Comparison(f"{through(levels)}, Keras", samplers)


def through(levels: int) -> str:
    """Return how the tables say it."""
    return f"through {levels} level{'s' if levels > 1 else ''}"


GROUP = Group(
    "provide",
    "Values from `provide`",
    """\
First, a layer that neither its constructor nor the call has told, inside `with provide(...)`,
beside the same written with a `ContextVar` by hand. Then a value on its way to the innermost of
several layers: handed on as a keyword by every layer, found in a `ContextVar`, or provided.
`provide` is opened around each call or before all of them, or by the outermost layer. Keras hands
its `training` to the layers inside by a call context of its own; all else there is the work of
Keras' layers.""",
    comparisons,
    base=UNDECORATED,
    reference=THREADED,
    needs_frameworks=True,
)
