"""`strict_partial`: what it binds, what it refuses, and what it looks like."""

import asyncio
import functools
import inspect
import weakref

import attrs
import pytest
from packages import cloudpickle, needs_cloudpickle
from ways import WAYS

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


def shadowed(x, /, **kwargs):
    return x, kwargs


@functools.wraps(plain)
def wrapper(*args, **kwargs):
    return plain(*args, **kwargs)


taking_both = functools.wraps(plain)(lambda *args, **kwargs: (args, kwargs))


class Layer:
    """Methods of every kind."""

    def __init__(self, rate=1):
        self.rate = rate

    def method(self, x, *, flag):
        return self.rate, x, flag

    def first(*args, flag):
        return args[1:], flag

    @classmethod
    def build(cls, rate, *, flag):
        return cls(rate).rate, flag

    @staticmethod
    def static(x, *, flag):
        return x, flag

    def __call__(self, x, *, flag):
        return self.rate, x, flag


layer = Layer(5)


# Calls.


@pytest.mark.parametrize(
    ("function", "bound", "args", "given", "expected"),
    [
        (plain, {}, (1, 2), {"c": 3}, (1, 2, 3, 4)),
        (plain, {"c": 3}, (1, 2), {}, (1, 2, 3, 4)),
        (plain, {"c": 3}, (1, 2), {"d": 5}, (1, 2, 3, 5)),
        (wrapper, {"b": 2, "c": 3}, (1,), {}, (1, 2, 3, 4)),
        (positional_only, {"x": 10}, (1, 2), {"y": 5, "z": 6}, (1, 2, 10, 5, 6)),
        (variadic, {"q": 7}, (1, 2), {"k": 5}, (1, 2, (), 4, {"q": 7, "k": 5})),
        (variadic, {"x": 9}, (1,), {"k": 5}, (1, 9, (), 4, {"k": 5})),
        (shadowed, {"x": 1}, (2,), {}, (2, {"x": 1})),
        (sorted, {"reverse": True}, ([1, 3, 2],), {}, [3, 2, 1]),
        (dict, {"a": 1}, (), {"b": 2}, {"b": 2, "a": 1}),
        (layer.method, {"flag": 2}, (1,), {}, (5, 1, 2)),
        (layer.first, {"flag": 2}, (1, 3), {}, ((1, 3), 2)),
        (layer.method, {"x": 1}, (), {"flag": 2}, (5, 1, 2)),
        (Layer.build, {"flag": 2}, (1,), {}, (1, 2)),
        (Layer.static, {"flag": 2}, (1,), {}, (1, 2)),
        (layer, {"flag": 2}, (1,), {}, (5, 1, 2)),
    ],
)
def test_calls(function, bound, args, given, expected):
    """What is bound and what is given come together; what is bound and given again conflicts."""
    strict = strict_partial(function, **bound)

    assert expected == strict(*args, **given)
    for name in bound:
        with pytest.raises(ConflictingParamError):
            strict(*args, **given, **{name: bound[name]})


@pytest.mark.parametrize(
    ("function", "bound", "args", "given", "error", "says"),
    [
        (positional_only, {"x": 10}, (1, 2, 11, 12, 13), {}, ConflictingParamError, "x=11 was"),
        (plain, {"a": 1}, (5,), {"c": 3}, ConflictingParamError, "a=5 was given again"),
        (wrapper, {"b": 2, "c": 3}, (1, 5), {}, ConflictingParamError, "b=5"),
        (taking_both, {"b": 2}, (1, 5), {}, ConflictingParamError, "b=5"),
        (taking_both, {"a": 1}, (5,), {}, ConflictingParamError, "a=5"),
        (plain, {"a": 1}, (), {"c": 3}, TypeError, r"plain\(\) missing .* 'b'"),
        (layer.method, {"x": 1}, (), {}, TypeError, r"Layer\.method\(\) missing .* 'flag'"),
        (max, {"nothing": 1}, (1, 2), {}, TypeError, "keyword argument"),
    ],
)
def test_refused_calls(function, bound, args, given, error, says):
    """A bound position cannot be filled, nor any behind it; what is missing is still required."""
    strict = strict_partial(function, **bound)

    with pytest.raises(error, match=says):
        strict(*args, **given)


@pytest.mark.parametrize(
    ("function", "bound", "says"),
    [
        (positional_only, {"a": 1}, "does not accept by name"),
        (wrapper, {"e": 1}, "accepts 'a', 'b', 'c', 'd'"),
        (layer, {"flga": 1}, r"by name \(did you mean 'flag'\?\)\. It accepts"),
        (lambda: None, {"a": 1}, "It accepts no name"),
        (1, {"a": 1}, "binds arguments of a function, and 1 is none"),
        (sorted, {"deterministic": True}, "sorted does not accept by name"),
        (layer.method, {"self": 1}, "does not accept by name"),
    ],
)
def test_refused_names(function, bound, says):
    """A name that the function does not accept is a `TypeError` when it is bound."""
    with pytest.raises(TypeError, match=says):
        strict_partial(function, **bound)


