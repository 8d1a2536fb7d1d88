"""Have groups measured in processes of their own, and put together what these say."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.plan import SEPARATOR, Effort, load_group
from mergeparam._cli.sampling import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]


class MeasurementError(Exception):
    """A process that measures has failed; the text is what it said."""


@attrs.define
class Collected:
    """What has been measured so far."""

    samples: dict[str, Samples] = attrs.field(factory=dict)
    left_out: dict[str, dict[str, str]] = attrs.field(factory=dict)
    """For each group the packages that could not be had, and why."""

    def add(self, group: str, line: Mapping[str, Any]) -> None:
        """Take up what a process has said."""
        self.left_out.setdefault(group, {}).update(line.get("left_out", {}))
        for item in line.get("samples", []):
            name = SEPARATOR.join((group, line["comparison"], item["name"]))
            runs = tuple(map(tuple, item["runs"]))
            before = self.samples.get(name)
            self.samples[name] = Samples(
                name,
                runs if before is None else before.runs + runs,
                item["unit"],
                item["loops"] if before is None else before.loops,
            )

    def described(self) -> list[Samples]:
        """Return the samples, each with what was left out beside it."""
        return [
            attrs.evolve(item, metadata={"left_out": text}) if text else item
            for name, item in self.samples.items()
            for text in [self._left_out(name.split(SEPARATOR)[0])]
        ]

    def _left_out(self, group: str) -> str:
        return "; ".join(
            f"{package} ({reason})" for package, reason in self.left_out[group].items()
        )


def rounds(groups: Sequence[str], effort: Effort) -> list[str]:
    """Return the group of every process, in turns, so that a group is measured all along."""
    return [
        group
        for number in range(effort.processes)
        for group in groups
        if number < load_group(group).effort(effort).processes
    ]


def measure(groups: Sequence[str], effort: Effort, tell: Callable[[int, str], None]) -> Collected:
    """Measure the groups; `tell` hears how many processes are done, and what comes next."""
    collected = Collected()
    for number, group in enumerate(rounds(groups, effort)):
        tell(number, group)
        for line in _lines(group, load_group(group).effort(effort)):
            collected.add(group, line)
            tell(number, f"{group}: {line.get('comparison', '')}")
    return collected


def _lines(group: str, effort: Effort) -> Iterator[Mapping[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.worker", group, json.dumps(attrs.asdict(effort))]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(  # noqa: S603 - ourselves
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        ) as process,
    ):
        for line in process.stdout or ():
            yield json.loads(line)
        if process.wait() != 0:
            errors.seek(0)
            msg = f"measuring {group} has failed:\n{errors.read()}"
            raise MeasurementError(msg)
