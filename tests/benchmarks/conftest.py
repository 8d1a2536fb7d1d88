"""The benchmarks are a package beside the tests, and no part of what is installed."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT))


@pytest.fixture(autouse=True)
def _only_this_tree(monkeypatch):
    """Let the processes that measure find what is tested, and not the folders of tests."""
    paths = [path for path in sys.path if path and ROOT / "tests" not in Path(path, "x").parents]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
