"""Whose function is it: the merge reaches everybody who holds it, and changes nobody else's."""

import base64
import contextlib
import functools
import gc
import importlib
import pickle
import subprocess
import sys
import types
import weakref

import pytest
from outcomes import CALLS, MERGES, Base, attempt, outcomes
from packages import cloudpickle, needs_cloudpickle

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    provide,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*copy.deepcopy makes:mergeparam.MergeWarning")
"""What means \"not set\" here is often a plain object, which copies would not keep."""


DOES_NOT_MERGE = [None, 2, None, 1]


def snapshot(found):
    """Return all that can be changed in a function and in the functions that it wraps."""
    links = []
    while found is not None:
        held = {k: v for k, v in getattr(found, "__dict__", {}).items() if k != "__wrapped__"}
        names = ("__code__", "__defaults__", "__kwdefaults__", "__annotations__", "__doc__")
        links.append((found, held, [getattr(found, name, None) for name in names]))
        found = getattr(found, "__wrapped__", None)
    return links


def traced(function):
    """Wrap a function as a decorator does that can only be called."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@pytest.fixture
def spliced_or_wrapped(inject, monkeypatch):
    """Splice where that is possible, and wrap what can only be wrapped."""
    if inject == "inline":
        monkeypatch.delenv("MERGEPARAM_INJECT")


# Functions that were written in the body of the class.


def reference(self, *, flag=None):
    """Tell what a flag is."""
    return "reference", flag


class Reference:
    """A class whose docs others borrow."""

    def __call__(self, *, flag=None):
        """Tell what a flag is."""
        return "reference", flag


@pytest.mark.parametrize("around", [lambda function: function, traced], ids=["bare", "traced"])
@pytest.mark.parametrize(
    "lender", [Reference.__call__, reference, traced(reference), len], ids=lambda one: one.__name__
)
def test_borrowed_docs(lender, around):
    """A method that only borrows its docs from another function is merged, the other is not."""
    before = snapshot(lender)

    @mergeable("flag")
    class Layer(Base):
        @around
        @functools.wraps(lender)
        def __call__(self, *, flag=MERGED):
            return flag

    assert MERGES == outcomes(Layer)
    assert lender.__doc__ == Layer.__call__.__doc__
    assert before == snapshot(lender)
    assert ("reference", None) == Reference()() == reference(None)


@pytest.mark.parametrize("decorate", [mergeable("flag"), lambda cls: cls], ids=["merged", "plain"])
def test_override_with_borrowed_docs(decorate):
    """An override that borrows the base's docs may have one parameter more."""

    @decorate
    class Parent(Base):
        def __call__(self, x, *, flag=None):
            """Tell what a flag is."""
            return flag

    before = snapshot(Parent.__call__)

    @mergeable("flag")
    class Layer(Parent):
        @functools.wraps(Parent.__call__)
        def __call__(self, x, y=3, *, flag=MERGED):
            return x, y, super().__call__(x, flag=flag)

    found = outcomes(lambda flag: functools.partial(Layer(flag), 5, y=4))
    assert [(5, 4, 1), (5, 4, 2), *MERGES[2:]] == found
    assert (5, 3, 1) == Layer(1)(5)
    assert before == snapshot(Parent.__call__)


def define_held(**options):
    """Return a class whose body hands its method to many holders, and those outside of it."""
    registry = {}

    def register(function):
        registry[function.__name__] = function
        return function

    def registered_around(function):
        return register(traced(function))

    class Layer(Base):
        @register
        def forward(self, *, flag=MERGED):
            return flag

        @registered_around
        def wrapped(self, *, flag=MERGED):
            return flag

        alias = forward
        __call__ = forward
        bound_early = functools.partialmethod(forward)
        hooks = (forward, wrapped)

        @property
        def from_closure(self, forward=forward):
            return functools.partial(forward, self)

    registry["before"] = Layer.forward
    return mergeable("flag", method=("forward", "wrapped"), **options)(Layer), registry


