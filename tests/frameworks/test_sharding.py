"""JAX on eight devices of one host: a merged model whose data and weights are spread over them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("sharded_model.py")
DEVICES = 8
QUICKLY_COMPILED = "--xla_backend_optimization_level=0"
MODES = ["jit", "jit with shardings", "grad", "shard_map"]


@pytest.fixture(scope="module", params=["inline", "wrap"])
def report(request):
    """Run the model in a process that has eight devices, and return what it reports."""
    pytest.importorskip("jax", reason="jax is not installed")
    environment = os.environ | {
        "MERGEPARAM_INJECT": request.param,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES} {QUICKLY_COMPILED}",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("side", ["attribute", "call"])
@pytest.mark.parametrize("mode", MODES)
def test_lowered_as_by_hand(report, mode, side):
    """What is compiled for the devices is the program of the merge by hand, to the letter."""
    assert report[mode][side]["same program"]


@pytest.mark.parametrize("side", ["attribute", "call"])
@pytest.mark.parametrize("mode", MODES)
def test_same_as_on_one_device(report, mode, side):
    """Results and gradients, on eight devices, are those of the model by hand on one."""
    assert report[mode][side]["same results"]
    assert [DEVICES] == report[mode][side]["devices"]


def test_a_spread_array_passes_untouched(report):
    """From either side, the body gets the very array."""
    assert DEVICES == report["devices"]
    assert [True, True] == report["the very array"]


def test_errors(report):
    """Neither and both are the errors that they are on one device."""
    expected = ["ConflictingParamError", "MissingParamError", "ConflictingParamError"]

    assert expected == report["errors"]
