"""What it costs to import mergeparam."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks.plan import Comparison, Effort, Group
from mergeparam._cli.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEPENDENCIES = "attrs, typing_extensions"
BEFORE, AFTER = f"with {DEPENDENCIES}", "with mergeparam too"
WHOLE = "with every public name of it"
PROCESS = "a new process"
PYTHON, OWN = "Python alone", "mergeparam's own modules"

_OWN = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+mergeparam\b", re.MULTILINE)


def run(arguments: list[str], cache: str) -> subprocess.CompletedProcess[str]:
    """Run a new Python, whose compiled modules are in a folder of their own."""
    command = [sys.executable, "-X", f"pycache_prefix={cache}", *arguments]
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 - ourselves


def process_sampler(statement: str, cache: str) -> Sampler:
    """Return a sampler of the processor's time of a new process that runs the statement.

    It matters less to that time what else runs on the machine.
    """
    source = f"import time; {statement}; print(time.process_time())"
    return _warmed(lambda: float(run(["-c", source], cache).stdout))


def own_sampler(cache: str) -> Sampler:
    """Return a sampler of what `-X importtime` says of mergeparam's modules, without others'."""
    arguments = ["-X", "importtime", "-c", f"import {DEPENDENCIES}, mergeparam"]
    return _warmed(lambda: sum(map(int, _OWN.findall(run(arguments, cache).stderr))) / 1e6)


def _warmed(take: Callable[[], float]) -> Sampler:
    take()  # compiles the modules
    return Sampler(take)


def samplers(_: Effort) -> Mapping[str, Sampler]:
    """Return samplers of new processes, which take turns."""
    cache = _CACHES.name
    return {
        PYTHON: process_sampler("pass", cache),
        BEFORE: process_sampler(f"import {DEPENDENCIES}", cache),
        AFTER: process_sampler(f"import {DEPENDENCIES}, mergeparam", cache),
        WHOLE: process_sampler(f"import {DEPENDENCIES}; from mergeparam import *", cache),
    }


def own_samplers(_: Effort) -> Mapping[str, Sampler]:
    """Return the only sampler, whose figure stands for itself."""
    return {OWN: own_sampler(_CACHES.name)}


_CACHES = tempfile.TemporaryDirectory(prefix="mergeparam-benchmarks-")


def comparisons() -> Iterator[Comparison]:
    """Yield the processes, which are compared, and the modules."""
    yield Comparison(PROCESS, samplers)
    yield Comparison("-X importtime", own_samplers)


GROUP = Group(
    "imports",
    "Import",
    f"""\
The processor's time of new processes, by turns: Python alone, Python that imports
`{DEPENDENCIES}`, on which mergeparam depends, Python that imports
mergeparam too, and Python that imports every public name of it (`strict_partial`, `find_unset` and
others wait for their first use); and what `-X importtime` counts for mergeparam's own modules,
without those of the standard library that they import.""",
    comparisons,
    base=PYTHON,
    most={"processes": 1},
)
