"""Plain JAX: merged objects as pytrees and as static arguments, under its transformations."""

import dataclasses
import functools

import attrs
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    merge_param,
    mergeable,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy


@pytest.fixture
def x():
    """Return a batch of two rows."""
    return jnp.linspace(0.0, 1.0, 6).reshape(2, 3)


@pytest.fixture
def weight():
    """Return the weights of a layer."""
    return jnp.linspace(-1.0, 1.0, 9).reshape(3, 3)


@pytest.fixture(params=["meta_fields", "data_fields"])
def scales(request, inject):
    """Return a merged pytree class, and one by hand; the gain is metadata or a leaf."""

    def register(cls):
        fields = {"data_fields": ["weight"], "meta_fields": []}
        fields[request.param].append("gain")
        return jax.tree_util.register_dataclass(cls, **fields)

    @mergeable("gain")
    @register
    @dataclasses.dataclass
    class Merged:
        weight: object
        gain: object = None

        def __call__(self, x, *, gain=MERGED):
            return jnp.tanh(x @ self.weight) * gain

    @register
    @dataclasses.dataclass
    class ByHand:
        weight: object
        gain: object = None

        def __call__(self, x, *, gain=None):
            gain = merge_param("gain", self.gain, gain)
            return jnp.tanh(x @ self.weight) * gain

    return Merged, ByHand


def test_gradient_of_the_parameter_itself(scales, weight, x):
    """A merged value is differentiated, from either side."""
    merged, _ = scales
    by_call = jax.grad(lambda gain: merged(weight)(x, gain=gain).sum())(2.0)
    by_attribute = jax.grad(lambda gain: merged(weight, gain)(x).sum())(2.0)

    expected = jnp.tanh(x @ weight).sum()
    assert expected == by_call
    assert expected == by_attribute


def test_values_differ_along_a_mapped_axis(scales, weight, x):
    """A value per row, from the call."""
    merged, _ = scales
    gains = jnp.array([2.0, 3.0])
    mapped = jax.vmap(lambda row, gain: merged(weight)(row, gain=gain))(x, gains)
    _, scanned = jax.lax.scan(lambda c, xs: (c, merged(weight)(xs[0], gain=xs[1])), 0, (x, gains))

    expected = jnp.tanh(x @ weight) * gains[:, None]
    assert jnp.allclose(expected, mapped)
    assert jnp.allclose(expected, scanned)


def test_the_tracer_itself_arrives(inject):
    """The body gets the very object, and nothing is asked of it."""

    @mergeable("mask")
    class Layer:
        def __init__(self, mask=None):
            self.mask = mask

        def __call__(self, *, mask=MERGED):
            return mask

    def check(mask):
        assert mask is Layer(mask)()
        assert mask is Layer()(mask=mask)
        return mask

    jaxpr = jax.make_jaxpr(check)(jnp.ones(3))

    assert [] == jaxpr.eqns


def test_traced_anew_only_where_a_flag_changes(inject):
    """Static flags are part of the key of `jit`'s cache."""
    traced = []

    @mergeable("flag")
    @functools.partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["flag"])
    @dataclasses.dataclass
    class Layer:
        flag: object = None

        def __call__(self, x, *, flag=MERGED):
            traced.append(flag)
            return x if flag else -x

    call = jax.jit(lambda layer, x: layer(x))
    results = [float(call(Layer(flag), 1.0)) for flag in (True, False, True, False)]

    assert [1.0, -1.0, 1.0, -1.0] == results
    assert [True, False] == traced


@pytest.fixture
def frozen(inject):
    """Return a merged class whose objects can be static arguments."""

    @mergeable("flag")
    @attrs.frozen
    class Layer:
        rate: float
        flag: bool | None = None

        def __call__(self, x, flag: bool = MERGED):
            return x if flag else x * self.rate

    return Layer


def test_static_self(frozen):
    """The method of a hashable object is jitted, with a flag by position or by name."""
    call = jax.jit(frozen.__call__, static_argnums=(0, 2))
    by_name = jax.jit(frozen.__call__, static_argnames=("self", "flag"))

    assert 3.0 == call(frozen(0.5, True), 3.0)
    assert 1.5 == call(frozen(0.5), 3.0, False)
    assert 1.5 == by_name(frozen(0.5), 3.0, flag=False)
    assert 3.0 == by_name(frozen(0.5), 3.0, True)
    with pytest.raises(MissingParamError):
        call(frozen(0.5), 3.0)
    with pytest.raises(ConflictingParamError):
        by_name(frozen(0.5, True), 3.0, True)


