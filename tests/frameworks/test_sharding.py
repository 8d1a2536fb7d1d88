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
QUICKLY_COMPILED = "--xla_backend_optimization_level=0"
MODES = ["jit", "jit with shardings", "grad", "shard_map"]
SIDES = ["attribute", "call"]


@pytest.mark.parametrize("inject", ["inline", "wrap"])
def test_sharding(inject):
    """What is compiled for eight devices is the program of the merge by hand, to the letter.

    Results and gradients are those of the model by hand on one device. From either side, the
    body gets the very array, and the errors are those of one device.
    """
    environment = os.environ | {
        "MERGEPARAM_INJECT": inject,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES} {QUICKLY_COMPILED}",
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
    alike = {"same program": True, "same results": True, "devices": [DEVICES]}

    for mode in MODES:
        assert dict.fromkeys(SIDES, alike) == report[mode], mode
    assert DEVICES == report["devices"]
    assert [True, True] == report["the very array"]
    assert ["ConflictingParamError", "MissingParamError", "ConflictingParamError"] == report[
        "errors"
    ]


# What the script does.

BATCH, WIDTH = 16, 32
WHOLE, ROWS = jax.P(), jax.P("data")


def define(default, merge, decorate):
    """Return a class of dropout with a gain for each row; its flag is static."""

    @decorate
    @functools.partial(
        jax.tree_util.register_dataclass,
        data_fields=["rate", "gain"],
        meta_fields=["deterministic"],
    )
    @dataclasses.dataclass
    class Layer:
        rate: jax.Array
        gain: jax.Array | None = None
        deterministic: bool | None = None

        def __call__(self, x, key, *, deterministic=default, gain=default):
            deterministic, gain = merge(self, deterministic=deterministic, gain=gain)
            if deterministic:
                return x * gain
            keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
            return jnp.where(keep, x / (1 - self.rate), 0) * gain

    return Layer


def by_hand(layer, **given):
    """Merge as Flax does."""
    return [merge_param(name, getattr(layer, name), value) for name, value in given.items()]


Merged = define(MERGED, lambda _, **given: given.values(), mergeable("deterministic", "gain"))
ByHand = define(None, by_hand, lambda cls: cls)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["first", "layer", "last"], meta_fields=[]
)
@dataclasses.dataclass
class Model:
    """Two matrices with the layer between them."""

    first: jax.Array
    layer: object
    last: jax.Array

    def __call__(self, x, key, **given):
        """Hand what is given on to the layer."""
        return self.layer(jnp.tanh(x @ self.first), key, **given) @ self.last


@functools.cache
def mesh():
    """Return the devices in two rows."""
    kinds = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((DEVICES // 2, 2), ("data", "model"), kinds)


def on(spec):
    """Return where an array lies that is split along the mesh as `spec` says."""
    return jax.NamedSharding(mesh(), spec)


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


differentiated = jax.value_and_grad(lambda *arguments: (call(*arguments) ** 2).sum())


def prepare(mode, model, given):
    """Return what a mode makes of `call`."""
    if mode == "jit with shardings":
        inputs = shardings(model), on(ROWS), on(WHOLE), {name: on(ROWS) for name in given}
        return jax.jit(call, static_argnums=4, in_shardings=inputs, out_shardings=on(ROWS))
    if mode != "shard_map":
        return jax.jit(differentiated if mode == "grad" else call, static_argnums=4)
    specs = jax.tree.map(lambda _: WHOLE, model)
    if model.layer.gain is not None:
        specs.layer.gain = ROWS

    def run(model, x, key, given, static):
        inputs = specs, ROWS, WHOLE, dict.fromkeys(given, ROWS)
        mapped = functools.partial(call, static=static)
        return jax.shard_map(mapped, mesh=mesh(), in_specs=inputs, out_specs=ROWS)(
            model, x, key, given
        )

    return jax.jit(run, static_argnums=4)


def lower(cls, mode, side, *, spread):
    """Return the program of a model, and its arguments."""
    # In a `shard_map`, each device would draw numbers for its own rows.
    model, given = make(cls, side, deterministic=mode == "shard_map")
    x, key = jnp.linspace(-1.0, 1.0, BATCH * WIDTH).reshape(BATCH, WIDTH), jax.random.key(9)
    static = tuple((name, given.pop(name)) for name in list(given) if name == "deterministic")
    if spread:
        model = jax.device_put(model, shardings(model))
        x, given = jax.device_put((x, given), on(ROWS))
    run = prepare(mode if spread or mode == "grad" else "jit", model, given)
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
@dataclasses.dataclass
class Echo:
    """A layer that returns its merged array."""

    gain: object = None

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
    (forgotten, _), (both, _) = (make(Merged, side, deterministic=True) for side in SIDES[::-1])
    arguments = jnp.ones((BATCH, WIDTH)), jax.random.key(0)
    report = {mode: {side: compare(mode, side) for side in SIDES} for mode in MODES}
    report["devices"] = jax.device_count()
    report["the very array"] = [Echo(spread)() is spread, Echo()(gain=spread) is spread]
    report["errors"] = [
        error_of(lambda: Echo(spread)(gain=spread)),
        error_of(lambda: jax.jit(call, static_argnums=4)(forgotten, *arguments, {}, ())),
        error_of(lambda: jax.jit(call, static_argnums=4)(both, *arguments, {"gain": spread}, ())),
    ]
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
