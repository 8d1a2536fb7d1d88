"""What a call means: outcomes, policies, defaults, `super()`."""

import math

import attrs
import numpy as np
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
)


class Hostile:
    """A value that allows nothing but identity."""

    def __eq__(self, other):
        raise AssertionError("compared")

    def __bool__(self):
        raise AssertionError("asked for its truth")

    __hash__ = None


def make(param, **attributes):
    """Return an object whose call returns the merged `flag`."""

    class Layer:
        def __call__(self, *, flag=MERGED):
            return flag

    for name, value in attributes.items():
        setattr(Layer, name, value)
    return mergeable(param)(Layer)()


class Counted:
    """A descriptor that counts how often it is read."""

    def __init__(self, value):
        self.value, self.reads = value, 0

    def __get__(self, instance, owner):
        if instance is None:
            return self
        self.reads += 1
        return self.value


@pytest.mark.parametrize(
    "value", [0, False, "", math.nan, (), [], np.zeros(3), Hostile(), MERGED, ...]
)
def test_set_is_a_matter_of_identity(value):
    """Falsy values, NaN, arrays and hostile objects count as set and pass untouched."""
    assert value is make("flag", flag=None)(flag=value)
    assert value is make("flag", flag=value)()
    with pytest.raises(ConflictingParamError):
        make("flag", flag=value)(flag=value)


def test_neither():
    """Neither is an error that carries where and what."""
    with pytest.raises(MissingParamError) as caught:
        make("flag", flag=None)()
    error = caught.value

    assert ("__call__", "flag", None, None) == (
        error.method,
        error.param,
        error.attribute_value,
        error.call_value,
    )
    assert error.owner.endswith("make.<locals>.Layer")


def test_both():
    """Both is an error, even where they are equal, that carries both values."""
    for call_value in (True, False):
        with pytest.raises(ConflictingParamError) as caught:
            make("flag", flag=True)(flag=call_value)

        assert True is caught.value.attribute_value
        assert call_value is caught.value.call_value


@pytest.mark.parametrize("given", [{"flag": None}, {}])
def test_explicit_unset_is_unset(given):
    """Giving the `unset` object is the same as giving nothing."""
    assert 1 == make("flag", flag=1)(**given)


@pytest.mark.parametrize("unset", [None, UNSET, ..., False, "nothing", 12345678, Hostile()])
@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_call", "use_attribute"])
def test_policies(policy, unset):
    """Every policy with every kind of `unset` object."""
    expected = {
        "raise": ConflictingParamError,
        "raise_if_different": ConflictingParamError,
        "use_call": "call",
        "use_attribute": "attribute",
    }[policy]
    param = Param("flag", unset=unset, on_conflict=policy)
    both = make(param, flag="attribute")

    assert "attribute" == both()
    assert "call" == make(param, flag=unset)(flag="call")
    with pytest.raises(MissingParamError):
        make(param, flag=unset)()
    if isinstance(expected, str):
        assert expected == both(flag="call")
    else:
        with pytest.raises(expected):
            both(flag="call")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ("ab", str(b"ab", "ascii")),
        (np.arange(3), np.arange(3)),
        (math.nan, math.nan),
    ],
)
def test_raise_if_different_accepts_equal(one, other):
    """Equal values are no conflict under `raise_if_different`; the call's is the result."""
    param = Param("flag", on_conflict="raise_if_different")

    assert other is make(param, flag=one)(flag=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (np.arange(3), np.arange(4)),
        (np.arange(3), np.zeros(3)),
        (np.ones(3), 1),
        (Hostile(), Hostile()),
        (float("nan"), float("nan")),
    ],
)
def test_raise_if_different_refuses_what_is_not_equal(one, other):
    """Values that differ, or that cannot be compared, are a conflict."""
    param = Param("flag", on_conflict="raise_if_different")

    with pytest.raises(ConflictingParamError):
        make(param, flag=one)(flag=other)


@pytest.mark.parametrize(
    ("param", "call", "expected"),
    [
        (Param("flag"), {}, "attribute"),
        (Param("flag", on_conflict="use_call"), {}, "attribute"),
        (Param("flag", on_conflict="use_attribute"), {}, "attribute"),
        (Param("flag", on_conflict="use_attribute"), {"flag": 1}, "attribute"),
        (Param("flag", on_conflict="use_attribute", unset=UNSET), {}, "attribute"),
        (Param("flag", on_conflict="use_attribute", unset=UNSET), {"flag": 1}, "attribute"),
        (Param("flag", on_conflict="raise_if_different"), {"flag": "attribute"}, "attribute"),
    ],
)
def test_attribute_is_read_once(param, call, expected):
    """On the paths that succeed the attribute is read once."""
    counted = Counted("attribute")
    layer = make(param)
    type(layer).flag = counted

    assert expected == layer(**call)
    assert 1 == counted.reads


