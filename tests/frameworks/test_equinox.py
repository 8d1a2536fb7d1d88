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

X = jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)


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


@pytest.mark.parametrize("given", [None, True, False])
@pytest.mark.parametrize("attribute", [True, False])
def test_dropout_as_in_equinox(define, attribute, given):
    """With `use_call`, it is Equinox's own Dropout, where the call wins."""
    layers = eqx.nn.Dropout, define(on_conflict="use_call")
    expected, actual = (
        cls(0.5, inference=attribute)(X, key=jax.random.key(0), inference=given) for cls in layers
    )

    assert jnp.array_equal(expected, actual)


@pytest.mark.parametrize("unset", [None, UNSET])
def test_flags_that_are_set_in_a_model(define, unset):
    """`inference_mode` and `tree_at` set flags, whether set before or not, and take them back."""
    cls = define(unset)
    model = (cls(0.5), cls(0.5, False), eqx.nn.Dropout(0.5))
    evaluated, trained, forgotten = (
        eqx.nn.inference_mode(model, value) for value in (True, False, unset)
    )
    where = {"where": lambda model: model[0].inference, "is_leaf": lambda leaf: leaf is unset}
    changed = eqx.tree_at(pytree=model, replace=True, **where)
    back = eqx.tree_at(pytree=changed, replace=unset, **where)

    assert [True, True, True] == [layer.inference for layer in evaluated]
    assert [False, False, False] == [layer.inference for layer in trained]
    assert X is evaluated[0](X) is changed[0](X)
    assert X is not trained[0](X, key=jax.random.key(0))
    assert [1, 2, 0, 1] == [len(find_unset(m)) for m in (model, forgotten, changed, back)]
    with pytest.raises(MissingParamError):
        model[0](X)
    with pytest.raises(ConflictingParamError):
        evaluated[0](X, inference=True)


@pytest.mark.parametrize("static", [True, False])
def test_unset_goes_through_transformations(define, static, tmp_path):
    """`UNSET` is kept as a leaf's place and as a static field, and `None` is a value."""
    cls = define(UNSET, static=static)
    layer = cls(0.5)
    eqx.tree_serialise_leaves(tmp_path / "layer.eqx", cls(jnp.array(0.5)))
    read = eqx.tree_deserialise_leaves(tmp_path / "layer.eqx", cls(jnp.array(0.0)))

    for make in (
        lambda layer: eqx.combine(*eqx.partition(layer, eqx.is_array)),
        eqx.filter_jit(frameworks.same),
        jax.jit(frameworks.same),
        copy.deepcopy,
    ):
        assert UNSET is make(layer).inference
    assert (0.5, UNSET) == (read.p, read.inference)
    assert eqx.tree_equal(layer, copy.copy(layer))
    assert hash(layer) == hash(copy.copy(layer))
    assert X.shape == eqx.filter_eval_shape(layer, X, inference=True).shape


def test_bound_methods_are_pytrees(inject):
    """Equinox binds a merged method as it binds any other."""

    @mergeable("inference", method="encode")
    class Layer(eqx.Module):
        weight: jax.Array
        inference: Any = None

        def encode(self, x, *, inference=MERGED):
            return x if inference else x * self.weight

    bound = Layer(jnp.array(3.0), inference=False).encode
    gradient = eqx.filter_grad(lambda method, x: method(x).sum())(bound, X)

    assert isinstance(vars(Layer)["encode"], types.FunctionType)
    assert "encode" == bound.__name__
    assert jnp.array_equal(3 * X, eqx.filter_jit(bound)(X))
    assert X.sum() == gradient.__self__.weight
    with pytest.raises(MissingParamError):
        eqx.filter_jit(Layer(1.0).encode)(X)


@pytest.mark.parametrize("name", frameworks.Equinox().decorators)
def test_other_methods_that_are_transformed_in_the_class(inject, name):
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
    assert jnp.array_equal(X, Layer(weight, True).encode(X))
    assert jnp.array_equal(2 * X, Layer(weight).encode(X, flag=False))
    with pytest.raises(MissingParamError):
        Layer(weight).encode(X)
    with pytest.raises(ConflictingParamError):
        Layer(weight, True).encode(X, True)


def test_a_transformation_that_hides_the_method(inject):
    """What shows no signature of the method is refused while the class is being defined."""
    layer = frameworks.Equinox().layer(decorate=eqx.internal.noinline)

    with pytest.raises(MergeDefinitionError, match="has no parameter 'flag'"):
        mergeable("flag")(layer)


def test_an_abstract_base(inject):
    """A merged method stays abstract; a field may be abstract, too."""

    @mergeable("inference")
    class Base(eqx.Module):
        inference: eqx.AbstractVar[Any]

        @abc.abstractmethod
        def __call__(self, x, *, inference=MERGED): ...

    @mergeable("inference")
    class Negative(Base, strict=True):
        inference: Any = None

        def __call__(self, x, *, inference=MERGED):
            return x if inference else -x

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert jnp.array_equal(-X, Negative(False)(X))
    assert jnp.array_equal(X, Negative()(X, inference=True))
    with pytest.raises(MissingParamError):
        Negative()(X)
    with pytest.raises(ConflictingParamError):
        Negative(True)(X, inference=True)


def test_an_abstract_variable(inject):
    """An abstract base merges a flag that its subclasses declare as a field."""

    @mergeable("inference")
    class Base(eqx.Module):
        inference: eqx.AbstractVar[Any]

        def __call__(self, x, *, inference=MERGED):
            return x if inference else -x

    class Layer(Base):
        inference: Any = None

    assert jnp.array_equal(-X, Layer(False)(X))
    assert jnp.array_equal(X, Layer()(X, inference=True))


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


def test_annotated_by_jaxtyping(inject):
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
    assert jnp.array_equal(X * X, Layer(X)(X))
    assert jnp.array_equal(X * X, Layer()(X, mask=X))


def test_shown_as_before(define):
    """Equinox shows the module by its fields, and the class carries its specification."""
    layer = define()(0.5, inference=True)

    assert repr(layer).endswith("Dropout(p=0.5, inference=True)")
    assert {"p", "inference"} == set(vars(layer))
    assert ["inference"] == [param.name for param in merged_params(layer)]