HOLDERS = {
    "the method": lambda layer, _: layer.forward,
    "an alias": lambda layer, _: layer.alias,
    "an alias that is called": lambda layer, _: layer,
    "a partialmethod": lambda layer, _: layer.bound_early,
    "a tuple": lambda layer, _: functools.partial(layer.hooks[0], layer),
    "a tuple with the wrapper": lambda layer, _: functools.partial(layer.hooks[1], layer),
    "a default": lambda layer, _: layer.from_closure,
    "a registry": lambda layer, registry: functools.partial(registry["forward"], layer),
    "a registry of wrappers": lambda layer, registry: functools.partial(
        registry["wrapped"], layer
    ),
    "who asked before": lambda layer, registry: functools.partial(registry["before"], layer),
}


@pytest.mark.parametrize("provides", [False, True])
@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_whoever_holds_it_has_the_merge(hold, provides):
    """A function that the class's body has handed to others is merged for them, too."""
    layer, registry = define_held(provide=provides)

    assert MERGES == outcomes(lambda flag: hold(layer(flag), registry))


def test_what_is_made_of_the_method():
    """Listed twice it merges once; a property and a partialmethod over it have the merge.

    One that sets the parameter does so in the call, so that both conflict.
    """

    @mergeable("flag", method=("forward", "__call__"))
    class Layer(Base):
        def forward(self, *, flag=MERGED):
            return flag

        __call__ = forward
        merged_flag = property(forward)
        evaluate = functools.partialmethod(forward, flag=False)

    assert ["forward"] == [method.name for method in Layer.__mergeable__.methods]
    assert MERGES == outcomes(Layer) == outcomes(Layer, "forward")
    assert (1, False) == (Layer(1).merged_flag, Layer().evaluate())
    with pytest.raises(MissingParamError):
        Layer().merged_flag
    with pytest.raises(ConflictingParamError):
        Layer(True).evaluate()


@pytest.mark.parametrize("around", [traced, contextlib.contextmanager, functools.lru_cache])
def test_wrapper_around_a_function_of_the_body(around):
    """What a decorator has put around a function of the body stays the very object."""

    class Layer(Base):
        @around
        def __call__(self, *, flag=MERGED):
            yield flag

    wrapper = vars(Layer)["__call__"]

    assert MERGES == outcomes(mergeable("flag")(Layer))
    assert wrapper is vars(Layer)["__call__"]


# Functions that were written elsewhere.


def owner_of(around):
    """Return a class whose function others are going to hold."""

    class Layer(Base):
        @around
        def call(self, *, flag=None):
            yield flag

    return Layer


def named_like(cls):
    """Return a namespace for a class that has the name of another one."""
    return {"__qualname__": cls.__qualname__, "__module__": cls.__module__}


SHARED = {
    "inherited": lambda owner: type("Sub", (owner,), {}),
    "of a base, again": lambda owner: type("Sub", (owner,), {"call": owner.call}),
    "of a namesake base": lambda owner: type(
        "Layer", (owner,), {"call": owner.call, **named_like(owner)}
    ),
    "of a base of the same namespace": lambda owner: type("Sub", (owner,), dict(vars(owner))),
    "of an unrelated class": lambda owner: type("Other", (Base,), {"call": owner.call}),
    "of a module": lambda owner: type("Other", (Base,), {"call": vars(owner)["call"]}),
    "around what a base holds": lambda owner: type("Sub", (owner,), {"call": traced(owner.call)}),
    "around another class's": lambda owner: type("Other", (Base,), {"call": traced(owner.call)}),
}


@pytest.mark.parametrize(
    "around",
    [lambda function: function, traced, contextlib.contextmanager, functools.lru_cache],
    ids=["plain", "traced", "contextmanager", "lru_cache"],
)
@pytest.mark.parametrize("share", SHARED)
@pytest.mark.usefixtures("spliced_or_wrapped")
def test_functions_from_elsewhere(share, around):
    """The class merges, and whoever else holds the function notices nothing."""
    owner = owner_of(around)
    cls, before = SHARED[share](owner), snapshot(owner.call)
    mergeable("flag", method="call")(cls)

    assert MERGES == outcomes(cls, "call")
    assert DOES_NOT_MERGE == outcomes(owner, "call")
    assert before == snapshot(owner.call)


