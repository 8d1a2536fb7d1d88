"""TensorFlow: AutoGraph leaves merged methods alone, and no graph keeps a provided value."""

import pytest

from mergeparam import MERGED, MergeError, MissingParamError, mergeable, provide

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


@pytest.fixture
def layer(inject):
    """Return a class with two merged methods."""

    @mergeable("train", method=("__call__", "forward"))
    class Layer:
        def __init__(self, train=None):
            self.train = train

        def __call__(self, x, *, train=MERGED):
            return x if train else -x

        def forward(self, x, *, train=MERGED):
            return x if train else -x

    return Layer


@pytest.mark.parametrize("call", [lambda layer: layer, lambda layer: layer.forward])
def test_function(layer, call):
    """The merge is there in a graph, called directly and by a function of the user's."""
    x = tf.constant(4.0)
    for function in (call(layer(True)), lambda x: call(layer(True))(x)):
        assert 4.0 == tf.function(function)(x).numpy()
    assert -4.0 == tf.function(lambda x: call(layer())(x, train=False))(x).numpy()
    with pytest.raises(MissingParamError):
        tf.function(call(layer()))(x)
    # TensorFlow raises an error of its own where it cannot make another one like this.
    with pytest.raises(Exception, match="'train' is set in both places"):
        tf.function(lambda x: call(layer(True))(x, train=False))(x)


def test_provide(layer):
    """Reading raises in a graph, which would keep the value for later calls."""
    x = tf.constant(4.0)
    with provide(train=True):
        assert 4.0 == layer()(x).numpy() == tf.function(layer(True))(x).numpy()
        with pytest.raises(MergeError, match="'train' is provided while TensorFlow traces"):
            tf.function(layer())(x)
