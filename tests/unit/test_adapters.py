"""Frameworks are looked for among what is imported, and only there."""

import sys

from mergeparam import _frameworks


def test_module_that_must_not_be_imported(monkeypatch):
    """`None` in `sys.modules` keeps a framework out, as tests of optional packages do."""
    monkeypatch.setattr(_frameworks, "_waiting", {"absent"})
    monkeypatch.setitem(sys.modules, "absent", None)
    monkeypatch.setattr(_frameworks._Seen, "modules", 0)
    _frameworks.load_adapters()

    assert {"absent"} == _frameworks._waiting
    assert len(sys.modules) == _frameworks._Seen.modules
