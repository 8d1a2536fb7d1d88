"""PyTorch: merged modules in everything that holds, copies, wraps and scripts modules."""

import copy
import io
import pickle
import subprocess
import sys

import cloudpickle
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    mergeable,
    route,
    unset_params,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

X = torch.tensor([1.0, 2.0])

old_ways = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
"""TorchScript is deprecated and still in use."""


@pytest.fixture
def scale(inject, monkeypatch):
    """Return a merged module that can be pickled: it doubles, unless it is deterministic."""

    @mergeable("deterministic", method="forward")
    class Scale(nn.Module):
        __qualname__ = "Scale"

        def __init__(self, deterministic=None):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(2.0))
            self.deterministic = deterministic

        def forward(self, x, *, deterministic: bool = MERGED):
            return x if deterministic else x * self.weight

    monkeypatch.setattr(sys.modules[__name__], "Scale", Scale, raising=False)
    return Scale


@pytest.fixture
def gain(inject):
    """Return a module that merges a parameter of its own, which may be missing."""

    @mergeable("gain", method="forward")
    class Gain(nn.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.register_parameter("gain", None if gain is None else nn.Parameter(gain))

        def forward(self, x, gain=MERGED):
            return x * gain

    return Gain


def both_ways(cls):
    """Return what a doubling layer gives: its value set in one place, in the other, changed."""
    return [
        cls(False)(X).tolist(),
        cls(True)(X).tolist(),
        cls()(X, deterministic=False).tolist(),
        cls()(X, deterministic=True).tolist(),
    ]


def refuses(cls):
    """Assert that neither and both are errors."""
    with pytest.raises(MissingParamError, match="'deterministic' is set in neither place"):
        cls()(X)
    with pytest.raises(ConflictingParamError, match="'deterministic' is set in both places"):
        cls(True)(X, deterministic=True)


def test_either_place(scale):
    """A module is called through `Module.__call__`, which calls the merged `forward`."""
    assert [[2.0, 4.0], [1.0, 2.0]] * 2 == both_ways(scale)


def test_neither_and_both(scale):
    """The errors are mergeparam's own."""
    refuses(scale)


def test_gradients(scale):
    """Gradients are those of the body that ran."""
    layer = scale()

    layer(X, deterministic=False).sum().backward()

    assert 3.0 == layer.weight.grad.item()


def test_hooks_see_raw_arguments(scale):
    """Each kind of hook fires once, with the arguments as the caller gave them."""
    seen = []
    layer = scale(False)
    layer.register_forward_pre_hook(lambda module, args: seen.append(("pre", len(args))))
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(("pre", kwargs)), with_kwargs=True
    )
    layer.register_forward_hook(lambda module, args, output: seen.append(output.tolist()))
    layer.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(("post", kwargs)), with_kwargs=True
    )

    layer(X)
    layer.deterministic = None
    layer(X, deterministic=True)

    assert [
        ("pre", 1),
        ("pre", {}),
        [2.0, 4.0],
        ("post", {}),
        ("pre", 1),
        ("pre", {"deterministic": True}),
        [1.0, 2.0],
        ("post", {"deterministic": True}),
    ] == seen


def test_hook_that_fires_even_after_an_error(scale):
    """A hook with `always_call` sees the call that could not be merged."""
    seen = []
    layer = scale()
    layer.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)

    with pytest.raises(MissingParamError):
        layer(X)

    assert [None] == seen


def test_hook_that_gives_the_value(scale):
    """What a pre-hook adds to the call is the call's value."""

    def give(module, args, kwargs):
        return args, kwargs | {"deterministic": True}

    set_by_hook, conflicting = scale(), scale(False)
    set_by_hook.register_forward_pre_hook(give, with_kwargs=True)
    conflicting.register_forward_pre_hook(give, with_kwargs=True)

    assert [1.0, 2.0] == set_by_hook(X).tolist()
    with pytest.raises(ConflictingParamError):
        conflicting(X)


def test_state_dict(scale):
    """The merge adds nothing to the state, and a loaded state changes no flag."""
    layer, other = scale(False), scale(True)
    layer.weight.data.fill_(3.0)

    other.load_state_dict(layer.state_dict())

    assert ["weight"] == list(layer.state_dict())
    assert 3.0 == other.weight.item()
    assert [1.0, 2.0] == other(X).tolist()


@pytest.mark.parametrize("deterministic", [True, False, None])
def test_copies(scale, deterministic):
    """Copies, pickles and saved modules hold the constructor's value, or none."""
    layer = scale(deterministic)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    copies = [
        copy.copy(layer),
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(file, weights_only=False),
    ]

    for made in copies:
        assert deterministic is made.deterministic
        assert unset_params(layer, "forward") == unset_params(made, "forward")
        if deterministic is None:
            assert [2.0, 4.0] == made(X, deterministic=False).tolist()
        else:
            assert layer(X).tolist() == made(X).tolist()


