"""What a call means: outcomes, policies, defaults, `super()`."""

import math

import pytest
from outcomes import Base, attempt
from packages import np

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*copy.deepcopy makes:mergeparam.MergeWarning")
"""What means \"not set\" here is often a plain object, which copies would not keep."""

POLICIES = ("raise", "raise_if_different", "use_call", "use_attribute")


class Hostile:
    """A value that allows nothing but identity."""

    def __eq__(self, other):
        raise AssertionError("compared")

    def __bool__(self):
        raise AssertionError("asked for its truth")

    __hash__ = None


class Counted:
    """A descriptor that counts how often it is read."""

    def __init__(self, value):
        self.value, self.reads = value, 0

    def __get__(self, instance, owner):
        if instance is None:
            return self
        self.reads += 1
        return self.value


def make(param, flag=None):
    """Return an object whose call returns the merged `flag`, and whose class holds `flag`."""
    namespace = {"flag": flag}

    class Layer:
        flag = namespace["flag"]

        def __call__(self, *, flag=MERGED):
            return flag

    return mergeable(param)(Layer)()


# Neither, one, both.


@pytest.mark.parametrize("value", [0, False, "", math.nan, (), [], np.zeros(3), Hostile(), ...])
def test_set_is_a_matter_of_identity(value):
    """Falsy values, NaN, arrays and hostile objects count as set and pass untouched."""
    assert value is make("flag")(flag=value)
    assert value is make("flag", value)() is make("flag", value)(flag=None)
    with pytest.raises(ConflictingParamError):
        make("flag", value)(flag=value)


@pytest.mark.parametrize(
    ("error", "flag", "given"),
    [
        (MissingParamError, None, None),
        (ConflictingParamError, True, True),
        (ConflictingParamError, True, False),
    ],
)
def test_errors(error, flag, given):
    """An error carries where and what; both is one even where they are equal."""
    with pytest.raises(error) as caught:
        make("flag", flag)(flag=given)
    found = caught.value

    assert ("__call__", "flag") == (found.method, found.param)
    assert (flag, given) == (found.attribute_value, found.call_value)
    assert found.owner.endswith("make.<locals>.Layer")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("unset", [None, UNSET, ..., False, "nothing", 12345678, Hostile(), len])
def test_policies(policy, unset):
    """Every policy with every kind of `unset` object."""
    param = Param("flag", unset=unset, on_conflict=policy)
    both = {"use_call": "call", "use_attribute": "attribute"}.get(policy, ConflictingParamError)

    assert "attribute" == make(param, "attribute")()
    assert "call" == make(param, unset)(flag="call")
    assert MissingParamError is attempt(make(param, unset))
    assert both == attempt(make(param, "attribute"), flag="call")


@pytest.mark.parametrize("policy", POLICIES)
def test_unset_that_binds_itself(policy):
    """A function may mean "not set", though a class would bind it."""

    def missing(): ...

    param, held = Param("flag", unset=missing, on_conflict=policy), staticmethod(missing)

    assert 1 == make(param, 1)()
    assert 2 == make(param, held)(flag=2)
    assert MissingParamError is attempt(make(param, held))


# How often the attribute is read.


@pytest.mark.parametrize("unset", [None, UNSET])
@pytest.mark.parametrize(
    ("policy", "attribute", "given", "expected"),
    [
        *((policy, "attribute", {}, 1) for policy in POLICIES),
        *((policy, "unset", {"flag": 1}, 1) for policy in POLICIES if policy != "use_call"),
        ("use_attribute", "attribute", {"flag": 1}, 1),
        ("raise_if_different", "attribute", {"flag": "attribute"}, 1),
        ("use_call", "attribute", {"flag": 1}, 0),
        ("use_call", "unset", {"flag": 1}, 0),
    ],
)
def test_attribute_is_read_once(policy, attribute, given, expected, unset):
    """On the paths that succeed it is read once, and not at all where the call wins."""
    counted = Counted(unset if attribute == "unset" else attribute)
    layer = make(Param("flag", on_conflict=policy, unset=unset), unset)
    type(layer).flag = counted
    wins = "attribute" if policy == "use_attribute" or "flag" not in given else given["flag"]

    assert (wins if attribute == "attribute" else 1) == layer(**given)
    assert expected == counted.reads


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


