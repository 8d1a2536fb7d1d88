"""What frameworks bring along, and `provide` leaves alone: whatever these do, they do as ever."""

import os

import pytest

from mergeparam import provide

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy
X = jnp.ones((8, 8))
FLAGS = ("deterministic", "use_running_average", "inference", "is_training", "training")


def nnx(**options):
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    return nnx.Dropout(0.5, rngs=nnx.Rngs(0), **options)(X)


def equinox(**options):
    eqx = pytest.importorskip("equinox", reason="equinox is not installed")
    return eqx.nn.Dropout(0.5, **options)(X, key=jax.random.key(0))


def haiku():
    hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
    return hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x)).init(None, X)


def torch(mode):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return torch.nn.Dropout(0.5).train(mode)(torch.ones(8, 8))


def keras():
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    return keras.layers.Dropout(0.5)(X)


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("call", "drops"),
    [
        (nnx, True),
        (lambda: nnx(deterministic=True), False),
        (equinox, True),
        (lambda: equinox(inference=True), False),
        (lambda: torch(True), True),
        (lambda: torch(False), False),
        (keras, False),
    ],
    ids=["nnx", "nnx, set", "equinox", "equinox, set", "torch, train", "torch, eval", "keras"],
)
def test_defaults_that_mean_something(call, drops, flag):
    """Where one side always has a value, that counts."""
    with provide(**dict.fromkeys(FLAGS, flag)):
        assert drops is bool((call() == 0).any())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nnx(deterministic=None), ValueError, "No `deterministic` argument"),
        (haiku, TypeError, "missing 1 required positional argument: 'is_training'"),
    ],
    ids=["nnx", "haiku"],
)
def test_errors(call, error, text):
    """Where neither side has one, the framework's own error says so."""
    with provide(**dict.fromkeys(FLAGS, True)), pytest.raises(error, match=text):
        call()
