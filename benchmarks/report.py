"""Results in, the whole report out as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.plan import GROUPS, load_group
from benchmarks.result import file_name, widest
from benchmarks.tables import group_table, machine_line, parameter_table, target_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.result import Result

INTRODUCTION = """\
# Benchmarks

What `@mergeable` costs, beside what one would write by hand and beside other libraries. This page
is written by the command that measures.

## Repeat it

```console
$ pip install -e '.[bench]'
$ python -m benchmarks                    # everything{minutes}
$ python -m benchmarks --fast             # everything, less exactly, under two minutes
$ python -m benchmarks calls definition   # some of it
$ python -m benchmarks --report           # this page again, from the files of before
$ nox -s bench -- --fast                  # on every Python that is installed
$ mergeparam bench layers.py:Dropout      # your own class
```

What is compared and is not installed (Flax, Equinox, PyTorch, Keras) is left out, and it says so.
The figures of each Python are in [results]({results}), in
[pyperf](https://pyperf.readthedocs.io/)'s format:

```console
$ python -m pyperf stats {results}/{file}
$ python -m pyperf compare_to before.json.gz {results}/{file}
```

Two files were measured at different times, so `compare_to` also shows what the machine did
meanwhile; the ratios below do not.

## How it is measured

All that is compared runs in the same process and takes turns, in an order that changes from turn
to turn. A turn of calls takes about a millisecond; {turns} turns with the same objects are a run;
the next run begins with new classes and functions, because where a function lies in memory changes
its speed by some percent; and runs are spread over several processes. What has to be a process of
its own, such as an import, takes turns with the others as a process.

Every figure is worked out for each run from the medians of its turns, ratios and differences too,
so that a ratio compares what was measured in the same moments. The tables give the median over all
runs and, for the spread, their quartiles.

That is why pyperf's own runner does not take the values, though its files hold them: the runner
measures one benchmark after the other, each in processes of its own. Minutes then lie between the
two sides of a ratio, and on a machine that does other things too a few percent cannot be told.
`python -m benchmarks.alone` measures the calls with pyperf's runner, for comparison.

Which instructions run in a merged call, and that these neither call nor allocate anything, does
not depend on the machine: `tests/tooling/test_instruction_counts.py` counts them.
"""


def report(results: Sequence[Result], charts: Mapping[str, str], folder: str, turns: int) -> str:
    """Return the report; `charts` are the paths of the charts by group, as it is to link them."""
    widest_one = widest(results)
    parts = [
        INTRODUCTION.format(
            results=folder,
            turns=turns,
            minutes=_minutes(results),
            file=file_name(widest_one.metadata),
        ),
        _targets(results, charts),
        _by_python(results),
        *_groups(widest_one, charts),
    ]
    return "\n".join(parts)


def _minutes(results: Sequence[Result]) -> str:
    """Say how long it took to measure everything, where that was measured."""
    taken = [int(item.metadata["minutes"]) for item in results if "minutes" in item.metadata]
    return f", about {max(taken)} minutes" if taken else ""


def _targets(results: Sequence[Result], charts: Mapping[str, str]) -> str:
    machines = dict.fromkeys(result.machine for result in results)
    loads = sorted({result.metadata["load"] for result in results if "load" in result.metadata})
    load = f", at load averages from {loads[0]} to {loads[-1]}" if loads else ""
    return (
        "## The targets, on every Python\n\n"
        "Of several cases (numbers of parameters, places) the worst is given. What is beyond its "
        f"target is bold.\n\n{target_table(results)}\n"
        f"{_chart('targets', charts)}Measured on {'; '.join(machines)}{load}.\n"
    )


def _by_python(results: Sequence[Result]) -> str:
    measured = [result for result in results if "4 by call" in result.of_group("calls")]
    if not measured:
        return ""
    return (
        "What each of four parameters adds to a call, in nanoseconds:\n\n"
        f"{parameter_table(measured)}"
    )


def _groups(result: Result, charts: Mapping[str, str]) -> Iterator[str]:
    for name in GROUPS:
        group = load_group(name)
        if not result.of_group(name):
            continue
        left_out = result.left_out(name)
        yield (
            f"## {group.title}\n\n{group.words}\n\n{_chart(name, charts)}"
            f"{group_table(group, result)}\n{machine_line(result)}."
            + (f" Left out: {left_out}." if left_out else "")
            + "\n"
        )


def _chart(name: str, charts: Mapping[str, str]) -> str:
    return f"![{name}]({charts[name]})\n\n" if name in charts else ""
