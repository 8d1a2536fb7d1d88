"""`merged_params`, `merged_signature`, `unset_params`, `route`."""

import functools
import inspect
import sys
import typing

import attrs
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    MergeDefinitionError,
    Param,
    find_unset,
    mergeable,
    merged_params,
    merged_signature,
    route,
    unset_params,
)


@pytest.fixture
def layer(inject):
    """Return a class with three merged parameters, one of them with a default."""

    @mergeable("flag", Param("mode", on_conflict="use_call"), Param("rate", default=0.5))
    class Layer:
        def __init__(self, **attributes):
            self.flag = self.mode = self.rate = None
            vars(self).update(attributes)

        def __call__(self, x, *, rate=MERGED, mode: str = MERGED, flag: bool = MERGED):
            return x, rate, mode, flag

    return Layer


def names(params):
    """Return the names of `Param`s."""
    return [param.name for param in params]


def test_merged_params(layer):
    """Of a class and of an instance, in signature order."""
    assert ["rate", "mode", "flag"] == names(merged_params(layer))
    assert merged_params(layer) == merged_params(layer())


@pytest.mark.parametrize("target", [int, 3, len, "x", type("Plain", (), {"__call__": None})])
def test_nothing_merged(target):
    """What is not merged has no params, needs nothing, and is routed nothing."""
    assert () == merged_params(target) == unset_params(target)
    assert {} == route(target, flag=True)


def test_merged_params_of_another_method(inject):
    """`method=` names another method."""

    @mergeable("flag", method="forward")
    class Layer:
        flag = None

        def forward(self, flag=MERGED): ...

    assert ["flag"] == names(merged_params(Layer, "forward"))
    assert () == merged_params(Layer)
    assert ("flag",) == unset_params(Layer(), method="forward")


def test_inherited_declarations(layer, inject):
    """A subclass that inherits has what its base declared, and what it adds."""

    class Sub(layer):
        pass

    @mergeable("one")
    class Base:
        one = two = None

        def __call__(self, *, two=None, one=MERGED): ...

    @mergeable("two")
    class More(Base):
        pass

    assert merged_params(layer) == merged_params(Sub)
    assert ["two", "one"] == names(merged_params(More))
    assert ["one"] == names(merged_params(Base))


def test_the_nearest_declaration_counts(layer, inject):
    """A subclass that merges anew speaks for itself; one that overrides plainly merges nothing."""

    @mergeable(Param("flag", on_conflict="use_attribute"))
    class Pinned(layer):
        def __call__(self, x, flag=MERGED): ...

    class Plain(layer):
        def __call__(self, x, flag=None): ...

    assert [("flag", "use_attribute")] == [
        (param.name, param.on_conflict) for param in merged_params(Pinned)
    ]
    assert () == merged_params(Plain)
    assert {} == route(Plain(), flag=True)


def test_delegation_that_looks_like_the_merged_method(layer, inject):
    """A method that only borrows the name and signature of a merged one merges nothing."""

    class Timed:
        @functools.wraps(layer.__call__)
        def __call__(self, *args, **kwargs): ...

    assert () == merged_params(Timed)
    assert () == unset_params(Timed())


def test_private_names_as_python_mangles_them(inject):
    """Names come as they are in the signature."""

    @mergeable("__flag")
    class Layer:
        __flag = None

        def __call__(self, *, __flag=MERGED): ...

    assert ("_Layer__flag",) == unset_params(Layer())


def test_signature_of_a_class(layer):
    """What callers of its instances may write."""
    expected = "(x, *, rate=None, mode: str | None = None, flag: bool | None = None)"

    assert expected == str(merged_signature(layer))


def test_signature_of_an_instance(layer):
    """What this instance accepts now."""
    assert "(x, *, rate=None, mode: str | None, flag: bool | None)" == str(
        merged_signature(layer())
    )
    assert "(x, *, mode: str | None = None)" == str(
        merged_signature(layer(flag=True, rate=1, mode="a"))
    )


def written(signature, **attributes):
    """Return an object whose method has that signature, and has `flag` merged."""
    namespace = {}
    exec(f"def call({signature}): ...", namespace)
    cls = type("Layer", (), {"flag": None, **attributes, "__call__": namespace["call"]})
    return mergeable("flag")(cls)()


@pytest.mark.parametrize(
    ("signature", "needed", "gone"),
    [
        ("self, flag", "(flag)", "()"),
        ("self, x, flag=None, y=1", "(x, flag, y=1)", "(x, *, y=1)"),
        ("self, x=0, flag=None, y=1", "(x=0, *, flag, y=1)", "(x=0, *, y=1)"),
        ("self, x=0, flag=None, y=1, /", "(x, flag, y=1, /)", "(x=0, /)"),
        ("self, x, flag=None, /, y=1", "(x, flag, /, y=1)", "(x, /, *, y=1)"),
        ("self, x=0, flag=None, *args, z", "(x=0, *, flag, z)", "(x=0, *, z)"),
        ("self, flag=None, *args, z, **kw", "(flag, *args, z, **kw)", "(*, z, **kw)"),
        ("self, x=0, *args, flag=None", "(x=0, *args, flag)", "(x=0, *args)"),
        ("*args, flag=None", "(*args, flag)", "(*args)"),
    ],
)
def test_signature_that_callers_can_use(signature, needed, gone, inject):
    """Nothing is left that cannot be reached, and what is required can be given."""
    assert needed == str(merged_signature(written(signature)))
    assert gone == str(merged_signature(written(signature, flag=1)))


