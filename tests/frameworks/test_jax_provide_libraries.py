"""Flax, Equinox and Haiku: what they jit and lift is never stale either."""

from typing import Any

import pytest

from mergeparam import MERGED, ConflictingParamError, MissingParamError, mergeable, provide

jax = pytest.importorskip("jax", reason="jax is not installed")
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


# Flax Linen.


@pytest.fixture
def linen():
    """Return Flax Linen."""
    return pytest.importorskip("flax.linen", reason="flax is not installed")


@pytest.fixture
def linen_scale(linen, inject):
    """Return a Linen module that multiplies by what is merged."""

    @mergeable("gain")
    class Scale(linen.Module):
        gain: Any = None

        @linen.compact
        def __call__(self, x, gain=MERGED):
            return x * gain

    return Scale


LIFTS = {
    "none": lambda linen, scale: scale,
    "jit": lambda linen, scale: linen.jit(scale),
    "remat": lambda linen, scale: linen.remat(scale),
    "jit of remat": lambda linen, scale: linen.jit(linen.remat(scale)),
    "map_variables": lambda linen, scale: linen.map_variables(scale, "params"),
}


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
@pytest.mark.parametrize("wrap", [jax.jit, lambda call: call], ids=["jitted", "not jitted"])
def test_linen(linen, linen_scale, lift, wrap):
    """A module made in `setup` or in a compact method, lifted or not."""
    lifted = lift(linen, linen_scale)

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


def test_linen_vmap_and_scan(linen, linen_scale):
    """Lifted loops trace their bodies anew."""

    class Step(linen.Module):
        @linen.compact
        def __call__(self, carry, _):
            return linen_scale()(carry), None

    scan = linen.scan(Step, length=1)()
    vmap = linen.vmap(linen_scale)()

    check(jax.jit(lambda x: scan.apply({}, x, None)[0]))
    check(lambda x: scan.apply({}, x, None)[0])
    check(jax.jit(lambda x: vmap.apply({}, x[None])[0]))


def test_linen_providing(linen, linen_scale):
    """`provide=True` on a compact method, inside and outside of `nn.jit`."""

    @mergeable("gain", provide=True)
    class Model(linen.Module):
        gain: Any = None

        @linen.compact
        def __call__(self, x, gain=MERGED):
            return linen.jit(linen_scale)()(x)

    def run(model, x, **values):
        return model.apply({}, x, **values)

    check_providing(Model, run)
    check_providing(linen.jit(Model, static_argnames="gain"), run)


# Flax NNX.


@pytest.fixture
def nnx():
    """Return Flax NNX."""
    return pytest.importorskip("flax.nnx", reason="flax is not installed")


@pytest.fixture
def nnx_scale(nnx, inject):
    """Return an NNX module that multiplies by what is merged."""

    @mergeable("gain")
    class Scale(nnx.Module):
        def __init__(self, gain=None):
            self.gain = gain

        def __call__(self, x, *, gain=MERGED):
            return x * gain

    return Scale


def test_nnx(nnx, nnx_scale):
    """The transformations of NNX."""
    model = nnx_scale()

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


def test_nnx_providing(nnx, nnx_scale):
    """`provide=True` on an NNX module."""

    @mergeable("gain", provide=True)
    class Model(nnx.Module):
        def __init__(self, gain=None):
            self.gain = gain
            self.scale = nnx_scale()

        def __call__(self, x, *, gain=MERGED):
            return nnx.jit(lambda scale, x: scale(x))(self.scale, x)

    check_providing(Model, lambda model, x, **values: model(x, **values))


# Equinox.


@pytest.fixture
def eqx():
    """Return Equinox."""
    return pytest.importorskip("equinox", reason="equinox is not installed")


@pytest.fixture
def eqx_scale(eqx, inject):
    """Return an Equinox module that multiplies by what is merged."""

    @mergeable("gain")
    class Scale(eqx.Module):
        gain: Any = None

        def __call__(self, x, *, gain=MERGED):
            return x * gain

    return Scale


def test_equinox(eqx, eqx_scale):
    """The filtered transformations of Equinox."""
    model = eqx_scale()

    check(eqx.filter_jit(model))
    check(eqx.filter_jit(eqx.filter_checkpoint(model)))
    check(eqx.filter_checkpoint(model))
    check(lambda x: eqx.filter_vmap(eqx.filter_jit(model))(x[None])[0])
    check(lambda x: x * eqx.filter_grad(eqx.filter_jit(model))(x))
    check(lambda x: eqx.filter_closure_convert(model, x)(x))
    check(eqx.filter_jit(lambda x: eqx.filter_make_jaxpr(model)(x) and model(x)))


def test_equinox_providing(eqx, eqx_scale):
    """`provide=True` on an Equinox module."""

    @mergeable("gain", provide=True)
    class Model(eqx.Module):
        gain: Any = None
        scale: Any = eqx_scale()

        def __call__(self, x, *, gain=MERGED):
            return eqx.filter_jit(self.scale)(x)

    check_providing(Model, lambda model, x, **values: model(x, **values))


# Haiku.


@pytest.fixture
def hk():
    """Return Haiku."""
    return pytest.importorskip("haiku", reason="dm-haiku is not installed")


@pytest.fixture
def hk_scale(hk, inject):
    """Return a Haiku module that multiplies by what is merged."""

    @mergeable("gain")
    class Scale(hk.Module):
        def __init__(self, gain=None, name=None):
            super().__init__(name=name)
            self.gain = gain

        def __call__(self, x, *, gain=MERGED):
            return x * gain

    return Scale


def test_haiku(hk, hk_scale):
    """Transformed functions, jitted, and Haiku's own transformations in them."""
    functions = [
        lambda x: hk_scale()(x),
        lambda x: hk.remat(hk_scale())(x),
        lambda x: hk.cond(x > 0, hk_scale(), lambda x: x, x),
        lambda x: hk.scan(lambda c, _: (hk_scale()(c), None), x, None, length=1)[0],
    ]
    for function in functions:
        transformed = hk.transform(function)
        for apply in (transformed.apply, jax.jit(transformed.apply)):
            check(lambda x, apply=apply: apply({}, None, x))


def test_haiku_providing(hk, hk_scale):
    """`provide=True` on a Haiku module."""

    @mergeable("gain", provide=True)
    class Model(hk.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        def __call__(self, x, *, gain=MERGED):
            return hk_scale()(x)

    def run(make, x, **values):
        return jax.jit(hk.transform(lambda x: make()(x, **values)).apply)({}, None, x)

    check_providing(lambda gain: lambda: Model(gain), run)
