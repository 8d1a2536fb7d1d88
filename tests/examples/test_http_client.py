"""The example of an HTTP client runs as its docstring says, without a network."""

import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("httpx", reason="httpx is not installed")

SCRIPT = pathlib.Path(__file__).parents[2] / "examples" / "http_client.py"


def test_what_the_server_sees():
    """The call overrules the client, which comes before what is provided and the default."""
    command = [sys.executable, str(SCRIPT)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    replies = [eval(line) for line in re.findall(r"^  ({.*})$", printed, flags=re.MULTILINE)]
    seen = [(reply["timeout"], reply["token"], reply["tenant"]) for reply in replies]

    assert [
        (5.0, "t0k3n", "north"),
        (60.0, None, "north"),
        (6.0, "t0k3n", "north"),
        (60.0, "t0k3n", "north"),
        (1.0, "t0k3n", "north"),
        (1.0, None, "north"),
        (2.0, None, "south"),
    ] == seen
    assert "[Unset('', Client, ('tenant',))]" in printed
    assert "Client.get(): 'tenant' is set in neither place" in printed
    assert "Client.get(): 'tenant' is set in both places" in printed