@pytest.mark.parametrize("around", [lambda function: function, traced, contextlib.contextmanager])
@pytest.mark.usefixtures("spliced_or_wrapped")
def test_function_of_a_base_under_another_name(around):
    """A class may merge its base's function under another name, and the base notices nothing."""
    owner = owner_of(around)
    before = snapshot(owner.call)
    cls = mergeable("flag", method="run")(type("Sub", (owner,), {"run": owner.call}))

    assert [MERGES, DOES_NOT_MERGE] == [outcomes(cls, "run"), outcomes(cls, "call")]
    assert before == snapshot(owner.call)


@pytest.mark.parametrize("provides", [False, True])
def test_both_classes_that_share_a_function(provides):
    """Two classes may merge one function, each in its own way."""

    def call(self, *, flag=None, mode=None):
        return flag, mode

    first, second = (type("Layer", (Base,), {"__call__": call, "mode": 3}) for _ in range(2))
    mergeable("flag", provide=provides)(first)
    mergeable(Param("flag", default=7), "mode", provide=provides)(second)

    assert (1, None) == first(1)()
    assert (7, 3) == second()()
    assert (None, None) == call(None)
    with pytest.raises(MissingParamError):
        first()()
    with pytest.raises(ConflictingParamError):
        second()(mode=4)


def test_registry_of_a_function_from_elsewhere():
    """A registry that holds a module's function has the function without the merge."""

    def call(self, *, flag=MERGED):
        return flag

    registry = [call]

    @mergeable("flag")
    class Layer(Base):
        __call__ = call

    assert MERGES == outcomes(Layer)
    assert [MERGED, 2, MERGED, 1] == outcomes(
        lambda flag: functools.partial(registry[0], Base(flag))
    )


def test_what_the_decorator_adds_is_private():
    """The class gets private names, a mark and its specification; base and module nothing."""

    class Parent(Base):
        def __call__(self, *, flag=None, mask=UNSET):
            return flag

    class Layer(Parent):
        flag, mask = None, UNSET

        def forward(self, *, flag=MERGED):
            return flag

    before = set(vars(Layer)), dict(vars(Parent)), set(globals())
    params = Param("flag", default=1), Param("mask", unset=UNSET)
    mergeable(*params, method=("__call__", "forward"))(Layer)
    added = {*vars(Layer), *globals()} - before[0] - before[2]

    public = {name for name in added if name[:12] != "_mergeparam_"}
    assert {"__call__", "__mergeable__", "autograph_info__"} == public
    assert before[1] == dict(vars(Parent))


# Dispatchers.


class Dispatcher:
    """Picks a function by the type of the first argument, as libraries for that do."""

    def __init__(self, function):
        self.implementations = {}
        functools.update_wrapper(self, function)
        self.register(function)

    def register(self, function):
        self.implementations[function.__annotations__["x"]] = function
        return self

    def __call__(self, obj, x, **given):
        return self.implementations[type(x)](obj, x, **given)

    def __get__(self, obj, owner=None):
        return self if obj is None else types.MethodType(self, obj)


@pytest.mark.usefixtures("spliced_or_wrapped")
def test_dispatcher_merges_for_every_implementation():
    """A dispatcher that a class's body has filled hands merged values to each implementation."""

    class Layer(Base):
        @Dispatcher
        def __call__(self, x: int, *, flag=MERGED):
            return "int", flag

        @__call__.register
        def __call__(self, x: str, *, flag=MERGED):
            return "str", flag

    mergeable("flag")(Layer)

    for x in (1, "x"):
        name = type(x).__name__
        found = outcomes(lambda flag, x=x: functools.partial(Layer(flag), x))
        assert [(name, 1), (name, 2), *MERGES[2:]] == found


@pytest.mark.usefixtures("spliced_or_wrapped")
def test_shared_dispatcher():
    """A dispatcher that other classes hold too stays as it is."""

    @Dispatcher
    def call(self, x: int, *, flag=None):
        return "int", flag

    @call.register
    def call(self, x: str, *, flag=None):
        return "str", flag

    first, second = (type("Layer", (Base,), {"__call__": call}) for _ in range(2))
    mergeable("flag")(first)

    assert [("int", 1), ("str", 1)] == [first(1)(5), first(1)("x")]
    assert [("int", None), ("str", None)] == [second(1)(5), second(1)("x")]
    with pytest.raises(MissingParamError):
        first()("x")