def test_sentinel_survives_deepcopy(inject):
    """A module that holds `UNSET` still holds it after a copy."""

    @mergeable(Param("mask", unset=UNSET), method="forward")
    class Masked(nn.Module):
        def __init__(self, mask=UNSET):
            super().__init__()
            self.mask = mask

        def forward(self, x, mask=MERGED):
            return x if mask is None else x * mask

    layer = copy.deepcopy(Masked())

    assert X is layer(X, None)
    assert X is copy.deepcopy(Masked(None))(X)
    assert [0.0, 2.0] == layer(X, torch.tensor([0.0, 1.0])).tolist()


def test_tensors_pass_untouched(gain):
    """Nobody asks for the truth of a tensor, and the body gets the very parameter."""
    layer = gain(torch.tensor([3.0, 0.0]))

    layer(X).sum().backward()

    assert [1.0, 2.0] == layer.gain.grad.tolist()
    assert [0.0, 2.0] == gain()(X, torch.tensor([0.0, 1.0])).tolist()
    with pytest.raises(ConflictingParamError, match="Parameter"):
        layer(X, torch.tensor([0.0, 1.0]))


def test_missing_parameter(gain):
    """A registered parameter that is `None` is not set, and not in the state."""
    with pytest.raises(MissingParamError):
        gain()(X)

    assert [] == list(gain().state_dict())


def test_parametrized(gain):
    """`parametrize` makes a class of its own, whose property is the constructor's value."""

    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    layer = gain(torch.tensor(3.0))
    nn.utils.parametrize.register_parametrization(layer, "gain", Double())

    assert [6.0, 12.0] == layer(X).tolist()
    with pytest.raises(ConflictingParamError, match=r"ParametrizedGain.* \(merged by "):
        layer(X, 3.0)


def test_functional_call(gain):
    """Parameters that are swapped for a call are the constructor's values."""
    layer = gain(torch.tensor(3.0))

    def loss(gain, x):
        return torch.func.functional_call(layer, {"gain": gain}, x).sum()

    assert 21.0 == loss(torch.tensor(7.0), X).item()
    assert 3.0 == torch.func.grad(loss)(torch.tensor(7.0), X).item()


def test_vmap(gain):
    """Batched values are merged from either place: an ensemble's parameters, and an argument."""
    layers = [gain(torch.tensor(2.0)), gain(torch.tensor(4.0))]
    stacked, _ = torch.func.stack_module_state(layers)

    def call(parameters):
        return torch.func.functional_call(layers[0], parameters, X)

    from_constructors = torch.vmap(call)(stacked)
    from_calls = torch.vmap(lambda value: gain()(X, value))(torch.tensor([2.0, 4.0]))

    assert [[2.0, 4.0], [4.0, 8.0]] == from_constructors.tolist() == from_calls.tolist()


def test_replicas(scale):
    """The replicas that `DataParallel` makes have the constructor's value."""
    replica = scale(True)._replicate_for_data_parallel()
    unset = scale()._replicate_for_data_parallel()

    assert [1.0, 2.0] == replica(X).tolist() == unset(X, deterministic=True).tolist()
    with pytest.raises(MissingParamError):
        unset(X)
    with pytest.raises(ConflictingParamError):
        replica(X, deterministic=True)


def test_data_parallel(scale):
    """`DataParallel` hands keyword arguments on."""
    assert [1.0, 2.0] == nn.DataParallel(scale())(X, deterministic=True).tolist()


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoint(scale, use_reentrant):
    """A checkpointed call is merged again when it is run again."""
    layer, x = scale(), X.clone().requires_grad_()

    torch.utils.checkpoint.checkpoint(
        lambda x: layer(x, deterministic=False), x, use_reentrant=use_reentrant
    ).sum().backward()

    assert [2.0, 2.0] == x.grad.tolist()


@pytest.mark.parametrize(
    "decorate",
    [
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu"),
        torch.compiler.disable,
        torch.jit.ignore,
    ],
    ids=["no_grad", "inference_mode", "autocast", "disable", "ignore"],
)
def test_decorated_forward(inject, decorate):
    """What PyTorch puts around a method stays there."""

    @mergeable("deterministic", method="forward")
    class Scale(nn.Module):
        def __init__(self, deterministic=None):
            super().__init__()
            self.deterministic = deterministic

        @decorate
        def forward(self, x, deterministic=MERGED):
            modes.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
            return x if deterministic else x * 2.0

    modes = []
    expected = decorate(lambda: (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))()

    assert [[2.0, 4.0], [1.0, 2.0]] * 2 == both_ways(Scale)
    assert [expected] * 4 == modes
    refuses(Scale)


def test_forwarding_to_super(scale):
    """A subclass hands its merged value on."""

    @mergeable("deterministic", method="forward")
    class Shifted(scale):
        def forward(self, x, *, deterministic: bool = MERGED):
            return super().forward(x, deterministic=deterministic) + 1

    assert [[3.0, 5.0], [2.0, 3.0]] * 2 == both_ways(Shifted)
    refuses(Shifted)


