"""Flax Linen's lifted transformations: the same as with the merge by hand."""

import functools

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
X = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
KEYS = {"params": jax.random.key(0), "noise": jax.random.key(1)}
STACKED = {"variable_axes": {"params": 0}, "split_rngs": {"params": True, "noise": True}}
SHARED = {"variable_broadcast": "params", "split_rngs": {"params": False}}


def negated(variables):
    return jax.tree.map(jnp.negative, variables)


LIFTS = {
    "none": lambda target: target,
    "jit": nn.jit,
    "remat": nn.remat,
    "vmap": functools.partial(nn.vmap, **STACKED),
    "map_variables": lambda target: nn.map_variables(target, "params", negated, init=True),
}
WITH_FLAG = {
    "none": LIFTS["none"],
    "jit": functools.partial(nn.jit, static_argnums=2),
    "remat": functools.partial(nn.remat, static_argnums=2),
    "vmap": functools.partial(nn.vmap, **STACKED, in_axes=(0, None)),
    "map_variables": LIFTS["map_variables"],
}
BY_NAME = {
    "none": LIFTS["none"],
    "jit": functools.partial(nn.jit, static_argnames="deterministic"),
    "map_variables": LIFTS["map_variables"],
}


@pytest.fixture
def pair(inject):
    """Return a layer with the merge by hand, and decorated."""
    return layers.noisy_dense()


@pytest.fixture
def steps(inject):
    """Return a body of a loop with the merge by hand, and decorated."""
    return layers.steps()


def assert_alike(*modules, call=(), **named):
    """Assert that modules compute the same variables, outputs and gradients."""

    def loss(variables, x, module):
        return module.apply(variables, x, *call, **named, rngs=KEYS).sum()

    def train(module):
        _, variables = module.init_with_output(KEYS, X, *call, **named)
        return variables, jax.value_and_grad(loss, argnums=(0, 1))(variables, X, module)

    by_hand, merged = (layers.jaxpr(functools.partial(train, module)) for module in modules)

    assert by_hand == merged


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
def test_lifted_class(pair, lift):
    """A lifted class, with the flag from the constructor."""
    assert_alike(*(lift(cls)(deterministic=False) for cls in pair))


@pytest.mark.parametrize("lift", WITH_FLAG.values(), ids=WITH_FLAG)
def test_flag_by_position(pair, lift):
    """A positional flag keeps its place, which `static_argnums` and `in_axes` name."""
    assert_alike(*(lift(cls)() for cls in pair), call=(False,))


@pytest.mark.parametrize("lift", BY_NAME.values(), ids=BY_NAME)
def test_flag_by_name(pair, lift):
    """A flag that is given by name, where Flax hands names on."""
    assert_alike(*(lift(cls)() for cls in pair), deterministic=False)


@pytest.mark.parametrize("name", LIFTS)
def test_lifted_method(inject, name):
    """A method that is lifted inside the class, with the flag from either side."""
    assert_alike(*(cls(deterministic=False) for cls in layers.noisy_dense(LIFTS[name])))
    # Flax 0.12 counts the places of a method under nn.jit wrongly, by hand too.
    if name != "jit":
        assert_alike(*(cls() for cls in layers.noisy_dense(WITH_FLAG[name])), call=(False,))


def test_templates_are_lifted(pair):
    """A class with some arguments given is lifted like a class."""
    templates = (functools.partial(cls, deterministic=True) for cls in pair)

    assert_alike(*(nn.jit(template)(features=2) for template in templates))


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


@pytest.mark.parametrize(
    ("lift", "call"),
    [
        (functools.partial(nn.scan, **SHARED), ()),
        (functools.partial(nn.scan, **SHARED, in_axes=(0, nn.broadcast)), (True,)),
        (lambda cls: nn.scan(nn.remat(cls, prevent_cse=False), **SHARED), ()),
        (
            lambda cls: nn.scan(
                nn.remat(cls, static_argnums=3), **SHARED, in_axes=(0, nn.broadcast)
            ),
            (False,),
        ),
    ],
)
def test_scan(steps, lift, call):
    """The body of a loop, with the flag in the template or broadcast to every step."""
    side = {} if call else {"deterministic": False}

    def apply(cls):
        return lift(cls)(**side).init_with_output(KEYS, X, X[:, None], *call)

    by_hand, merged = (layers.jaxpr(functools.partial(apply, cls)) for cls in steps)

    assert by_hand == merged


