"""Keras 3: layers with a merged `call`, on the backend that `KERAS_BACKEND` names, else on JAX."""

import copy
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    provide,
    route,
)

BACKEND = os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip(BACKEND, reason=f"{BACKEND}, the backend, is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning:keras")

X = np.ones((2, 3), "float32")


@pytest.fixture
def registered():
    """Return a decorator for classes that Keras is to load by name; the test's end drops them."""
    before = dict(keras.saving.get_custom_objects())
    yield keras.saving.register_keras_serializable(package="merged")
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


@pytest.fixture
def scale(inject, registered):
    """Return a layer with a flag of its own."""

    @registered
    @mergeable("deterministic", method="call")
    class Scale(keras.layers.Layer):
        def __init__(self, rate, deterministic=None, **options):
            super().__init__(**options)
            self.rate = rate
            self.deterministic = deterministic

        def call(self, x, *, deterministic: bool = MERGED):
            return x if deterministic else x * self.rate

    return Scale


@pytest.fixture
def define(inject, registered):
    """Return a function that makes a layer which merges what Keras hands from layer to layer."""

    def define(**options):
        @registered
        @mergeable(Param("training", **options), method="call")
        class Trained(keras.layers.Layer):
            def __init__(self, rate, training=None, **options):
                super().__init__(**options)
                self.rate = rate
                self.training = training

            def call(self, x, training: bool = MERGED):
                return x * self.rate if training else x

        return Trained

    return define


@pytest.fixture
def trained(define):
    """Return one whose constructor wins, as for a frozen layer; by default, it infers."""
    return define(on_conflict="use_attribute", default=False)


class Around(keras.Model):
    """Does not speak of `training` to the layers inside."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def call(self, x, training=None):
        for layer in self.parts:
            x = layer(x)
        return x


def first(tensor):
    """Return the first number; all are the same here."""
    return float(np.ravel(keras.ops.convert_to_numpy(tensor))[0])


def original(error):
    """Return the error that others have been made of."""
    return error if error.__context__ is None else original(error.__context__)


def functional(first_layer, second_layer, **flags):
    """Return a functional model of two layers."""
    x = keras.Input((3,))
    return keras.Model(x, second_layer(first_layer(x), **flags))


def test_errors(scale):
    """Keras makes another error of the same class, with what the layer was called with."""
    with pytest.raises(MissingParamError, match="'deterministic' is set in neither") as missing:
        scale(0.5)(X)
    with pytest.raises(ConflictingParamError, match="'deterministic' is set in both"):
        scale(0.5, True)(X, deterministic=True)

    assert "Arguments received by Scale.call()" in str(missing.value)
    assert "deterministic" == original(missing.value).param


def test_config(scale):
    """`get_config` holds what the constructor got, and nothing of the merge."""
    layer = scale(0.5, False)
    names = {"name", "trainable", "dtype", "rate", "deterministic"}

    assert names >= set(layer.get_config())
    assert False is scale.from_config(layer.get_config()).deterministic
    assert None is scale.from_config(scale(0.5).get_config()).deterministic
    assert 0.5 == first(copy.deepcopy(layer)(X))


def test_functional(scale):
    """A functional model holds a call's value as the argument of a node."""
    model = functional(scale(0.5, False), scale(0.5), deterministic=False)

    assert 0.25 == first(model(X)) == first(model.predict(X, verbose=0))
    assert 0.25 == first(keras.models.clone_model(model)(X))
    with pytest.raises(MissingParamError):
        functional(scale(0.5, False), scale(0.5))
    with pytest.raises(ConflictingParamError):
        functional(scale(0.5, False), scale(0.5, True), deterministic=True)


def test_save(scale, trained, tmp_path):
    """A saved model says the same when it is loaded, for both kinds of flags."""
    model = functional(scale(0.5, False), scale(0.5), deterministic=False)
    model = keras.Sequential([keras.Input((3,)), model, trained(0.5), trained(0.5, False)])
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras")

    assert 0.25 == first(model(X)) == first(loaded(X))
    assert 0.125 == first(model(X, training=True)) == first(loaded(X, training=True))


def test_fit(scale):
    """Training and prediction run the same compiled layers, each with its value."""
    seen = []

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)
            self.called, self.constructed = scale(0.5), scale(0.5, False)

        def call(self, x, training=False):
            seen.append(training)
            x = self.called(self.dense(x), deterministic=not training)
            return self.constructed(x)

    keras.utils.set_random_seed(0)
    model = Model()
    model.compile("sgd", "mse", jit_compile=BACKEND == "jax")
    history = model.fit(X, X, epochs=5, verbose=0).history["loss"]

    assert history[0] > history[-1]
    assert {True, False} == {bool(training) for training in seen}
    expected = keras.ops.convert_to_numpy(model.dense(X)) * 0.5
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-6)


