"""A layer to look at."""

import random

import attrs

from mergeparam import MERGED, mergeable


@mergeable("deterministic")
@attrs.frozen
class Dropout:
    """Drop some of the inputs."""

    rate: float
    rng: random.Random
    deterministic: bool | None = None

    def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
        """Return the input, or nothing of it."""
        if deterministic:
            return x
        return x * (self.rng.random() >= self.rate) / (1 - self.rate)
