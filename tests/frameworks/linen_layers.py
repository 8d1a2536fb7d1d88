"""Linen layers to compare: Flax's own, the same ones declared anew, and small ones by hand."""

import re
from types import SimpleNamespace

import attrs
import jax
import jax.numpy as jnp
from flax import linen as nn

from mergeparam import MERGED, Param, mergeable

FLAX = SimpleNamespace(
    Dropout=nn.Dropout,
    BatchNorm=nn.BatchNorm,
    Einsum=nn.Einsum,
    MultiHeadDotProductAttention=nn.MultiHeadDotProductAttention,
)
"""The classes of Flax that merge by hand."""


def forwarding():
    """Return subclasses of Flax's classes that merge, and hand the value on to `super()`.

    The constructor's value has a field of its own. In the base's field the base would find it
    too, and its own merge would refuse to be given the value once more.
    """

    @mergeable(Param("deterministic", attribute="mode"))
    class Dropout(nn.Dropout):
        mode: bool | None = None

        @nn.compact
        def __call__(self, inputs, deterministic=MERGED, rng=None):
            return super().__call__(inputs, deterministic, rng)

    @mergeable(Param("use_running_average", attribute="mode"))
    class BatchNorm(nn.BatchNorm):
        mode: bool | None = None

        @nn.compact
        def __call__(self, x, use_running_average=MERGED, *, mask=None):
            return super().__call__(x, use_running_average, mask=mask)

    @mergeable(Param("einsum_str", attribute="mode"))
    class Einsum(nn.Einsum):
        mode: str | None = None

        @nn.compact
        def __call__(self, inputs, einsum_str=MERGED):
            return super().__call__(inputs, einsum_str)

    @mergeable(Param("deterministic", attribute="mode"))
    class MultiHeadDotProductAttention(nn.MultiHeadDotProductAttention):
        mode: bool | None = None

        @nn.compact
        def __call__(self, inputs_q, *, deterministic=MERGED, **others):
            return super().__call__(inputs_q, deterministic=deterministic, **others)

    return SimpleNamespace(
        Dropout=Dropout,
        BatchNorm=BatchNorm,
        Einsum=Einsum,
        MultiHeadDotProductAttention=MultiHeadDotProductAttention,
    )


def declared_anew():
    """Return the same layers, written with `@mergeable` from the start."""

    @mergeable("deterministic")
    class Dropout(nn.Module):
        rate: float
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic: bool = MERGED):
            if deterministic or self.rate == 0:
                return x
            kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, x.shape)
            return jax.lax.select(kept, x / (1 - self.rate), jnp.zeros_like(x))

    @mergeable("use_running_average")
    class BatchNorm(nn.Module):
        use_running_average: bool | None = None
        momentum: float = 0.99

        @nn.compact
        def __call__(self, x, use_running_average: bool = MERGED):
            shape = x.shape[-1:]
            old_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
            old_var = self.variable("batch_stats", "var", jnp.ones, shape)
            batch = tuple(range(x.ndim - 1))
            if use_running_average:
                mean, var = old_mean.value, old_var.value
            else:
                squares, mean = jnp.square(x), x.mean(batch)
                var = jnp.maximum(0, squares.mean(batch) - jnp.square(mean))
                if not self.is_initializing():
                    for old, new in ((old_mean, mean), (old_var, var)):
                        old.value = self.momentum * old.value + (1 - self.momentum) * new
            mean, var = jnp.expand_dims(mean, batch), jnp.expand_dims(var, batch)
            row = (1,) * len(batch) + shape
            centred, factor = x - mean, jax.lax.rsqrt(var + 1e-5)
            scale = self.param("scale", nn.initializers.ones, shape)
            y = centred * (factor * scale.reshape(row))
            bias = self.param("bias", nn.initializers.zeros, shape)
            return y + bias.reshape(row)

    @mergeable("einsum_str")
    class Einsum(nn.Module):
        shape: tuple[int, ...]
        einsum_str: str | None = None

        @nn.compact
        def __call__(self, x, einsum_str: str = MERGED):
            kernel = self.param("kernel", nn.initializers.lecun_normal(), self.shape)
            features = self.shape[-1]
            bias = self.param("bias", nn.initializers.zeros, (features,))
            y = jnp.einsum(einsum_str, x, kernel)
            return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)

    def needs_no_rng(layer):
        return True if layer.dropout_rate == 0 else None

    @mergeable(Param("deterministic", default=attrs.Factory(needs_no_rng, takes_self=True)))
    class MultiHeadDotProductAttention(nn.Module):
        num_heads: int
        dropout_rate: float = 0.0
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, *, deterministic: bool = MERGED):
            heads = (self.num_heads, x.shape[-1] // self.num_heads)
            query, key, value = (
                nn.DenseGeneral(heads, name=name)(x) for name in ("query", "key", "value")
            )
            is_random = self.dropout_rate > 0 and not deterministic
            mixed = nn.dot_product_attention(
                query,
                key,
                value,
                dropout_rng=self.make_rng("dropout") if is_random else None,
                dropout_rate=self.dropout_rate,
                deterministic=not is_random,
            )
            return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), name="out")(mixed)

    return SimpleNamespace(
        Dropout=Dropout,
        BatchNorm=BatchNorm,
        Einsum=Einsum,
        MultiHeadDotProductAttention=MultiHeadDotProductAttention,
    )


def noisy_dense(lift=lambda method: method):
    """Return one small layer twice: with the merge by hand, and decorated.

    Its method may be lifted.
    """

    def body(layer, x, deterministic):
        y = nn.Dense(layer.features)(x)
        return y if deterministic else y + jax.random.normal(layer.make_rng("noise"), y.shape)

    class Layer(nn.Module):
        features: int = 3
        deterministic: bool | None = None

        @lift
        @nn.compact
        def __call__(self, x, deterministic=None):
            deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
            return body(self, x, deterministic)

    by_hand = Layer

    @mergeable("deterministic")
    class Layer(nn.Module):
        features: int = 3
        deterministic: bool | None = None

        @lift
        @nn.compact
        def __call__(self, x, deterministic=MERGED):
            return body(self, x, deterministic)

    return by_hand, Layer


def steps():
    """Return one body of a loop twice: with the merge by hand, and decorated."""

    class Step(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, carry, x, deterministic=None):
            deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
            carry = nn.Dense(carry.shape[-1])(carry) + x
            return carry, (carry if deterministic else -carry)

    by_hand = Step

    @mergeable("deterministic")
    class Step(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, carry, x, deterministic=MERGED):
            carry = nn.Dense(carry.shape[-1])(carry) + x
            return carry, (carry if deterministic else -carry)

    return by_hand, Step


def jaxpr(function, *arguments):
    """Return as text what a function computes, and the form of what it returns."""
    traced, form = jax.make_jaxpr(function, return_shape=True)(*arguments)
    return re.sub(r"0x[0-9a-f]+", "0x", f"{traced}\n{jax.tree.structure(form)}")
