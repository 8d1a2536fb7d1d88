"""A container of ten lines that gives each layer exactly the flags that it needs.

The layers come from `dropout.py`. One of them has its flag from the constructor. Run it:

    python examples/sequential.py
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from dropout import Array, BatchNorm, Dropout, Weight

from mergeparam import MissingParamError, find_unset, merged_signature, route


@attrs.frozen
class Relu:
    """A layer that merges nothing, and so gets no flag."""

    def __call__(self, x: Array) -> tuple[Array, object]:
        """Return the positive part, and no backward pass."""
        return np.maximum(x, 0), None


@attrs.frozen
class Sequential:
    """Call one layer after the other; the caller names each flag once."""

    layers: list[Any]

    def __call__(self, x: Array, **flags: bool) -> Array:
        """Return the output of the last layer."""
        for layer in self.layers:
            x, _ = layer(x, **route(layer, **flags))
        return x


def make_model(rng: np.random.Generator, features: int = 8) -> Sequential:
    """Return a model in which one dropout is permanently off."""
    norm = BatchNorm(Weight(np.ones(features)), Weight(np.zeros(features)))
    return Sequential([norm, Relu(), Dropout(0.5, rng), Dropout(0.5, rng, deterministic=True)])


def main() -> None:
    """Call the model in both modes, and show the flags that its layers still need."""
    rng = np.random.default_rng(0)
    model, x = make_model(rng), rng.normal(size=(4, 8))

    print("The arguments that each layer accepts now:\n")
    for layer in model.layers:
        print(f"  {type(layer).__name__:<10}{merged_signature(layer)}")

    print("\nThe flags that are still missing, and where:\n")
    for path, _, names in find_unset(model):
        print(f"  model{path}: {', '.join(names)}")

    training = model(x, deterministic=False, use_running_average=False)
    evaluating = model(x, deterministic=True, use_running_average=True)
    print("\nOne call gives every layer its own flags:\n")
    print(f"  training:   {np.mean(training == 0):.0%} of the outputs are zero")
    print(f"  evaluating: {np.mean(evaluating == 0):.0%} of the outputs are zero")

    print("\nA flag that nobody gives is an error, not a default:\n")
    try:
        model(x, deterministic=True)
    except MissingParamError as error:
        print(f"  {error}")


if __name__ == "__main__":
    main()
