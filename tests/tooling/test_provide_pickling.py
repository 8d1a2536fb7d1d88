"""Classes and objects whose methods provide survive copying, pickling and reloading."""

import copy
import importlib
import inspect
import linecache
import marshal
import pickle

import cloudpickle
import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError, provide

SOURCE = '''"""Layers to be taken elsewhere."""

import asyncio

import mergeparam

METHODS = ("__call__", "steps", "waiting", "stream")


@mergeparam.mergeable("flag")
class Leaf:
    flag = None

    def __call__(self, *, flag=None):
        return flag


@mergeparam.mergeable("flag", method=METHODS, provide=True)
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        return x, flag, Leaf()(), __class__ is type(self)

    def steps(self, x, *, flag=None):
        yield x, flag, Leaf()(), __class__ is type(self)

    async def waiting(self, x, *, flag=None):
        return x, flag, Leaf()(), __class__ is type(self)

    async def stream(self, x, *, flag=None):
        yield x, flag, Leaf()(), __class__ is type(self)


def around(value):
    """Return a class whose methods close over a value."""

    @mergeparam.mergeable("flag", method=("__call__", "steps"), provide=True)
    class Closing(Layer):
        def __call__(self, x, *, flag=None):
            return *super().__call__(x, flag=flag)[:3], value

        def steps(self, x, *, flag=None):
            yield *next(super().steps(x, flag=flag))[:3], value

    return Closing


def run(layer, method, *args, **kwargs):
    """Return what a method of any kind gives."""
    result = getattr(layer, method)(*args, **kwargs)
    if method == "steps":
        return next(result)
    if method == "waiting":
        return asyncio.run(result)
    return asyncio.run(first(result)) if method == "stream" else result


async def first(stream):
    """Return what an async generator yields first."""
    try:
        return await anext(stream)
    finally:
        await stream.aclose()
'''
METHODS = ("__call__", "steps", "waiting", "stream")
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(
            pickle.dumps(value, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "pickle in Python": lambda value: pickle._loads(pickle._dumps(value)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
}
EXPECTED = [
    (1, True, True, True),
    (1, True, True, True),
    MissingParamError,
    ConflictingParamError,
]
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def module(load):
    """Return the module, imported anew."""
    return load(SOURCE, "inline")


def outcomes(module, method, set_up, unset):
    """Return what the four kinds of call give for two objects."""
    calls = ((set_up, {}), (unset, {"flag": True}), (unset, {}), (set_up, {"flag": True}))
    return [attempt(module, layer, method, given) for layer, given in calls]


def attempt(module, layer, method, given):
    """Return the result, or the type of the error."""
    try:
        return module.run(layer, method, 1, **given)
    except MergeError as error:
        return type(error)


@every_way
def test_instances(module, way):
    """A copied object provides as the original does."""
    set_up, unset = way(module.Layer(True)), way(module.Layer())

    assert module.Layer is type(set_up)
    for method in METHODS:
        assert EXPECTED == outcomes(module, method, set_up, unset)


@pytest.mark.parametrize("method", METHODS)
@every_way
def test_functions_and_bound_methods(module, way, method):
    """They are pickled by name, as any methods are."""
    layer = module.Layer(True)

    assert vars(module.Layer)[method] is way(vars(module.Layer)[method])
    assert vars(module.Layer)[method] is way(getattr(layer, method)).__func__


@pytest.mark.parametrize("method", METHODS)
def test_code_passes_marshal(module, method):
    """The generated code is made of literals, so that it can be stored in a file."""
    function = vars(module.Layer)[method]

    assert function.__code__ == marshal.loads(marshal.dumps(function.__code__))
    assert all(line == function.__code__.co_firstlineno for *_, line in lines(function.__code__))


def lines(code):
    """Return the lines of all instructions that have one."""
    return [entry for entry in code.co_lines() if entry[-1] is not None]


def test_class_by_value(module):
    """A class of a function goes along with all that its methods reach."""
    cloudpickle.register_pickle_by_value(module)
    try:
        dumped = cloudpickle.dumps((module.around([7]), module.run))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    copied, run = pickle.loads(dumped)

    assert module.Layer is not copied
    for method, last in zip(METHODS, ([7], [7], False, False), strict=True):
        expected = (1, 2, 2, last)
        assert expected == run(copied(2), method, 1) == run(copied(), method, 1, flag=2)
        with pytest.raises(ConflictingParamError):
            run(copied(2), method, 1, flag=2)


LOAD = """
import pickle
from pathlib import Path

copied, run = pickle.loads(Path("layers.pickle").read_bytes())
for method in ("__call__", "steps", "waiting", "stream"):
    print(run(copied(2), method, 1))
"""


def test_class_by_value_elsewhere(module, python, tmp_path):
    """It works in a process that has neither the module nor has used the library."""
    cloudpickle.register_pickle_by_value(module)
    try:
        dumped = cloudpickle.dumps((module.around("v"), module.run))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    (tmp_path / "layers.pickle").write_bytes(dumped)
    (tmp_path / f"{module.__name__}.py").unlink()
    expected = "(1, 2, 2, 'v')\n" * 2 + "(1, 2, 2, False)\n" * 2

    assert expected == python("-c", LOAD)


def test_reload(module, monkeypatch):
    """A reloaded module has a class that works, and old objects go on to work."""
    monkeypatch.syspath_prepend(str(module.__file__).rpartition("/")[0])
    old = module.Layer(True), module.Layer()
    linecache.checkcache()
    again = importlib.reload(module)

    for method in METHODS:
        assert EXPECTED == outcomes(again, method, again.Layer(True), again.Layer())
        assert EXPECTED == outcomes(again, method, *old)


@pytest.mark.parametrize("way", [name for name in WAYS if name not in ("pickle 0", "pickle 1")])
def test_provide(way):
    """A `provide` is copied with its values; the oldest protocols know no slots."""
    scope = provide(flag=[1])
    copied = WAYS[way](scope)

    assert "provide(flag=[1])" == repr(copied)
    with scope, copied:
        pass


def test_source(module):
    """The source of a method that provides is what its author wrote."""
    for method in METHODS:
        assert f"{method}(self, x, *, flag=None):" in inspect.getsource(vars(module.Layer)[method])
