"""Small Linen layers to compare, each with the merge by hand, and decorated."""

import functools
import re

import jax
import jax.numpy as jnp
from flax import linen as nn

from mergeparam import MERGED, mergeable

X = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
KEYS = {"params": jax.random.key(0), "noise": jax.random.key(1), "dropout": jax.random.key(2)}


def twice(define):
    """Make a function return its class twice: with the merge by hand, and decorated."""

    @functools.wraps(define)
    def pair(*args):
        def merged_by_hand(layer, value):
            return nn.merge_param("deterministic", layer.deterministic, value)

        return (
            define(None, merged_by_hand, *args),
            mergeable("deterministic")(define(MERGED, lambda _, value: value, *args)),
        )

    return pair


@twice
def noisy_dense(default, merge, lift=lambda method: method):
    """Return a layer with parameters and random numbers; its method may be lifted."""

    class Layer(nn.Module):
        features: int = 3
        deterministic: bool | None = None

        @lift
        @nn.compact
        def __call__(self, x, deterministic=default):
            deterministic = merge(self, deterministic)
            y = nn.Dense(self.features)(x)
            return y if deterministic else y + jax.random.normal(self.make_rng("noise"), y.shape)

    return Layer


@twice
def steps(default, merge):
    """Return the body of a loop."""

    class Step(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, carry, x, deterministic=default):
            deterministic = merge(self, deterministic)
            carry = nn.Dense(carry.shape[-1])(carry) + x
            return carry, (carry if deterministic else -carry)

    return Step


def dropout():
    """Return Flax's Dropout, written with `@mergeable` from the start."""

    @mergeable("deterministic")
    class Dropout(nn.Module):
        rate: float
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic: bool = MERGED):
            if deterministic:
                return x
            kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, x.shape)
            return jax.lax.select(kept, x / (1 - self.rate), jnp.zeros_like(x))

    return Dropout


def jaxpr(function, *arguments):
    """Return as text what a function computes, and the form of what it returns."""
    traced, form = jax.make_jaxpr(function, return_shape=True)(*arguments)
    return re.sub(r"0x[0-9a-f]+", "0x", f"{traced}\n{jax.tree.structure(form)}")


def are_same(one, other):
    """Whether two trees have the same form and the very same numbers."""
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        map(jnp.array_equal, jax.tree.leaves(one), jax.tree.leaves(other))
    )
