"""The files of what was measured: one for each Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import attrs
import pyperf

from benchmarks.plan import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SUFFIX = ".json.gz"  # pyperf reads and writes packed files, too

Ways: TypeAlias = "dict[str, pyperf.Benchmark]"


@attrs.frozen
class Result:
    """What was measured on one Python, by its names."""

    benchmarks: Mapping[str, pyperf.Benchmark]

    @property
    def metadata(self) -> Mapping[str, str]:
        """Where the first of the benchmarks was measured."""
        return next(iter(self.benchmarks.values())).get_metadata()  # type: ignore[no-any-return]  # of pyperf

    @property
    def python(self) -> str:
        """The Python, as the tables name it."""
        name = self.metadata["python_implementation"].replace("cpython", "CPython")
        return f"{name} {self.metadata['python_version']}"

    @property
    def place(self) -> str:
        """The Python and the machine, as the tables name them."""
        data = {"cpu_model_name": "an unnamed processor", "cpu_count": "?", **self.metadata}
        machine = "{cpu_model_name}, {cpu_count} cores, {platform}".format_map(data)
        return f"{self.python} on {machine}"

    def of_group(self, group: str) -> dict[str, Ways]:
        """Return the benchmarks of a group: for each comparison those of its ways."""
        found: dict[str, Ways] = {}
        for name, item in self.benchmarks.items():
            of, comparison, way = name.split(SEPARATOR)
            if of == group:
                found.setdefault(comparison, {})[way] = item
        return found


def write_result(folder: Path, new: list[pyperf.Benchmark], metadata: Mapping[str, str]) -> Path:
    """Write what was measured on a Python; groups that were not measured now are kept."""
    version = ".".join(metadata["python_version"].split(".")[:2])
    path = folder / f"{metadata['python_implementation']}-{version}{SUFFIX}"
    groups = {item.get_name().split(SEPARATOR)[0] for item in new}
    for item in new:
        item.update_metadata(metadata)
    old = pyperf.BenchmarkSuite.load(str(path)) if path.exists() else ()
    kept = [item for item in old if item.get_name().split(SEPARATOR)[0] not in groups]
    pyperf.BenchmarkSuite([*kept, *new]).dump(str(path), replace=True)
    return path


def read_results(folder: Path) -> list[Result]:
    """Return the results in a folder, the oldest Python first."""
    suites = [pyperf.BenchmarkSuite.load(str(path)) for path in folder.glob(f"*{SUFFIX}")]
    results = [Result({item.get_name(): item for item in suite}) for suite in suites]
    return sorted(results, key=lambda result: [*map(int, re.findall(r"\d+", result.python))])


def widest(results: Iterable[Result]) -> Result:
    """Return the result with which most was compared."""
    return max(results, key=lambda result: len(result.benchmarks))
