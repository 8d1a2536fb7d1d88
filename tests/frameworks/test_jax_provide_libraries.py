"""Flax, Equinox and Haiku: what they jit and lift is never stale either."""

from typing import Any

import pytest

from mergeparam import MERGED, ConflictingParamError, MissingParamError, mergeable, provide

jax = pytest.importorskip("jax", reason="jax is not installed")
linen = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
eqx = pytest.importorskip("equinox", reason="equinox is not installed")
hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
jnp = jax.numpy
X = jnp.float32(3.0)


def check(call):
    """Check that every answer is that of the values that are provided."""
    for _ in range(2):
        with provide(gain=2.0):
            assert 6.0 == call(X)
            with provide(gain=5.0):
                assert 15.0 == call(X)
            assert 6.0 == call(X)
    with pytest.raises(MissingParamError):
        call(X)


def check_providing(make, run):
    """Check a layer that provides: from its constructor, from the call, and twice in one trace."""
    both = jax.jit(lambda x: run(make(2.0), x) + run(make(None), x, gain=5.0))

    for _ in range(2):
        assert 6.0 == run(make(2.0), X)
        assert 15.0 == run(make(None), X, gain=5.0)
        with provide(gain=7.0):
            assert 21.0 == both(X)
            assert 21.0 == run(make(None), X)
    with pytest.raises(ConflictingParamError):
        run(make(2.0), X, gain=5.0)


def multiply(layer, x, gain):
    return x * gain


def linen_layer(body=multiply, **options):
    """Return a module of Linen that merges its gain."""

    @mergeable("gain", **options)
    class Layer(linen.Module):
        gain: Any = None

        @linen.compact
        def __call__(self, x, gain=MERGED):
            return body(self, x, gain)

    return Layer


def layer(base, body=multiply, **options):
    """Return one of NNX or of Haiku."""

    @mergeable("gain", **options)
    class Layer(base):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        def __call__(self, x, gain=MERGED):
            return body(self, x, gain)

    return Layer


def eqx_layer(body=multiply, **options):
    """Return one of Equinox."""

    @mergeable("gain", **options)
    class Layer(eqx.Module):
        gain: Any = None

        def __call__(self, x, *, gain=MERGED):
            return body(self, x, gain)

    return Layer


LIFTS = {
    "none": lambda scale: scale,
    "jit": linen.jit,
    "remat": linen.remat,
    "jit of remat": lambda scale: linen.jit(linen.remat(scale)),
    "map_variables": lambda scale: linen.map_variables(scale, "params"),
}


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
@pytest.mark.parametrize("wrap", [jax.jit, lambda call: call], ids=["jitted", "not jitted"])
def test_linen(inject, lift, wrap):
    """A module made in `setup` or in a compact method, lifted or not."""
    lifted = lift(linen_layer())

    class SetUp(linen.Module):
        def setup(self):
            self.scale = lifted()

        def __call__(self, x):
            return self.scale(x)

    class Compact(linen.Module):
        @linen.compact
        def __call__(self, x):
            return lifted()(x)

    for model in (SetUp(), Compact(), linen.jit(SetUp)()):
        check(wrap(lambda x, model=model: model.apply({}, x)))


def test_linen_vmap_and_scan(inject):
    """Lifted loops trace their bodies anew."""
    scale = linen_layer()

    class Step(linen.Module):
        @linen.compact
        def __call__(self, carry, _):
            return scale()(carry), None

    scan, vmap = linen.scan(Step, length=1)(), linen.vmap(scale)()

    check(jax.jit(lambda x: scan.apply({}, x, None)[0]))
    check(lambda x: scan.apply({}, x, None)[0])
    check(jax.jit(lambda x: vmap.apply({}, x[None])[0]))


def test_nnx(inject):
    """The transformations of NNX."""
    model = layer(nnx.Module)()

    def call(model, x):
        return model(x)

    jitted = nnx.jit(call)
    check(lambda x: jitted(model, x))
    check(lambda x: nnx.vmap(jitted, in_axes=(None, 0))(model, x[None])[0])
    check(lambda x: nnx.remat(call)(model, x))
    check(lambda x: x * nnx.grad(jitted, argnums=1)(model, x))
    check(lambda x: nnx.scan(lambda c, _: (model(c), None), length=1)(x, None)[0])
    check(lambda x: nnx.cond(x > 0, call, lambda _, x: x, model, x))
    check(nnx.jit(lambda x: nnx.cond(x > 0, call, lambda _, x: x, model, x)))


def test_equinox(inject):
    """The filtered transformations of Equinox."""
    model = eqx_layer()()

    check(eqx.filter_jit(model))
    check(eqx.filter_jit(eqx.filter_checkpoint(model)))
    check(eqx.filter_checkpoint(model))
    check(lambda x: eqx.filter_vmap(eqx.filter_jit(model))(x[None])[0])
    check(lambda x: x * eqx.filter_grad(eqx.filter_jit(model))(x))
    check(lambda x: eqx.filter_closure_convert(model, x)(x))
    check(eqx.filter_jit(lambda x: eqx.filter_make_jaxpr(model)(x) and model(x)))


def test_haiku(inject):
    """Transformed functions, jitted, and Haiku's own transformations in them."""
    scale = layer(hk.Module)
    functions = [
        lambda x: scale()(x),
        lambda x: hk.remat(scale())(x),
        lambda x: hk.cond(x > 0, scale(), lambda x: x, x),
        lambda x: hk.scan(lambda c, _: (scale()(c), None), x, None, length=1)[0],
    ]
    for function in functions:
        transformed = hk.transform(function)
        for apply in (transformed.apply, jax.jit(transformed.apply)):
            check(lambda x, apply=apply: apply({}, None, x))


def test_providing(inject):
    """`provide=True` on a layer of each library, around and inside of what is jitted."""
    in_nnx, in_eqx, in_hk = layer(nnx.Module)(), eqx_layer()(), layer(hk.Module)
    in_linen = linen.jit(linen_layer())

    def providing(make, inner):
        return make(lambda layer, x, gain: inner(x), provide=True)

    def apply(model, x, **values):
        return model.apply({}, x, **values)

    def call(model, x, **values):
        return model(x, **values)

    def transform(make, x, **values):
        return jax.jit(hk.transform(lambda x: make()(x, **values)).apply)({}, None, x)

    model = providing(linen_layer, lambda x: in_linen()(x))
    check_providing(model, apply)
    check_providing(linen.jit(model, static_argnames="gain"), apply)
    run = nnx.jit(lambda layer, x: layer(x))
    check_providing(
        providing(lambda *how, **o: layer(nnx.Module, *how, **o), lambda x: run(in_nnx, x)), call
    )
    check_providing(providing(eqx_layer, eqx.filter_jit(in_eqx)), call)
    model = providing(lambda *how, **o: layer(hk.Module, *how, **o), lambda x: in_hk()(x))
    check_providing(lambda gain: lambda: model(gain), transform)
