"""Conditions, defaults that stay unset and modes, under `torch.compile` and `jax.jit`."""

import functools

import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    mergeable,
    merged_signature,
    provide,
    route,
)


def is_used(layer):
    return layer.rate > 0


PARAMS = (
    Param("quiet", when=is_used, otherwise=True),
    Param("scale", on_conflict="use_call", default=None),
    Param("shift", unset=UNSET, attribute_unset=None, on_conflict="use_call", default=1.0),
)


def define(base, method, **options):
    """Return a layer that merges under a condition, and in whose body all is seen."""

    class Layer(base):
        def __init__(self, rate, quiet=None):
            super().__init__()
            self.rate, self.quiet, self.scale, self.shift = rate, quiet, None, None

        def call(self, x, *, quiet=MERGED, scale=MERGED, shift=MERGED):
            y = x if quiet else x * (1 - self.rate)
            y = y if scale is None else y * scale
            return y if shift is None else y + shift

    setattr(Layer, method, Layer.call)
    return mergeable(*PARAMS, method=method, **options)(Layer)


CALLS = [
    ((0.0, None), {}, 9.0),
    ((0.0, False), {"quiet": False}, 9.0),
    ((0.5, True), {}, 9.0),
    ((0.5, None), {"quiet": False, "scale": 3.0}, 13.0),
    ((0.5, None), {"quiet": False, "shift": None}, 4.0),
    ((0.5, None), {}, MissingParamError),
    ((0.5, True), {"quiet": True}, ConflictingParamError),
]


@pytest.mark.parametrize(("made", "given", "expected"), CALLS)
@pytest.mark.parametrize("options", [{}, {"provide": True}])
def test_jax(made, given, expected, options, inject):
    """A trace sees what a call does, and is made anew where the object differs."""
    jax = pytest.importorskip("jax", reason="jax is not installed")
    layer = define(object, "__call__", **options)(*made)
    call = jax.jit(functools.partial(layer, **given))

    if isinstance(expected, float):
        assert expected == call(jax.numpy.float32(8.0))
        with provide(quiet=False):
            assert expected == call(jax.numpy.float32(8.0))
    else:
        with pytest.raises(expected, match="quiet"):
            call(jax.numpy.float32(8.0))


@pytest.mark.parametrize(("made", "given", "expected"), CALLS)
def test_torch(made, given, expected, inject):
    """Dynamo traces the condition without breaking the graph."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch._dynamo.reset()
    layer = define(torch.nn.Module, "forward")(*made)
    call = torch.compile(layer, backend="eager", fullgraph=True)

    if isinstance(expected, float):
        assert expected == call(torch.tensor(8.0), **given).item()
    else:
        with pytest.raises(torch._dynamo.exc.Unsupported, match=f"{expected.__name__}.*'quiet'"):
            call(torch.tensor(8.0), **given)


def test_torch_compiles_anew_for_another_object(inject):
    """What the condition has read of the object is guarded."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch._dynamo.reset()
    layer = define(torch.nn.Module, "forward")(0.0, False)
    call = torch.compile(layer, backend="eager", fullgraph=True)

    assert 9.0 == call(torch.tensor(8.0)).item()
    layer.rate = 0.5
    assert 5.0 == call(torch.tensor(8.0)).item()


# The mode of PyTorch.


def module(param, **options):
    """Return a module that merges a parameter in `forward`."""
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Module(torch.nn.Module):
        def forward(self, *, training=MERGED):
            return training

    return mergeable(param, method="forward", **options)(Module)


@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_attribute"])
@pytest.mark.parametrize("attribute", ["training", "_buffers"])
def test_mode_that_no_call_could_set(policy, attribute, inject):
    """`nn.Module` sets it in every object, so only `use_call` can be meant."""
    match = rf"forward\(\) merges 'training' with self.{attribute}, .*train\(\) and eval.*use_call"
    with pytest.raises(MergeDefinitionError, match=match):
        module(Param("training", attribute=attribute, on_conflict=policy))


def test_mode_that_a_call_overrules(inject):
    """A call comes before the mode; introspection needs nothing, and nothing provided counts."""
    layer = module("training", on_conflict="use_call")()

    assert [True, False] == [layer(), layer(training=False)]
    assert [False, True] == [layer.eval()(), layer(training=True)]
    assert ("(*, training=None)", {}) == (
        str(merged_signature(layer, "forward")),
        route(layer, training=True),
    )
    with provide(training=True):
        assert layer() is False
