"""`merged_params`, `merged_signature`, `unset_params`, `route`."""

import functools
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

pytestmark = pytest.mark.usefixtures("inject")


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


def written(signature, *params, **attributes):
    """Return an object whose method has that signature, and has `flag` merged."""
    namespace = {"MERGED": MERGED}
    exec(f"def call({signature}): ...", namespace)
    cls = type("Layer", (), {"flag": None, **attributes, "__call__": namespace["call"]})
    return mergeable(*(params or ("flag",)))(cls)()


# Which parameters.


def test_merged_params(layer):
    """Of a class, an instance and a subclass, in signature order."""
    sub = type("Sub", (layer,), {})

    assert ["rate", "mode", "flag"] == names(merged_params(layer))
    assert merged_params(layer) == merged_params(layer()) == merged_params(sub)


@pytest.mark.parametrize("target", [int, 3, len, "x", type("Plain", (), {"__call__": None})])
def test_nothing_merged(target):
    """What is not merged has no params, needs nothing, and is routed nothing."""
    assert () == merged_params(target) == unset_params(target)
    assert {} == route(target, flag=True)


@pytest.fixture
def several(inject):
    """Return a function that makes a class with merged methods of these names, and aliases."""

    def several(*methods, **aliases):
        class Layer:
            flag = mode = None

            def forward(self, x=0, *, flag=MERGED):
                return flag

            def encode(self, *, mode=MERGED, flag=MERGED): ...

            def __call__(self, **kwargs):
                return self.forward(**kwargs)

        for alias, name in aliases.items():
            setattr(Layer, alias, vars(Layer)[name])
        for name in {"forward", "encode"} - {*methods}:
            delattr(Layer, name)
        return mergeable("flag", method=methods)(Layer)

    return several


def test_the_one_merged_method(several):
    """It is meant where none is named, and `route` gives it its flags; an alias is the same."""
    for cls in (several("forward"), several("forward", evaluate="forward")):
        layer = cls()

        assert ["flag"] == names(merged_params(cls)) == names(merged_params(cls, "forward"))
        assert ("flag",) == unset_params(layer) == unset_params(layer, method="forward")
        assert ("(x=0, *, flag=None)", "(x=0, *, flag)") == (
            str(merged_signature(cls)),
            str(merged_signature(layer)),
        )
        assert 3 == layer(**route(layer, flag=3, other=4))
    stacked = mergeable("flag", method="evaluate")(mergeable("x", method="forward")(_two_names()))
    assert ["x", "flag"] == names(merged_params(stacked))


def _two_names():
    class Layer:
        x = flag = None

        def forward(self, *, x=None, flag=None): ...

        evaluate = forward

    return Layer


def test_several_merged_methods(several):
    """`__call__` is meant if it is one of them, by an alias too; else the error names them all."""
    cls = several("forward", "encode")
    says = r"merges in several methods\. Write one of method='\w+', method='\w+'\."
    for question in (merged_params, merged_signature, unset_params):
        with pytest.raises(TypeError, match=says):
            question(cls())

    called = mergeable("mode", method="encode")(several("forward", "encode", __call__="forward"))
    assert ["flag"] == names(merged_params(called))
    assert ("flag",) == unset_params(called())
    assert {"flag": 1} == route(called(), flag=1, mode=2)


@pytest.mark.parametrize("question", [merged_params, merged_signature, unset_params])
def test_no_such_method(question, several):
    """A misspelled method is not one that merges nothing."""
    with pytest.raises(MergeDefinitionError, match="no method 'forwrad'.*did you mean 'forward'"):
        question(several("forward")(), "forwrad")


def test_the_nearest_declaration_counts(layer):
    """A subclass speaks for what it merges anew, and an override that merges nothing has none."""

    @mergeable("two")
    class More(type(written("self, *, two=None, flag=MERGED"))):
        two = None

    @mergeable(Param("flag", on_conflict="use_attribute"))
    class Pinned(layer):
        def __call__(self, x, flag=MERGED): ...

    class Plain(layer):
        def __call__(self, x, flag=None): ...

    class Timed:
        @functools.wraps(layer.__call__)
        def __call__(self, *args, **kwargs): ...

    assert ["two", "flag"] == names(merged_params(More))
    assert ["flag"] == names(merged_params(More.__base__))
    assert [("flag", "use_attribute")] == [
        (param.name, param.on_conflict) for param in merged_params(Pinned)
    ]
    assert () == merged_params(Plain) == merged_params(Timed) == unset_params(Timed())
    assert {} == route(Plain(), flag=True)


