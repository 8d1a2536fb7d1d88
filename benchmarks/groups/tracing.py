"""What it costs to trace and compile a model of many merged layers."""

from __future__ import annotations

import functools
import gc
import sys
import time
import types
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.groups import calls, paths
from benchmarks.layers import INLINE, NAME, Kind, Path
from benchmarks.plan import Comparison, Effort, Group, optional
from mergeparam._bench.sampling import Sampler, Samplers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Layers = Any

CASES: Mapping[str, tuple[int, Path]] = {
    "100 layers": (100, calls.EITHER["set by the constructor"]),
    "50 layers that forward": (50, calls.PATHS[calls.FORWARDING]),
    "50 layers with a default": (50, calls.PATHS[calls.DEFAULT]),
    "50 layers with UNSET": (50, paths.MERGES["unset=UNSET, set by the constructor"]),
}
"""How many layers there are, and the path that every second one takes."""


GUARDS = "guards of torch.compile"


def _models(case: str, kind: Kind, library: str) -> Mapping[str, Layers]:
    """Return a model for each way."""
    count, path = CASES[case]
    path, models = attrs.evolve(path, kind=kind), {}
    body = f"return {library}.sin(x) * 2 if {NAME} else {library}.cos(x) + x"
    told = {NAME: True} if path.given else {}
    for way in (INLINE, layers.DECORATED):
        # A module that can be imported, because `torch.compile` looks for globals in it.
        module = types.ModuleType(f"benchmarks_{''.join(filter(str.isalnum, f'{way} {case}'))}")
        sys.modules[module.__name__] = module
        cls = layers.make_class(layers.WAYS[way], path, body=body, module=module)
        models[way] = [cls(**(told if number % 2 else {})) for number in range(count)]
    return models


def _through(layers: Layers, x: Any) -> Any:
    """Call all layers; every other one is told by the call."""
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
        # Tracing makes so much garbage that the collector would hit one way or another at random.
        gc.collect()
        gc.disable()
        start = time.process_time()
        trace()
        end = time.process_time()
        gc.enable()
        return end - start

    return Sampler(take)


def _with_jax(jax: Any, case: str, _: Effort) -> Samplers:
    models = _models(case, Kind("plain", names={"numpy": jax.numpy}), "numpy")
    x = jax.numpy.ones(8)
    traced = {way: jax.make_jaxpr(functools.partial(_through, m))(x) for way, m in models.items()}
    require_same({way: str(program) for way, program in traced.items()})

    def fresh(model: Layers) -> Callable[[], object]:
        # A new function, for JAX not to find it in its cache.
        return functools.partial(jax.jit(lambda x: _through(model, x)).trace, x)

    return {way: _timed(functools.partial(fresh, model)) for way, model in models.items()}


def _with_torch(torch: Any, case: str, _: Effort, *, counts: bool) -> Samplers:
    kind = Kind("torch", "(nn.Module)", {"nn": torch.nn, "torch": torch}, method="forward")
    models = {way: torch.nn.ModuleList(m) for way, m in _models(case, kind, "torch").items()}
    graphs: list[str] = []

    def backend(graph: Any, _: object) -> object:
        graphs.append("\n".join(f"{node.op} {node.target}" for node in graph.graph.nodes))
        return graph.forward

    def fresh(model: Layers) -> Callable[[], object]:
        torch.compiler.reset()
        compiled = torch.compile(_through, backend=backend, fullgraph=True)
        return functools.partial(compiled, model, torch.ones(8))

    guards = {}
    for way, model in models.items():
        fresh(model)()
        (entry,) = torch._dynamo.eval_frame._debug_get_cache_entry_list(_through.__code__)  # noqa: SLF001 - nothing public has them
        guards[way] = str(entry.guard_manager).count("+- ")
    require_same(dict(zip(models, graphs, strict=True)))
    if counts:
        return {way: Sampler(functools.partial(int, number)) for way, number in guards.items()}
    return {way: _timed(functools.partial(fresh, model)) for way, model in models.items()}


def _comparisons() -> Iterator[Comparison]:
    makers: dict[str, Callable[..., Samplers]] = {}
    if jax := optional("jax"):
        makers["jax.jit"] = functools.partial(_with_jax, jax)
    if torch := optional("torch"):
        makers["torch.compile"] = functools.partial(_with_torch, torch, counts=False)
        makers[GUARDS] = functools.partial(_with_torch, torch, counts=True)
    for name, make in makers.items():
        unit = "integer" if name == GUARDS else "second"
        for case in CASES:
            of_case = functools.partial(make, case)
            yield Comparison(f"{name}, {case}", of_case, unit, is_slow=True)


TRACING = Group("tracing", _comparisons, reference=INLINE)
