"""jaxtyping on the method and on the class, with beartype as its checker."""

import inspect

import checked_layers
import pytest
from checked_layers import KINDS, RIGHT, attempt, outcomes, unchecked_constructor

from mergeparam import MERGED, mergeable, unset_params

pytest.importorskip("jaxtyping", reason="jaxtyping is not installed")
pytest.importorskip("beartype", reason="beartype is not installed")
pytest.importorskip("numpy", reason="numpy is not installed")
import numpy as np
from beartype import beartype
from jaxtyping import Float, TypeCheckError, jaxtyped

Row = Float[np.ndarray, " n"]
checked = jaxtyped(typechecker=beartype)
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def refused(name="flag"):
    return pytest.raises(TypeCheckError, match=f"(?s)parameters of .*{name}")


@kinds
@pytest.mark.parametrize("order", ["outside", "inside", "on_method"])
def test_merge(make, order, inject):
    """The merge happens, callers see it, and `MERGED` is not taken for a wrong default."""
    layer = make(**{order: checked})
    expected = "(self, x: int, *, flag: bool | None = None) -> tuple"

    assert RIGHT == outcomes(layer)
    assert expected == str(inspect.signature(layer.__call__))
    assert ("flag",) == unset_params(layer())


@kinds
def test_method(make, inject):
    """What the call gives is checked."""
    layer = make(on_method=checked)

    with refused():
        layer()(1, flag="yes")


@pytest.mark.parametrize("order", ["outside", "inside"])
def test_class(order, inject):
    """On a class, jaxtyping checks the constructor of a dataclass, and no method."""
    layer = KINDS["dataclass"](**{order: checked})

    assert (1, "yes") == layer()(1, flag="yes")
    with refused():
        layer("yes")


@pytest.mark.parametrize("options", [{}, {"inject": "wrap"}, {"provide": True}])
def test_merged_value(options):
    """The merge comes before the check: `None` is unset, and the merged value is checked."""
    layer = unchecked_constructor(on_method=checked, **options)

    assert (1, True) == layer(True)(1, flag=None)
    assert "MissingParamError" == attempt(layer(), 1, flag=None)
    with refused():
        layer("yes")(1)


def test_spliced_inside():
    """Spliced on demand, the merge comes behind the check, which sees what the call gave.

    It refuses `None` for a `bool`, and the value from the constructor is the constructor's to
    check.
    """
    layer = unchecked_constructor(on_method=checked, inject="inline")

    assert (1, "yes") == layer("yes")(1)
    with refused():
        layer(True)(1, flag=None)


def test_applied_to_a_merged_method(inject):
    """From outside, jaxtyping sees the merged signature."""
    layer = unchecked_constructor()
    layer.__call__ = checked(layer.__call__)

    assert RIGHT == outcomes(layer)
    assert (1, True) == layer(True)(1, flag=None)
    with refused():
        layer()(1, flag="yes")


def test_annotations_that_are_texts(inject):
    """Names in texts mean what they mean in the module of the class; else nothing is checked."""
    layer = checked_layers.texts()
    layer.__call__ = checked(layer.__call__)
    size = checked_layers.Size(1)

    assert (size, True) == layer(True)(size)
    with refused("x"):
        layer(True)(1)


def masked(inject):
    """Return a merged class whose mask is as long as its input."""

    @mergeable("mask", inject=inject)
    class Masked:
        def __init__(self, mask=None):
            self.mask = mask

        @checked
        def __call__(self, x: Row, *, mask: Row = MERGED):
            return x * mask

    return Masked


@pytest.mark.parametrize("inject", ["inline", "wrap"])
def test_shapes_in_the_call(inject):
    """Arrays pass the merge untouched, and shapes that do not fit are refused."""
    layer, x = masked(inject), np.ones(3)

    assert [2.0, 2.0, 2.0] == layer()(x, mask=np.full(3, 2.0)).tolist()
    assert [2.0, 2.0, 2.0] == layer(np.full(3, 2.0))(x).tolist()
    with refused("mask"):
        layer()(x, mask=np.ones(1))


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_merged_shapes(inject):
    """A mask from the constructor is checked against the input of the call."""
    layer = masked(inject)

    with refused("mask"):
        layer(np.ones(1))(np.ones(3))


def test_inside_linen():
    """Linen's interceptors see what the call gave; so does the check inside Linen's wrapper."""
    pytest.importorskip("flax.linen", reason="flax is not installed")
    from flax import linen as nn

    @mergeable("flag")
    class Layer(nn.Module):
        flag: bool | None = None

        @checked
        def __call__(self, x: int, *, flag: bool = MERGED):
            return x, flag

    seen = []

    def intercept(call, arguments, keywords, _):
        seen.append((arguments, keywords))
        return call(*arguments, **keywords)

    with nn.intercept_methods(intercept):
        found = [Layer(True).apply({}, 1), Layer().apply({}, 1, flag=True)]

    assert [(1, True), (1, True)] == found
    assert [((1,), {}), ((1,), {"flag": True})] == seen
    for given in ("yes", None):
        with refused():
            Layer(True).apply({}, 1, flag=given)
