"""`strict_partial` of what frameworks define, and under what they do to functions."""

import inspect
from typing import Any

import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    mergeable,
    provide,
    strict_partial,
)


def scale(x, gain, *, deterministic=False):
    """Multiply, or do not."""
    return x if deterministic else x * gain


# JAX.


@pytest.fixture
def jax():
    """Return JAX."""
    return pytest.importorskip("jax", reason="jax is not installed")


def test_jax_transformations(jax):
    """It is a function to `jit`, `vmap` and `grad`, also with static and traced arguments."""
    bound = strict_partial(scale, deterministic=False)
    static = jax.jit(strict_partial(scale, gain=2.0), static_argnames="deterministic")

    assert 6.0 == jax.jit(bound)(3.0, 2.0)
    assert [6.0, 8.0] == jax.vmap(bound, in_axes=(0, None))(
        jax.numpy.array([3.0, 4.0]), 2
    ).tolist()
    assert 2.0 == jax.grad(bound)(3.0, 2.0)
    assert 3.0 == static(3.0, deterministic=True)
    assert 6.0 == static(3.0, deterministic=False)
    with pytest.raises(ConflictingParamError):
        jax.jit(bound)(3.0, 2.0, deterministic=True)
    with pytest.raises(ConflictingParamError):
        jax.grad(bound)(3.0, 2.0, deterministic=True)


def test_bound_arrays_and_tracers(jax):
    """Arrays may be bound, and values that are being traced."""
    jnp = jax.numpy
    bound = jax.jit(strict_partial(scale, gain=jnp.array([1.0, 2.0])))

    @jax.jit
    def function(x, gain):
        inner = strict_partial(scale, gain=gain)
        with pytest.raises(ConflictingParamError):
            inner(x, gain=gain)
        return inner(x)

    assert [3.0, 6.0] == bound(3.0).tolist()
    assert 6.0 == function(3.0, 2.0)
    assert 15.0 == function(3.0, 5.0)


def test_jax_caches_one_function(jax):
    """One bound function is traced once, two are traced twice."""
    traces = []

    def function(x, *, flag):
        traces.append(flag)
        return x

    one, other = strict_partial(function, flag=1), strict_partial(function, flag=2)
    for bound in (one, other, one, other):
        jax.jit(bound)(1.0)

    assert [1, 2] == traces


def test_decorators_of_jax(jax):
    """It is an argument of a decorator, and decorators with options are bound with it."""

    @strict_partial(jax.jit, static_argnames="deterministic")
    def jitted(x, *, deterministic):
        return x if deterministic else 2 * x

    @strict_partial(jax.custom_jvp, nondiff_argnums=())
    def custom(x):
        return 3 * x

    custom.defjvp(lambda x, t: (3 * x[0], 5 * t[0]))

    assert 1.0 == jitted(1.0, deterministic=True)
    assert 2.0 == jitted(1.0, deterministic=False)
    assert 3.0 == custom(1.0)
    assert 5.0 == jax.grad(custom)(1.0)


def test_pytree_partial(jax):
    """JAX's own `Partial` takes it as it takes any function, and cannot overrule it."""
    bound = strict_partial(scale, deterministic=False)
    node = jax.tree_util.Partial(bound, 3.0)

    assert 6.0 == node(2.0)
    assert 6.0 == jax.jit(lambda node: node(2.0))(node)
    with pytest.raises(ConflictingParamError):
        node(2.0, deterministic=True)
    with pytest.raises(ConflictingParamError):
        jax.tree_util.Partial(bound, 3.0, deterministic=True)(2.0)


# Templates of layers.


@pytest.fixture
def linen():
    """Return Flax Linen."""
    return pytest.importorskip("flax.linen", reason="flax is not installed")


def test_linen(jax, linen):
    """The template of the design note, in the very model of the note."""

    @mergeable("deterministic")
    class Dropout(linen.Module):
        rate: float
        deterministic: bool | None = None

        @linen.compact
        def __call__(self, x, deterministic: bool = MERGED):
            return x if deterministic else x * (1 - self.rate)

    class Block(linen.Module):
        dropout: Any

        @linen.compact
        def __call__(self, x):
            return self.dropout()(x)

    class Residual(linen.Module):
        rate: float

        @linen.compact
        def __call__(self, x, *, train):
            dropout = strict_partial(Dropout, rate=self.rate, deterministic=not train)
            for _ in range(2):
                x += Block(dropout=dropout)(x)
            return x

    model = Residual(0.5)
    template = strict_partial(Dropout, rate=0.5, deterministic=True)

    assert 4.0 == model.apply({}, 1.0, train=False)
    assert 2.25 == model.apply({}, 1.0, train=True)
    assert "deterministic" not in inspect.signature(template).parameters
    with pytest.raises(ConflictingParamError, match="strict_partial"):
        template(deterministic=False)
    with pytest.raises(ConflictingParamError, match="Dropout"):
        template().apply({}, 1.0, deterministic=True)
    with pytest.raises(TypeError, match="determinstic"):
        strict_partial(Dropout, determinstic=True)


