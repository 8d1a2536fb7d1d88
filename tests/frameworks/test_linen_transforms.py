"""Flax Linen's lifted transformations: the same as with the merge by hand."""

import functools

import frameworks
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    mergeable,
    merged_signature,
    provide,
    unset_params,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nn = pytest.importorskip("flax.linen", reason="flax is not installed")
layers = pytest.importorskip("linen_layers", reason="flax is not installed")

jnp = jax.numpy
X, KEYS = layers.X, layers.KEYS
STACKED = {"variable_axes": {"params": 0}, "split_rngs": {"params": True, "noise": True}}
SHARED = {"variable_broadcast": "params", "split_rngs": {"params": False}}
same, partial = frameworks.same, functools.partial


def negated(target):
    """Lift with parameters that are negated on their way in."""
    return nn.map_variables(target, "params", partial(jax.tree.map, jnp.negative), init=True)


LIFTS = {
    "none": same,
    "jit": nn.jit,
    "remat": nn.remat,
    "vmap": partial(nn.vmap, **STACKED),
    "map_variables": negated,
}
BY_POSITION = {
    "none": same,
    "jit": partial(nn.jit, static_argnums=2),
    "remat": partial(nn.remat, static_argnums=2),
    "vmap": partial(nn.vmap, **STACKED, in_axes=(0, None)),
    "map_variables": negated,
}
"""How to lift what takes its flag by position, whose place an option names."""

BY_NAME = {
    "none": same,
    "jit": partial(nn.jit, static_argnames="deterministic"),
    "map_variables": negated,
}
"""How to lift what takes its flag by name, where Flax hands names on."""

lifts = pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)


@pytest.fixture
def pair(inject):
    """Return a layer with the merge by hand, and decorated."""
    return layers.noisy_dense()


@pytest.fixture
def steps(inject):
    """Return a body of a loop with the merge by hand, and decorated."""
    return layers.steps()


def are_alike(modules, *call, **named):
    """Whether modules compute the same variables, outputs and gradients."""

    def loss(variables, x, module):
        return module.apply(variables, x, *call, **named, rngs=KEYS).sum()

    def train(module):
        _, variables = module.init_with_output(KEYS, X, *call, **named)
        return variables, jax.value_and_grad(loss, argnums=(0, 1))(variables, X, module)

    by_hand, merged = (layers.jaxpr(partial(train, module)) for module in modules)
    return by_hand == merged


@pytest.mark.parametrize("name", LIFTS)
def test_lifted_classes(pair, name):
    """The flag comes from the constructor, by position or by name, or is provided on the way."""

    class ByHand(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic=None):
            return pair[0](deterministic=deterministic, name="layer")(x)

    @mergeable("deterministic", provide=True)
    class Providing(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic=MERGED):
            return pair[1](name="layer")(x)

    lift = BY_POSITION[name]

    assert are_alike(LIFTS[name](cls)(deterministic=False) for cls in pair)
    assert are_alike([lift(cls)() for cls in pair], False)
    for value in (True, False):
        assert are_alike([lift(ByHand)(), lift(Providing)()], value)
    if name in BY_NAME:
        assert are_alike([BY_NAME[name](cls)() for cls in pair], deterministic=False)


@pytest.mark.parametrize("name", LIFTS)
def test_lifted_method(inject, name):
    """A method that is lifted inside the class, with the flag from either side."""
    assert are_alike(cls(deterministic=False) for cls in layers.noisy_dense(LIFTS[name]))
    # Flax 0.12 counts the places of a method under nn.jit wrongly, by hand too.
    if name != "jit":
        assert are_alike([cls() for cls in layers.noisy_dense(BY_POSITION[name])], False)


def test_other_targets(pair):
    """A class with some arguments given is lifted like a class; so are layers in a row."""
    templates = (partial(cls, deterministic=True) for cls in pair)
    rows = partial(nn.remat_scan, lengths=(2, 2), **STACKED)

    assert are_alike(nn.jit(template)(features=2) for template in templates)
    assert are_alike(rows(cls)(deterministic=False) for cls in pair)


