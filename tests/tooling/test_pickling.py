"""Instances, bound methods, code, classes and errors survive copying, pickling and reloading."""

import marshal

import pytest
from ways import WAYS

from mergeparam import provide

SOURCE = '''"""Layers to be taken elsewhere."""

import attrs
import mergeparam

METHODS = ("__call__", "cells", "waiting")


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        return x, flag

    def cells(self, x, flag=None):
        return [(lambda: (x, flag))() for _ in "a" if __class__][0]

    async def waiting(self, x, *, flag=None):
        return x, flag


def around(value):
    """Return a subclass, of the same name, whose method closes over a value."""

    @mergeparam.mergeable("flag", OPTIONS)
    class Layer(globals()["Layer"]):
        def __call__(self, x, *, flag=None):
            return super().__call__(x, flag=flag) if value else None

    return Layer


@mergeparam.mergeable("flag", OPTIONS)
@attrs.frozen
class Slotted(Layer):
    flag: bool | None = None

    def __call__(self, x, *, flag: bool = mergeparam.MERGED):
        return super().__call__(x, flag=flag)


def attempt(method, *args, **given):
    """Return what a method of any kind gives, or the text of the error."""
    try:
        result = method(*args, **given)
        return result.send(None) if hasattr(result, "send") else result
    except StopIteration as stop:
        return stop.value
    except mergeparam.MergeError as error:
        return str(error)


def outcomes(set_up, unset):
    """Return what the four kinds of call of each method give for two objects."""
    calls = ((set_up, {}), (unset, {"flag": 7}), (unset, {}), (set_up, {"flag": 7}))
    return [
        attempt(getattr(layer, method), 1, **given)
        for method in METHODS
        for layer, given in calls
    ]

'''
METHODS = ("__call__", "cells", "waiting")
NEITHER = (
    "neither place:\n  self.flag is None and the call gave None.\n  Set it in one of them: "
    "Layer(..., flag=...), or flag=... in the call;\n  or provide it to all calls inside "
    "`with provide(flag=...):`.\n  "
    "find_unset(model) lists every object in a model that still needs something."
)
BOTH = (
    "both places:\n  self.flag is True and the call gave 7.\n  Set it in one of them: "
    "leave flag= out of the call, or leave it out of Layer(..., flag=...)."
)
EXPECTED = [
    outcome
    for method in METHODS
    for outcome in (
        *((1, True), (1, 7)),
        *(f"Layer.{method}(): 'flag' is set in {places}" for places in (NEITHER, BOTH)),
    )
]


@pytest.fixture
def module(load, variant):
    """Return the module, imported anew."""
    return load(SOURCE, variant)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_copies(module, way):
    """A copied instance merges as the original does; functions and methods go by their names."""
    layer = module.Layer

    assert layer is type(way(layer()))
    assert EXPECTED == module.outcomes(way(layer(True)), way(layer()))
    for method in METHODS:
        set_up, unset = (way(getattr(layer(flag), method)) for flag in (True, None))
        assert vars(layer)[method] is way(vars(layer)[method]) is set_up.__func__
        assert EXPECTED == module.outcomes(set_up.__self__, unset.__self__)


def test_code_passes_marshal(module):
    """The code is made of literals, so that it can be stored in a file."""
    layer = module.Layer
    for method in METHODS:
        function = vars(layer)[method]
        code = marshal.loads(marshal.dumps(function.__code__))
        copied = type(function)(
            code, function.__globals__, method, function.__defaults__, function.__closure__
        )
        copied.__kwdefaults__ = function.__kwdefaults__
        setattr(layer, method, copied)

        assert function.__code__ == code
        assert [*function.__code__.co_positions()] == [*code.co_positions()]
    assert EXPECTED == module.outcomes(layer(True), layer())


# Classes that go to another process by value.

DUMP = """
if __name__ == "__main__":
    from pathlib import Path

    import cloudpickle

    pairs = [(cls(True), cls()) for cls in (Layer, around([7]), Slotted)]
    for protocol in (2, 5):
        dumped = cloudpickle.dumps((outcomes, pairs), protocol=protocol)
        Path(f"layers.{protocol}").write_bytes(dumped)
"""
LOAD = """
import inspect
import pickle
import sys
from pathlib import Path

for name in sys.argv[1:]:
    outcomes, pairs = pickle.loads(Path(name).read_bytes())
    layer = type(pairs[0][0])
    shown = str(inspect.signature(layer.__call__)), layer.__mergeable__.owner
    print(([outcomes(*pair) for pair in pairs], *shown))
"""


def without_text(outcomes):
    """Return outcomes with nothing of the errors' texts but what is wrong."""
    return [
        found if isinstance(found, tuple) else found.split("is set in ")[1][:4]
        for found in outcomes
    ]


def test_classes_of_main_by_value(write, python, variant):
    """Classes of `__main__`, slotted or closing over values, work where only their pickle is."""
    path = write(SOURCE + DUMP, variant)
    python(path)
    path.unlink()

    for line in python("-c", LOAD, "layers.2", "layers.5").splitlines():
        outcomes, *shown = eval(line)
        assert EXPECTED == outcomes[0]
        assert [without_text(EXPECTED)] * 3 == [*map(without_text, outcomes)]
        assert ["(self, x, *, flag=None)", "Layer"] == shown


@pytest.mark.parametrize("way", [name for name in WAYS if name not in ("pickle 0", "pickle 1")])
def test_provide(way):
    """A `provide` is copied with its values; the oldest protocols know no slots."""
    scope = provide(flag=[1])
    copied = WAYS[way](scope)
    with scope, copied:
        pass

    assert "provide(flag=[1])" == repr(copied)
