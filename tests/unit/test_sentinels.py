"""`MERGED` and `UNSET`."""

import pytest
from ways import WAYS

from mergeparam import MERGED, UNSET, MergeDefinitionError, UnsetType


@pytest.mark.parametrize("sentinel", [MERGED, UNSET])
@pytest.mark.parametrize("way", WAYS)
def test_identity(sentinel, way):
    """Identity survives every way to copy."""
    assert sentinel is WAYS[way](sentinel)


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


def test_looks():
    """They are shown as written; `UNSET` is a type's only member, so checkers can narrow by it."""
    assert "MERGED UNSET" == f"{MERGED!r} {UNSET!r}"
    assert [UNSET] == list(UnsetType)
