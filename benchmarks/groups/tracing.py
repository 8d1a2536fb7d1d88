"""What it costs to trace a model of many merged layers."""

from __future__ import annotations

import functools
import sys
import time
import types
from typing import TYPE_CHECKING, Any

from benchmarks.layers import (
    BY_HAND,
    BY_HAND_SOURCE,
    DECORATED,
    INLINE,
    INLINE_SOURCE,
    NAMES,
    Kind,
    define,
    layer_source,
)
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import merge_param, mergeable
from mergeparam._cli.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Layer = Callable[..., Any]

NAME = NAMES[0]
LAYERS = 100
MERGES = {INLINE: INLINE_SOURCE, DECORATED: "", BY_HAND: BY_HAND_SOURCE}
"""What stands before the body, for each way."""


def make_class(way: str, kind: Kind, body: str) -> type:
    """Return a class of layers that merge in one of the ways."""
    source = layer_source(
        kind,
        [NAME],
        "MERGED" if way == DECORATED else "None",
        MERGES[way].format(NAME) + body,
    )
    # A module that can be imported, because `torch.compile` looks for globals in it.
    module = types.ModuleType(f"benchmarks_{''.join(filter(str.isalnum, way))}")
    sys.modules[module.__name__] = module
    cls = define(source, {"merge_param": merge_param, **kind.names}, module)
    return mergeable(NAME, method=kind.method)(cls) if way == DECORATED else cls


def model(cls: type) -> Sequence[Layer]:
    """Return the layers; half of them are told by their constructor."""
    return [cls(**({NAME: True} if number % 2 else {})) for number in range(LAYERS)]


def through(layers: Sequence[Layer], x: Any) -> Any:
    """Call all layers; the other half is told here."""
    for number, layer in enumerate(layers):
        x = layer(x) if number % 2 else layer(x, deterministic=False)
    return x


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def jax_samplers(jax: Any, _: Effort) -> Mapping[str, Sampler]:
    """Return samplers of tracing by `jax.jit`, after making sure that all trace to the same."""
    numpy = jax.numpy
    body = f"return numpy.sin(x) * 2 if {NAME} else numpy.cos(x) + x"
    kind = Kind("plain", names={"numpy": numpy})
    models = {way: model(make_class(way, kind, body)) for way in MERGES}
    x = numpy.ones(8)
    jaxprs = {
        way: str(jax.make_jaxpr(functools.partial(through, layers))(x))
        for way, layers in models.items()
    }
    require_same(jaxprs)

    def trace(layers: Sequence[Layer]) -> float:
        # A new function, for JAX not to find it in its cache.
        fresh = jax.jit(lambda x: through(layers, x))
        return seconds(lambda: fresh.trace(x))

    return {way: Sampler(functools.partial(trace, layers)) for way, layers in models.items()}


def require_same(programs: Mapping[str, str]) -> None:
    """Refuse to compare programs that are not the same."""
    different = [way for way, program in programs.items() if program != programs[INLINE]]
    if different:
        msg = f"the program is not the one of the model written by hand: {', '.join(different)}"
        raise AssertionError(msg)


def torch_samplers(torch: Any, _: Effort) -> Mapping[str, Sampler]:
    """Return samplers of `torch.compile`, whole graphs, without a backend's work."""
    body = f"return torch.sin(x) * 2 if {NAME} else torch.cos(x) + x"
    names = {"nn": torch.nn, "torch": torch}
    kind = Kind("torch", "(nn.Module)", names, method="forward")
    models = {way: torch.nn.ModuleList(model(make_class(way, kind, body))) for way in MERGES}
    x = torch.ones(8)
    graphs: list[str] = []

    def backend(graph: Any, _: object) -> object:
        graphs.append("\n".join(f"{node.op} {node.target}" for node in graph.graph.nodes))
        return graph.forward

    def compile_anew(layers: Sequence[Layer]) -> float:
        torch._dynamo.reset()  # noqa: SLF001 - the documented way to forget what was compiled
        compiled = torch.compile(through, backend=backend, fullgraph=True)
        return seconds(lambda: compiled(layers, x))

    programs = {}
    for way, layers in models.items():
        compile_anew(layers)
        programs[way] = graphs.pop()
    require_same(programs)
    return {way: Sampler(functools.partial(compile_anew, item)) for way, item in models.items()}


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison for each framework that is installed."""
    if jax := optional("jax"):
        yield Comparison("jax.jit", functools.partial(jax_samplers, jax))
    if torch := optional("torch"):
        optional("torch._dynamo")
        yield Comparison("torch.compile", functools.partial(torch_samplers, torch))


GROUP = Group(
    "tracing",
    "Tracing",
    f"""\
A model of {LAYERS} layers, half of them told by their constructor and half by the call, traced by
`jax.jit` and by `torch.compile(fullgraph=True)` without a backend's work. Before anything is
timed, the programs are compared: the jaxpr and the graph are those of the model that is written
by hand, to the letter; else the measurement stops.""",
    comparisons,
    reference=INLINE,
    is_slow=True,
)
