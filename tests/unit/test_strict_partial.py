"""`strict_partial`: what it binds, what it refuses, and what it looks like."""

import asyncio
import copy
import dataclasses
import functools
import inspect
import operator
import pickle
import weakref
from collections import namedtuple

import attrs
import cloudpickle
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    mergeable,
    strict_partial,
)


def plain(a, b, *, c, d=4):
    return a, b, c, d


def positional_only(a, b, /, x, y=3, *, z=4):
    return a, b, x, y, z


def variadic(a, x, *args, z=4, **kwargs):
    return a, x, args, z, kwargs


def anything(*args, **kwargs):
    return args, kwargs


def test_bound_keyword_only():
    """A keyword-only argument is given by the partial, and the rest by the call."""
    bound = strict_partial(plain, c=3)

    assert (1, 2, 3, 4) == bound(1, 2) == bound(b=2, a=1)
    assert (1, 2, 3, 5) == bound(1, 2, d=5)


@pytest.mark.parametrize("given", [3, 4, None, [], object()])
def test_given_again_by_name(given):
    """Whatever is given again, equal or not, is an error."""
    bound = strict_partial(plain, c=3)

    with pytest.raises(ConflictingParamError) as caught:
        bound(1, 2, c=given)
    assert ("c", 3, given) == (
        caught.value.param,
        caught.value.attribute_value,
        caught.value.call_value,
    )


def test_text_of_the_error():
    """The error names the partial, the parameter, both values and the fix."""
    with pytest.raises(ConflictingParamError) as caught:
        strict_partial(plain, c=3, d=[4])(1, 2, d=5)

    assert (
        "strict_partial(plain, c=3, d=[4]) has bound 'd' to [4], and d=5 was given again. "
        "Leave d out, or do not bind it."
    ) == str(caught.value)


def test_given_again_by_position():
    """A position of a bound name cannot be filled, nor any behind it."""
    bound = strict_partial(positional_only, x=10)

    assert (1, 2, 10, 3, 4) == bound(1, 2)
    assert (1, 2, 10, 5, 6) == bound(1, 2, y=5, z=6)
    with pytest.raises(ConflictingParamError, match="x=11 was given again"):
        bound(1, 2, 11)
    with pytest.raises(ConflictingParamError, match="x=11 was given again"):
        bound(1, 2, 11, 12, 13)


def test_behind_a_bound_position():
    """A required parameter that can be reached by name only is still required."""
    bound = strict_partial(plain, a=1)

    assert (1, 2, 3, 4) == bound(b=2, c=3)
    with pytest.raises(TypeError, match=r"plain\(\) missing .* 'b'"):
        bound(c=3)
    with pytest.raises(ConflictingParamError, match="a=5 was given again"):
        bound(5, c=3)
    with pytest.raises(TypeError, match="'c'"):
        bound(b=2)


def test_variadic():
    """`*args` and `**kwargs` are handed on."""
    assert (1, 2, (3, 4), 9, {"k": 5}) == strict_partial(variadic, z=9)(1, 2, 3, 4, k=5)
    assert (1, 2, (), 4, {"q": 7, "k": 5}) == strict_partial(variadic, q=7)(1, 2, k=5)
    assert (1, 9, (), 4, {"k": 5}) == strict_partial(variadic, x=9)(1, k=5)
    with pytest.raises(ConflictingParamError, match="q=8"):
        strict_partial(variadic, q=7)(1, 2, q=8)
    with pytest.raises(ConflictingParamError, match="x=3"):
        strict_partial(variadic, x=9)(1, 3, 4)


def test_order_of_keywords():
    """`**kwargs` get the names in the order that a `functools.partial` gives them in."""
    expected = functools.partial(anything, b=1, a=2)(d=3, c=4)

    assert [*expected[1]] == [*strict_partial(anything, b=1, a=2)(d=3, c=4)[1]]


def test_name_of_a_positional_only_parameter():
    """It can only mean a name in `**kwargs`."""

    def function(x, /, **kwargs):
        return x, kwargs

    bound = strict_partial(function, x=1)

    assert (2, {"x": 1}) == bound(2)
    with pytest.raises(ConflictingParamError):
        bound(2, x=3)
    with pytest.raises(TypeError, match="does not accept by name"):
        strict_partial(positional_only, a=1)


