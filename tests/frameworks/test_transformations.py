"""Transformations of JAX and of its libraries: the same as with the merge by hand."""

import copy
import dataclasses
import functools
from typing import Any

import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    merge_param,
    mergeable,
    provide,
)

jax = pytest.importorskip("jax", reason="jax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
eqx = pytest.importorskip("equinox", reason="equinox is not installed")
hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")
jnp, lax = jax.numpy, jax.lax

X = jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)
KEY = jax.random.key(0)
SIDES = {
    "attribute": ({"gate": True, "gain": 2.0}, {}),
    "call": ({}, {"gate": True, "gain": 2.0}),
    "one of each": ({"gate": True}, {"gain": 2.0}),
}


def merged_by_hand(layer, **given):
    return [merge_param(name, getattr(layer, name), value) for name, value in given.items()]


def merged_already(layer, **given):
    return given.values()


def summed(run):
    """Return a function with one number as its result, to differentiate."""
    return lambda layer, x: run(layer, x).sum()


def over_devices(run):
    """Let every device of the machine take its part of the batch."""
    mesh = jax.make_mesh((1,), ("batch",), (jax.sharding.AxisType.Auto,))
    whole, rows = jax.P(), jax.P("batch")
    return jax.shard_map(run, mesh=mesh, in_specs=(whole, rows), out_specs=rows)


def over_objects(run):
    """Map over a pair of objects that are stacked into one."""

    def mapped(layer, x):
        pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), layer)
        return jax.vmap(run, in_axes=(0, None))(pair, x)

    return mapped


class PlainJax:
    """Pytrees, whose gain is a leaf."""

    sides = SIDES
    data, meta = ("weight", "gain"), ("gate",)

    def define(self, default, merge):
        """Return a class whose gate is a flag and whose gain is a number."""

        @functools.partial(
            jax.tree_util.register_dataclass, data_fields=self.data, meta_fields=self.meta
        )
        @dataclasses.dataclass
        class Layer:
            weight: Any
            gate: Any = None
            gain: Any = None

            def __call__(self, x, gate=default, gain=default):
                gate, gain = merge(self, gate=gate, gain=gain)
                return jnp.tanh(x @ self.weight) * gain if gate else x

        return Layer

    def prepare(self, cls, transform, held, given):
        """Return a function of arrays that calls a transformed layer, and its arguments."""
        weight = jnp.linspace(-1.0, 1.0, 16).reshape(4, 4)
        return transform(lambda layer, x: layer(x, **given)), (cls(weight, **held), X)

    transformations = {  # noqa: RUF012 - tests only read it
        "nothing": lambda run: run,
        "jit": jax.jit,
        "grad": lambda run: jax.grad(summed(run), argnums=(0, 1)),
        "jit of grad": lambda run: jax.jit(jax.value_and_grad(summed(run))),
        "jvp": lambda run: lambda layer, x: jax.jvp(functools.partial(run, layer), (x,), (x,)),
        "vmap": lambda run: jax.vmap(run, in_axes=(None, 0)),
        "vmap over objects": over_objects,
        "scan": lambda run: (
            lambda layer, x: lax.scan(lambda n, row: (n + 1, run(layer, row)), 0, x)
        ),
        "scan that carries the object": lambda run: (
            lambda layer, x: lax.scan(lambda held, row: (held, run(held, row)), layer, x)[1]
        ),
        "cond": lambda run: lambda layer, x: lax.cond(x.sum() > 0, run, run, layer, x),
        "checkpoint": lambda run: jax.grad(summed(jax.checkpoint(run))),
        "shard_map": over_devices,
    }


class PlainJaxWithoutLeaves(PlainJax):
    """Pytrees, whose gain is metadata."""

    data, meta = ("weight",), ("gate", "gain")


def stacked(run):
    """Scan over a stack of three copies of a layer."""

    def scanned(layer, x):
        graph, state = nnx.split(layer)
        stack = nnx.merge(graph, jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), state))
        axes = {"in_axes": (nnx.Carry, 0), "out_axes": nnx.Carry}
        return nnx.scan(lambda x, layer: run(layer, x), **axes)(x, stack)

    return scanned