def test_dotted_attribute():
    """The constructor's value may live deeper in the object."""

    class Layer:
        def __init__(self, text):
            self.wrapped = Base(text)

        def __call__(self, *, text=MERGED):
            return text

    mergeable(Param("text", attribute="wrapped.flag"))(Layer)

    assert "inner" == Layer("inner")()
    with pytest.raises(ConflictingParamError, match=r"self\.wrapped\.flag is 'inner'"):
        Layer("inner")(text="call")


# Defaults.


@pytest.mark.parametrize("default", [0, False, "x", [1], Hostile()])
def test_default_value(default):
    """A declared default is used where neither is set, and only there."""
    param = Param("flag", default=default)

    assert default is make(param)()
    assert (1, 2) == (make(param, 1)(), make(param)(flag=2))


# Class and subclass.


class End(Base):
    """A base at which what is handed on ends."""

    def __call__(self, *, flag=None):
        return ()


def plainly(cls):
    """Leave a class undecorated."""
    return cls


def level(name, base, decorate=None, give=lambda flag: flag):
    """Return a class that tells its name and what it merges, and hands that to the next one."""

    class Level(base):
        def __call__(self, *, flag=None):
            return name, flag, *super().__call__(flag=give(flag))

    return (decorate or mergeable("flag"))(Level)


@pytest.fixture
def one():
    """Return a class at the bottom of those that hand on."""

    @mergeable("flag")
    class One(Base):
        def __call__(self, *, flag=MERGED):
            return "One", flag

    return One


@pytest.mark.parametrize("value", [True, False, 0])
@pytest.mark.parametrize("middle", [mergeable("flag"), plainly, None])
def test_forwarding_to_super(one, value, middle):
    """Two and three levels hand the merged value on, wherever it came from."""
    two = level("Two", one, middle) if middle else one
    three = level("Three", two)
    names = ("Three", "Two", "One") if middle else ("Three", "One")
    expected = tuple(item for name in names for item in (name, value))

    assert expected == three(value)() == three()(flag=value)
    assert ConflictingParamError is attempt(three(value), flag=value)
    assert MissingParamError is attempt(three())
    if middle is plainly:
        assert ("Two", None, "One", value) == two(value)()
        assert ConflictingParamError is attempt(two(value), flag=value)


def test_forwarding_another_object_is_a_conflict(one):
    """Only the very same object may be handed on."""
    negated = level("Negated", one, give=lambda flag: not flag)

    assert ("Negated", True, "One", False) == negated()(flag=True)
    with pytest.raises(ConflictingParamError, match=r"Level.*merged by .*One"):
        negated(True)()


def test_another_method_is_no_forwarding(one):
    """A conflict is one even where another method of a subclass merges the same name."""

    @mergeable("flag", method="encode")
    class Two(one):
        def encode(self, *, flag=MERGED):
            return flag

    assert ConflictingParamError is attempt(Two(True), flag=True)


def test_inherited_and_overridden(one):
    """A subclass that adds nothing merges as its base does; one that overrides does not."""

    class Sub(one):
        pass

    class Override(one):
        def __call__(self, flag=None):
            return flag

    assert ("One", 1) == Sub(1)() == Sub()(flag=1)
    assert None is Override(1)()
    with pytest.raises(MissingParamError, match=r"Sub\.__call__\(\) \(merged by .*One\)"):
        Sub()()


def test_child_merges_more_of_an_inherited_method():
    """A child may merge another parameter of a method that its base has merged."""

    @mergeable("one")
    class Parent:
        one, two = 1, 2

        def __call__(self, *, one=MERGED, two=None):
            return one, two

    sub = mergeable("two")(type("Sub", (Parent,), {}))

    assert ((1, 2), (1, None)) == (sub()(), Parent()())
    for name in ("one", "two"):
        with pytest.raises(ConflictingParamError, match=repr(name)):
            sub()(**{name: 3})
