"""`provide=True`: every call in the body takes the merged values."""

import abc
import asyncio
import contextlib
import dataclasses
import functools
import inspect
import itertools
import sys
import traceback
import types

import attrs
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    merged_params,
    provide,
)


class Base:
    """An object with a `flag`."""

    def __init__(self, flag=None):
        self.flag = flag


@pytest.fixture
def leaf():
    """Return a class whose instances return what is merged."""

    @mergeable("flag")
    class Leaf(Base):
        def __call__(self, *, flag=MERGED):
            return flag

    return Leaf


@pytest.fixture
def read(leaf):
    """Return a function that returns what is provided."""
    return leaf()


def test_plain_method(read):
    """Every call in the body takes the merged value, and none behind it."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, x, *, flag=MERGED):
            return x, flag, read(), [read() for _ in range(2)], (lambda: read())()

    assert (0, 1, 1, [1, 1], 1) == Model(1)(0)
    assert (0, 2, 2, [2, 2], 2) == Model()(0, flag=2)
    with provide(flag=3):
        assert (0, 3, 3, [3, 3], 3) == Model()(0)
        assert (0, 1, 1, [1, 1], 1) == Model(1)(0)
        assert 3 == read()
    with pytest.raises(MissingParamError):
        Model()(0)
    with pytest.raises(ConflictingParamError):
        Model(1)(0, flag=2)
    with pytest.raises(MissingParamError):
        read()


def test_inner_ways_to_say_it(leaf):
    """The body may say otherwise: in a constructor, in a call, in a scope."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            with provide(flag=4):
                inner = leaf()()
            return leaf()(), leaf(2)(), leaf()(flag=3), inner, leaf()()

    assert (1, 2, 3, 4, 1) == Model(1)()


def test_rebound_parameter(read):
    """What is provided is what was merged, whatever the body does to its variable."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            flag = "rebound"
            return flag, read()

    assert ("rebound", 1) == Model(1)()


def test_several_parameters_and_methods(leaf):
    """Each method provides what it merges itself."""

    @mergeable("other")
    class Other:
        other = None

        def __call__(self, *, other=MERGED):
            return other

    @mergeable("flag", "other", method=("__call__", "encode"), provide=True)
    class Model(Base):
        other = 5

        def __call__(self, flag=MERGED, /, other=MERGED):
            return leaf()(), Other()()

        def encode(self, *, other=MERGED):
            with pytest.raises(MissingParamError):
                leaf()()
            return Other()()

    assert (1, 5) == Model()(1)
    assert 5 == Model().encode()


def test_default_is_provided(read):
    """A value that comes from the default is a merged value as any other."""

    @mergeable(Param("flag", default=attrs.Factory(lambda self: 7, takes_self=True)), provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            return read()

    assert 7 == Model()()


def test_every_kind_of_parameter(read):
    """All arguments reach the body as they were given."""

    @mergeable("flag", "mode", provide=True)
    class Model(Base):
        mode = "m"

        def __call__(self, a, /, b=2, flag=MERGED, *args, c, mode=MERGED, d=4, **kwargs):
            return a, b, flag, args, c, mode, d, kwargs, read()

    assert (1, 2, 9, (), 3, "m", 4, {}, 9) == Model(9)(1, c=3)
    assert (1, 5, 9, (7, 8), 3, "m", 6, {"a": 1, "k": 0}, 9) == Model()(
        1, 5, 9, 7, 8, c=3, d=6, a=1, k=0
    )
    with pytest.raises(ConflictingParamError, match="'mode'"):
        Model(8)(1, c=3, mode="n")
    with pytest.raises(TypeError, match="'c'"):
        Model(8)(1)


def test_receiver_in_args(read):
    """The object may be the first of `*args`."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(*args, flag=MERGED, **kwargs):
            return args[1:], flag, kwargs, read()

    assert ((0,), 1, {"k": 2}, 1) == Model(1)(0, k=2)
    assert ((), 3, {}, 3) == Model()(flag=3)


