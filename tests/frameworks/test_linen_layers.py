"""Flax's own classes that merge by hand, against the same ones with `@mergeable`."""

import inspect

import attrs
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

jnp = jax.numpy
X = jnp.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
DROPS = {"num_heads": 2, "dropout_rate": 0.5}
LAYERS = {
    "Dropout": ("deterministic", {"rate": 0.5}, (True, False)),
    "BatchNorm": ("use_running_average", {"momentum": 0.9}, (True, False)),
    "Einsum": ("einsum_str", {"shape": (4, 4)}, ("abc,cd->abd", "abc,dc->abd")),
    "MultiHeadDotProductAttention": ("deterministic", DROPS, (True, False)),
}


def forwarding(name, **options):
    """Return a subclass of one of Flax's classes that merges, and hands on to `super()`."""
    flax, param = getattr(nn, name), LAYERS[name][0]

    @mergeable(Param("value", attribute=param, **options))
    class Layer(flax):
        @nn.compact
        def __call__(self, x, value=MERGED):
            return super().__call__(x, **{param: value})

    Layer.__name__ = name
    return Layer, param, "value"


def batch_norm():
    """Return Flax's BatchNorm, written with `@mergeable` from the start."""

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

    return BatchNorm, "use_running_average", "use_running_average"


def dropout():
    return layers.dropout(), "deterministic", "deterministic"


ANEW = {"Dropout": dropout, "BatchNorm": batch_norm}
FORMS = [(name, forwarding) for name in LAYERS] + list(ANEW.items())
forms = pytest.mark.parametrize(("name", "form"), FORMS)


def define(name, form):
    """Return Flax's class and the merged one, with the names of their fields and parameters."""
    merged = form(name) if form is forwarding else form()
    return (getattr(nn, name), LAYERS[name][0], LAYERS[name][0]), merged


def test_the_four_are_all():
    """No other class of Flax merges by hand, so that none is forgotten here."""
    merging = {
        name
        for name, cls in vars(nn).items()
        if inspect.isclass(cls) and "merge_param(" in inspect.getsource(cls)
    }

    assert set(LAYERS) == merging


@forms
@pytest.mark.parametrize("side", ["attribute", "call"])
@pytest.mark.parametrize("index", [0, 1])
def test_same_as_in_flax(inject, name, form, side, index):
    """Outputs, variables, gradients, changed statistics, traces and summaries are Flax's."""
    _, others, values = LAYERS[name]

    def observe(cls, field, param):
        held, given = ({field: values[index]}, {}), ({}, {param: values[index]})
        held, given = held if side == "attribute" else given
        layer = cls(**others, **held)
        output, variables = layer.init_with_output(layers.KEYS, X, **given)
        variables = dict(variables)
        params = variables.pop("params", {})

        def loss(params, x):
            output, changed = layer.apply(
                {"params": params} | variables, x, **given, rngs=layers.KEYS, mutable="batch_stats"
            )
            return (output * jnp.arange(output.size).reshape(output.shape)).sum(), changed

        train = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        # Flax's table names what the call gives.
        has_table = form is not forwarding or side == "attribute"
        table = layer.tabulate(layers.KEYS, X, **given) if has_table else None
        arrays = output, params, variables, train(params, X)
        return arrays, layers.jaxpr(train, params, X), table

    (expected, *texts), (actual, *merged_texts) = (observe(*how) for how in define(name, form))

    assert layers.are_same(expected, actual)
    assert texts == merged_texts


@forms
def test_neither_and_both(inject, name, form):
    """Where Flax raises, so does the merge."""
    _, others, (value, _) = LAYERS[name]
    errors = (ValueError, ValueError), (MissingParamError, ConflictingParamError)

    for (cls, field, param), (missing, conflicting) in zip(
        define(name, form), errors, strict=True
    ):
        with pytest.raises(missing, match=param):
            cls(**others).init(layers.KEYS, X)
        with pytest.raises(conflicting, match=param):
            cls(**others, **{field: value}).init(layers.KEYS, X, **{param: value})


def test_needed_only_with_dropout(inject):
    """Attention without dropout needs no `deterministic`, which a default says."""
    name = "MultiHeadDotProductAttention"
    needs_no_rng = attrs.Factory(lambda layer: layer.dropout_rate == 0 or None, takes_self=True)
    merged = forwarding(name, default=needs_no_rng)[0](num_heads=2)
    flax = nn.MultiHeadDotProductAttention(num_heads=2)
    expected, actual = (layer.init_with_output(layers.KEYS, X) for layer in (flax, merged))

    assert layers.are_same(expected, actual)
    assert () == unset_params(merged)
    assert ("value",) == unset_params(merged.clone(dropout_rate=0.5))
