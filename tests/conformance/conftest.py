"""Every conformance test runs under both injection strategies."""

import pytest


@pytest.fixture(autouse=True)
def _both_strategies(inject):
    """Ask for the strategies, so that no test here can forget to."""
