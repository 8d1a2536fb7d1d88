"""Packages of others that not every Python has, and what stands in for them there."""

import importlib
import sys
from types import SimpleNamespace

import pytest


def _load(name):
    try:
        return importlib.import_module(name)
    except (AttributeError, ImportError):
        return None


class Array:
    """Compares item by item, and has no truth, as arrays of NumPy do."""

    __hash__ = None

    def __init__(self, *items):
        self.items, self.shape = items, (len(items),)

    def __eq__(self, other):
        others = other.items if isinstance(other, Array) else [other] * len(self.items)
        return Array(*[one == two for one, two in zip(self.items, others, strict=True)])

    def __bool__(self):
        raise ValueError("the truth of an array")

    def all(self):
        """Whether every item is true."""
        return all(self.items)


# There is no wheel of NumPy for PyPy.
np = _load("numpy") or SimpleNamespace(
    arange=lambda size: Array(*range(size)),
    ones=lambda size: Array(*[1] * size),
    zeros=lambda size: Array(*[0] * size),
)

counts_references = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="objects go when they are collected"
)

written_for_cpython = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="the bytecode of CPython is read"
)

cloudpickle = _load("cloudpickle")
needs_cloudpickle = pytest.mark.skipif(
    cloudpickle is None, reason="cloudpickle cannot be imported by PyPy"
)