@pytest.mark.parametrize("given", [5, [4], None])
def test_errors(given):
    """They name the partial, the parameter, the values or the alternatives, and the fix."""
    with pytest.raises(ConflictingParamError) as conflict:
        strict_partial(plain, c=3, d=[4])(1, 2, d=given)
    error = conflict.value
    with pytest.raises(TypeError) as unknown:
        strict_partial(plain, c=3, deterministic=True)

    assert ("d", [4], given) == (error.param, error.attribute_value, error.call_value)
    assert (
        f"strict_partial(plain, c=3, d=[4]) has bound 'd' to [4], and d={given} was given again. "
        "Leave d out, or do not bind it."
    ) == str(error)
    assert (
        "strict_partial(plain, c=3, deterministic=True) binds 'deterministic', which plain does "
        "not accept by name. It accepts 'a', 'b', 'c', 'd'."
    ) == str(unknown.value)


def test_order_of_keywords():
    """`**kwargs` get the names in the order that a `functools.partial` gives them in."""
    expected = functools.partial(anything, b=1, a=2)(d=3, c=4)

    assert [*expected[1]] == [*strict_partial(anything, b=1, a=2)(d=3, c=4)[1]]


@pytest.mark.parametrize(
    "name",
    ["class", "a-b", "", "0", "a=print('run')", "__debug__", "\ufb01", "größe", "args", "a0"],
)
def test_names_that_are_no_parameters(name):
    """Where any name goes, so does one that could not be written in a `def` line."""
    bound = strict_partial(anything, **{name: 1})

    assert ((2,), {name: 1, "k": 3}) == bound(2, k=3)
    with pytest.raises(ConflictingParamError):
        bound(**{name: 1})


def test_same_objects():
    """Mutable defaults and bound values go on to be shared, as in the function itself."""

    def function(x, *, flag, found=[]):  # noqa: B006 - on purpose
        found.append((x, flag))
        return found

    value, default = [], function.__kwdefaults__["found"]
    nested = strict_partial(functools.partial(functools.partial(function)), flag=2)

    assert default is strict_partial(function, flag=1)(1) is nested(2)
    assert [(1, 1), (2, 2)] == default
    assert value is strict_partial(plain, c=value)(1, 2)[2]
    assert value is strict_partial(plain, a=value)(b=1, c=2)[0]


# Partials of partials.


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (strict_partial(plain, c=3), r"strict_partial\(plain, c=3\) has bound 'c'"),
        (functools.partial(plain, c=3), r"functools.partial\(.*c=3\) has bound 'c'"),
        (
            functools.partial(functools.partial(strict_partial(plain, c=3), 1), d=2),
            r"strict_partial\(plain, c=3\) has bound 'c'",
        ),
    ],
)
def test_bound_again(inner, says):
    """What is bound cannot be bound again, however it was bound."""
    with pytest.raises(ConflictingParamError, match=says):
        strict_partial(inner, c=3)
    with pytest.raises(ConflictingParamError):
        functools.partial(strict_partial(plain, c=3), c=4)(1, 2)


def test_partials_inside_each_other():
    """Partials of both kinds can be bound further."""
    inner = strict_partial(strict_partial(plain, c=3), d=5)
    of_partial = strict_partial(functools.partial(plain, 1, d=9), c=3)

    assert "strict_partial(plain, c=3, d=5)" == repr(inner)
    assert plain is inner.func
    assert (1, 2, 3, 5) == inner(1, 2) == of_partial(2, d=5) == functools.partial(inner, 1)(2)
    assert (1, 2, 3, 9) == of_partial(2)
    assert "(b, *, d=9)" == str(inspect.signature(of_partial))
    with pytest.raises(ConflictingParamError):
        of_partial(2, c=3)


def test_is_a_partial():
    """It is a `functools.partial` to everybody who asks, whose keywords cannot be changed."""
    bound = strict_partial(plain, c=3)
    bound.keywords.update(c=4, d=4)
    with pytest.raises(AttributeError, match="'strict_partial' object has no attribute 'note'"):
        bound.note

    assert isinstance(bound, functools.partial)
    assert (plain, (), {"c": 3}) == (bound.func, bound.args, bound.keywords)
    assert (1, 2, 3, 4) == bound(1, 2)
    assert bound is weakref.ref(bound)()
    assert 1 == len({bound, bound})


# Signatures.


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        (plain, {}, "(a, b, *, c, d=4)"),
        (plain, {"a": 1}, "(*, b, c, d=4)"),
        (wrapper, {"b": 2, "c": 3}, "(a, *, d=4)"),
        (positional_only, {"x": 1}, "(a, b, /, *, y=3, z=4)"),
        (variadic, {"x": 1}, "(a, *, z=4, **kwargs)"),
        (anything, {"args": 1}, "(*args, **kwargs)"),
        (sorted, {"reverse": True}, "(iterable, /, *, key=None)"),
        (layer.method, {"flag": 2}, "(x)"),
    ],
)
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
    """A builtin whose signature cannot be read has none when it is bound either."""
    bound = strict_partial(dict, a=1)

    assert not hasattr(bound, "__signature__")
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(bound)


