"""Fixtures that every group of tests may use."""

import pytest

from mergeparam._inject.splice import can_splice


@pytest.fixture(params=["inline", "wrap"])
def inject(request, monkeypatch):
    """Run the test under both injection strategies."""
    if request.param == "inline" and not can_splice():
        pytest.skip("this interpreter's bytecode is not one that is tested")
    monkeypatch.setenv("MERGEPARAM_INJECT", request.param)
    return request.param


@pytest.fixture(autouse=True)
def _no_strategy_from_outside(monkeypatch):
    """Let nothing but the tests themselves choose the strategy."""
    monkeypatch.delenv("MERGEPARAM_INJECT", raising=False)