def test_remat_scan(pair):
    """Layers in a row, each with variables of its own."""
    stacked = {"variable_axes": {"params": 0}, "split_rngs": {"params": True, "noise": True}}
    lift = functools.partial(nn.remat_scan, lengths=(2, 2), **stacked)

    assert_alike(*(lift(cls)(deterministic=False) for cls in pair))


def grad(layer, x, flag):
    return nn.value_and_grad(lambda layer, x: layer(x, flag).sum(), layer, x)


def vjp(layer, x, flag):
    y, backward = nn.vjp(lambda layer, x: layer(x, flag), layer, x)
    return y, backward(y)


def jvp(layer, x, flag):
    return nn.jvp(lambda layer, x: layer(x, flag), layer, (x,), (x,), {})


def cond(layer, x, flag):
    return nn.cond(
        x.sum() > 1,
        lambda layer, x: layer(x, flag),
        lambda layer, x: layer(-x, flag),
        layer,
        x,
    )


def while_loop(layer, x, flag):
    return nn.while_loop(
        lambda layer, x: x.sum() < 0,
        lambda layer, x: layer(x, flag),
        layer,
        x,
        split_rngs={"noise": True},
    )


@pytest.mark.parametrize("transform", [grad, vjp, jvp, cond, while_loop])
def test_inside_functions(pair, transform):
    """A merged layer in a function that is lifted."""

    def run(cls):
        class Model(nn.Module):
            @nn.compact
            def __call__(self, x, flag):
                layer = cls()
                if self.is_initializing():
                    return layer(x, flag)
                return transform(layer, x, flag)

        variables = Model().init(KEYS, X, False)
        return Model().apply(variables, X, False, rngs=KEYS)

    by_hand, merged = (layers.jaxpr(functools.partial(run, cls)) for cls in pair)

    assert by_hand == merged


def test_nothing_is_reused_for_another_value(pair):
    """`nn.jit` keeps traces of one class for several objects, and tells them apart."""
    lifted = nn.jit(pair[1], static_argnums=2)
    variables = pair[1](deterministic=True).init(KEYS, X)
    expected = pair[1](deterministic=True).apply(variables, X)

    for flag in (True, False, True):
        constructed = lifted(deterministic=flag).apply(variables, X, rngs=KEYS)
        called = lifted().apply(variables, X, flag, rngs=KEYS)
        assert flag == jnp.array_equal(expected, constructed)
        assert flag == jnp.array_equal(expected, called)


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
def test_provided(pair, lift):
    """A provided value goes through every transformation, and no trace keeps it."""
    model = lift(pair[1])
    variables = model(deterministic=True).init(KEYS, X)
    run = jax.jit(lambda x: model().apply(variables, x, rngs=KEYS))

    for flag in (True, False, True):
        with provide(deterministic=flag):
            expected = model(deterministic=flag).apply(variables, X, rngs=KEYS)
            assert jnp.allclose(expected, run(X))
    with pytest.raises(MissingParamError):
        run(X)


@pytest.mark.parametrize("lift", WITH_FLAG.values(), ids=WITH_FLAG)
def test_providing_model(pair, lift):
    """A model that provides its flag computes what one does that hands it on."""

    class Model(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic=None):
            deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
            return pair[0](deterministic=deterministic, name="layer")(x)

    by_hand = Model

    @mergeable("deterministic", provide=True)
    class Model(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic=MERGED):
            return pair[1](name="layer")(x)

    assert_alike(*(lift(cls)() for cls in (by_hand, Model)), call=(False,))
    assert_alike(*(lift(cls)() for cls in (by_hand, Model)), call=(True,))


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
def test_introspection_of_lifted_classes(pair, lift):
    """A lifted class tells what its layers need."""
    lifted = lift(pair[1])

    assert "(x, deterministic=None)" == str(merged_signature(lifted))
    assert ("deterministic",) == unset_params(lifted())
    assert () == unset_params(lifted(deterministic=False))


