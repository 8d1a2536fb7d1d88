"""typeguard inside the merge, where it belongs, and outside, where it loses the merge."""

import inspect
import linecache
from collections.abc import AsyncGenerator, Generator

import checked_layers
import pytest
from checked_layers import KINDS, RIGHT, attempt, outcomes, unchecked_constructor

from mergeparam import MERGED, MergeDefinitionError, mergeable, merged_params, unset_params

pytest.importorskip("typeguard", reason="typeguard is not installed")
import typeguard
from typeguard import TypeCheckError, typechecked

kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
orders = pytest.mark.parametrize("order", ["inside", "on_method"])


def refused():
    return pytest.raises(TypeCheckError, match='"flag"')


@kinds
@orders
def test_merge(make, order, inject):
    """The merge happens, callers see it, and `MERGED` is not taken for a wrong default."""
    layer = make(**{order: typechecked})
    expected = "(self, x: int, *, flag: bool | None = None) -> tuple"

    assert RIGHT == outcomes(layer)
    assert expected == str(inspect.signature(layer.__call__))
    assert ("flag",) == unset_params(layer())


@kinds
@orders
def test_none_is_unset(make, order, inject):
    """A call that gives `None` has given nothing, though the method's parameter is a `bool`."""
    layer = make(**{order: typechecked})

    assert (1, True) == layer(True)(1, flag=None)
    assert "MissingParamError" == attempt(layer(), 1, flag=None)


@orders
def test_wrong_types(order, inject):
    """The merged value is checked, wherever it comes from."""
    layer = unchecked_constructor(**{order: typechecked})

    with refused():
        layer()(1, flag="yes")
    with refused():
        layer("yes")(1)


@pytest.mark.parametrize("method", ["generator", "coroutine", "async_generator"])
def test_other_kinds_of_method(method, inject):
    """A merge runs when the body would, before the check."""

    @mergeable("flag", method=method)
    @typechecked
    class Layer:
        def __init__(self, flag=None):
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
    for held, given in ((None, {"flag": "yes"}), ("yes", {})):
        with refused():
            call(held, **given)


def test_super(inject):
    """A checked subclass hands the merged value on to a checked base."""
    base = KINDS["plain"](inside=typechecked)

    @mergeable("flag")
    @typechecked
    class Doubled(base):
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return super().__call__(2 * x, flag=flag)

    expected = [(2, True), (2, True), *RIGHT[2:]]

    assert expected == outcomes(Doubled)


def above():
    @typechecked
    @mergeable("flag")
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...


def above_with_others_between():
    @typeguard.typechecked(debug_instrumentation=False)
    @checked_layers.same
    @mergeable(
        "flag",
    )
    @checked_layers.same
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...


def above_by_another_name():
    lenient = typechecked(debug_instrumentation=False)

    @lenient
    @mergeable
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...


@pytest.mark.parametrize("define", [above, above_with_others_between, above_by_another_name])
def test_above(define, inject):
    """On top of `@mergeable` it would lose the merge, or check nothing, so it is refused."""
    with pytest.raises(MergeDefinitionError, match="Put @mergeable on top"):
        define()


def test_others_above(inject):
    """Other decorators above are let through, whatever expression they are."""

    @(lambda cls: cls)
    @checked_layers.same
    @[checked_layers.same][0]
    @mergeable
    @typechecked
    class Layer:
        flag = None

        def __call__(self, *, flag: bool = MERGED):
            return flag

    assert Layer()(flag=True)
    with refused():
        Layer()(flag="yes")


@kinds
def test_above_every_kind_of_class(make, inject):
    """The decorator is known by what it is."""
    with pytest.raises(MergeDefinitionError, match="Put @mergeable on top"):
        make(outside=typechecked)


@pytest.mark.parametrize("source", [[], ["%matplotlib inline\n"]])
def test_where_the_source_cannot_be_read(source, monkeypatch):
    """Then typeguard could not compile it either, and the class is merged as ever."""
    monkeypatch.setitem(linecache.cache, "<elsewhere>", (1, None, source, "<elsewhere>"))
    lines = ["@mergeable", "class Layer:", " flag = None", " def __call__(self, flag=MERGED): ..."]
    namespace = {"mergeable": mergeable, "MERGED": MERGED, "typechecked": typechecked}
    exec(compile("\n".join(lines), "<elsewhere>", "exec"), namespace)

    assert "MissingParamError" == attempt(namespace["Layer"]())


def test_applied_to_a_spliced_class():
    """It compiles the methods anew from their source, where no merge is.

    A `bool` that is missing is then refused as a wrong type; nothing refuses a conflict.
    """
    layer = typechecked(unchecked_constructor(inject="inline"))

    assert () == merged_params(layer)
    assert (1, False) == layer(True)(1, flag=False)
    for held in (True, None):
        with refused():
            layer(held)(1)


def test_applied_to_a_wrapped_class():
    """It passes over methods that have a wrapper, so that they merge and are not checked."""
    layer = typechecked(unchecked_constructor(inject="wrap"))

    assert RIGHT == outcomes(layer)
    assert (1, "yes") == layer()(1, flag="yes")
