"""Haiku: modules whose metaclass wraps their methods, inside of pure functions."""

import dataclasses

import pytest

from mergeparam import (
    MERGED,
    MissingParamError,
    merge_param,
    mergeable,
)

hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy


@pytest.fixture
def x():
    """Return a batch of two rows."""
    return jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)


@pytest.fixture
def key():
    """Return a random key."""
    return jax.random.PRNGKey(0)


@pytest.fixture
def layers(inject):
    """Return a merged module and the same by hand, with a submodule and random numbers."""

    @mergeable("is_training")
    class Merged(hk.Module):
        def __init__(self, is_training=None, name="layer"):
            super().__init__(name)
            self.is_training = is_training

        def __call__(self, x, is_training=MERGED):
            x = jnp.tanh(hk.Linear(4)(x))
            return hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x

    class ByHand(hk.Module):
        def __init__(self, is_training=None, name="layer"):
            super().__init__(name)
            self.is_training = is_training

        def __call__(self, x, is_training=None):
            is_training = merge_param("is_training", self.is_training, is_training)
            x = jnp.tanh(hk.Linear(4)(x))
            return hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x

    return Merged, ByHand


@pytest.mark.parametrize("training", [True, False])
def test_state(inject, x, key, training):
    """BatchNorm, whose flag Haiku takes in the call only, gets it from the constructor too."""

    @mergeable("is_training")
    class BatchNorm(hk.BatchNorm):
        def __init__(self, is_training=None):
            super().__init__(True, True, 0.9)
            self.is_training = is_training

        def __call__(self, inputs, is_training=MERGED, test_local_stats=False):
            return super().__call__(inputs, is_training, test_local_stats)

    init, _ = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, True))
    params, state = init(key, x)

    def observe(run):
        return hk.transform_with_state(run).apply(params, state, key, x)

    expected = observe(lambda x: hk.BatchNorm(True, True, 0.9)(x, training))
    by_attribute = observe(lambda x: BatchNorm(training)(x))
    by_call = observe(lambda x: BatchNorm()(x, training))

    assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, by_attribute))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, by_call))


def test_static_flags_under_remat(layers, x, key):
    """The index of a flag in `static_argnums` is that of the call, without the module."""
    merged, _ = layers
    init, apply = hk.transform(lambda x: hk.remat(merged(), static_argnums=1)(x, True))

    assert x.shape == apply(init(key, x), key, x).shape


@pytest.fixture
def encoder():
    """Return a module that merges in two methods, one of them inherited, and its base."""

    class Base(hk.Module):
        def __init__(self, flag=None, name=None):
            super().__init__(name)
            self.flag = flag

        def decode(self, x, *, flag=None):
            return hk.Linear(3)(x) if flag else x

    @mergeable("flag", method=("encode", "decode"))
    class Encoder(Base):
        def encode(self, x, *, flag=MERGED):
            return hk.Linear(3)(x) if flag else x

    return Encoder, Base


def test_several_methods(encoder, x, key):
    """Each method has its own name scope, and a borrowed one leaves its base as it was."""
    merged, base = encoder

    def run(x):
        layer = merged(True)
        return layer.encode(x), layer.decode(x), base().decode(x)

    init, apply = hk.transform(run)
    params = init(key, x)
    encoded, decoded, plain = apply(params, None, x)

    assert {"encoder/~encode/linear", "encoder/~decode/linear"} == set(params)
    assert ((2, 3), (2, 3), (2, 4)) == (encoded.shape, decoded.shape, plain.shape)
    with pytest.raises(MissingParamError):
        hk.transform(lambda x: merged().encode(x)).init(key, x)
    with pytest.raises(MissingParamError):
        hk.transform(lambda x: merged().decode(x)).init(key, x)


def observe_calls(run, key, x):
    """Return what an interceptor sees of each call: its method, and what is given but `x`."""
    seen = []

    def observe(call, args, kwargs, context):
        if context.method_name != "__init__":
            seen.append((context.method_name, args[1:], kwargs))
        return call(*args, **kwargs)

    def intercepted(x):
        with hk.intercept_methods(observe):
            return run(x)

    hk.transform(intercepted).init(key, x)
    return seen


def test_interceptors_see_raw_arguments(inject, layers, x, key):
    """What an interceptor gets is what the caller wrote, as by hand."""
    seen, by_hand = (
        observe_calls(lambda x, cls=cls: cls(False)(cls()(x, is_training=False)), key, x)
        for cls in layers
    )

    call, linear = ("__call__", (), {}), ("__call__", (), {})
    expected = [("__call__", (), {"is_training": False}), linear, call, linear]
    assert expected == by_hand
    assert expected == seen


def test_interceptors_may_set_the_flag(inject, layers, x, key):
    """An interceptor that adds the flag to the call is the call."""
    merged, _ = layers

    def evaluate(call, args, kwargs, context):
        if isinstance(context.module, merged) and context.method_name == "__call__":
            kwargs = {"is_training": False}
        return call(*args, **kwargs)

    def run(x):
        with hk.intercept_methods(evaluate):
            return merged()(x)

    init, apply = hk.transform(run)

    assert x.shape == apply(init(key, x), None, x).shape


@pytest.mark.parametrize(
    "around", [hk.transparent, hk.name_like("__call__"), jax.named_call], ids=lambda f: f.__name__
)
def test_methods_that_are_marked_in_the_class(inject, x, key, around):
    """What Haiku notes on a method is kept; the names of submodules depend on it."""

    def names(decorate, default):
        class Layer(hk.Module):
            def __init__(self, flag=None):
                super().__init__()
                self.flag = flag

            @around
            def encode(self, x, flag=default):
                return hk.Linear(3)(x) if flag else x

        run = lambda x: decorate(Layer)(True).encode(x, **({} if default is MERGED else given))
        return set(hk.transform(run).init(key, x))

    given = {"flag": True}

    assert names(lambda cls: cls, None) == names(mergeable("flag", method="encode"), MERGED)


def test_dataclass(inject, x, key):
    """A module that is a dataclass declares the flag as a field."""

    @mergeable("flag")
    @dataclasses.dataclass
    class Layer(hk.Module):
        size: int
        flag: bool | None = None
        name: str | None = None

        def __call__(self, x, *, flag: bool = MERGED):
            return hk.Linear(self.size)(x) if flag else x

    init, apply = hk.transform(lambda x: (Layer(3, True)(x), Layer(3)(x, flag=False)))
    first, second = apply(init(key, x), None, x)

    assert ((2, 3), (2, 4)) == (first.shape, second.shape)


def test_tabulated(layers, x):
    """Haiku's summary shows the module and its constructor."""
    merged, _ = layers
    shown = hk.experimental.tabulate(lambda x: merged(False)(x))(x)

    assert "layer (Merged)" in shown
    assert "Merged(is_training=False)" in shown
