"""Coverage measures the same lines and branches in a merged class, with each of its cores."""

import json
import sys

import pytest
from samples import LAYERS, METHODS

CORES = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]
BRANCHES = {core: core != "sysmon" or sys.version_info >= (3, 14) for core in CORES}
VARIANTS = ("plain", "inline", "wrap")
DRIVER = f"""
import importlib

for variant in {VARIANTS}:
    module = importlib.import_module(f"layers_{{variant}}")
    layers = [(module.Layer(), {{"flag": True}})]
    layers += layers if variant == "plain" else [(module.Layer(True), {{}})]
    for layer, given in layers:
        for method in {METHODS}:
            result = getattr(layer, method)(3, **given)
            try:
                if hasattr(result, "asend"):
                    result = result.asend(None)
                if hasattr(result, "send"):
                    result.send(None)
            except StopIteration:
                pass
"""


@pytest.mark.parametrize("core", CORES)
def test_report_is_that_of_the_undecorated_class(python, write, tmp_path, core):
    """Executed and missing lines and branches are equal, with either injection."""
    for variant in VARIANTS:
        write(LAYERS, variant)
    (tmp_path / "driver.py").write_text(DRIVER)
    branch = ["--branch"] if BRANCHES[core] else []
    python("-m", "coverage", "run", *branch, "--include=layers_*", "driver.py", COVERAGE_CORE=core)
    python("-m", "coverage", "json", "-q")
    files = json.loads((tmp_path / "coverage.json").read_text())["files"]
    plain, inline, wrap = (files[f"layers_{variant}.py"] for variant in VARIANTS)

    assert plain == inline == wrap
    assert plain["missing_lines"]
    assert BRANCHES[core] == bool(plain.get("missing_branches"))
