"""What `@mergeable` costs: in a call, in a definition, at import and in memory.

It needs nothing but mergeparam, and takes half a minute:

    python benchmarks/call_overhead.py [--fast] [--json FILE]

Whatever is compared takes turns in one process, in an order that changes from round to round;
a figure is the median over all rounds. A missed target is no failure: the exit code is 0,
because a busy machine misses them too.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import timeit
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam import MERGED, merge_param, mergeable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAMES = ("deterministic", "train", "decode", "causal")
UNROLLED = 10
KIB = 1024


@attrs.frozen
class Effort:
    """How long to measure."""

    copies: int
    """How often the layers are made anew, because where one lies in memory changes its speed."""

    rounds: int
    """How often each copy is timed, and each definition."""

    nanoseconds: int
    """How long one timing of calls takes."""

    classes: int
    processes: int


THOROUGH = Effort(copies=5, rounds=40, nanoseconds=1_000_000, classes=10, processes=25)
FAST = Effort(copies=2, rounds=6, nanoseconds=300_000, classes=2, processes=5)


@attrs.frozen
class Row:
    """A figure, and the most that it may be."""

    name: str
    value: float
    target: float
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Say whether the target is met."""
        return "ok" if self.value <= self.target else "MISSED"


@attrs.frozen
class Part:
    """The figures of one question."""

    title: str
    rows: tuple[Row, ...]


@attrs.frozen
class Case:
    """How many parameters, and where they are given."""

    count: int
    given: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return NAMES[: self.count]

    @property
    def call(self) -> str:
        """The call that gives them, unless the constructor has."""
        given = (f", {name}=True" for name in self.names if self.given == "call")
        return f"layer(x{''.join(given)})"

    def __str__(self) -> str:
        """Return what the tables call it."""
        return f"{self.count} by {self.given}"


CASES = tuple(Case(count, given) for count in (1, 2, 4) for given in ("call", "constructor"))


@attrs.frozen
class Variant:
    """One way to merge: what a parameter's default is, the statements, and the decorator."""

    default: str
    merge: str = ""
    decorate: Callable[..., Callable[[type], type]] = lambda *_: lambda cls: cls


INLINE = """\
if {0} is None:
    {0} = self.{0}
    if {0} is None:
        raise ValueError("{0} is set in neither place")
elif self.{0} is not None:
    raise ValueError("{0} is set in both places")
"""
VARIANTS = {
    # Its default is what the others get from the constructor, so that all return the same.
    "undecorated": Variant("True"),
    "inline by hand": Variant("None", INLINE),
    "decorated": Variant("MERGED", decorate=mergeable),
    "merge_param": Variant("None", "{0} = merge_param('{0}', self.{0}, {0})\n"),
    "wrapper": Variant("MERGED", decorate=lambda *names: mergeable(*names, inject="wrap")),
}


@attrs.frozen
class CallTimes:
    """Nanoseconds of one call in one case, by variant."""

    case: Case
    times: Mapping[str, float]

    def overhead(self, variant: str) -> float:
        """Return what one parameter costs."""
        return (self.times[variant] - self.times["undecorated"]) / self.case.count

    def rows(self) -> tuple[Row, Row]:
        """Return the two ratios that have a target."""
        decorated, by_hand = self.times["decorated"], self.times["inline by hand"]
        overheads = self.overhead("decorated") / self.overhead("merge_param")
        return (
            Row(f"decorated / inline by hand, {self.case}", decorated / by_hand, 1.03),
            Row(f"overhead, decorated / merge_param, {self.case}", overheads, 0.40),
        )


def layer_source(names: Iterable[str], default: str, body: str) -> str:
    """Return a layer as source; `names` are attributes and parameters, `rate` only the former."""
    fields = "".join(f"    {name}: bool | None = None\n" for name in names)
    parameters = ", ".join(f"{name}={default}" for name in names)
    return (
        f"class Layer:\n    rate: float = 0.5\n{fields}\n"
        f"    def __call__(self, x, *, {parameters}):\n{textwrap.indent(body, ' ' * 8)}\n"
    )


def define(source: str) -> type:
    """Return a new class; its code is new too, as that of a freshly imported module."""
    namespace: dict[str, Any] = {
        "__name__": __name__,
        "MERGED": MERGED,
        "merge_param": merge_param,
    }
    exec(compile(source, "<layer>", "exec", dont_inherit=True), namespace)
    return namespace["Layer"]  # type: ignore[no-any-return]  # a namespace holds anything


