"""Flax NNX: modes that are set on a model, graphs, and transformations."""

import copy
import itertools

import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    find_unset,
    mergeable,
    unset_params,
)

nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy

FLAGS = (None, True, False)


@pytest.fixture
def x():
    """Return a batch of two rows."""
    return jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)


@pytest.fixture
def define(inject):
    """Return a function that declares NNX's Dropout anew, merged as it is asked to be."""

    def define(**how):
        @mergeable(Param("deterministic", **how))
        class Dropout(nnx.Module):
            def __init__(self, rate, *, deterministic=None, rngs=None):
                self.rate = rate
                self.deterministic = deterministic
                self.rngs = nnx.data(None) if rngs is None else rngs.dropout.fork()

            def __call__(self, x, *, deterministic: bool = MERGED):
                if deterministic:
                    return x
                keep = 1.0 - self.rate
                mask = jax.random.bernoulli(self.rngs(), p=keep, shape=x.shape)
                return jax.lax.select(mask, x / keep, jnp.zeros_like(x))

            def set_view(self, deterministic: bool | None = None):
                if deterministic is not None:
                    self.deterministic = deterministic

        return Dropout

    return define


@pytest.fixture
def dropout(define):
    """Return the merged Dropout, for which both is an error."""
    return define()


@pytest.fixture
def model(dropout):
    """Return a model that makes its layers once and has a flag nowhere."""

    class Block(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(4, 4, rngs=rngs)
            self.dropout = dropout(0.5, rngs=rngs)

        def __call__(self, x, **flags):
            return self.dropout(self.linear(x), **flags)

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.blocks = nnx.List([Block(rngs) for _ in range(2)])

        def __call__(self, x, **flags):
            for block in self.blocks:
                x = block(x, **flags)
            return x

    return Model(nnx.Rngs(0))


def outcome(call):
    """Return what a call returns; `None` where it raises because no flag is set."""
    try:
        return call()
    except ValueError as error:
        if "deterministic" in str(error) or "use_running_average" in str(error):
            return None
        raise


@pytest.mark.parametrize(("attribute", "given"), [*itertools.product(FLAGS, FLAGS)])
def test_dropout_as_in_nnx(define, x, attribute, given):
    """With `use_call`, it is NNX's own Dropout, whose `first_from` lets the call win."""
    layers = define(on_conflict="use_call"), nnx.Dropout
    merged, original = (cls(0.5, deterministic=attribute, rngs=nnx.Rngs(3)) for cls in layers)
    expected = outcome(lambda: original(x, deterministic=given))
    actual = outcome(lambda: merged(x, deterministic=given))

    assert (expected is None) == (actual is None)
    assert expected is None or jnp.array_equal(expected, actual)


@pytest.fixture
def batch_norm(inject):
    """Return a subclass of NNX's BatchNorm that merges its flag, where the call wins."""

    @mergeable(Param("use_running_average", on_conflict="use_call"))
    class BatchNorm(nnx.BatchNorm):
        def __call__(self, x, use_running_average: bool = MERGED, *, mask=None):
            assert use_running_average in {True, False}
            return super().__call__(x, use_running_average, mask=mask)

    return BatchNorm


@pytest.mark.parametrize(("attribute", "given"), [*itertools.product(FLAGS, FLAGS)])
def test_batch_norm_as_in_nnx(batch_norm, x, attribute, given):
    """Results, statistics and gradients are those of NNX's own BatchNorm."""

    def observe(cls):
        layer = cls(4, use_running_average=attribute, momentum=0.5, rngs=nnx.Rngs(0))

        def loss(layer):
            return (layer(x, given) ** 3).sum()

        return outcome(lambda: (nnx.value_and_grad(loss)(layer), nnx.state(layer)))

    expected, actual = (jax.tree.leaves(observe(cls)) for cls in (nnx.BatchNorm, batch_norm))

    assert len(expected) == len(actual)
    assert all(map(jnp.array_equal, expected, actual))
    assert bool(expected) == (attribute is not None or given is not None)


def test_train_and_eval(model, x):
    """Both set the attributes of merged layers; before them, every layer lacks its flag."""
    before = [(path, names) for path, _, names in find_unset(model)]
    with pytest.raises(MissingParamError):
        model(x)
    model.eval()
    evaluated = model(x)
    model.train()

    expected = [(f".blocks[{i}].dropout", ("deterministic",)) for i in range(2)]
    assert expected == before
    assert [] == find_unset(model)
    assert jnp.array_equal(model.blocks[1].linear(model.blocks[0].linear(x)), evaluated)
    assert (model(x) == 0.0).any()


def test_a_flag_in_the_call_after_eval(define, dropout, x):
    """It is a conflict by default; with `use_call` the call wins, as in NNX."""
    strict, lenient = dropout(1.0), define(on_conflict="use_call")(0.0, rngs=nnx.Rngs(0))
    strict.eval()
    lenient.eval()

    with pytest.raises(ConflictingParamError):
        strict(x, deterministic=False)
    assert x is strict(x)
    assert x is not lenient(x, deterministic=False)


def test_a_pinned_layer_ignores_train(define, x):
    """An attribute of another name is not NNX's to set."""

    @mergeable(Param("deterministic", attribute="pinned"))
    class Pinned(nnx.Module):
        def __init__(self, *, pinned=None):
            self.pinned = pinned

        def __call__(self, x, *, deterministic: bool = MERGED):
            return x if deterministic else -x

    layer = Pinned(pinned=True)
    layer.train()

    assert x is layer(x)


def test_view(model, x):
    """A view is another model with the flag set, for classes that say how to set it."""
    view = nnx.view(model, deterministic=True)

    assert jnp.array_equal(model(x, deterministic=True), view(x))
    assert 2 == len(find_unset(model))
    assert "deterministic: bool | None = None" in nnx.view_info(model)


def test_view_needs_a_method_of_the_class(inject, x):
    """Without `set_view` NNX refuses a view; its other way to set attributes works."""

    @mergeable("deterministic")
    class Layer(nnx.Module):
        def __init__(self, deterministic=None):
            self.deterministic = deterministic

        def __call__(self, x, *, deterministic: bool = MERGED):
            return x if deterministic else -x

    layer = Layer()
    with pytest.raises(ValueError, match="Unused keys"):
        nnx.view(layer, deterministic=True)

    assert x is nnx.with_attributes(layer, deterministic=True)(x)
    with pytest.raises(MissingParamError):
        layer(x)


def test_graph(model, x):
    """Splitting, merging, cloning and copying keep the flag, which is part of the graph."""
    model.eval()
    expected = model(x)
    graph, state = nnx.split(model)
    model.train()
    other, _ = nnx.split(model)

    assert graph != other
    assert jnp.array_equal(expected, nnx.merge(graph, state)(x))
    model.eval()
    for twin in (nnx.clone(model), copy.deepcopy(model)):
        assert jnp.array_equal(expected, twin(x))
        assert [] == find_unset(twin)
    fresh = nnx.clone(model)
    nnx.update(fresh, state)
    assert jnp.array_equal(expected, fresh(x))


def test_unset_is_static(inject, x):
    """`UNSET` stays what it is in a graph, and `None` is a value beside it."""

    @mergeable(Param("mask", unset=UNSET))
    class Layer(nnx.Module):
        def __init__(self, mask=UNSET):
            self.mask = mask
            self.weight = nnx.Param(jnp.ones(4))

        def __call__(self, x, *, mask=MERGED):
            return x * self.weight * (2.0 if mask is None else mask)

    call = nnx.jit(lambda layer, x, **given: layer(x, **given))

    assert UNSET is nnx.merge(*nnx.split(Layer())).mask
    assert UNSET is nnx.clone(Layer()).mask
    assert jnp.array_equal(2 * x, call(Layer(None), x))
    assert jnp.array_equal(2 * x, call(Layer(), x, mask=None))
    assert jnp.array_equal(3 * x, call(Layer(), x, mask=3.0))
    with pytest.raises(MissingParamError):
        call(Layer(), x)


def test_jit_follows_the_mode(inject, x):
    """`train` and `eval` lead to traces of their own; nothing is traced twice."""
    traced = []

    @mergeable("deterministic")
    class Layer(nnx.Module):
        def __init__(self):
            self.deterministic = None

        def __call__(self, x, *, deterministic: bool = MERGED):
            traced.append(deterministic)
            return x if deterministic else -x

    layer = Layer()
    call = nnx.jit(lambda layer, x: layer(x))
    results = []
    for set_mode in (layer.eval, layer.train, layer.eval, layer.train):
        set_mode()
        results.append(jnp.array_equal(x, call(layer, x)))

    assert [True, False, True, False] == results
    assert [True, False] == traced


def test_a_stack_made_by_vmap(dropout, x):
    """Layers made by `vmap` hold the flag once, and `scan` hands it to each of them."""

    @nnx.vmap(in_axes=0, out_axes=0)
    def make(rngs):
        return dropout(0.5, rngs=rngs)

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    def run(x, layer):
        return layer(x)

    layers = make(nnx.Rngs(0).split(3))
    with pytest.raises(MissingParamError):
        run(x, layers)
    layers.eval()
    evaluated = run(x, layers)
    layers.train()

    assert jnp.array_equal(x, evaluated)
    assert (run(x, layers) == 0.0).any()


def test_a_static_flag_stays_static_in_a_jitted_method(inject, x):
    """The constructor's flag is part of the module, not an argument that is traced."""

    @mergeable("flag")
    class Layer(nnx.Module):
        def __init__(self, flag=None):
            self.flag = flag

        @nnx.jit
        def __call__(self, x, flag=MERGED):
            return x if flag else -x

    assert jnp.array_equal(x, Layer(True)(x))
    assert jnp.array_equal(-x, Layer(False)(x))
    with pytest.raises(jax.errors.TracerBoolConversionError):
        Layer()(x, True)


def test_keyword_only_flags_under_transformations_by_position(dropout, x):
    """Where NNX wants every argument by position, it says so, as by hand."""

    @mergeable("flag")
    class Layer(nnx.Module):
        def __init__(self, flag=None):
            self.flag = flag

        @nnx.remat
        def __call__(self, x, *, flag=MERGED):
            return x

    with pytest.raises(TypeError, match="keyword arguments could not be resolved"):
        Layer(True)(x)


def test_pytree_dataclass(inject, x):
    """NNX's own dataclasses declare the flag as a static field."""

    @mergeable("flag")
    @nnx.dataclass
    class Layer(nnx.Pytree):
        weight: nnx.Param
        flag: bool | None = nnx.static(default=None)

        def __call__(self, x, *, flag: bool = MERGED):
            return x * self.weight if flag else x

    weight = nnx.Param(jnp.full(4, 3.0))
    call = jax.jit(lambda layer, x: layer(x))

    assert jnp.array_equal(3 * x, call(Layer(weight, True), x))
    assert jnp.array_equal(x, call(Layer(weight, False), x))
    assert ("flag",) == unset_params(Layer(weight))


def test_bridge_to_linen(inject, x):
    """A merged module of NNX takes its flag from either side inside of a module of Linen."""

    @mergeable("flag")
    class Layer(nnx.Module):
        def __init__(self, *, flag=None, rngs):
            self.flag = flag
            self.linear = nnx.Linear(4, 3, rngs=rngs)

        def __call__(self, x, *, flag: bool = MERGED):
            return self.linear(x) if flag else x

    key = jax.random.key(0)
    by_attribute = nnx.bridge.ToLinen(Layer, kwargs={"flag": True})
    by_call = nnx.bridge.ToLinen(Layer)
    variables = by_attribute.init(key, x)

    assert (2, 3) == by_attribute.apply(variables, x).shape
    assert (2, 3) == by_call.apply(by_call.init(key, x, flag=True), x, flag=True).shape
    with pytest.raises(MissingParamError):
        by_call.init(key, x)