@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_attribute"])
def test_unset_attribute_is_read_once(policy):
    """A value from the call costs one read of the attribute."""
    counted = Counted(None)
    layer = make(Param("flag", on_conflict=policy))
    type(layer).flag = counted

    assert 1 == layer(flag=1)
    assert 1 == counted.reads


def test_use_call_does_not_read_the_attribute():
    """Where the call wins, nobody asks the attribute."""
    counted = Counted("attribute")
    layer = make(Param("flag", on_conflict="use_call"))
    type(layer).flag = counted

    assert 1 == layer(flag=1)
    assert 0 == counted.reads


def test_property_that_raises_is_not_masked():
    """The `AttributeError` of a property gets out as it is."""

    class Layer:
        @property
        def flag(self):
            raise AttributeError("on purpose")

        def __call__(self, *, flag=MERGED):
            return flag

    with pytest.raises(AttributeError, match="on purpose"):
        mergeable("flag")(Layer)()()


@pytest.mark.parametrize("default", [0, False, "x", [1], Hostile()])
def test_default_value(default):
    """A declared default is used where neither is set, and only there."""
    param = Param("flag", default=default)

    assert default is make(param, flag=None)()
    assert 1 == make(param, flag=1)()
    assert 2 == make(param, flag=None)(flag=2)


def test_default_factory():
    """A factory is called in every call that needs it."""
    layer = make(Param("flag", default=attrs.Factory(list)), flag=None)

    assert [] == layer()
    assert layer() is not layer()


def test_default_that_asks_the_object():
    """A factory that takes the object may say "still missing" by returning `unset`."""

    @mergeable(
        Param(
            "deterministic",
            default=attrs.Factory(lambda self: None if self.rate > 0 else True, takes_self=True),
        )
    )
    @attrs.frozen
    class Dropout:
        rate: float
        deterministic: bool | None = None

        def __call__(self, *, deterministic=MERGED):
            return deterministic

    assert True is Dropout(0.0)()
    with pytest.raises(MissingParamError):
        Dropout(0.5)()


def test_dotted_attribute():
    """The constructor's value may live deeper in the object."""

    class Inner:
        text = "inner"

    class Layer:
        wrapped = Inner()

        def __call__(self, *, text=MERGED):
            return text

    layer = mergeable(Param("text", attribute="wrapped.text"))(Layer)()

    assert "inner" == layer()
    with pytest.raises(ConflictingParamError, match=r"self\.wrapped\.text is 'inner'"):
        layer(text="call")


@pytest.fixture
def hierarchy():
    """Define the three levels anew, under the strategy of the test."""

    @mergeable("flag")
    class One:
        def __init__(self, flag=None):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return ["one", flag]

    @mergeable("flag")
    class Two(One):
        def __call__(self, *, flag=MERGED):
            return ["two", *super().__call__(flag=flag)]

    @mergeable("flag")
    class Three(Two):
        def __call__(self, *, flag=MERGED):
            return ["three", *super().__call__(flag=flag)]

    return One, Two, Three


@pytest.mark.parametrize("value", [True, False, 0])
def test_forwarding_to_super(hierarchy, value):
    """Two and three levels hand the merged value on, wherever it came from."""
    _, two, three = hierarchy

    assert ["two", "one", value] == two(value)() == two()(flag=value)
    assert ["three", "two", "one", value] == three(value)() == three()(flag=value)


def test_forwarding_does_not_hide_a_conflict(hierarchy):
    """A conflict at the outermost level stays one."""
    for cls in hierarchy:
        with pytest.raises(ConflictingParamError):
            cls(True)(flag=True)
        with pytest.raises(MissingParamError):
            cls()()


def test_forwarding_another_object_is_a_conflict(hierarchy):
    """Only the very same object may be handed on."""
    one = hierarchy[0]

    @mergeable("flag")
    class Negated(one):
        def __call__(self, *, flag=MERGED):
            return super().__call__(flag=not flag)

    assert ["one", False] == Negated()(flag=True)
    with pytest.raises(ConflictingParamError, match=r"Negated.*merged by .*One"):
        Negated(True)()


def test_forwarding_through_an_undecorated_level(hierarchy):
    """A level between that is not decorated hands on what it got."""
    one = hierarchy[0]

    class Between(one):
        def __call__(self, *, flag=None):
            return ["between", *super().__call__(flag=flag)]

    @mergeable("flag")
    class Last(Between):
        def __call__(self, *, flag=MERGED):
            return ["last", *super().__call__(flag=flag)]

    assert ["last", "between", "one", 1] == Last(1)() == Last()(flag=1)
    assert ["between", "one", 1] == Between(1)()
    with pytest.raises(ConflictingParamError):
        Between(1)(flag=1)


def test_forwarding_in_a_diamond(hierarchy):
    """Siblings hand on along the method resolution order."""
    one, two, _ = hierarchy

    @mergeable("flag")
    class Sibling(one):
        def __call__(self, *, flag=MERGED):
            return ["sibling", *super().__call__(flag=flag)]

    class Joined(two, Sibling):
        pass

    assert ["two", "sibling", "one", 1] == Joined(1)() == Joined()(flag=1)
    with pytest.raises(ConflictingParamError):
        Joined(1)(flag=1)


