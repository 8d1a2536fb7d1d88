"""`provide` is a context manager, and `mergeable(provide=True)` changes no type."""

from contextlib import AbstractContextManager
from typing import reveal_type

from mergeparam import MERGED, mergeable, provide


@mergeable("training")
class Layer:
    training: bool | None = None

    def __call__(self, x: float, *, training: bool = MERGED) -> float:
        return x if training else -x


@mergeable("training", provide=True)
class Container:
    def __init__(self, layers: list[Layer], training: bool | None = None) -> None:
        self.layers = layers
        self.training = training

    def __call__(self, x: float, *, training: bool = MERGED) -> float:
        for layer in self.layers:
            x = layer(x)
        return x


with provide(training=True, rng=3) as scope:
    reveal_type(Layer()(1.0))  # revealed: float
    Layer()("1.0")  # error
    reveal_type(scope)  # revealed: None
with provide():
    pass
provide(True)  # error
as_manager: AbstractContextManager[object] = provide(training=True)

container = Container([Layer()])
reveal_type(container)  # revealed: Container
reveal_type(container(1.0))  # revealed: float
Container("layers")  # error
container(1.0, training="yes")  # error
mergeable("training", provide=False)
mergeable("training", provide="yes")  # error


def always_returns() -> float:
    with provide(training=True):
        return Layer()(1.0)
