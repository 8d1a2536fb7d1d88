"""beartype, typeguard and jaxtyping: outside the merge, inside it, and on the method."""

import asyncio
import dataclasses
import inspect
import linecache
from collections.abc import AsyncGenerator, Generator

import attrs
import numpy as np
import pytest
from wrappers import logged

from mergeparam import (
    MERGED,
    MergeDefinitionError,
    MergeError,
    mergeable,
    merged_params,
    unset_params,
)

beartype = pytest.importorskip("beartype", reason="beartype is not installed").beartype
violation = pytest.importorskip("beartype.roar").BeartypeCallHintParamViolation
jaxtyping = pytest.importorskip("jaxtyping", reason="jaxtyping is not installed")
typeguard = pytest.importorskip("typeguard", reason="typeguard is not installed")

typechecked = typeguard.typechecked
jaxtyped = jaxtyping.jaxtyped(typechecker=beartype)
Row = jaxtyping.Float[np.ndarray, " n"]
ERRORS = {
    beartype: (violation, "{}="),
    typechecked: (typeguard.TypeCheckError, '"{}"'),
    jaxtyped: (jaxtyping.TypeCheckError, "(?s)parameters of .*{}"),
}
OUTSIDE = {"outside": [beartype, jaxtyped]}
INSIDE = {"inside": [beartype, typechecked, jaxtyped]}
ON_METHOD = {"on_method": [beartype, typechecked, jaxtyped]}
RIGHT = [(1, True), (1, True), "MissingParamError", "ConflictingParamError"]
SPLICED = {"inject": "inline"}
WRAPPED = [{}, {"inject": "wrap"}, {"provide": True}]


class Size(int):
    """A type that is known in this module alone."""


def same(target):
    return target


def plain(cls):
    """Give a class the constructor that a dataclass would have."""

    def __init__(self, flag: bool | None = None):
        self.flag = flag

    cls.__init__ = __init__
    return cls


def unchecked(cls):
    """Give it one that takes anything, so that only the method can refuse a value."""

    def __init__(self, flag=None):
        self.flag = flag

    cls.__init__ = __init__
    return cls


KINDS = {"plain": plain, "dataclass": dataclasses.dataclass, "attrs": attrs.frozen}


def define(kind=unchecked, outside=same, inside=same, on_method=same, **options):
    """Return a merged class, with a type checker in some place."""

    @outside
    @mergeable("flag", **options)
    @inside
    @kind
    class Layer:
        flag: bool | None = None

        @on_method
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

    return Layer


def places(*tables):
    """Return a decorator that runs a test for each checker in each of its places."""
    cases = [
        pytest.param(place, checker, id=f"{ERRORS[checker][0].__module__.split('.')[0]}-{place}")
        for table in tables
        for place, checkers in table.items()
        for checker in checkers
    ]
    return pytest.mark.parametrize(("place", "checker"), cases)


def refused(checker, name="flag"):
    error, text = ERRORS[checker]
    return pytest.raises(error, match=text.format(name))


def attempt(call, *args, **kwargs):
    """Return what a call gives first, or the name of the merge's error."""
    try:
        result = call(*args, **kwargs)
        if inspect.isgenerator(result):
            return next(result)
        if inspect.isasyncgen(result):
            return asyncio.run(anext(result))
        return asyncio.run(result) if inspect.iscoroutine(result) else result
    except MergeError as error:
        return type(error).__name__


def outcomes(cls, method="__call__"):
    """Return what the four kinds of call come to."""

    def call(held, **given):
        return attempt(getattr(cls(held), method), 1, **given)

    return [call(True), call(None, flag=True), call(None), call(True, flag=False)]


@places(OUTSIDE, INSIDE, ON_METHOD)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_merge(place, checker, kind, inject):
    """The merge happens, callers see it, and `MERGED` is not taken for a wrong default."""
    layer = define(kind, **{place: checker})
    expected = "(self, x: int, *, flag: bool | None = None) -> tuple"

    assert RIGHT == outcomes(layer)
    assert expected == str(inspect.signature(layer.__call__))
    assert ("flag",) == unset_params(layer())


@places(OUTSIDE, INSIDE, ON_METHOD)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_wrong_types(place, checker, kind, inject):
    """What the call gives is checked, and what the constructor gets if the class is.

    On a class, jaxtyping checks the constructor of a dataclass, and nothing else.
    """
    layer = define(kind, **{place: checker})
    is_jaxtyped_class = checker is jaxtyped and place != "on_method"

    if is_jaxtyped_class:
        assert (1, "yes") == layer()(1, flag="yes")
    else:
        with refused(checker):
            layer()(1, flag="yes")
    if place != "on_method" and (
        checker is beartype or (is_jaxtyped_class and kind is dataclasses.dataclass)
    ):
        with refused(checker):
            layer("yes")