# Classes that are made of others, again, or in great numbers.


def merged_layer(unset=None, **options):
    """Return a class made in a function, so that many have one name."""

    @mergeable(Param("flag", unset=unset, **options))
    class Layer:
        def __init__(self, flag=unset):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    return Layer


@pytest.mark.parametrize("inherits", [False, True])
@pytest.mark.parametrize("options", [{}, {"default": 5}, {"unset": UNSET}])
def test_class_made_of_the_namespace_of_a_merged_one(inherits, options):
    """`type("D", (C,), dict(C.__dict__))` merges as the class that it is made of does."""
    original = merged_layer(**options)
    namespace = dict(vars(original))
    copy = type("Copy", (original,) if inherits else (), namespace)
    unset = options.get("unset")
    missing = options.get("default", MissingParamError)

    for cls in (original, copy):
        assert [1, 2, missing, ConflictingParamError] == [
            attempt(cls(1), flag=unset),
            attempt(cls(unset), flag=2),
            attempt(cls(unset), flag=unset),
            attempt(cls(1), flag=2),
        ]


def test_subclass_that_is_made_of_the_namespace_and_hands_on():
    """A copy of a subclass hands its merged value to the base without a conflict."""
    parent = merged_layer()

    @mergeable("flag")
    class Layer(parent):
        def __call__(self, *, flag=MERGED):
            return "child", parent.__call__(self, flag=flag)

    copy = type("Copy", (Layer,), dict(vars(Layer)))

    assert [("child", 1), ("child", 2), *MERGES[2:]] == outcomes(copy)


def overriding(parent, *, hands_on=False, **options):
    """Return a subclass, of the same name, that calls the next method with its value or none."""

    @mergeable(Param("flag", **options))
    class Layer(parent):
        def __call__(self, *, flag=MERGED):
            return flag, super().__call__(**{"flag": flag} if hands_on else {})

    return Layer


def test_namesake_subclasses():
    """`class Dropout(Dropout)`, again and again: each level merges by its own declaration."""
    first = merged_layer(default="first")
    second = overriding(first, default="second")
    third = overriding(second, default="third")

    assert "first" == first()()
    assert ("second", "first") == second()()
    assert ("third", ("second", "first")) == third()()
    assert (1, (1, 1)) == third(1)()


def test_lambda_of_a_namesake():
    """It is not written in the class that borrows it, and stays what it is for its owner."""

    class Layer(Base):
        __call__ = lambda self, flag=None: flag

    owner = Layer

    @mergeable("flag")
    class Layer(Layer):
        __call__ = owner.__call__

    assert MERGES == outcomes(Layer)
    assert (None, 2) == (owner(1)(), owner(1)(2))


def test_namesake_subclasses_that_hand_on():
    """What a namesake hands on is no conflict; another object is one."""
    layer = overriding(overriding(merged_layer(), hands_on=True), hands_on=True)

    assert [(1, (1, 1)), (2, (2, 2)), *MERGES[2:]] == outcomes(layer)
    with pytest.raises(ConflictingParamError):
        super(layer, layer(1)).__call__(flag=2)


def test_unset_objects_of_namesakes():
    """Each level of classes of one name has its own object that means "not set"."""
    mine, yours = object(), object()
    parent = merged_layer(mine, default="parent")

    @mergeable(Param("flag", unset=yours, default="child"))
    class Layer(parent):
        def __init__(self, flag=yours):
            self.flag = flag

        def __call__(self, *, flag=MERGED):
            return flag, super().__call__(flag=mine)

    assert "parent" == parent()()
    assert ("child", yours) == Layer()()
    assert (yours, yours) == (parent(yours)(), parent()(flag=yours))


def mixin(hands_on=None, **options):
    """Return a mixin made by a function, so that two of them are siblings in one class."""

    @mergeable(Param("flag", **options))
    class Mixin:
        def __call__(self, *, flag=MERGED):
            given = {} if hands_on is None else {"flag": hands_on(flag)}
            return flag, *super().__call__(**given)

    return Mixin


class Last(Base):
    """The class behind the mixins."""

    other = None

    def __call__(self, **given):
        return ()


