"""A transformer encoder, and three ways for a flag to reach every dropout in it.

The flag is passed by hand through every layer, with `provide` around the call, or with
`provide=True` on the encoder. All three use the same dropouts and give the same numbers. The
script uses JAX if it is installed, and NumPy otherwise. Run it:

    python examples/transformer.py [--layers 12]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
from typing import Any, NamedTuple, TypeAlias

import attrs
import numpy as np
from sklearn.datasets import load_digits

from mergeparam import MERGED, MissingParamError, mergeable, provide

jax: Any
xp: Any
try:
    jax, xp = (importlib.import_module(name) for name in ("jax", "jax.numpy"))
except ImportError:
    jax, xp = None, np
WITH_JAX = jax is not None

Array: TypeAlias = Any
Key: TypeAlias = Any
"""The seed of random numbers; the same key gives the same numbers."""

TOKENS, PIXELS, WIDTH, HEADS = 8, 8, 32, 4
DROP_RATE = 0.1
TRAINING_IMAGES = 1400
FLAG = "deterministic"


def make_key(seed: int) -> Key:
    """Return the key from which all others are derived."""
    return jax.random.key(seed) if WITH_JAX else np.random.SeedSequence(seed)


def fold_in(key: Key, number: int) -> Key:
    """Derive a key, a different one for each number."""
    if WITH_JAX:
        return jax.random.fold_in(key, number)
    return np.random.SeedSequence(key.entropy, spawn_key=(*key.spawn_key, number))


def uniform(key: Key, shape: tuple[int, ...]) -> Array:
    """Return random numbers between 0 and 1."""
    return jax.random.uniform(key, shape) if WITH_JAX else np.random.default_rng(key).random(shape)


# The layers that all three ways share.


@mergeable("deterministic")
@attrs.frozen
class Dropout:
    """Set some of the numbers to zero."""

    rate: float
    deterministic: bool | None = None

    def __call__(self, x: Array, key: Key, *, deterministic: bool = MERGED) -> Array:
        """Return the rest, scaled up."""
        if deterministic:
            return x
        return x * (uniform(key, x.shape) >= self.rate) / (1 - self.rate)


@mergeable("deterministic")
@attrs.frozen
class DropPath:
    """Drop a whole branch for some of the images: stochastic depth."""

    rate: float
    deterministic: bool | None = None

    def __call__(self, x: Array, key: Key, *, deterministic: bool = MERGED) -> Array:
        """Return the rest, scaled up."""
        if deterministic:
            return x
        return x * (uniform(key, (len(x), 1, 1)) >= self.rate) / (1 - self.rate)


@attrs.frozen(eq=False)
class Dense:
    """Multiply by a matrix, and add a bias."""

    kernel: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Return the product plus the bias."""
        return x @ self.kernel + self.bias


def layer_norm(x: Array) -> Array:
    """Scale every token to mean 0 and variance 1."""
    return (x - x.mean(axis=-1, keepdims=True)) / xp.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)


def attend(projected: Array) -> tuple[Array, Array]:
    """Return the attention weights and the values of each head."""
    images, tokens, _ = projected.shape
    split = projected.reshape(images, tokens, 3, HEADS, -1).transpose(2, 0, 3, 1, 4)
    queries, keys, values = split
    scores = queries @ keys.swapaxes(-1, -2) / np.sqrt(queries.shape[-1])
    exp = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True), values


def join_heads(x: Array) -> Array:
    """Put the heads of every token side by side."""
    images, _, tokens, _ = x.shape
    return x.transpose(0, 2, 1, 3).reshape(images, tokens, -1)


# First way: every layer takes the flag and passes it on.


@attrs.frozen(eq=False)
class AttentionByHand:
    """Let every token look at the others."""

    project: Dense
    dropout: Dropout
    output: Dense

    def __call__(self, x: Array, key: Key, *, deterministic: bool) -> Array:
        """Return the tokens after attention."""
        weights, values = attend(self.project(x))
        weights = self.dropout(weights, key, deterministic=deterministic)
        return self.output(join_heads(weights @ values))


@attrs.frozen(eq=False)
class MlpByHand:
    """Transform each token on its own."""

    expand: Dense
    dropout: Dropout
    output: Dense

    def __call__(self, x: Array, key: Key, *, deterministic: bool) -> Array:
        """Return the transformed tokens."""
        hidden = xp.maximum(self.expand(x), 0)
        return self.output(self.dropout(hidden, key, deterministic=deterministic))