def test_several_methods(inject):
    """Lifting other methods than `__call__`, each in its own way."""

    @mergeable("flag", method=("encode", "decode"))
    class Layer(nn.Module):
        flag: bool | None = None

        def setup(self):
            self.dense = nn.Dense(3, use_bias=False)

        def encode(self, x, flag=MERGED):
            return self.dense(x) if flag else -self.dense(x)

        def decode(self, x, flag=MERGED):
            return x if flag else self.dense(x)

    lifted = nn.jit(
        Layer, methods={"encode": {"static_argnums": 2}, "decode": {"static_argnames": "flag"}}
    )
    variables = Layer(True).init(KEYS, X, method="encode")
    expected = Layer(True).apply(variables, X, method="encode")

    assert jnp.array_equal(expected, lifted(True).apply(variables, X, method="encode"))
    assert jnp.array_equal(-expected, lifted().apply(variables, X, False, method="encode"))
    assert jnp.array_equal(expected, lifted().apply(variables, X, flag=False, method="decode"))
    with pytest.raises(MissingParamError, match="decode"):
        lifted().apply(variables, X, method="decode")


BROADCAST = partial(nn.scan, **SHARED, in_axes=(0, nn.broadcast))


@pytest.mark.parametrize(
    ("lift", "call"),
    [
        (partial(nn.scan, **SHARED), ()),
        (BROADCAST, (True,)),
        (lambda cls: nn.scan(nn.remat(cls, prevent_cse=False), **SHARED), ()),
        (lambda cls: BROADCAST(nn.remat(cls, static_argnums=3)), (False,)),
    ],
)
def test_scan(steps, lift, call):
    """The body of a loop, with the flag in the template or broadcast to every step."""
    held = {} if call else {"deterministic": False}

    by_hand, merged = (
        layers.jaxpr(
            lambda cls=cls: lift(cls)(**held).init_with_output(KEYS, X, X[:, None], *call)
        )
        for cls in steps
    )

    assert by_hand == merged


def vjp(run, layer, x):
    y, backward = nn.vjp(run, layer, x)
    return y, backward(y)


INSIDE = {
    "grad": lambda run, layer, x: nn.value_and_grad(lambda *args: run(*args).sum(), layer, x),
    "vjp": vjp,
    "jvp": lambda run, layer, x: nn.jvp(run, layer, (x,), (x,), {}),
    "cond": lambda run, layer, x: nn.cond(
        x.sum() > 1, run, lambda layer, x: run(layer, -x), layer, x
    ),
    "while_loop": lambda run, layer, x: nn.while_loop(
        lambda layer, x: x.sum() < 0, run, layer, x, split_rngs={"noise": True}
    ),
}


@pytest.mark.parametrize("transform", INSIDE.values(), ids=INSIDE)
def test_inside_functions(pair, transform):
    """A merged layer in a function that is lifted."""

    def run(cls):
        class Model(nn.Module):
            @nn.compact
            def __call__(self, x, flag):
                layer = cls()
                if self.is_initializing():
                    return layer(x, flag)
                return transform(lambda layer, x: layer(x, flag), layer, x)

        variables = Model().init(KEYS, X, False)
        return Model().apply(variables, X, False, rngs=KEYS)

    by_hand, merged = (layers.jaxpr(partial(run, cls)) for cls in pair)

    assert by_hand == merged


def test_nothing_is_reused_for_another_value(pair):
    """`nn.jit` keeps traces of one class for several objects, and tells them apart."""
    lifted = BY_POSITION["jit"](pair[1])
    variables = pair[1](deterministic=True).init(KEYS, X)
    expected = pair[1](deterministic=True).apply(variables, X)

    for flag in (True, False, True):
        constructed = lifted(deterministic=flag).apply(variables, X, rngs=KEYS)
        called = lifted().apply(variables, X, flag, rngs=KEYS)
        assert flag == jnp.array_equal(expected, constructed)
        assert flag == jnp.array_equal(expected, called)


