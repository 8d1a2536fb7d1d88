"""PyTorch: merged modules in everything that holds, copies, wraps and scripts modules."""

import subprocess
import sys

import cloudpickle
import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    find_unset,
    mergeable,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

X = torch.tensor([1.0, 2.0])

old_ways = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
"""TorchScript is deprecated and still in use."""


@pytest.fixture
def scale(inject):
    """Return a module that merges a flag, and a parameter of its own, which may be missing."""

    @mergeable("quiet", "gain", method="forward")
    class Scale(nn.Module):
        def __init__(self, quiet=None, gain=None):
            super().__init__()
            self.quiet = quiet
            self.register_parameter("gain", None if gain is None else nn.Parameter(gain))

        def forward(self, x, gain=MERGED, *, quiet: bool = MERGED):
            return x if quiet else x * gain

    return Scale


THREE = torch.tensor(3.0)
NOUGHT_ONE = torch.tensor([0.0, 1.0])


def test_tensors_pass_untouched(scale):
    """Nobody asks for the truth of a tensor, and gradients reach the very parameter."""
    layer = scale(False, torch.tensor([3.0, 0.0]))
    layer(X).sum().backward()

    assert [1.0, 2.0] == layer.gain.grad.tolist()
    assert [0.0, 2.0] == scale(False)(X, NOUGHT_ONE).tolist()
    with pytest.raises(ConflictingParamError, match="Parameter"):
        layer(X, NOUGHT_ONE)


def test_state_dict(scale):
    """The merge adds nothing to the state, and a loaded state changes no flag.

    A registered parameter that is `None` is not set, and not in the state.
    """
    layer, other = scale(False, THREE), scale(True, torch.tensor(2.0))
    other.load_state_dict(layer.state_dict())

    assert ["gain"] == list(layer.state_dict())
    assert (3.0, [1.0, 2.0]) == (other.gain.item(), other(X).tolist())
    assert [] == list(scale().state_dict())
    with pytest.raises(MissingParamError):
        scale(False)(X)


def test_hooks_see_raw_arguments(scale):
    """Each kind of hook fires once, with the arguments as the caller gave them."""
    seen = []
    layer = scale(False, torch.tensor(2.0))
    layer.register_forward_pre_hook(lambda module, args: seen.append(len(args)))
    layer.register_forward_pre_hook(lambda module, *given: seen.append(given), with_kwargs=True)
    layer.register_forward_hook(lambda module, args, output: seen.append(output.tolist()))
    layer.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True
    )

    layer(X)
    layer.quiet = None
    layer(X, quiet=True)

    expected = [1, ((X,), {}), [2.0, 4.0], {}]
    assert [*expected, 1, ((X,), {"quiet": True}), [1.0, 2.0], {"quiet": True}] == seen


def test_hooks_around_a_merge(scale):
    """What a pre-hook adds is the call's value; `always_call` sees a call that failed."""

    def give(module, args, kwargs):
        return args, kwargs | {"quiet": True}

    seen, set_by_hook, conflicting, missing = [], scale(gain=THREE), scale(False, THREE), scale()
    set_by_hook.register_forward_pre_hook(give, with_kwargs=True)
    conflicting.register_forward_pre_hook(give, with_kwargs=True)
    missing.register_forward_hook(lambda *call: seen.append(call[-1]), always_call=True)

    assert [1.0, 2.0] == set_by_hook(X).tolist()
    with pytest.raises(ConflictingParamError):
        conflicting(X)
    with pytest.raises(MissingParamError):
        missing(X)
    assert [None] == seen


def test_containers(scale):
    """Parts are found in every container; `DataParallel` hands keyword arguments on."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = scale(gain=THREE)
            self.blocks = nn.Sequential(scale(True, THREE), scale(True))
            self.listed = nn.ModuleList([scale()])
            self.named = nn.ModuleDict({"head": scale(True), "tail": scale(False, THREE)})
            self.nothing = None

    found = {path: names for path, _, names in find_unset(Model())}

    assert {
        ".first": ("quiet",),
        ".blocks[1]": ("gain",),
        ".listed[0]": ("gain", "quiet"),
        ".named['head']": ("gain",),
    } == found
    assert [1.0, 2.0] == nn.DataParallel(scale(gain=THREE))(X, quiet=True).tolist()


def test_parametrized(scale):
    """`parametrize` makes a class of its own, whose property is the constructor's value."""

    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    layer = scale(False, THREE)
    nn.utils.parametrize.register_parametrization(layer, "gain", Double())

    assert [6.0, 12.0] == layer(X).tolist()
    with pytest.raises(ConflictingParamError, match=r"ParametrizedScale.* \(merged by "):
        layer(X, 3.0)