def test_positional_only_one_that_leads_to_a_required_one(inject):
    """It stays, though it is set, because the other cannot be reached without it."""

    @mergeable("first", "second")
    class Layer:
        first, second = 1, None

        def __call__(self, first=MERGED, second=MERGED, /):
            return first, second

    assert "(first, second, /)" == str(merged_signature(Layer()))
    assert (1, 2) == Layer()(None, 2)


def test_signature_without_a_method():
    """A target without the method says so."""
    with pytest.raises(MergeDefinitionError, match="no method 'forward'"):
        merged_signature(int, "forward")


def test_signature_of_a_method_that_merges_nothing():
    """It is the method's own."""

    class Layer:
        def __call__(self, x, y=1): ...

    assert "(x, y=1)" == str(merged_signature(Layer)) == str(merged_signature(Layer()))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="PEP 649 came with 3.14")
def test_signature_with_a_name_that_is_not_defined(inject):
    """An annotation that cannot be evaluated yet does no harm."""
    namespace = {"MERGED": MERGED}
    exec("class Layer:\n  def __call__(self, x: Later, *, flag: Later = MERGED): ...", namespace)
    layer = mergeable("flag")(namespace["Layer"])

    assert ["x", "flag"] == list(merged_signature(layer).parameters)


def test_unset_params(layer):
    """The names without a value and without a default."""
    assert ("mode", "flag") == unset_params(layer())
    assert ("mode",) == unset_params(layer(flag=False))
    assert () == unset_params(layer(flag=0, mode=""))


@pytest.mark.parametrize("question", [unset_params, find_unset])
def test_class_instead_of_an_instance(layer, question):
    """A merged class has no attributes to look at, so the question makes no sense."""
    with pytest.raises(TypeError, match="asks what an instance holds.*Give an instance"):
        question(layer)


def test_subscripted_class(inject):
    """A generic class answers with its parameters in brackets, too."""
    item = typing.TypeVar("item")

    @mergeable("flag")
    class Layer(typing.Generic[item]):
        flag = None

        def __call__(self, x, *, flag=MERGED): ...

    assert merged_params(Layer) == merged_params(Layer[int])
    assert merged_signature(Layer) == merged_signature(Layer[int])


def test_default_that_may_say_still_missing(inject):
    """A factory that takes the object decides whether something is needed."""

    @mergeable(
        Param(
            "flag",
            attribute="_inner",
            unset=UNSET,
            default=attrs.Factory(lambda self: UNSET if self.rate else None, takes_self=True),
        )
    )
    class Layer:
        _inner = UNSET

        def __init__(self, rate):
            self.rate = rate

        def __call__(self, flag=MERGED): ...

    assert ("flag",) == unset_params(Layer(1))
    assert () == unset_params(Layer(0))
    assert "(flag)" == str(merged_signature(Layer(1)))
    assert "(flag=UNSET)" == str(merged_signature(Layer(0)))


def test_route(layer):
    """Of the flags, those that the object merges and its constructor has not set."""
    flags = {"flag": 1, "mode": 2, "rate": 3, "other": 4}

    assert {"flag": 1, "mode": 2, "rate": 3} == route(layer(), **flags)
    assert {"mode": 2} == route(layer(flag=0, rate=0), **flags)
    assert {} == route(layer())


def test_route_of_a_module_with_forward(inject):
    """Where `__call__` is not merged, every merged method counts."""

    @mergeable("flag", method="forward")
    class Layer:
        flag = None

        def forward(self, flag=MERGED):
            return flag

        def __call__(self, **kwargs):
            return self.forward(**kwargs)

    layer = Layer()

    assert 3 == layer(**route(layer, flag=3, other=4))


def test_wrapped_method(inject):
    """A method in a decorator that sets `__wrapped__` is looked into."""

    def traced(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @mergeable("flag")
    class Layer:
        flag = None

        @traced
        def __call__(self, *, flag=MERGED): ...

    assert ("flag",) == unset_params(Layer())
    assert "(*, flag)" == str(merged_signature(Layer()))


def test_consumers_of_signatures(layer):
    """`help`, `singledispatch`-style consumers and bound methods see the merged signature."""
    bound = inspect.signature(layer().__call__)

    assert bound == merged_signature(layer)
    assert bound.bind(1, flag=True).arguments == {"x": 1, "flag": True}
