"""Merged subclasses of layers that Linen, NNX and Equinox bring along, and that merge by hand.

They keep the base's field, and hand what they have merged on to `super()`.
"""

from typing import Any

import cloudpickle
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    provide,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
jnp = jax.numpy
X, KEY = jnp.linspace(-1.0, 1.0, 24).reshape(2, 3, 4), jax.random.key(0)


def linen(**options):
    """Return what makes and calls a subclass of `nn.Dropout`."""

    @mergeable(Param("deterministic", **options))
    class Dropout(nn.Dropout):
        @nn.compact
        def __call__(self, inputs, deterministic: bool = MERGED):
            return super().__call__(inputs, deterministic=deterministic)

    def call(flag=None, **given):
        return Dropout(0.5, deterministic=flag).apply({}, X, **given, rngs={"dropout": KEY})

    return call, "deterministic", (True, False)


def of_nnx(**options):
    """Return what makes and calls a subclass of `nnx.Dropout`."""

    @mergeable(Param("deterministic", **options))
    class Dropout(nnx.Dropout):
        def __init__(self, rate, *, deterministic=None, rngs):
            super().__init__(rate, deterministic=deterministic, rngs=rngs)

        def __call__(self, inputs, *, deterministic: bool = MERGED):
            return super().__call__(inputs, deterministic=deterministic)

    def call(flag=None, **given):
        return Dropout(0.5, deterministic=flag, rngs=nnx.Rngs(0))(X, **given)

    return call, "deterministic", (True, False)


def equinox(**options):
    """Return what makes and calls a subclass of `eqx.nn.Dropout`."""
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")

    @mergeable(Param("inference", **options))
    class Dropout(eqx.nn.Dropout):
        def __init__(self, p, inference=None):
            super().__init__(p, inference)

        def __call__(self, x, *, key=None, inference: bool = MERGED):
            return super().__call__(x, key=key, inference=inference)

    def call(flag=None, **given):
        return Dropout(0.5, flag)(X, key=KEY, **given)

    return call, "inference", (True, False)


KINDS = {"Linen": linen, "NNX": of_nnx, "Equinox": equinox}


@pytest.mark.parametrize("define", KINDS.values(), ids=KINDS)
def test_drop_in(inject, define):
    """From the constructor, the call or `provide`: the base gets the value, and does not mind."""
    call, param, (kept, dropped) = define()

    for value in kept, dropped:
        with provide(**{param: value}):
            provided = call()
        for found in call(value), call(**{param: value}), provided:
            assert (value is kept) is jnp.array_equal(X, found).item()
    with pytest.raises(MissingParamError):
        call()
    with pytest.raises(ConflictingParamError):
        call(kept, **{param: kept})
    with provide(**{param: dropped}):
        assert jnp.array_equal(X, call(kept))
        assert jnp.array_equal(X, call(**{param: kept}))


def test_policies_in_linen():
    """What is handed on is left out where it is the object in the field, and only there."""
    pinned, *_ = linen(on_conflict="use_attribute")
    overruled, *_ = linen(on_conflict="use_call")

    assert jnp.array_equal(X, pinned(True, deterministic=False))
    assert jnp.array_equal(X, overruled(True, deterministic=True))
    with pytest.raises(ValueError, match="passed to the constructor and at call time"):
        overruled(True, deterministic=False)


class ByHand(nn.Module):
    flag: Any = None

    def __call__(self, x, flag=None):
        return nn.merge_param("flag", self.flag, flag)

    def other(self, x, flag=None):
        return nn.merge_param("flag", self.flag, flag)


def test_only_what_the_subclass_hands_on():
    """Another method, another field, a class below that merges by hand: each keeps its error."""

    @mergeable("flag")
    class Layer(ByHand):
        def __call__(self, x, flag=MERGED):
            return super().__call__(x, flag=flag)

        def renamed(self, x, flag=None):
            return super().other(x, flag)

    @mergeable("flag")
    class Again(Layer):
        def __call__(self, x, flag=MERGED):
            return super().__call__(x, flag)

    class Below(Layer):
        def __call__(self, x, flag=None):
            return super().__call__(x, nn.merge_param("flag", self.flag, flag))

    @mergeable(Param("flag", attribute="mode"))
    class Renamed(ByHand):
        mode: Any = None

        def __call__(self, x, flag=MERGED):
            return super().__call__(x, flag)

    both = pytest.raises(ValueError, match="Should be passed just once")
    for cls in Layer, Again:
        assert (1, 1) == (cls(1).apply({}, X), cls().apply({}, X, 1))
        with both:
            cls(1).apply({}, X, 1, method="renamed")
        with pytest.raises(ConflictingParamError):
            cls(1).apply({}, X, 1)
    assert 1 == nn.jit(Layer)(1).apply({}, X)
    assert 1 == cloudpickle.loads(cloudpickle.dumps(Layer(1))).apply({}, X)
    with both:
        Below(1).apply({}, X, 1)
    assert 1 == Renamed(mode=1).apply({}, X)
    with both:
        Renamed(flag=1, mode=1).apply({}, X)
    assert Renamed._call_wrapped_method is nn.Module._call_wrapped_method