@attrs.frozen(eq=False)
class BlockByHand:
    """Add attention and an MLP to the tokens."""

    attention: AttentionByHand
    mlp: MlpByHand
    drop_path: DropPath

    def __call__(self, x: Array, key: Key, *, deterministic: bool) -> Array:
        """Return the tokens after both."""
        branches: tuple[AttentionByHand | MlpByHand, ...] = self.attention, self.mlp
        for number, branch in enumerate(branches):
            branch_key = fold_in(key, number)
            change = branch(layer_norm(x), fold_in(branch_key, 0), deterministic=deterministic)
            x = x + self.drop_path(change, fold_in(branch_key, 1), deterministic=deterministic)
        return x


@attrs.frozen(eq=False)
class EncoderByHand:
    """Embed the tokens, and run all blocks."""

    embed: Dense
    blocks: tuple[BlockByHand, ...]

    def __call__(self, x: Array, key: Key, *, deterministic: bool) -> Array:
        """Return the encoded tokens."""
        x = self.embed(x)
        for number, block in enumerate(self.blocks):
            x = block(x, fold_in(key, number), deterministic=deterministic)
        return layer_norm(x)


def call_by_hand(encoder: EncoderByHand, x: Array, key: Key, *, train: bool) -> Array:
    """Give the flag to the outermost layer, which passes it on."""
    return encoder(x, key, deterministic=not train)


# Second way: no layer in between knows the flag; the caller provides it.


@attrs.frozen(eq=False)
class Attention:
    """Let every token look at the others."""

    project: Dense
    dropout: Dropout
    output: Dense

    def __call__(self, x: Array, key: Key) -> Array:
        """Return the tokens after attention."""
        weights, values = attend(self.project(x))
        return self.output(join_heads(self.dropout(weights, key) @ values))


@attrs.frozen(eq=False)
class Mlp:
    """Transform each token on its own."""

    expand: Dense
    dropout: Dropout
    output: Dense

    def __call__(self, x: Array, key: Key) -> Array:
        """Return the transformed tokens."""
        return self.output(self.dropout(xp.maximum(self.expand(x), 0), key))


@attrs.frozen(eq=False)
class Block:
    """Add attention and an MLP to the tokens."""

    attention: Attention
    mlp: Mlp
    drop_path: DropPath

    def __call__(self, x: Array, key: Key) -> Array:
        """Return the tokens after both."""
        branches: tuple[Attention | Mlp, ...] = self.attention, self.mlp
        for number, branch in enumerate(branches):
            branch_key = fold_in(key, number)
            change = branch(layer_norm(x), fold_in(branch_key, 0))
            x = x + self.drop_path(change, fold_in(branch_key, 1))
        return x


@attrs.frozen(eq=False)
class Encoder:
    """Embed the tokens, and run all blocks."""

    embed: Dense
    blocks: tuple[Block, ...]

    def __call__(self, x: Array, key: Key) -> Array:
        """Return the encoded tokens."""
        x = self.embed(x)
        for number, block in enumerate(self.blocks):
            x = block(x, fold_in(key, number))
        return layer_norm(x)


def call_with_provide(encoder: Encoder, x: Array, key: Key, *, train: bool) -> Array:
    """Provide the flag to all calls inside."""
    with provide(deterministic=not train):
        return encoder(x, key)


# Third way: the encoder takes the flag as its leaves do, and provides it to all calls inside.


@mergeable("deterministic", provide=True)
@attrs.frozen(eq=False)
class ProvidingEncoder:
    """Embed the tokens, and run all blocks."""

    embed: Dense
    blocks: tuple[Block, ...]
    deterministic: bool | None = None

    def __call__(self, x: Array, key: Key, *, deterministic: bool = MERGED) -> Array:  # noqa: ARG002 - provided
        """Return the encoded tokens."""
        x = self.embed(x)
        for number, block in enumerate(self.blocks):
            x = block(x, fold_in(key, number))
        return layer_norm(x)


def call_providing(encoder: ProvidingEncoder, x: Array, key: Key, *, train: bool) -> Array:
    """Give the flag to the encoder, which provides it to all calls inside."""
    return encoder(x, key, deterministic=not train)


class Way(NamedTuple):
    """The classes and the call of one way."""

    name: str
    attention: Any
    mlp: Any
    block: Any
    encoder: Any
    call: Any

    def flag_lines(self) -> list[str]:
        """Return the lines that mention the flag, outside the layers that all ways share."""
        sources = map(inspect.getsource, self[1:])
        return [line for source in sources for line in source.splitlines() if FLAG in line]


WAYS = (
    Way("by hand", AttentionByHand, MlpByHand, BlockByHand, EncoderByHand, call_by_hand),
    Way("provide", Attention, Mlp, Block, Encoder, call_with_provide),
    Way("provide=True", Attention, Mlp, Block, ProvidingEncoder, call_providing),
)


