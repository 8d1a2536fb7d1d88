"""Layers that merge by hand, to be moved over by `mergeparam migrate`."""

from flax import linen as nn
from flax.linen import merge_param
from jax import Array


class Noise(nn.Module):
    """Add noise while training."""

    scale: float = 0.1
    train: bool | None = None

    def __call__(self, x: Array, *, train: bool | None = None) -> Array:
        """Return the input, with noise or without."""
        train = merge_param("train", self.train, train)
        return x + self.scale * self.make_rng("noise") if train else x


class Gate(nn.Module):
    """Close now and then."""

    closed: float = 0.0
    train: bool | None = None

    def __call__(self, x: Array, *, train: bool | None = None) -> Array:
        """Return the input, or nothing."""
        if self.closed > 0:  # Otherwise it makes no difference.
            train = merge_param("train", self.train, train)
        return x * self.make_rng("gate") if self.closed > 0 and train else x


class Block(nn.Module):
    """Two of them."""

    def setup(self) -> None:
        """Make the layers."""
        self.noise = Noise()
        self.gate = Gate(0.5)

    def __call__(self, x: Array, *, train: bool) -> Array:
        """Return the input through both."""
        return self.gate(self.noise(x, train=train), train=train)


class Centre(nn.Module):
    """Subtract the mean."""

    train: bool | None = None

    def __call__(self, x: Array, *, train: bool | None = None) -> Array:
        """Return the input without its mean."""
        mean = x.mean()
        train = merge_param("train", self.train, train)
        return x - (mean if train else self.get_variable("mean", "mean"))
