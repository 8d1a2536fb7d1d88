"""Flax Linen's own layers, and others that merge by hand, get what is provided."""

import asyncio
import contextvars
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from wrappers import logged

from mergeparam import (
    MERGED,
    MergeError,
    MissingParamError,
    find_unset,
    mergeable,
    provide,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
stock = pytest.importorskip("mergeparam._frameworks.linen_layers", reason="flax is not installed")

jnp = jax.numpy
X = jnp.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
OWN = {
    "Dropout": (functools.partial(nn.Dropout, 0.5), "deterministic", (True, False)),
    "BatchNorm": (nn.BatchNorm, "use_running_average", (True, False)),
    "Einsum": (
        functools.partial(nn.Einsum, (4, 4)),
        "einsum_str",
        ("abc,cd->abd", "abc,dc->abd"),
    ),
    "MultiHeadDotProductAttention": (
        functools.partial(nn.MultiHeadDotProductAttention, num_heads=2, dropout_rate=0.5),
        "deterministic",
        (True, False),
    ),
}
TRANSFORMED = {
    "jit": nn.jit,
    "remat": nn.remat,
    "vmap": functools.partial(
        nn.vmap, variable_axes={"params": 0}, split_rngs={"params": True, "dropout": True}
    ),
    "map_variables": lambda cls: nn.map_variables(cls, "params", init=True),
}


class ByHand(nn.Module):
    """Merges in each of its methods, and tells what came out."""

    flag: Any = None
    limit: Any = 7

    def __call__(self, x, flag=None, *, limit=None):
        return nn.merge_param("flag", self.flag, flag)

    def named(self, x, *, flag=None):
        return self(x, flag)

    def encode(self, x, *, flag=None):
        return (lambda: nn.merge_param("flag", self.flag, flag))()

    def no_default(self, flag):
        return flag

    def other_default(self, flag=0):
        return flag, nn.merge_param("flag", self.flag, None)

    def by_position(self, flag=None, /):
        return nn.merge_param("flag", self.flag, flag)

    no_function = functools.partial(lambda self, flag=None: flag)


def call(module, *args, method=None, **kwargs):
    return module.apply({}, X, *args, method=method, **kwargs)


def raises_as_ever():
    """Return a check that Flax raises as it does without the library."""
    return pytest.raises(ValueError, match="must be passed to the constructor or at call time")


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("name", OWN)
def test_own_layers(name, index):
    """In `init`, `apply`, `bind` and under `jit`, a provided value is as good as one given."""
    make, param, values = OWN[name]
    given, provided = {param: values[index]}, provide(**{param: values[index]})
    layer, rngs = make(), {"dropout": KEYS["dropout"]}

    def apply(variables, x, **kwargs):
        return layer.apply(variables, x, rngs=rngs, mutable=["batch_stats"], **kwargs)

    variables = layer.init(KEYS, X, **given)
    expected = apply(variables, X, **given)
    with provided:
        found = layer.init(KEYS, X), apply(variables, X), jax.jit(apply)(variables, X)
        bound = layer.bind(variables, rngs=rngs, mutable=["batch_stats"])(X)

    by_call = jax.tree.leaves((variables, expected, expected, expected[0]))
    for one, other in zip(by_call, jax.tree.leaves((*found, bound)), strict=True):
        assert jnp.allclose(one, other, atol=1e-5)
    with raises_as_ever():
        apply(variables, X)


def test_what_is_set_wins():
    """What the constructor or the call says, by name or by position, is never overruled."""
    with provide(flag=1, limit=1):
        assert 1 == call(ByHand())
        assert 1 == call(ByHand(), None)
        assert 1 == call(ByHand(), flag=None)
        assert 2 == call(ByHand(2))
        assert 2 == call(ByHand(), 2)
        assert 2 == call(ByHand(), flag=2)
        assert False is call(ByHand(flag=False))
        with pytest.raises(ValueError, match="Should be passed just once"):
            call(ByHand(2), 2)
    with raises_as_ever():
        call(ByHand())


def test_scopes():
    """The innermost counts, `None` hides the outer one, and other names change nothing."""
    with provide(flag=1, limit=5):
        with provide(flag=2):
            assert 2 == call(ByHand())
        with provide(flag=None), raises_as_ever():
            call(ByHand())
        with provide(other=3):
            assert 1 == call(ByHand())
    with provide(other=3), raises_as_ever():
        call(ByHand())


def test_which_methods():
    """What merges by hand gets the value, under any name; nothing else is touched."""
    with provide(flag=1):
        assert 1 == call(ByHand(), method="named")
        assert 1 == call(ByHand(), method="encode")
        assert None is ByHand().apply({}, method=lambda layer: layer.no_function())
        with pytest.raises(TypeError, match="flag"):
            ByHand().apply({}, method="no_default")
        with raises_as_ever():
            ByHand().apply({}, method="other_default")
        with raises_as_ever():
            ByHand().apply({}, method="by_position")
        assert (0, 3) == ByHand(3).apply({}, method="other_default")


def test_meaningful_none():
    """A layer for which `None` on both sides means something keeps its meaning."""

    class Masked(nn.Module):
        mask: Any = None
        flag: Any = None

        def __call__(self, x, mask=None, flag=None):
            nn.merge_param("flag", self.flag, flag)
            return self.helper(mask)

        def helper(self, mask=None):
            return self.mask if mask is None else mask

    with provide(mask=1, flag=1):
        assert None is call(Masked())


@pytest.mark.parametrize("lift", TRANSFORMED.values(), ids=TRANSFORMED)
def test_transformed(lift):
    """A lifted layer, and a model of layers that is lifted, see the value as it is."""

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = lift(nn.Dropout)(0.5)(nn.Dense(4)(x))
            return nn.Sequential([nn.Dense(4), nn.Dropout(0.5)])(x)

    class ByMethod(nn.Module):
        @lift
        @nn.compact
        def __call__(self, x):
            return nn.Dropout(0.5)(nn.Dense(4)(x))

    for model in Model(), lift(Model)(), ByMethod():
        apply = jax.jit(functools.partial(model.apply, rngs=KEYS))
        with provide(deterministic=True):
            variables = model.init(KEYS, X)
            evaluated = apply(variables, X)
        with provide(deterministic=False):
            trained = apply(variables, X)
        with provide(deterministic=True):
            again = apply(variables, X)

        assert (trained == 0).any()
        assert not (evaluated == 0).any()
        assert jnp.array_equal(evaluated, again)
        with raises_as_ever():
            apply(variables, X)


def test_scan():
    """The body of a loop gets it, and so do the layers that it shares with others."""

    class Step(nn.Module):
        @nn.compact
        def __call__(self, carry, x):
            inner = nn.Dropout(0.5)
            nn.share_scope(self, inner)
            return inner(carry), inner(x)

    loop = nn.scan(Step, variable_broadcast="params", split_rngs={"dropout": True})()
    with provide(deterministic=False):
        assert (0 == loop.apply({}, X[0], X, rngs=KEYS)[1]).any()
    with provide(deterministic=True):
        assert jnp.array_equal(X, loop.apply({}, X[0], X)[1])


def test_traced_once_for_each_value():
    """`jax.jit` and `nn.jit` keep a trace for each value, and find it again."""
    traced = []

    class Told(nn.Module):
        flag: Any = None

        def __call__(self, x, flag=None):
            flag = nn.merge_param("flag", self.flag, flag)
            traced.append(flag)
            return x * flag

    for jitted in jax.jit(Told().apply), functools.partial(nn.jit(Told)().apply):
        for flag in (2, 3, 2, 3):
            with provide(flag=flag):
                assert jnp.array_equal(X * flag, jitted({}, X))
    assert [2, 3, 2, 3] == traced


def test_interceptors_of_the_user():
    """They see what the caller wrote, what they give wins, and they stay where they are."""
    seen = []

    def look(call, args, kwargs, context):
        seen.append((len(args), dict(kwargs)))
        return call(*args, **kwargs)

    def set_flag(call, args, kwargs, context):
        kwargs.setdefault("flag", 2)
        return call(*args, **kwargs)

    with nn.intercept_methods(look):
        scope = provide(flag=1)
        scope.__enter__()
        assert 1 == call(ByHand())
        with nn.intercept_methods(set_flag):
            assert 2 == call(ByHand())
            scope.__exit__()
            assert 2 == call(ByHand())
        with raises_as_ever():
            call(ByHand())
    assert 4 * [(1, {})] == seen
    assert 0 == len(stock.STACK)
    assert not stock.STACK


def test_nothing_is_run_for_others():
    """In a scope, a module without a merge by hand is called as ever; outside, any is."""

    class Plain(nn.Module):
        def __call__(self, x):
            return bool(stock.STACK)

    class Told(ByHand):
        def __call__(self, x, flag=None):
            return bool(stock.STACK), nn.merge_param("flag", self.flag, flag)

    with provide(flag=1):
        assert (True, 1) == call(Told())
        assert False is call(Plain())
    assert (False, 2) == call(Told(2))
    with nn.intercept_methods(lambda call, args, kwargs, _: call(*args, **kwargs)):
        assert True is call(Plain())


def test_scopes_in_any_order():
    """Nothing is left after an error, or by generators that close their scopes out of order."""

    def generate(flag):
        with provide(flag=flag):
            yield call(ByHand())

    one, two = generate(1), generate(2)
    with nn.intercept_methods(lambda call, args, kwargs, _: call(*args, **kwargs)):
        assert (1, 2) == (next(one), next(two))
    one.close()
    assert 2 == call(ByHand())
    two.close()
    with pytest.raises(KeyError), provide(flag=1):
        raise KeyError
    with raises_as_ever():
        call(ByHand())
    assert not stock.STACK


def test_contexts():
    """A thread without the context sees nothing, one that was given it does, and so do tasks."""

    async def task(flag):
        with provide(flag=flag):
            await asyncio.sleep(0)
            return call(ByHand())

    async def tasks():
        return await asyncio.gather(task(1), task(2), asyncio.to_thread(call, ByHand()))

    with ThreadPoolExecutor(1) as pool, provide(flag=3):
        assert 3 == pool.submit(contextvars.copy_context().run, call, ByHand()).result()
        with raises_as_ever():
            pool.submit(contextvars.Context().run, call, ByHand()).result()
        assert [1, 2, 3] == asyncio.run(tasks())


def test_where_no_trace_can_be_kept():
    """A layer that is traced in a coroutine raises instead of reading, as merged ones do."""

    async def main():
        with provide(deterministic=True):
            return jax.jit(nn.Dropout(0.5).apply)({}, X)

    with pytest.raises(MergeError, match="cannot be read while JAX traces here"):
        asyncio.run(main())


def test_merged_classes(inject):
    """A merged parameter is the merge's own affair: what was written is what is intercepted."""
    seen = []

    @mergeable("flag")
    class Layer(nn.Module):
        flag: Any = None
        other: Any = None

        def __call__(self, x, flag=MERGED, other=None):
            return flag, nn.merge_param("other", self.other, other)

    def look(call, args, kwargs, context):
        seen.append(kwargs)
        return call(*args, **kwargs)

    with provide(flag=1), nn.intercept_methods(look):
        assert (1, 2) == call(Layer(), other=2)
        assert ((), []) == (unset_params(Layer()), find_unset(Layer()))
    assert [{"other": 2}] == seen
    with pytest.raises(MissingParamError):
        call(Layer(), other=2)
    assert ("flag",) == unset_params(Layer())


@pytest.mark.parametrize("package", ["beartype", "jaxtyping", "wraps"])
def test_wrapped(package):
    """The value passes through what checks types; any other wrapper may set it by itself."""
    if package == "wraps":
        check = logged
    elif package == "beartype":
        check = pytest.importorskip("beartype").beartype
    else:
        pytest.importorskip("beartype")
        jaxtyping = pytest.importorskip("jaxtyping")
        check = jaxtyping.jaxtyped(typechecker=pytest.importorskip("beartype").beartype)

    class Checked(nn.Module):
        flag: Any = None

        @nn.compact
        @check
        def __call__(self, x: jax.Array, flag: int | None = None) -> Any:
            return nn.merge_param("flag", self.flag, flag)

    with provide(flag=1):
        if package == "wraps":
            with raises_as_ever():
                call(Checked())
        else:
            assert 1 == call(Checked())
            assert 2 == call(Checked(), 2)
