"""The errors carry what they speak of, and pickle."""

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
        copy = pickle.loads(pickle.dumps(error, protocol))

        assert type(error) is type(copy)
        assert str(error) == str(copy)
        assert vars(error) == vars(copy)


def test_pickle_with_values_that_do_not():
    """A value that cannot be pickled is replaced by its short `repr`."""
    lock = threading.Lock()
    copy = pickle.loads(pickle.dumps(conflict_error(CallState("flag", lock, 1))))

    assert shorten(lock) == copy.attribute_value
    assert 1 == copy.call_value


def test_hierarchy():
    """Both are `MergeError`s, which are `ValueError`s like Flax's."""
    assert issubclass(MergeError, ValueError)
    assert {MissingParamError, ConflictingParamError} == set(MergeError.__subclasses__())


def test_repr_that_raises():
    """A `repr` that raises does no harm."""
    assert shorten(Rude()).startswith("<Rude instance")
    assert shorten([Rude()]).startswith("[<Rude instance")


def test_class_that_is_called_like_a_builtin():
    """A class with a name that `reprlib` believes to know, and cannot shorten, does no harm."""
    assert shorten(type("deque", (Rude,), {"__len__": lambda self: 1})()).startswith("<deque ")


def test_long_values_are_shortened():
    """Long values take one short line."""
    assert len(shorten("x" * 1000)) < 70
    assert "\n" not in shorten([["a\nb"] * 100] * 100)
    assert len(shorten(10**1000)) < 70