def same(flag):
    """Hand the very same object on."""
    return flag


ONE, OTHER = object(), object()


@pytest.mark.parametrize(
    ("one", "other", "flag", "given", "expected"),
    [
        *(
            ({"default": 1}, {"default": 2}, flag, given, expected)
            for flag, given, expected in (
                (None, {}, (1, 2)),
                (5, {}, (5, 5)),
                (None, {"flag": 5}, (5, 2)),
            )
        ),
        ({"default": 1}, {}, None, {}, MissingParamError),
        ({}, {"default": 2}, None, {}, MissingParamError),
        ({}, {"default": 2}, None, {"flag": 5}, (5, 2)),
        (
            {"on_conflict": "use_attribute", "hands_on": lambda _: 7},
            {"on_conflict": "use_call"},
            *(1, {"flag": 3}, (1, 7)),
        ),
        (
            {"on_conflict": "use_attribute", "hands_on": lambda _: 7},
            {"on_conflict": "raise"},
            *(1, {"flag": 3}, ConflictingParamError),
        ),
        ({"unset": ONE, "default": 1}, {"unset": OTHER, "default": 2}, ONE, {}, (1, ONE)),
        ({"unset": ONE, "default": 1}, {"unset": OTHER, "default": 2}, OTHER, {}, (OTHER, 2)),
        ({}, {"attribute": "other", "default": 2}, 1, {}, (1, 2)),
        *(
            ({"hands_on": same}, {"hands_on": same}, flag, given, expected)
            for (flag, given), expected in zip(CALLS, [(1, 1), (2, 2), *MERGES[2:]], strict=True)
        ),
    ],
)
def test_sibling_mixins(one, other, flag, given, expected):
    """Each mixin in a diamond merges by its own declaration, and hands on without a conflict."""
    diamond = type("Diamond", (mixin(**one), mixin(**other), Last), {})

    assert expected == attempt(diamond(flag), **given)


def test_same_class_twice_by_two_ways():
    """A base that a diamond reaches by two ways merges by its own declaration."""
    base = merged_layer(default="base")
    left, right = overriding(base, default="left"), overriding(base, default="right")

    class Diamond(left, right):
        pass

    assert ("left", ("right", "base")) == Diamond()()


@pytest.mark.parametrize("outlives", [False, True])
@pytest.mark.parametrize(
    "make_parent",
    [
        lambda: merged_layer(default="another"),
        lambda: overriding(merged_layer(default="another")),
        lambda: Base,
    ],
    ids=["namesake", "subclass of a namesake", "class that merges nothing"],
)
def test_method_of_a_class_that_has_no_part(make_parent, outlives):
    """A method that another class holds never takes that class's declaration for its own."""
    original = merged_layer(default="original")
    method = original.__call__
    if outlives:
        del original
        gc.collect()
    parent = make_parent()

    class Holder(parent):
        run = method

    found = [refused_or(Holder(flag).run, **given) for flag, given in CALLS]

    assert found[:2] in ([1, 2], ["refused"] * 2)
    assert found[2] in ("original", "refused", MissingParamError)
    assert found[3] in (ConflictingParamError, "refused")


def refused_or(method, **given):
    """Return what a call gives, or that it is refused because the method has no part here."""
    try:
        return attempt(method, **given)
    except (TypeError, AttributeError):
        return "refused"


def test_base_that_is_held_by_its_subclass_alone():
    """A base that only its subclass holds goes on merging by its own declaration."""
    layer = overriding(merged_layer(default="base"), default="child")
    others = [merged_layer(default="another") for _ in range(3)]
    gc.collect()

    assert ("child", "base") == layer()()
    assert ["another"] * 3 == [other()() for other in others]


def namespaces():
    """Return how much the module of this test and the package's modules hold."""
    names = [__name__, *(name for name in sys.modules if name.split(".")[0] == "mergeparam")]
    return {
        name: {key: len(value) for key, value in vars(sys.modules[name]).items() if sized(value)}
        | {None: len(vars(sys.modules[name]))}
        for name in names
        if name in sys.modules
    }


def sized(value):
    """Whether a value is a container that may grow."""
    return isinstance(value, (dict, list, set, weakref.WeakValueDictionary, weakref.WeakSet))


