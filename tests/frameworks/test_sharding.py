"""JAX on eight devices of one host: a merged model whose data and weights are spread over them.

This file is run as a script, too, because XLA makes devices of a host only before JAX starts.
"""

import dataclasses
import functools
import json
import os
import subprocess
import sys

import pytest

from mergeparam import MERGED, MergeError, merge_param, mergeable

jax = pytest.importorskip("jax", reason="jax is not installed")
jnp = jax.numpy

DEVICES = 8
MODES = ["jit", "jit with shardings", "grad", "shard_map"]
SIDES = ["attribute", "call"]


@pytest.mark.parametrize("inject", ["inline", "wrap"])
def test_sharding(inject):
    """What is compiled for eight devices is the program of the merge by hand, to the letter.

    It runs on all of them, from either side the body gets the very array, and the errors are
    those of one device.
    """
    environment = os.environ | {
        "MERGEPARAM_INJECT": inject,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}"
        " --xla_backend_optimization_level=0",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    as_by_hand = {side: [True, [DEVICES]] for side in SIDES}
    for mode in MODES:
        assert as_by_hand == report[mode], mode
    assert [True, True] == report["the very array"]
    errors = ["ConflictingParamError", "MissingParamError", "ConflictingParamError"]
    assert errors == report["errors"]


# What the script does.

BATCH, WIDTH = 16, 32
WHOLE, ROWS = jax.P(), jax.P("data")


def as_pytree(data, meta=()):
    """Return a decorator that makes a pytree of a class."""
    return lambda cls: jax.tree_util.register_dataclass(dataclasses.dataclass(cls), data, meta)


def define(default, merge, decorate):
    """Return a model: two matrices with a dropout between them, which has a gain for each row."""

    @decorate
    @as_pytree(["first", "last", "gain"], ["deterministic"])
    class Model:
        first: jax.Array
        last: jax.Array
        gain: jax.Array | None = None
        deterministic: bool | None = None

        def __call__(self, x, key, *, deterministic=default, gain=default):
            deterministic, gain = merge(self, deterministic=deterministic, gain=gain)
            x = jnp.tanh(x @ self.first)
            if not deterministic:
                x = jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)
            return x * gain @ self.last

    return Model


def by_hand(layer, **given):
    """Merge as Flax does."""
    return [merge_param(name, getattr(layer, name), value) for name, value in given.items()]


Merged = define(MERGED, lambda _, **given: given.values(), mergeable("deterministic", "gain"))
ByHand = define(None, by_hand, lambda cls: cls)


@functools.cache
def mesh():
    """Return the devices in two rows."""
    kinds = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((DEVICES // 2, 2), ("data", "model"), kinds)


def on(spec):
    """Return where an array lies that is split along the mesh as `spec` says."""
    return jax.NamedSharding(mesh(), spec)


def make(cls, side, *, deterministic):
    """Return a model whose parts are spread, and what is to be given in the call."""
    shapes = [(WIDTH, 2 * WIDTH), (2 * WIDTH, WIDTH), (BATCH, 1)]
    places = [jax.P(None, "model"), jax.P("model", None), ROWS]
    first, last, gain = (
        jax.device_put(jnp.ones(shape), on(place))
        for shape, place in zip(shapes, places, strict=True)
    )
    flags = {"deterministic": deterministic, "gain": gain}
    held, given = (flags, {}) if side == "attribute" else ({}, flags)
    return cls(first, last, **held), given


def call(model, x, key, given, static):
    """Call the model with what is traced and what is static."""
    return model(x, key, **given, **dict(static))


def prepare(mode, model, given):
    """Return what a mode makes of `call`."""
    if mode == "jit with shardings":
        placed = jax.tree.map(lambda leaf: leaf.sharding, (model, given))
        inputs = placed[0], on(ROWS), on(WHOLE), placed[1]
        return jax.jit(call, static_argnums=4, in_shardings=inputs, out_shardings=on(ROWS))
    if mode == "grad":
        loss = jax.value_and_grad(lambda *arguments: (call(*arguments) ** 2).sum())
        return jax.jit(loss, static_argnums=4)
    if mode == "jit":
        return jax.jit(call, static_argnums=4)
    specs = jax.tree.map(lambda leaf: ROWS if leaf.shape == (BATCH, 1) else WHOLE, (model, given))

    def run(model, x, key, given, static):
        mapped = jax.shard_map(
            functools.partial(call, static=static),
            mesh=mesh(),
            in_specs=(specs[0], ROWS, WHOLE, specs[1]),
            out_specs=ROWS,
        )
        return mapped(model, x, key, given)

    return jax.jit(run, static_argnums=4)


def compare(mode, side):
    """Return whether the merged model's program is the one by hand, and where it runs."""
    programs = []
    for cls in (ByHand, Merged):
        # In a `shard_map`, each device would draw numbers for its own rows.
        model, given = make(cls, side, deterministic=mode == "shard_map")
        static = tuple((name, given.pop(name)) for name in [*given] if name == "deterministic")
        arguments = model, jax.device_put(jnp.ones((BATCH, WIDTH)), on(ROWS)), jax.random.key(9)
        lowered = prepare(mode, model, given).lower(*arguments, given, static)
        programs.append(lowered.as_text())
    results = jax.tree.leaves(lowered.compile()(*arguments, given))
    return programs[0] == programs[1], sorted({len(leaf.sharding.device_set) for leaf in results})


@mergeable("gain")
@dataclasses.dataclass
class Echo:
    """A layer that returns its merged array."""

    gain: object = None

    def __call__(self, *, gain=MERGED):
        """Return it."""
        return gain


def error_of(run, *args, **kwargs):
    """Return the name of the error that a call raises."""
    try:
        return run(*args, **kwargs)
    except MergeError as error:
        return type(error).__name__


def main():
    """Print the report."""
    spread = jax.device_put(jnp.ones((BATCH, 1)), on(ROWS))
    (forgotten, _), (both, _) = (make(Merged, side, deterministic=True) for side in SIDES[::-1])
    jitted = jax.jit(call, static_argnums=4)
    arguments = jnp.ones((BATCH, WIDTH)), jax.random.key(0)
    report = {mode: {side: compare(mode, side) for side in SIDES} for mode in MODES}
    report["the very array"] = [Echo(spread)() is spread, Echo()(gain=spread) is spread]
    report["errors"] = [
        error_of(Echo(spread), gain=spread),
        error_of(jitted, forgotten, *arguments, {}, ()),
        error_of(jitted, both, *arguments, {"gain": spread}, ()),
    ]
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