class NNX:
    """Modules of Flax NNX, whose gain may be a variable."""

    sides = SIDES | {"variable": ({"gate": True, "gain": nnx.Param(jnp.array(2.0))}, {})}

    def define(self, default, merge):
        """Return a class whose gate is a flag and whose gain is a number."""

        class Layer(nnx.Module):
            def __init__(self, *, gate=None, gain=None):
                self.linear = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
                self.gate = gate
                self.gain = nnx.data(gain)

            def __call__(self, x, gate=default, gain=default):
                gate, gain = merge(self, gate=gate, gain=gain)
                return self.linear(x) * gain if gate else x

        return Layer

    def prepare(self, cls, transform, held, given):
        """Return a function of arrays that calls a transformed layer, and its arguments."""
        graph, state = nnx.split(cls(**copy.deepcopy(held)))
        run = transform(lambda layer, x: layer(x, **given))
        return lambda state, x: run(nnx.merge(graph, state), x), (state, X)

    transformations = {  # noqa: RUF012 - tests only read it
        "nothing": lambda run: run,
        "jit": nnx.jit,
        "grad": lambda run: nnx.grad(summed(run), argnums=(0, 1)),
        "vmap": lambda run: nnx.vmap(run, in_axes=(None, 0)),
        "remat": lambda run: nnx.grad(summed(nnx.remat(run))),
        "scan": stacked,
        "cond": lambda run: lambda layer, x: nnx.cond(x.sum() > 0, run, run, layer, x),
    }


def ensemble(run):
    """Map over a pair of modules that are stacked into one."""

    def mapped(layer, x):
        arrays, rest = eqx.partition(layer, eqx.is_array)
        pair = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), arrays)
        axes = (eqx.if_array(0), None)
        return eqx.filter_vmap(run, in_axes=axes)(eqx.combine(pair, rest), x)

    return mapped


class Equinox:
    """Modules of Equinox, whose gain is an array."""

    sides = SIDES | {
        "attribute": ({"gate": True, "gain": jnp.array(2.0)}, {}),
        "call": ({}, {"gate": True, "gain": jnp.array(2.0)}),
    }

    def define(self, default, merge):
        """Return a class whose gate is a flag and whose gain is a number."""

        class Layer(eqx.Module):
            linear: eqx.nn.Linear
            gate: Any = None
            gain: Any = None

            def __call__(self, x, gate=default, gain=default):
                gate, gain = merge(self, gate=gate, gain=gain)
                return jax.vmap(self.linear)(x) * gain if gate else x

        return Layer

    def prepare(self, cls, transform, held, given):
        """Return a function of arrays that calls a transformed layer, and its arguments."""
        layer = cls(eqx.nn.Linear(4, 4, key=KEY), **held)
        arrays, rest = eqx.partition(layer, eqx.is_array)
        run = transform(lambda layer, x: layer(x, **given))

        def call(arrays, x):
            return eqx.filter(run(eqx.combine(arrays, rest), x), eqx.is_array)

        return call, (arrays, X)

    transformations = {  # noqa: RUF012 - tests only read it
        "nothing": lambda run: run,
        "filter_jit": eqx.filter_jit,
        "filter_grad": lambda run: eqx.filter_grad(summed(run)),
        "jit of grad": lambda run: eqx.filter_jit(eqx.filter_value_and_grad(summed(run))),
        "filter_vmap": ensemble,
        "filter_checkpoint": lambda run: eqx.filter_grad(summed(eqx.filter_checkpoint(run))),
        "filter_closure_convert": lambda run: (
            lambda layer, x: eqx.filter_closure_convert(run, layer, x)(layer, x)
        ),
        "filter_make_jaxpr": lambda run: (
            lambda layer, x: eqx.filter_make_jaxpr(run)(layer, x) and run(layer, x)
        ),
    }


def in_a_method(run):
    """Run the layer in a method of another module."""

    class Outer(hk.Module):
        def encode(self, x):
            return run(x)

    return lambda x: Outer().encode(x)


