"""Parameters and defaults: read, and changed as a function's author would have written them."""

import pickle

import pytest

from mergeparam._declare.signature import (
    change_defaults,
    original_signature,
    read_defaults,
    read_original,
    read_parameters,
)


def function_of(signature):
    """Return a function with a signature that is given as text."""
    namespace = {}
    exec(f"def function({signature}): inner = 0", namespace)
    return namespace["function"]


@pytest.mark.parametrize(
    ("signature", "positional", "named", "every"),
    [
        ("self", "self", "self", "self"),
        ("self, /", "self", "self", "self"),
        ("self, x, /, y", "self x y", "self x y", "self x y"),
        ("self, x, /, y, *args, z, **kw", "self x y", "self x y z", "self x y z args kw"),
        ("self, *, z", "self", "self z", "self z"),
        ("*args, **kwargs", "", "", "args kwargs"),
        ("*args, z", "", "z", "z args"),
        ("self, **kw", "self", "self", "self kw"),
        ("", "", "", ""),
    ],
)
def test_parameters(signature, positional, named, every):
    """They come out as they were written, by kind and in order; locals are none."""
    parameters = read_parameters(function_of(signature).__code__)

    assert signature == parameters.as_signature()
    found = parameters.positional, parameters.named, parameters.all
    assert (positional, named, every) == tuple(map(" ".join, found))


@pytest.mark.parametrize(
    ("signature", "values", "defaults", "kwdefaults"),
    [
        ("self, x, y=1", {}, (1,), None),
        ("self, x, y=1", {"y": 2}, (2,), None),
        ("self, x, y=1", {"x": 0}, (0, 1), None),
        ("self, x, /, y, *, z", {"y": 0, "z": 3}, (0,), {"z": 3}),
        ("self, *args, y=1, z=2", {"z": None}, None, {"y": 1, "z": None}),
        ("self, *, y, z=2", {"y": None}, None, {"y": None, "z": 2}),
        ("self, x", {"elsewhere": 1, "self": 0, "x": 1}, (0, 1), None),
        ("self", {}, None, None),
    ],
)
def test_defaults(signature, values, defaults, kwdefaults):
    """New values take their places, and the function stays as it is."""
    function = function_of(signature)
    before = function.__defaults__, function.__kwdefaults__

    assert (defaults, kwdefaults) == change_defaults(function, values)
    assert before == (function.__defaults__, function.__kwdefaults__)


def test_more_defaults_than_parameters():
    """Python ignores the first ones, and so must the defaults that the merge leaves."""
    function = function_of("self, x, *, y")
    function.__defaults__ = (7, 8, 9, 10)
    function.__kwdefaults__ = {"y": 1, "nothing": 2}
    function.__defaults__, function.__kwdefaults__ = change_defaults(function, {"x": None})

    assert ((9, None), {"y": 1}) == (function.__defaults__, function.__kwdefaults__)
    assert {"self": 9, "x": None, "y": 1} == read_defaults(function)


def test_original_signature():
    """It is that of before the merge, also where a pickle has made text of the annotations."""
    function = function_of("self, x: int = 1, *, flag: bool")
    original = read_original(function)
    function.__kwdefaults__ = {"flag": None}
    function.__annotations__ = {}
    travelled = pickle.loads(pickle.dumps(original))

    expected = "(self, x: int = 1, *, flag: bool)"
    assert expected == str(original_signature(function, original))
    assert expected == str(original_signature(function, travelled)).replace("'", "")
