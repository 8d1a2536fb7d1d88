"""A class gets all of a declaration, or nothing of it."""

import inspect

import pytest

from mergeparam import MERGED, UNSET, MergeDefinitionError, Param, mergeable

pytestmark = pytest.mark.filterwarnings("ignore:.*copy.deepcopy makes:mergeparam.MergeWarning")
"""What means \"not set\" here is often a plain object, which copies would not keep."""


class Guard(type):
    """Classes that let some attributes be set, and then refuse one."""

    error, allowed = TypeError, -1

    def __setattr__(cls, name, value):
        Guard.allowed -= 1
        if Guard.allowed == -1:
            raise Guard.error(f"no {name}")
        super().__setattr__(name, value)


def borrowed(self, *, flag: bool = MERGED):
    """Stand outside of the classes."""
    return "borrowed", flag


borrowed.mark = []


def make():
    """Return a class with a method of its own, an inherited one and a borrowed one."""

    class Base:
        flag = mode = None

        def inherited(self, *, mode: int = MERGED):
            return "inherited", mode

    class Guarded(Base, metaclass=Guard):
        flag = 1

        def own(self, x=3, mode: int = MERGED, /, *, flag: bool = MERGED):
            return flag, mode

        own.__signature__ = inspect.signature(own)
        alias, outside = own, borrowed

        def merged(self, *, flag: bool = MERGED): ...

    return Guarded


def state_of(cls):
    """Return everything of a class and its functions that the decorator may change."""
    spaces = [dict(vars(base)) for base in cls.__mro__[:2]]
    functions = filter(inspect.isfunction, [held for space in spaces for held in space.values()])
    parts = ("__code__", "__defaults__", "__kwdefaults__", "__annotations__", "__dict__")
    return spaces, [str(getattr(function, part)) for function in functions for part in parts]


@pytest.mark.parametrize("error", [TypeError, AttributeError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("already", [False, True], ids=["fresh", "merged before"])
@pytest.mark.parametrize("unset", [None, UNSET])
def test_class_that_refuses_halfway(error, already, unset, inject, monkeypatch):
    """Functions, defaults, annotations and attributes are as before, wherever it refuses."""
    monkeypatch.setattr(Guard, "error", error)
    cls = make()
    if already:
        mergeable("flag", method="merged")(cls)
    params = [Param(name, unset=unset) for name in ("flag", "mode")]
    decorate = mergeable(*params, method=("own", "inherited", "outside"))
    expected = MergeDefinitionError if error in {TypeError, AttributeError} else error
    before, raised = state_of(cls), []
    for allowed in range(100):
        monkeypatch.setattr(Guard, "allowed", allowed)
        try:
            decorate(cls)
            break
        except (MergeDefinitionError, RuntimeError, KeyboardInterrupt) as caught:
            raised.append(type(caught))
        assert before == state_of(cls)

    # Nothing has been left over that would be in the way of the same declaration.
    assert [expected] * allowed == raised
    assert 8 < allowed < 99
    cls.__base__.mode = 2
    results = cls().own(), cls().alias(), cls().inherited(), cls().outside()
    assert ((1, 2), (1, 2), ("inherited", 2), ("borrowed", 1)) == results


def test_message_of_a_refusal(monkeypatch):
    """It names the attribute, what the class said, and the way out."""
    cls = make()
    monkeypatch.setattr(Guard, "allowed", 0)

    with pytest.raises(
        MergeDefinitionError,
        match=r"Guarded does not let its attribute '(_\w+)' be set \(no \1\)\. Put .* a subclass",
    ):
        mergeable("flag", "mode", method="own")(cls)


class Around:
    """A callable object without a name, around a function from elsewhere."""

    __wrapped__, mark = staticmethod(borrowed), "around"

    def __call__(self, **kwargs):
        return kwargs


def test_what_a_wrapper_carries():
    """It speaks for what it goes around, as far as that says who it is."""
    around = Around()
    vars(around).update(mark="own", __wrapped__=borrowed)
    cls = type("Layer", (), {"flag": 1, "one": around, "two": around, "__module__": __name__})
    mergeable("flag", method="one")(cls)

    assert (borrowed.__name__, Around.__doc__, "own") == (
        cls.one.__name__,
        cls.one.__doc__,
        cls.one.mark,
    )
    assert cls.one is cls.two
    assert "(self, *, flag: bool | None = None)" == str(inspect.signature(cls.one))
    assert {"flag": 1} == cls().two()


def test_private_methods_have_names(inject):
    """They are pickled as methods of the class are, and found under their own names."""
    layer = mergeable("flag", Param("mode", unset=object()), method="own")(make())
    suffix = layer.__mergeable__.methods[0].names.suffix
    private = {
        name: held
        for name, held in vars(layer).items()
        if name.startswith("_mergeparam_") and name.endswith(suffix)
    }

    expected = {f"_mergeparam_{kind}_flag{suffix}" for kind in ("missing", "conflict")}
    assert expected < private.keys()
    for name, held in private.items():
        expected = name, f"{layer.__qualname__}.{name}", __name__
        assert expected == (held.__name__, held.__qualname__, held.__module__)


def test_autograph_leaves_it_alone(inject):
    """TensorFlow would compile methods, and what objects are called by, without their merge."""
    layer = mergeable("flag", method="own")(make())
    space = {"flag": None, "__call__": lambda self, *, flag=None: flag}
    called = mergeable("flag")(type("Called", (), space))

    assert hasattr(layer.own, "autograph_info__")
    assert not hasattr(layer, "autograph_info__")
    assert hasattr(called(), "autograph_info__")
