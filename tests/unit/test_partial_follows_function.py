"""A `strict_partial` calls its function as it is now, as a `functools.partial` does."""

import copy
import functools
import importlib.util
import inspect
import itertools
import pickle
import sys
from types import FunctionType, GenericAlias

import attrs
import pytest

from mergeparam import ConflictingParamError, _partial, strict_partial


def fresh_function():
    """Return a new function, which a test may change."""

    def function(a, b=2, *, c, d=4):
        return a, b, c, d

    return function


def fresh_class():
    """Return a new class, which a test may change."""

    class Layer:
        def __init__(self, a, b=2, *, c, d=4):
            self.given = a, b, c, d

    return Layer


def fresh_attrs_class():
    """Return a new class of attrs."""
    return attrs.make_class("Layer", {"a": attrs.field(), "c": attrs.field(kw_only=True)})


def other_names(b, d, a=0, *, c=None):
    return "other", b, d, a, c


def fewer(*, c):
    return c


def anything(*args, **kwargs):
    return args, kwargs


def initialize(self, a, e=50, *, c):
    self.given = a, e, c


def replace_in_place(function):
    """Change the dictionary of defaults itself."""
    function.__kwdefaults__["d"] = 40


def take_code(function, other):
    """Let a function become another one."""
    function.__code__ = other.__code__
    function.__defaults__, function.__kwdefaults__ = other.__defaults__, other.__kwdefaults__


CHANGES = {
    "defaults": lambda function: setattr(function, "__defaults__", (20,)),
    "a bound default": lambda function: setattr(function, "__kwdefaults__", {"c": 3, "d": 40}),
    "keyword defaults in place": replace_in_place,
    "other names": lambda function: take_code(function, other_names),
    "fewer parameters": lambda function: take_code(function, fewer),
    "any parameters": lambda function: take_code(function, anything),
}
CALLS = [
    (tuple(range(1, count + 1)), dict.fromkeys(names, 9))
    for count in range(5)
    for size in range(3)
    for names in itertools.combinations("abdef", size)
]


def outcome(call, args, kwargs):
    """Return the result of a call, or the text of its error."""
    try:
        result = call(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return getattr(result, "__dict__", result)


CLASS_CHANGES = {
    "init": lambda cls: setattr(cls, "__init__", initialize),
    "init of a builtin kind": lambda cls: setattr(cls, "__init__", lambda self, *_, **__: None),
    "defaults of init": lambda cls: setattr(cls.__init__, "__defaults__", (20,)),
    "new": lambda cls: setattr(cls, "__new__", lambda cls, *args, **kwargs: (args, kwargs)),
}


@pytest.mark.parametrize(
    ("make", "change"),
    [
        *[(fresh_function, change) for change in CHANGES.values()],
        *itertools.product([fresh_class, fresh_attrs_class], CLASS_CHANGES.values()),
    ],
)
def test_changed(make, change):
    """Every call gives what a `functools.partial` gives, down to the text of the errors.

    A template of a class whose constructor is patched makes what the patched class makes.
    """
    function = make()
    strict, loose = (kind(function, c=3) for kind in (strict_partial, functools.partial))
    strict(1)
    change(function)

    for args, kwargs in CALLS:
        assert outcome(loose, args, kwargs) == outcome(strict, args, kwargs)
    with pytest.raises(ConflictingParamError):
        strict(1, c=3)
    if getattr(function, "__code__", None) is other_names.__code__:
        assert "(b, d, a=0)" == str(inspect.signature(strict))


def test_changed_methods():
    """So do a bound method and an object that can be called."""

    class Layer:
        def __call__(self, a, *, c):
            return a, c

    layer = Layer()
    strict = strict_partial(layer, c=3), strict_partial(layer.__call__, c=3)
    take_code(Layer.__call__, lambda self, a, b=2, *, c: (a, b, c))

    assert [(1, 2, 3), (1, 2, 3)] == [call(1) for call in strict]
    Layer.__call__ = lambda self, a, *, c: ("patched", a, c)
    assert [("patched", 1, 3), (1, 2, 3)] == [call(1) for call in strict]


def test_bound_name_moves():
    """A bound name is refused at the position that it has now, and not at the one it had."""

    def function(a, b):
        return a, b

    strict = strict_partial(function, b=2)
    take_code(function, lambda a, x, y, z, b: (a, x, y, z, b))

    assert (1, 3, 4, 5, 2) == strict(1, 3, 4, 5)
    with pytest.raises(ConflictingParamError, match="b=6 was given again"):
        strict(1, 3, 4, 5, 6)
    take_code(function, lambda b, a=1: (a, b))
    assert (1, 2) == strict()
    with pytest.raises(TypeError, match="multiple values for argument 'b'"):
        strict(5)


def test_type_error_of_the_body():
    """A `TypeError` that the function itself raises passes, and hides no other."""

    def function(*args, **kwargs):
        raise TypeError("from the body")

    strict = strict_partial(function, c=3)

    for args, kwargs in ((), {}), ((1, 2, 3, 4), {}), ((), {"d": 4}):
        with pytest.raises(TypeError, match="from the body") as caught:
            strict(*args, **kwargs)
        assert caught.value.__context__ is None
    with pytest.raises(ConflictingParamError) as caught:
        strict(c=3)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("given", [(True,), (True, 2)])
def test_value_by_position(given):
    """It is told that values are bound by name, and how that is written."""
    with pytest.raises(TypeError) as caught:
        strict_partial(fresh_class, *given)

    assert (
        "strict_partial binds by name, and True was given by position. Write "
        "strict_partial(fresh_class, name=True), with the parameter's name."
    ) == str(caught.value)


# The state of a partial.


def test_setstate():
    """A state binds what a `functools.partial` binds of it, for good."""
    function = fresh_function()
    strict, loose = strict_partial(len), functools.partial(len)
    state = function, (1,), {"c": 3}, {"note": "kept"}
    strict.__setstate__(state)
    loose.__setstate__(state)

    assert "kept" == strict.note == loose.note
    assert (1, 2, 3, 4) == strict() == loose()
    assert "(b=2, *, d=4)" == str(inspect.signature(strict))
    for args, kwargs in ((), {"c": 3}), ((5,), {"c": 3}):
        with pytest.raises(ConflictingParamError):
            strict(*args, **kwargs)
    state[2]["c"] = 5
    assert (1, 2, 3, 4) == strict()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (3, TypeError),
        ((print, (), {}), TypeError),
        ((3, (), {}, {}), TypeError),
        ((fresh_function(), (), {"x": 1}, {}), TypeError),
        ((functools.partial(print, end=""), (), {"end": "x"}, {}), ConflictingParamError),
        ((strict_partial(print, end=""), (), {"end": "x"}, {}), ConflictingParamError),
    ],
)
def test_wrong_state(state, error):
    """What cannot be bound changes nothing."""
    strict = strict_partial(fresh_function(), c=3)
    strict.note = "kept"
    with pytest.raises(error):
        strict.__setstate__(state)

    assert ((1, 2, 3, 4), "kept") == (strict(1), strict.note)


