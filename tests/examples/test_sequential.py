"""The example of a container runs as its docstring says."""

import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "sequential.py"


@pytest.fixture(scope="module")
def printed():
    """Return what the example prints."""
    return subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True
    ).stdout


def test_signatures(printed):
    """Each layer shows what it accepts now: needed, nothing, or set already."""
    lines = re.findall(r"^  (\w+) +(\(x.*?\))", printed, flags=re.MULTILINE)
    needs = [
        (name, "use_running_average" in text, "deterministic" in text) for name, text in lines
    ]

    assert [
        ("BatchNorm", True, False),
        ("Relu", False, False),
        ("Dropout", False, True),
        ("Dropout", False, False),
    ] == needs


def test_what_is_still_needed(printed):
    """The paths read like code."""
    assert "model.layers[0]: use_running_average\n" in printed
    assert "model.layers[2]: deterministic\n" in printed
    assert "layers[3]:" not in printed


def test_both_modes(printed):
    """Dropout drops while training, and only then."""
    training, evaluating = map(int, re.findall(r"(\d+)% of the outputs", printed))

    assert training > evaluating + 10


def test_error(printed):
    """A flag that is not given is named."""
    assert "BatchNorm.__call__(): 'use_running_average' is set in neither place" in printed
