"""Dropout and BatchNorm in NumPy, in a small residual network that learns to read digits.

The model uses both patterns: `Dropout` is made from a template that gives the flag to the
constructor; `BatchNorm` is made once and gets the flag in every call. Run it:

    python examples/dropout.py
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from mergeparam import MERGED, MergeError, mergeable

Array: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int64]
Pull: TypeAlias = Callable[[Array], Array]
"""The backward pass of a layer: takes the gradient of its output, returns that of its input."""

TRAINING_IMAGES, EPOCHS, BATCH, STEP = 1400, 10, 50, 0.2


@mergeable("deterministic")
@attrs.frozen
class Dropout:
    """Drop some of the inputs while training, so that the model relies on no single one."""

    rate: float
    rng: np.random.Generator
    deterministic: bool | None = None

    def __call__(self, x: Array, *, deterministic: bool = MERGED) -> tuple[Array, Pull]:
        """Return the output and the backward pass."""
        if deterministic:  # a bool, never None: merged from the constructor and the call
            return x, lambda grad: grad
        keep = (self.rng.random(x.shape) >= self.rate) / (1 - self.rate)
        return x * keep, lambda grad: grad * keep


@attrs.define(eq=False)
class Weight:
    """An array that training changes."""

    value: Array
    grad: Array = attrs.field(init=False)


@mergeable("use_running_average")
@attrs.define(eq=False)
class BatchNorm:
    """Normalise each feature: by the batch while training, by a running average afterwards."""

    scale: Weight
    bias: Weight
    mean: Array = attrs.field(factory=lambda: np.zeros(()))
    var: Array = attrs.field(factory=lambda: np.ones(()))
    use_running_average: bool | None = None

    def __call__(self, x: Array, *, use_running_average: bool = MERGED) -> tuple[Array, Pull]:
        """Return the output and the backward pass."""
        mean, var = self.mean, self.var
        if not use_running_average:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.var = 0.9 * self.var + 0.1 * var
        std: Array = np.sqrt(var + 1e-5)
        normed = (x - mean) / std

        def pull(grad: Array) -> Array:
            self.scale.grad, self.bias.grad = (grad * normed).sum(axis=0), grad.sum(axis=0)
            grad = grad * self.scale.value / std
            if not use_running_average:  # mean and var depend on x too
                grad = grad - grad.mean(axis=0) - normed * (grad * normed).mean(axis=0)
            return grad

        return normed * self.scale.value + self.bias.value, pull


def dense(x: Array, kernel: Weight) -> tuple[Array, Pull]:
    """Multiply by a matrix; return the output and the backward pass."""

    def pull(grad: Array) -> Array:
        kernel.grad = x.T @ grad
        return grad @ kernel.value.T

    return x @ kernel.value, pull


@attrs.frozen
class ResidualBlock:
    """Add a hidden layer to the input. Only the template knows whether the model is training."""

    kernel: Weight
    dropout: Callable[[], Dropout]

    def __call__(self, x: Array) -> tuple[Array, Pull]:
        """Return the output and the backward pass."""
        hidden, pull_dense = dense(x, self.kernel)
        dropped, pull_dropout = self.dropout()(np.maximum(hidden, 0))
        return x + dropped, lambda grad: grad + pull_dense(pull_dropout(grad) * (hidden > 0))


@attrs.frozen
class Model:
    """Both patterns: a template for the dropouts, and a norm that gets its flag in the call."""

    rng: np.random.Generator
    drop_rate: float
    norm: BatchNorm
    hidden: tuple[Weight, ...]
    head: Weight

    def __call__(self, x: Array, *, train: bool) -> tuple[Array, Pull]:
        """Return ten scores for every image, and the backward pass."""
        dropout = partial(Dropout, self.drop_rate, self.rng, deterministic=not train)
        x, pull_norm = self.norm(x, use_running_average=not train)
        pulls = [pull_norm]
        for kernel in self.hidden:
            x, pull_block = ResidualBlock(kernel, dropout)(x)
            pulls.append(pull_block)
        scores, pull_head = dense(x, self.head)

        def pull(grad: Array) -> Array:
            for pull_layer in (pull_head, *reversed(pulls)):
                grad = pull_layer(grad)
            return grad

        return scores, pull

    def weights(self) -> list[Weight]:
        """Return everything that training changes."""
        return [self.norm.scale, self.norm.bias, *self.hidden, self.head]


def make_model(rng: np.random.Generator, pixels: int = 64, digits: int = 10) -> Model:
    """Return an untrained model."""
    norm = BatchNorm(Weight(np.ones(pixels)), Weight(np.zeros(pixels)))
    hidden = tuple(Weight(rng.normal(0, 0.1, (pixels, pixels))) for _ in range(2))
    return Model(rng, 0.1, norm, hidden, Weight(rng.normal(0, 0.1, (pixels, digits))))


def learn(model: Model, images: Array, labels: Labels) -> None:
    """Run gradient descent on the cross-entropy, one step for each batch."""
    for _ in range(EPOCHS):
        for batch in np.split(model.rng.permutation(len(images)), len(images) // BATCH):
            scores, pull = model(images[batch], train=True)
            exp = np.exp(scores - scores.max(axis=1, keepdims=True))
            right = np.eye(10)[labels[batch]]
            pull((exp / exp.sum(axis=1, keepdims=True) - right) / BATCH)
            for weight in model.weights():
                weight.value -= STEP * weight.grad


def accuracy(model: Model, images: Array, labels: Labels) -> float:
    """Return the fraction of images that the model classifies correctly."""
    scores, _ = model(images, train=False)
    return float((scores.argmax(axis=1) == labels).mean())


def show_error(source: str, call: Callable[[], object]) -> None:
    """Print a call as in a Python session, and the error that it raises."""
    try:
        call()
    except MergeError as error:
        print(f">>> {source}", *traceback.format_exception_only(error), sep="\n")


def main() -> None:
    """Train, evaluate, and show the merged signatures and the errors."""
    rng = np.random.default_rng(0)
    images, labels = load_digits(return_X_y=True)
    images = images / 16
    train, test = np.split(rng.permutation(len(images)), [TRAINING_IMAGES])
    model = make_model(rng)
    learn(model, images[train], labels[train])
    print(f"A residual network, trained on {len(train)} digits for {EPOCHS} epochs:\n")
    print(f"train accuracy: {accuracy(model, images[train], labels[train]):.3f}")
    print(f"test accuracy:  {accuracy(model, images[test], labels[test]):.3f}")

    print("\nThe merged signatures:\n")
    for layer in Dropout, BatchNorm:
        print(f"{layer.__name__}.__call__{inspect.signature(layer.__call__)}")

    print("\nSetting the flag in neither place, or in both, is an error:\n")
    x = images[:1]
    unset, fixed = Dropout(0.1, rng), Dropout(0.1, rng, deterministic=True)
    show_error("Dropout(0.1, rng)(x)", lambda: unset(x))
    show_error(
        "Dropout(0.1, rng, deterministic=True)(x, deterministic=False)",
        lambda: fixed(x, deterministic=False),
    )


if __name__ == "__main__":
    main()