def make_class(variant: Variant, names: tuple[str, ...]) -> type:
    """Return a class whose layers return their input and the merged parameters."""
    body = "".join(variant.merge.format(name) for name in names)
    body += f"return x, {', '.join(names)}"
    cls = define(layer_source(names, variant.default, body))
    return variant.decorate(*names)(attrs.define(cls))


def make_layer(variant: Variant, case: Case) -> object:
    """Return a layer that got the parameters if its constructor is to have them."""
    given = case.names if case.given == "constructor" else ()
    return make_class(variant, case.names)(**dict.fromkeys(given, True))


def take_turns(timers: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Time all in every round, in another order each time."""
    names = list(timers)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        order = names[first:] + names[:first]
        for name in order if turn % 2 else reversed(order):
            times[name].append(timers[name]())
    return times


def medians(runs: Iterable[Mapping[str, list[float]]]) -> dict[str, float]:
    """Return the median of each name over all rounds of all runs."""
    pooled: dict[str, list[float]] = {}
    for run in runs:
        for name, times in run.items():
            pooled.setdefault(name, []).extend(times)
    return {name: statistics.median(times) for name, times in pooled.items()}


def call_timer(layer: object, case: Case, nanoseconds: int) -> Callable[[], float]:
    """Return a function that times calls of `layer`, in nanoseconds each."""
    statement = "; ".join([case.call] * UNROLLED)
    names = {"_layer": layer, "_x": 1.0}
    timer = timeit.Timer(statement, "layer, x = _layer, _x", time.perf_counter_ns, names)
    number = max(1, round(nanoseconds * 1000 / max(1, timer.timeit(1000))))
    return lambda: timer.timeit(number) / (number * UNROLLED)


def time_calls(case: Case, effort: Effort) -> CallTimes:
    """Time all variants of one case."""
    runs = []
    for _ in range(effort.copies):
        layers = {name: make_layer(variant, case) for name, variant in VARIANTS.items()}
        timers = {
            name: call_timer(layer, case, effort.nanoseconds) for name, layer in layers.items()
        }
        runs.append(take_turns(timers, effort.rounds))
    return CallTimes(case, medians(runs))


def definition_timer(source: str, decorators: Iterable[Any], classes: int) -> Callable[[], float]:
    """Return a function that times the last of the decorators, in microseconds a class.

    A class can be decorated once only, so each time takes new ones. One more is decorated
    first, because compiling them has driven everything else out of the processor's caches.
    """
    *before, timed = decorators

    def measure() -> float:
        fresh = [define(source) for _ in range(classes + 1)]
        for decorate in before:
            fresh = [decorate(cls) for cls in fresh]
        gc.collect()
        gc.disable()
        timed(fresh.pop())
        start = time.perf_counter_ns()
        for cls in fresh:
            timed(cls)
        end = time.perf_counter_ns()
        gc.enable()
        return (end - start) / 1000 / classes

    return measure


def long_body(lines: int, tries: int = 0) -> str:
    """Return a body of that many lines, with branches and so many `try` statements."""
    handled = ["try:", "    x = -x", "except TypeError:", "    x = 0"] * tries
    block = ["x = x + 1", "y = [x, -x]", "if x > 3: x = abs(x)"]
    return "\n".join([*[*handled, *block * lines][: lines - 1], "return x"])


def time_definitions(effort: Effort) -> Part:
    """Time what the decorator does against `attrs.define`, and by the length of the body."""
    bodies = {"short": long_body(2), "long": long_body(2000), "tries": long_body(2000, tries=50)}
    sources = {name: layer_source(NAMES[:1], "MERGED", body) for name, body in bodies.items()}
    decorators = attrs.define, mergeable(NAMES[0])
    timers = {
        name: definition_timer(source, decorators, effort.classes)
        for name, source in sources.items()
    }
    timers["define"] = definition_timer(sources["short"], [attrs.define], effort.classes)
    times = medians([take_turns(timers, effort.rounds)])
    return Part(
        f"Definition (us: attrs.define {times['define']:.0f}, @mergeable {times['short']:.0f}; "
        f"with 2,000 lines {times['long']:.0f}, 50 `try` among them {times['tries']:.0f})",
        (
            Row("@mergeable / attrs.define", times["short"] / times["define"], 0.5),
            Row("body of 2,000 lines / of 2", times["long"] / times["short"], 2.0),
            Row("the same, 50 `try` among them", times["tries"] / times["short"], 2.0),
        ),
    )


def import_timer(modules: str, cache: str) -> Callable[[], float]:
    """Return a function that times a new process with an import, in milliseconds.

    It counts the processor's time, to which it matters less what else runs on the machine.
    """
    source = f"import time, {modules}; print(time.process_time_ns())"
    command = [sys.executable, "-X", f"pycache_prefix={cache}", "-c", source]
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }

    def measure() -> float:
        done = subprocess.run(command, capture_output=True, check=True, env=environment)
        return int(done.stdout) / 1e6

    measure()  # compiles the modules
    return measure


def time_import(effort: Effort) -> Part:
    """Time the import on top of what mergeparam depends on."""
    dependencies = "attrs, typing_extensions"
    with tempfile.TemporaryDirectory() as cache:
        timers = {
            "before": import_timer(dependencies, cache),
            "after": import_timer(f"{dependencies}, mergeparam", cache),
        }
        times = medians([take_turns(timers, effort.processes)])
    added = times["after"] - times["before"]
    return Part(
        f"Import (Python with {dependencies} takes {times['before']:.0f} ms)",
        (Row("import mergeparam", added, 10.0, "ms"),),
    )


def bytes_of(make: Callable[[], object], number: int) -> float:
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
    return (after - before) / number


def measure_memory(effort: Effort) -> Part:
    """Measure what a decorated class and its instances keep in memory."""
    names, number = NAMES[:1], 20 * effort.classes
    plain, merged = (
        functools.partial(make_class, VARIANTS[name], names)
        for name in ("undecorated", "decorated")
    )
    plain_bytes, merged_bytes = bytes_of(plain, number), bytes_of(merged, number)
    classes = plain(), merged()
    plain_traced, merged_traced = (round(bytes_of(cls, 1000)) for cls in classes)
    plain_size, merged_size = (sys.getsizeof(cls()) for cls in classes)
    return Part(
        f"Memory (undecorated: class {plain_bytes / KIB:.1f} KiB, instance {plain_size} bytes)",
        (
            Row("decorated class, in addition", (merged_bytes - plain_bytes) / KIB, 8.0, "KiB"),
            Row("its instance, tracemalloc, in addition", merged_traced - plain_traced, 0.0, "B"),
            Row("its instance, getsizeof, in addition", merged_size - plain_size, 0.0, "B"),
        ),
    )


def call_part(calls: Iterable[CallTimes]) -> Part:
    """Return the ratios of all cases, those of one kind together."""
    pairs = [call.rows() for call in calls]
    return Part("Calls, ratios", tuple(row for rows in zip(*pairs, strict=True) for row in rows))


def table(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """Return lines with aligned columns; all but the first to the right."""
    every = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in (every[0], rule, *every[1:])
    )


def call_table(calls: Iterable[CallTimes]) -> str:
    """Return the times of all variants, and in brackets what one parameter adds."""
    lines = [
        (
            str(call.case),
            *(f"{time:.1f} ({call.overhead(name):+.1f})" for name, time in call.times.items()),
        )
        for call in calls
    ]
    return table(("parameters", *VARIANTS), lines)


def part_table(part: Part) -> str:
    """Return the figures of a part with their targets."""
    lines = [
        (row.name, f"{row.value:.3f} {row.unit}".rstrip(), f"<= {row.target:g}", row.verdict)
        for row in part.rows
    ]
    return f"{part.title}\n\n{table(('', 'value', 'target', 'verdict'), lines)}\n"


def as_json(calls: Iterable[CallTimes], parts: Iterable[Part]) -> str:
    """Return everything that is printed as JSON."""
    rows = {
        part.title.partition(" (")[0]: [
            {**attrs.asdict(row), "verdict": row.verdict} for row in part.rows
        ]
        for part in parts
    }
    times = {str(call.case): dict(call.times) for call in calls}
    python = platform.python_version()
    return json.dumps({"python": python, "calls_ns": times, "parts": rows}, indent=2)


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Measure what @mergeable costs.")
    parser.add_argument("--fast", action="store_true", help="take some seconds, less exact")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


def main() -> None:
    """Measure, and print as soon as there is something to print."""
    arguments = parse_arguments()
    effort = FAST if arguments.fast else THOROUGH
    print(f"{platform.python_implementation()} {platform.python_version()}\n", flush=True)
    calls = [time_calls(case, effort) for case in CASES]
    print(f"Calls: ns (and what one parameter adds)\n\n{call_table(calls)}\n")
    parts = [call_part(calls)]
    print(part_table(parts[0]), flush=True)
    for measure in time_definitions, time_import, measure_memory:
        parts.append(measure(effort))
        print(part_table(parts[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(as_json(calls, parts) + "\n")


if __name__ == "__main__":
    main()
