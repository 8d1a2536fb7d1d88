"""Flax Linen modules: how they are written, called, looked at and copied."""

import copy
import dataclasses
import functools
import inspect
import pickle
import re
from typing import Generic, TypeVar

import cloudpickle
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
    merged_params,
    merged_signature,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

errors = pytest.importorskip("flax.errors", reason="flax is not installed")
jnp = jax.numpy
X = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
KEYS = {"params": jax.random.key(0), "noise": jax.random.key(1), "dropout": jax.random.key(2)}


@mergeable("flag")
class Pickled(nn.Module):
    """A module that pickle finds by its name."""

    flag: bool | None = None

    def __call__(self, x, *, flag=MERGED):
        return x if flag else -x


@pytest.fixture
def pair(inject):
    """Return a layer with the merge by hand, and decorated."""
    return layers.noisy_dense()


@pytest.fixture
def layer(inject):
    """Return a merged module with nothing in it."""

    @mergeable("flag")
    class Layer(nn.Module):
        flag: bool | None = None

        def __call__(self, x, *, flag=MERGED):
            return x if flag else -x

    return Layer


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
        for dropout in (nn.Dropout, layers.declared_anew().Dropout)
    )

    assert jax.tree.all(jax.tree.map(jnp.array_equal, flax, merged))


def test_outcomes(layer):
    """The four outcomes."""
    check_outcomes(layer)


def test_compact(inject):
    """A compact method."""

    @mergeable("flag")
    class Layer(nn.Module):
        flag: bool | None = None

        @nn.compact
        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(Layer)


def test_keyword_only_fields(inject):
    """A module with `kw_only=True`, and a required field behind the merged one."""

    @mergeable("flag")
    class Layer(nn.Module, kw_only=True):
        flag: bool | None = None
        rate: float

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(functools.partial(Layer, rate=0.5))


def test_attribute_from_setup(inject):
    """The constructor's side may be computed in `setup`, which has run by then."""

    @mergeable(Param("flag", attribute="_flag"))
    class Layer(nn.Module):
        flag: bool | None = None

        def setup(self):
            self._flag = self.flag

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(Layer)


def test_attribute_from_a_property(inject):
    """The constructor's side may be a property; its errors are Flax's."""

    @mergeable(Param("flag", attribute="mode"))
    class Layer(nn.Module):
        flag: bool | None = None

        @property
        def mode(self):
            return self.flag

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    class Broken(Layer):
        @property
        def mode(self):
            return self.nothing

    check_outcomes(Layer)
    with pytest.raises(errors.DescriptorAttributeError):
        Broken().apply({}, X)


def test_attribute_of_a_part(inject):
    """The constructor's side may be that of a module inside, from a field or from `setup`."""

    @mergeable(Param("flag", attribute="inner.flag"))
    class Field(nn.Module):
        inner: nn.Module

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    @mergeable(Param("flag", attribute="inner.flag"))
    class SetUp(nn.Module):
        flag: bool | None = None

        def setup(self):
            self.inner = Pickled(self.flag)

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(lambda flag=None: Field(Pickled(flag)))
    check_outcomes(SetUp)


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


@pytest.mark.parametrize(
    "call",
    [
        lambda model, **given: model.init(KEYS, X, **given),
        lambda model, **given: model.init_with_output(KEYS, X, **given)[1],
        lambda model, **given: model.lazy_init(KEYS, X, **given),
        lambda model, **given: model.apply(
            model.clone(deterministic=True).init(KEYS, X), X, **given
        ),
        lambda model, **given: model.bind(model.clone(deterministic=True).init(KEYS, X))(
            X, **given
        ),
        lambda model, **given: nn.init(lambda layer: layer(X, **given), model)(KEYS),
    ],
    ids=["init", "init_with_output", "lazy_init", "apply", "bind", "nn.init"],
)
def test_ways_in(pair, call):
    """Every way into a module merges."""
    by_hand, merged = pair

    expected = call(by_hand(), deterministic=True)
    actual = call(merged(), deterministic=True)

    assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, actual))
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

    check = functools.partial(jnp.array_equal, -2 * X)

    assert check(Layer(False).apply({}, X, method="encode"))
    assert check(Layer().apply({}, X, False, method=Layer.encode))
    assert check(Layer(False).apply({}, X, method=lambda layer, x: layer.encode(x)))
    assert check(nn.apply(lambda layer: layer.encode(X, flag=False), Layer())({}))
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

    assert jax.tree.all(jax.tree.map(jnp.array_equal, by_hand, merged))
    assert {"bias", "kernel"} == set(Sharing().init(KEYS, X, True)["params"])