@places(OUTSIDE, INSIDE, ON_METHOD)
@pytest.mark.parametrize("options", WRAPPED)
def test_none_is_unset(place, checker, options):
    """A call that gives `None` has given nothing, though the method's parameter is a `bool`."""
    layer = define(**{place: checker}, **options)

    assert (1, True) == layer(True)(1, flag=None)
    assert "MissingParamError" == attempt(layer(), 1, flag=None)


@places({"inside": [beartype, typechecked]}, ON_METHOD)
@pytest.mark.parametrize("options", WRAPPED)
def test_merged_value(place, checker, options):
    """The merge comes before the check inside it, so that the merged value is checked."""
    layer = define(**{place: checker}, **options)

    assert (1, True) == layer(True)(1)
    with refused(checker):
        layer("yes")(1)


@places({"inside": [beartype]}, {"on_method": [beartype, jaxtyped]})
def test_spliced_inside(place, checker):
    """Spliced on demand, the merge comes behind the check, which sees what the call gave.

    It refuses `None` for a `bool`, and the value from the constructor is the constructor's to
    check.
    """
    layer = define(**{place: checker}, **SPLICED)

    assert (1, "yes") == layer("yes")(1)
    with refused(checker):
        layer(True)(1, flag=None)


@places({"inside": [typechecked], "on_method": [typechecked]})
def test_spliced_before_typeguard(place, checker):
    """Typeguard's check is a part of the body, so that even then it comes behind the merge."""
    layer = define(**{place: checker}, **SPLICED)

    assert (1, True) == layer(True)(1, flag=None)
    with refused(checker):
        layer("yes")(1)


@pytest.mark.parametrize("place", ["inside", "on_method"])
def test_beartype_that_has_nothing_to_check(place):
    """Then it leaves no wrapper, and the merge is spliced."""

    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            return flag

    if place == "on_method":
        Layer.__call__ = beartype(Layer.__call__)
    layer = mergeable("flag")(beartype(Layer))

    assert ["inline"] == [method.injection for method in layer.__mergeable__.methods]
    assert 1 == layer()(flag=1)


def test_outside_the_merged_value_is_not_seen(inject):
    """From outside, beartype checks what the call gave, as with a merge written by hand."""
    layer = define(outside=beartype)

    assert (1, "yes") == layer("yes")(1)


@places({"outside": [beartype], "on_method": [beartype], "afterwards": [jaxtyped]})
def test_annotations_that_are_texts(place, checker, inject):
    """Names in texts mean what they mean in the module of the class."""

    @(checker if place == "outside" else same)
    @mergeable("flag")
    @unchecked
    class Layer:
        @(checker if place == "on_method" else same)
        def __call__(self, x: "Size", *, flag: "bool" = MERGED) -> "tuple":
            return x, flag

    if place == "afterwards":
        Layer.__call__ = checker(Layer.__call__)

    assert (Size(1), True) == Layer(True)(Size(1))
    for x, flag, name in ((1, True, "x"), (Size(1), "yes", "flag")):
        with refused(checker, name):
            Layer()(x, flag=flag)


def test_text_that_names_a_generator(inject):
    """What a generator returns is looked up while the class is being defined."""

    @beartype
    @mergeable("flag", method="stream")
    class Layer:
        flag = None

        def stream(self, x: "int", *, flag: "bool" = MERGED) -> "Generator[tuple, None, None]":
            yield x, flag

    assert [(1, True)] == list(Layer().stream(1, flag=True))
    with refused(beartype):
        next(Layer().stream(1, flag="yes"))


