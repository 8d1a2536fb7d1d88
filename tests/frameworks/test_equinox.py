"""Equinox: frozen modules that are pytrees, and filtered transformations."""

import abc
import copy
import types
from typing import Any

import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    find_unset,
    merge_param,
    mergeable,
    merged_params,
    merged_signature,
    provide,
)

eqx = pytest.importorskip("equinox", reason="equinox is not installed")
jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy

FLAGS = (None, True, False)


@pytest.fixture
def x():
    """Return a batch of two rows."""
    return jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)


@pytest.fixture
def key():
    """Return a random key."""
    return jax.random.PRNGKey(0)


@pytest.fixture
def define(inject):
    """Return a function that declares Equinox's Dropout anew, merged as it is asked to be."""

    def define(unset=None, *, static=False, **how):
        @mergeable(Param("inference", unset=unset, **how))
        class Dropout(eqx.Module):
            p: float
            inference: Any = eqx.field(default=unset, static=static)

            def __call__(self, x, *, key=None, inference: bool = MERGED):
                if inference:
                    return x
                q = 1 - self.p
                return jnp.where(jax.random.bernoulli(key, q, x.shape), x / q, 0)

        return Dropout

    return define


@pytest.fixture
def dropout(define):
    """Return the merged Dropout, for which both is an error."""
    return define()


@pytest.mark.parametrize("given", FLAGS)
@pytest.mark.parametrize("attribute", [True, False])
def test_dropout_as_in_equinox(define, x, key, attribute, given):
    """With `use_call`, it is Equinox's own Dropout, where the call wins."""
    layers = eqx.nn.Dropout, define(on_conflict="use_call")
    original, merged = (cls(0.5, inference=attribute) for cls in layers)
    expected, actual = (layer(x, key=key, inference=given) for layer in (original, merged))

    assert jnp.array_equal(expected, actual)


@pytest.mark.parametrize("unset", [None, UNSET])
def test_inference_mode(define, x, key, unset):
    """It sets the flag of merged modules, whether it was set before or not."""
    cls = define(unset)
    model = [cls(0.5), (cls(0.5, False), eqx.nn.Dropout(0.5))]
    evaluated, trained = (eqx.nn.inference_mode(model, value) for value in (True, False))
    forgotten = eqx.nn.inference_mode(model, unset)

    assert ["[0]"] == [path for path, _, _ in find_unset(model)]
    assert [True, True, True] == [layer.inference for layer in flat(evaluated)]
    assert [False, False, False] == [layer.inference for layer in flat(trained)]
    assert x is evaluated[0](x)
    assert x is not trained[0](x, key=key)
    assert 2 == len(find_unset(forgotten))
    with pytest.raises(MissingParamError):
        model[0](x)
    with pytest.raises(ConflictingParamError):
        evaluated[0](x, inference=True)


def flat(model):
    """Return the three layers of a model in a row."""
    first, pair = model
    return [first, *pair]


@pytest.mark.parametrize("unset", [None, UNSET])
def test_tree_at(define, x, unset):
    """The flag of one module is set and taken back."""
    cls = define(unset)
    model = [cls(0.5), cls(0.5)]
    where = lambda model: model[1].inference
    changed = eqx.tree_at(where, model, True, is_leaf=lambda leaf: leaf is unset)
    back = eqx.tree_at(where, changed, unset)

    assert x is changed[1](x)
    assert ["[0]"] == [path for path, _, _ in find_unset(changed)]
    assert ["[0]", "[1]"] == [path for path, _, _ in find_unset(back)]


@pytest.mark.parametrize("static", [True, False])
def test_unset_goes_through_transformations(define, x, static):
    """`UNSET` is kept as a leaf's place and as a static field, and `None` is a value."""
    layer = define(UNSET, static=static)(0.5)
    arrays, rest = eqx.partition(layer, eqx.is_array)

    assert UNSET is eqx.combine(arrays, rest).inference
    assert UNSET is eqx.filter_jit(lambda layer: layer)(layer).inference
    assert UNSET is jax.jit(lambda layer: layer)(layer).inference
    assert UNSET is copy.deepcopy(layer).inference
    assert eqx.tree_equal(layer, copy.copy(layer))
    assert hash(layer) == hash(copy.copy(layer))
    assert x.shape == eqx.filter_eval_shape(layer, x, inference=True).shape


def test_serialised(define, tmp_path):
    """Leaves are written and read around an unset flag."""
    layer = define(UNSET)(jnp.array(0.5))
    eqx.tree_serialise_leaves(tmp_path / "layer.eqx", layer)
    read = eqx.tree_deserialise_leaves(tmp_path / "layer.eqx", define(UNSET)(jnp.array(0.0)))

    assert 0.5 == read.p
    assert UNSET is read.inference


