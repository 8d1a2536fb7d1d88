"""Flax Linen modules: how they are written, called, looked at and copied."""

import dataclasses
import functools
import inspect
import re
from typing import Generic, TypeVar

import cloudpickle
import frameworks
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeDefinitionError,
    MergeWarning,
    MissingParamError,
    Param,
    find_unset,
    mergeable,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

errors = pytest.importorskip("flax.errors", reason="flax is not installed")
jnp = jax.numpy
X, KEYS = layers.X, layers.KEYS
Kind = TypeVar("Kind")


@pytest.fixture
def pair(inject):
    """Return a layer with the merge by hand, and decorated."""
    return layers.noisy_dense()


@pytest.fixture
def layer(inject):
    """Return a merged module with nothing in it."""
    return mergeable("flag")(frameworks.Linen().layer())


def check_outcomes(cls):
    """Assert the four outcomes of a module that returns its input, negated without the flag."""
    assert jnp.array_equal(X, cls(flag=True).apply({}, X))
    assert jnp.array_equal(-X, cls().apply({}, X, flag=False))
    with pytest.raises(MissingParamError):
        cls().apply({}, X)
    with pytest.raises(ConflictingParamError):
        cls(flag=True).apply({}, X, flag=True)


def template_model(dropout):
    """Return a model that fills a template in, as in Flax's "Dealing with Module Arguments"."""

    class Block(nn.Module):
        dropout: object

        @nn.compact
        def __call__(self, x):
            return self.dropout()(nn.Dense(3)(x))

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            filled = functools.partial(dropout, rate=0.5, deterministic=not train)
            return x + Block(filled)(x)

    return Model()


def setup_model(dropout):
    """Return a model that makes its layers once, as in Flax's "Dealing with Module Arguments"."""

    class Model(nn.Module):
        def setup(self):
            self.dense, self.dropout = nn.Dense(3), dropout(rate=0.5)

        def __call__(self, x, *, train):
            return x + self.dropout(self.dense(x), deterministic=not train)

    return Model()


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("make", [template_model, setup_model])
def test_patterns_of_the_design_note(inject, make, train):
    """Both patterns compute what they do with Flax's own layer."""
    flax, merged = (
        make(dropout).init_with_output(KEYS, X, train=train)
        for dropout in (nn.Dropout, layers.dropout())
    )

    assert layers.are_same(flax, merged)


def keyword_only_fields():
    """A required field stands behind the merged one."""

    class Layer(nn.Module, kw_only=True):
        flag: bool | None = None
        rate: float

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    return functools.partial(mergeable("flag")(Layer), rate=0.5)


def setup():
    """The constructor's side is computed in `setup`, which has run by then."""

    @mergeable(Param("flag", attribute="_flag"))
    class Layer(nn.Module):
        flag: bool | None = None

        def setup(self):
            self._flag = self.flag

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    return Layer


def computed(attribute="flag"):
    """The constructor's side is a property."""

    @mergeable(Param("flag", attribute="mode"))
    class Layer(nn.Module):
        flag: bool | None = None

        @property
        def mode(self):
            return getattr(self, attribute)

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    return Layer


def field_of_a_part():
    """The constructor's side is that of a module in a field."""

    @mergeable(Param("flag", attribute="inner.flag"))
    class Layer(nn.Module):
        inner: nn.Module

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    return lambda flag=None: Layer(frameworks.Linen().layer()(flag))


def part_from_setup():
    """The constructor's side is that of a module that `setup` makes."""

    @mergeable(Param("flag", attribute="inner.flag"))
    class Layer(nn.Module):
        flag: bool | None = None

        def setup(self):
            self.inner = frameworks.Linen().layer()(self.flag)

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    return Layer


def plain_mixin():
    """The method is that of a mixin that is no module, which Linen does not wrap."""

    class Mixin:
        def __call__(self, x, flag=None):
            return x if flag else -x

    class Layer(Mixin, nn.Module):
        flag: bool | None = None

    merged = mergeable("flag")(Layer)
    assert jnp.array_equal(-X, Mixin()(X))
    return merged


def generic():
    """The module is generic, and one of its parametrisations merges like it."""

    @mergeable("flag")
    class Layer(nn.Module, Generic[Kind]):
        flag: Kind | None = None

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(Layer)
    return Layer[bool]


