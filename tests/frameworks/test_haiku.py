"""Haiku: modules whose metaclass wraps their methods, inside of pure functions."""

import dataclasses

import frameworks
import pytest

from mergeparam import MERGED, MissingParamError, mergeable

hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy

X = jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)
KEY = jax.random.key(0)


@pytest.fixture
def layer(inject):
    """Return a merged module."""
    return mergeable("flag")(frameworks.Haiku().layer())


@pytest.mark.parametrize("training", [True, False])
def test_state(inject, training):
    """BatchNorm, whose flag Haiku takes in the call only, gets it from the constructor too."""

    @mergeable("is_training")
    class BatchNorm(hk.BatchNorm):
        def __init__(self, is_training=None):
            super().__init__(True, True, 0.9)
            self.is_training = is_training

        def __call__(self, inputs, is_training=MERGED, test_local_stats=False):
            return super().__call__(inputs, is_training, test_local_stats)

    init, _ = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, True))
    params, state = init(KEY, X)
    expected, by_attribute, by_call = (
        hk.transform_with_state(run).apply(params, state, KEY, X)
        for run in (
            lambda x: hk.BatchNorm(True, True, 0.9)(x, training),
            lambda x: BatchNorm(training)(x),
            lambda x: BatchNorm()(x, training),
        )
    )

    assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, by_attribute))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, expected, by_call))


def test_static_flags_under_remat(layer):
    """The index of a flag in `static_argnums` is that of the call, without the module."""
    init, apply = hk.transform(lambda x: hk.remat(layer(), static_argnums=1)(x, True))

    assert jnp.array_equal(X, apply(init(KEY, X), KEY, X))


def test_several_methods():
    """Each method has its own name scope, and a borrowed one leaves its base as it was."""

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

    def run(x):
        layer = Encoder(True)
        return layer.encode(x), layer.decode(x), Base().decode(x)

    init, apply = hk.transform(run)
    params = init(KEY, X)

    assert {"encoder/~encode/linear", "encoder/~decode/linear"} == set(params)
    assert [(2, 3), (2, 3), (2, 4)] == [result.shape for result in apply(params, None, X)]
    for method in ("encode", "decode"):
        with pytest.raises(MissingParamError):
            hk.testing.transform_and_run(lambda method=method: getattr(Encoder(), method)(X))()


def test_interceptors(layer):
    """An interceptor gets what the caller wrote; what it adds is the call's value."""
    seen = []

    def observe(call, args, kwargs, context):
        if context.method_name == "__init__":
            return call(*args, **kwargs)
        seen.append((context.method_name, args[1:], kwargs))
        return call(*args, **{"flag": True} | kwargs)

    def run():
        with hk.intercept_methods(observe):
            return layer()(X), layer()(X, flag=False)

    added, given = hk.testing.transform_and_run(run)()

    # Once to initialise, once to apply.
    assert [("__call__", (), {}), ("__call__", (), {"flag": False})] * 2 == seen
    assert jnp.array_equal(X, added)
    assert jnp.array_equal(-X, given)


@pytest.mark.parametrize(
    "around", [hk.transparent, hk.name_like("__call__"), jax.named_call], ids=lambda f: f.__name__
)
def test_methods_that_are_marked_in_the_class(inject, around):
    """What Haiku notes on a method is kept; the names of submodules depend on it."""

    def names(decorate, default, **given):
        class Layer(hk.Module):
            def __init__(self, flag=None):
                super().__init__()
                self.flag = flag

            @around
            def encode(self, x, flag=default):
                return hk.Linear(3)(x) if flag else x

        transformed = hk.transform(lambda x: decorate(Layer)(True).encode(x, **given))
        return set(transformed.init(KEY, X))

    by_hand = names(frameworks.same, None, flag=True)

    assert by_hand == names(mergeable("flag", method="encode"), MERGED)


def test_dataclass(inject):
    """A module that is a dataclass declares the flag as a field."""

    @mergeable("flag")
    @dataclasses.dataclass
    class Layer(hk.Module):
        size: int
        flag: bool | None = None
        name: str | None = None

        def __call__(self, x, *, flag: bool = MERGED):
            return hk.Linear(self.size)(x) if flag else x

    first, second = hk.testing.transform_and_run(
        lambda: (Layer(3, True)(X), Layer(3)(X, flag=False))
    )()

    assert ((2, 3), (2, 4)) == (first.shape, second.shape)


def test_tabulated(layer):
    """Haiku's summary shows the module and its constructor."""
    shown = hk.experimental.tabulate(lambda x: layer(False)(hk.Linear(4)(x)))(X)

    assert "layer (Layer)" in shown
    assert "Layer(flag=False)" in shown