def test_private_names_as_python_mangles_them():
    """Names come as they are in the signature."""

    @mergeable("__flag")
    class Layer:
        __flag = None

        def __call__(self, *, __flag=MERGED): ...

    assert ("_Layer__flag",) == unset_params(Layer())
    assert "(*, _Layer__flag)" == str(merged_signature(Layer()))


# Signatures.


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (None, "(x, *, rate=None, mode: str | None = None, flag: bool | None = None)"),
        ({}, "(x, *, rate=None, mode: str | None, flag: bool | None)"),
        ({"flag": True, "rate": 1, "mode": "a"}, "(x, *, mode: str | None = None)"),
    ],
)
def test_signature(layer, attributes, expected):
    """What callers of a class's instances may write, and what an instance accepts now."""
    target = layer if attributes is None else layer(**attributes)

    assert expected == str(merged_signature(target))


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
def test_signature_that_callers_can_use(signature, needed, gone):
    """Nothing is left that cannot be reached, and what is required can be given."""
    assert needed == str(merged_signature(written(signature)))
    assert gone == str(merged_signature(written(signature, flag=1)))


def test_positional_only_one_that_leads_to_a_required_one():
    """It stays, though it is set, because the other cannot be reached without it."""
    layer = written("self, flag=MERGED, second=MERGED, /", "flag", "second", flag=1, second=None)

    assert "(flag, second, /)" == str(merged_signature(layer))


def test_signature_of_a_method_that_is_not_merged_or_not_there():
    """It is the method's own; without the method, the target says so."""

    class Layer:
        def __call__(self, x, y=1): ...

    assert "(x, y=1)" == str(merged_signature(Layer)) == str(merged_signature(Layer()))
    with pytest.raises(MergeDefinitionError, match="no method 'forward'"):
        merged_signature(int, "forward")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="PEP 649 came with 3.14")
def test_signature_with_a_name_that_is_not_defined():
    """An annotation that cannot be evaluated yet does no harm."""
    layer = written("self, x: Later, *, flag: Later = MERGED")

    assert ["x", "flag"] == list(merged_signature(layer).parameters)


def test_subscripted_class():
    """A generic class answers with its parameters in brackets, too."""
    item = typing.TypeVar("item")

    @mergeable("flag")
    class Layer(typing.Generic[item]):
        flag = None

        def __call__(self, x, *, flag=MERGED): ...

    assert merged_params(Layer) == merged_params(Layer[int])
    assert merged_signature(Layer) == merged_signature(Layer[int])


# What is needed, and what goes where.


def test_unset_params_and_route(layer):
    """What has no value and no default is needed; what the constructor has not set is routed."""
    flags = {"flag": 1, "mode": 2, "rate": 3, "other": 4}

    assert ("mode", "flag") == unset_params(layer())
    assert ("mode",) == unset_params(layer(flag=False))
    assert () == unset_params(layer(flag=0, mode=""))
    assert {"flag": 1, "mode": 2, "rate": 3} == route(layer(), **flags)
    assert {"mode": 2} == route(layer(flag=0, rate=0), **flags)
    assert {} == route(layer())


@pytest.mark.parametrize("question", [unset_params, find_unset, route])
def test_class_instead_of_an_instance(layer, question):
    """A merged class has no attributes to look at, so the question makes no sense."""
    with pytest.raises(TypeError, match="asks what an instance holds.*Give an instance"):
        question(layer)


def test_default_that_may_say_still_missing():
    """A factory that takes the object decides whether something is needed."""
    factory = attrs.Factory(lambda self: UNSET if self.rate else None, takes_self=True)
    param = Param("flag", attribute="_inner", unset=UNSET, default=factory)
    needs, has = (written("self, flag=MERGED", param, _inner=UNSET, rate=rate) for rate in (1, 0))

    assert (("flag",), ()) == (unset_params(needs), unset_params(has))
    assert "(flag)" == str(merged_signature(needs))
    assert "(flag=UNSET)" == str(merged_signature(has))