def test_unwrapped_methods(inject):
    """A method that Linen is told to leave alone merges without a scope."""

    @mergeable("flag", method="helper")
    class Layer(nn.Module):
        flag: bool | None = None

        @nn.nowrap
        def helper(self, x, flag=MERGED):
            return x if flag else -x

    assert jnp.array_equal(X, Layer(True).helper(X))
    with pytest.raises(MissingParamError):
        Layer().helper(X)


def test_unbound(pair):
    """Without a scope the error is Flax's, as by hand."""
    for cls in pair:
        with pytest.raises(errors.CallCompactUnboundModuleError):
            cls()(X)


@pytest.mark.parametrize("side", ["attribute", "call"])
def test_interceptors_see_what_was_written(pair, side):
    """An interceptor sees each call once, with the arguments as they were given."""

    def record(cls):
        calls = []

        def interceptor(go_on, args, kwargs, context):
            calls.append((type(context.module).__name__, context.method_name, len(args), kwargs))
            return go_on(*args, **kwargs)

        given = {"deterministic": True}
        with nn.intercept_methods(interceptor):
            if side == "attribute":
                cls(**given).init(KEYS, X)
            else:
                cls().init(KEYS, X, **given)
        return calls

    by_hand, merged = map(record, pair)

    assert by_hand == merged
    assert 1 == sum(name == "Layer" and method == "__call__" for name, method, *_ in merged)


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


def test_intermediates(pair):
    """What each method returns is captured once, as by hand."""
    variables = pair[0](deterministic=True).init(KEYS, X)
    by_hand, merged = (
        cls(deterministic=True).apply(variables, X, capture_intermediates=True) for cls in pair
    )

    assert jax.tree.structure(by_hand) == jax.tree.structure(merged)
    assert 1 == len(merged[1]["intermediates"]["__call__"])


def test_named_scopes(pair):
    """The names that profilers show are those of the merge by hand, each once."""
    variables = pair[0](deterministic=True).init(KEYS, X)

    def names(cls):
        def run(x):
            return cls().apply(variables, x, deterministic=True)

        with nn.override_named_call(True):
            text = jax.jit(run).lower(X).as_text(debug_info=True)
        return sorted(set(re.findall(r'"(jit\(run\)[^"]*)"', text)))

    by_hand, merged = map(names, pair)

    assert by_hand == merged
    assert "jit(run)/Layer/Dense_0/dot_general" in merged


def attention(cls):
    """Return attention to oneself, which hands all on to its base."""

    @mergeable("deterministic")
    class SelfAttention(cls):
        @nn.compact
        def __call__(self, x, *, deterministic=MERGED):
            return super().__call__(x, deterministic=deterministic)

    return SelfAttention


@pytest.mark.parametrize("levels", [1, 2])
def test_forwarding_to_super(inject, levels):
    """A merged value that is handed on to a merged base is no conflict, at any height."""
    cls = base = layers.declared_anew().MultiHeadDotProductAttention
    for _ in range(levels):
        cls = attention(cls)
    rates = {"num_heads": 1, "dropout_rate": 0.5}

    for flag in (True, False):
        expected = base(**rates, deterministic=flag, name="a").init_with_output(KEYS, X)
        constructed = cls(**rates, deterministic=flag).init_with_output(KEYS, X)
        called = cls(**rates).init_with_output(KEYS, X, deterministic=flag)
        for actual in (constructed, called):
            assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, actual))
    with pytest.raises(ConflictingParamError):
        cls(**rates, deterministic=True).init(KEYS, X, deterministic=True)
    with pytest.raises(MissingParamError):
        cls(**rates).init(KEYS, X)


def test_subclasses(layer):
    """A subclass without a method of its own, one with another default, one that overrides."""

    class Same(layer):
        extra: int = 0

    class Pinned(layer):
        flag: bool | None = True

    class Overriding(layer):
        def __call__(self, x, *, flag=None):
            return super().__call__(x, flag=flag)

    check_outcomes(Same)
    check_outcomes(Overriding)
    assert jnp.array_equal(X, Pinned().apply({}, X))
    with pytest.raises(ConflictingParamError):
        Pinned().apply({}, X, flag=True)