def test_route_in_a_container(scale):
    """A container gives each child what it still needs."""
    model = nn.ModuleList([nn.Identity(), scale(), scale(True), scale()])

    def run(x, **flags):
        for layer in model:
            x = layer(x, **route(layer, **flags))
        return x

    assert [4.0, 8.0] == run(X, deterministic=False).tolist()


def test_symbolic_trace(scale):
    """FX traces a merged child like any code."""
    traced = torch.fx.symbolic_trace(nn.Sequential(scale(False), scale(True)))

    assert [2.0, 4.0] == traced(X).tolist()


def test_symbolic_trace_of_a_root(scale):
    """FX makes a proxy of each argument of the root, save those that it is told to be constant."""
    constant = torch.fx.symbolic_trace(scale(False), concrete_args={"deterministic": None})
    given = torch.fx.symbolic_trace(scale(), concrete_args={"deterministic": True})

    assert [2.0, 4.0] == constant(X).tolist()
    assert [1.0, 2.0] == given(X, True).tolist()
    with pytest.raises(ConflictingParamError, match=r"Proxy\(deterministic\)"):
        torch.fx.symbolic_trace(scale(False))


@old_ways
def test_jit_trace(scale):
    """`torch.jit.trace` runs the method, and so the merge."""
    model = nn.Sequential(scale(False), scale(True))

    assert [2.0, 4.0] == torch.jit.trace(model, X)(X).tolist()
    with pytest.raises(MissingParamError):
        torch.jit.trace(scale(), X)


@pytest.fixture
def scriptable(inject):
    """Return a module that TorchScript would compile from its source, without the merge."""

    @mergeable("deterministic", method="forward")
    class Scriptable(nn.Module):
        def __init__(self, deterministic: bool | None = None):
            super().__init__()
            self.deterministic = deterministic

        def forward(self, x: torch.Tensor, deterministic: bool | None = MERGED):
            if deterministic is not None and deterministic:
                return x
            return 2 * x

    return Scriptable


@old_ways
@pytest.mark.parametrize("place", [lambda layer: layer, nn.Sequential], ids=["root", "child"])
def test_torchscript_is_refused(scriptable, place):
    """A scripted module would ignore what the constructor has set; the refusal says what to do."""
    model = place(scriptable(True))

    with pytest.raises(MergeDefinitionError, match=r"Scriptable merges .*Use torch\.compile"):
        torch.jit.script(model)


@old_ways
def test_torchscript_of_a_subclass_that_does_not_merge(scriptable):
    """Where a subclass overrides the merged method, nothing is left to be lost."""

    class Plain(scriptable):
        def forward(self, x: torch.Tensor):
            return 3 * x

    assert [3.0, 6.0] == torch.jit.script(Plain())(X).tolist()


@old_ways
def test_torchscript_of_a_stand_in(inject):
    """A class that says itself what TorchScript is to compile is not refused."""

    @mergeable("deterministic", method="forward")
    class Prepared(nn.Module):
        def __init__(self, deterministic=None):
            super().__init__()
            self.deterministic = deterministic

        def forward(self, x, deterministic=MERGED):
            return x if deterministic else 2 * x

        def __prepare_scriptable__(self):
            return nn.Identity()

    assert [1.0, 2.0] == torch.jit.script(Prepared(True))(X).tolist()


@pytest.fixture
def plain_scriptable(inject):
    """Return a class that is no module, and that TorchScript would compile from its source."""

    @mergeable("deterministic", method="run")
    class PlainScriptable:
        def __init__(self, deterministic: bool | None):
            self.deterministic = deterministic

        def run(self, x: torch.Tensor, deterministic: bool | None = MERGED) -> torch.Tensor:
            if deterministic is not None and deterministic:
                return x
            return 2 * x

    return PlainScriptable


@old_ways
def test_torchscript_classes_are_refused(plain_scriptable):
    """A class that is no module is refused as well, and its instances."""
    with pytest.raises(MergeDefinitionError, match="PlainScriptable merges"):
        torch.jit.script(plain_scriptable)
    with pytest.raises(MergeDefinitionError, match="PlainScriptable merges"):
        torch.jit.script(plain_scriptable(True))


@old_ways
def test_torchscript_functions_cannot_use_them(plain_scriptable):
    """A scripted function does not compile a merged class that it finds."""

    def function(x: torch.Tensor):
        return plain_scriptable(True).run(x)

    with pytest.raises(torch.jit.frontend.FrontendError, match="Cannot instantiate class"):
        torch.jit.script(function)


def test_merged_classes_do_not_need_torch(inject):
    """A class that was merged beside PyTorch goes by value to a process that has none."""

    @mergeable("flag")
    class Plain:
        def __init__(self, flag=None):
            self.flag = flag

        def __call__(self, flag=MERGED):
            return flag

    script = (
        "import pickle, sys; sys.modules['torch'] = None; print(pickle.load(sys.stdin.buffer)())"
    )

    run = subprocess.run(
        [sys.executable, "-c", script],
        input=cloudpickle.dumps(Plain("merged")),
        capture_output=True,
        check=False,
    )

    assert (b"", b"merged") == (run.stderr, run.stdout.strip())
