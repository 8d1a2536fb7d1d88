"""Fixtures that every group of tests may use."""

import os

import pytest

from mergeparam._inject.splice import can_splice

# The gate measures this process by a variable that coverage reads when Python starts. Processes
# that tests start would be measured too, and load more modules than those tests expect.
os.environ.pop("COVERAGE_PROCESS_START", None)


def pytest_collection_modifyitems(config, items):
    """Leave out the tests of other Pythons, so that what is skipped stands for something missing.

    That is what `skipif` says by a value; conditions in texts are left to pytest.
    """
    kept, others = [], []
    for item in items:
        conditions = [mark.args[0] for mark in item.iter_markers("skipif") if mark.args]
        (others if any(condition is True for condition in conditions) else kept).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = kept


@pytest.fixture(params=["inline", "wrap"] if can_splice() else ["wrap"])
def inject(request, monkeypatch):
    """Run the test under both injection strategies, where this Python has both."""
    monkeypatch.setenv("MERGEPARAM_INJECT", request.param)
    return request.param


@pytest.fixture(autouse=True)
def _no_strategy_from_outside(monkeypatch):
    """Let nothing but the tests themselves choose the strategy."""
    monkeypatch.delenv("MERGEPARAM_INJECT", raising=False)
