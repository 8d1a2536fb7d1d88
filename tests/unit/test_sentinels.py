"""`MERGED` and `UNSET`."""

import copy
import pickle

import pytest
from packages import cloudpickle, needs_cloudpickle

from mergeparam import MERGED, UNSET, MergeDefinitionError, UnsetType


@pytest.mark.parametrize("sentinel", [MERGED, UNSET])
@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        *[
            lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ],
        pytest.param(
            lambda value: pickle.loads(cloudpickle.dumps(value)), marks=needs_cloudpickle
        ),
    ],
)
def test_identity(sentinel, travel):
    """Identity survives every way to copy."""
    assert sentinel is travel(sentinel)


def test_repr():
    """They are shown as they are written."""
    assert "MERGED UNSET" == f"{MERGED!r} {UNSET!r}"


def test_truth():
    """`UNSET` is an ordinary object; `MERGED` in a body names the method that was never merged."""

    class Undecorated:
        def __call__(self, *, flag=MERGED):
            return self.body(flag)

        def body(self, flag):
            return 1 if flag else 2

    assert UNSET
    with pytest.raises(
        MergeDefinitionError, match=r"Undecorated\.__call__\(\), so .*@mergeable on top"
    ):
        Undecorated()()


def test_type_of_unset():
    """The type has one member, so that type checkers can narrow by it."""
    assert [UNSET] == list(UnsetType)
