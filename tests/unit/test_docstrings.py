"""The examples in the docstrings of public names run."""

import doctest
import importlib
import pathlib

import pytest

import mergeparam

MODULES = sorted(
    {
        getattr(mergeparam, name).__module__
        for name in mergeparam.__all__
        if hasattr(getattr(mergeparam, name), "__module__")
    }
    | {"mergeparam._sentinels"}
)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    """Every example prints what it says."""
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)

    assert 0 == result.failed
    assert result.attempted > 0


@pytest.mark.parametrize("name", mergeparam.__all__)
def test_every_public_name_has_an_example(name):
    """A public name is documented, with an example."""
    found = getattr(mergeparam, name)
    module = importlib.import_module("mergeparam._sentinels")
    text = found.__doc__ if isinstance(found, type) or callable(found) else None

    if text is None:
        text = (
            pathlib.Path(module.__file__)
            .read_text(encoding="utf-8")
            .partition(f"{name}: Final")[2]
        )

    assert ">>> " in text