@lifts
def test_provided(pair, lift):
    """A provided value goes through every transformation, and no trace keeps it."""
    model = lift(pair[1])

    class SetUp(nn.Module):
        def setup(self):
            self.layer = model()

        def __call__(self, x):
            return self.layer(x)

    variables = model(deterministic=True).init(KEYS, X)
    inside = {"params": {"layer": variables["params"]}}
    runs = [
        jax.jit(lambda x: model().apply(variables, x, rngs=KEYS)),
        lambda x: model().apply(variables, x, rngs=KEYS),
        lambda x: nn.jit(SetUp)().apply(inside, x, rngs=KEYS),
    ]
    expected = model(deterministic=True).apply(variables, X, rngs=KEYS)

    for run in runs:
        for flag in (True, False, True):
            with provide(deterministic=flag):
                assert flag == bool(jnp.allclose(expected, run(X)))
        with pytest.raises(MissingParamError):
            run(X)


def test_provided_in_a_scan(steps):
    """So it does where a loop is lifted."""

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.scan(steps[1], **SHARED)()(x, x[:, None])[1]

    variables = {"params": {"ScanStep_0": steps[1](True).init(KEYS, X, X)["params"]}}
    for run in (jax.jit(partial(Model().apply, variables)), partial(Model().apply, variables)):
        with provide(deterministic=True):
            expected = run(X)
        with provide(deterministic=False):
            assert jnp.array_equal(-expected, run(X))


@lifts
def test_missing(pair, lift):
    """A lifted class tells what its layers need; no transformation is blamed where it lacks."""
    lifted = lift(pair[1])

    assert "(x, deterministic=None)" == str(merged_signature(lifted))
    assert ("deterministic",) == unset_params(lifted())
    assert () == unset_params(lifted(deterministic=False))
    with pytest.raises(MissingParamError, match=r"deterministic.*neither place") as caught:
        lifted().init(KEYS, X)
    assert "nn." not in str(caught.value)


# What a transformation drops or changes, of which the error tells.


def test_dropped_names(pair, steps):
    """`nn.vmap` and `nn.scan` ignore keyword arguments: the error says so, and what to write.

    What a transformation around the caller has dropped is missing further inside, too. Where the
    constructor has set the flag, it is no conflict.
    """
    named = {"deterministic": True}

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic=None):
            return pair[1]()(x, deterministic=deterministic)

    for name, lifted, arguments in (
        ("vmap", LIFTS["vmap"](pair[1]), [X]),
        ("vmap", LIFTS["vmap"](Block), [X]),
        ("scan", nn.scan(steps[1], **SHARED), [X, X[:, None]]),
    ):
        advice = rf"nn\.{name} ignores keyword .* by position"
        with (
            pytest.warns(RuntimeWarning, match=f"kwargs are not supported in {name}"),
            pytest.raises(MissingParamError, match=advice),
        ):
            lifted().init(KEYS, *arguments, **named)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="deterministic"):
        LIFTS["vmap"](pair[0])().init(KEYS, X, **named)
    for cls in pair:
        model = LIFTS["vmap"](cls)(deterministic=True)
        with pytest.warns(RuntimeWarning):
            variables = model.init(KEYS, X, deterministic=False)
        assert layers.are_same(model.init(KEYS, X), variables)


def test_sequential(pair):
    """`nn.Sequential` gives names to its first layer only: the error says so.

    What is missing in the first layer, or was given to nobody, was not dropped.
    """
    cls = pair[1]

    class Forgetful(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic):
            return cls()(x)

    with pytest.raises(MissingParamError, match=r"nn\.Sequential .* first layer only"):
        nn.Sequential([cls(), cls()]).init(KEYS, X, deterministic=True)
    nn.Sequential([cls(), cls(deterministic=True)]).init(KEYS, X, deterministic=True)
    for first, given in ((Forgetful(), {"deterministic": True}), (cls(), {})):
        with pytest.raises(MissingParamError) as caught:
            nn.Sequential([first, cls()]).init(KEYS, X, **given)
        assert "Sequential" not in str(caught.value)
    # Where a call and a constructor differ, it has dropped nothing.
    model = nn.Sequential([cls(deterministic=True)])
    with pytest.raises(ConflictingParamError) as caught:
        jax.jit(lambda flag: model.init(KEYS, X, deterministic=flag))(True)
    assert "Sequential" not in str(caught.value)