def overriding():
    """A subclass hands on what the call gave, without a merge of its own."""

    class Layer(mergeable("flag")(frameworks.Linen().layer())):
        def __call__(self, x, *, flag=None):
            return super().__call__(x, flag=flag)

    return Layer


WRITTEN = [
    *(keyword_only_fields, setup, computed, field_of_a_part, part_from_setup),
    *(plain_mixin, generic, overriding),
]


@pytest.mark.parametrize("written", WRITTEN)
def test_ways_to_write_a_module(inject, written):
    """However a module is written, the four outcomes are the same."""
    check_outcomes(written())


def test_error_in_a_property(inject):
    """An `AttributeError` of the constructor's side is Flax's."""
    with pytest.raises(errors.DescriptorAttributeError):
        computed("nothing")().apply({}, X)


def test_a_field_with_another_default(layer):
    """What a subclass gives a field is the constructor's value, and copies may change it."""

    class Pinned(layer):
        flag: bool | None = True

    assert jnp.array_equal(X, Pinned().apply({}, X))
    assert jnp.array_equal(-X, Pinned().clone(flag=False).apply({}, X))
    assert jnp.array_equal(-X, dataclasses.replace(layer(), flag=False).apply({}, X))
    with pytest.raises(ConflictingParamError):
        Pinned().apply({}, X, flag=True)
    with pytest.raises(MissingParamError):
        Pinned().copy(flag=None).apply({}, X)


def test_a_module_as_value(inject):
    """A value may be a module, which becomes a part of whoever has made it."""

    @mergeable("inner")
    class Layer(nn.Module):
        inner: nn.Module | None = None

        @nn.compact
        def __call__(self, x, inner=MERGED):
            return inner(x)

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Layer()(x, nn.Dense(3))

    assert ["inner"] == list(Layer(nn.Dense(3)).init(KEYS, X)["params"])
    assert ["Dense_0"] == list(Model().init(KEYS, X)["params"])
    with pytest.raises(MissingParamError):
        Layer().init(KEYS, X)


def initialised(model):
    """Return the variables of a model that may lack its flag."""
    return model.clone(deterministic=True).init(KEYS, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, **given: model.init(KEYS, X, **given),
        lambda model, **given: model.init_with_output(KEYS, X, **given)[1],
        lambda model, **given: model.lazy_init(KEYS, X, **given),
        lambda model, **given: model.apply(initialised(model), X, **given),
        lambda model, **given: model.bind(initialised(model))(X, **given),
        lambda model, **given: nn.init(lambda layer: layer(X, **given), model)(KEYS),
    ],
    ids=["init", "init_with_output", "lazy_init", "apply", "bind", "nn.init"],
)
def test_ways_in(pair, call):
    """Every way into a module merges."""
    by_hand, merged = pair

    assert layers.are_same(call(by_hand(), deterministic=True), call(merged(), deterministic=True))
    with pytest.raises(MissingParamError):
        call(merged())


def test_other_methods(inject):
    """Methods that `method=` lists merge, however they are called; others do not."""

    @mergeable("flag", method=("__call__", "encode"))
    class Layer(nn.Module):
        flag: bool | None = None

        def encode(self, x, flag=MERGED):
            return 2 * x if flag else -2 * x

        @nn.compact
        def __call__(self, x, flag=MERGED):
            return nn.Dense(3, kernel_init=nn.initializers.ones)(x) if flag else x

        def decode(self, x, flag=None):
            return flag

    for result in (
        Layer(False).apply({}, X, method="encode"),
        Layer().apply({}, X, False, method=Layer.encode),
        Layer(False).apply({}, X, method=lambda layer, x: layer.encode(x)),
        nn.apply(lambda layer: layer.encode(X, flag=False), Layer())({}),
    ):
        assert jnp.array_equal(-2 * X, result)
    assert jnp.array_equal(X, Layer(False).apply({}, X))
    assert None is Layer(False).apply({}, X, method="decode")
    with pytest.raises(MissingParamError, match=r"encode\(\)"):
        Layer().apply({}, X, method="encode")


