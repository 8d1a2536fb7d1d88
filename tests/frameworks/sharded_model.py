"""A merged model and the same by hand, on a mesh of eight devices; prints a report as JSON.

It is a script of its own, because XLA makes devices of a host only before JAX starts.
"""

import dataclasses
import functools
import json
import sys

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding

from mergeparam import MERGED, MergeError, merge_param, mergeable

BATCH, WIDTH = 16, 32
MESH = jax.make_mesh((4, 2), ("data", "model"), (AxisType.Auto, AxisType.Auto))
WHOLE, ROWS = jax.P(), jax.P("data")


def register(cls):
    """Make a pytree of a layer's class; its flag is static."""
    cls = dataclasses.dataclass(cls)
    return jax.tree_util.register_dataclass(cls, ["rate", "gain"], ["deterministic"])


def drop(x, key, rate, gain):
    """Return what dropout makes of `x`, scaled."""
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), 0) * gain


@mergeable("deterministic", "gain")
@register
class Merged:
    """Dropout with a gain for each row."""

    rate: jax.Array
    gain: jax.Array | None = None
    deterministic: bool | None = None

    def __call__(self, x, key, *, deterministic: bool = MERGED, gain: jax.Array = MERGED):
        """Drop, unless it is deterministic."""
        return x * gain if deterministic else drop(x, key, self.rate, gain)


@register
class ByHand:
    """The same, merged as Flax merges it."""

    rate: jax.Array
    gain: jax.Array | None = None
    deterministic: bool | None = None

    def __call__(self, x, key, *, deterministic=None, gain=None):
        """Drop, unless it is deterministic."""
        deterministic = merge_param("deterministic", self.deterministic, deterministic)
        gain = merge_param("gain", self.gain, gain)
        return x * gain if deterministic else drop(x, key, self.rate, gain)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["first", "layer", "last"], meta_fields=[]
)
@dataclasses.dataclass
class Model:
    """Two matrices with the layer between them."""

    first: jax.Array
    layer: Merged | ByHand
    last: jax.Array

    def __call__(self, x, key, **given):
        """Hand what is given on to the layer."""
        return self.layer(jnp.tanh(x @ self.first), key, **given) @ self.last


def on(spec):
    """Return where an array lies that is split along the mesh as `spec` says."""
    return NamedSharding(MESH, spec)


def make(cls, side, *, deterministic):
    """Return a model of that layer, and what is to be given in the call."""
    first, last, gain = (
        jax.random.normal(jax.random.key(seed), shape)
        for seed, shape in enumerate([(WIDTH, 2 * WIDTH), (2 * WIDTH, WIDTH), (BATCH, 1)])
    )
    flags = {"deterministic": deterministic, "gain": gain}
    held, given = (flags, {}) if side == "attribute" else ({}, flags)
    return Model(first, cls(jnp.float32(0.5), **held), last), given


def shardings(model):
    """Return where the parts of a model lie: the matrices split along the model axis."""
    split = {".first": jax.P(None, "model"), ".last": jax.P("model", None), ".layer.gain": ROWS}
    return jax.tree_util.tree_map_with_path(
        lambda path, _: on(split.get(jax.tree_util.keystr(path), WHOLE)), model
    )


def call(model, x, key, given, static):
    """Call the model with what is traced and what is static."""
    return model(x, key, **given, **dict(static))


def loss(model, x, key, given, static):
    """Return one number, to differentiate."""
    return (call(model, x, key, given, static) ** 2).sum()


def jitted(*_):
    """Shardings follow from those of the arguments."""
    return jax.jit(call, static_argnums=4)


def jitted_with_shardings(model, given):
    """Shardings are said to `jit`."""
    inputs = shardings(model), on(ROWS), on(WHOLE), {name: on(ROWS) for name in given}
    return jax.jit(call, static_argnums=4, in_shardings=inputs, out_shardings=on(ROWS))


def differentiated(*_):
    """Gradients are taken of the weights."""
    return jax.jit(jax.value_and_grad(loss), static_argnums=4)


def mapped(model, given):
    """Every device calls the model on the rows that it has."""
    specs = jax.tree.map(lambda _: WHOLE, model)
    if model.layer.gain is not None:
        specs.layer.gain = ROWS

    def run(model, x, key, given, static):
        return jax.shard_map(
            lambda *args: call(*args, static),
            mesh=MESH,
            in_specs=(specs, ROWS, WHOLE, dict.fromkeys(given, ROWS)),
            out_specs=ROWS,
        )(model, x, key, given)

    return jax.jit(run, static_argnums=4)


MODES = {
    "jit": jitted,
    "jit with shardings": jitted_with_shardings,
    "grad": differentiated,
    "shard_map": mapped,
}


def lower(cls, mode, side, *, spread):
    """Return the program of a model, and its arguments."""
    # In a `shard_map`, each device would draw numbers for its own rows.
    model, given = make(cls, side, deterministic=mode == "shard_map")
    x, key = jnp.linspace(-1.0, 1.0, BATCH * WIDTH).reshape(BATCH, WIDTH), jax.random.key(9)
    static = tuple((name, given.pop(name)) for name in list(given) if name == "deterministic")
    if spread:
        model = jax.device_put(model, shardings(model))
        x, given = jax.device_put((x, given), on(ROWS))
        run = MODES[mode](model, given)
    else:
        run = jax.jit(jax.value_and_grad(loss) if mode == "grad" else call, static_argnums=4)
    return run.lower(model, x, key, given, static), (model, x, key, given)


def compare(mode, side):
    """Return whether the merged model on eight devices is the one by hand, there and on one."""
    program_by_hand, _ = lower(ByHand, mode, side, spread=True)
    program, arguments = lower(Merged, mode, side, spread=True)
    program_for_one, arguments_for_one = lower(ByHand, mode, side, spread=False)
    expected = jax.tree.leaves(program_for_one.compile()(*arguments_for_one))
    actual = jax.tree.leaves(program.compile()(*arguments))
    return {
        "same program": program_by_hand.as_text() == program.as_text(),
        "same results": all(
            jnp.allclose(jax.device_get(one), jax.device_get(other), rtol=1e-4, atol=1e-4)
            for one, other in zip(expected, actual, strict=True)
        ),
        "devices": sorted({len(leaf.sharding.device_set) for leaf in actual}),
    }


@mergeable("gain")
class Echo:
    """A layer that returns its merged array."""

    def __init__(self, gain=None):
        """Keep the array."""
        self.gain = gain

    def __call__(self, *, gain=MERGED):
        """Return it."""
        return gain


def error_of(run):
    """Return the name of the error that a call raises."""
    try:
        run()
    except MergeError as error:
        return type(error).__name__
    return None


def main():
    """Print the report."""
    spread = jax.device_put(jnp.ones((BATCH, 1)), on(ROWS))
    forgotten, _ = make(Merged, "call", deterministic=True)
    both, _ = make(Merged, "attribute", deterministic=True)
    arguments = jnp.ones((BATCH, WIDTH)), jax.random.key(0)
    report = {
        mode: {side: compare(mode, side) for side in ("attribute", "call")} for mode in MODES
    }
    report["devices"] = jax.device_count()
    report["the very array"] = [Echo(spread)() is spread, Echo()(gain=spread) is spread]
    report["errors"] = [
        error_of(lambda: Echo(spread)(gain=spread)),
        error_of(lambda: jitted()(forgotten, *arguments, {}, ())),
        error_of(lambda: jitted()(both, *arguments, {"gain": spread}, ())),
    ]
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
