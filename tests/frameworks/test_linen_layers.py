"""Flax's own classes that merge by hand, against the same ones with `@mergeable`."""

import inspect

import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    mergeable,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

jnp = jax.numpy
X = jnp.linspace(-1.0, 1.0, 24).reshape(2, 3, 4)
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
DROPS = {"num_heads": 2, "dropout_rate": 0.5}
LAYERS = {
    "Dropout": ("deterministic", {"rate": 0.5}, (True, False)),
    "BatchNorm": ("use_running_average", {"momentum": 0.9}, (True, False)),
    "Einsum": ("einsum_str", {"shape": (4, 4)}, ("abc,cd->abd", "abc,dc->abd")),
    "MultiHeadDotProductAttention": ("deterministic", DROPS, (True, False)),
}
FORMS = {"subclass": (layers.forwarding, "mode"), "anew": (layers.declared_anew, None)}


class Case:
    """One of Flax's layers and the merged one like it, with one value and its place."""

    def __init__(self, layer, value, side, form):
        self.param, self.arguments, _ = LAYERS[layer]
        self.value, self.side = value, side
        declare, field = FORMS[form]
        self.flax, self.merged = getattr(layers.FLAX, layer), getattr(declare(), layer)
        self.fields = {self.flax: self.param, self.merged: field or self.param}

    def make(self, cls):
        """Return a layer, with the value in it if that is the value's place."""
        given = {self.fields[cls]: self.value} if self.side == "attribute" else {}
        return cls(**self.arguments, **given)

    @property
    def call(self):
        """What the call gives."""
        return {self.param: self.value} if self.side == "call" else {}

    def init(self, cls):
        """Return the output and the variables of a first call."""
        return self.make(cls).init_with_output(KEYS, X, **self.call)

    def loss(self, cls):
        """Return a function of the parameters and the input, and parameters for it."""
        variables = dict(self.init(cls)[1])
        params = variables.pop("params", {})

        def loss(params, x):
            output, changed = self.make(cls).apply(
                {"params": params} | variables, x, **self.call, rngs=KEYS, mutable="batch_stats"
            )
            return (output * jnp.arange(output.size).reshape(output.shape)).sum(), changed

        return loss, params


@pytest.fixture(
    params=[(layer, value) for layer, (_, _, values) in LAYERS.items() for value in values],
    ids=lambda param: f"{param[0]}={param[1]}",
)
def layer_and_value(request):
    """Name a layer and a value of its merged parameter."""
    return request.param


@pytest.fixture(params=["attribute", "call"])
def side(request):
    """Name the place where the value is set."""
    return request.param


@pytest.fixture(params=FORMS)
def case(request, inject, layer_and_value, side):
    """Return a layer of Flax, and a subclass of it or the same layer declared anew."""
    return Case(*layer_and_value, side, request.param)


def assert_same(one, other):
    """Assert that two trees have the same form and the very same numbers."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert all(map(jnp.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def test_the_four_are_all():
    """No other class of Flax merges by hand, so that none is forgotten here."""
    merging = {
        name
        for name, cls in vars(nn).items()
        if inspect.isclass(cls) and "merge_param(" in inspect.getsource(cls)
    }

    assert set(LAYERS) == merging


def test_values_and_variables(case):
    """Outputs and variables are those of Flax, random ones too."""
    assert_same(case.init(case.flax), case.init(case.merged))


def test_gradients(case):
    """Losses, gradients and changed statistics are those of Flax."""
    flax, merged = (
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, X)
        for loss, params in map(case.loss, (case.flax, case.merged))
    )

    assert_same(flax, merged)


def test_jaxprs(case):
    """Not one operation of the traces differs."""
    flax, merged = (
        layers.jaxpr(loss, params, X) for loss, params in map(case.loss, (case.flax, case.merged))
    )

    assert flax == merged


def test_summaries(case):
    """The tables of `nn.tabulate` are those of Flax."""
    flax, merged = (
        case.make(cls).tabulate(KEYS, X, **case.call) for cls in (case.flax, case.merged)
    )

    assert flax == merged


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", LAYERS)
def test_neither_and_both(inject, layer, form):
    """Where Flax raises, so does the merge."""
    value = LAYERS[layer][2][0]
    case = Case(layer, value, "attribute", form)
    for cls in (case.flax, case.merged):
        with pytest.raises(ValueError, match=case.param):
            cls(**case.arguments).init(KEYS, X)
        with pytest.raises(ValueError, match=case.param):
            case.make(cls).init(KEYS, X, **{case.param: value})
    with pytest.raises(MissingParamError):
        case.merged(**case.arguments).init(KEYS, X)
    with pytest.raises(ConflictingParamError):
        case.make(case.merged).init(KEYS, X, **{case.param: value})


def test_needed_only_with_dropout(inject):
    """Attention without dropout needs no `deterministic`, which a default says."""
    merged = layers.declared_anew().MultiHeadDotProductAttention(num_heads=2)
    flax = layers.FLAX.MultiHeadDotProductAttention(num_heads=2)

    assert_same(flax.init_with_output(KEYS, X), merged.init_with_output(KEYS, X))
    assert () == unset_params(merged)
    assert ("deterministic",) == unset_params(merged.clone(dropout_rate=0.5))


def test_the_same_field_in_a_subclass(inject):
    """A subclass of a class that merges by hand, and in the same field, is refused by that.

    The merge by hand cannot know that it is handed its own value.
    """

    @mergeable("deterministic")
    class Dropout(nn.Dropout):
        @nn.compact
        def __call__(self, inputs, deterministic=MERGED, rng=None):
            return super().__call__(inputs, deterministic, rng)

    assert_same(X, Dropout(0.5).apply({}, X, True))
    with pytest.raises(ValueError, match="passed to the constructor and at call time"):
        Dropout(0.5, deterministic=True).apply({}, X)
