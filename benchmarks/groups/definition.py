"""What is paid once: importing mergeparam, and decorating classes, in time and in memory."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import gc
import linecache
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.layers import DECORATED, INLINE, NAME, UNDECORATED, WAYS, WRAPPER
from benchmarks.plan import Comparison, Effort, Group, optional
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


def make_layer(default: str = "MERGED") -> type:
    """Return a new class, with a method of two lines."""
    # The checkers of types need annotations, and the source of a file.
    parameter, body = f"*, {NAME}: bool = {default}", "x = x + 1\nreturn x"
    source = layers.layer_source(layers.ATTRS, (NAME,), parameter, body)
    cls: Any = layers.define(source.replace("x, *", "x: float, *"), {})
    file = cls.__call__.__code__.co_filename
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    return cls  # type: ignore[no-any-return]


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
        # A few classes are measured without the collector, many with it at work.
        if classes == COUNTS[0]:
            gc.disable()
        # Compiling the classes has driven everything else out of the processor's caches.
        layers.require_injection(decorate(fresh.pop()), injection)
        start = time.perf_counter()
        for cls in fresh:
            decorate(cls)
        end = time.perf_counter()
        gc.enable()
        return (end - start) / classes

    return Sampler(take, classes)


def _made(default: str = "MERGED") -> Callable[[], type]:
    return lambda: attrs.define(make_layer(default))


def _one_class(_: Effort) -> Samplers:
    found = {
        ATTRS_DEFINE: decorating(attrs.define),
        "dataclass": decorating(dataclasses.dataclass),
        DECORATED: decorating(mergeable(NAME), _made(), injection="inline"),
        WRAPPER: decorating(mergeable(NAME, inject="wrap"), _made(), injection="wrap"),
    }
    for package, name in (("beartype", "beartype"), ("typeguard", "typechecked")):
        if module := optional(package):
            found[package] = decorating(getattr(module, name), _made("True"))
    return found


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
    # Compiled modules are kept in a folder of their own.
    cache = tempfile.mkdtemp(prefix="mergeparam-benchmarks-")
    atexit.register(shutil.rmtree, cache)

    def take(statement: str) -> float:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
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