# Methods, classes, and functions of every kind.


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
    assert ((3, 1, 2), (1, 2, 3, 4)) == (model.of_method(1), model.static(1, 2))
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


@pytest.mark.parametrize("cls", [AttrsLayer, NewLayer, MetaLayer])
def test_classes(cls):
    """The strict template of a class shows what is left, and refuses what it does not take."""
    template = strict_partial(cls, deterministic=True)
    made = template(rate=0.5)

    assert type(made) is cls
    assert (0.5, True) == (made.rate, made.deterministic)
    assert f"strict_partial({cls.__qualname__}, deterministic=True)" == repr(template)
    with pytest.raises(ConflictingParamError):
        template(rate=0.5, deterministic=True)
    if cls is not MetaLayer:
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
    assert "dropped" == strict_partial(Dropout(0.5), deterministic=False)(1.0)
    with pytest.raises(ConflictingParamError, match="strict_partial"):
        template(0.5, deterministic=False)
    with pytest.raises(ConflictingParamError, match="Dropout"):
        template(0.5)(1.0, deterministic=True)
    with pytest.raises(MissingParamError):
        strict_partial(Dropout, rate=0.5)()(1.0)


def test_kinds_of_functions():
    """Inspection sees the kind of what is bound, and calls are of that kind."""

    async def coroutine(x, *, flag):
        return x, flag

    def generator(x, *, flag):
        yield x, flag

    async def async_generator(x, *, flag):
        yield x, flag

    one, some, stream = (
        strict_partial(function, flag=1) for function in (coroutine, generator, async_generator)
    )

    assert inspect.iscoroutinefunction(one)
    assert inspect.isgeneratorfunction(some)
    assert inspect.isasyncgenfunction(stream)
    assert not inspect.iscoroutinefunction(strict_partial(plain, c=1))
    found = asyncio.run(one(2)), next(some(2)), asyncio.run(anext(stream(2)))
    assert ((2, 1),) * 3 == found
    with pytest.raises(ConflictingParamError):
        one(2, flag=1)


def test_decorators():
    """A decorator can be bound, and decorators take it as they take a partial."""

    def tagged(function, *, tag):
        function.tag = tag
        return function

    @strict_partial(tagged, tag="bound")
    def decorated():
        return "result"

    bound = strict_partial(plain, c=3)
    wrapped = functools.wraps(bound)(lambda *args: bound(*args))

    assert ("result", "bound") == (decorated(), decorated.tag)
    assert (1, 2, 3, 4) == wrapped(1, 2) == functools.lru_cache(bound)(1, 2)
    assert "(a, b, *, d=4)" == str(inspect.signature(wrapped))


# Repr, copies, pickles and tracebacks.


@pytest.mark.parametrize(
    ("function", "bound", "expected"),
    [
        (plain, {}, "strict_partial(plain)"),
        (plain, {"c": 3, "d": "x"}, "strict_partial(plain, c=3, d='x')"),
        (Layer, {"rate": 1}, "strict_partial(Layer, rate=1)"),
        (layer.method, {"flag": 2}, "strict_partial(Layer.method, flag=2)"),
    ],
)
def test_repr(function, bound, expected):
    """It shows how it was written."""
    assert expected == repr(strict_partial(function, **bound))


def test_repr_of_long_and_strange_values():
    """It is short, and a value that holds the partial does no harm."""
    value = []
    value.append(strict_partial(plain, c=value))

    assert 200 > len(repr(strict_partial(plain, c=[*range(10**6)])))
    assert repr(strict_partial(layer, flag=1)).startswith("strict_partial(<")
    assert "strict_partial(plain, c=" in repr(value[0])


class Strict(strict_partial):
    """A subclass."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", [strict_partial, Strict])
def test_copies(way, cls):
    """A copy is as strict as what was copied, of the same class, and keeps attributes."""
    bound = cls(plain, c=[3])
    bound.note = "kept"
    copied = WAYS[way](bound)

    assert (cls, "kept", repr(bound)) == (type(copied), copied.note, repr(copied))
    assert (1, 2, [3], 4) == copied(1, 2)
    assert (way == "copy") == (bound(1, 2)[2] is copied(1, 2)[2])
    assert vars(bound) is not vars(copied)
    assert inspect.signature(bound) == inspect.signature(copied)
    with pytest.raises(ConflictingParamError):
        copied(1, 2, c=[3])
    with pytest.raises(ConflictingParamError):
        strict_partial(copied, c=[3])


@needs_cloudpickle
def test_local_functions_with_cloudpickle():
    """What only cloudpickle can take is taken along."""
    bound = strict_partial(lambda x, *, flag: (x, flag), flag=lambda: 5)

    assert 5 == cloudpickle.loads(cloudpickle.dumps(bound))(1)[1]()


def test_traceback_ends_in_the_function():
    """What the function raises comes from its own line."""

    def failing(x, *, flag):
        raise KeyError(x)

    with pytest.raises(KeyError) as caught:
        strict_partial(failing, flag=1)(2)

    assert "failing" == caught.traceback[-1].name
    with pytest.raises(TypeError, match="failing"):
        strict_partial(failing, flag=1)(1, 2)