def test_modules_of_linen(jax, linen):
    """Modules that Flax has are bound, too, with the names that they have."""
    dense = strict_partial(linen.Dense, use_bias=False)
    variables = dense(2).init(jax.random.key(0), jax.numpy.ones(3))

    assert ["kernel"] == [*variables["params"]]
    with pytest.raises(ConflictingParamError):
        dense(2, use_bias=True)
    with pytest.raises(TypeError, match="bias"):
        strict_partial(linen.Dense, bias=False)


def test_nnx():
    """NNX makes its objects by a metaclass that takes any name; the class refuses it itself."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    linear = strict_partial(nnx.Linear, use_bias=False)

    class Model(nnx.Module):
        def __init__(self, layer, rngs):
            self.layer = layer(2, 2, rngs=rngs)

    assert Model(linear, nnx.Rngs(0)).layer.bias is None
    with pytest.raises(ConflictingParamError):
        linear(2, 2, use_bias=True, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="'bias'"):
        strict_partial(nnx.Linear, bias=False)(2, 2, rngs=nnx.Rngs(0))


def test_equinox(jax):
    """So does Equinox; a module may hold what is bound, as a static field or not."""
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")

    class Model(eqx.Module):
        activation: Any
        linear: Any

        def __call__(self, x):
            return self.activation(self.linear(x))

    linear = strict_partial(eqx.nn.Linear, use_bias=False)
    model = Model(strict_partial(scale, gain=2.0), linear(1, 1, key=jax.random.key(0)))

    assert model.linear.bias is None
    assert (1,) == eqx.filter_jit(model)(jax.numpy.ones(1)).shape
    with pytest.raises(ConflictingParamError):
        linear(1, 1, use_bias=True, key=jax.random.key(0))
    with pytest.raises(TypeError, match="'bias'"):
        strict_partial(eqx.nn.Linear, bias=False)


def test_haiku(jax):
    """Haiku's modules are made inside of a transformed function."""
    hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
    linear = strict_partial(hk.Linear, with_bias=False)
    transformed = hk.transform(lambda x: linear(2)(x))
    variables = transformed.init(jax.random.key(0), jax.numpy.ones((1, 3)))

    assert ["w"] == [*variables["linear"]]
    with pytest.raises(ConflictingParamError):
        hk.transform(lambda: linear(2, with_bias=True)).init(None)


def test_pydantic():
    """A pydantic model checks its fields itself; its signature has their names."""
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")

    class Settings(pydantic.BaseModel):
        rate: float
        deterministic: bool | None = pydantic.Field(default=None, alias="quiet")

    template = strict_partial(Settings, quiet=True)

    assert template(rate="0.5").deterministic
    assert 0.5 == template(rate="0.5").rate
    with pytest.raises(ConflictingParamError):
        template(rate=1, quiet=True)
    with pytest.raises(TypeError, match="'quiet'"):
        strict_partial(Settings, deterministic=True)
    with pytest.raises(pydantic.ValidationError):
        template(rate="fast")


# PyTorch.


@pytest.fixture
def torch():
    """Return PyTorch."""
    return pytest.importorskip("torch", reason="torch is not installed")


def test_torch_modules(torch):
    """Templates of modules, and functions that are bound in them."""
    linear = strict_partial(torch.nn.Linear, bias=False)
    dropout = strict_partial(torch.nn.functional.dropout, training=False)

    class Model(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer(2, 2)

        def forward(self, x):
            return dropout(self.layer(x), p=0.5)

    x = torch.ones(2)
    model = Model(linear)

    assert model.layer.bias is None
    assert torch.equal(model.layer(x), model(x))
    assert "bias" not in inspect.signature(linear).parameters
    with pytest.raises(ConflictingParamError):
        linear(2, 2, bias=True)
    with pytest.raises(ConflictingParamError):
        linear(2, 2, True)
    with pytest.raises(ConflictingParamError):
        dropout(x, training=True)
    with pytest.raises(TypeError, match="'use_bias'"):
        strict_partial(torch.nn.Linear, use_bias=False)


def test_torch_compile(torch):
    """What does not give a bound name again is compiled as it is."""
    torch.compiler.reset()
    bound = strict_partial(scale, gain=2.0)
    whole = torch.compile(lambda x: bound(x) + bound(x, deterministic=True), backend="eager")

    assert [9.0] == whole(torch.tensor([3.0])).tolist()


def test_torch_builtins(torch):
    """A function in C has no signature, and tells by the call what it does not take."""
    bound = strict_partial(torch.sum, dim=0)

    assert [3.0, 5.0] == bound(torch.tensor([[1.0, 2.0], [2.0, 3.0]])).tolist()
    with pytest.raises(ConflictingParamError):
        bound(torch.ones(1), dim=0)


# Merged layers of all.


def test_bound_call_of_a_merged_layer():
    """A layer whose flag is bound for its calls is a function without it."""

    @mergeable("deterministic")
    class Layer:
        deterministic = None

        def __call__(self, x, *, deterministic=MERGED):
            return "kept" if deterministic else "dropped"

    layer = Layer()
    bound = strict_partial(layer, deterministic=True)
    with provide(deterministic=False):
        assert ("kept", "dropped") == (bound(1.0), layer(1.0))
    with pytest.raises(ConflictingParamError, match="strict_partial"):
        bound(1.0, deterministic=False)
    with pytest.raises(MissingParamError):
        layer(1.0)