@pytest.mark.parametrize(
    "name",
    ["class", "None", "a-b", "", "0", "a=print('run')", "__debug__", "\ufb01", "größe", "args"],
)
def test_names_that_are_no_parameters(name):
    """Where any name goes, so does one that could not be written in a `def` line."""
    bound = strict_partial(anything, **{name: 1})

    assert ((2,), {name: 1, "k": 3}) == bound(2, k=3)
    with pytest.raises(ConflictingParamError):
        bound(**{name: 1})


@pytest.mark.parametrize("name", ["others", "args", "kwargs", "function", "wrapper", "factory"])
def test_undeclared_names_beside_a_bound_position(name):
    """Names of what is generated are free for `**kwargs`."""
    bound = strict_partial(variadic, x=9, **{name: 1})

    assert (2, 9, (), 4, {name: 1}) == bound(2)
    with pytest.raises(ConflictingParamError):
        bound(2, **{name: 1})
    with pytest.raises(ConflictingParamError):
        bound(2, 3, 4)


NAMES = (
    *("function", "free", "refuse", "miss", "wrapper", "factory", "self", "cls", "values", "name"),
    *("bound_a", "others", "args", "kwargs", "_", "match", "größe", "bound_function", "strict"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bind", [lambda name: (name,), lambda _: ("a",), lambda n: ("a", n)])
def test_names_of_what_is_generated(name, bind):
    """Parameters may have the names that the generated code has for itself."""
    names: dict = {}
    exec(f"def call(first, a, {name}, last=0):\n    return first, a, {name}, last", names)
    call = names["call"]
    bound = {key: index for index, key in enumerate(bind(name), 10)}
    free = {key: index for index, key in enumerate(("a", name)) if key not in bound}
    strict = strict_partial(call, **bound)

    assert call(1, **bound, **free, last=5) == strict(1, **free, last=5)
    for key in bound:
        with pytest.raises(ConflictingParamError):
            strict(1, **free, **{key: 1})


def test_names_that_would_meet():
    """A name with an underscore behind it is not taken for another one."""

    def call(x, x_, x__, bound_x, bound_x_):
        return x, x_, x__, bound_x, bound_x_

    assert (1, 2, 3, 4, 5) == strict_partial(call, x=1, x_=2, x__=3)(bound_x=4, bound_x_=5)
    assert (1, 2, 3, 4, 5) == strict_partial(call, x=1, bound_x=4)(x_=2, x__=3, bound_x_=5)


def test_wrapped_function():
    """A wrapper that takes anything has the places that its signature shows."""

    @functools.wraps(plain)
    def wrapper(*args, **kwargs):
        return plain(*args, **kwargs)

    bound = strict_partial(wrapper, b=2, c=3)

    assert (1, 2, 3, 4) == bound(1)
    assert "(a, *, d=4)" == str(inspect.signature(bound))
    with pytest.raises(ConflictingParamError, match="b=5"):
        bound(1, 5)
    with pytest.raises(ConflictingParamError, match="c=5"):
        bound(1, c=5)
    with pytest.raises(TypeError, match="accepts 'a', 'b', 'c', 'd'"):
        strict_partial(wrapper, e=1)


def test_wrong_names_at_once():
    """A name that the function does not accept is a `TypeError` when it is bound."""
    with pytest.raises(TypeError) as caught:
        strict_partial(plain, c=3, deterministic=True)

    assert (
        "strict_partial(plain, c=3, deterministic=True) binds 'deterministic', which plain does "
        "not accept by name. It accepts 'a', 'b', 'c', 'd'."
    ) == str(caught.value)
    with pytest.raises(TypeError, match="It accepts no name"):
        strict_partial(lambda: None, a=1)
    with pytest.raises(TypeError, match="binds arguments of a function, and 1 is none"):
        strict_partial(1, a=1)


def test_nothing_bound():
    """What binds nothing calls the function."""
    assert (1, 2, 3, 4) == strict_partial(plain)(1, 2, c=3)
    assert "strict_partial(plain)" == repr(strict_partial(plain))


def test_bound_again():
    """What is bound cannot be bound again, however it was bound."""
    bound = strict_partial(plain, c=3)

    with pytest.raises(ConflictingParamError, match=r"strict_partial\(plain, c=3\) has bound 'c'"):
        strict_partial(bound, c=3)
    with pytest.raises(ConflictingParamError, match=r"functools.partial\(.*c=3\) has bound 'c'"):
        strict_partial(functools.partial(plain, c=3), c=3)
    with pytest.raises(ConflictingParamError, match=r"strict_partial\(plain, c=3\) has bound 'c'"):
        strict_partial(functools.partial(functools.partial(bound, 1), d=2), c=3)
    with pytest.raises(ConflictingParamError):
        functools.partial(bound, c=4)(1, 2)


def test_partials_inside_each_other():
    """Partials of both kinds can be bound further."""
    inner = strict_partial(strict_partial(plain, c=3), d=5)
    of_partial = strict_partial(functools.partial(plain, 1, d=9), c=3)

    assert "strict_partial(plain, c=3, d=5)" == repr(inner)
    assert plain is inner.func
    assert (1, 2, 3, 5) == inner(1, 2)
    assert (1, 2, 3, 9) == of_partial(2)
    assert (1, 2, 3, 5) == of_partial(2, d=5)
    assert (1, 2, 3, 5) == functools.partial(inner, 1)(2)
    assert "(b, *, d=9)" == str(inspect.signature(of_partial))
    with pytest.raises(ConflictingParamError):
        of_partial(2, c=3)


def test_is_a_partial():
    """It is a `functools.partial` to everybody who asks."""
    bound = strict_partial(plain, c=3)

    assert isinstance(bound, functools.partial)
    assert (plain, (), {"c": 3}) == (bound.func, bound.args, bound.keywords)
    assert bound is weakref.ref(bound)()
    assert 1 == len({bound, bound})


def test_keywords_cannot_be_changed():
    """What `keywords` returns is a copy, so that it cannot say what is not so."""
    bound = strict_partial(plain, c=3)
    bound.keywords["c"] = 4
    bound.keywords["d"] = 4

    assert (1, 2, 3, 4) == bound(1, 2)
    assert "strict_partial(plain, c=3)" == repr(bound)


SIGNATURES = [
    (plain, {}, "(a, b, *, c, d=4)"),
    (plain, {"c": 1}, "(a, b, *, d=4)"),
    (plain, {"a": 1}, "(*, b, c, d=4)"),
    (plain, {"b": 1, "d": 2}, "(a, *, c)"),
    (positional_only, {"x": 1}, "(a, b, /, *, y=3, z=4)"),
    (positional_only, {"y": 1}, "(a, b, /, x, *, z=4)"),
    (variadic, {"z": 1}, "(a, x, *args, **kwargs)"),
    (variadic, {"x": 1}, "(a, *, z=4, **kwargs)"),
    (variadic, {"q": 1}, "(a, x, *args, z=4, **kwargs)"),
    (anything, {"args": 1}, "(*args, **kwargs)"),
]


@pytest.mark.parametrize(("function", "values", "expected"), SIGNATURES)
def test_signature(function, values, expected):
    """The bound names are gone from it, and with them what cannot be reached any more."""
    assert expected == str(inspect.signature(strict_partial(function, **values)))


def test_signature_with_annotations():
    """Annotations stay, and names in them need not exist."""

    def function(a: "Unknown", b: int = 1) -> "Unknown":  # noqa: F821 - on purpose
        return a

    expected = str(inspect.signature(function)).replace(", b: int = 1", "")

    assert expected == str(inspect.signature(strict_partial(function, b=2)))


def test_function_without_a_signature():
    """A builtin whose signature cannot be read tells by the call what it does not accept."""
    bound = strict_partial(dict, a=1)

    assert {"b": 2, "a": 1} == bound(b=2)
    with pytest.raises(ConflictingParamError):
        bound(a=1)
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(bound)
    with pytest.raises(TypeError):
        strict_partial(max, nothing=1)(1, 2)
    assert not hasattr(bound, "__signature__")


def test_builtins():
    """A builtin with a signature is checked as any function is."""
    assert [3, 2, 1] == strict_partial(sorted, reverse=True)([1, 3, 2])
    assert "(iterable, /, *, key=None)" == str(
        inspect.signature(strict_partial(sorted, reverse=True))
    )
    with pytest.raises(ConflictingParamError):
        strict_partial(sorted, reverse=True)([1], reverse=False)
    with pytest.raises(TypeError, match="sorted does not accept by name"):
        strict_partial(sorted, deterministic=True)
    with pytest.raises(TypeError, match="does not accept by name"):
        strict_partial(operator.add, a=1)


def test_unknown_attributes():
    """An attribute that is not there is an `AttributeError`, as ever."""
    bound = strict_partial(plain, c=3)
    with pytest.raises(AttributeError, match="'strict_partial' object has no attribute 'note'"):
        bound.note
    bound.note = "kept"

    assert "kept" == bound.note


@pytest.mark.parametrize("depth", [1, 3])
def test_defaults_are_the_same_objects(depth):
    """A mutable default goes on to be shared, as in the function itself."""

    def function(x, *, flag, found=[]):  # noqa: B006 - on purpose
        found.append((x, flag))
        return found

    bound = function
    for _ in range(depth):
        bound = functools.partial(bound)
    bound = strict_partial(bound, flag=1)

    assert function.__kwdefaults__["found"] is bound(1) is bound(2)
    assert [(1, 1), (2, 1)] == function.__kwdefaults__["found"]


def test_bound_values_are_the_same_objects():
    """So is every bound value."""
    value = []

    assert (
        value
        is strict_partial(plain, c=value)(1, 2)[2]
        is strict_partial(plain, a=value)(b=1, c=2)[0]
    )


# What is called: methods, classes, instances, and functions of every kind.


class Layer:
    """Methods of every kind."""

    def __init__(self, rate=1):
        self.rate = rate

    def method(self, x, *, flag):
        return self.rate, x, flag

    def first(*args, flag):
        return args[1:], flag

    def hidden(self, /, x, flag=1):
        return x, flag

    def both(self, x, y):
        return x, y

    @classmethod
    def build(cls, rate, *, flag):
        return cls(rate), flag

    @staticmethod
    def static(x, *, flag):
        return x, flag

    def __call__(self, x, *, flag):
        return self.rate, x, flag


def test_bound_methods():
    """A bound method is a function of what is left of its parameters."""
    layer = Layer(5)

    assert (5, 1, 2) == strict_partial(layer.method, flag=2)(1)
    assert ((1, 3), 2) == strict_partial(layer.first, flag=2)(1, 3)
    assert (1, 2) == strict_partial(layer.hidden, flag=2)(1)
    assert (1, 2) == strict_partial(layer.hidden, x=1)(flag=2)
    assert 2 == strict_partial(Layer.build, flag=2)(1)[1]
    assert (1, 2) == strict_partial(Layer.static, flag=2)(1)
    assert (5, 1, 2) == strict_partial(layer, flag=2)(1)
    for bound in (layer.method, layer.first, layer.hidden, Layer.static, layer):
        with pytest.raises(ConflictingParamError):
            strict_partial(bound, flag=2)(1, flag=3)
    assert "strict_partial(Layer.method, flag=2)" == repr(strict_partial(layer.method, flag=2))
    assert "(x)" == str(inspect.signature(strict_partial(layer.method, flag=2)))
    with pytest.raises(TypeError, match=r"Layer\.both\(\) missing .* 'y'"):
        strict_partial(layer.both, x=1)()


def test_receiver_cannot_be_bound():
    """The object of a bound method is not a parameter any more."""
    with pytest.raises(TypeError, match="does not accept by name"):
        strict_partial(Layer().method, self=1)


def test_in_a_class():
    """Made of a function it becomes a method, as the function would; of a class it does not."""

    def method(self, x, *, flag):
        return self, x, flag

    class Model:
        bound = strict_partial(method, flag=2)
        template = strict_partial(Layer, rate=7)
        builtin = strict_partial(sorted, reverse=True)
        of_method = strict_partial(Layer(3).method, flag=2)
        static = staticmethod(strict_partial(plain, c=3))

    model = Model()

    assert (model, 1, 2) == model.bound(1) == Model.bound(model, 1)
    assert "(x)" == str(inspect.signature(model.bound))
    assert 7 == model.template().rate
    assert [2, 1] == model.builtin([1, 2])
    assert (3, 1, 2) == model.of_method(1)
    assert (1, 2, 3, 4) == model.static(1, 2)
    with pytest.raises(ConflictingParamError):
        model.bound(1, flag=3)


@attrs.frozen
class AttrsLayer:
    rate: float
    deterministic: bool | None = None


@attrs.define(slots=True, kw_only=True)
class SlottedLayer:
    rate: float
    deterministic: bool = attrs.field(default=None, alias="quiet")


@dataclasses.dataclass(slots=True)
class DataLayer:
    rate: float
    deterministic: bool | None = None


class NewLayer:
    """Takes its arguments in `__new__`."""

    def __new__(cls, rate, deterministic=None):
        self = super().__new__(cls)
        self.rate, self.deterministic = rate, deterministic
        return self


class Meta(type):
    def __call__(cls, *args, rate=0.5, **kwargs):
        return super().__call__(*args, rate, **kwargs)


class MetaLayer(metaclass=Meta):
    """Its metaclass takes part."""

    def __init__(self, rate, deterministic=None):
        self.rate, self.deterministic = rate, deterministic


class Tuple(namedtuple("Tuple", "rate deterministic", defaults=[None])):  # noqa: PYI024, SLOT002 - as it is
    """A named tuple."""


@pytest.mark.parametrize("cls", [AttrsLayer, DataLayer, NewLayer, MetaLayer, Tuple])
def test_classes(cls):
    """The strict template of a class."""
    template = strict_partial(cls, deterministic=True)
    layer = template(rate=0.5)

    assert type(layer) is cls
    assert (0.5, True) == (layer.rate, layer.deterministic)
    with pytest.raises(ConflictingParamError):
        template(rate=0.5, deterministic=True)
    assert f"strict_partial({cls.__qualname__}, deterministic=True)" == repr(template)


@pytest.mark.parametrize("cls", [AttrsLayer, DataLayer, NewLayer, Tuple])
def test_signatures_of_classes(cls):
    """The template shows what is left to give, and says at once what the class does not take."""
    template = strict_partial(cls, deterministic=True)

    assert ["rate"] == [*inspect.signature(template).parameters]
    assert 0.5 == template(0.5).rate
    with pytest.raises(ConflictingParamError):
        template(0.5, False)
    with pytest.raises(TypeError, match="does not accept by name"):
        strict_partial(cls, determinstic=True)


def test_alias_of_a_field():
    """The names are those of the constructor."""
    assert strict_partial(SlottedLayer, quiet=True)(rate=1).deterministic
    with pytest.raises(TypeError, match="'quiet'"):
        strict_partial(SlottedLayer, deterministic=True)


def test_template_of_a_merged_class():
    """The design note's template, strict."""

    @mergeable("deterministic")
    class Dropout:
        def __init__(self, rate, deterministic=None):
            self.rate, self.deterministic = rate, deterministic

        def __call__(self, x, *, deterministic=MERGED):
            return "kept" if deterministic else "dropped"

    template = strict_partial(Dropout, deterministic=True)

    assert "kept" == template(0.5)(1.0)
    with pytest.raises(ConflictingParamError, match="strict_partial"):
        template(0.5, deterministic=False)
    with pytest.raises(ConflictingParamError, match="Dropout"):
        template(0.5)(1.0, deterministic=True)
    assert "dropped" == strict_partial(Dropout(0.5), deterministic=False)(1.0)
    with pytest.raises(MissingParamError):
        strict_partial(Dropout, rate=0.5)()(1.0)


async def coroutine(x, *, flag):
    await asyncio.sleep(0)
    return x, flag


def generator(x, *, flag):
    yield x, flag


async def async_generator(x, *, flag):
    yield x, flag


def test_kinds_of_functions():
    """Inspection sees the kind of what is bound, and calls are of that kind."""
    kinds = {
        coroutine: inspect.iscoroutinefunction,
        generator: inspect.isgeneratorfunction,
        async_generator: inspect.isasyncgenfunction,
    }
    for function, is_kind in kinds.items():
        assert is_kind(strict_partial(function, flag=1))
        assert not is_kind(strict_partial(plain, c=1))

    async def drive():
        found = [item async for item in strict_partial(async_generator, flag=1)(2)]
        return [*found, await strict_partial(coroutine, flag=1)(2)]

    assert [(2, 1)] == [*strict_partial(generator, flag=1)(2)]
    assert [(2, 1), (2, 1)] == asyncio.run(drive())
    with pytest.raises(ConflictingParamError):
        strict_partial(coroutine, flag=1)(2, flag=1)


def test_as_a_decorator():
    """A decorator with options is bound to be one."""

    def tagged(function, *, tag):
        function.tag = tag
        return function

    @strict_partial(tagged, tag="bound")
    def decorated():
        return "result"

    assert ("result", "bound") == (decorated(), decorated.tag)


def test_wrapping_a_partial():
    """`functools.wraps` and `lru_cache` take it as they take a partial."""
    bound = strict_partial(plain, c=3)
    wrapped = functools.wraps(bound)(lambda *args: bound(*args))

    assert (1, 2, 3, 4) == wrapped(1, 2) == functools.lru_cache(bound)(1, 2)
    assert "(a, b, *, d=4)" == str(inspect.signature(wrapped))


# Repr, copies and pickles.


def test_repr():
    """It shows how it was written, short."""
    assert "strict_partial(plain, c=3, d='x')" == repr(strict_partial(plain, c=3, d="x"))
    assert 200 > len(repr(strict_partial(plain, c=[*range(10**6)])))
    assert "strict_partial(Layer, rate=1)" == repr(strict_partial(Layer, rate=1))
    assert repr(strict_partial(Layer(1), flag=1)).startswith("strict_partial(<")


def test_repr_of_what_contains_itself():
    """A value that holds the partial does no harm."""
    value = []
    value.append(strict_partial(plain, c=value))

    assert "strict_partial(plain, c=" in repr(value[0])


class Strict(strict_partial):
    """A subclass."""


def module_function(a, *, c):
    return a, c


WAYS = {
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(
            pickle.dumps(value, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "pickle in Python": lambda value: pickle._loads(pickle._dumps(value)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("cls", [strict_partial, Strict])
def test_copies(way, cls):
    """A copy is as strict as what was copied, of the same class, and keeps attributes."""
    bound = cls(module_function, c=[3])
    bound.note = "kept"
    copied = way(bound)

    assert type(copied) is cls
    assert (1, [3]) == copied(1)
    assert "kept" == copied.note
    assert repr(bound) == repr(copied)
    assert inspect.signature(bound) == inspect.signature(copied)
    with pytest.raises(ConflictingParamError):
        copied(1, c=[3])
    with pytest.raises(ConflictingParamError):
        strict_partial(copied, c=[3])


def test_deepcopy_copies_the_values():
    """A deep copy has values of its own, a copy has the same."""
    bound = strict_partial(module_function, c=[3])

    assert bound(1)[1] is copy.copy(bound)(1)[1]
    assert bound(1)[1] is not copy.deepcopy(bound)(1)[1]


def test_local_functions_with_cloudpickle():
    """What only cloudpickle can take is taken along."""
    bound = strict_partial(lambda x, *, flag: (x, flag), flag=lambda: 5)
    copied = cloudpickle.loads(cloudpickle.dumps(bound))

    assert 5 == copied(1)[1]()
    with pytest.raises(ConflictingParamError):
        copied(1, flag=1)


def test_traceback_ends_in_the_function():
    """What the function raises comes from its own line."""

    def failing(x, *, flag):
        raise KeyError(x)

    with pytest.raises(KeyError) as caught:
        strict_partial(failing, flag=1)(2)

    assert "failing" == caught.traceback[-1].name
    with pytest.raises(TypeError, match="failing"):
        strict_partial(failing, flag=1)(1, 2)