def test_functional_transforms(scale):
    """Swapped and batched values are merged from either place."""
    layers = [scale(False, torch.tensor(2.0)), scale(False, torch.tensor(4.0))]
    stacked, _ = torch.func.stack_module_state(layers)

    def call(parameters):
        return torch.func.functional_call(layers[0], parameters, X)

    seven = {"gain": torch.tensor(7.0)}
    from_constructors = torch.vmap(call)(stacked)
    from_calls = torch.vmap(lambda value: scale(False)(X, value))(torch.tensor([2.0, 4.0]))

    assert [[2.0, 4.0], [4.0, 8.0]] == from_constructors.tolist() == from_calls.tolist()
    assert [7.0, 14.0] == call(seven).tolist()
    assert {"gain": 3.0} == torch.func.grad(lambda parameters: call(parameters).sum())(seven)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoint(scale, use_reentrant):
    """A checkpointed call is merged again when it is run again."""
    layer, x = scale(gain=THREE), X.clone().requires_grad_()
    checkpoint = torch.utils.checkpoint.checkpoint

    checkpoint(lambda x: layer(x, quiet=False), x, use_reentrant=use_reentrant).sum().backward()

    assert [3.0, 3.0] == x.grad.tolist()


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

    @mergeable("quiet", method="forward")
    class Layer(nn.Module):
        def __init__(self, quiet=None):
            super().__init__()
            self.quiet = quiet

        @decorate
        def forward(self, quiet=MERGED):
            return quiet, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")

    modes = decorate(lambda: (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))()

    assert (1, *modes) == Layer(1)()
    assert (2, *modes) == Layer()(2) == Layer()(quiet=2)
    with pytest.raises(MissingParamError):
        Layer()()
    with pytest.raises(ConflictingParamError):
        Layer(1)(quiet=1)


def test_symbolic_trace(scale):
    """FX traces a merged child like any code.

    It makes a proxy of each argument of the root, save those that it is told to be constant.
    """

    def trace(held, **constants):
        return torch.fx.symbolic_trace(scale(held, THREE), concrete_args=constants)

    child = torch.fx.symbolic_trace(nn.Sequential(scale(False, THREE), scale(True, THREE)))

    assert [3.0, 6.0] == child(X).tolist() == trace(False, gain=None, quiet=None)(X).tolist()
    assert [1.0, 2.0] == trace(None, gain=None, quiet=True)(X, None, True).tolist()
    with pytest.raises(ConflictingParamError, match=r"Proxy\(quiet\)"):
        trace(False, gain=None)


@old_ways
def test_jit_trace(scale):
    """`torch.jit.trace` runs the method, and so the merge."""
    model = nn.Sequential(scale(False, THREE), scale(True, THREE))

    assert [3.0, 6.0] == torch.jit.trace(model, X)(X).tolist()
    with pytest.raises(MissingParamError):
        torch.jit.trace(scale(), X)


# TorchScript, which would compile a method from its source, without the merge.


@pytest.fixture(params=[nn.Module, object])
def scriptable(request, inject):
    """Return a class, and an object of it, that TorchScript could compile."""

    @mergeable("quiet", method="forward")
    class Scriptable(request.param):
        def __init__(self, quiet: bool | None = None):
            super().__init__()
            self.quiet = quiet

        def forward(self, x: torch.Tensor, quiet: bool | None = MERGED) -> torch.Tensor:
            if quiet is not None and quiet:
                return x
            return 2 * x

    return Scriptable


@old_ways
def test_torchscript_is_refused(scriptable):
    """A script would ignore what the constructor has set; the refusal says what to do."""
    targets = [scriptable(True)]
    if issubclass(scriptable, nn.Module):
        targets += [nn.Sequential(scriptable(True))]
    else:
        targets += [scriptable]

    for target in targets:
        with pytest.raises(MergeDefinitionError, match=r"Scriptable merges .*Use torch\.compile"):
            torch.jit.script(target)


@old_ways
@pytest.mark.parametrize("scriptable", [object], indirect=True)
def test_torchscript_functions_cannot_use_them(scriptable):
    """A scripted function does not compile a merged class that it finds."""

    def function(x: torch.Tensor):
        return scriptable(True).forward(x)

    with pytest.raises(torch.jit.frontend.FrontendError, match="Cannot instantiate class"):
        torch.jit.script(function)


@old_ways
@pytest.mark.parametrize("scriptable", [nn.Module], indirect=True)
def test_torchscript_of_a_subclass_that_does_not_merge(scriptable):
    """Where a subclass overrides the merged method, nothing is left to be lost."""

    class Plain(scriptable):
        def forward(self, x: torch.Tensor):
            return 3 * x

    assert [3.0, 6.0] == torch.jit.script(Plain())(X).tolist()


@old_ways
def test_torchscript_of_a_stand_in(inject):
    """A class that says itself what TorchScript is to compile is not refused."""

    @mergeable("quiet", method="forward")
    class Prepared(nn.Module):
        quiet = None

        def forward(self, x, quiet=MERGED):
            return x if quiet else 2 * x

        def __prepare_scriptable__(self):
            return nn.Identity()

    assert [1.0, 2.0] == torch.jit.script(Prepared())(X).tolist()


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