@pytest.mark.parametrize("provides", [False, True])
def test_local_classes_in_a_loop(provides):
    """Classes that a function makes anew, with objects of their own, leave nothing behind."""

    def make(number):
        unset = object()

        @mergeable(Param("flag", unset=unset, default=number), provide=provides)
        class Layer:
            flag = unset

            def __call__(self, *, flag=MERGED):
                return flag

        assert number == Layer()()
        assert 5 == Layer()(flag=5)
        return weakref.ref(Layer), weakref.ref(Layer.__call__)

    make(0)
    gc.collect()
    before = namespaces()
    made = [reference for number in range(50) for reference in make(number)]
    gc.collect()

    assert before == namespaces()
    assert not any(reference() for reference in made)


def test_numbers_of_stacked_decorators():
    """A merge in code that another decorator has replaced keeps its private names to itself."""

    class Stacked(Base):
        two = None

        def __call__(self, *, flag=MERGED, two=MERGED):
            return flag, two

    mergeable(Param("two", default="two"))(mergeable(Param("flag", default="base"))(Stacked))
    gc.collect()

    @mergeable(Param("flag", default="child"))
    class Child(Stacked):
        def __call__(self, *, flag=MERGED):
            return flag, super().__call__()

    assert ("child", ("base", "two")) == Child()()


def test_local_classes_that_live_together():
    """Classes that a function has made, all alive, each keep their own object and default."""
    objects = [object() for _ in range(20)]
    layers = [merged_layer(one, default=number) for number, one in enumerate(objects)]

    for number, layer in enumerate(layers):
        other = objects[number - 1]
        assert [number, other, other] == [layer()(), layer(other)(), layer()(flag=other)]


@pytest.mark.parametrize("provides", [False, True])
def test_names_with_one_checksum(provides):
    """Parameters and methods whose names have one CRC-32 are told apart."""
    mine, yours = object(), object()
    params = Param("plumless", unset=mine), Param("buckeroo", unset=yours)

    @mergeable(*params, method=("plumless_", "buckeroo_"), provide=provides)
    class Layer:
        plumless, buckeroo = mine, yours

        def plumless_(self, plumless=MERGED, buckeroo=MERGED):
            return plumless, buckeroo

        def buckeroo_(self, plumless=MERGED):
            return plumless

    assert (yours, mine) == Layer().plumless_(yours, mine)
    assert yours is Layer().buckeroo_(yours)


RELOADED = """
from mergeparam import MERGED, Param, mergeable, provide

EMPTY = object()
GENERATION = globals().get("GENERATION", 0) + 1


@mergeable(Param("flag", unset=EMPTY, default=GENERATION), "mode")
class Layer:
    def __init__(self, flag=EMPTY, mode=None):
        self.flag, self.mode = flag, mode

    def __call__(self, *, flag=MERGED, mode=MERGED):
        return flag, mode
"""


@pytest.fixture
def reloaded(tmp_path, monkeypatch):
    """Return a module of a file of its own that may be reloaded."""
    name = f"ownership_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(RELOADED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module(name)
    del sys.modules[name]


def test_reloaded_module(reloaded):
    """Old and new classes each keep their default and their object that means "not set"."""
    old = reloaded.Layer, reloaded.EMPTY
    importlib.reload(reloaded)
    new = reloaded.Layer, reloaded.EMPTY

    for generation, (layer, empty), other in ((1, old, new[1]), (2, new, old[1])):
        assert (generation, 5) == layer()(mode=5)
        assert (3, 5) == layer(3)(mode=5)
        assert (other, 5) == layer(empty, 5)(flag=other)
        with pytest.raises(MissingParamError):
            layer()()
        with pytest.raises(ConflictingParamError):
            layer(3)(flag=4, mode=5)


def test_class_of_a_reloaded_module_over_its_predecessor(reloaded):
    """A subclass of the old class, made with the new one, merges by each one's declaration."""
    old = reloaded.Layer
    new = importlib.reload(reloaded).Layer
    both = type("Both", (new, old), {})

    assert (2, 5) == both()(mode=5)
    assert (1, 5) == old.__call__(both(old().flag), mode=5)


