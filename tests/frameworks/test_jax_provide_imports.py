"""When JAX is imported, and which one: what becomes of scopes."""

import subprocess
import sys

import pytest

pytest.importorskip("jax", reason="jax is not installed")

SCALE = """
import sys
from mergeparam import MERGED, MergeError, Param, mergeable, provide

@mergeable("gain")
class Scale:
    gain = None
    def __call__(self, x, *, gain=MERGED):
        return x * gain

@mergeable(Param("gain", default=10.0))
class Tenfold(Scale):
    def __call__(self, x, *, gain=MERGED):
        return x * gain

def attempt(call, *args):
    try:
        return call(*args)
    except MergeError as error:
        return str(error)
"""
INSIDE_A_SCOPE = """
with provide(gain=2.0):
    import jax
    call = jax.jit(Scale())
    print(Scale()(3.0))
    print("before JAX was imported" in attempt(call, 3.0))
    with provide(gain=5.0):
        print(call(3.0))
    print("before JAX was imported" in attempt(call, 3.0))
with provide(gain=7.0):
    print(call(3.0))
"""
NEVER = """
with provide(gain=2.0):
    print(Scale()(3.0), "jax" in sys.modules)
"""
WITHOUT_USER_CONTEXTS = """
older = provide(gain=2.0)
older.__enter__()
import jax

del jax.make_user_context
call = jax.jit(Tenfold())
print(Tenfold()(3.0), jax.vmap(Tenfold())(jax.numpy.ones(1)))
print(attempt(call, 3.0).partition(", which")[0])
print(attempt(provide(gain=5.0).__enter__).partition(", which")[0])
print(Tenfold()(3.0))
older.__exit__(None, None, None)
print(call(3.0), Scale()(3.0, gain=1.0))
"""
NEEDS = "provide(gain={}) needs jax.make_user_context"
SUSPENDED_AT_THE_END = """
import jax

def generator():
    with provide(gain=2.0):
        yield jax.jit(Scale())(3.0)

suspended = generator()
print(next(suspended))
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (INSIDE_A_SCOPE, ["6.0", "True", "15.0", "True", "21.0"]),
        (NEVER, ["6.0 False"]),
        (
            WITHOUT_USER_CONTEXTS,
            ["6.0 [2.]", NEEDS.format("2.0"), NEEDS.format("5.0"), "6.0", "30.0 3.0"],
        ),
        (SUSPENDED_AT_THE_END, ["6.0"]),
    ],
    ids=["inside a scope", "never", "without user contexts", "suspended at the end"],
)
def test_imports(script, expected):
    """JAX has not heard of a scope that is older than it; those inside are as ever.

    Nobody imports JAX for a scope. Under a JAX without user contexts, `provide` is refused, and
    nothing else. A scope that is open in a suspended generator does no harm when Python ends.
    """
    command = [sys.executable, "-c", SCALE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (expected, "") == (done.stdout.splitlines(), done.stderr)
