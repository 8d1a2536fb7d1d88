"""Every conformance test runs under both injection strategies."""

import pytest
from outcomes import Base

from mergeparam import MERGED, mergeable


@pytest.fixture(autouse=True)
def _both_strategies(inject):
    """Ask for the strategies, so that no test here can forget to."""


@pytest.fixture(params=[{}, {"provide": True}], ids=["plain", "providing"])
def options(request):
    """Return options of `mergeable` that must not change what a method does."""
    return request.param


@pytest.fixture
def leaf():
    """Return a class whose instances return what is merged."""

    @mergeable("flag")
    class Leaf(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    return Leaf


@pytest.fixture
def read(leaf):
    """Return an object that returns what is provided."""
    return leaf()
