"""`mergeparam bench`: what the merge costs in the user's own class.

What needs the extra is imported where it is used, so that the other commands work without it.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from mergeparam._bench import Refusal, calls, method, refusing, require_extra
from mergeparam._cli import target
from mergeparam._introspect import merged_methods

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from mergeparam._bench.sampling import Benchmarks
    from mergeparam._bench.trial import Trial

# Runs, turns in each, and seconds for each turn of each way.
THOROUGH, FAST = (8, 15, 1e-3), (3, 5, 2e-4)
CHARTS = ".svg", ".png", ".pdf"

_HEADS = "ns\nper call", "\nquartiles", "parameter\nadds", "/ inline\nby hand", "/ un-\ndecorated"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command take a target, a call, and what to write."""
    parser.add_argument("target", metavar="TARGET", help=target.HELP)
    parser.add_argument("--method", help="the method, where several are merged")
    parser.add_argument("--setup", metavar="CODE", help="statements before it: layer = Dropout()")
    parser.add_argument("--call", metavar="EXPRESSION", help="what is measured: layer(x)")
    parser.add_argument("--fast", action="store_true", help="take less time, less exact")
    for option, help_text in (
        ("--json", "write all values, as pyperf has them"),
        ("--plot", f"draw what is printed: {', '.join(CHARTS)}"),
    ):
        parser.add_argument(option, type=pathlib.Path, metavar="FILE", help=help_text)


def run(options: argparse.Namespace) -> int:
    """Measure the class that is asked for, and print and write what is asked for."""
    classes, _ = target.load(options.target)
    require_extra()
    from rich.console import Console
    from rich.progress import track

    if options.plot is not None and options.plot.suffix not in CHARTS:
        msg = f"--plot {options.plot} is no chart's name; let it end in {', '.join(CHARTS)}"
        raise Refusal(msg)
    trials, left_out = _trials(_subject(classes, options), options)
    runs, turns, seconds = FAST if options.fast else THOROUGH
    console, progress = Console(highlight=False, markup=False), Console(stderr=True)
    look = {"transient": True, "disable": not progress.is_terminal}
    measured = []
    for trial in trials:
        numbers = track(range(runs), f"measuring, {trial.call.given}", console=progress, **look)  # type: ignore[arg-type]
        measured.append((trial, trial.measure(seconds, numbers, turns)))
    for trial, ways in measured:
        _print(console, trial, ways)
    for given, refusal in left_out.items():
        console.print(f"left out: {given}: {refusal}\n")
    text = f"medians and quartiles of {runs} runs, with {turns} turns of all ways in each"
    console.print(text, style="dim")
    for path, write in ((options.json, _write), (options.plot, _draw)):
        if path is not None:
            with refusing(f"{path} cannot be written:"):
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, measured)
            console.print(f"written: {path}", soft_wrap=True)
    return 0


def _subject(classes: list[type], options: argparse.Namespace) -> method.Subject:
    cls, merged, msg = classes[0], merged_methods(classes[0]), ""
    if len(classes) > 1:
        names = ", ".join(f"{options.target}:{cls.__qualname__}" for cls in classes)
        msg = f"bench compares one class; name one of {names}"
    elif options.method is None and len(merged) > 1:
        msg = f"{cls.__qualname__} merges in {', '.join(merged)}; name one with --method"
    elif options.method not in (None, *merged):
        msg = f"{cls.__qualname__} merges nothing in {options.method!r}"
    elif options.setup is not None and options.call is None:
        msg = "--setup needs --call, for what it prepares to be used"
    if msg:
        raise Refusal(msg)
    return method.read_subject(cls, options.method or merged[0])


def _trials(
    subject: method.Subject, options: argparse.Namespace
) -> tuple[list[Trial], dict[str, Refusal]]:
    """Return what can be measured, and why something cannot."""
    from mergeparam._bench.trial import try_out

    method.check_source(subject)
    if options.call is not None:
        return [try_out(subject, calls.Call("as given", options.setup or "", options.call))], {}
    trials: list[Trial] = []
    left_out: dict[str, Refusal] = {}
    for given in calls.PLACES:
        try:
            trials.append(try_out(subject, calls.derive(subject, given)))
        except Refusal as refusal:
            left_out[given] = refusal
    if not trials:
        msg = f"{next(iter(left_out.values()))}; write what to measure with --setup and --call"
        raise Refusal(msg)
    return trials, left_out


def _print(console: Console, trial: Trial, ways: Benchmarks) -> None:
    from rich.table import Table

    from mergeparam._bench.sampling import NANOSECOND, median, overhead, ratio

    console.print(trial.title, style="bold")
    for line in filter(None, (trial.call.setup, trial.call.expression)):
        console.print(f"    {line}")
    table = Table("", box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    base, inline, ours, *by_hand = ways.values()
    merges = len(trial.subject.params) * trial.executions
    for way, item in ways.items():
        value, low, high = map(_short, median(item).in_units(NANOSECOND))
        added = f"{overhead(item, base, merges).value / NANOSECOND:+,.1f}"
        ratios = [f"{ratio(item, other).value:.2f}" for other in (inline, base)]
        cells = way, value, f"{low} to {high}", "" if item is base else added, *ratios
        table.add_row(*cells, style="bold" if item is ours else None)
    console.print(table)
    lost = trial.lost_wrappers
    for holds, note in (
        (not by_hand, "merge_param knows no default and no policy for conflicts, and is left out"),
        (trial.subject.is_wrapped_by_us, "the merge is in a wrapper, not in the method's code"),
        (lost, f"measured without what is wrapped around the method ({lost})"),
        (trial.executions > 1, f"a call runs the method {trial.executions} times"),
    ):
        console.print(f"note: {note}\n" if holds else "", end="")
    console.print()


def _short(nanoseconds: float) -> str:
    return f"{nanoseconds:,.1f}" if nanoseconds < 100 else f"{nanoseconds:,.0f}"  # noqa: PLR2004


def _write(path: pathlib.Path, measured: list[tuple[Trial, Benchmarks]]) -> None:
    import pyperf

    from mergeparam._bench.sampling import machine

    suite = []
    for trial, ways in measured:
        # pyperf takes no empty text, and none of several lines.
        call = {"setup": trial.call.setup, "call": trial.call.expression}
        facts = {name: "; ".join(text.splitlines()) for name, text in call.items() if text}
        place = f"{trial.subject.cls.__qualname__}.{trial.subject.name}, {trial.call.given}"
        for way, item in ways.items():
            item.update_metadata({**machine(), **facts, "name": f"{place}/{way}"})
            suite.append(item)
    pyperf.BenchmarkSuite(suite).dump(str(path), replace=True)


def _draw(path: pathlib.Path, measured: list[tuple[Trial, Benchmarks]]) -> None:
    from mergeparam._bench import plot
    from mergeparam._bench.sampling import NANOSECOND, median

    titles = [trial.title for trial, _ in measured]
    colours = plot.OTHERS, plot.BY_HAND, plot.OURS, plot.DARK
    with plot.charts((7.2, 2.8), titles, path) as every:
        for axes, (_, ways) in zip(every, measured, strict=True):
            times = [median(item).in_units(NANOSECOND) for item in ways.values()]
            values, lows, highs = zip(*times, strict=True)
            bars = axes.barh(list(ways), values, color=colours)
            axes.hlines(range(len(ways)), lows, highs, color=plot.INK)
            axes.bar_label(bars, fmt=_short, padding=6)
            axes.invert_yaxis()
            axes.tick_params(axis="y", length=0)
            axes.margins(x=0.12)
            axes.set_xlabel("ns per call")