@pytest.mark.parametrize("name", ["jit", "remat", "scan"])
def test_static_index_that_is_off(pair, steps, name):
    """JAX says which argument it has traced, in the same words as with a merge by hand."""
    flags = jnp.array([True, False])
    classes, lift, call = {
        "jit": (pair, partial(nn.jit, static_argnums=3), (X, True)),
        "remat": (pair, partial(nn.remat, static_argnums=1), (X, True)),
        "scan": (steps, partial(nn.scan, **SHARED), (X, X[:, None], flags)),
    }[name]
    texts = []
    for cls in classes:
        with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
            lift(cls)().init(KEYS, *call)
        texts.append(str(caught.value))

    assert texts[0] == texts[1]
    assert name == "scan" or "argument args[2]" in texts[1]


def forwarding(lift):
    """Return a class that forwards to a method of its base, which is lifted."""

    @mergeable("gain")
    class Base(nn.Module):
        gain: object = None

        @lift
        def __call__(self, carry, x, gain=MERGED):
            return carry + x * gain, x

    @mergeable("gain")
    class Layer(Base):
        def __call__(self, carry, x, gain=MERGED):
            return super().__call__(carry, x, gain)

    return Layer


UNAXED = partial(nn.vmap, variable_axes={}, split_rngs={})
STATIC = r"has made a tracer .* static_argnums, where self counts as 0"


@pytest.mark.parametrize(
    ("lift", "value", "advice"),
    [
        (nn.jit, True, rf"nn\.jit {STATIC}"),
        (nn.remat, True, rf"nn\.remat {STATIC}"),
        (partial(nn.remat, static_argnums=1), True, rf"nn\.remat {STATIC}"),
        (nn.scan, jnp.ones(2), r"nn\.scan has made a tracer .* nn\.broadcast in in_axes"),
        (UNAXED, jnp.ones(2), r"nn\.vmap .* None in in_axes"),
    ],
)
def test_forwarded_and_traced(inject, lift, value, advice):
    """A forwarded value that was traced or cut on its way is no more the constructor's."""
    with pytest.raises(ConflictingParamError, match=advice):
        forwarding(lift)(value).apply({}, jnp.zeros(2), jnp.ones(2))


@pytest.mark.parametrize(
    ("lift", "value"),
    [
        (partial(nn.remat, static_argnums=3), True),
        (partial(nn.scan, in_axes=(0, nn.broadcast)), jnp.ones(2)),
        (partial(UNAXED, in_axes=(0, 0, None)), jnp.ones(2)),
    ],
)
def test_forwarded_as_it_is(inject, lift, value):
    """With the right option the same class forwards to its base."""
    carry, _ = forwarding(lift)(value).apply({}, jnp.zeros(2), jnp.ones(2))

    assert (carry > 0).all()


def test_traced_by_nobody_else(pair):
    """A conflict over a tracer that no lifted transformation has made is just that."""
    with pytest.raises(ConflictingParamError) as caught:
        jax.jit(lambda flag: pair[1](deterministic=True).init(KEYS, X, flag))(True)

    assert "nn." not in str(caught.value)


def test_forwarding_to_a_lifted_class(pair):
    """The base of a lifted class runs for an object of its own, which nobody has merged again."""

    @mergeable("deterministic")
    class Layer(BY_POSITION["remat"](pair[1])):
        def __call__(self, x, deterministic=MERGED):
            return super().__call__(x, deterministic)

    Layer().init(KEYS, X, True)
    with pytest.raises(ConflictingParamError):
        Layer(deterministic=True).init(KEYS, X)


def test_merged_after_lifting():
    """On a class that is lifted already the merge is around the transformation."""
    layer = frameworks.Linen().layer(default=None)
    lifted = mergeable("flag")(BY_POSITION["vmap"](layer))

    assert jnp.array_equal(-X, lifted(flag=False).apply({}, X))
    assert jnp.array_equal(X, lifted().apply({}, X, flag=True))
    assert jnp.array_equal(-X, layer(flag=True).apply({}, X))