def test_compact_name_scopes(inject):
    """Methods that have name scopes of their own."""

    @mergeable("flag", method=("up", "down"))
    class Layer(nn.Module):
        flag: bool | None = None

        @nn.compact_name_scope
        def up(self, x, flag=MERGED):
            return nn.Dense(3)(x) if flag else -nn.Dense(3)(x)

        @nn.compact_name_scope
        def down(self, x, flag=MERGED):
            return nn.Dense(3)(x) if flag else -nn.Dense(3)(x)

        def __call__(self, x):
            return self.up(x) + self.down(x)

    variables = Layer(True).init(KEYS, X)
    up = Layer(True).apply(variables, X, method="up")

    assert {"up", "down"} == set(variables["params"])
    assert jnp.array_equal(-up, Layer().apply(variables, X, False, method="up"))
    with pytest.raises(MissingParamError, match=r"Layer\.up\(\)"):
        Layer().apply(variables, X)


def test_shared_scopes(pair):
    """A module that shares the scope of a merged part, and a merged one that shares a part's."""

    class Wrapper(nn.Module):
        merged: type

        def setup(self):
            self.inner = self.merged()
            nn.share_scope(self, self.inner)

        def __call__(self, x):
            return self.inner(x, deterministic=True)

    @mergeable("flag")
    class Sharing(nn.Module):
        flag: bool | None = None

        def setup(self):
            self.dense = nn.Dense(3)
            nn.share_scope(self, self.dense)

        def __call__(self, x, flag=MERGED):
            return self.dense(x) if flag else -self.dense(x)

    by_hand, merged = (Wrapper(cls).init(KEYS, X) for cls in pair)

    assert layers.are_same(by_hand, merged)
    assert {"bias", "kernel"} == set(Sharing().init(KEYS, X, True)["params"])


def test_without_a_scope(pair):
    """A method that Linen is told to leave alone merges; else the error is Flax's, as by hand."""

    @mergeable("flag", method="helper")
    class Layer(nn.Module):
        flag: bool | None = None

        @nn.nowrap
        def helper(self, x, flag=MERGED):
            return x if flag else -x

    assert jnp.array_equal(X, Layer(True).helper(X))
    with pytest.raises(MissingParamError):
        Layer().helper(X)
    for cls in pair:
        with pytest.raises(errors.CallCompactUnboundModuleError):
            cls()(X)


@pytest.mark.parametrize("given", [{}, {"deterministic": True}], ids=["attribute", "call"])
def test_observed_as_by_hand(pair, given):
    """Interceptors, captured intermediates and profilers see each call once, as written."""
    held = {} if given else {"deterministic": True}
    variables = pair[0](deterministic=True).init(KEYS, X)

    def observe(cls):
        calls = []

        def interceptor(go_on, args, kwargs, context):
            calls.append((type(context.module).__name__, context.method_name, len(args), kwargs))
            return go_on(*args, **kwargs)

        def run(x):
            return cls(**held).apply(variables, x, **given)

        with nn.intercept_methods(interceptor):
            cls(**held).init(KEYS, X, **given)
        _, captured = cls(**held).apply(variables, X, **given, capture_intermediates=True)
        with nn.override_named_call(True):
            text = jax.jit(run).lower(X).as_text(debug_info=True)
        scopes = sorted(set(re.findall(r'"(jit\(run\)[^"]*)"', text)))
        return calls, jax.tree.structure(captured), scopes

    by_hand, (calls, captured, scopes) = map(observe, pair)

    assert by_hand == (calls, captured, scopes)
    assert [("Layer", "__call__", 1, given)] == [
        call for call in calls if call[:2] == ("Layer", "__call__")
    ]
    assert "jit(run)/Layer/Dense_0/dot_general" in scopes


def test_interceptors_may_give_the_value(pair):
    """What an interceptor adds to a call is merged like any call's value."""

    def interceptor(go_on, args, kwargs, context):
        is_layer = isinstance(context.module, pair[1]) and context.method_name == "__call__"
        return go_on(*args, **(kwargs | {"deterministic": True} if is_layer else kwargs))

    with nn.intercept_methods(interceptor):
        given = pair[1]().init(KEYS, X)
        with pytest.raises(ConflictingParamError):
            pair[1](deterministic=True).init(KEYS, X)

    assert {"Dense_0"} == set(given["params"])


@pytest.mark.parametrize("levels", [1, 2])
def test_forwarding_to_super(pair, levels):
    """A merged value that compact methods hand on to a merged base is no conflict."""
    cls = base = pair[1]
    for _ in range(levels):

        @mergeable("deterministic")
        class Layer(cls):
            @nn.compact
            def __call__(self, x, *, deterministic=MERGED):
                return super().__call__(x, deterministic=deterministic)

        cls = Layer

    for flag in (True, False):
        expected = base(deterministic=flag).init_with_output(KEYS, X)
        assert layers.are_same(expected, cls(deterministic=flag).init_with_output(KEYS, X))
        assert layers.are_same(expected, cls().init_with_output(KEYS, X, deterministic=flag))
    with pytest.raises(ConflictingParamError):
        cls(deterministic=True).init(KEYS, X, deterministic=True)
    with pytest.raises(MissingParamError):
        cls().init(KEYS, X)


