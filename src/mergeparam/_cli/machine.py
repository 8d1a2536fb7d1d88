"""What was measured on, named without naming whose machine it is."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


def machine() -> dict[str, str]:
    """Return the metadata of a measurement, under pyperf's names where it has some."""
    return {
        "python_implementation": platform.python_implementation().lower(),
        "python_version": platform.python_version(),
        "python_compiler": platform.python_compiler(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_model_name": _cpu_model(),
        "cpu_count": str(os.cpu_count()),
        "mergeparam_version": version("mergeparam"),
    }


def _cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    """Return the processor's name; Linux alone tells it without running a program."""
    try:
        found = _MODEL.search(cpuinfo.read_text(encoding="utf-8"))
    except OSError:
        found = None
    return platform.machine() if found is None else found[1].strip()