def test_state_of_itself():
    """A partial that is to call itself stays what it is; one that is a loop is refused."""
    strict, loop = strict_partial(fresh_function(), c=3), functools.partial(print)
    strict.__setstate__((strict, (), {"d": 5}, None))
    loop.__setstate__((loop, (), {}, None))

    assert (1, 2, 3, 5) == strict(1)
    with pytest.raises(RecursionError):
        strict_partial(loop, end="")


def module_function(a, *, c):
    return a, c


@pytest.mark.parametrize("way", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_value_that_holds_the_partial(way):
    """It travels, and the copy holds itself."""
    value = []
    value.append(strict_partial(module_function, c=value))
    copied = way(value)[0]

    assert copied is copied(1)[1][0]
    assert value[0] is not copied


# Where `functools.partial` is written in Python, as in PyPy.


@pytest.fixture
def partial_in_python(monkeypatch):
    """Return `functools` in Python, and the module of `strict_partial` beside it."""
    with monkeypatch.context() as patch:
        for name, module in (("_functools", None), ("functools", functools)):
            patch.setitem(sys.modules, name, module)
        in_python = load(functools.__file__, "functools")
        # PyPy adds what CPython's Python source lacks.
        in_python.partial.__class_getitem__ = classmethod(GenericAlias)
        patch.setitem(sys.modules, "functools", in_python)
        module = load(_partial.__file__, "mergeparam._partial")
    monkeypatch.setattr(importlib.import_module("inspect"), "functools", in_python)
    return in_python, module


def load(path, name):
    """Execute a file as another module of the same name."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_partial_in_python(partial_in_python):
    """It is called, copied and changed as the one in C, and as strict."""
    in_python, module = partial_in_python
    function = fresh_function()
    strict = module.strict_partial(function, c=3)
    strict.note = "kept"

    assert isinstance(in_python.partial.__new__, FunctionType)
    assert isinstance(strict, in_python.partial)
    assert (function, (), {"c": 3}) == (strict.func, strict.args, strict.keywords)
    assert (1, 2, 3, 4) == strict(1) == copy.copy(strict)(1)
    assert "kept" == copy.deepcopy(strict).note
    assert "(a, b=2, *, d=4)" == str(inspect.signature(strict))
    for overruling in (strict, copy.copy(strict), module.strict_partial(strict, d=5)):
        with pytest.raises(ConflictingParamError):
            overruling(1, c=4)
    strict.__setstate__((function, (1,), {"c": 5}, None))
    assert (1, 2, 5, 4) == strict()


def test_inside_a_partial_in_python(partial_in_python):
    """What Python code would take apart is strict, or refused."""
    in_python, module = partial_in_python
    strict = module.strict_partial(fresh_function(), c=3)
    # PyPy has the source of Python 3.11.
    if sys.version_info >= (3, 13):
        with pytest.raises(AttributeError):
            in_python.partial(strict, d=5)
        return

    assert (1, 2, 3, 5) == in_python.partial(strict, d=5)(1)
    with pytest.raises(ConflictingParamError):
        in_python.partial(strict, c=4)(1)
