"""Conditions, parameters that may stay unset, and two objects that mean "not set"."""

import asyncio
import functools
import operator

import attrs
import pytest
from outcomes import CALLS, MERGES, Base, attempt

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    find_unset,
    mergeable,
    merged_signature,
    provide,
    route,
    unset_params,
)

POLICIES = ("raise", "raise_if_different", "use_call", "use_attribute")


class Sentinel:
    """An object that no literal stands for, and that keeps its identity when it is copied."""

    def __deepcopy__(self, memo):
        return self


NOT_GIVEN = Sentinel()


def is_used(layer):
    """Whether an object asks for its flag; its `asked` counts how often somebody wants to know."""
    layer.asked += 1
    return layer.used


def define(options=None, **how):
    """Return a class with a `flag`, and with a method of each kind that returns it."""

    class Layer:
        used, asked = True, 0

        def __init__(self, *flag):
            (self.flag,) = flag or (None,)

        def __call__(self, *, flag=MERGED):
            return flag

        def items(self, *, flag=MERGED):
            yield flag

        async def wait(self, *, flag=MERGED):
            return flag

        async def aitems(self, *, flag=MERGED):
            yield flag

    kinds = ("__call__", "wait") if options else ("__call__", "items", "wait", "aitems")
    how = {"when": is_used, "otherwise": "unused", **how}
    return mergeable(Param("flag", **how), method=kinds, **(options or {}))(Layer)


def result(layer, kind, **given):
    """Return what a method of any kind gives, or the class of its error."""

    async def first():
        made = getattr(layer, kind)(**given)
        return await (anext(made) if kind == "aitems" else made)

    if kind.startswith(("wait", "aitems")):
        return attempt(lambda: asyncio.run(first()))
    return attempt(getattr(layer, kind), **given)


@pytest.mark.parametrize("kind", ["__call__", "items", "wait", "aitems"])
def test_when_in_every_kind_of_method(kind, options):
    """Where it is false, `otherwise` is seen, whatever is set or provided; it is asked once."""
    if options and "items" in kind:
        return
    cls = define(options)
    layers = [(cls(flag), given) for flag, given in CALLS]

    assert MERGES == [result(layer, kind, **given) for layer, given in layers]
    cls.used = False
    assert ["unused"] * 4 == [result(layer, kind, **given) for layer, given in layers]
    with provide(flag=3):
        assert "unused" == result(cls(), kind)
    assert [2] * 4 == [layer.asked for layer, _ in layers]


@pytest.mark.parametrize(
    "when", [is_used, operator.attrgetter("used"), functools.partial(is_used)]
)
@pytest.mark.parametrize(
    ("unset", "otherwise"), [(None, True), (UNSET, 1), (NOT_GIVEN, None), (..., NOT_GIVEN)]
)
@pytest.mark.parametrize("policy", POLICIES)
def test_when_with_every_policy(policy, unset, otherwise, when):
    """The very object that `otherwise` names, with every kind of `unset` object and predicate."""
    cls = define(unset=unset, on_conflict=policy, otherwise=otherwise, when=when)
    both = {"use_call": 1, "use_attribute": 2}.get(policy, ConflictingParamError)
    calls = [(unset, {}), (2, {}), (unset, {"flag": 1}), (2, {"flag": 1})]

    assert [MissingParamError, 2, 1, both] == [
        attempt(cls(held), **given) for held, given in calls
    ]
    cls.used = False
    assert all(otherwise is cls(held)(**given) for held, given in calls)


def test_factories():
    """`otherwise` may make a value for each call; a default of `None` is still missing then."""
    makes = {"otherwise": attrs.Factory(lambda layer: [layer.asked], takes_self=True)}
    layer = define(default=attrs.Factory(lambda: None), **makes)()

    assert (MissingParamError, ("flag",)) == (attempt(layer), unset_params(layer))
    layer.used, layer.asked = False, 0
    assert [[1], [2]] == [layer(), layer()]


def test_when_that_raises():
    """Its error gets out as it is, from the call and from introspection."""
    layer = define(when=lambda layer: layer.no_such_thing)()

    for ask in (layer, lambda: unset_params(layer), lambda: merged_signature(layer)):
        with pytest.raises(AttributeError, match="no_such_thing"):
            ask()


def test_introspection_of_conditions():
    """Where `when` is false nothing is needed, and to give it does no harm."""
    cls = define()
    layers = cls(), cls(1)
    seen = [(merged_signature(layer), unset_params(layer)) for layer in layers]
    routed = [route(layer, flag=3) for layer in layers]
    cls.used = False
    unused = [(str(merged_signature(layer)), unset_params(layer)) for layer in layers]

    assert [("(*, flag)", ("flag",)), ("()", ())] == [(str(text), names) for text, names in seen]
    assert [{"flag": 3}, {}] == routed
    assert [("(*, flag=None)", ())] * 2 == unused
    assert [{}, {}] == [route(layer, flag=3) for layer in layers]
    assert [] == find_unset(list(layers))


