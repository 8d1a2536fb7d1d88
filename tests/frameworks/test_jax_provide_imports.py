"""When JAX is imported, and which one: what becomes of scopes."""

import subprocess
import sys

import pytest

pytest.importorskip("jax", reason="jax is not installed")


def run(script):
    """Run a script in a fresh Python and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", SCALE + script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


SCALE = """
from mergeparam import MERGED, MergeError, mergeable, provide

@mergeable("gain")
class Scale:
    gain = None
    def __call__(self, x, *, gain=MERGED):
        return x * gain
"""


def test_jax_is_imported_inside_the_scope():
    """JAX has not heard of a scope that is older than it; those inside are as ever."""
    script = """
with provide(gain=2.0):
    import jax
    call = jax.jit(Scale())
    print(Scale()(3.0))
    try:
        call(3.0)
    except MergeError as error:
        print("before JAX was imported" in str(error))
    with provide(gain=5.0):
        print(call(3.0))
    try:
        call(3.0)
    except MergeError as error:
        print("before JAX was imported" in str(error))
with provide(gain=7.0):
    print(call(3.0))
"""

    assert ["6.0", "True", "15.0", "True", "21.0"] == run(script)


def test_jax_is_not_imported():
    """Nobody imports JAX for a scope."""
    script = """
import sys
with provide(gain=2.0):
    print(Scale()(3.0), "jax" in sys.modules)
"""

    assert ["6.0 False"] == run(script)


def test_import_of_a_jax_without_user_contexts():
    """`provide` is refused then, and nothing else."""
    script = """
from mergeparam import Param

@mergeable(Param("gain", default=10.0))
class Tenfold(Scale):
    def __call__(self, x, *, gain=MERGED):
        return x * gain

older = provide(gain=2.0)
older.__enter__()
import jax

del jax.make_user_context
call = jax.jit(Tenfold())
print(Tenfold()(3.0), jax.vmap(Tenfold())(jax.numpy.ones(1)))
for attempt in (lambda: call(3.0), lambda: provide(gain=5.0).__enter__()):
    try:
        attempt()
    except MergeError as error:
        print(str(error).partition(", which")[0])
print(Tenfold()(3.0))
older.__exit__(None, None, None)
print(call(3.0), Scale()(3.0, gain=1.0))
"""

    assert [
        "6.0 [2.]",
        "provide(gain=2.0) needs jax.make_user_context",
        "provide(gain=5.0) needs jax.make_user_context",
        "6.0",
        "30.0 3.0",
    ] == run(script)


def test_end_of_the_process():
    """A scope that is open in a suspended generator does no harm when Python ends."""
    script = """
import jax

def generator():
    with provide(gain=2.0):
        yield jax.jit(Scale())(3.0)

suspended = generator()
print(next(suspended))
"""
    command = [sys.executable, "-c", SCALE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ("6.0\n", "") == (done.stdout, done.stderr)
