"""What decorated classes and their instances keep in memory."""

from __future__ import annotations

import functools
import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING

from benchmarks.layers import DECORATED, INLINE, NAMES, UNDECORATED, WAYS, WRAPPER, make_class
from benchmarks.plan import Comparison, Effort, Group
from mergeparam._cli.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME = NAMES[0]
INSTANCES = 1000
CLASS = "a class"
COMPARED = (UNDECORATED, INLINE, DECORATED, WRAPPER)


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


def class_samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of the memory of a class."""
    number = 20 * effort.classes
    return {
        name: Sampler(functools.partial(bytes_of, functools.partial(_make, name), number), number)
        for name in COMPARED
    }


def instance_samplers(_: Effort) -> Mapping[str, Sampler]:
    """Return samplers of the memory of an instance."""
    classes = {name: _make(name) for name in COMPARED}
    return {
        name: Sampler(functools.partial(bytes_of, cls, INSTANCES), INSTANCES)
        for name, cls in classes.items()
    }


def size_samplers(_: Effort) -> Mapping[str, Sampler]:
    """Return samplers of what `sys.getsizeof` says of an instance."""
    layers = {name: _make(name)() for name in COMPARED}
    return {
        name: Sampler(functools.partial(sys.getsizeof, layer)) for name, layer in layers.items()
    }


def _make(name: str) -> type:
    return make_class(WAYS[name], (NAME,))


def comparisons() -> Iterator[Comparison]:
    """Yield the comparisons."""
    yield Comparison(CLASS, class_samplers, "byte")
    yield Comparison("an instance", instance_samplers, "byte")
    yield Comparison("an instance, sys.getsizeof", size_samplers, "byte")


GROUP = Group(
    "memory",
    "Memory",
    """\
What `tracemalloc` counts for each class, with one method and one parameter, and for each instance;
and what `sys.getsizeof` says of an instance.""",
    comparisons,
    base=UNDECORATED,
    most={"processes": 2, "runs": 1, "turns": 1},
)
