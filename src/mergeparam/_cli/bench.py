"""`mergeparam bench`: what the merge costs in the user's own class."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING

import attrs

from mergeparam._cli.derived_call import DERIVED, Call
from mergeparam._cli.refusal import Refusal, one_line
from mergeparam._cli.sampling import Samples, sample
from mergeparam._cli.trial import Trial, try_out
from mergeparam._cli.variants import Method, read_method
from mergeparam._introspect import merged_methods

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

EXTRA = ("pyperf", "matplotlib", "rich")
PLOTS = (".svg", ".png", ".pdf")


@attrs.frozen
class Effort:
    """How long to measure."""

    runs: int
    turns: int
    seconds: float


THOROUGH, FAST = Effort(runs=8, turns=15, seconds=1e-3), Effort(runs=3, turns=5, seconds=2e-4)


@attrs.frozen
class Outcome:
    """A call, and its samples by way."""

    trial: Trial
    samples: dict[str, Samples]


def run(classes: list[type], options: argparse.Namespace) -> None:
    """Measure the class that is asked for, and print and write what is asked for."""
    require_extra()
    _check_files(options)
    method = read_method(*_the_one(classes, options))
    trials, left_out = _trials(method, options)
    outcomes = [_measured(trial, options) for trial in trials]
    _report(outcomes, left_out, options)


def require_extra() -> None:
    """Refuse where a part of the extra is missing."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"bench needs {', '.join(missing)}: pip install 'mergeparam[bench]'"
        raise Refusal(msg)


def _check_files(options: argparse.Namespace) -> None:
    """Refuse before anything is measured what cannot be written afterwards."""
    if options.plot is not None and options.plot.suffix not in PLOTS:
        msg = f"--plot {options.plot} is no chart's name; let it end in {', '.join(PLOTS)}"
        raise Refusal(msg)
    for path in filter(None, (options.json, options.plot)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _try_to_write(path)
        except OSError as error:
            msg = f"{path} cannot be written: {one_line(error)}"
            raise Refusal(msg) from error


def _try_to_write(path: Path) -> None:
    """Open the file for writing, and leave it, or its absence, as it is."""
    is_there = path.exists()
    path.open("ab").close()
    if not is_there:
        path.unlink()


def _the_one(classes: list[type], options: argparse.Namespace) -> tuple[type, str]:
    place, method = options.target.partition(":")[0], options.method
    if len(classes) > 1:
        names = ", ".join(f"{place}:{cls.__qualname__}" for cls in classes)
        msg = f"bench compares one class; name one of {names}"
        raise Refusal(msg)
    (cls,) = classes
    methods = merged_methods(cls) if method is None else (method,)
    if len(methods) > 1:
        msg = f"{cls.__qualname__} merges in {', '.join(methods)}; name one with --method"
        raise Refusal(msg)
    if methods[0] not in merged_methods(cls):
        msg = f"{cls.__qualname__} merges nothing in {method!r}"
        raise Refusal(msg)
    return cls, methods[0]


def _trials(method: Method, options: argparse.Namespace) -> tuple[list[Trial], list[str]]:
    """Return what can be measured, and why something cannot."""
    if options.call is not None:
        return [try_out(method, Call("as given", options.setup or "", options.call))], []
    if options.setup is not None:
        msg = "--setup needs --call, for what it prepares to be used"
        raise Refusal(msg)
    trials, refusals = [], {}
    for given, derive in DERIVED.items():
        try:
            trials.append(try_out(method, derive(method)))
        except Refusal as refusal:
            refusals[given] = str(refusal)
    if not trials:
        msg = f"{next(iter(refusals.values()))}; write what to measure with --setup and --call"
        raise Refusal(msg)
    return trials, [f"{given}: {reason}" for given, reason in refusals.items()]


def _measured(trial: Trial, options: argparse.Namespace) -> Outcome:
    from rich.console import Console  # noqa: PLC0415 - of the extra, which is there by now
    from rich.progress import track  # noqa: PLC0415 - likewise

    effort = FAST if options.fast else THOROUGH
    make = functools.partial(trial.samplers, effort.seconds)
    progress = Console(stderr=True)
    hidden = not progress.is_terminal
    numbers, words = range(effort.runs), f"measuring, {trial.call.given}"
    runs = track(numbers, words, console=progress, transient=True, disable=hidden)
    with trial.refusing():
        return Outcome(trial, sample(make, runs=runs, turns=effort.turns))


def _report(outcomes: list[Outcome], left_out: list[str], options: argparse.Namespace) -> None:
    # Of the extra, which is there by now.
    from mergeparam._cli import bench_report, plot, pyperf_file  # noqa: PLC0415
    from mergeparam._cli.machine import machine  # noqa: PLC0415

    bench_report.print_outcomes(outcomes, left_out)
    if options.json is not None:
        pyperf_file.write_samples(options.json, _named(outcomes), machine())
    if options.plot is not None:
        plot.save(bench_report.chart(outcomes), options.plot)
    bench_report.print_files([path for path in (options.json, options.plot) if path is not None])


def _named(outcomes: list[Outcome]) -> Iterator[Samples]:
    for outcome in outcomes:
        call, place = outcome.trial.call, outcome.trial.method.place
        metadata = {"setup": call.setup, "call": call.expression}
        for way, samples in outcome.samples.items():
            name = f"{place.cls.__qualname__}.{place.method}, {call.given}/{way}"
            yield attrs.evolve(samples, name=name, metadata=metadata)
