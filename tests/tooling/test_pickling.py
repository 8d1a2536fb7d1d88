"""Instances, bound methods, code, classes and errors survive copying, pickling and reloading."""

import concurrent.futures
import copy
import importlib
import inspect
import linecache
import marshal
import multiprocessing
import pickle

import cloudpickle
import pytest

from mergeparam import ConflictingParamError, MergeError, MissingParamError

SOURCE = '''"""Layers to be taken elsewhere."""

import mergeparam

METHODS = ("__call__", "cells", "generator")


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x, *, flag=None):
        return x, flag

    def cells(self, x, flag=None):
        return [(lambda: (x, flag))() for _ in "a"][0]

    def generator(self, x, *, flag=None):
        yield x, flag


def call(method, *args, **kwargs):
    return method(*args, **kwargs)
'''
METHODS = ("__call__", "cells", "generator")
NEITHER = (
    "neither place: self.flag is None and the call gave None. Set it in one of them: "
    "Layer(..., flag=...), or flag=... in the call; or provide it to all calls inside "
    "`with provide(flag=...):`."
)
BOTH = (
    "both places: self.flag is True and the call gave 7. Set it in one of them: "
    "leave flag= out of the call, or leave it out of Layer(..., flag=...)."
)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(
            pickle.dumps(value, protocol)
        )
        for protocol in PROTOCOLS
    },
    "pickle in Python": lambda value: pickle._loads(pickle._dumps(value)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def finish(result):
    return next(result) if inspect.isgenerator(result) else result


def outcomes(set_up, unset):
    """Return what the four kinds of call give for two objects or bound methods."""
    return [
        attempt(set_up, 1),
        attempt(unset, 1, flag=True),
        attempt(unset, 1),
        attempt(set_up, 1, flag=True),
    ]


def attempt(method, *args, **kwargs):
    try:
        return finish(method(*args, **kwargs))
    except MergeError as error:
        return type(error)


EXPECTED = [(1, True), (1, True), MissingParamError, ConflictingParamError]


@ways
def test_instances(load, inject, way):
    """A copied instance merges as the original does."""
    layer = load(SOURCE, inject).Layer
    set_up, unset = way(layer(True)), way(layer())

    assert layer is type(set_up)
    assert EXPECTED == outcomes(set_up, unset)


@pytest.mark.parametrize("method", METHODS)
@ways
def test_bound_methods(load, inject, way, method):
    """A copied bound method is the method of the copied instance."""
    layer = load(SOURCE, inject).Layer
    set_up, unset = (way(getattr(layer(flag), method)) for flag in (True, None))

    assert vars(layer)[method] is set_up.__func__
    assert EXPECTED == outcomes(set_up, unset)


@pytest.mark.parametrize("method", METHODS)
@ways
def test_functions(load, inject, way, method):
    """The function in the class is pickled by its name, as any method is."""
    function = vars(load(SOURCE, inject).Layer)[method]

    assert function is way(function)


@pytest.mark.parametrize("method", METHODS)
def test_code_passes_marshal(load, inject, method):
    """The code is made of literals, so that it can be stored in a file."""
    layer = load(SOURCE, inject).Layer
    function = vars(layer)[method]
    code = marshal.loads(marshal.dumps(function.__code__))
    positions = list(function.__code__.co_positions())
    copied = type(function)(
        code, function.__globals__, method, function.__defaults__, function.__closure__
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    setattr(layer, method, copied)

    assert function.__code__ == code
    assert positions == list(code.co_positions())
    assert EXPECTED == outcomes(getattr(layer(True), method), getattr(layer(), method))


LOAD = """
import inspect, pickle, sys
from pathlib import Path

set_up, unset = pickle.loads(Path("layers.pickle").read_bytes())
from mergeparam import MergeError
for method in ("__call__", "cells", "generator"):
    for layer, given in ((set_up, {}), (unset, {"flag": 7}), (unset, {}), (set_up, {"flag": 7})):
        try:
            result = getattr(layer, method)(1, **given)
            print(method, next(result) if inspect.isgenerator(result) else result)
        except MergeError as error:
            print(method, error)
print(inspect.signature(type(unset).__call__), type(unset).__mergeable__.owner)
"""
DUMP = """
if __name__ == "__main__":
    import sys
    from pathlib import Path

    import cloudpickle

    layers = (Layer(True), Layer())
    Path("layers.pickle").write_bytes(cloudpickle.dumps(layers, protocol=PROTOCOL))
"""


@pytest.fixture
def expected_elsewhere():
    """Return what `LOAD` prints."""
    lines = []
    for method in METHODS:
        lines += [f"{method} (1, True)", f"{method} (1, 7)"]
        lines += [
            f"{method} Layer.{method}(): 'flag' is set in {error}" for error in (NEITHER, BOTH)
        ]
    return [*lines, "(self, x, *, flag=None) Layer"]


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_classes_of_main_by_value(write, python, tmp_path, inject, protocol, expected_elsewhere):
    """A class of `__main__` works in a fresh process that has only its pickle."""
    path = write(SOURCE + DUMP.replace("PROTOCOL", str(protocol)), inject)
    python(path)
    path.unlink()

    assert expected_elsewhere == python("-c", LOAD).splitlines()


def test_registered_classes_by_value(load, python, tmp_path, inject, expected_elsewhere):
    """A class of a module that is pickled by value works where the module is not."""
    module = load(SOURCE, inject)
    cloudpickle.register_pickle_by_value(module)
    try:
        dumped = cloudpickle.dumps((module.Layer(True), module.Layer()))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    (tmp_path / "layers.pickle").write_bytes(dumped)
    (tmp_path / f"{module.__name__}.py").unlink()

    assert expected_elsewhere == python("-c", LOAD).splitlines()


MASKED = """
from pathlib import Path

import cloudpickle

from mergeparam import UNSET, Param, mergeable

unset = UNSET_OBJECT


@mergeable(Param("mask", unset=unset), inject="INJECT")
class Masked:
    def __init__(self, *mask):
        (self.mask,) = mask or [unset]

    def __call__(self, *, mask=unset):
        return mask


Path("layers.pickle").write_bytes(cloudpickle.dumps((Masked(), Masked(None))))
"""
LOAD_MASKED = """
import pickle
from pathlib import Path

from mergeparam import MissingParamError

unset, set_up = pickle.loads(Path("layers.pickle").read_bytes())
print(unset(mask=2), set_up())
try:
    unset()
except MissingParamError as error:
    print(error.attribute_value is error.call_value is unset.mask)
"""


@pytest.mark.parametrize("unset", ["UNSET", "...", "object()"])
def test_unset_objects_by_value(python, inject, unset):
    """What means "not set" keeps its identity inside a class that is pickled by value."""
    python("-c", MASKED.replace("UNSET_OBJECT", unset).replace("INJECT", inject))

    assert ["2 None", "True"] == python("-c", LOAD_MASKED).splitlines()


SUBCLASS = """
import pickle
from pathlib import Path

from mergeparam import mergeable

Base = type(pickle.loads(Path("layers.pickle").read_bytes())[0])


@mergeable("flag", inject="INJECT")
class Layer(Base):
    def __call__(self, x, *, flag=None):
        return super().__call__(x, flag=flag)


print(Layer(True)(1), Layer()(1, flag=7))
"""


def test_namesake_subclass_of_a_class_by_value(write, python, inject):
    """A class from a pickle and a subclass of the same name are told apart."""
    python(write(SOURCE + DUMP.replace("PROTOCOL", "4"), inject))
    expected = "(1, True) (1, 7)\n"

    assert expected == python("-c", SUBCLASS.replace("INJECT", inject))


TWICE = """
from pathlib import Path

import cloudpickle

from mergeparam import MERGED, mergeable

kept = []
for _ in range(2):

    @mergeable("flag", inject="INJECT")
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            return flag

    kept.append(Layer)
Path("layers.pickle").write_bytes(cloudpickle.dumps(Layer))
"""
NAMESAKES = """
import pickle
from pathlib import Path

from mergeparam import MERGED, MissingParamError, Param, mergeable

Base = pickle.loads(Path("layers.pickle").read_bytes())
kept = []
for base in (object, Base):

    @mergeable(Param("flag", default="of the subclass"), inject="INJECT")
    class Layer(base):
        flag = None

        def __call__(self, *, flag=MERGED):
            return super().__call__()

    kept.append(Layer)
try:
    print(Layer()())
except MissingParamError as error:
    print(error.param)
"""


def test_numbered_namesake_by_value(python, inject):
    """A number that a namesake got in another process is not given away again here."""
    python("-c", TWICE.replace("INJECT", inject))

    assert "flag\n" == python("-c", NAMESAKES.replace("INJECT", inject))


MIXIN = """
import sys
from pathlib import Path

import cloudpickle

from mergeparam import MERGED, Param, mergeable

name = sys.argv[1]


@mergeable(Param("flag", default=name), inject="INJECT")
class Layer:
    flag = None

    def __call__(self, *, flag=MERGED):
        return flag


Path(name).write_bytes(cloudpickle.dumps(Layer))
"""
MIXED = """
import pickle
from pathlib import Path

from mergeparam import MergeDefinitionError

one, other = (pickle.loads(Path(name).read_bytes()) for name in ("one", "other"))


class Both(one, other):
    def __call__(self):
        return other.__call__(self)


print(one()(), other()())
try:
    print(Both()())
except MergeDefinitionError as error:
    print(error)
"""


def test_namesakes_from_two_processes(python, inject):
    """Two classes of one name cannot be told apart inside a third one, and that is said."""
    for name in ("one", "other"):
        python("-c", MIXIN.replace("INJECT", inject), name)
    apart, together = python("-c", MIXED).splitlines()

    assert "one other" == apart
    assert together.startswith("Both inherits from two merged classes of one name")


BY_VALUE = """
from pathlib import Path

import cloudpickle
import layers_INJECT
from mergeparam import mergeable


@mergeable("flag", inject="INJECT")
class Layer(layers_INJECT.Layer):
    def __call__(self, x, *, flag=None):
        return super().__call__(x, flag=flag)


Path("layers.pickle").write_bytes(cloudpickle.dumps((Layer(True), Layer())))
"""
AFTER_ANOTHER = """
import pickle
from pathlib import Path

import another

set_up, unset = pickle.loads(Path("layers.pickle").read_bytes())
print(set_up(1), unset(1, flag=7))
"""


def test_class_by_value_with_a_namesake_base_by_name(write, python, tmp_path, inject):
    """Which other classes of the name were there first, in either process, does not matter."""
    path = write(SOURCE, inject)
    (tmp_path / "another.py").write_text(path.read_text())
    python("-c", BY_VALUE.replace("INJECT", inject))
    expected = "(1, True) (1, 7)\n"

    assert expected == python("-c", AFTER_ANOTHER)


def test_reload(load, inject, monkeypatch):
    """A reloaded module has a new class that works, and old instances go on to work."""
    module = load(SOURCE, inject)
    monkeypatch.syspath_prepend(str(module.__file__).rpartition("/")[0])
    old = module.Layer, module.Layer(True), module.Layer()
    keys = {keys_of(module)}
    for _ in range(3):
        linecache.checkcache()
        module = importlib.reload(module)
        keys.add(keys_of(module))

        assert old[0] is not module.Layer
        assert EXPECTED == outcomes(module.Layer(True), module.Layer())
        assert EXPECTED == outcomes(*old[1:])

    assert len(keys) > 1


def keys_of(module):
    return tuple(method.key.text for method in module.Layer.__mergeable__.methods)


def fields(error):
    return {**vars(error), "args": error.args, "type": type(error)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("flag", "given"), [(None, {}), (True, {"flag": False})])
def test_errors(load, inject, protocol, flag, given):
    """An error of a call keeps its text and fields."""
    with pytest.raises(MergeError) as caught:
        load(SOURCE, inject).Layer(flag)(1, **given)
    error = pickle.loads(pickle.dumps(caught.value, protocol))

    assert fields(caught.value) == fields(error)


def test_errors_come_back_from_other_processes(load, inject, tmp_path, monkeypatch):
    """A worker gets the bound method, and its errors arrive as they were raised."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = load(SOURCE, inject)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        calls = [
            pool.submit(module.call, module.Layer(flag).cells, 1, **given)
            for flag, given in ((True, {}), (None, {"flag": 7}), (None, {}), (True, {"flag": 7}))
        ]
        results = [call.exception() or call.result() for call in calls]
    missing, conflict = results[2:]

    assert [(1, True), (1, 7)] == results[:2]
    assert (MissingParamError, "Layer", "cells", "flag") == (
        *(type(missing), missing.owner, missing.method, missing.param),
    )
    assert (ConflictingParamError, True, 7) == (
        *(type(conflict), conflict.attribute_value, conflict.call_value),
    )


def test_slotted_classes_by_value(python, tmp_path, inject):
    """Classes that attrs has made anew, with `super()`, travel with what the author wrote."""
    path = tmp_path / "slotted.py"
    path.write_text(SLOTTED)

    expected = ["7", "True", "(self, x, *, flag: bool = MERGED)"]
    assert expected == python(path).splitlines()


SLOTTED = """
import attrs
import cloudpickle

from mergeparam import MERGED, mergeable
from mergeparam._signature import written_signature


@mergeable("flag")
@attrs.frozen
class Layer:
    flag: bool | None = None

    def __call__(self, x, *, flag: bool = MERGED):
        return flag


@mergeable("flag")
@attrs.frozen
class Child(Layer):
    def __call__(self, x, *, flag: bool = MERGED):
        return super().__call__(x, flag=flag)


there = cloudpickle.loads(cloudpickle.dumps(Child))
(method,) = there.__mergeable__.methods
print(there()(1, flag=7))
print(there(True)(1))
print(str(written_signature(vars(there)["__call__"], method.written)).replace("'", ""))
"""
