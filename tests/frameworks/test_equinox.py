"""Equinox: frozen modules that are pytrees, and filtered transformations."""

import abc
import copy
import types
from typing import Any

import frameworks
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    find_unset,
    mergeable,
    merged_params,
    merged_signature,
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


@pytest.mark.parametrize("name", frameworks.Equinox().decorators)
def test_other_methods_that_are_transformed_in_the_class(inject, x, name):
    """The merge is inside the transformation, which keeps its kind."""

    class Layer(eqx.Module):
        weight: jax.Array
        flag: Any = eqx.field(default=None, static=True)

        @frameworks.Equinox().decorators[name]
        def encode(self, x, flag=MERGED):
            return x if flag else x * self.weight

    kind = type(vars(Layer)["encode"])
    mergeable("flag", method="encode")(Layer)
    weight = jnp.array(2.0)

    assert kind is type(vars(Layer)["encode"])
    assert jnp.array_equal(x, Layer(weight, True).encode(x))
    assert jnp.array_equal(2 * x, Layer(weight).encode(x, False))
    assert jnp.array_equal(2 * x, Layer(weight).encode(x, flag=False))
    with pytest.raises(MissingParamError):
        Layer(weight).encode(x)
    with pytest.raises(ConflictingParamError):
        Layer(weight, True).encode(x, True)


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


def test_shown_as_before(define):
    """Equinox shows the module by its fields, and the class carries its specification."""
    layer = define()(0.5, inference=True)

    assert repr(layer).endswith("Dropout(p=0.5, inference=True)")
    assert {"p", "inference"} == set(vars(layer))
    assert ["inference"] == [param.name for param in merged_params(layer)]
