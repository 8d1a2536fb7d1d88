"""What it costs to decorate one class."""

from __future__ import annotations

import dataclasses
import gc
import linecache
import time
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.layers import ATTRS, INLINE_SOURCE, NAMES, define, layer_source
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import mergeable
from mergeparam._cli.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import CodeType

    Decorator = Callable[[type], type]

NAME = NAMES[0]
ATTRS_DEFINE, DECORATED, BYTECODE = "attrs.define", "@mergeable", "the package bytecode"
MARKER = "behind_the_merge"


def definition_sampler(
    make: Callable[[], type],
    decorate: Decorator,
    classes: int,
    before: Decorator = lambda cls: cls,
) -> Sampler:
    """Return a sampler of the seconds that decorating one class takes.

    A class can be decorated once only, so each turn takes new ones. One more is decorated first,
    because compiling them has driven everything else out of the processor's caches.
    """

    def take() -> float:
        fresh = [before(make()) for _ in range(classes + 1)]
        gc.collect()
        gc.disable()
        decorate(fresh.pop())
        start = time.perf_counter()
        for cls in fresh:
            decorate(cls)
        end = time.perf_counter()
        gc.enable()
        return (end - start) / classes

    return Sampler(take, classes)


def source_of(default: str, body: str = "x = x + 1\nreturn x") -> str:
    """Return a layer with one parameter, annotated as the checkers of types need it."""
    source = layer_source(ATTRS, [NAME], default, body)
    return source.replace(f"x, *, {NAME}=", f"x: float, *, {NAME}: bool = ")


def make_class(source: str, **names: object) -> type:
    """Return a new class, whose source is found as that of a module is."""
    cls = define(source, names)
    method: Any = cls.__call__
    file = method.__code__.co_filename
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    return cls


def splice_with(bytecode: Any) -> Decorator:
    """Return a decorator that puts the same merge in the same place with that package."""
    template = _template()

    def decorate(cls: type) -> type:
        function: Any = cls.__call__
        code = function.__code__
        target = bytecode.Bytecode.from_code(code, conserve_exception_block_stackdepth=True)
        at = _behind_resume(target)
        target[at:at] = _merge_of(bytecode.Bytecode.from_code(template))
        function.__code__ = target.to_code(
            stacksize=max(code.co_stacksize, template.co_stacksize),
            compute_exception_stack_depths=False,
        )
        return cls

    return decorate


def _template() -> CodeType:
    body = f"{INLINE_SOURCE.format(NAME)}{MARKER}\n" + f"{MARKER}\n" * 5
    function: Any = define(layer_source(ATTRS, [NAME], "None", body), {}).__call__
    code: CodeType = function.__code__
    return code


def _behind_resume(items: Any) -> int:
    names = [(getattr(item, "name", None), getattr(item, "arg", None)) for item in items]
    return names.index(("RESUME", 0)) + 1


def _merge_of(items: Any) -> list[object]:
    names = [getattr(item, "arg", None) for item in items]
    end = next(at for at, arg in enumerate(names) if isinstance(arg, tuple) and MARKER in arg)
    return list(items)[_behind_resume(items) : end]


def samplers(effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of every decorator that is installed."""

    def plain() -> type:
        return make_class(source_of("True"))

    def merged() -> type:
        return make_class(source_of("MERGED"))

    found = {
        ATTRS_DEFINE: definition_sampler(merged, attrs.define, effort.classes),
        "dataclass": definition_sampler(merged, dataclasses.dataclass, effort.classes),
        DECORATED: definition_sampler(merged, mergeable(NAME), effort.classes, attrs.define),
        "@mergeable, as a wrapper": definition_sampler(
            merged, mergeable(NAME, inject="wrap"), effort.classes, attrs.define
        ),
    }
    if bytecode := optional("bytecode"):
        found[BYTECODE] = definition_sampler(
            plain, splice_with(bytecode), effort.classes, attrs.define
        )
    if beartype := optional("beartype"):
        found["beartype"] = definition_sampler(
            plain, beartype.beartype, effort.classes, attrs.define
        )
    if typeguard := optional("typeguard"):
        found["typeguard"] = definition_sampler(
            plain, typeguard.typechecked, effort.classes, attrs.define
        )
    return found


def comparisons() -> Iterator[Comparison]:
    """Yield the only comparison."""
    yield Comparison("one class", samplers)


GROUP = Group(
    "definition",
    "Definition",
    """\
Decorating a class with one method of two lines and one parameter: what `@mergeable` takes after
`attrs.define` has made the class, beside what `attrs.define` itself takes, `dataclass`, two
checkers of types, and the same merge spliced in with the package
[bytecode](https://pypi.org/project/bytecode/).""",
    comparisons,
    reference=ATTRS_DEFINE,
)