def make_encoder(way: Way, key: Key, layers: int) -> Any:  # noqa: ANN401 - one of three classes
    """Return an untrained encoder; the same key gives the same weights."""

    def dense(name: int, inputs: int, outputs: int) -> Dense:
        kernel = (2 * uniform(fold_in(key, name), (inputs, outputs)) - 1) * np.sqrt(3 / inputs)
        return Dense(kernel, xp.zeros(outputs))

    def block(layer: int) -> Any:  # noqa: ANN401 - one of two classes
        name, dropout = 4 * layer, Dropout(DROP_RATE)
        project, output = dense(name + 1, WIDTH, 3 * WIDTH), dense(name + 2, WIDTH, WIDTH)
        expand, shrink = dense(name + 3, WIDTH, 4 * WIDTH), dense(name + 4, 4 * WIDTH, WIDTH)
        return way.block(
            way.attention(project, dropout, output),
            way.mlp(expand, dropout, shrink),
            DropPath(DROP_RATE * (layer + 1) / layers),
        )

    return way.encoder(dense(0, PIXELS, WIDTH), tuple(map(block, range(layers))))


def difference(one: Array, other: Array) -> float:
    """Return the largest difference between two arrays."""
    return float(xp.abs(one - other).max())


def compare(encoders: list[Any], x: Array, key: Key, *, train: bool) -> Array:
    """Print how much the outputs of the ways differ, and return the first one's."""
    first, *others = (
        way.call(encoder, x, key, train=train) for way, encoder in zip(WAYS, encoders, strict=True)
    )
    mode = "training" if train else "evaluating"
    apart = max(difference(first, other) for other in others)
    print(f"  {mode + ':':<12}max abs difference {apart}")
    return first


def accuracy(features: Array, labels: Array) -> float:
    """Fit a linear head to some of the images; return its accuracy on the others."""
    flat = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    head, *_ = np.linalg.lstsq(flat[:TRAINING_IMAGES], np.eye(10)[labels[:TRAINING_IMAGES]])
    read = (flat[TRAINING_IMAGES:] @ head).argmax(axis=1)
    return float((read == labels[TRAINING_IMAGES:]).mean())


def show_jit(encoder: Encoder, x: Array, key: Key, expected: dict[bool, Array]) -> None:
    """Call one jitted function twice under each of two provided values."""
    traced = []

    def encode(x: Array, key: Key) -> Array:
        traced.append(encoder)
        return encoder(x, key)

    jitted = jax.jit(encode)
    apart = []
    for train in (True, False, True, False):
        with provide(deterministic=not train):
            apart.append(difference(expected[train], jitted(x, key)))
    print("\nOne jitted function under both provided values:\n")
    print(f"  traced {len(traced)} times in {len(apart)} calls")
    print(f"  every call gives its own mode's numbers: {max(apart) < 1e-3}")  # noqa: PLR2004 - XLA rounds in another order


def main() -> None:
    """Run all three ways, and show that they differ only in their number of lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=3, help="blocks of the encoder")
    layers = parser.parse_args().layers
    images, labels = load_digits(return_X_y=True)
    x = xp.asarray(images.reshape(-1, TOKENS, PIXELS) / 16)
    key = make_key(0)
    encoders = [make_encoder(way, fold_in(key, 0), layers) for way in WAYS]
    print(
        f"An encoder of {layers} blocks, with {'JAX' if WITH_JAX else 'NumPy'}; "
        f"its tokens are the rows of {len(x)} images of digits.\n"
    )

    print("All three ways give exactly the same numbers:\n")
    modes = {train: compare(encoders, x, fold_in(key, 1), train=train) for train in (True, False)}
    print("\nThe flag matters:\n")
    print(f"  between the modes: max abs difference {difference(modes[True], modes[False]):.3f}")

    print("\nA linear head on top, fitted by least squares, classifies unseen digits:\n")
    print(f"  test accuracy: {accuracy(modes[False], labels):.3f}")

    print(f"\nLines that mention {FLAG!r}, in the classes around the shared layers and the call")
    print("(counted in their source, including signatures):\n")
    for way in WAYS:
        print(f"  {way.name:<13}{len(way.flag_lines()):>3}")

    print("\nThe merged signatures:\n")
    for cls in Dropout, DropPath, ProvidingEncoder:
        print(f"  {cls.__name__}.__call__{inspect.signature(cls.__call__)}")

    if WITH_JAX:
        show_jit(encoders[1], x, fold_in(key, 1), modes)

    print("\nIf nobody gives the flag, that is an error, not a default:\n")
    try:
        encoders[1](x, key)
    except MissingParamError as error:
        print(f"  {error}")


if __name__ == "__main__":
    main()