def test_variables(inject):
    """A layer with weights and several merged methods."""

    @mergeable("deterministic", method=("call", "describe"))
    class Dense(keras.layers.Layer):
        deterministic = None

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x, deterministic=MERGED):
            return x * self.kernel if deterministic else -x * self.kernel

        def describe(self, deterministic=MERGED):
            return deterministic

    layer = Dense()

    assert -1.0 == first(layer(X, deterministic=False))
    assert 1 == len(layer.trainable_variables)
    assert 7 == layer.describe(7)
    values = [variable.value for variable in layer.trainable_variables]
    output, _ = Dense.stateless_call(layer, values, [], X, deterministic=True)
    assert 1.0 == first(output)


def test_wrapped(scale):
    """A layer inside a wrapper layer."""
    batch = np.ones((1, 2, 3), "float32")

    assert 0.5 == first(keras.layers.TimeDistributed(scale(0.5, False))(batch))
    with pytest.raises(MissingParamError):
        keras.layers.TimeDistributed(scale(0.5))(batch)


def test_provided(scale):
    """A provided value reaches layers that Keras calls, and is never stale in compiled ones.

    `route` finds the method itself, and gives nothing that is not merged.
    """
    model = keras.Sequential([scale(0.5), scale(0.5)])

    for _ in range(2):
        for value, expected in ((False, 0.25), (True, 1.0)):
            with provide(deterministic=value):
                assert expected == first(model(X)) == first(model.predict(X, verbose=0))
        for call in (model, model.predict):
            with pytest.raises(MissingParamError):
                call(X)
    assert {"deterministic": True} == route(scale(0.5), deterministic=True, training=True)


@pytest.mark.parametrize("given", [None, False, True])
def test_training_comes_from_the_call_around(trained, given):
    """Keras gives an inner layer the `training` of the outer call; that is a call's value.

    A layer whose constructor was told keeps to it, and tells it to nobody else.
    """
    flags = {} if given is None else {"training": given}
    half = 0.5 if given else 1.0

    for model, expected in (
        (Around(trained(0.5)), half),
        (Around(keras.Sequential([trained(0.5)])), half),
        (functional(trained(0.5), trained(0.5, False)), half),
        (Around(trained(0.5, True)), 0.5),
        (Around(trained(0.5, False)), 1.0),
        (Around(trained(0.5, True), trained(0.5)), 0.5 * half),
    ):
        assert expected == first(model(X, **flags))


def test_training_in_fit_and_predict(trained):
    """`fit` trains, `predict` infers, and a pinned layer does neither."""
    model = keras.Sequential([keras.layers.Dense(3), trained(0.0), trained(0.0, False)])
    model.compile("sgd", "mse")

    loss = model.evaluate(X, X * 0, verbose=0)

    assert 0.0 == model.fit(X, X * 0, verbose=0).history["loss"][0]
    assert loss == model.evaluate(X, X * 0, verbose=0) > 0.0


def test_strict_training(define):
    """Where `training` has no default and no policy, it is an error like any other flag."""
    strict = define()

    for value, expected in ((True, 0.5), (False, 1.0)):
        assert expected == first(strict(0.5, value)(X))
        assert expected == first(Around(strict(0.5))(X, training=value))
    with pytest.raises(MissingParamError):
        Around(strict(0.5))(X)
    with pytest.raises(ConflictingParamError):
        Around(strict(0.5, False))(X, training=True)
    with pytest.raises(MissingParamError):
        functional(strict(0.5), strict(0.5, True))


def test_mask(inject):
    """A mask that Keras has propagated is a call's value."""

    @mergeable("mask", method="call")
    class Masked(keras.layers.Layer):
        def __init__(self, mask=None):
            super().__init__()
            self.mask = mask
            self.supports_masking = True

        def call(self, x, mask=MERGED):
            return keras.ops.cast(mask, "float32")

    tokens = np.array([[1, 0, 2]])
    embed = keras.layers.Embedding(3, 2, mask_zero=True)
    kept = np.ones((1, 3), bool)

    assert [[1.0, 0.0, 1.0]] == keras.ops.convert_to_numpy(Masked()(embed(tokens))).tolist()
    assert 1.0 == first(Masked(kept)(X))
    with pytest.raises(MissingParamError):
        Masked()(X)
    with pytest.raises(ConflictingParamError):
        Masked(kept)(embed(tokens))


@pytest.mark.skipif(BACKEND != "jax", reason="the run on another backend starts from JAX")
def test_other_backend():
    """All of this file on PyTorch, where a layer is a `torch.nn.Module` too."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]

    run = subprocess.run(
        command,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 == run.returncode, run.stdout