@pytest.mark.parametrize("lift", LIFTS.values(), ids=LIFTS)
def test_missing(pair, lift):
    """Nobody gives the flag: no transformation hides that, and none is blamed."""
    with pytest.raises(MissingParamError, match=r"deterministic.*neither place") as caught:
        lift(pair[1])().init(KEYS, X)

    assert "nn." not in str(caught.value)


def test_vmap_drops_names(pair):
    """`nn.vmap` ignores keyword arguments: the error says so, and what to write."""
    model = LIFTS["vmap"](pair[1])()

    with (
        pytest.warns(RuntimeWarning, match="kwargs are not supported in vmap"),
        pytest.raises(MissingParamError, match=r"nn\.vmap ignores keyword .* by position"),
    ):
        model.init(KEYS, X, deterministic=True)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="deterministic"):
        LIFTS["vmap"](pair[0])().init(KEYS, X, deterministic=True)


def test_scan_drops_names(steps):
    """`nn.scan` ignores keyword arguments: the error says so, and what to write."""
    model = nn.scan(steps[1], **SHARED)()

    with (
        pytest.warns(RuntimeWarning, match="kwargs are not supported in scan"),
        pytest.raises(MissingParamError, match=r"nn\.scan ignores keyword .* by position"),
    ):
        model.init(KEYS, X, X[:, None], deterministic=True)


def test_dropped_around(pair):
    """What a transformation around the caller has dropped is missing further inside."""

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic=None):
            return pair[1]()(x, deterministic=deterministic)

    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(MissingParamError, match=r"nn\.vmap ignores"),
    ):
        LIFTS["vmap"](Block)().init(KEYS, X, deterministic=True)


def test_dropped_beside_the_constructor(pair):
    """Where the constructor has set the flag, what is dropped is no conflict, as by hand."""
    for cls in pair:
        model = LIFTS["vmap"](cls)(deterministic=True)
        with pytest.warns(RuntimeWarning):
            variables = model.init(KEYS, X, deterministic=False)
        assert jax.tree.all(jax.tree.map(jnp.array_equal, model.init(KEYS, X), variables))


def test_sequential_drops_names(pair):
    """`nn.Sequential` gives names to its first layer only: the error says so."""
    cls = pair[1]

    with pytest.raises(MissingParamError, match=r"nn\.Sequential .* first layer only"):
        nn.Sequential([cls(), cls()]).init(KEYS, X, deterministic=True)
    nn.Sequential([cls(), cls(deterministic=True)]).init(KEYS, X, deterministic=True)


def test_sequential_is_not_to_blame(pair):
    """What is missing in the first layer, or was given to nobody, was not dropped."""

    class Forgetful(nn.Module):
        @nn.compact
        def __call__(self, x, deterministic):
            return pair[1]()(x)

    for first, given in ((Forgetful(), {"deterministic": True}), (pair[1](), {})):
        with pytest.raises(MissingParamError) as caught:
            nn.Sequential([first, pair[1]()]).init(KEYS, X, **given)
        assert "Sequential" not in str(caught.value)


@pytest.mark.parametrize("name", ["jit", "remat", "scan"])
def test_static_index_that_is_off(pair, steps, name):
    """JAX says which argument it has traced, in the same words as with a merge by hand."""
    lifts = {
        "jit": (pair, functools.partial(nn.jit, static_argnums=3), (X, True)),
        "remat": (pair, functools.partial(nn.remat, static_argnums=1), (X, True)),
        "scan": (
            steps,
            functools.partial(nn.scan, **SHARED),
            (X, X[:, None], jnp.array([True, False])),
        ),
    }
    classes, lift, call = lifts[name]
    texts = []
    for cls in classes:
        with pytest.raises(jax.errors.TracerBoolConversionError) as caught:
            lift(cls)().init(KEYS, *call)
        texts.append(str(caught.value))

    assert texts[0] == texts[1]
    assert name == "scan" or "argument args[2]" in texts[1]


