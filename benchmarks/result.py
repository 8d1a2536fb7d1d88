"""The files of what was measured: one for each Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from benchmarks.plan import SEPARATOR
from mergeparam._cli.pyperf_file import read_samples, write_samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mergeparam._cli.sampling import Samples

SUFFIX = ".json.gz"
"""Of the files in a folder of results: pyperf reads and writes them packed, too."""


@attrs.frozen
class Result:
    """What was measured on one Python."""

    samples: Mapping[str, Samples]

    @property
    def metadata(self) -> Mapping[str, str]:
        """Where the first of the samples was measured."""
        return next(iter(self.samples.values())).metadata

    @property
    def python(self) -> str:
        """The Python, as the tables name it."""
        return f"{_name(self.metadata)} {self.metadata['python_version']}"

    @property
    def machine(self) -> str:
        """The machine, as the tables name it."""
        data = self.metadata
        return f"{data['cpu_model_name']}, {data['cpu_count']} cores, {data['platform']}"

    def of_group(self, group: str) -> dict[str, dict[str, Samples]]:
        """Return the samples of a group: for each comparison those of its ways."""
        found: dict[str, dict[str, Samples]] = {}
        for name, item in self.samples.items():
            of, comparison, way = name.split(SEPARATOR)
            if of == group:
                found.setdefault(comparison, {})[way] = item
        return found

    def left_out(self, group: str) -> str:
        """Return what could not be compared in a group, and why."""
        of_group = self.of_group(group).values()
        texts = {item.metadata.get("left_out", "") for ways in of_group for item in ways.values()}
        return "; ".join(filter(None, texts))


def file_name(metadata: Mapping[str, str]) -> str:
    """Return the name of the file for a Python."""
    version = ".".join(metadata["python_version"].split(".")[:2])
    return f"{metadata['python_implementation']}-{version}{SUFFIX}"


def write_result(path: Path, samples: Iterable[Samples], metadata: Mapping[str, str]) -> None:
    """Write what was measured; groups that were not measured now are kept."""
    new = {
        item.name: attrs.evolve(item, metadata={**metadata, **item.metadata}) for item in samples
    }
    groups = {name.split(SEPARATOR)[0] for name in new}
    old = read_samples(path) if path.exists() else {}
    kept = [item for name, item in old.items() if name.split(SEPARATOR)[0] not in groups]
    write_samples(path, [*kept, *new.values()], {})


def read_results(folder: Path) -> list[Result]:
    """Return the results in a folder, the oldest Python first."""
    results = [Result(read_samples(path)) for path in folder.glob(f"*{SUFFIX}")]
    return sorted(results, key=lambda result: _version(result.metadata["python_version"]))


def widest(results: Iterable[Result]) -> Result:
    """Return the result with which most was compared."""
    return max(results, key=lambda result: len(result.samples))


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _name(metadata: Mapping[str, str]) -> str:
    return metadata["python_implementation"].replace("cpython", "CPython")
