"""The errors carry what they speak of, and pickle."""

import pickle
import threading

import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError, merge_param
from mergeparam._report import Situation, conflict_error, missing_error
from mergeparam.errors import shorten


class Rude:
    """An object whose `repr` raises."""

    def __repr__(self):
        raise RuntimeError("no")


SITUATION = Situation("flag", True, [1], "flag", "Model.Dropout", "__call__", "Model.Dropout")


def test_missing_message():
    """Class, method, parameter, both values and the fix."""
    error = missing_error(Situation("flag", None, None, "flag", "Dropout", "__call__", "Dropout"))

    expected = (
        "Dropout.__call__(): 'flag' is set in neither place: self.flag is None and the call gave "
        "None. Set it in one of them: Dropout(..., flag=...), or flag=... in the call; or provide "
        "it to all calls inside `with provide(flag=...):`."
    )
    assert expected == str(error)


def test_conflict_message():
    """Class, method, parameter, both values and the fix."""
    error = conflict_error(SITUATION)

    expected = (
        "Model.Dropout.__call__(): 'flag' is set in both places: self.flag is True and the call "
        "gave [1]. Set it in one of them: leave flag= out of the call, or leave it out of "
        "Dropout(..., flag=...)."
    )
    assert expected == str(error)
    assert ("Model.Dropout", "__call__", "flag", True, [1]) == (
        error.owner,
        error.method,
        error.param,
        error.attribute_value,
        error.call_value,
    )


def test_attribute_under_another_name():
    """Where the attribute has another name, the constructor's argument is not guessed."""
    error = missing_error(Situation("flag", None, None, "inner._flag", "A", "__call__", "B"))

    assert "A.__call__() (merged by B): 'flag'" in str(error)
    assert "the constructor (self.inner._flag), or flag=..." in str(error)


def test_merge_param_message():
    """The function knows neither class nor method."""
    with pytest.raises(MissingParamError) as caught:
        merge_param("flag", None, None)

    assert None is caught.value.owner
    assert str(caught.value).startswith("'flag' is set in neither place: the constructor attr")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    """Type, message and fields survive."""
    error = conflict_error(SITUATION)
    copy = pickle.loads(pickle.dumps(error, protocol))

    assert ConflictingParamError is type(copy)
    assert str(error) == str(copy)
    assert vars(error) == vars(copy)


def test_pickle_with_values_that_do_not():
    """A value that cannot be pickled is replaced by its short `repr`."""
    lock = threading.Lock()
    copy = pickle.loads(pickle.dumps(conflict_error(Situation("flag", lock, 1))))

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
