"""Plain JAX: merged objects and `UNSET` under its transformations."""

import dataclasses
import subprocess
import sys

import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
adapter = pytest.importorskip("mergeparam._frameworks.jax")


@pytest.fixture
def scale():
    """Return a merged dataclass that is a pytree."""

    @mergeable(Param("mask", unset=UNSET))
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Scale:
        weight: object
        mask: object = UNSET

        def __call__(self, x, *, mask=MERGED):
            return x * self.weight if mask is None else x * mask

    return Scale


def test_unset_is_a_static_node(scale):
    """`UNSET` adds no leaf, and comes out of a pytree as itself."""
    leaves, structure = jax.tree.flatten(scale(2.0))

    assert [2.0] == leaves
    assert UNSET is jax.tree.unflatten(structure, leaves).mask


def test_unset_passes_jit(scale):
    """An object that holds `UNSET` is an argument of a jitted function."""
    call = jax.jit(lambda layer, x, mask: layer(x, mask=mask))

    assert 6.0 == call(scale(2.0), 3.0, None)
    assert 12.0 == call(scale(2.0), 3.0, 4.0)
    with pytest.raises(ConflictingParamError):
        call(scale(2.0, mask=1.0), 3.0, 4.0)


@pytest.mark.parametrize("inject", ["inline", "wrap"])
def test_tracers_pass_untouched(inject):
    """A tracer is set, and nobody asks for its truth."""

    @mergeable("gain", inject=inject)
    class Layer:
        def __init__(self, gain=None):
            self.gain = gain

        def __call__(self, x, *, gain=MERGED):
            return x * gain

    assert 6.0 == jax.jit(lambda x, g: Layer()(x, gain=g))(2.0, 3.0)
    assert 6.0 == jax.jit(lambda x, g: Layer(g)(x))(2.0, 3.0)
    with pytest.raises(ConflictingParamError, match="Tracer"):
        jax.jit(lambda x, g: Layer(g)(x, gain=g))(2.0, 3.0)
    with pytest.raises(MissingParamError):
        jax.jit(lambda x: Layer()(x))(2.0)


def test_tracers_that_cannot_be_compared():
    """Under `raise_if_different`, tracers that are not the same object are different."""

    @mergeable(Param("gain", on_conflict="raise_if_different"))
    class Layer:
        def __init__(self, gain=None):
            self.gain = gain

        def __call__(self, x, *, gain=MERGED):
            return x * gain

    assert 6.0 == jax.jit(lambda x, g: Layer(g)(x, gain=g))(2.0, 3.0)
    with pytest.raises(ConflictingParamError):
        jax.jit(lambda x, g: Layer(g)(x, gain=g + 0))(2.0, 3.0)


def run(script):
    """Run a script in a fresh Python and return what it prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


LAYER = """
import dataclasses
from mergeparam import MERGED, UNSET, Param, UnsetType, find_unset, mergeable

@mergeable(Param("mask", unset=UNSET))
@dataclasses.dataclass
class Layer:
    mask: object = UNSET

    def __call__(self, x, *, mask=MERGED):
        return x if mask is None else x * mask
"""

CALL = """
import jax

jax.tree_util.register_dataclass(Layer, data_fields=["mask"], meta_fields=[])
call = jax.jit(lambda layer, x: layer(x, mask=None))
"""


def test_jax_is_imported_after_the_last_decorator():
    """JAX refuses `UNSET` by name, until the next `@mergeable` or `find_unset`."""
    script = f"""{LAYER}{CALL}
try:
    call(Layer(), 2.0)
except TypeError as error:
    print("UnsetType" in str(error))
find_unset(Layer())
print(float(call(Layer(), 2.0)))
"""

    assert ["True", "2.0"] == run(script)


def test_users_have_registered_unset_themselves():
    """`UNSET` may be a node already."""
    script = f"""
import jax
from mergeparam import UnsetType

jax.tree_util.register_static(UnsetType)
{LAYER}{CALL}
print(float(call(Layer(), 2.0)))
"""

    assert ["2.0"] == run(script)


def test_jax_is_not_imported():
    """A decorated class does not import JAX."""
    script = f"{LAYER}\nimport sys\nfind_unset(Layer())\nprint('jax' in sys.modules)"

    assert ["False"] == run(script)


def test_somebody_else_has_registered_the_sentinel():
    """What JAX knows already is not registered once more, which JAX would refuse."""
    again = type(adapter.ADAPTER)()

    assert [] == jax.tree_util.tree_leaves(UNSET)
    assert [] == [*again.children(UNSET)]
