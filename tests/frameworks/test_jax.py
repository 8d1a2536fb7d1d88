"""Plain JAX: merged objects as pytrees and as static arguments, `UNSET`, and when JAX comes."""

import dataclasses
import subprocess
import sys

import attrs
import frameworks
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MissingParamError,
    Param,
    _find_unset,
    find_unset,
    mergeable,
    strict_partial,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
adapter = pytest.importorskip("mergeparam._frameworks.jax")
jnp = jax.numpy

X = jnp.linspace(0.0, 1.0, 6).reshape(2, 3)


def as_pytree(*data, meta=()):
    """Return a decorator that makes a pytree of a class, with some fields as its leaves."""

    def decorate(cls):
        cls = dataclasses.dataclass(cls)
        return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=meta)

    return decorate


@pytest.fixture
def define(inject):
    """Return a function that makes a class which multiplies by its merged gain."""

    def define(**options):
        @mergeable(Param("gain", **options))
        class Scale:
            def __init__(self, gain=None):
                self.gain = gain

            def __call__(self, x, *, gain=MERGED):
                return x * gain

        return Scale

    return define


def test_gradient_of_the_parameter_itself(define):
    """A merged value is differentiated, from either side, and may differ along a mapped axis."""
    scale, gains = define(), jnp.array([2.0, 3.0])

    assert X.sum() == jax.grad(lambda gain: scale()(X, gain=gain).sum())(2.0)
    assert X.sum() == jax.grad(lambda gain: scale(gain)(X).sum())(2.0)
    for results in (
        jax.vmap(lambda row, gain: scale()(row, gain=gain))(X, gains),
        jax.lax.scan(lambda c, xs: (c, scale()(xs[0], gain=xs[1])), 0, (X, gains))[1],
    ):
        assert jnp.allclose(X * gains[:, None], results)


def test_tracers_pass_untouched(inject):
    """The body gets the very tracer, and nothing is asked of it."""

    @mergeable("mask")
    class Echo:
        def __init__(self, mask=None):
            self.mask = mask

        def __call__(self, *, mask=MERGED):
            return mask

    def check(mask):
        assert mask is Echo(mask)() is Echo()(mask=mask)
        with pytest.raises(ConflictingParamError, match="Tracer"):
            Echo(mask)(mask=mask)
        with pytest.raises(MissingParamError):
            Echo()()
        return mask

    assert [] == jax.make_jaxpr(check)(jnp.ones(3)).eqns


class ByHand:
    """The merge of `gain`, with a default, as one writes it by hand."""

    def __init__(self, gain=None):
        self.gain = gain

    def __call__(self, x, *, gain=None):
        if gain is None:
            gain = self.gain
            if gain is None:
                gain = 3.0
        elif None is not self.gain is not gain:
            raise ValueError
        return x * gain


class ForwardingByHand(ByHand):
    def __call__(self, x, *, gain=None):
        return super().__call__(jnp.sin(x), gain=self.gain if gain is None else gain)


def test_the_jaxpr_of_a_deep_model(define):
    """100 layers that are told in every way trace to the very program of the merge by hand."""
    merged = define(default=3.0)

    @mergeable(Param("gain", default=3.0))
    class Forwarding(merged):
        def __call__(self, x, *, gain=MERGED):
            return super().__call__(jnp.sin(x), gain=gain)

    def trace(*kinds):
        layers = [kinds[at % 2](gain) for at, gain in enumerate([2.0, None] * 50)]

        def model(x):
            for at, layer in enumerate(layers):
                x = layer(x, gain=x[0, 0]) if at % 4 == 3 else layer(x)
            return x

        return str(jax.jit(model).trace(X).jaxpr)

    for by_hand, ours in ((ByHand, merged), (ForwardingByHand, Forwarding)):
        program = trace(by_hand, ByHand)

        assert program.count("mul") >= 100
        assert program == trace(ours, merged)


def test_traced_anew_only_where_a_flag_changes(inject):
    """Static flags are part of the key of `jit`'s cache; one among the leaves is a tracer."""
    traced = []

    def define(decorate):
        @mergeable("flag")
        @decorate
        class Layer:
            flag: object = None

            def __call__(self, x, *, flag=MERGED):
                traced.append(flag)
                return x if flag else -x

        return Layer

    static, leaf = define(as_pytree(meta=("flag",))), define(as_pytree("flag"))
    call = jax.jit(lambda layer, x: layer(x))

    assert [1.0, -1.0, 1.0, -1.0] == [call(static(flag), 1.0) for flag in (True, False) * 2]
    assert [True, False] == traced
    with pytest.raises(jax.errors.TracerBoolConversionError):
        call(leaf(True), 1.0)


