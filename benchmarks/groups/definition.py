"""What is paid once: importing mergeparam, and decorating classes, in time and in memory."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.layers import DECORATED, INLINE, NAME, UNDECORATED, WAYS, WRAPPER
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import MERGED, mergeable
from mergeparam._bench.sampling import Sampler, Samplers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ATTRS_DEFINE = "attrs.define"
COUNTS = 10, 10_000
FEW, MANY = (f"each of {count:,} classes" for count in COUNTS)
MEMORIES = "a class", "an instance"

DEPENDENCIES = "attrs, typing_extensions"
BEFORE, AFTER = f"with {DEPENDENCIES}", "with mergeparam too"
PROCESS, PYTHON = "a new process", "Python alone"
STATEMENTS = {
    PYTHON: "pass",
    BEFORE: f"import {DEPENDENCIES}",
    AFTER: f"import {DEPENDENCIES}, mergeparam",
    "with every public name of it": f"import {DEPENDENCIES}; from mergeparam import *",
}


def make_layer() -> type:
    """Return a new class that is not decorated yet, with a method of two lines."""
    path = layers.Path(kind=layers.Kind("of fields", has_fields=True))
    return layers.make_class(layers.Way("MERGED"), path, body="x = x + 1\nreturn x")


def decorating(
    decorate: Callable[[type], type],
    make: Callable[[], type] = make_layer,
    classes: int = 10,
    injection: str | None = None,
) -> Sampler:
    """Return a sampler of the seconds that decorating each of so many new classes takes."""

    def take() -> float:
        fresh = [make() for _ in range(classes + 1)]
        gc.collect()
        gc.disable()
        # Compiling the classes has driven everything else out of the processor's caches.
        layers.require_injection(decorate(fresh.pop()), injection)
        start = time.process_time()
        for cls in fresh:
            decorate(cls)
        end = time.process_time()
        gc.enable()
        return (end - start) / classes

    return Sampler(take, classes)


def _one_class(_: Effort) -> Samplers:
    def made() -> type:
        return attrs.define(make_layer())

    ours = {name: WAYS[name] for name in (DECORATED, WRAPPER)}
    return {
        ATTRS_DEFINE: decorating(attrs.define),
        "dataclass": decorating(dataclasses.dataclass),
        **{
            name: decorating(way.decorate(NAME), made, injection=way.injection)
            for name, way in ours.items()
        },
    }


def _many(_: Effort) -> Samplers:
    def make() -> type:
        class Layer:
            deterministic: bool | None = None

            def __call__(self, x: object, *, deterministic: bool = MERGED) -> object:
                return x, deterministic

        return Layer

    counts = {FEW: COUNTS[0], MANY: COUNTS[1]}
    return {way: decorating(mergeable(NAME), make, count) for way, count in counts.items()}


def bytes_of(make: Callable[[], object], number: int) -> int:
    """Return how many bytes each of `number` objects keeps allocated."""
    make()  # what only the first one allocates
    gc.collect()
    tracemalloc.start()
    kept: list[object] = [None] * number
    before, _ = tracemalloc.get_traced_memory()
    kept[:] = [make() for _ in range(number)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round((after - before) / number)


def _memory() -> Iterator[Comparison]:
    def samplers(measure: Callable[[Callable[[], Any]], float], _: Effort) -> Samplers:
        ways = {way: WAYS[way] for way in (UNDECORATED, INLINE, DECORATED, WRAPPER)}
        makers = {name: functools.partial(layers.make_class, way) for name, way in ways.items()}
        return {way: Sampler(functools.partial(measure, make)) for way, make in makers.items()}

    each = (lambda make: bytes_of(make, 100)), (lambda make: bytes_of(make(), 1000))
    for name, measure in zip(MEMORIES, each, strict=True):
        yield Comparison(name, functools.partial(samplers, measure), "byte", is_slow=True)


def _processes(_: Effort) -> Samplers:
    def take(statement: str) -> float:
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
        # The processor's time depends less on what else runs on the machine.
        text = f"import time; {statement}; print(time.process_time())"
        command = [sys.executable, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 - ourselves
        return float(done.stdout)

    for statement in STATEMENTS.values():
        take(statement)  # compiles the modules
    return {way: Sampler(functools.partial(take, text)) for way, text in STATEMENTS.items()}


_CLASS = Comparison("one class", _one_class, is_slow=True)
_IMPORT = Comparison(PROCESS, _processes, is_slow=True)
DEFINITION = Group("definition", lambda: [_CLASS], reference=ATTRS_DEFINE)
OF_MANY = Group("many", lambda: [Comparison("time", _many, is_slow=True)], reference=FEW)
MEMORY = Group("memory", _memory, base=UNDECORATED)
IMPORTS = Group("imports", lambda: [_IMPORT], base=PYTHON)
