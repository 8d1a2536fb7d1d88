"""The errors carry what they speak of, and pickle."""

import copy
import pickle
import threading

import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError
from mergeparam._call.messages import CallState, conflict_error, missing_error
from mergeparam.errors import shorten


class Rude:
    """An object whose `repr` raises."""

    def __repr__(self):
        raise RuntimeError("no")


STATE = CallState("flag", True, [1], "flag", "Model.Dropout", "__call__", "Model.Dropout")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    """Type, message and fields survive."""
    for error in (conflict_error(STATE), missing_error(STATE, ["mode"])):
        other = pickle.loads(pickle.dumps(error, protocol))

        assert type(error) is type(other)
        assert str(error) == str(other)
        assert vars(error) == vars(other)


class Unloadable:
    """A value that can be pickled and not be unpickled."""

    def __reduce__(self):
        return int, ("no number",)


@pytest.mark.parametrize("value", [threading.Lock(), Unloadable()])
def test_value_that_cannot_travel(value):
    """Its short `repr` takes its place in a pickle; a copy has the very object."""
    error = conflict_error(CallState("flag", value, 1))
    unpickled, copied = pickle.loads(pickle.dumps(error)), copy.copy(error)

    assert (shorten(value), 1) == (unpickled.attribute_value, unpickled.call_value)
    assert value is copied.attribute_value
    assert (type(error), str(error), vars(error)) == (type(copied), str(copied), vars(copied))


def test_hierarchy():
    """Both are `MergeError`s, which are `ValueError`s like Flax's."""
    assert issubclass(MergeError, ValueError)
    assert {MissingParamError, ConflictingParamError} == set(MergeError.__subclasses__())


@pytest.mark.parametrize(
    ("value", "begin"),
    [
        (Rude(), "<Rude instance at "),
        ([Rude()], "[<Rude instance at "),
        # `reprlib` goes by the names of classes, and believes to know these two.
        (type("deque", (Rude,), {"__len__": lambda self: 1})(), "<deque "),
        (type("list", (), {"__repr__": lambda self: "own"})(), "own"),
        ("x" * 1000, "'xxx"),
        ([["a\nb"] * 100] * 100, "[["),
        (10**1000, "1000"),
        (type("Red", (), {"__repr__": lambda self: "\x1b[31m\n red"})(), r"\x1b[31m red"),
    ],
)
def test_short_repr(value, begin):
    """Any value takes one short printable line."""
    text = shorten(value)

    assert text.startswith(begin)
    assert text.isprintable()
    assert len(text) < (400 if isinstance(value, list) else 70)


def test_short_repr_of_what_hides_its_class():
    """Not even the class of a value has to be readable."""
    hidden = type("Hidden", (Rude,), {"__class__": property(lambda self: 1 / 0)})()

    assert "<Hidden object whose repr raises>" == shorten(hidden)