def test_all_missing_at_once():
    """One error names all that are missing, and none that a condition or a default lets off."""
    no, yes = {"when": lambda _: False}, {"when": lambda _: True}
    params = {
        "off": {"otherwise": None, **no},
        "stays": {"default": None},
        "asked": {"otherwise": None, **yes},
        "later_off": {"otherwise": None, **no},
        "later_asked": {"otherwise": None, **yes},
        "factory": {"default": attrs.Factory(lambda: None)},
        "later_stays": {"default": None},
        "elsewhere": {"attribute_unset": NOT_GIVEN},
    }
    namespace = {name: how.get("attribute_unset") for name, how in params.items()}
    namespace["__call__"] = eval(f"lambda self, *, {'=None, '.join(params)}=None: None")
    layer = mergeable(*[Param(name, **how) for name, how in params.items()])(
        type("Layer", (), namespace)
    )()

    with pytest.raises(MissingParamError) as caught:
        layer()
    assert ("asked", "later_asked", "factory", "elsewhere") == caught.value.params
    assert caught.value.params == unset_params(layer)


# Neither, and it stays so.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("unset", [None, UNSET, NOT_GIVEN])
def test_default_that_is_unset(unset, policy, options):
    """A constant default that is the `unset` object says that the parameter may stay unset."""
    cls = define(options, when=None, otherwise=attrs.NOTHING, default=unset, unset=unset)
    layer = cls(unset)

    assert unset is layer() is layer(flag=unset)
    assert (1, 2) == (cls(1)(), layer(flag=2))
    assert ((), {"flag": 3}, []) == (unset_params(layer), route(layer, flag=3), find_unset(layer))
    with provide(flag=4):
        assert 4 == layer()
        # Nothing is hidden: the innermost scope gives the very object that the default is.
        with provide(flag=unset):
            assert unset is layer()
            assert () == unset_params(layer)


# Another object in the call than on the object.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("unset", "held"),
    [(NOT_GIVEN, None), (None, NOT_GIVEN), (UNSET, ...), (UNSET, NOT_GIVEN), (False, None)],
)
def test_attribute_unset(unset, held, policy, options):
    """Each place has its own; the other one's is a value there."""
    how = {"unset": unset, "attribute_unset": held, "on_conflict": policy}
    cls = define(options, **how)
    both = {"use_call": 1, "use_attribute": 2}.get(policy, ConflictingParamError)

    assert [MissingParamError, 2, 1, both] == [
        attempt(cls(value), **given)
        for value, given in [(held, {}), (2, {}), (held, {"flag": 1}), (2, {"flag": 1})]
    ]
    assert unset is cls(unset)()
    assert held is cls(held)(flag=held)
    assert unset is define(options, default=unset, **how)(held)()
    assert held is define(options, default=held, **how)(held)()
    assert (("flag",), ()) == (unset_params(cls(held)), unset_params(cls(unset)))
    assert ({"flag": 3}, {}) == (route(cls(held), flag=3), route(cls(2), flag=3))
    with pytest.raises(MissingParamError) as caught:
        cls(held)()
    assert (held, unset) == (caught.value.attribute_value, caught.value.call_value)


def test_objects_of_classes_made_anew():
    """Classes that a function makes have objects of their own, which no module holds."""
    for _ in range(3):
        unset, held, otherwise = Sentinel(), Sentinel(), Sentinel()
        cls = define(unset=unset, attribute_unset=held, otherwise=otherwise)
        assert [1, 2, MissingParamError, ConflictingParamError] == [
            attempt(cls(value), **given)
            for value, given in [(1, {}), (held, {"flag": 2}), (held, {}), (1, {"flag": 3})]
        ]
        cls.used = False
        assert otherwise is cls(held)()


# Class and subclass.


@pytest.mark.parametrize("is_used_in_base", [True, False])
@pytest.mark.parametrize("is_used_in_sub", [True, False])
def test_forwarding(is_used_in_sub, is_used_in_base):
    """Each class has its own condition, and the base sees what the subclass hands on."""

    def level(base, name, is_used, **body):
        how = {"when": lambda _: is_used, "otherwise": f"off in {name}"}
        return mergeable(Param("flag", **how))(type(name, (base,), body))

    one = level(Base, "One", is_used_in_base, __call__=lambda self, *, flag=None: (flag,))
    two = level(
        one,
        "Two",
        is_used_in_sub,
        __call__=lambda self, *, flag=None: (flag, *one.__call__(self, flag=flag)),
    )
    seen = "flag" if is_used_in_sub else "off in Two"

    assert (seen, seen if is_used_in_base else "off in One") == two()(flag="flag")
    # What the object holds is not what a subclass hands on that has let it off.
    is_both = is_used_in_base and not is_used_in_sub
    given = (seen, "flag" if is_used_in_base else "off in One")
    assert (ConflictingParamError if is_both else given) == attempt(two("flag"))
