"""Merges by hand with two mistakes in them, to be found by `mergeparam check`."""

from mergeparam import merge_param


class Dropout:
    """Drop some of the inputs."""

    def __init__(self, rate: float, *, deterministic: bool | None = None) -> None:
        """Take what may come from here or from the call."""
        self.rate = rate
        self.deterministic = deterministic

    def __call__(self, x: float, *, deterministic: bool | None = None) -> float:
        """Return the input, or part of it."""
        deterministic = merge_param("deterministic", self.deterministic, deterministic)
        return x if self.deterministic else x * (1 - self.rate)


class Encoder:
    """A stack of one layer."""

    def __init__(self, *, train: bool | None = None) -> None:
        """Take what may come from here or from the call."""
        self.train = train

    def __call__(self, x: float, *, train: bool = True) -> float:
        """Return the input through the layer."""
        train = merge_param("train", self.train, train)
        return Dropout(0.5)(x, deterministic=not train)