def test_another_method_is_no_forwarding():
    """A conflict is one even where another method of a subclass merges the same name."""

    @mergeable("flag")
    class One:
        flag = True

        def __call__(self, *, flag=MERGED):
            return flag

    @mergeable("flag", method="encode")
    class Two(One):
        def encode(self, *, flag=MERGED):
            return flag

    with pytest.raises(ConflictingParamError):
        Two()(flag=True)


def test_another_parameter_is_no_forwarding(hierarchy):
    """A subclass that merges another parameter changes nothing for the first."""
    one = hierarchy[0]

    @mergeable("mode")
    class Two(one):
        mode = 1

        def __call__(self, *, flag=None, mode=MERGED):
            return [mode, *super().__call__(flag=flag)]

    assert [1, "one", 2] == Two()(flag=2)
    with pytest.raises(ConflictingParamError):
        Two(True)(flag=True)


def test_inherited_without_override(hierarchy):
    """A subclass that adds nothing merges as its base does."""

    class Sub(hierarchy[0]):
        pass

    assert ["one", 1] == Sub(1)() == Sub()(flag=1)
    with pytest.raises(MissingParamError, match=r"Sub\.__call__\(\) \(merged by .*One\)"):
        Sub()()


def test_override_without_decorator(hierarchy):
    """A subclass that overrides without merging gets what the caller gave."""

    class Sub(hierarchy[0]):
        def __call__(self, flag=None):
            return flag

    assert None is Sub(1)()


def test_child_decorated_while_the_method_is_inherited():
    """The child gets a function of its own; the base's stays as it was."""

    class Base:
        flag = 1

        def __call__(self, *, flag=None):
            return __class__, flag

    before = Base.__call__, Base.__call__.__code__

    @mergeable("flag")
    class Sub(Base):
        pass

    assert (Base, 1) == Sub()()
    assert (Base, None) == Base()()
    assert before == (Base.__call__, Base.__call__.__code__)


def test_child_merges_more_of_an_inherited_method():
    """A child may merge another parameter of a method that its base has merged."""

    @mergeable("one")
    class Base:
        one, two = 1, 2

        def __call__(self, *, one=MERGED, two=None):
            return one, two

    @mergeable("two")
    class Sub(Base):
        pass

    assert (1, 2) == Sub()()
    assert (1, None) == Base()()
    for name in ("one", "two"):
        with pytest.raises(ConflictingParamError, match=repr(name)):
            Sub()(**{name: 3})


def test_namesakes_keep_apart():
    """Classes that a function makes anew share a name, and each keeps its own policy."""

    def extended(base, policy):
        @mergeable(Param("flag", on_conflict=policy))
        class Layer(base):
            def __call__(self, *, flag=MERGED):
                inner = super().__call__(flag=flag) if base is not object else ()
                return (policy, flag, *inner)

        return Layer

    class Root:
        flag = "attribute"

        def __call__(self, *, flag=None):
            return (flag,)

    pinned = extended(Root, "use_attribute")
    strict = extended(Root, "raise")

    class Diamond(strict, pinned):
        pass

    assert ("use_attribute", "attribute", "attribute") == pinned()(flag="call")
    assert "attribute" == Diamond()()[-1]
    with pytest.raises(ConflictingParamError):
        Diamond()(flag="call")
    with pytest.raises(ConflictingParamError):
        strict()(flag="call")


@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_call", "use_attribute"])
def test_unset_that_binds_itself(policy):
    """A function may mean "not set", though a class would bind it."""

    def missing(): ...

    param = Param("flag", unset=missing, on_conflict=policy)

    assert 1 == make(param, flag=1)()
    assert 2 == make(param, flag=staticmethod(missing))(flag=2)
    with pytest.raises(MissingParamError):
        make(param, flag=staticmethod(missing))()


def test_several_parameters_merge_independently():
    """Each parameter takes its value from where it is set."""

    @mergeable("one", "two", Param("three", default=3))
    class Layer:
        one, two, three = 1, None, None

        def __call__(self, one=MERGED, two=MERGED, *, three=MERGED):
            return one, two, three

    assert (1, 2, 3) == Layer()(two=2)
    assert (1, 2, 4) == Layer()(None, 2, three=4)


def test_unset_survives_in_a_subclass_with_another_unset():
    """A base's `unset` object stays its own where a subclass chooses another."""
    nothing = object()

    @mergeable(Param("flag", unset=nothing))
    class Base:
        flag = nothing

        def __call__(self, *, flag=MERGED):
            return flag

    @mergeable(Param("flag", unset=UNSET))
    class Sub(Base):
        flag = UNSET

        def __call__(self, *, flag=MERGED):
            return flag, Base.__call__

    assert None is Base()(flag=None)
    assert None is Sub()(flag=None)[0]
    with pytest.raises(MissingParamError):
        Sub()()
    with pytest.raises(MissingParamError):
        Base()()