def subclassed(lift):
    """Return a class that forwards to a method of its base, which is lifted."""

    @mergeable("deterministic")
    class Base(nn.Module):
        deterministic: bool | None = None

        @lift
        @nn.compact
        def __call__(self, x, deterministic=MERGED):
            y = nn.Dense(3)(x)
            return y if deterministic else -y

    @mergeable("deterministic")
    class Layer(Base):
        def __call__(self, x, deterministic=MERGED):
            return super().__call__(x, deterministic)

    return Layer


@pytest.mark.parametrize(
    ("lift", "advice"),
    [
        (nn.jit, r"nn\.jit has made a tracer .* static_argnums, where self counts as 0"),
        (nn.remat, r"nn\.remat has made a tracer .* static_argnums, where self counts as 0"),
        (
            functools.partial(nn.remat, static_argnums=1),
            r"nn\.remat has made a tracer .* static_argnums, where self counts as 0",
        ),
    ],
)
def test_forwarded_and_traced(inject, lift, advice):
    """A forwarded value that was traced on its way is no more the constructor's."""
    with pytest.raises(ConflictingParamError, match=advice):
        subclassed(lift)(deterministic=True).init(KEYS, X)


def test_forwarded_and_static(inject):
    """With the right index the same class forwards to its base."""
    lifted, plain = (
        subclassed(lift)(deterministic=False).init_with_output(KEYS, X)
        for lift in (functools.partial(nn.remat, static_argnums=2), lambda method: method)
    )

    assert jax.tree.all(jax.tree.map(jnp.array_equal, lifted, plain))


def gained(lift):
    """Return a class that forwards an array to a method of its base, which is lifted."""

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

    return Layer(jnp.ones(2))


def test_forwarded_and_mapped(inject):
    """An array that was cut into pieces is no more the constructor's."""
    for lift, advice in (
        (nn.scan, r"nn\.scan has made a tracer .* nn\.broadcast in in_axes"),
        (
            functools.partial(nn.vmap, variable_axes={}, split_rngs={}),
            r"nn\.vmap .* None in in_axes",
        ),
    ):
        with pytest.raises(ConflictingParamError, match=advice):
            gained(lift).apply({}, jnp.zeros(2), jnp.ones(2))
    for lift in (
        functools.partial(nn.scan, in_axes=(0, nn.broadcast)),
        functools.partial(nn.vmap, variable_axes={}, split_rngs={}, in_axes=(0, 0, None)),
    ):
        gained(lift).apply({}, jnp.zeros(2), jnp.ones(2))


def test_traced_by_nobody_else(inject):
    """A conflict over a tracer that no lifted transformation has made is just that."""
    layer = layers.noisy_dense()[1](deterministic=True)

    with pytest.raises(ConflictingParamError) as caught:
        jax.jit(lambda flag: layer.init(KEYS, X, flag))(True)
    assert "nn." not in str(caught.value)


def test_forwarding_to_a_lifted_class(pair):
    """The base of a lifted class runs for an object of its own, which nobody has merged again."""

    @mergeable("deterministic")
    class Layer(nn.remat(pair[1], static_argnums=2)):
        def __call__(self, x, deterministic=MERGED):
            return super().__call__(x, deterministic)

    Layer().init(KEYS, X, True)
    with pytest.raises(ConflictingParamError):
        Layer(deterministic=True).init(KEYS, X)


def test_merged_after_lifting(monkeypatch):
    """On a class that is lifted already the merge is around the transformation."""
    monkeypatch.setenv("MERGEPARAM_INJECT", "auto")

    class Layer(nn.Module):
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic=None):
            return x if deterministic else -x

    lifted = mergeable("deterministic")(WITH_FLAG["vmap"](Layer))

    assert jnp.array_equal(-X, lifted(deterministic=False).apply({}, X))
    assert jnp.array_equal(X, lifted().apply({}, X, deterministic=True))
    assert jnp.array_equal(-X, Layer(deterministic=True).apply({}, X))
