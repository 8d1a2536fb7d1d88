"""A class gets all of a declaration, or nothing of it."""

import inspect

import pytest

from mergeparam import MERGED, UNSET, MergeDefinitionError, Param, mergeable


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


def make(already=False):
    """Return a class with a method of its own, an inherited one and a borrowed one."""

    class Base:
        flag = mode = None

        def inherited(self, *, mode: int = MERGED):
            return "inherited", mode

    class Guarded(Base, metaclass=Guard):
        flag = 1

        def own(self, x=3, y: int = MERGED, /, *, flag: bool = MERGED, mode=MERGED):
            return flag, mode

        own.mark = own.__defaults__
        own.__signature__ = inspect.signature(own)
        alias = own
        outside = borrowed

        def merged(self, *, flag: bool = MERGED):
            return flag

    if already:
        mergeable("flag", method="merged")(Guarded)
    return Guarded


def state_of(cls):
    """Return everything of a class and its functions that the decorator may change."""
    spaces = {base: dict(vars(base)) for base in cls.__mro__[:2]}
    functions = {
        (name, part): (getattr(function, part, None), dict(vars(function)))
        for space in spaces.values()
        for name, function in space.items()
        if inspect.isfunction(function)
        for part in ("__code__", "__defaults__", "__kwdefaults__", "__annotations__")
    }
    return spaces, functions


OPTIONS = {
    "plain": ("flag", "mode"),
    "objects": (Param("flag", unset=UNSET), Param("mode", unset=UNSET)),
}
METHODS = ("own", "inherited", "outside")


@pytest.mark.parametrize("error", [TypeError, AttributeError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("already", [False, True], ids=["fresh", "merged before"])
@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_class_that_refuses_halfway(error, already, params, inject, monkeypatch):
    """Functions, defaults, annotations and attributes are as before, wherever it refuses."""
    monkeypatch.setattr(Guard, "error", error)
    cls = make(already)
    before = state_of(cls)
    refused = 0
    for allowed in range(100):
        monkeypatch.setattr(Guard, "allowed", allowed)
        try:
            mergeable(*params, method=METHODS)(cls)
        except (MergeDefinitionError, RuntimeError, KeyboardInterrupt) as caught:
            refused += 1
            expected = MergeDefinitionError if error in {TypeError, AttributeError} else error
            assert expected is type(caught)
            assert before == state_of(cls)
            assert ["flag"] == list(inspect.signature(borrowed).parameters)[1:]
        else:
            break

    # Nothing has been left over that would be in the way of the same declaration.
    assert refused > 8
    cls.__base__.mode = 2
    assert ((1, 2), ("inherited", 2)) == (cls().own(), cls().inherited())
    assert ("borrowed", 1) == cls().outside()
    assert vars(cls)["alias"] is vars(cls)["own"]


def test_message_of_a_refusal(monkeypatch):
    """It names the attribute, what the class said, and the way out."""
    cls = make()
    monkeypatch.setattr(Guard, "allowed", 0)

    with pytest.raises(MergeDefinitionError) as caught:
        mergeable("flag", "mode", method="own")(cls)

    expected = (
        "make.<locals>.Guarded does not let its attribute '_mergeparam_missing_flag' be set "
        "(no _mergeparam_missing_flag). Put @mergeable on a subclass of it."
    )
    assert expected == str(caught.value)


def test_builtin_class():
    """A class of the interpreter's own takes no attributes; a subclass of it does."""
    with pytest.raises(MergeDefinitionError):
        mergeable("flag", method="append")(list)

    class Sub(list):
        flag = 1

        def append(self, x, flag=MERGED):
            super().append((x, flag))

    held = mergeable("flag", method="append")(Sub)()
    held.append(0)
    assert [(0, 1)] == held


@pytest.mark.parametrize("kind", ["signature", "annotations", "doc", "dict", "kwdefaults"])
def test_what_a_function_carries(kind, inject):
    """A foreign function's copy carries what the function does, and the function keeps it."""

    class Layer:
        flag = 1
        outside = borrowed

    before = borrowed.__code__, dict(vars(borrowed)), dict(borrowed.__annotations__)
    mergeable("flag", method="outside")(Layer)
    copy = Layer.outside
    found = {
        "signature": (str(inspect.signature(copy)), "(self, *, flag: bool | None = None)"),
        "annotations": (copy.__annotations__, {"flag": bool | None}),
        "doc": (copy.__doc__, borrowed.__doc__),
        "dict": (copy.mark, borrowed.mark),
        "kwdefaults": (copy.__kwdefaults__, {"flag": None}),
    }

    actual, expected = found[kind]
    assert expected == actual
    assert before == (borrowed.__code__, dict(vars(borrowed)), dict(borrowed.__annotations__))
    assert MERGED is borrowed.__kwdefaults__["flag"]


def test_private_methods_have_names(inject):
    """They are pickled as methods of the class are, and found under their own names."""

    @mergeable("flag")
    class Layer:
        flag = 1

        def __call__(self, *, flag=MERGED): ...

    private = {
        name: held for name, held in vars(Layer).items() if name.startswith("_mergeparam_m")
    }
    functions = {name: held for name, held in private.items() if inspect.isfunction(held)}

    assert functions
    for name, function in functions.items():
        assert (name, f"{Layer.__qualname__}.{name}") == (function.__name__, function.__qualname__)
        assert __name__ == function.__module__