def test_class_by_value(pair):
    """A class travels by value."""
    by_hand, merged = pair
    travelled = cloudpickle.loads(cloudpickle.dumps(merged))
    expected = by_hand(deterministic=True).init_with_output(KEYS, X)

    assert layers.are_same(expected, travelled(deterministic=True).init_with_output(KEYS, X))
    with pytest.raises(MissingParamError):
        travelled().init(KEYS, X)


def test_still_a_dataclass(pair):
    """Fields, text, equality and hash are those of the class by hand.

    Linen's marks and the method's signature and source are as they were.
    """
    by_hand, merged = pair

    def fields(cls):
        return [(field.name, field.default, field.kw_only) for field in dataclasses.fields(cls)]

    assert fields(by_hand) == fields(merged)
    assert repr(by_hand(3, True)) == repr(merged(3, True))
    assert merged(3, True) == merged(3, True) != merged(3, False)
    assert hash(merged(3, True)) == hash(merged(3, True))
    assert inspect.signature(by_hand) == inspect.signature(merged)
    assert vars(by_hand.__call__).keys() <= vars(merged.__call__).keys()
    assert inspect.unwrap(merged.__call__).compact
    assert inspect.signature(by_hand.__call__) == inspect.signature(merged.__call__)
    assert "deterministic=default" in inspect.getsource(merged.__call__)


def test_find_unset(layer):
    """Parts are found in fields; in a bound module those from `setup` too."""

    class Block(nn.Module):
        def setup(self):
            self.inner = layer()

        def __call__(self, x):
            return self.inner(x, flag=True)

    class Model(nn.Module):
        first: nn.Module
        several: tuple

        def setup(self):
            self.own = Block()
            self.named = {"a": layer(), "b": layer(False)}

        def __call__(self, x):
            return self.own(x)

    model = Model(layer(), (layer(True), layer()))
    in_fields = {".first", ".several[1]"}

    assert in_fields == {path for path, *_ in find_unset(model)}
    assert in_fields | {".own.inner", ".named['a']"} == {
        path for path, *_ in find_unset(model.bind({}))
    }


def test_mistakes(inject):
    """A module without the field is refused, a compact body that reads it is warned of."""
    with pytest.raises(MergeDefinitionError, match=r"no attribute 'flag'.*Declare it as a field"):

        @mergeable("flag")
        class Forgotten(nn.Module):
            def __call__(self, x, flag=MERGED): ...

    with pytest.warns(MergeWarning, match=r"reads the raw self\.flag"):

        @mergeable("flag")
        class Raw(nn.Module):
            flag: bool | None = None

            @nn.compact
            def __call__(self, x, flag=MERGED):
                return self.flag


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_a_shared_function(inject, monkeypatch):
    """A function that several modules have as their method is merged in each by itself."""
    monkeypatch.setenv("MERGEPARAM_INJECT", inject)

    def shared(self, x, flag=MERGED):
        return x if flag else -x

    def module(name):
        members = {"__annotations__": {"flag": bool | None}, "flag": None, "__call__": shared}
        return type(name, (nn.Module,), members)

    first, second, plain = module("First"), module("Second"), module("Plain")

    check_outcomes(mergeable("flag")(first))
    check_outcomes(mergeable("flag")(second))
    with pytest.raises(MergeDefinitionError, match="was never merged"):
        plain(True).apply({}, X)


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_a_method_of_another_class(inject, monkeypatch):
    """A method that was taken from another module is merged without a change to that one."""
    monkeypatch.setenv("MERGEPARAM_INJECT", inject)

    class Source(nn.Module):
        flag: bool | None = None

        def __call__(self, x, flag=None):
            return x if flag is None else -x

    class Layer(nn.Module):
        flag: bool | None = None

        __call__ = Source.__call__

    mergeable("flag")(Layer)

    assert jnp.array_equal(-X, Layer(True).apply({}, X))
    assert jnp.array_equal(X, Source(True).apply({}, X))