def test_static_self(inject):
    """The method of a hashable object is jitted, or the object itself.

    A flag is given by position or by name.
    """

    @mergeable("flag")
    @attrs.frozen
    class Layer:
        rate: float
        flag: bool | None = None

        def __call__(self, x, flag: bool = MERGED):
            return x if flag else x * self.rate

    call = jax.jit(Layer.__call__, static_argnums=(0, 2))
    by_name = jax.jit(Layer.__call__, static_argnames=("self", "flag"))
    bound = jax.jit(Layer(0.5), static_argnames="flag")

    assert 3.0 == call(Layer(0.5, True), 3.0) == by_name(Layer(0.5), 3.0, True) == bound(3.0, True)
    assert 1.5 == call(Layer(0.5), 3.0, False) == by_name(Layer(0.5), 3.0, flag=False)
    assert 1.5 == bound(3.0, flag=False)
    with pytest.raises(MissingParamError):
        call(Layer(0.5), 3.0)
    with pytest.raises(ConflictingParamError):
        by_name(Layer(0.5, True), 3.0, True)


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

    assert Layer(5.0, flag=True) == gradient(Layer(2.0, flag=True), 5.0)


@pytest.mark.parametrize("fields", [{"meta": ("mask",)}, {"data": ("mask",)}])
def test_unset_where_none_is_a_value(inject, fields):
    """`UNSET` goes through as metadata and as a node without leaves; `None` stays a value."""

    @mergeable(Param("mask", unset=UNSET))
    @as_pytree(*fields.get("data", ()), meta=fields.get("meta", ()))
    class Layer:
        mask: object = UNSET

        def __call__(self, x, *, mask=MERGED):
            return x if mask is None else x * mask

    call = jax.jit(lambda layer, x, **given: layer(x, **given))
    leaves, structure = jax.tree.flatten(Layer())

    assert [] == leaves
    assert (
        UNSET is jax.tree.unflatten(structure, leaves).mask is jax.jit(lambda x: x)(Layer()).mask
    )
    assert jnp.array_equal(X, call(Layer(None), X))
    assert jnp.array_equal(2 * X, call(Layer(2.0), X))
    assert jnp.array_equal(X, call(Layer(), X, mask=None))
    assert jnp.array_equal(3 * X, call(Layer(), X, mask=3.0))
    with pytest.raises(MissingParamError):
        call(Layer(), X)
    with pytest.raises(ConflictingParamError):
        call(Layer(None), X, mask=None)


# Values that are compared, and shown.

ONE, TWO = jax.random.key(1), jax.random.key(2)


@pytest.mark.parametrize(
    ("attribute", "call", "is_equal"),
    [
        (jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0]), True),
        (jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0]), False),
        (jnp.array([1.0, float("nan")]), jnp.array([1.0, float("nan")]), False),
        (jnp.array([1.0, 1.0]), jnp.array(1.0), False),
        (ONE, jax.random.key(1), True),
        (ONE, TWO, False),
    ],
)
def test_equal_arrays(inject, attribute, call, is_equal):
    """`raise_if_different` compares arrays as a whole, and no array with its broadcast."""

    @mergeable(Param("value", on_conflict="raise_if_different"))
    class Echo:
        value = attribute

        def __call__(self, *, value=MERGED):
            return value

    if is_equal:
        assert call is Echo()(value=call)
    else:
        with pytest.raises(ConflictingParamError):
            Echo()(value=call)


def test_tracers_that_cannot_be_compared(define):
    """Under `raise_if_different`, tracers that are not the same object are different."""
    scale = define(on_conflict="raise_if_different")

    assert 6.0 == jax.jit(lambda x, g: scale(g)(x, gain=g))(2.0, 3.0)
    with pytest.raises(ConflictingParamError):
        jax.jit(lambda x, g: scale(g)(x, gain=g + 0))(2.0, 3.0)


def test_a_deleted_array_in_an_error(define):
    """An array that was donated cannot be shown, and the error comes all the same."""
    gain = jnp.ones(3)
    gain.delete()

    with pytest.raises(ConflictingParamError, match="ArrayImpl"):
        define()(gain)(1.0, gain=1.0)


# Models.


def test_nodes_of_pytrees_are_parts():
    """`find_unset` looks into a container that only JAX knows how to open."""
    layer = mergeable("flag")(frameworks.Plain().layer())()

    @jax.tree_util.register_pytree_with_keys_class
    class Closed:
        __slots__ = ("_parts",)

        def __init__(self, parts):
            self._parts = iter(()), lambda: parts

        def tree_flatten_with_keys(self):
            parts = self._parts[1]()
            keys = [jax.tree_util.SequenceKey(index) for index in range(len(parts))]
            return list(zip(keys, parts, strict=True)), None

        @classmethod
        def tree_unflatten(cls, _, parts):
            return cls(parts)

    assert [("[1]", layer, ("flag",))] == find_unset(Closed([3, layer]))


def test_traced_values_are_no_parts(monkeypatch):
    """From a tracer one would come to all that has been traced, and to layers met on the way."""
    layer = mergeable("flag")(frameworks.Plain().layer())
    seen, found, children = [], [], _find_unset._children
    monkeypatch.setattr(
        _find_unset, "_children", lambda obj: seen.append(type(obj)) or children(obj)
    )

    @jax.jit
    def run(x):
        found.extend(path for path, _, _ in find_unset([layer(), x * 2]))
        return x

    run(1.0)

    assert ["[0]"] == found
    assert {list, layer} <= set(seen)
    assert not any(issubclass(kind, jax.core.Tracer) for kind in seen)