def test_a_bound_object_is_jitted(frozen):
    """`jit` reads the signature of the object, as it reads that of any callable."""
    call = jax.jit(frozen(0.5), static_argnames="flag")

    assert 1.5 == call(3.0, flag=False)
    assert 3.0 == call(3.0, True)


def test_attrs_class_with_slots_as_a_pytree(inject):
    """A class that is registered by functions of its own."""

    @mergeable("flag")
    @attrs.define
    class Layer:
        weight: object
        flag: object = None

        def __call__(self, x, *, flag=MERGED):
            return x * self.weight if flag else x

    jax.tree_util.register_pytree_node(
        Layer,
        lambda layer: ((layer.weight,), layer.flag),
        lambda flag, children: Layer(*children, flag),
    )
    gradient = jax.jit(jax.grad(lambda layer, x: layer(x)))

    expected = Layer(5.0, flag=True)
    assert expected == gradient(Layer(2.0, flag=True), 5.0)


def test_a_flag_that_is_traced_by_mistake(inject):
    """A flag among the leaves is a tracer in the body, and JAX says so, as by hand."""

    @mergeable("flag")
    @functools.partial(jax.tree_util.register_dataclass, data_fields=["flag"], meta_fields=[])
    @dataclasses.dataclass
    class Layer:
        flag: object = None

        def __call__(self, x, *, flag=MERGED):
            return x if flag else -x

    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(lambda layer, x: layer(x))(Layer(True), 1.0)


@pytest.mark.parametrize("field", ["meta_fields", "data_fields"])
def test_unset_where_none_is_a_value(inject, field, x):
    """`UNSET` goes through as metadata and as a node, and `None` stays a value."""
    fields = {"data_fields": [], "meta_fields": []} | {field: ["mask"]}

    @mergeable(Param("mask", unset=UNSET))
    @functools.partial(jax.tree_util.register_dataclass, **fields)
    @dataclasses.dataclass
    class Layer:
        mask: object = UNSET

        def __call__(self, x, *, mask=MERGED):
            return x if mask is None else x * mask

    call = jax.jit(lambda layer, x, **given: layer(x, **given))

    assert jnp.array_equal(x, call(Layer(None), x))
    assert jnp.array_equal(2 * x, call(Layer(2.0), x))
    assert jnp.array_equal(x, call(Layer(), x, mask=None))
    assert jnp.array_equal(3 * x, call(Layer(), x, mask=3.0))
    assert UNSET is jax.jit(lambda layer: layer)(Layer()).mask
    with pytest.raises(MissingParamError):
        call(Layer(), x)
    with pytest.raises(ConflictingParamError):
        call(Layer(None), x, mask=None)


@pytest.mark.parametrize(
    ("attribute", "call", "equal"),
    [
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0, 3.0], False),
        ([1.0, float("nan")], [1.0, float("nan")], False),
        ([1.0, 1.0], 1.0, False),
    ],
)
def test_equal_arrays(inject, attribute, call, equal):
    """`raise_if_different` compares arrays as a whole, and no array with its broadcast."""

    @mergeable(Param("mask", on_conflict="raise_if_different"))
    class Layer:
        def __init__(self, mask=None):
            self.mask = mask

        def __call__(self, *, mask=MERGED):
            return mask

    layer, given = Layer(jnp.array(attribute)), jnp.array(call)
    if equal:
        assert given is layer(mask=given)
    else:
        with pytest.raises(ConflictingParamError):
            layer(mask=given)


def test_the_same_random_key_twice(inject):
    """Keys with a type of their own can be compared, too."""

    @mergeable(Param("key", on_conflict="raise_if_different"))
    class Layer:
        def __init__(self, key=None):
            self.key = key

        def __call__(self, *, key=MERGED):
            return key

    given = jax.random.key(1)

    assert given is Layer(jax.random.key(1))(key=given)
    with pytest.raises(ConflictingParamError):
        Layer(jax.random.key(2))(key=given)


def test_a_deleted_array_in_an_error(inject):
    """An array that was donated cannot be shown, and the error comes all the same."""

    @mergeable("gain")
    class Layer:
        def __init__(self, gain):
            self.gain = gain

        def __call__(self, *, gain=MERGED):
            return gain

    gain = jnp.ones(3)
    gain.delete()

    with pytest.raises(ConflictingParamError, match="ArrayImpl"):
        Layer(gain)(gain=1.0)