def test_private_names():
    """Private names are mangled in the body, and only there."""

    @mergeable("__flag", provide=True)
    class Model:
        __flag = 1
        __note = "note"

        def __call__(self, *, __flag=MERGED):
            return __flag, self.__note

    @mergeable("__flag", provide=True)
    class Calling:
        __flag = 2

        def __call__(self, *, __flag=MERGED):
            return inner()

    @mergeable("_Calling__flag")
    class Inner:
        _Calling__flag = None

        def __call__(self, *, _Calling__flag=MERGED):
            return _Calling__flag

    inner = Inner()

    assert (1, "note") == Model()()
    assert 2 == Calling()()


NAMES = (
    *("steps", "steps_", "sent", "self_", "wrapper", "factory", "provide", "value", "inner"),
    *("_mergeparam_unset", "__end__", "None_", "größe", "args", "key", "scope"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("word", ["return", "yield"])
def test_names_of_what_is_generated(read, name, kind, word):
    """Parameters and closed-over variables may have the names that the generated code uses."""
    names = {"mergeable": mergeable, "MERGED": MERGED, "Base": Base, "read": read}
    source = f"""
def define(free_{name}):
    {name} = free_{name}
    @mergeable("flag", provide=True)
    class Closing(Base):
        {kind} __call__(self, *, flag=MERGED):
            {word} [{name}, flag, read()]
    return Closing

@mergeable("{name}", "flag", provide=True)
class Declaring(Base):
    {name} = "of the class"
    {kind} __call__(self, {name}=MERGED, flag=MERGED):
        {word} [{name}, flag, read()]
"""
    exec(source, names)

    assert ["closed over", 1, 1] == finish(names["define"]("closed over")(1)())
    assert ["of the class", 2, 2] == finish(names["Declaring"]()(flag=2))


def finish(result):
    """Return what a method of any kind returns, or yields first."""
    if inspect.isasyncgen(result):
        return asyncio.run(anext_of(result))
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return next(result) if inspect.isgenerator(result) else result


async def anext_of(generator):
    """Return what an async generator yields first, and close it."""
    async with contextlib.aclosing(generator):
        return await anext(generator)


def test_closures_and_class_cell(read):
    """Closures see the merged value; `super()`, `__class__` and `nonlocal` mean what they do."""
    count = 0

    class Parent(Base):
        def name(self):
            return "parent"

    @mergeable("flag", provide=True)
    class Model(Parent):
        def name(self):
            return "child"

        def __call__(self, *, flag=MERGED):
            nonlocal count
            count += 1

            def inner():
                nonlocal flag
                flag = [flag, self, read()]
                return flag

            return super().name(), __class__, inner(), flag, count

    model = Model(1)

    assert ("parent", Model, [1, model, 1], [1, model, 1], 1) == model()
    assert 2 == model()[-1]


def test_type_parameters():
    """A method that names the type parameters of its class."""
    if sys.version_info < (3, 12):
        pytest.skip("type parameters are syntax of Python 3.12")
    names = {"mergeable": mergeable, "MERGED": MERGED}
    exec(
        """
@mergeable("flag", provide=True)
class Model[T]:
    flag = 1
    def __call__[S](self, x: T, *, flag: S = MERGED) -> S:
        return T, S, flag
""",
        names,
    )
    first, second, flag = names["Model"]()(0)

    assert ("T", "S", 1) == (first.__name__, second.__name__, flag)


def test_lambda(read):
    """A lambda."""

    @mergeable("flag", provide=True)
    class Model(Base):
        __call__ = lambda self, flag=MERGED: [flag, read()]

    assert [1, 1] == Model(1)()
    assert "<lambda>" == Model.__call__.__name__


def test_recursive(read):
    """A method that calls itself needs no flag for it."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, depth, *, flag=MERGED):
            return [flag, read()] if depth == 0 else [flag, *self(depth - 1)]

    assert [5, 5, 5, 5] == Model()(2, flag=5)
    assert [5, 5, 5, 5] == Model(5)(2)
    with pytest.raises(RecursionError):
        Model(5)(10**6)
    with pytest.raises(MissingParamError):
        read()


# Other decorators, and inheritance.


@pytest.mark.parametrize("below", [True, False])
def test_stacked_decorators(leaf, below):
    """One decorator provides what it merges itself, wherever it stands."""
    providing, plain = mergeable("flag", provide=True), mergeable("other")

    class Model:
        flag, other = 1, None

        def __call__(self, *, flag=MERGED, other=MERGED):
            with contextlib.suppress(MissingParamError):
                return flag, other, leaf()(), Other()()
            return flag, other, leaf()()

    @mergeable("other")
    class Other:
        other = None

        def __call__(self, *, other=MERGED):
            return other

    for decorator in (providing, plain) if below else (plain, providing):
        decorator(Model)

    assert (1, 2, 1) == Model()(other=2)
    with provide(other=3):
        assert (1, 3, 1, 3) == Model()()
    assert ["flag", "other"] == [param.name for param in merged_params(Model)]
    assert "(self, *, flag=None, other=None)" == str(inspect.signature(Model.__call__))


def test_both_decorators_provide(leaf):
    """Two that provide are one scope in the other."""

    @mergeable("other")
    class Other:
        other = None

        def __call__(self, *, other=MERGED):
            return other

    @mergeable("flag", provide=True)
    @mergeable("other", provide=True)
    class Model:
        flag, other = 1, None

        def __call__(self, *, flag=MERGED, other=MERGED):
            return leaf()(), Other()()

    assert (1, 2) == Model()(other=2)


def test_super_of_a_providing_method(leaf, read):
    """Class and subclass provide, or one of them; the merged value may be handed on."""
    for base_provides, child_provides in itertools.product((True, False), repeat=2):

        @mergeable("flag", provide=base_provides)
        class Parent(Base):
            def __call__(self, *, flag=MERGED):
                with contextlib.suppress(MissingParamError):
                    return "parent", flag, read()
                return "parent", flag

        @mergeable("flag", provide=child_provides)
        class Child(Parent):
            def __call__(self, *, flag=MERGED):
                return super().__call__(flag=flag)

        expected = ("parent", 1, 1) if base_provides or child_provides else ("parent", 1)

        assert expected == Child(1)() == Child()(flag=1)
        if child_provides:

            class Grandchild(Child):
                pass

            assert expected == Grandchild(1)()


def test_subclass_that_takes_what_is_provided(leaf):
    """A call of `super()` without the flag takes the provided value."""

    class Parent(leaf):
        pass

    @mergeable("flag", provide=True)
    class Child(Parent):
        def __call__(self, *, flag=MERGED):
            return super().__call__()

    assert 5 == Child()(flag=5)
    assert 6 == Child(6)()


def test_inherited_method(read):
    """A method of a base is merged for the subclass alone."""

    class Parent(Base):
        def __call__(self, *, flag=None):
            return flag, read()

    @mergeable("flag", provide=True)
    class Child(Parent):
        pass

    assert (1, 1) == Child(1)()
    with pytest.raises(MissingParamError):
        Child()()
    with provide(flag=3):
        assert (None, 3) == Parent(1)()


def test_overriding_without_merging(read):
    """A subclass that overrides the method has nothing of it."""

    @mergeable("flag", provide=True)
    class Parent(Base):
        def __call__(self, *, flag=MERGED):
            return read()

    class Child(Parent):
        def __call__(self, flag=None):
            return flag

    assert None is Child(1)()
    assert 1 == Parent.__call__(Child(1))


def logged(function):
    """Wrap a function as decorators do."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls.append(kwargs)
        return function(*args, **kwargs)

    wrapper.calls = []
    return wrapper


def test_wrapped_method(read):
    """What is around the method sees the raw call; the innermost body is enclosed."""

    @mergeable("flag", provide=True)
    class Model(Base):
        @logged
        @logged
        def __call__(self, x, *, flag=MERGED):
            return x, flag, read()

    assert (0, 1, 1) == Model(1)(0)
    assert (0, 2, 2) == Model()(0, flag=2)
    assert [{}, {"flag": 2}] == Model.__call__.calls
    assert "(self, x, *, flag=None)" == str(inspect.signature(Model.__call__))


def test_borrowed_wrapped_method(read):
    """What a base has wrapped does not change; the subclass encloses all of it."""

    class Parent(Base):
        @logged
        def __call__(self, x, *, flag=None):
            return x, flag, read()

    @mergeable("flag", provide=True)
    class Child(Parent):
        pass

    assert (0, 1, 1) == Child(1)(0)
    assert [{"flag": 1}] == Parent.__call__.calls
    assert "(self, x, *, flag=None)" == str(inspect.signature(Child.__call__))
    with provide(flag=3):
        assert (0, None, 3) == Parent(1)(0)
    with pytest.raises(ConflictingParamError):
        Child(1)(0, flag=2)


def test_context_manager(read):
    """A context manager that is a generator inside provides in its body, not to its user."""

    @mergeable("flag", method="scope", provide=True)
    class Model(Base):
        @contextlib.contextmanager
        def scope(self, *, flag=MERGED):
            before = read()
            try:
                yield before
            finally:
                self.after = read()

    model = Model(1)
    with model.scope() as before, pytest.raises(MissingParamError):
        read()

    assert (1, 1) == (before, model.after)


@pytest.mark.parametrize("on_top", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda cls: attrs.define(slots=True)(cls),
        lambda cls: attrs.frozen(slots=True)(cls),
        lambda cls: dataclasses.dataclass(slots=True)(cls),
        lambda cls: dataclasses.dataclass(frozen=True)(cls),
    ],
    ids=["attrs", "frozen attrs", "slotted dataclass", "frozen dataclass"],
)
def test_classes_that_are_made_anew(read, make, on_top):
    """Slots make a new class, before or after the decorator; the body finds it as `__class__`."""

    class Model:
        flag: object = None

        def __call__(self, *, flag=MERGED):
            return flag, read(), __class__

        def name(self):
            return "model"

    decorate = mergeable("flag", provide=True)
    made = decorate(make(Model)) if on_top else make(decorate(Model))
    flag, provided, cell = made(1)()

    assert (1, 1) == (flag, provided)
    assert (2, 2) == made()(flag=2)[:2]
    if attrs.has(made) or sys.version_info >= (3, 14):
        assert cell is made  # dataclasses leave the old class there before


def test_abstract_classes(read):
    """An abstract method can provide; the class and its subclasses are what they were."""

    @mergeable("flag", provide=True)
    class Model(Base, abc.ABC):
        @abc.abstractmethod
        def __call__(self, *, flag=MERGED):
            return read()

    @mergeable("flag", provide=True)
    class Child(Model):
        def __call__(self, *, flag=MERGED):
            return super().__call__()

    assert 1 == Child(1)()
    with pytest.raises(TypeError, match="abstract"):
        Model()


def test_containers_as_objects(read):
    """The object may be a tuple, a dict or an exception, or answer for every attribute."""
    for base in (dict, Exception, int):

        @mergeable("flag", provide=True)
        class Model(base):
            flag = 1

            def __call__(self, *, flag=MERGED):
                return flag, read()

            def __getattr__(self, name):
                raise LookupError(name)

        assert (1, 1) == Model()()


# What the method looks like.


def test_signature_and_attributes():
    """Names, doc, annotations, defaults and attributes of the function are those of before."""

    class Model(Base):
        def __call__(self, x: int = 1, *, flag: bool = MERGED) -> str:
            """What it does."""
            return ""

    before = Model.__call__
    before.note = "kept"
    mergeable("flag", provide=True)(Model)
    after = Model.__call__

    for name in ("__name__", "__qualname__", "__module__", "__doc__", "note", "__globals__"):
        assert getattr(before, name) == getattr(after, name)
    assert before.__code__.co_name == after.__code__.co_name
    assert before.__code__.co_filename == after.__code__.co_filename
    assert before.__code__.co_firstlineno == after.__code__.co_firstlineno
    assert "(self, x: int = 1, *, flag: bool | None = None) -> str" == str(
        inspect.signature(after)
    )
    assert inspect.getsource(after).lstrip().startswith("def __call__")


def test_kinds():
    """Every predicate says of the method what it said before."""

    class Model(Base):
        def plain(self, flag=MERGED): ...

        def generator(self, flag=MERGED):
            yield

        async def coroutine(self, flag=MERGED): ...

        async def async_generator(self, flag=MERGED):
            yield

        @types.coroutine
        def old(self, flag=MERGED):
            yield

    names = ("plain", "generator", "coroutine", "async_generator", "old")
    predicates = (
        inspect.isfunction,
        inspect.isgeneratorfunction,
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
        lambda function: bool(function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE),
    )
    before = [predicate(getattr(Model, name)) for predicate in predicates for name in names]
    mergeable("flag", method=names, provide=True)(Model)
    after = [predicate(getattr(Model, name)) for predicate in predicates for name in names]

    assert before == after


@pytest.mark.skipif(
    not hasattr(inspect, "markcoroutinefunction"), reason="marks are of Python 3.12"
)
def test_marked_function(read):
    """A plain function that is marked as a coroutine function stays a plain one."""

    @mergeable("flag", provide=True)
    class Model(Base):
        @inspect.markcoroutinefunction
        def __call__(self, *, flag=MERGED):
            found = read()
            future = asyncio.Future()
            future.set_result((flag, found))
            return future

    async def drive():
        return await Model(1)()

    assert inspect.iscoroutinefunction(Model.__call__)
    assert (1, 1) == asyncio.run(drive())


def lines(error):
    """Return names and lines of the frames that are in this file."""
    frames = traceback.extract_tb(error.__traceback__)
    return [(frame.name, frame.line) for frame in frames if frame.filename == __file__]


def test_tracebacks():
    """A traceback leads through the `def` line to the line that has failed."""

    @mergeable("flag", provide=True)
    class Model(Base):
        def __call__(self, *, flag=MERGED):
            return 1 // flag

    with pytest.raises(ZeroDivisionError) as caught:
        Model(0)()

    assert [
        ("test_tracebacks", "Model(0)()"),
        ("__call__", "def __call__(self, *, flag=MERGED):"),
        ("__call__", "return 1 // flag"),
    ] == lines(caught.value)
    with pytest.raises(MissingParamError) as caught:
        Model()()
    assert ("__call__", "def __call__(self, *, flag=MERGED):") == lines(caught.value)[-1]
    assert caught.value.__context__ is None


def test_abstract_method_of_a_class_that_is_made_anew(inject):
    """The body that the class holds is no method that a subclass would have to override."""

    @dataclasses.dataclass(slots=True)
    @mergeable("flag", provide=True)
    class Abstract(abc.ABC):
        flag: object = None

        @abc.abstractmethod
        def __call__(self, *, flag=MERGED): ...

    class Model(Abstract):
        def __call__(self, *, flag=None):
            return flag

    assert 1 == Model()(flag=1)
    with pytest.raises(TypeError, match="abstract"):
        Abstract()


def test_attributes_of_what_a_base_has_wrapped(inject, read):
    """What goes around a base's wrapper has the attributes of the wrapper."""

    def tagged(method):
        @functools.wraps(method)
        def wrapper(*args, **kwargs):
            return method(*args, **kwargs)

        wrapper.tag = "kept"
        return wrapper

    class Parent(Base):
        @tagged
        def __call__(self, *, flag=None):
            return read()

    @mergeable("flag", provide=True)
    class Model(Parent):
        pass

    assert (2, "kept") == (Model()(flag=2), Model.__call__.tag)
    assert not hasattr(Model.__call__, "__wrapped__")