class Haiku:
    """Modules of Haiku, which need random numbers where their gate is open."""

    sides = SIDES

    def define(self, default, merge):
        """Return a class whose gate is a flag and whose gain is a number."""

        class Layer(hk.Module):
            def __init__(self, gate=None, gain=None):
                super().__init__()
                self.gate, self.gain = gate, gain

            def __call__(self, x, gate=default, gain=default):
                gate, gain = merge(self, gate=gate, gain=gain)
                x = jnp.tanh(hk.Linear(4)(x))
                return hk.dropout(hk.next_rng_key(), 0.5, x) * gain if gate else x

        return Layer

    def prepare(self, cls, transform, held, given):
        """Return a function of arrays that calls a transformed layer, and its arguments."""
        init, apply = hk.transform(lambda x: transform(lambda x: cls(**held)(x, **given))(x))

        def train(key, x):
            params = init(key, x)
            return params, jax.value_and_grad(lambda params: apply(params, key, x).sum())(params)

        return train, (KEY, X)

    transformations = {  # noqa: RUF012 - tests only read it
        "nothing": lambda run: run,
        "remat": hk.remat,
        "grad": lambda run: hk.grad(lambda x: run(x).sum()),
        "vmap": lambda run: lambda x: hk.vmap(run, split_rng=not hk.running_init())(x),
        "map": lambda run: lambda x: run(x) if hk.running_init() else hk.map(run, x),
        "cond": lambda run: (
            lambda x: run(x) if hk.running_init() else hk.cond(x.sum() > 0, run, jnp.negative, x)
        ),
        "scan": lambda run: (
            lambda x: (
                run(x)
                if hk.running_init()
                else hk.scan(lambda c, _: (run(c), None), x, None, length=1)[0]
            )
        ),
        "layer_stack": hk.experimental.layer_stack(3),
        "a method of another module": in_a_method,
    }


LIBRARIES = (PlainJax, PlainJaxWithoutLeaves, NNX, Equinox, Haiku)
CASES = [
    pytest.param(library(), name, id=f"{library.__name__}: {name}")
    for library in LIBRARIES
    for name in library.transformations
]


def define(library):
    """Return a layer with the merge by hand, and decorated."""
    merged = mergeable("gate", "gain")(library.define(MERGED, merged_already))
    return library.define(None, merged_by_hand), merged


def prepare(library, cls, name, held, given):
    """Return a function that calls a transformed layer, and its arguments."""
    return library.prepare(cls, library.transformations[name], held, given)


def compute(library, name, run, arguments):
    """Return the numbers; step by step, Haiku takes seconds for most of its transformations."""
    is_quick = library.__class__ is not Haiku or name == "nothing"
    return jax.tree.leaves(run(*arguments)) if is_quick else []


def observe(library, cls, name, held, given):
    """Return what a transformed layer computes, how, and in which form."""
    run, arguments = prepare(library, cls, name, held, given)
    jaxpr, form = jax.make_jaxpr(run, return_shape=True)(*arguments)
    values = compute(library, name, run, arguments)
    return values, str(jaxpr), jax.tree_util.tree_leaves_with_path(form)


@pytest.mark.parametrize(("library", "name"), CASES)
def test_same_as_by_hand(library, name, inject):
    """Values, gradients and jaxprs are those of the merge by hand, from either side."""
    by_hand, merged = define(library)

    for held, given in library.sides.values():
        expected, *traced_by_hand = observe(library, by_hand, name, held, given)
        actual, *traced = observe(library, merged, name, held, given)
        assert all(map(jnp.array_equal, expected, actual))
        assert len(expected) == len(actual)
        assert traced_by_hand == traced


@pytest.mark.parametrize(("library", "name"), CASES)
def test_errors_come_out(library, name, inject):
    """Neither and both are the same errors as without a transformation."""
    _, merged = define(library)

    with pytest.raises(MissingParamError, match=r"Layer\(\.\.\., gain=\.\.\.\)"):
        observe(library, merged, name, {"gate": True}, {})
    with pytest.raises(ConflictingParamError):
        observe(library, merged, name, {"gate": True, "gain": 2.0}, {"gate": True})


@pytest.mark.parametrize(
    ("library", "name"), [case for case in CASES if not isinstance(case.values[0], PlainJax)]
)
def test_provided_values_are_part_of_the_trace(library, name, inject):
    """What is provided holds for one call, not for the next, whatever was traced before."""
    by_hand, merged = define(library)
    run, arguments = prepare(library, merged, name, {"gate": True}, {})
    jitted = jax.jit(run)
    expected = {}
    for gain in (2.0, 5.0):
        given, same = prepare(library, by_hand, name, {"gate": True}, {"gain": gain})
        jaxpr = str(jax.jit(given).trace(*same).jaxpr)
        expected[gain] = jaxpr, compute(library, name, given, same)

    for gain in (2.0, 5.0, 2.0):
        jaxpr, values = expected[gain]
        with provide(gain=gain):
            assert jaxpr == str(jitted.trace(*arguments).jaxpr)
            assert all(map(jnp.array_equal, values, compute(library, name, run, arguments)))
    for call in (run, jitted):
        with pytest.raises(MissingParamError):
            call(*arguments)