@places({"outside": [beartype]}, {"inside": [beartype, typechecked]}, {"both": [beartype]})
@pytest.mark.parametrize("method", ["generator", "coroutine", "async_generator"])
def test_other_kinds_of_method(place, checker, method, inject):
    """A merge runs when the body would, and the check is still there."""

    @(same if place == "inside" else checker)
    @mergeable("flag", method=method)
    @(same if place == "outside" else checker)
    @unchecked
    class Layer:
        def generator(self, x: int, *, flag: bool = MERGED) -> Generator[tuple, None, None]:
            yield x, flag

        async def coroutine(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

        async def async_generator(
            self, x: int, *, flag: bool = MERGED
        ) -> AsyncGenerator[tuple, None]:
            yield x, flag

    assert RIGHT == outcomes(Layer, method)
    with refused(checker):
        attempt(getattr(Layer(), method), 1, flag="yes")
    if checker is typechecked:
        with refused(checker):
            attempt(getattr(Layer("yes"), method), 1)


@places({"outside": [beartype]}, {"inside": [beartype, typechecked]})
def test_super(place, checker, inject):
    """A checked subclass hands the merged value on to a checked base."""
    base = define(plain, **{place: checker})

    @mergeable("flag")
    @checker
    class Doubled(base):
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return super().__call__(2 * x, flag=flag)

    assert [(2, True), (2, True), *RIGHT[2:]] == outcomes(Doubled)


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_method_of_a_checked_base(inject):
    """A subclass may merge what a base has checked; the base stays as it is."""

    class Base:
        @beartype
        def __call__(self, x: int, *, flag: bool | None = None) -> tuple:
            return x, flag

    @mergeable("flag", inject=inject)
    @unchecked
    class Layer(Base):
        pass

    assert RIGHT == outcomes(Layer)
    assert (1, None) == Base()(1)
    with refused(beartype):
        Layer()(1, flag="yes")


# typeguard above the merge, where it would lose it.


def above():
    @typechecked
    @mergeable("flag")
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...


def above_with_others_between():
    @typeguard.typechecked(debug_instrumentation=False)
    @same
    @mergeable(
        "flag",
    )
    @same
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


ABOVE = [above, above_with_others_between, above_by_another_name]


@pytest.mark.parametrize("make", [*ABOVE, *KINDS.values()])
def test_typeguard_above(make, inject):
    """On top of `@mergeable` it would lose the merge, or check nothing, so it is refused."""
    with pytest.raises(MergeDefinitionError, match="Put @mergeable on top"):
        make() if make in ABOVE else define(make, outside=typechecked)


def test_others_above(inject):
    """Other decorators above are let through, whatever expression they are."""

    @(lambda cls: cls)
    @same
    @[same][0]
    @mergeable
    @typechecked
    class Layer:
        flag = None

        def __call__(self, *, flag: bool = MERGED):
            return flag

    assert Layer()(flag=True)
    with refused(typechecked):
        Layer()(flag="yes")


@pytest.mark.parametrize("source", [[], ["%matplotlib inline\n"]])
def test_where_the_source_cannot_be_read(source, monkeypatch):
    """Then typeguard could not compile it either, and the class is merged as ever."""
    monkeypatch.setitem(linecache.cache, "<elsewhere>", (1, None, source, "<elsewhere>"))
    lines = ["@mergeable", "class Layer:", " flag = None", " def __call__(self, flag=MERGED): ..."]
    namespace = {"mergeable": mergeable, "MERGED": MERGED, "typechecked": typechecked}
    exec(compile("\n".join(lines), "<elsewhere>", "exec"), namespace)

    assert "MissingParamError" == attempt(namespace["Layer"]())


def test_typeguard_applied_afterwards(inject):
    """It compiles methods anew from their source, where no merge is, and questions say so.

    A `bool` that is missing is then refused as a wrong type; nothing refuses a conflict.
    """
    checked = typechecked(define())

    with pytest.raises(MergeDefinitionError, match="has lost the merge"):
        merged_params(checked)
    assert (1, False) == checked(True)(1, flag=False)
    for held in (True, None):
        with refused(typechecked):
            checked(held)(1)


# jaxtyping.


def test_jaxtyping_applied_to_a_merged_method(inject):
    """From outside, jaxtyping sees the merged signature."""
    layer = define()
    layer.__call__ = jaxtyped(layer.__call__)

    assert RIGHT == outcomes(layer)
    assert (1, True) == layer(True)(1, flag=None)
    with refused(jaxtyped):
        layer()(1, flag="yes")


@pytest.mark.parametrize("inject", ["auto", "inline", "wrap"])
def test_shapes(inject):
    """Arrays pass the merge untouched, and shapes that do not fit are refused."""

    @mergeable("mask", inject=inject)
    class Masked:
        def __init__(self, mask=None):
            self.mask = mask

        @jaxtyped
        def __call__(self, x: Row, *, mask: Row = MERGED):
            return x * mask

    x, two = np.ones(3), np.full(3, 2.0)

    assert [2.0, 2.0, 2.0] == Masked()(x, mask=two).tolist() == Masked(two)(x).tolist()
    with refused(jaxtyped, "mask"):
        Masked()(x, mask=np.ones(1))
    if inject != "inline":
        with refused(jaxtyped, "mask"):
            Masked(np.ones(1))(x)


def test_jaxtyping_inside_linen():
    """Linen's interceptors see what the call gave; so does the check inside Linen's wrapper."""
    nn = pytest.importorskip("flax.linen", reason="flax is not installed")

    @mergeable("flag")
    class Layer(nn.Module):
        flag: bool | None = None

        @jaxtyped
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
        with refused(jaxtyped):
            Layer(True).apply({}, 1, flag=given)


@pytest.mark.parametrize("methods", [("forward", "__call__"), ("__call__", "forward")])
def test_wrapper_around_a_checked_method(methods):
    """The merge would go around the one and not around the other."""

    class Layer:
        @beartype
        def forward(self, *, flag: bool = MERGED):
            return flag

        alias = forward
        __call__ = logged(forward)

    with pytest.raises(MergeDefinitionError, match=r"forward\(\) checks types.*runs the same"):
        mergeable("flag", method=methods)(Layer)
    merged = mergeable("flag", method=("alias", "forward"))(plain(Layer))
    assert (True, False) == (merged(True).alias(), merged(False).forward())
