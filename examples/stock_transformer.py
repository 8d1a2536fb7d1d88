"""A transformer of Flax Linen's own layers, and not one line that passes a flag on.

`nn.Dropout`, attention and `nn.BatchNorm` need to know whether the model is trained. The model
says nothing of it: training and evaluation each open one `provide`. A second model, which threads
the flag by hand, gives the same numbers. Run it:

    pip install flax scikit-learn mergeparam
    python examples/stock_transformer.py [--steps 100]
"""

from __future__ import annotations

import argparse
import functools
import inspect
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from sklearn.datasets import load_digits

from mergeparam import provide

Array: TypeAlias = Any
Variables: TypeAlias = Any

TOKENS, WIDTH, HEADS, LAYERS, RATE = 8, 32, 4, 2, 0.1
TRAINING_IMAGES, BATCH = 1400, 200
FLAGS = "train", "deterministic", "use_running_average"

training = functools.partial(provide, deterministic=False, use_running_average=False)
evaluation = functools.partial(provide, deterministic=True, use_running_average=True)


class Block(nn.Module):
    """Attention and an MLP, each with dropout."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Return the tokens after both."""
        attend = nn.MultiHeadDotProductAttention(num_heads=HEADS, dropout_rate=RATE)
        x = x + attend(nn.LayerNorm()(x))
        hidden = nn.gelu(nn.Dense(4 * WIDTH)(nn.LayerNorm()(x)))
        return x + nn.Dropout(RATE)(nn.Dense(WIDTH)(hidden))


class Transformer(nn.Module):
    """Reads a digit from the rows of its image."""

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """Return a score for each digit."""
        x = nn.BatchNorm(momentum=0.9)(nn.Dense(WIDTH)(images))
        for layer in range(LAYERS):
            x = nn.remat(Block)(name=f"block_{layer}")(x)
        return nn.Dense(10)(x.mean(axis=1))


class BlockByHand(nn.Module):
    """The same, with the flag in its signature."""

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:  # noqa: FBT001 - remat takes no names
        """Return the tokens after both."""
        attend = nn.MultiHeadDotProductAttention(num_heads=HEADS, dropout_rate=RATE)
        x = x + attend(nn.LayerNorm()(x), deterministic=not train)
        hidden = nn.gelu(nn.Dense(4 * WIDTH)(nn.LayerNorm()(x)))
        return x + nn.Dropout(RATE)(nn.Dense(WIDTH)(hidden), deterministic=not train)


class TransformerByHand(nn.Module):
    """The same, with the flag in its signature."""

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:  # noqa: FBT001 - as in the block
        """Return a score for each digit."""
        norm = nn.BatchNorm(momentum=0.9)
        x = norm(nn.Dense(WIDTH)(images), use_running_average=not train)
        for layer in range(LAYERS):
            block = nn.remat(BlockByHand, static_argnums=2)(name=f"block_{layer}")
            x = block(x, train)
        return nn.Dense(10)(x.mean(axis=1))


def fit(model: nn.Module, steps: int, *flag: bool) -> tuple[Variables, Array, int]:
    """Train a model; return its variables, the last loss, and how often a step was traced.

    Only the model that threads its flag by hand is given one.
    """
    images, labels = digits()
    key, optimizer, traces = jax.random.key(0), optax.adam(3e-3), 0
    variables = model.init({"params": key, "dropout": key}, images[:1], *flag)
    state = optimizer.init(variables["params"])

    @jax.jit
    def step(variables: Variables, state: Any, batch: Any, key: Array) -> Any:  # noqa: ANN401 - trees
        nonlocal traces
        traces += 1

        def loss(params: Variables) -> tuple[Array, Variables]:
            images, labels = batch
            scores, changed = model.apply(
                variables | {"params": params},
                images,
                *flag,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
            return losses.mean(), changed

        params = variables["params"]
        (value, changed), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state)
        return changed | {"params": optax.apply_updates(params, updates)}, state, value

    value = jnp.inf
    for number in range(steps):
        start = number * BATCH % TRAINING_IMAGES
        batch = images[start : start + BATCH], labels[start : start + BATCH]
        variables, state, value = step(variables, state, batch, jax.random.fold_in(key, number))
    return variables, value, traces


def digits() -> tuple[Array, Array]:
    """Return images, as rows of pixels, and the digits that they show."""
    images, labels = load_digits(return_X_y=True)
    return jnp.asarray(images).reshape(-1, TOKENS, 8) / 16, jnp.asarray(labels)


def lines_with_flags(*classes: type) -> int:
    """Count the lines of code that mention a flag."""
    lines = [line for cls in classes for line in inspect.getsource(cls).splitlines()]
    code = [line for line in lines if not line.lstrip().startswith('"""')]
    return sum(any(flag in line for flag in FLAGS) for line in code)


def main() -> None:
    """Train both models, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100, help="steps of training")
    steps = parser.parse_args().steps
    images, labels = digits()
    unseen, wanted = images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]
    model, by_hand, traces = Transformer(), TransformerByHand(), 0

    with training():
        variables, loss, steps_traced = fit(model, steps)
    variables_by_hand, loss_by_hand, _ = fit(by_hand, steps, True)  # noqa: FBT003 - see the class
    print(f"loss after {steps} steps:   provided {loss:.6f}, by hand {loss_by_hand:.6f}")

    @jax.jit
    def scores(variables: Variables, images: Array) -> Array:
        nonlocal traces
        traces += 1
        rngs = {"dropout": jax.random.key(2)}
        return model.apply(variables, images, rngs=rngs, mutable=["batch_stats"])[0]

    with evaluation():
        found = scores(variables, unseen)
    expected = by_hand.apply(variables_by_hand, unseen, False)  # noqa: FBT003 - see the class
    print(f"digits read correctly:        {(found.argmax(axis=1) == wanted).mean():.3f}")
    print(f"the same scores as by hand:   {jnp.allclose(found, expected, atol=1e-3)}")

    with training():
        noisy = scores(variables, unseen)
    with evaluation():
        again = scores(variables, unseen)
    print(f"training gives other scores:  {not jnp.allclose(noisy, found, atol=1e-3)}")
    print(f"and evaluation the same ones: {(again == found).all()}")
    print(f"traces of the step of training: {steps_traced}; of the scores in two modes: {traces}")
    print(
        f"lines that mention a flag:    {lines_with_flags(Block, Transformer)} in the model, "
        f"{lines_with_flags(BlockByHand, TransformerByHand)} by hand"
    )

    try:
        scores(variables, unseen)
    except ValueError as error:
        print(f"Outside of every scope Flax says, as ever: {error}")


if __name__ == "__main__":
    main()
