"""What it costs to trace a model of many merged layers."""

from __future__ import annotations

import functools
import sys
import time
import types
from typing import TYPE_CHECKING, Any

from benchmarks.layers import BY_HAND, DECORATED, INLINE, NAME, WAYS, Kind, make_class
from benchmarks.plan import Comparison, Effort, Group, optional
from mergeparam._bench.sampling import Sampler, Samplers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Layers = Any

LAYERS = 100


def _models(kind: Kind, library: str) -> Mapping[str, Layers]:
    """Return a model for each way; half of the layers are told by their constructor."""
    body = f"return {library}.sin(x) * 2 if {NAME} else {library}.cos(x) + x"
    models = {}
    for way in (INLINE, DECORATED, BY_HAND):
        # A module that can be imported, because `torch.compile` looks for globals in it.
        module = types.ModuleType(f"benchmarks_{''.join(filter(str.isalnum, way))}")
        sys.modules[module.__name__] = module
        cls = make_class(WAYS[way], kind=kind, body=body, module=module)
        models[way] = [cls(**({NAME: True} if number % 2 else {})) for number in range(LAYERS)]
    return models


def _through(layers: Layers, x: Any) -> Any:
    """Call all layers; the other half is told here."""
    for number, layer in enumerate(layers):
        x = layer(x) if number % 2 else layer(x, deterministic=False)
    return x


def require_same(programs: Mapping[str, str]) -> None:
    """Refuse to compare programs that are not the same."""
    different = [way for way, program in programs.items() if program != programs[INLINE]]
    if different:
        msg = f"the program is not the one of the model written by hand: {', '.join(different)}"
        raise AssertionError(msg)


def _timed(fresh: Callable[[], Callable[[], object]]) -> Sampler:
    def take() -> float:
        trace = fresh()
        start = time.perf_counter()
        trace()
        return time.perf_counter() - start

    return Sampler(take)


def _with_jax(jax: Any, _: Effort) -> Samplers:
    models, x = _models(Kind("plain", names={"numpy": jax.numpy}), "numpy"), jax.numpy.ones(8)
    traced = {way: jax.make_jaxpr(functools.partial(_through, m))(x) for way, m in models.items()}
    require_same({way: str(program) for way, program in traced.items()})

    def fresh(layers: Layers) -> Callable[[], object]:
        # A new function, for JAX not to find it in its cache.
        return functools.partial(jax.jit(lambda x: _through(layers, x)).trace, x)

    return {way: _timed(functools.partial(fresh, layers)) for way, layers in models.items()}


def _with_torch(torch: Any, _: Effort) -> Samplers:
    kind = Kind("torch", "(nn.Module)", {"nn": torch.nn, "torch": torch}, method="forward")
    models = {way: torch.nn.ModuleList(layers) for way, layers in _models(kind, "torch").items()}
    graphs: list[str] = []

    def backend(graph: Any, _: object) -> object:
        graphs.append("\n".join(f"{node.op} {node.target}" for node in graph.graph.nodes))
        return graph.forward

    def fresh(layers: Layers) -> Callable[[], object]:
        torch._dynamo.reset()  # noqa: SLF001 - the documented way to forget what was compiled
        compiled = torch.compile(_through, backend=backend, fullgraph=True)
        return functools.partial(compiled, layers, torch.ones(8))

    for layers in models.values():
        fresh(layers)()
    require_same(dict(zip(models, graphs, strict=True)))
    return {way: _timed(functools.partial(fresh, layers)) for way, layers in models.items()}


def _comparisons() -> Iterator[Comparison]:
    if jax := optional("jax"):
        yield Comparison("jax.jit", functools.partial(_with_jax, jax), is_slow=True)
    if torch := optional("torch"):
        optional("torch._dynamo")
        yield Comparison("torch.compile", functools.partial(_with_torch, torch), is_slow=True)


TRACING = Group("tracing", _comparisons, reference=INLINE)