# `strict_partial`.


def scale(x, gain, *, deterministic=False):
    """Multiply, or do not."""
    return x if deterministic else x * gain


def test_transformations_of_strict_partial():
    """It is a function to `jit`, `vmap` and `grad`, also with static and traced arguments."""
    bound = strict_partial(scale, deterministic=False)
    static = jax.jit(strict_partial(scale, gain=2.0), static_argnames="deterministic")
    gains = jax.jit(strict_partial(scale, gain=jnp.array([1.0, 2.0])))

    @jax.jit
    def function(x, gain):
        inner = strict_partial(scale, gain=gain)
        with pytest.raises(ConflictingParamError):
            inner(x, gain=gain)
        return inner(x)

    assert 6.0 == jax.jit(bound)(3.0, 2.0) == function(3.0, 2.0)
    assert 15.0 == function(3.0, 5.0)
    assert [6.0, 8.0] == jax.vmap(bound, in_axes=(0, None))(jnp.array([3.0, 4.0]), 2).tolist()
    assert 2.0 == jax.grad(bound)(3.0, 2.0)
    assert (3.0, 6.0) == tuple(static(3.0, deterministic=value) for value in (True, False))
    assert [3.0, 6.0] == gains(3.0).tolist()
    for transform in (jax.jit, jax.grad):
        with pytest.raises(ConflictingParamError):
            transform(bound)(3.0, 2.0, deterministic=True)


def test_strict_partial_of_what_jax_makes():
    """It is an argument of a decorator, and decorators with options are bound with it.

    One bound function is traced once, two are traced twice.
    """
    traces = []

    @strict_partial(jax.jit, static_argnames="flag")
    def jitted(x, *, flag):
        traces.append(flag)
        return x if flag else 2 * x

    @strict_partial(jax.custom_jvp, nondiff_argnums=())
    def custom(x):
        return 3 * x

    custom.defjvp(lambda x, t: (3 * x[0], 5 * t[0]))
    bound = [strict_partial(jitted, flag=flag) for flag in (True, False)]
    inner = strict_partial(scale, deterministic=False)
    node = jax.tree_util.Partial(inner, 3.0)

    assert [1.0, 2.0] * 2 == [jax.jit(function)(1.0) for function in bound * 2]
    assert [True, False] == traces
    assert (3.0, 5.0) == (custom(1.0), jax.grad(custom)(1.0))
    assert 6.0 == node(2.0) == jax.jit(lambda node: node(2.0))(node)
    with pytest.raises(ConflictingParamError):
        node(2.0, deterministic=True)
    with pytest.raises(ConflictingParamError):
        jax.tree_util.Partial(inner, 3.0, deterministic=True)(2.0)


# When JAX is imported, and who registers `UNSET`.

LAYER = """
import dataclasses
import sys
from mergeparam import MERGED, UNSET, Param, UnsetType, find_unset, mergeable

@mergeable(Param("mask", unset=UNSET))
@dataclasses.dataclass
class Layer:
    mask: object = UNSET

    def __call__(self, x, *, mask=MERGED):
        return x if mask is None else x * mask
"""
CALL = """
import jax

jax.tree_util.register_dataclass(Layer, data_fields=["mask"], meta_fields=[])
call = jax.jit(lambda layer, x: layer(x, mask=None))
"""
LATER = f"""{LAYER}{CALL}
try:
    call(Layer(), 2.0)
except TypeError as error:
    print("UnsetType" in str(error))
find_unset(Layer())
print(float(call(Layer(), 2.0)))
"""
REGISTERED_ALREADY = f"""
import jax
from mergeparam import UnsetType

jax.tree_util.register_static(UnsetType)
{LAYER}{CALL}
print(float(call(Layer(), 2.0)))
"""
NEVER = f"{LAYER}\nfind_unset(Layer())\nprint('jax' in sys.modules)"


@pytest.mark.parametrize(
    ("script", "expected"),
    [(LATER, ["True", "2.0"]), (REGISTERED_ALREADY, ["2.0"]), (NEVER, ["False"])],
    ids=["after the last decorator", "UNSET is registered already", "never"],
)
def test_import_of_jax(script, expected):
    """JAX refuses `UNSET` by name, until the next `@mergeable` or `find_unset`.

    It may be a node already, and a decorated class does not import JAX.
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (expected, "") == (done.stdout.split(), done.stderr)


def test_somebody_else_has_registered_the_sentinel():
    """What JAX knows already is not registered once more, which JAX would refuse."""
    again = adapter.JaxAdapter(None)

    assert [] == jax.tree_util.tree_leaves(UNSET)
    assert [] == [*again.children(UNSET)]