def test_rebound_unset_object(reloaded):
    """What the author binds to the object's own name later changes nothing."""
    reloaded.EMPTY = None

    assert (1, 5) == reloaded.Layer()(mode=5)
    assert (None, 5) == reloaded.Layer()(flag=None, mode=5)


def test_many_reloads_leave_nothing(reloaded):
    """A module that is reloaded again and again does not grow."""
    importlib.reload(reloaded)
    before = len(vars(reloaded))
    for _ in range(10):
        importlib.reload(reloaded)
    gc.collect()

    assert before == len(vars(reloaded))
    assert (12, 5) == reloaded.Layer()(mode=5)


ELSEWHERE = """
import base64
import sys

import cloudpickle

from mergeparam import MERGED, Param, mergeable

EMPTY = object()


def make(default, inject):
    @mergeable(Param("flag", default=default), Param("mask", unset=EMPTY), inject=inject)
    class Layer:
        def __init__(self, flag=None, mask=EMPTY):
            self.flag, self.mask = flag, mask

        def __call__(self, *, flag=MERGED, mask=MERGED):
            return flag, mask

        def both(self):
            return [cls.__call__(self) for cls in type(self).__mro__ if "__call__" in vars(cls)]

    return Layer


classes = [make(f"{sys.argv[1]} {number}", ("auto", "wrap")[number]) for number in range(2)]
print(base64.b64encode(cloudpickle.dumps((classes, EMPTY))).decode())
"""


@pytest.fixture(scope="module")
def from_elsewhere():
    """Return classes of one name from two other processes, and what means "not set" to them."""
    found = []
    for process in ("first", "second"):
        printed = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, process], check=True, capture_output=True, timeout=60
        )
        classes, empty = pickle.loads(base64.b64decode(printed.stdout))
        found += [(cls, empty) for cls in classes]
    return found


@needs_cloudpickle
def test_classes_from_other_processes(from_elsewhere):
    """Classes that arrive by cloudpickle keep their defaults and objects, whatever their name."""
    defaults = ["first 0", "first 1", "second 0", "second 1"]

    assert defaults == [layer()(mask=1)[0] for layer, _ in from_elsewhere]
    for layer, empty in from_elsewhere:
        assert (2, None) == layer(2, None)(mask=empty)
        assert (None, MissingParamError) == (layer(mask=None)(flag=1)[1], attempt(layer()))
        assert ConflictingParamError is attempt(layer(1, 1), flag=2)


@needs_cloudpickle
@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2), (3, 0)])
def test_classes_from_other_processes_in_one_diamond(from_elsewhere, one, other):
    """Classes of one name, of one or two processes, each merge by their own declaration."""
    (left, _), (right, _) = from_elsewhere[one], from_elsewhere[other]
    defaults = ["first 0", "first 1", "second 0", "second 1"]
    both = type("Layer", (left, right), {})

    assert [(defaults[one], 1), (defaults[other], 1)] == both(mask=1).both()


@needs_cloudpickle
def test_subclass_here_of_a_class_from_elsewhere(from_elsewhere):
    """A subclass that is made here, of the same name, tells the two levels apart."""
    parent, _ = from_elsewhere[0]

    @mergeable(Param("flag", default="here"))
    class Layer(parent):
        def __call__(self, *, flag=MERGED, mask=1):
            return flag, super().__call__(mask=mask), super().__call__(flag=flag, mask=mask)

    assert ("here", ("first 0", 1), ("here", 1)) == Layer()()
    assert (2, (2, 1), (2, 1)) == Layer(2)()


@needs_cloudpickle
def test_classes_that_go_and_come_back():
    """A class that goes through cloudpickle and back is the same class."""
    layer = merged_layer(default=5)

    assert layer is cloudpickle.loads(cloudpickle.dumps(layer))
    assert 5 == cloudpickle.loads(cloudpickle.dumps(layer()))()


def test_provided_value_reaches_every_copy():
    """A provided value is taken by classes, copies of them, and siblings alike."""
    layer = merged_layer()
    copy = type("Layer", (layer,), dict(vars(layer)))

    with provide(flag=3):
        found = [cls()() for cls in (layer, copy, merged_layer(default=4))]

    assert [3, 3, 3] == found