@pytest.fixture
def gated(inject):
    """Return a merged module and the same by hand; the gate is a flag, the gain an array."""

    @mergeable("gate", "gain")
    class Merged(eqx.Module):
        linear: eqx.nn.Linear
        gate: Any = None
        gain: Any = None

        def __call__(self, x, gate=MERGED, gain=MERGED):
            return jax.vmap(self.linear)(x) * gain if gate else x

    class ByHand(eqx.Module):
        linear: eqx.nn.Linear
        gate: Any = None
        gain: Any = None

        def __call__(self, x, gate=None, gain=None):
            gate = merge_param("gate", self.gate, gate)
            gain = merge_param("gain", self.gain, gain)
            return jax.vmap(self.linear)(x) * gain if gate else x

    return Merged, ByHand


def ensemble(run):
    """Return `run` mapped over a pair of modules that are stacked into one."""

    def mapped(layer, x):
        arrays, rest = eqx.partition(layer, eqx.is_array)
        pair = eqx.combine(jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), arrays), rest)
        return eqx.filter_vmap(run, in_axes=(eqx.if_array(0), None))(pair, x)

    return mapped


TRANSFORMATIONS = {
    "nothing": lambda run: run,
    "filter_jit": eqx.filter_jit,
    "filter_grad": lambda run: eqx.filter_grad(lambda layer, x: run(layer, x).sum()),
    "jit of filter_value_and_grad": lambda run: eqx.filter_jit(
        eqx.filter_value_and_grad(lambda layer, x: run(layer, x).sum())
    ),
    "filter_vmap": ensemble,
    "filter_checkpoint": lambda run: eqx.filter_grad(
        lambda layer, x: eqx.filter_checkpoint(run)(layer, x).sum()
    ),
    "filter_closure_convert": lambda run: (
        lambda layer, x: eqx.filter_closure_convert(run, layer, x)(layer, x)
    ),
}
SIDES = {
    "attribute": ({"gate": True, "gain": jnp.array(2.0)}, {}),
    "call": ({}, {"gate": True, "gain": jnp.array(2.0)}),
    "one of each": ({"gate": True}, {"gain": 2.0}),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_same_as_by_hand(gated, x, key, name, side):
    """Values, gradients and jaxprs are those of the merge by hand."""
    held, given = SIDES[side]
    transformed = TRANSFORMATIONS[name](lambda layer, x: layer(x, **given))

    def observe(cls):
        arrays, rest = eqx.partition(cls(eqx.nn.Linear(4, 4, key=key), **held), eqx.is_array)
        run = lambda arrays, x: jax.tree.leaves(
            eqx.filter(transformed(eqx.combine(arrays, rest), x), eqx.is_array)
        )
        return run(arrays, x), str(jax.make_jaxpr(run)(arrays, x))

    (actual, jaxpr), (expected, jaxpr_by_hand) = map(observe, gated)

    assert len(expected) == len(actual) > 0
    assert all(map(jnp.array_equal, expected, actual))
    assert jaxpr_by_hand == jaxpr


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_errors_come_out(gated, x, key, name):
    """Neither and both are the same errors as without a transformation."""
    merged, _ = gated
    linear = eqx.nn.Linear(4, 4, key=key)

    with pytest.raises(MissingParamError, match=r"Merged\(\.\.\., gain=\.\.\.\)"):
        TRANSFORMATIONS[name](lambda layer, x: layer(x))(merged(linear, gate=True), x)
    with pytest.raises(ConflictingParamError):
        TRANSFORMATIONS[name](lambda layer, x: layer(x, gate=True))(merged(linear, True, 2.0), x)


def test_provided_values_are_part_of_the_trace(dropout, x):
    """What is provided to a jitted module holds for that call, not for the next."""
    call = eqx.filter_jit(dropout(0.5))
    with provide(inference=True):
        assert jnp.array_equal(x, call(x))
    with pytest.raises(MissingParamError):
        call(x)


def test_bound_methods_are_pytrees(inject, x):
    """Equinox binds a merged method as it binds any other."""

    @mergeable("inference", method="encode")
    class Layer(eqx.Module):
        weight: jax.Array
        inference: Any = None

        def encode(self, x, *, inference=MERGED):
            return x if inference else x * self.weight

    bound = Layer(jnp.array(3.0), inference=False).encode
    gradient = eqx.filter_grad(lambda method, x: method(x).sum())(bound, x)

    assert isinstance(vars(Layer)["encode"], types.FunctionType)
    assert "encode" == bound.__name__
    assert jnp.array_equal(3 * x, eqx.filter_jit(bound)(x))
    assert x.sum() == gradient.__self__.weight
    with pytest.raises(MissingParamError):
        eqx.filter_jit(Layer(1.0).encode)(x)


METHOD_TRANSFORMATIONS = {
    "filter_jit": eqx.filter_jit,
    "filter_checkpoint": eqx.filter_checkpoint,
    "jit": lambda method: jax.jit(method, static_argnames="inference"),
    "named_scope": jax.named_scope("encode"),
}


@pytest.mark.parametrize("method", ["__call__", "encode"])
@pytest.mark.parametrize("name", METHOD_TRANSFORMATIONS)
def test_methods_that_are_transformed_in_the_class(inject, x, name, method):
    """The merge is inside the transformation, which keeps its kind."""

    class Layer(eqx.Module):
        weight: jax.Array
        inference: Any = eqx.field(default=None, static=True)

        @METHOD_TRANSFORMATIONS[name]
        def __call__(self, x, inference=MERGED):
            return x if inference else x * self.weight

        @METHOD_TRANSFORMATIONS[name]
        def encode(self, x, inference=MERGED):
            return x if inference else x * self.weight

    kind = type(vars(Layer)[method])
    mergeable("inference", method=method)(Layer)
    weight = jnp.array(2.0)
    call = lambda layer, *args, **given: getattr(layer, method)(*args, **given)

    assert kind is type(vars(Layer)[method])
    assert jnp.array_equal(x, call(Layer(weight, True), x))
    assert jnp.array_equal(2 * x, call(Layer(weight), x, False))
    assert jnp.array_equal(2 * x, call(Layer(weight), x, inference=False))
    with pytest.raises(MissingParamError):
        call(Layer(weight), x)
    with pytest.raises(ConflictingParamError):
        call(Layer(weight, True), x, True)


def test_a_transformation_that_hides_the_method(inject):
    """What shows no signature of the method is refused while the class is being defined."""
    hidden = eqx.internal.noinline

    with pytest.raises(MergeDefinitionError, match="has no parameter 'inference'"):

        @mergeable("inference")
        class Layer(eqx.Module):
            inference: Any = None

            @hidden
            def __call__(self, x, *, inference=MERGED):
                return x


def test_an_abstract_method(inject, x):
    """A merged method stays abstract; those that implement and override it forward to it."""

    @mergeable("inference")
    class Base(eqx.Module):
        inference: Any = None

        @abc.abstractmethod
        def __call__(self, x, *, inference=MERGED): ...

    @mergeable("inference")
    class Negative(Base, strict=True):
        def __call__(self, x, *, inference=MERGED):
            return x if inference else -x

    @mergeable("inference")
    class Twice(Negative):
        def __call__(self, x, *, inference=MERGED):
            return 2 * super().__call__(x, inference=inference)

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert jnp.array_equal(-2 * x, Twice(False)(x))
    assert jnp.array_equal(2 * x, Twice()(x, inference=True))
    with pytest.raises(MissingParamError):
        Twice()(x)
    with pytest.raises(ConflictingParamError):
        Twice(True)(x, inference=True)


def test_an_abstract_variable(inject, x):
    """An abstract base merges a flag that its subclasses declare as a field."""

    @mergeable("inference")
    class Base(eqx.Module):
        inference: eqx.AbstractVar[Any]

        def __call__(self, x, *, inference=MERGED):
            return x if inference else -x

    class Layer(Base):
        inference: Any = None

    assert jnp.array_equal(-x, Layer(False)(x))
    assert jnp.array_equal(x, Layer()(x, inference=True))


def test_invariants_are_still_checked(inject):
    """`__check_init__`, converters and own constructors run as without the decorator."""

    @mergeable("inference")
    class Layer(eqx.Module):
        inference: Any = eqx.field(converter=lambda flag: flag)
        checked: list = eqx.field(static=True)

        def __init__(self, inference, checked):
            self.inference = inference
            self.checked = checked

        def __check_init__(self):
            self.checked.append(self.inference)

        def __call__(self, *, inference=MERGED):
            return inference

    checked = []

    assert Layer(True, checked)() is True
    assert [True] == checked
    with pytest.raises(AttributeError):
        Layer(True, checked).inference = False


def test_annotated_by_jaxtyping(inject, x):
    """Annotations of jaxtyping are kept, and the merged one allows `None`."""
    jaxtyping = pytest.importorskip("jaxtyping", reason="jaxtyping is not installed")
    matrix = jaxtyping.Float[jax.Array, "rows columns"]

    @mergeable("mask")
    class Layer(eqx.Module):
        mask: Any = None

        def __call__(self, x: matrix, *, mask: matrix = MERGED) -> matrix:
            return x * mask

    parameters = merged_signature(Layer).parameters

    assert matrix is parameters["x"].annotation
    assert matrix | None == parameters["mask"].annotation
    assert jnp.array_equal(x * x, Layer(x)(x))
    assert jnp.array_equal(x * x, Layer()(x, mask=x))


def test_shown_as_before(dropout):
    """Equinox shows the module by its fields, and the class carries its specification."""
    layer = dropout(0.5, inference=True)

    assert repr(layer).endswith("Dropout(p=0.5, inference=True)")
    assert {"p", "inference"} == set(vars(layer))
    assert ["inference"] == [param.name for param in merged_params(layer)]
