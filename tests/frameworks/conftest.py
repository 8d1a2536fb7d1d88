"""What holds for every file of these tests."""

import gc

import pytest

from mergeparam._call.provide import living


@pytest.fixture(autouse=True, scope="module")
def _no_scope_is_left():
    """Let no file leave a scope of provided values behind it, which others would meet."""
    yield
    gc.collect()
    assert not living.scopes
