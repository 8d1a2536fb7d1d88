"""Flax NNX: modes that are set on a model, graphs, and transformations."""

import copy
import itertools

import frameworks
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

X = jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)
FLAGS = (None, True, False)


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
def model(define):
    """Return a model that makes its layers once and has a flag nowhere."""
    dropout = define()

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(4, 4, rngs=rngs)
            self.dropouts = nnx.List([dropout(0.5, rngs=rngs) for _ in range(2)])

        def __call__(self, x, **flags):
            for dropout in self.dropouts:
                x = dropout(self.linear(x), **flags)
            return x

    return Model(nnx.Rngs(0))


@pytest.fixture
def layer(inject):
    """Return a layer that negates its input unless its flag is set."""
    return mergeable("flag")(frameworks.NNX().layer())


@pytest.fixture
def batch_norm(inject):
    """Return a subclass of NNX's BatchNorm that merges its flag, where the call wins."""

    @mergeable(Param("use_running_average", on_conflict="use_call"))
    class BatchNorm(nnx.BatchNorm):
        def __call__(self, x, use_running_average: bool = MERGED, *, mask=None):
            assert use_running_average in {True, False}
            return super().__call__(x, use_running_average, mask=mask)

    return BatchNorm


def outcome(call):
    """Return the arrays that a call returns; none where it raises because no flag is set."""
    try:
        return jax.tree.leaves(call())
    except ValueError as error:
        if "deterministic" in str(error) or "use_running_average" in str(error):
            return []
        raise


@pytest.mark.parametrize(("attribute", "given"), [*itertools.product(FLAGS, FLAGS)])
def test_layers_as_in_nnx(define, batch_norm, attribute, given):
    """With `use_call`, they are NNX's own, whose `first_from` lets the call win.

    Results are the same, and a BatchNorm's statistics and gradients.
    """

    def drop(cls):
        layer = cls(0.5, deterministic=attribute, rngs=nnx.Rngs(3))
        return outcome(lambda: layer(X, deterministic=given))

    def norm(cls):
        layer = cls(4, use_running_average=attribute, momentum=0.5, rngs=nnx.Rngs(0))
        loss = nnx.value_and_grad(lambda layer: (layer(X, given) ** 3).sum())
        return outcome(lambda: (loss(layer), nnx.state(layer)))

    for observe, original, merged in (
        (drop, nnx.Dropout, define(on_conflict="use_call")),
        (norm, nnx.BatchNorm, batch_norm),
    ):
        expected, actual = observe(original), observe(merged)
        assert len(expected) == len(actual)
        assert all(map(jnp.array_equal, expected, actual))
        assert bool(expected) == (attribute is not None or given is not None)


def test_train_and_eval(model):
    """Both set the attributes of merged layers; before them, every layer lacks its flag."""
    before = [(path, names) for path, _, names in find_unset(model)]
    with pytest.raises(MissingParamError):
        model(X)
    model.eval()
    evaluated = model(X)
    model.train()

    assert [(f".dropouts[{i}]", ("deterministic",)) for i in range(2)] == before
    assert [] == find_unset(model)
    assert jnp.array_equal(model.linear(model.linear(X)), evaluated)
    assert (model(X) == 0.0).any()


def test_a_flag_in_the_call_after_eval(define):
    """It is a conflict by default; with `use_call` the call wins, as in NNX."""
    strict, lenient = define()(1.0), define(on_conflict="use_call")(0.0, rngs=nnx.Rngs(0))
    strict.eval()
    lenient.eval()

    with pytest.raises(ConflictingParamError):
        strict(X, deterministic=False)
    assert X is strict(X)
    assert X is not lenient(X, deterministic=False)


def test_a_pinned_layer_ignores_train(inject):
    """An attribute of another name is not NNX's to set."""

    @mergeable(Param("deterministic", attribute="pinned"))
    class Pinned(nnx.Module):
        def __init__(self, *, pinned=None):
            self.pinned = pinned

        def __call__(self, x, *, deterministic: bool = MERGED):
            return x if deterministic else -x

    layer = Pinned(pinned=True)
    layer.train()

    assert X is layer(X)


def test_view(model, layer):
    """A view is another model with the flag set, for classes that say how to set it.

    Without `set_view` NNX refuses a view; its other way to set attributes works.
    """
    view = nnx.view(model, deterministic=True)
    unset = layer()

    assert jnp.array_equal(model(X, deterministic=True), view(X))
    assert 2 == len(find_unset(model))
    assert "deterministic: bool | None = None" in nnx.view_info(model)
    with pytest.raises(ValueError, match="Unused keys"):
        nnx.view(unset, flag=True)
    assert X is nnx.with_attributes(unset, flag=True)(X)
    with pytest.raises(MissingParamError):
        unset(X)


def test_graph(model):
    """Splitting, merging, cloning and copying keep the flag, which is part of the graph."""
    model.eval()
    expected = model(X)
    graph, state = nnx.split(model)
    model.train()
    other, _ = nnx.split(model)
    model.eval()
    updated = nnx.clone(model)
    nnx.update(updated, state)

    assert graph != other
    for twin in (nnx.merge(graph, state), nnx.clone(model), copy.deepcopy(model), updated):
        assert jnp.array_equal(expected, twin(X))
        assert [] == find_unset(twin)


def test_unset_is_static(inject):
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
    assert jnp.array_equal(2 * X, call(Layer(None), X))
    assert jnp.array_equal(2 * X, call(Layer(), X, mask=None))
    assert jnp.array_equal(3 * X, call(Layer(), X, mask=3.0))
    with pytest.raises(MissingParamError):
        call(Layer(), X)


def test_jit_follows_the_mode(inject):
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
        results.append(jnp.array_equal(X, call(layer, X)))

    assert [True, False, True, False] == results
    assert [True, False] == traced


def test_a_stack_made_by_vmap(define):
    """Layers made by `vmap` hold the flag once, and `scan` hands it to each of them."""
    dropout = define()
    run = nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    make = nnx.vmap(lambda rngs: dropout(0.5, rngs=rngs), in_axes=0, out_axes=0)
    layers = make(nnx.Rngs(0).split(3))

    with pytest.raises(MissingParamError):
        run(X, layers)
    layers.eval()
    assert jnp.array_equal(X, run(X, layers))
    layers.train()
    assert (run(X, layers) == 0.0).any()


def test_flags_of_transformed_methods(inject):
    """The constructor's flag is part of the module, not an argument that is traced.

    Where NNX wants every argument by position, it says so, as by hand.
    """
    jitted = mergeable("flag")(frameworks.NNX().layer(decorate=nnx.jit))

    @mergeable("flag")
    class KeywordOnly(nnx.Module):
        flag = None

        @nnx.remat
        def __call__(self, x, *, flag=MERGED): ...

    assert jnp.array_equal(X, jitted(True)(X))
    assert jnp.array_equal(-X, jitted(False)(X))
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jitted()(X, True)
    with pytest.raises(TypeError, match="keyword arguments could not be resolved"):
        KeywordOnly()(X)


def test_pytree_dataclass(inject):
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

    assert jnp.array_equal(3 * X, call(Layer(weight, True), X))
    assert jnp.array_equal(X, call(Layer(weight, False), X))
    assert ("flag",) == unset_params(Layer(weight))


def test_bridge_to_linen(inject):
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
    variables = by_attribute.init(key, X)

    assert (2, 3) == by_attribute.apply(variables, X).shape
    assert (2, 3) == by_call.apply(by_call.init(key, X, flag=True), X, flag=True).shape
    with pytest.raises(MissingParamError):
        by_call.init(key, X)
