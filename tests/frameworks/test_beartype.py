"""beartype outside the merge, inside it, and on the method."""

import inspect
from collections.abc import AsyncGenerator, Generator

import checked_layers
import pytest
from checked_layers import KINDS, RIGHT, attempt, outcomes, unchecked_constructor

from mergeparam import MERGED, mergeable, unset_params

pytest.importorskip("beartype", reason="beartype is not installed")
from beartype import beartype
from beartype.roar import BeartypeCallHintParamViolation

kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
orders = pytest.mark.parametrize("order", ["outside", "inside", "on_method"])


def refused(name="flag"):
    return pytest.raises(BeartypeCallHintParamViolation, match=f"{name}=")


@kinds
@orders
def test_merge(make, order, inject):
    """The merge happens, callers see it, and `MERGED` is not taken for a wrong default."""
    layer = make(**{order: beartype})
    expected = "(self, x: int, *, flag: bool | None = None) -> tuple"

    assert RIGHT == outcomes(layer)
    assert expected == str(inspect.signature(layer.__call__))
    assert ("flag",) == unset_params(layer())


@kinds
@orders
def test_wrong_type_in_the_call(make, order, inject):
    """What the call gives is checked."""
    layer = make(**{order: beartype})

    with refused():
        layer()(1, flag="yes")


@kinds
@pytest.mark.parametrize("order", ["outside", "inside"])
def test_wrong_type_in_the_constructor(make, order, inject):
    """What the constructor gets is checked by the constructor."""
    layer = make(**{order: beartype})

    with refused():
        layer("yes")


@kinds
@orders
@pytest.mark.parametrize("options", [{}, {"inject": "wrap"}, {"provide": True}])
def test_none_is_unset(make, order, options):
    """A call that gives `None` has given nothing, though the method's parameter is a `bool`."""
    layer = make(**{order: beartype}, **options)

    assert (1, True) == layer(True)(1, flag=None)
    assert "MissingParamError" == attempt(layer(), 1, flag=None)


@pytest.mark.parametrize("order", ["inside", "on_method"])
@pytest.mark.parametrize("options", [{}, {"inject": "wrap"}, {"provide": True}])
def test_merged_value(order, options):
    """The merge comes before the check inside it, so that the merged value is checked."""
    layer = unchecked_constructor(**{order: beartype}, **options)

    assert (1, True) == layer(True)(1)
    with refused():
        layer("yes")(1)


@pytest.mark.parametrize("order", ["inside", "on_method"])
def test_spliced_inside(order):
    """Spliced on demand, the merge comes behind the check, which sees what the call gave.

    It refuses `None` for a `bool`, and the value from the constructor is the constructor's to
    check.
    """
    layer = unchecked_constructor(**{order: beartype}, inject="inline")

    assert (1, "yes") == layer("yes")(1)
    with refused():
        layer(True)(1, flag=None)


@pytest.mark.parametrize("order", ["inside", "on_method"])
def test_spliced_outside_what_checks_nothing(order):
    """Where beartype has nothing to check, it leaves no wrapper, and the merge is spliced."""

    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            return flag

    if order == "on_method":
        Layer.__call__ = beartype(Layer.__call__)
    layer = mergeable("flag")(beartype(Layer))

    assert ["inline"] == [method.injection for method in layer.__mergeable__.methods]
    assert 1 == layer()(flag=1)


def test_outside_the_merged_value_is_not_seen(inject):
    """From outside, beartype checks what the call gave, as with a merge written by hand."""
    layer = unchecked_constructor(outside=beartype)

    assert (1, "yes") == layer("yes")(1)


@pytest.mark.parametrize("order", ["outside", "on_method"])
def test_annotations_that_are_texts(order, inject):
    """Names in texts mean what they mean in the module of the class."""
    layer = checked_layers.texts(**{order: beartype})
    size = checked_layers.Size(1)

    assert (size, True) == layer(True)(size)
    for x, flag, name in ((1, True, "x"), (size, "yes", "flag")):
        with refused(name):
            layer()(x, flag=flag)


def test_text_that_names_a_generator(inject):
    """What a generator returns is looked up while the class is being defined."""

    @beartype
    @mergeable("flag", method="stream")
    class Layer:
        flag = None

        def stream(self, x: "int", *, flag: "bool" = MERGED) -> "Generator[tuple, None, None]":
            yield x, flag

    assert [(1, True)] == list(Layer().stream(1, flag=True))
    with refused():
        next(Layer().stream(1, flag="yes"))


@pytest.mark.parametrize("place", ["outside", "inside", "both"])
@pytest.mark.parametrize("method", ["generator", "coroutine", "async_generator"])
def test_other_kinds_of_method(place, method, inject):
    """A merge runs when the body would, and the check is still there."""
    outside = checked_layers.same if place == "inside" else beartype
    inside = checked_layers.same if place == "outside" else beartype

    @outside
    @mergeable("flag", method=method)
    @inside
    class Layer:
        def __init__(self, flag: bool | None = None):
            self.flag = flag

        def generator(self, x: int, *, flag: bool = MERGED) -> Generator[tuple, None, None]:
            yield x, flag

        async def coroutine(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

        async def async_generator(
            self, x: int, *, flag: bool = MERGED
        ) -> AsyncGenerator[tuple, None]:
            yield x, flag

    def call(held, **given):
        return attempt(getattr(Layer(held), method), 1, **given)

    found = [call(True), call(None, flag=True), call(None), call(True, flag=False)]

    assert RIGHT == found
    with refused():
        call(None, flag="yes")


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_super(place, inject):
    """A checked subclass hands the merged value on to a checked base."""
    base = KINDS["plain"](**{place: beartype})

    @mergeable("flag")
    @beartype
    class Doubled(base):
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return super().__call__(2 * x, flag=flag)

    expected = [(2, True), (2, True), *RIGHT[2:]]

    assert expected == outcomes(Doubled)


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_method_of_a_checked_base(inject):
    """A subclass may merge what a base has checked; the base stays as it is."""

    class Base:
        @beartype
        def __call__(self, x: int, *, flag: bool | None = None) -> tuple:
            return x, flag

    @mergeable("flag", inject=inject)
    class Layer(Base):
        def __init__(self, flag: bool | None = None):
            self.flag = flag

    assert RIGHT == outcomes(Layer)
    assert (1, None) == Base()(1)
    with refused():
        Layer()(1, flag="yes")