def test_method_of_a_base(monkeypatch):
    """A subclass may merge a method that it inherits; the base goes on as it was."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "auto")

    class Base(nn.Module):
        flag: bool | None = None

        @nn.compact
        def __call__(self, x, flag=None):
            return -x if flag is False else x

    layer = mergeable("flag")(type("Layer", (Base,), {}))

    check_outcomes(layer)
    assert jnp.array_equal(X, Base(flag=False).apply({}, X))


def test_method_of_a_plain_mixin(inject):
    """A method of a mixin that is no module, which Linen does not wrap."""

    class Mixin:
        def __call__(self, x, flag=None):
            return x if flag else -x

    class Layer(Mixin, nn.Module):
        flag: bool | None = None

    check_outcomes(mergeable("flag")(Layer))
    assert jnp.array_equal(-X, Mixin()(X))


def test_generic_modules(inject):
    """A generic module merges, and so does one of its parametrisations."""
    Kind = TypeVar("Kind")

    @mergeable("flag")
    class Layer(nn.Module, Generic[Kind]):
        flag: Kind | None = None

        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    check_outcomes(Layer)
    check_outcomes(Layer[bool])


def same(module):
    return module


COPIES = {
    "none": same,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "clone": lambda module: module.clone(),
    "copied": lambda module: module.copy(),
    "replace": dataclasses.replace,
    "unbind": lambda module: module.bind({}).unbind()[0],
    "cloudpickle": lambda module: cloudpickle.loads(cloudpickle.dumps(module)),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_copies(layer, make):
    """A copy of a module merges like the module."""
    check_outcomes(lambda flag=None: make(layer(flag)))

    assert layer(True).flag is make(layer(True)).flag


def test_copies_with_another_value(layer):
    """The value is a field like any other: it may be set and unset in copies."""
    assert jnp.array_equal(-X, layer(True).clone(flag=False).apply({}, X))
    assert jnp.array_equal(-X, dataclasses.replace(layer(), flag=False).apply({}, X))
    with pytest.raises(MissingParamError):
        layer(True).copy(flag=None).apply({}, X)


def test_pickles():
    """A module travels by the name of its class, and a class by value."""
    by_value = cloudpickle.loads(cloudpickle.dumps(layers.noisy_dense()[1]))
    expected = layers.noisy_dense()[0](deterministic=True).init_with_output(KEYS, X)

    check_outcomes(lambda flag=None: pickle.loads(pickle.dumps(Pickled(flag))))
    assert jax.tree.all(
        jax.tree.map(
            jnp.array_equal, expected, by_value(deterministic=True).init_with_output(KEYS, X)
        )
    )
    with pytest.raises(MissingParamError):
        by_value().init(KEYS, X)


def test_still_a_dataclass(pair):
    """Fields, text, equality and hash are those of the class by hand."""
    by_hand, merged = pair

    def fields(cls):
        return [(field.name, field.default, field.kw_only) for field in dataclasses.fields(cls)]

    assert fields(by_hand) == fields(merged)
    assert repr(by_hand(3, True)) == repr(merged(3, True))
    assert merged(3, True) == merged(3, True) != merged(3, False)
    assert hash(merged(3, True)) == hash(merged(3, True))
    assert inspect.signature(by_hand) == inspect.signature(merged)


def test_method_stays_itself(pair):
    """Linen's marks and the method's name, signature and source are as they were."""
    by_hand, merged = (cls.__call__ for cls in pair)

    assert vars(by_hand).keys() <= vars(merged).keys()
    assert inspect.unwrap(merged).compact
    assert str(inspect.signature(by_hand)) == str(inspect.signature(merged))
    assert "deterministic=MERGED" in inspect.getsource(merged)


def test_introspection(layer):
    """The tools know Linen's modules."""
    assert ["flag"] == [param.name for param in merged_params(layer)]
    assert "(x, *, flag)" == str(merged_signature(layer()))
    assert "(x)" == str(merged_signature(layer(False)))
    assert (("flag",), ()) == (unset_params(layer()), unset_params(layer(True)))


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


def test_field_is_missing(inject):
    """A module without a field for the constructor's side is refused."""
    with pytest.raises(MergeDefinitionError, match=r"no attribute 'flag'.*Declare it as a field"):

        @mergeable("flag")
        class Layer(nn.Module):
            def __call__(self, x, flag=MERGED): ...


def test_raw_read(inject):
    """A compact body that reads the field is warned of."""
    with pytest.warns(MergeWarning, match=r"reads the raw self\.flag"):

        @mergeable("flag")
        class Layer(nn.Module):
            flag: bool | None = None

            @nn.compact
            def __call__(self, x, flag=MERGED):
                return self.flag


def test_a_shared_function(inject):
    """A function that several modules have as their method is merged in each by itself."""

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


def test_a_method_of_another_class(inject):
    """A method that was taken from another module is merged without a change to that one."""

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
