"""A container of ten lines that calls every layer with just the flags that it needs.

The layers are those of the first example, and some know their flag from the constructor. Run it:

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
    """A layer that merges nothing, and so is given no flag."""

    def __call__(self, x: Array) -> tuple[Array, object]:
        """Return the positive part, and no way back."""
        return np.maximum(x, 0), None


@attrs.frozen
class Sequential:
    """Call one layer after the other; whoever calls it names every flag once."""

    layers: list[Any]

    def __call__(self, x: Array, **flags: bool) -> Array:
        """Return the output of the last layer."""
        for layer in self.layers:
            x, _ = layer(x, **route(layer, **flags))
        return x


def make_model(rng: np.random.Generator, features: int = 8) -> Sequential:
    """Return a model in which one dropout is switched off for good."""
    norm = BatchNorm(Weight(np.ones(features)), Weight(np.zeros(features)))
    return Sequential([norm, Relu(), Dropout(0.5, rng), Dropout(0.5, rng, deterministic=True)])


def main() -> None:
    """Call the model in both modes, and show what its layers still need."""
    rng = np.random.default_rng(0)
    model, x = make_model(rng), rng.normal(size=(4, 8))

    print("What each layer accepts now:\n")
    for layer in model.layers:
        print(f"  {type(layer).__name__:<10}{merged_signature(layer)}")

    print("\nWhat must still be given, and where:\n")
    for path, _, names in find_unset(model):
        print(f"  model{path}: {', '.join(names)}")

    training = model(x, deterministic=False, use_running_average=False)
    evaluating = model(x, deterministic=True, use_running_average=True)
    print("\nEvery layer gets its own flags, from one call:\n")
    print(f"  training:   {np.mean(training == 0):.0%} of the outputs are zero")
    print(f"  evaluating: {np.mean(evaluating == 0):.0%} of the outputs are zero")

    print("\nA flag that nobody gives is an error, not a default:\n")
    try:
        model(x, deterministic=True)
    except MissingParamError as error:
        print(f"  {error}")


if __name__ == "__main__":
    main()
